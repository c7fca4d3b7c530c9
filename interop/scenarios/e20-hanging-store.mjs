import { count, scenario } from '../harness.mjs'

const PATIENCE = 2000

export default await scenario(import.meta, {
  number: 'E20',
  title: 'The store hangs; the browser waits 2 s',
  rows: {
    hanging: 'requests never answered, of 10',
    wronglyAnswered: 'answers other than 503 with Retry-After, of 10',
    others: 'requests of known visitors that need no session, never answered, of 10',
  },
  express: { hanging: 10, wronglyAnswered: 0, others: 10 },
  sessile: { hanging: 0, wronglyAnswered: 0, others: 0 },
  async run(server) {
    await server.configure({ layers: [{ storeTimeout: 300 }] })
    const browser = server.browser()
    await browser.post('/login?user=alice')
    await server.store({ hang: ['read', 'write', 'touch', 'destroy'] })
    const reads = Array.from({ length: 10 }, () => browser.send('GET', '/read?key=user', { timeout: PATIENCE }))
    const plain = Array.from({ length: 10 }, () => browser.send('GET', '/plain', { timeout: PATIENCE }))
    const answers = await Promise.all(reads)
    const others = await Promise.all(plain)
    await Promise.all([...answers, ...others].map((answer) => answer.text()))
    await server.store({})
    return {
      hanging: count(answers.map((answer) => answer.status === 0)),
      wronglyAnswered: count(answers.map(({ status, headers }) => status !== 0 && !(status === 503 && headers['retry-after']))),
      others: count(others.map((answer) => answer.status !== 200)),
    }
  },
})
