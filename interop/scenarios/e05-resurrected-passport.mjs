import assert from 'node:assert/strict'
import { count, scenario, times } from '../harness.mjs'

const ROUNDS = 20

export default await scenario(import.meta, {
  number: 'E5',
  title: 'The same through Passport',
  rows: { back: `logged-out users who are logged in again, of ${ROUNDS}` },
  express: { back: ROUNDS },
  sessile: { back: 0 },
  async run(server) {
    await server.configure({ withPassport: true })
    const users = await times(ROUNDS, 5, (index) => round(server, `round${index}`))
    return { back: count(users.map((user) => user === '7')) }
  },
})

async function round(server, gate) {
  const browser = server.browser()
  await browser.post('/login?user=7')
  const cookie = browser.header()
  assert.equal(await whoami(server, cookie), '7')
  const slow = browser.post(`/slow?gate=${gate}&key=color&value=red`, { cookie })
  await server.arrived(gate)
  await browser.post('/logout')
  await server.open(gate)
  await slow
  return whoami(server, cookie)
}

async function whoami(server, cookie) {
  const answer = await server.send('GET', '/whoami', { cookie })
  return JSON.parse(await answer.text()).user
}
