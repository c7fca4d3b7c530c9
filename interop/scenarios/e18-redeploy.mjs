import { parseSetCookie } from '../browser.mjs'
import { count, scenario } from '../harness.mjs'

export default await scenario(import.meta, {
  number: 'E18',
  title: 'A redeploy makes the cookie `sameSite: "strict"`; five visitors come back twice',
  rows: {
    stale: 'visitors left with the old attributes, of 5',
    staleRolling: 'the same, rolling: true',
  },
  express: { stale: 5, staleRolling: 5 },
  sessile: { stale: 0, staleRolling: 0 },
  async run(server) {
    return { stale: await stale(server, false), staleRolling: await stale(server, true) }
  },
})

async function stale(server, rolling) {
  await server.configure({ layers: [{ rolling, cookie: { maxAge: 3_600_000, sameSite: 'lax' } }] })
  const browsers = Array.from({ length: 5 }, () => server.browser())
  for (const browser of browsers) await browser.post('/login?user=alice')
  await server.configure({ keepRecords: true, layers: [{ rolling, cookie: { maxAge: 3_600_000, sameSite: 'strict' } }] })
  const strict = []
  for (const browser of browsers) {
    const answers = [await browser.post('/set?key=color&value=red'), await browser.send('GET', '/read?key=user')]
    await answers[1].text()
    const sent = answers.flatMap((answer) => answer.setCookie).map((line) => parseSetCookie(line).attributes.samesite)
    strict.push(sent.some((sameSite) => sameSite?.toLowerCase() === 'strict'))
  }
  return 5 - count(strict)
}
