// Records on which of several memcached servers Node's client keeps a key.
// Use, from the repository: (cd interop && npm ci) && node interop/record-ring.mjs > fixtures/memcached/ring.json
import { createRequire } from 'node:module'
const require = createRequire(import.meta.url)
const Memcached = require('memcached')

const LISTS = [
  { '127.0.0.1:11211': 1, '127.0.0.1:11212': 1 },
  { '127.0.0.1:11212': 1, '127.0.0.1:11213': 1, '127.0.0.1:11214': 1 },
  { '10.0.0.1:11211': 1, '10.0.0.2:11211': 1, '10.0.0.3:11211': 1 },
  { '10.0.0.1': 1, '10.0.0.2': 1, 'localhost:11211': 1 },
  { 'cache-a.example:11211': 1, 'cache-b.example:11211': 3 },
  { 'cache-a.example:12000': 5, 'cache-b.example:11211': 2, 'cache-c.example:11211': 4 },
  Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`192.168.7.${n}:11211`, (n % 3) + 1])),
]

const ids = Array.from({ length: 40 }, (_, n) => `sess:${Buffer.from(`session ${n} ${n * n * 7919}`).toString('base64url')}`)
const KEYS = [...ids, 'a', 'A', 'ä', '🦀', 'Y7tQm0JcVb-1s_2dK9xWzR4hLpN6aGfE', 'x'.repeat(251), "a'b", '0']

const rings = LISTS.map((weights) => {
  // As the documentation says: an array unless there are weights.
  const servers = Object.keys(weights)
  const plain = Object.values(weights).every((weight) => weight === 1)
  const client = new Memcached(plain ? servers : weights)
  return { servers: Object.entries(weights), places: KEYS.map((key) => servers.indexOf(client.HashRing.get(key))) }
})
const versions = { memcached: require('memcached/package.json').version, hashring: require('hashring/package.json').version }
console.log(`${JSON.stringify({ versions, keys: KEYS, rings })}`)
