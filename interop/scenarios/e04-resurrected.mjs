import assert from 'node:assert/strict'
import { count, scenario, times } from '../harness.mjs'

const ROUNDS = 20

export default await scenario(import.meta, {
  number: 'E4',
  title: 'A slow request that changes the session ends after /logout',
  rows: { back: `destroyed sessions that are logged in again, of ${ROUNDS}` },
  express: { back: ROUNDS },
  sessile: { back: 0 },
  async run(server) {
    await server.configure({})
    const users = await times(ROUNDS, 5, (index) => round(server, `round${index}`))
    return { back: count(users) }
  },
})

async function round(server, gate) {
  const browser = server.browser()
  await browser.post('/login?user=alice')
  const cookie = browser.header()
  assert.deepEqual(await browser.read('user'), { user: 'alice' })
  const slow = browser.post(`/slow?gate=${gate}&key=color&value=red`, { cookie })
  await server.arrived(gate)
  await browser.post('/logout')
  await server.open(gate)
  await slow
  const answer = await server.send('GET', '/read?key=user', { cookie })
  return JSON.parse(await answer.text()).user
}
