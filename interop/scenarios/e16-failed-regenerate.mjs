import { scenario } from '../harness.mjs'

export default await scenario(import.meta, {
  number: 'E16',
  title: 'A login regenerates the session while the store fails to destroy the old one',
  rows: {
    both: 'new logins while the old id still lives, of 1',
    untold: 'failures the browser is not told of, of 1',
  },
  express: { both: 1, untold: 1 },
  sessile: { both: 0, untold: 0 },
  async run(server) {
    await server.configure({})
    const browser = server.browser()
    await browser.post('/login?user=mallory')
    const old = browser.header()
    await server.store({ fail: ['destroy'] })
    const answer = await browser.post('/login?user=alice')
    await server.store({})
    const before = JSON.parse(await (await server.send('GET', '/read?key=user', { cookie: old })).text())
    const after = await browser.read('user')
    return {
      both: Number(before.user === 'mallory' && after?.user === 'alice'),
      untold: Number(answer.status < 500),
    }
  },
})
