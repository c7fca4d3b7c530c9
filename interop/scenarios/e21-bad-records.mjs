import { scenario } from '../harness.mjs'

const COOKIE = '"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}'
const RECORDS = {
  'not JSON': '{"cookie":',
  'an array': '[]',
  'a number': '7',
  'a string': '"text"',
  'null': 'null',
  'without cookie': '{"user":"alice"}',
  'cookie is null': '{"cookie":null,"user":"alice"}',
  'cookie is a string': '{"cookie":"x","user":"alice"}',
  'expires is no date': '{"cookie":{"expires":"soon"},"user":"alice"}',
  '20 MB': `{${COOKIE},"user":"<fill>"}`,
  'nested 100,000 deep': `{${COOKIE},"user":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
  'a key __proto__': `{${COOKIE},"__proto__":{"user":"mallory"},"constructor":1}`,
  'duplicate keys': `{${COOKIE},"user":"alice","user":"bob"}`,
  'keys of the session object': `{${COOKIE},"id":1,"save":2,"req":3,"touch":4}`,
}

export default await scenario(import.meta, {
  number: 'E21',
  title: `${Object.keys(RECORDS).length} odd records under a visitor's id; the visitor writes and comes back`,
  rows: {
    stuck: 'visitors who get an error, or no answer, each time',
    deaths: 'times the server process died',
  },
  express: { stuck: (stuck) => stuck >= 5, deaths: 1 },
  sessile: { stuck: 0, deaths: 0 },
  async run(server) {
    const stuck = []
    let deaths = 0
    for (const [name, text] of Object.entries(RECORDS)) {
      await server.configure({})
      const browser = server.browser()
      await browser.post('/set?key=color&value=red')
      await server.plant(browser.id(), text, 20 << 20)
      const tries = [await browser.post('/set?key=color&value=blue'), await browser.send('GET', '/read?key=color')]
      await tries[1].text()
      if (tries.every((answer) => answer.status !== 200)) stuck.push(name)
      if (await server.died()) {
        deaths++
        await server.restart()
      }
    }
    return { stuck: stuck.length, deaths, stuckOn: stuck }
  },
})
