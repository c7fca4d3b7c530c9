import { scenario } from '../harness.mjs'

const INCREMENTS = 100

export default await scenario(import.meta, {
  number: 'C',
  title: '100 parallel increments of one counter',
  rows: { lost: `lost increments of ${INCREMENTS}` },
  express: { lost: (lost) => lost > 0 },
  sessile: { lost: 0 },
  async run(server) {
    await server.configure({})
    const browser = server.browser()
    await browser.post('/login?user=alice')
    await server.store({ latency: { read: 5, write: 5 } })
    await Promise.all(Array.from({ length: INCREMENTS }, () => browser.post('/increment?key=n')))
    return { lost: INCREMENTS - (await browser.read('n')).n }
  },
})
