import assert from 'node:assert/strict'
import { count, scenario } from '../harness.mjs'

export default await scenario(import.meta, {
  number: 'E11',
  title: 'What a shared cache is told',
  rows: {
    cookies: 'responses with our cookie that a cache may keep, of 10',
    pages: 'pages made from a session without `Vary: Cookie`, of 10',
  },
  express: { cookies: 10, pages: 10 },
  sessile: { cookies: 0, pages: 0 },
  async run(server) {
    await server.configure({})
    const cacheable = [], unvaried = []
    for (let i = 0; i < 10; i++) {
      const browser = server.browser()
      const first = await browser.post('/set?key=color&value=red')
      const page = await browser.send('GET', '/read?key=color')
      await page.text()
      assert.equal(first.setCookie.length, 1)
      assert.equal(page.status, 200)
      cacheable.push(!/no-store|private|no-cache/.test(first.headers['cache-control']))
      unvaried.push(!/\bcookie\b|\*/i.test(page.headers.vary))
    }
    return { cookies: count(cacheable), pages: count(unvaried) }
  },
})
