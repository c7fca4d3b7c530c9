// Express and Sessile on one store, and a browser that visits either.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { sessileServer } from '../server.mjs'
import { folder } from './counterparts.mjs'
import { serve } from './express.mjs'

/** Starts `interop-server` with `args`; returns what it said and how to end it. */
async function child(...args) {
  const process = spawn(sessileServer(), args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const left = new Promise((ok) => process.once('exit', ok))
  const url = await new Promise((ok, fail) => {
    process.once('error', fail)
    process.once('exit', (code) => fail(new Error(`interop-server ${args.join(' ')} left with ${code}`)))
    process.stdout.once('data', (line) => ok(line.toString().trim()))
  })
  return { url, stop: () => (process.stdin.end(), left) }
}

/** Starts the server that a store needs. */
export const backend = (name) => (name === 'file' ? folder() : child('backend', name))

/** Both applications on the store at `url`. */
export async function peers(counterpart, url) {
  const { store, close } = await counterpart.open(url)
  const express = await serve(store)
  const closeExpress = async () => {
    await express.close()
    await close()
  }
  const layout = counterpart.layout ? [counterpart.layout] : []
  const sessile = await child('shared', url, ...layout).catch(async (error) => {
    await closeExpress()
    throw error
  })
  return {
    express: express.base,
    sessile: sessile.url,
    async stop() {
      await sessile.stop()
      await closeExpress()
    },
  }
}

/** A browser that has both applications behind one name, as a proxy gives it. */
export class Visitor {
  cookie

  async ask(base, method, path, body) {
    const headers = { connection: 'close', ...(this.cookie && { cookie: this.cookie }), ...(body !== undefined && { 'content-type': 'text/plain' }) }
    const response = await fetch(base + path, { method, headers, body, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) this.cookie = line.split(';')[0]
    const text = await response.text()
    assert.ok(response.status < 500, `${method} ${path}: ${response.status} ${text}`)
    return { status: response.status, text }
  }

  async login(base, name) {
    assert.equal((await this.ask(base, 'POST', `/login/${name}`)).status, 204)
  }

  async logout(base) {
    assert.equal((await this.ask(base, 'POST', '/logout')).status, 204)
  }

  async whoami(base) {
    return JSON.parse((await this.ask(base, 'GET', '/whoami')).text)
  }

  async set(base, key, json) {
    assert.equal((await this.ask(base, 'PUT', `/value/${key}`, json)).status, 204)
  }

  /** The value's JSON text, as that side writes it. */
  async get(base, key) {
    const { status, text } = await this.ask(base, 'GET', `/value/${key}`)
    return status === 404 ? undefined : text
  }

  /** The id inside the cookie. */
  get id() {
    return decodeURIComponent(this.cookie.split('=')[1]).slice(2).replace(/\.[^.]*$/, '')
  }
}

/** What the store has under `id`, as Sessile reads it: `{ text, expires }` or null. */
export async function record(sessile, id) {
  const response = await fetch(`${sessile}/-/record/${encodeURIComponent(id)}`)
  const text = await response.text()
  assert.equal(response.status, 200, text)
  return JSON.parse(text)
}

/** Stores `text` under `id`, as it is. */
export async function plant(sessile, id, text) {
  const response = await fetch(`${sessile}/-/record/${encodeURIComponent(id)}`, { method: 'PUT', body: text })
  assert.equal(response.status, 204, await response.text())
}

/** Moves the expiry beside the record, which keeps its text where Node's store does that. */
export async function touch(sessile, id, seconds) {
  const response = await fetch(`${sessile}/-/touch/${encodeURIComponent(id)}/${seconds}`, { method: 'POST' })
  assert.equal(response.status, 204, await response.text())
}
