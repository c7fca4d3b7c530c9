import { count, scenario, times } from '../harness.mjs'

const ROUNDS = 50

export default await scenario(import.meta, {
  number: 'E7',
  title: 'One request writes while four only read, resave: true',
  rows: { lost: `lost writes of ${ROUNDS}` },
  express: { lost: ROUNDS },
  sessile: { lost: 0 },
  async run(server) {
    await server.configure({ layers: [{ resave: true }] })
    const kept = await times(ROUNDS, 5, (index) => round(server, `round${index}`))
    return { lost: count(kept.map((value) => value === null)) }
  },
})

async function round(server, gate) {
  const browser = server.browser()
  await browser.post('/login?user=alice')
  const readers = [1, 2, 3, 4].map(() => browser.post(`/slow?gate=${gate}`))
  await server.arrived(gate, 4)
  await browser.post('/set?key=color&value=red')
  await server.open(gate)
  await Promise.all(readers)
  return (await browser.read('color')).color
}
