// The Node packages that share their sessions with a store of ours, each opened as its documentation says.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import session from 'express-session'

/** Columns of other names, as `server/src/shared.rs` gives them. */
const RENAMED = { tableName: 'renamed_sessions', columnNames: { session_id: 'key', expires: 'valid until', data: 'it`s body' } }
// knex's package does not quote the name when it saves.
const RENAMED_KNEX = { tableName: 'renamed_knex_sessions', sidFieldName: 'token' }

/**
 * `backend` is the server both sides use; `open(url)` returns the store and how to close it; `layout` is what
 * Sessile is told about the table, where it is not the default. A store that `keeps` values and not bytes has no JSON
 * text; what the database `refuses`, from Node as from us, is left out here.
 */
export const COUNTERPARTS = [
  { name: 'connect-redis 6', backend: 'redis', open: (url) => redis6(url) },
  { name: 'connect-redis 7', backend: 'redis', open: (url) => ioredis('connect-redis-7', url) },
  { name: 'connect-redis 8', backend: 'redis', open: (url) => redis('connect-redis-8', url) },
  { name: 'connect-redis 9', backend: 'redis', open: (url) => redis('connect-redis-9', url) },
  { name: 'connect-redis 10', backend: 'redis', open: (url) => redis('connect-redis-10', url) },
  { name: 'connect-memcached 3', backend: 'memcached', open: memcached },
  { name: 'connect-pg-simple 10', backend: 'postgres', open: postgres },
  { name: 'connect-session-knex 5 on pg', backend: 'postgres', layout: 'knex', open: (url) => knex('pg', url) },
  { name: 'connect-session-knex 5 on pg, sidFieldName', backend: 'postgres', layout: 'knex-renamed', open: (url) => knex('pg', url, RENAMED_KNEX) },
  { name: 'express-mysql-session 3', backend: 'mysql', open: (url) => mysql(url) },
  { name: 'express-mysql-session 3, schema.columnNames', backend: 'mysql', layout: 'renamed', open: (url) => mysql(url, RENAMED) },
  { name: 'connect-session-knex 5 on mysql2', backend: 'mysql', layout: 'knex', refuses: ['lone'], open: (url) => knex('mysql2', url) },
  { name: 'connect-session-knex 5 on mysql2, sidFieldName', backend: 'mysql', layout: 'knex-renamed', refuses: ['lone'], open: (url) => knex('mysql2', url, RENAMED_KNEX) },
  { name: 'connect-mongo 5', backend: 'mongodb', open: (url) => mongo('connect-mongo-5', url) },
  { name: 'connect-mongo 6', backend: 'mongodb', open: (url) => mongo('connect-mongo-6', url) },
  { name: 'connect-mongo 6, stringify: false', backend: 'mongodb', layout: 'objects', keeps: 'values', refuses: ['lone'], open: (url) => mongo('connect-mongo-6', url, { stringify: false }) },
  { name: 'session-file-store 1', backend: 'file', open: files },
]

/** A folder for sessions, as if it were a server: the file store needs no other. */
export function folder() {
  const dir = mkdtempSync(path.join(tmpdir(), 'sessile-interop-'))
  return { url: `file://${dir}`, stop: () => rmSync(dir, { recursive: true, force: true }) }
}

const load = async (name) => {
  const module = await import(name)
  return module.default?.default ?? module.default ?? module
}

async function ioredisClient(url) {
  const Redis = await load('ioredis')
  return new Redis(url)
}

async function redis6(url) {
  const RedisStore = (await load('connect-redis-6'))(session)
  const client = await ioredisClient(url)
  return { store: new RedisStore({ client }), close: () => client.quit() }
}

async function ioredis(name, url) {
  const RedisStore = await load(name)
  const client = await ioredisClient(url)
  return { store: new RedisStore({ client }), close: () => client.quit() }
}

async function redis(name, url) {
  const { RedisStore } = await import(name)
  const { createClient } = await import('redis')
  const client = await createClient({ url }).connect()
  return { store: new RedisStore({ client }), close: () => client.close() }
}

async function memcached(url) {
  const Store = (await load('connect-memcached'))(session)
  const store = new Store({ hosts: [new URL(url).host] })
  return { store, close: () => store.client.end() }
}

async function postgres(url) {
  const PgStore = (await load('connect-pg-simple'))(session)
  const store = new PgStore({ conString: url, createTableIfMissing: true, pruneSessionInterval: false })
  return { store, close: () => store.close() }
}

async function knex(client, url, options = {}) {
  const makeKnex = await load('knex')
  const { ConnectSessionKnexStore } = await import('connect-session-knex')
  const db = makeKnex({ client, connection: url })
  const store = new ConnectSessionKnexStore({ knex: db, tableName: 'knex_sessions', cleanupInterval: 0, ...options })
  await store.ready // it makes its table at once, and fails where somebody else does meanwhile
  return { store, close: () => db.destroy() }
}

async function mysql(url, schema) {
  const MySQLStore = (await load('express-mysql-session'))(session)
  const { hostname, port, username, password, pathname } = new URL(url)
  const store = new MySQLStore({
    host: hostname,
    port: Number(port),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: pathname.slice(1),
    clearExpired: false,
    schema,
  })
  await store.onReady()
  return { store, close: () => store.close() }
}

async function mongo(name, url, options = {}) {
  const MongoStore = await load(name)
  const { MongoClient } = await import('mongodb')
  const client = await new MongoClient(url).connect()
  const store = MongoStore.create({ client, autoRemove: 'disabled', ...options })
  return { store, close: () => client.close() }
}

async function files(url) {
  const FileStore = (await load('session-file-store'))(session)
  const store = new FileStore({ path: new URL(url).pathname, reapInterval: -1, retries: 0, logFn: () => {} })
  return { store, close: () => {} }
}
