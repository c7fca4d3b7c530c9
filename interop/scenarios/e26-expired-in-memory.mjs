import assert from 'node:assert/strict'
import { scenario, times } from '../harness.mjs'

const SESSIONS = 2000

export default await scenario(import.meta, {
  number: 'E26',
  title: `${SESSIONS} sessions in memory expire, and nobody comes back for them`,
  rows: { left: 'records still in memory' },
  express: { left: SESSIONS },
  sessile: { left: 0 },
  async run(server) {
    await server.configure({ layers: [{ cookie: { maxAge: 60_000 } }] })
    await times(SESSIONS, 20, () => server.browser().post('/set?key=color&value=red'))
    assert.equal(await server.records(), SESSIONS)
    await server.advance(3_600_000)
    return { left: await server.records() }
  },
})
