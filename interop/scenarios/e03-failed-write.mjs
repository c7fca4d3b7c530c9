import { count, scenario, times } from '../harness.mjs'

export default await scenario(import.meta, {
  number: 'E3',
  title: 'The store fails to write',
  rows: {
    ok: '200s for data that was not kept, of 10',
    cookies: 'session cookies without a record, of 10',
  },
  express: { ok: 10, cookies: 10 },
  sessile: { ok: 0, cookies: 0 },
  async run(server) {
    await server.configure({})
    await server.store({ fail: ['write'] })
    const answers = await times(10, 10, () => server.browser().post('/set?key=color&value=red'))
    return {
      ok: count(answers.map((answer) => answer.status === 200)),
      cookies: count(answers.map((answer) => answer.setCookie.length > 0)),
    }
  },
})
