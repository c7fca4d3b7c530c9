// The application that Express and Sessile serve together, on Express: `server/src/shared.rs` is its twin.
import http from 'node:http'
import express from 'express'
import session from 'express-session'

const SECRET = 'what Express and Sessile both sign with'
export const MAX_AGE = 3_600_000

/** Serves the application on `store`; returns where, and how to end it. */
export async function serve(store) {
  const app = express()
  app.use(express.text({ type: '*/*', limit: '4mb' }))
  app.use(session({ secret: SECRET, resave: false, saveUninitialized: false, cookie: { maxAge: MAX_AGE }, store }))
  app.get('/value/:key', (req, res) => {
    const value = req.session[req.params.key]
    return value === undefined ? res.sendStatus(404) : res.type('json').send(JSON.stringify(value))
  })
  app.put('/value/:key', (req, res) => {
    req.session[req.params.key] = JSON.parse(req.body)
    save(req, res)
  })
  app.get('/whoami', (req, res) => res.json(req.session.user ?? null))
  app.post('/login/:name', (req, res, next) => {
    req.session.regenerate((error) => {
      if (error) return next(error)
      req.session.user = req.params.name
      save(req, res)
    })
  })
  app.post('/logout', (req, res, next) => req.session.destroy((error) => (error ? next(error) : res.status(204).end())))
  app.use((error, req, res, next) => res.status(500).send(String(error.stack ?? error))) // eslint-disable-line no-unused-vars

  const server = http.createServer(app)
  await new Promise((ok) => server.listen(0, '127.0.0.1', ok))
  const close = () => new Promise((ok) => (server.close(ok), server.closeAllConnections()))
  return { base: `http://127.0.0.1:${server.address().port}`, close }
}

// Waits for the store, as Sessile does; or the next request may come too early.
function save(req, res) {
  req.session.save((error) => (error ? res.status(500).send(String(error)) : res.status(204).end()))
}
