import { count, scenario, times } from '../harness.mjs'

const ATTEMPTS = 250
const LATENCIES = [0, 2, 5, 20]

export default await scenario(import.meta, {
  number: 'E1',
  title: 'The browser follows the redirect of a login as soon as the headers are there',
  rows: Object.fromEntries(LATENCIES.map((latency) => [`after${latency}`, `lost logins of ${ATTEMPTS}, the store takes ${latency} ms to write`])),
  express: { after5: (lost) => lost > 0, after20: (lost) => lost > 125 },
  sessile: { after0: 0, after2: 0, after5: 0, after20: 0 },
  async run(server) {
    const lost = {}
    for (const latency of LATENCIES) {
      await server.configure({})
      await server.store({ latency: { write: latency } })
      const logins = await times(ATTEMPTS, 4, (index) => login(server, `user${index}`))
      lost[`after${latency}`] = count(logins.map((user, index) => user !== `user${index}`))
    }
    return lost
  },
})

async function login(server, user) {
  const browser = server.browser()
  const redirect = await browser.send('POST', `/login?user=${user}`)
  const [{ user: seen }] = await Promise.all([browser.read('user'), redirect.text()])
  return seen
}
