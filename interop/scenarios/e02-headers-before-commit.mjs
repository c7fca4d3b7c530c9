import assert from 'node:assert/strict'
import { scenario } from '../harness.mjs'

export default await scenario(import.meta, {
  number: 'E2',
  title: 'The store has not yet acknowledged the write of a login',
  rows: {
    headers: 'responses begun before the commit, of 1',
    cookies: 'session cookies handed out before the commit, of 1',
  },
  express: { headers: 1, cookies: 1 },
  sessile: { headers: 0, cookies: 0 },
  async run(server) {
    await server.configure({})
    await server.store({ hang: ['write'] })
    let begun
    const login = server.send('POST', '/login?user=alice').then((answer) => (begun = answer))
    for (let tries = 0; tries < 1000 && await server.started('write') === 0; tries++);
    for (let i = 0; i < 5; i++) await server.warnings() // what has left by now arrives before these answers
    const early = begun
    await server.store({})
    const answer = await login
    await answer.text()
    assert.equal(answer.status, 303)
    assert.equal(answer.setCookie.length, 1)
    return { headers: Number(early !== undefined), cookies: early?.setCookie.length ?? 0 }
  },
})
