// What "Moving from Express, route by route" says, with its own configuration.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { COUNTERPARTS } from './counterparts.mjs'
import { Visitor, backend, peers } from './peers.mjs'
import { Proxy } from './proxy.mjs'

describe('one name, Express and Sessile behind nginx', () => {
  let server, both, proxy
  before(async () => {
    server = await backend('redis')
    both = await peers(COUNTERPARTS.find(({ name }) => name === 'connect-redis 9'), server.url)
    proxy = await Proxy.start(both)
  })
  after(async () => {
    await proxy?.stop()
    await both?.stop()
    await server?.stop()
  })

  test('a login that has moved is known where nothing has', async () => {
    const visitor = new Visitor()
    await visitor.login(proxy.base, 'ada') // Sessile
    assert.equal(await visitor.whoami(proxy.base), 'ada') // Express
    await visitor.set(proxy.base, 'cart', '["tea"]') // Express
    assert.equal(await visitor.get(both.sessile, 'cart'), '["tea"]')
    await visitor.logout(proxy.base) // Express
    assert.equal(await visitor.whoami(both.sessile), null)
  })

  test('nobody notices a route that moves, there and back', async () => {
    const visitor = new Visitor()
    await visitor.login(proxy.base, 'grace')
    for (const side of ['sessile', 'express']) {
      await proxy.move('= /whoami', side)
      const asked = async () => {
        const response = await fetch(`${proxy.base}/whoami`, { headers: { cookie: visitor.cookie, connection: 'close' } })
        assert.equal(await response.json(), 'grace')
        return response.headers.get('x-side')
      }
      while ((await asked()) !== side); // the workers with the old lines finish what they have
    }
  })
})
