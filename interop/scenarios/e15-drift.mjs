import { scenario } from '../harness.mjs'

const MAX_AGE = 60_000
const STEP = 20_000

export default await scenario(import.meta, {
  number: 'E15',
  title: 'A visitor who comes every 20 s for ten minutes, `maxAge` 60 s',
  rows: {
    fixed: 'seconds until logged out, rolling: false',
    drift: 'records that outlive their cookie, of 1, rolling: false',
    rolling: 'seconds until logged out, rolling: true',
  },
  express: { fixed: 60, drift: 1, rolling: 'never' },
  sessile: { fixed: 60, drift: 1, rolling: 'never' },
  async run(server) {
    const fixed = await visit(server, false)
    const rolling = await visit(server, true)
    return { fixed: fixed.seconds, drift: fixed.drift, rolling: rolling.seconds }
  },
})

async function visit(server, rolling) {
  await server.configure({ layers: [{ rolling, cookie: { maxAge: MAX_AGE } }] })
  const browser = server.browser()
  await browser.post('/set?key=user&value=alice')
  const cookie = browser.header()
  for (let elapsed = STEP; elapsed <= 600_000; elapsed += STEP) {
    await server.advance(STEP)
    if ((await browser.read('user')).user === null) {
      const answer = await server.send('GET', '/read?key=user', { cookie })
      return { seconds: elapsed / 1000, drift: Number(JSON.parse(await answer.text()).user === 'alice') }
    }
  }
  return { seconds: 'never', drift: 0 }
}
