import { scenario, times } from '../harness.mjs'

const REQUESTS = 100

export default await scenario(import.meta, {
  number: 'E24',
  title: 'Requests that only read a session; a cart of 1,700 things makes it 100 kB',
  rows: {
    stringify: 'times the whole record is serialised, per request',
    sha1: 'times the whole record is hashed, per request',
    growth: 'ms of processor time the cart adds to a request',
  },
  express: { stringify: 5, sha1: 4, growth: (growth) => growth > 1 },
  sessile: { growth: (growth) => growth < 3 },
  async run(server) {
    const small = await read(server, 1)
    const large = await read(server, 1700)
    return { ...large.work, growth: Math.max(0, Number((large.cpu - small.cpu).toFixed(1))) }
  },
})

async function read(server, items) {
  await server.configure({ layers: [{ cookie: { maxAge: 3_600_000 } }] })
  const browser = server.browser()
  await browser.post(`/cart?items=${items}`)
  await times(REQUESTS, 1, () => browser.read('color'))
  const before = { cpu: server.cpu(), ...await server.work() }
  await times(REQUESTS, 1, () => browser.read('color'))
  const after = { cpu: server.cpu(), ...await server.work() }
  const each = (key) => (key in after ? (after[key] - before[key]) / REQUESTS : undefined)
  return { cpu: each('cpu'), work: { stringify: each('stringify'), sha1: each('sha1') } }
}
