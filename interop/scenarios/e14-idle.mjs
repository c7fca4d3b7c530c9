import { scenario } from '../harness.mjs'

const MAX_AGE = 60_000

export default await scenario(import.meta, {
  number: 'E14',
  title: 'A session idle for its `maxAge` of 60 s, its cookie copied',
  rows: {
    early: 'logged out 1 ms before the end',
    memory: 'still logged in at that instant, MemoryStore of either',
    memorystore: 'still logged in at that instant, memorystore 1.6.8',
    cookieSession: 'still logged in a day later, cookie-session 2.1.1',
  },
  express: { early: 0, memory: 0, memorystore: 1, cookieSession: 1 },
  sessile: { early: 0, memory: 0 },
  async run(server) {
    const measured = {
      early: await loggedOut(server, undefined, MAX_AGE - 1),
      memory: await loggedIn(server, undefined, MAX_AGE),
    }
    if (server.name === 'express') {
      measured.memorystore = await loggedIn(server, 'memorystore', MAX_AGE)
      measured.cookieSession = await loggedIn(server, 'cookie-session', 86_400_000)
    }
    return measured
  },
})

async function loggedIn(server, store, idle) {
  await server.configure({ store, layers: [{ cookie: { maxAge: MAX_AGE } }] })
  const browser = server.browser()
  await browser.post('/set?key=user&value=alice')
  const cookie = browser.header()
  await server.advance(idle)
  const answer = await server.send('GET', '/read?key=user', { cookie })
  return Number(JSON.parse(await answer.text()).user === 'alice')
}

async function loggedOut(...args) {
  return 1 - await loggedIn(...args)
}
