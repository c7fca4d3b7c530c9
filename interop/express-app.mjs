// The application of README.md on Express: the same routes as server/src, on the packages that package.json names.
import { advance } from './clock.mjs'
import crypto from 'node:crypto'
import http from 'node:http'
import cookieSession from 'cookie-session'
import express from 'express'
import session from 'express-session'
import memorystore from 'memorystore'
import passport from 'passport'
import { Control, ControlledStore } from './controlled-store.mjs'

const LARGE = 50_000 // only a whole record is this long
const work = { stringify: 0, sha1: 0 }
const stringify = JSON.stringify
JSON.stringify = function (...args) {
  const text = stringify.apply(this, args)
  if (text?.length > LARGE) work.stringify++
  return text
}
const createHash = crypto.createHash
crypto.createHash = function (name, ...rest) {
  const hash = createHash.call(this, name, ...rest)
  const update = hash.update
  hash.update = function (data, ...encoding) {
    if (name === 'sha1' && data.length > LARGE) work.sha1++
    return update.call(this, data, ...encoding)
  }
  return hash
}

const warnings = []
for (const level of ['warn', 'error']) console[level] = (...args) => warnings.push(args.join(' '))
process.on('warning', (warning) => warnings.push(String(warning)))

passport.serializeUser((user, done) => done(null, user.id))
passport.deserializeUser((id, done) => done(null, { id }))

let control, records, app
const gates = new Map()

function gate(name) {
  if (!gates.has(name)) {
    const it = { waiting: 0, arrivals: [] }
    it.opened = new Promise((open) => { it.open = open })
    gates.set(name, it)
  }
  return gates.get(name)
}

function pass(name) {
  const it = gate(name)
  it.waiting++
  for (const arrival of it.arrivals) arrival()
  return it.opened
}

async function arrived(name, count) {
  const it = gate(name)
  while (it.waiting < count) await new Promise((ok) => it.arrivals.push(ok))
}

const MemoryStore = memorystore(session)
const STORES = {
  memory: () => new session.MemoryStore(),
  memorystore: () => new MemoryStore({}),
}

function configure({ store = 'memory', keepRecords = false, withPassport = false, layers = [{}] }) {
  gates.clear()
  warnings.length = 0
  control = new Control()
  if (!keepRecords) records = STORES[store]?.()
  const controlled = new ControlledStore(records, control)
  app = express()
  for (const { at = '/', storeTimeout, ...options } of layers) {
    app.use(at, store === 'cookie-session'
      ? cookieSession({ name: 'session', secret: 'interop secret', ...options.cookie })
      : session({ secret: 'interop secret', resave: false, saveUninitialized: false, ...options, store: controlled }))
  }
  if (withPassport) app.use(passport.session())
  const router = routes(withPassport ? passportLogin : plainLogin)
  app.use('/', router)
  app.use('/:prefix', router)
}

const plainLogin = {
  login(req, res, next) {
    req.session.regenerate((error) => {
      if (error) next(error) // without `return`, as in express-session's own README
      req.session.user = req.query.user
      res.redirect(303, '/read?key=user')
    })
  },
  logout(req, res, next) {
    req.session.destroy((error) => (error ? next(error) : res.json({})))
  },
}

const passportLogin = {
  login(req, res, next) {
    req.login({ id: req.query.user }, (error) => (error ? next(error) : res.redirect(303, '/whoami')))
  },
  logout(req, res, next) {
    req.logout((error) => (error ? next(error) : res.json({})))
  },
}

function routes({ login, logout }) {
  const router = express.Router()
  router.get('/plain', (req, res) => res.json({}))
  router.get('/read', (req, res) => {
    const keys = [].concat(req.query.key)
    res.json(Object.fromEntries(keys.map((key) => [key, req.session?.[key] ?? null])))
  })
  router.get('/whoami', (req, res) => res.json({ user: req.user?.id ?? null }))
  router.post('/login', login)
  router.post('/logout', logout)
  router.post('/set', (req, res) => {
    req.session[req.query.key] = req.query.value
    res.json({})
  })
  router.post('/fill', (req, res) => {
    req.session[req.query.key] = 'x'.repeat(req.query.bytes)
    res.json({})
  })
  router.post('/cart', (req, res) => {
    req.session.cart = Array.from({ length: req.query.items }, (_, id) => ({ id, name: 'a thing to buy', price: 9.99 }))
    res.json({})
  })
  router.post('/increment', (req, res) => {
    const key = req.query.key
    req.session[key] = (req.session[key] ?? 0) + 1
    res.json({})
  })
  router.post('/slow', async (req, res) => {
    await pass(req.query.gate)
    if (req.query.key) req.session[req.query.key] = req.query.value
    res.json({})
  })
  router.post('/stream', async (req, res) => {
    const set = () => { req.session[req.query.key] = req.query.value }
    if (req.query.change === 'early') set()
    res.write('first\n')
    await pass(req.query.gate)
    if (req.query.change === 'late') set()
    res.end('last\n')
  })
  router.post('/unserialisable', (req, res) => {
    let refused = false
    try {
      req.session.value = 1n
    } catch {
      refused = true
    }
    res.json({ refused })
  })
  return router
}

function body(req) {
  return new Promise((ok, fail) => {
    const chunks = []
    req.on('data', (chunk) => chunks.push(chunk)).on('end', () => ok(Buffer.concat(chunks).toString())).on('error', fail)
  })
}

const controls = {
  async 'POST /-/configure'(req) {
    configure(JSON.parse(await body(req)))
  },
  async 'POST /-/store'(req) {
    control.change(JSON.parse(await body(req)))
  },
  'GET /-/store': () => ({ records: Object.keys(records.sessions ?? {}).length, started: control.started }),
  async 'PUT /-/record'(req, query) {
    const text = await body(req)
    records.sessions[query.get('id')] = text.replace('<fill>', () => 'x'.repeat(query.get('fill')))
  },
  'POST /-/clock': (req, query) => advance(Number(query.get('advance'))),
  'GET /-/gate': (req, query) => arrived(query.get('name'), Number(query.get('waiting'))),
  'POST /-/gate': (req, query) => gate(query.get('name')).open(),
  'GET /-/warnings': () => warnings,
  'GET /-/work': () => ({ ...work }),
}

const server = http.createServer(async (req, res) => {
  const url = new URL(req.url, 'http://localhost')
  if (!url.pathname.startsWith('/-/')) return app(req, res)
  const answer = await controls[`${req.method} ${url.pathname}`](req, url.searchParams)
  res.setHeader('content-type', 'application/json')
  res.end(stringify(answer ?? {}))
})

server.listen(0, '127.0.0.1', () => process.stdout.write(`http://127.0.0.1:${server.address().port}\n`))
process.stdin.resume().on('end', () => process.exit())
