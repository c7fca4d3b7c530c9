// Every store that has a counterpart in Node shares its sessions with it, both ways.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { COUNTERPARTS } from './counterparts.mjs'
import { MAX_AGE } from './express.mjs'
import { Visitor, backend, peers, plant, record, touch } from './peers.mjs'

const HOUR = MAX_AGE
const SECOND = 1_000

/** What JSON can hold and another writer may get wrong. */
const VALUES = {
  text: '"plain"',
  unicode: '"snow ☃, crab 🦀, \u2028 and \u007f"',
  lone: String.raw`"half a pair \ud800 here"`,
  control: String.raw`"\u0001\b\f\n\r\t\"\\"`,
  date: '"2030-01-02T03:04:05.678Z"',
  numbers: '[0,-1,1.5,1e+21,1e-7,9007199254740991,0.1]',
  nested: '{"z":1,"a":{"deep":[null,true,{"":""}]},"m":2}',
  buffer: '{"type":"Buffer","data":[1,2,255]}',
}

const chosen = process.env.INTEROP_STORES?.split(',')
const rows = COUNTERPARTS.filter(({ backend }) => !chosen || chosen.includes(backend))
test('there is a counterpart to try', () => assert.ok(rows.length >= (chosen ? 1 : 17)))

for (const name of new Set(rows.map((row) => row.backend))) {
  describe(name, () => {
    let server
    before(async () => (server = await backend(name)))
    after(() => server.stop())
    for (const row of rows.filter((row) => row.backend === name)) shares(row, () => server.url)
  })
}

function shares(row, url) {
  describe(row.name, () => {
    let both, express, sessile
    before(async () => {
      both = await peers(row, url())
      ;({ express, sessile } = both)
    })
    after(() => both.stop())

    const values = Object.entries(VALUES).filter(([key]) => !row.refuses?.includes(key))
    const directions = [
      ['Express', 'Sessile', () => [express, sessile]],
      ['Sessile', 'Express', () => [sessile, express]],
    ]
    for (const [here, there, sides] of directions) {
      test(`what ${here} logs in, ${there} knows, changes and hands back`, async () => {
        const [one, other] = sides()
        const visitor = new Visitor()
        await visitor.login(one, 'ada')
        assert.equal(await visitor.whoami(other), 'ada')
        for (const [key, json] of values) {
          await visitor.set(one, key, json)
          assert.equal(await visitor.get(other, key), json, key)
        }
        await visitor.set(other, 'views', '7')
        assert.equal(await visitor.get(one, 'views'), '7')
        for (const [key, json] of values) assert.equal(await visitor.get(one, key), json, key)
        assert.equal(await visitor.whoami(one), 'ada')
      })

      test(`logging out of ${here} logs out of ${there}`, async () => {
        const [one, other] = sides()
        const visitor = new Visitor()
        await visitor.login(other, 'ada')
        const { cookie } = visitor
        await visitor.logout(one)
        visitor.cookie = cookie
        assert.equal(await visitor.whoami(other), null)
        assert.equal(await record(sessile, visitor.id), null)
      })

      test(`a session of ${here} expires when its cookie does`, async () => {
        const [one] = sides()
        const visitor = new Visitor()
        const before = Date.now()
        await visitor.login(one, 'ada')
        const { expires } = await record(sessile, visitor.id)
        const life = expires - before
        assert.ok(life > HOUR - SECOND && life < HOUR + 10 * SECOND, `${life} ms`)
      })

      test(`a visit to ${here} keeps the session of ${there} alive`, async () => {
        const [one, other] = sides()
        const visitor = new Visitor()
        await visitor.login(other, 'ada')
        await touch(sessile, visitor.id, 600)
        const soon = (await record(sessile, visitor.id)).expires
        assert.ok(soon < Date.now() + HOUR / 2, 'it is about to expire')
        assert.equal(await visitor.whoami(one), 'ada')
        // Express touches after it has answered.
        const later = await until(async () => (await record(sessile, visitor.id)).expires, (expires) => expires > soon)
        assert.ok(later > Date.now() + HOUR - 60 * SECOND, `${later - Date.now()} ms`)
        assert.equal(await visitor.whoami(other), 'ada')
      })
    }

    test('Sessile changes what it changes, and every other byte stays', async () => {
      const visitor = new Visitor()
      await visitor.login(express, 'ada')
      const { text } = await record(sessile, visitor.id)
      const lone = row.refuses ? '' : String.raw`"lone":"\ud800",`
      const rest =
        row.keeps === 'values'
          ? '"z":{"b":1,"a":[null,1.5]},"text":"☃","views":1}'
          : `"10":1,"big":12345678901234567890,${lone}"spaced":[1,  2],"__proto":{"x":1.10},"views":1}`
      const planted = text.replace(/\}$/, `,${rest}`)
      await plant(sessile, visitor.id, planted)
      await visitor.set(sessile, 'views', '2')
      const changed = await record(sessile, visitor.id)
      const data = (text) => text.slice(text.indexOf('"user"'))
      assert.equal(data(changed.text), data(planted).replace('"views":1', '"views":2'))
      assert.equal(await visitor.get(express, 'views'), '2')
      if (row.keeps === 'values') return
      assert.equal(await visitor.get(express, 'big'), '12345678901234567000', 'what a number in Node can hold')
    })

    test('a record that Sessile wrote and nobody changed is the one that Node would write', async () => {
      const visitors = [new Visitor(), new Visitor()]
      await visitors[0].login(express, 'ada')
      await visitors[1].login(sessile, 'ada')
      const texts = await Promise.all(visitors.map(async ({ id }) => (await record(sessile, id)).text))
      const shape = (text) => text.replace(/"(expires|__lastAccess)":("[^"]*"|\d+)/g, '"$1":…')
      // Express reckons the lifetime back from the expiry, and may find a millisecond gone.
      const whole = (text) => text.replace(/"originalMaxAge":3599\d{3}/, `"originalMaxAge":${HOUR}`)
      assert.equal(shape(texts[1]), whole(shape(texts[0])))
    })

    test('one browser on one login page that both serve', async () => {
      const visitor = new Visitor()
      await visitor.login(sessile, 'ada')
      const asked = Array.from({ length: 40 }, (_, i) => visitor.whoami(i % 2 ? express : sessile))
      assert.deepEqual(new Set(await Promise.all(asked)), new Set(['ada']))
      await visitor.login(express, 'grace')
      const again = Array.from({ length: 40 }, (_, i) => visitor.whoami(i % 2 ? express : sessile))
      assert.deepEqual(new Set(await Promise.all(again)), new Set(['grace']))
    })
  })
}

/** Asks until the answer is right; a test that waits for ever fails by its timeout. */
async function until(ask, right) {
  for (;;) {
    const answer = await ask()
    if (right(answer)) return answer
  }
}
