import assert from 'node:assert/strict'
import { scenario } from '../harness.mjs'

export default await scenario(import.meta, {
  number: 'E12',
  title: '10 visits to /adminfoo with `path: "/admin"`, by one browser',
  rows: { orphans: 'records behind cookies the browser never sends back' },
  express: { orphans: 10 },
  sessile: { orphans: 0 },
  async run(server) {
    await server.configure({ layers: [{ cookie: { path: '/admin' } }] })
    const browser = server.browser()
    for (let i = 0; i < 10; i++) await browser.post('/adminfoo/set?key=color&value=red')
    const orphans = await server.records()
    await server.browser().post('/admin/set?key=color&value=red')
    assert.equal(await server.records(), orphans + 1)
    return { orphans }
  },
})
