import { count, scenario } from '../harness.mjs'

export default await scenario(import.meta, {
  number: 'E13',
  title: 'Several cookies of our name: tampered, empty, of a session that is gone, and the valid one',
  rows: { lost: 'visitors not recognised, of 4 orders' },
  express: { lost: 3 },
  sessile: { lost: 0 },
  async run(server) {
    await server.configure({})
    const browser = server.browser()
    await browser.post('/login?user=alice')
    const valid = browser.header()
    const tampered = `${valid.slice(0, -1)}${valid.endsWith('A') ? 'B' : 'A'}`
    const empty = 'connect.sid='
    const gone = await goneCookie(server)
    const orders = [[valid, tampered, empty, gone], [tampered, valid, empty], [empty, tampered, valid], [gone, valid]]
    const users = []
    for (const order of orders) {
      const answer = await server.send('GET', '/read?key=user', { cookie: order.join('; ') })
      users.push(JSON.parse(await answer.text()).user)
    }
    return { lost: count(users.map((user) => user !== 'alice')) }
  },
})

async function goneCookie(server) {
  const browser = server.browser()
  await browser.post('/login?user=bob')
  const cookie = browser.header()
  await browser.post('/logout')
  return cookie
}
