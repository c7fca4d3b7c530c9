import { scenario } from '../harness.mjs'

export default await scenario(import.meta, {
  number: 'E22',
  title: 'A handler puts in what cannot be stored',
  rows: {
    accepted: 'assignments of an unserialisable value that raise no error, of 1',
    hung: 'requests that never end for it, of 1',
    huge: 'records of 8 MB accepted without a word, of 1',
    truncated: 'cookies of 5 kB sent to browsers that drop them, cookie-session 2.1.1, of 1',
  },
  express: { accepted: 1, hung: 1, huge: 1, truncated: 1 },
  sessile: { accepted: 0, hung: 0, huge: 0 },
  async run(server) {
    await server.configure({})
    const answer = await server.browser().send('POST', '/unserialisable', { timeout: 1500 })
    const text = await answer.text()
    const refused = answer.status === 200 && JSON.parse(text).refused
    await server.configure({})
    const huge = await server.browser().post(`/fill?key=page&bytes=${8 << 20}`)
    const measured = { accepted: Number(!refused), hung: Number(answer.status === 0), huge: Number(huge.status === 200) }
    if (server.name === 'express') {
      await server.configure({ store: 'cookie-session' })
      const cookie = await server.browser().post('/fill?key=page&bytes=5000')
      measured.truncated = Number(cookie.status === 200 && cookie.setCookie.some((line) => line.length > 4096))
    }
    return measured
  },
})
