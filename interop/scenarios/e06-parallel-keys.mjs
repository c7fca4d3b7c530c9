import { count, scenario } from '../harness.mjs'

const KEYS = Array.from({ length: 20 }, (_, index) => `key${index}`)

export default await scenario(import.meta, {
  number: 'E6',
  title: '20 parallel requests, each sets a key of its own',
  rows: {
    lost: 'lost writes of 20, resave: false',
    lostResaving: 'lost writes of 20, resave: true',
  },
  express: { lost: (lost) => lost > 0, lostResaving: (lost) => lost > 0 },
  sessile: { lost: 0, lostResaving: 0 },
  async run(server) {
    return { lost: await lost(server, false), lostResaving: await lost(server, true) }
  },
})

async function lost(server, resave) {
  await server.configure({ layers: [{ resave }] })
  const browser = server.browser()
  await browser.post('/login?user=alice')
  await server.store({ latency: { read: 5, write: 5 } })
  await Promise.all(KEYS.map((key) => browser.post(`/set?key=${key}&value=x`)))
  const values = await browser.read(...KEYS)
  return count(KEYS.map((key) => values[key] === null))
}
