import { count, scenario } from '../harness.mjs'

export default await scenario(import.meta, {
  number: 'E8',
  title: '10 visits over plain HTTP with `secure: true`',
  rows: {
    orphans: 'records nobody can ever name',
    silent: 'visits without a cookie and without a warning',
  },
  express: { orphans: 10, silent: 10 },
  sessile: { orphans: 0, silent: 0 },
  async run(server) {
    await server.configure({ layers: [{ cookie: { secure: true } }] })
    const browser = server.browser()
    const answers = []
    for (let i = 0; i < 10; i++) answers.push(await browser.post('/set?key=color&value=red'))
    const warned = (await server.warnings()).length > 0
    return {
      orphans: await server.records(),
      silent: count(answers.map((answer) => answer.setCookie.length === 0 && !warned)),
    }
  },
})
