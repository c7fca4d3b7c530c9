import { count, scenario, times } from '../harness.mjs'

const ROUNDS = 20

export default await scenario(import.meta, {
  number: 'E27',
  title: 'A streamed response changes the session of a new visitor',
  rows: {
    orphans: `records without a cookie, changed after the first chunk, of ${ROUNDS}`,
    silent: `the same changes, neither kept nor reported, of ${ROUNDS}`,
    early: `changes before the first chunk, not there for a client that has it, of ${ROUNDS}`,
  },
  express: { orphans: ROUNDS, silent: ROUNDS, early: ROUNDS },
  sessile: { orphans: 0, silent: 0, early: 0 },
  async run(server) {
    await server.configure({})
    const late = await times(ROUNDS, 5, (index) => change(server, 'late', `late${index}`))
    const orphans = await server.records()
    const reported = (await server.warnings()).length
    const unkept = count(late.map((color) => color === null))
    await server.configure({})
    const early = await times(ROUNDS, 5, (index) => change(server, 'early', `early${index}`))
    return { orphans, silent: Math.max(0, unkept - reported), early: count(early.map((color) => color === null)) }
  },
})

async function change(server, when, gate) {
  const browser = server.browser()
  const stream = await browser.send('POST', `/stream?change=${when}&key=color&value=red&gate=${gate}`)
  if (when === 'early') {
    const { color } = await browser.read('color')
    await server.open(gate)
    await stream.text()
    return color
  }
  await server.open(gate)
  await stream.text()
  return (await browser.read('color')).color
}
