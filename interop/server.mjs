// A server under test: a child process, what may be done to it, and a client that sees headers before bodies.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Browser } from './browser.mjs'

const HERE = path.dirname(fileURLToPath(import.meta.url))
const START = Date.UTC(2030, 0, 1) // where both servers' clocks stand at first
const PATIENCE = 10_000

const COMMANDS = {
  express: () => [process.execPath, path.join(HERE, 'express-app.mjs')],
  sessile: () => [sessileServer()],
}

/** Where the Sessile server is; it is built if nobody says. */
export function sessileServer() {
  const given = process.env.INTEROP_SERVER
  if (given && !existsSync(given)) throw new Error(`INTEROP_SERVER names no file: ${given}`)
  return given || build('dev')
}

const built = new Map() // profile → where the server is; empty if it does not build

/** Builds the Sessile server, once, and returns where it is. */
export function build(profile) {
  if (!built.has(profile)) built.set(profile, cargoBuild(profile))
  if (!built.get(profile)) throw new Error('cargo could not build interop-server')
  return built.get(profile)
}

function cargoBuild(profile) {
  const cargo = spawnSync('cargo', ['build', '-p', 'interop-server', '--profile', profile, '--message-format=json-render-diagnostics'], {
    cwd: HERE,
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 28,
  })
  if (cargo.status !== 0) return undefined
  const messages = cargo.stdout.toString().split('\n').filter(Boolean).map((line) => JSON.parse(line))
  return messages.find((message) => message.target?.name === 'interop-server' && message.executable)?.executable
}

export class Server {
  static async start(name) {
    const server = new Server(name)
    await server.restart()
    return server
  }

  constructor(name) {
    this.name = name
  }

  /** Starts the server, anew if it died: nothing of it is left. */
  async restart() {
    const [command, ...args] = COMMANDS[this.name]()
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'] })
    this.base = await new Promise((ok, fail) => {
      child.once('error', fail)
      child.once('exit', (code) => fail(new Error(`the ${this.name} server left with ${code}`)))
      child.stdout.once('data', (line) => ok(line.toString().trim()))
    })
    child.removeAllListeners('exit')
    this.child = child
    this.now = START
    this.agent = new http.Agent({ keepAlive: true })
  }

  stop() {
    this.agent.destroy()
    this.child.kill()
  }

  /** Whether the process is no more. */
  async died() {
    const answer = await this.send('GET', '/-/warnings')
    await answer.text()
    return answer.status === 0
  }

  /**
   * Sends one request and returns as soon as the headers are there. `status` is 0 when the server hung up or
   * did not answer within `timeout`; `text()` waits for the body.
   */
  send(method, target, { cookie, headers = {}, body, timeout = PATIENCE } = {}) {
    return new Promise((ok) => {
      const none = { status: 0, headers: {}, setCookie: [], text: async () => '' }
      const all = cookie ? { ...headers, cookie } : headers
      const request = http.request(this.base + target, { method, headers: all, agent: this.agent }, (response) => {
        const text = read(response).finally(() => clearTimeout(timer))
        ok({
          status: response.statusCode,
          headers: response.headers,
          setCookie: response.headers['set-cookie'] ?? [],
          text: () => text,
        })
      })
      const timer = setTimeout(() => request.destroy(), timeout)
      request.on('error', () => {
        clearTimeout(timer)
        ok(none)
      })
      request.end(body)
    })
  }

  async #control(method, target, body) {
    const answer = await this.send(method, target, { body: typeof body === 'object' ? JSON.stringify(body) : body })
    const text = await answer.text()
    if (answer.status !== 200) throw new Error(`${method} ${target}: ${answer.status} ${text}`)
    return JSON.parse(text)
  }

  configure(options) {
    return this.#control('POST', '/-/configure', options)
  }

  /**
   * Sets all that goes wrong with the store from now on: `{ latency: { kind: ms }, fail: [kind], hang: [kind] }`;
   * the kinds are read, write, touch, destroy. `{}` lets held operations go on.
   */
  store(faults) {
    return this.#control('POST', '/-/store', faults)
  }

  async records() {
    return (await this.#control('GET', '/-/store')).records
  }

  async started(kind) {
    return (await this.#control('GET', '/-/store')).started[kind]
  }

  /** Puts `text` into the store under `id`; `<fill>` in it stands for that many bytes. */
  plant(id, text, fill = 0) {
    return this.#control('PUT', `/-/record?id=${encodeURIComponent(id)}&fill=${fill}`, text)
  }

  advance(milliseconds) {
    this.now += milliseconds
    return this.#control('POST', `/-/clock?advance=${milliseconds}`)
  }

  /** Waits until `waiting` requests stand at the gate `name`. */
  arrived(name, waiting = 1) {
    return this.#control('GET', `/-/gate?name=${name}&waiting=${waiting}`)
  }

  open(name) {
    return this.#control('POST', `/-/gate?name=${name}`)
  }

  warnings() {
    return this.#control('GET', '/-/warnings')
  }

  work() {
    return this.#control('GET', '/-/work')
  }

  /** Milliseconds of processor time the server has used, all threads together (Linux). */
  cpu() {
    const tasks = `/proc/${this.child.pid}/task`
    const nanoseconds = readdirSync(tasks).map((task) => Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]))
    return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e6
  }

  browser() {
    return new Browser(this)
  }
}

function read(response) {
  return new Promise((ok) => {
    let text = ''
    response.setEncoding('utf8')
    response.on('data', (chunk) => { text += chunk }).on('end', () => ok(text)).on('error', () => ok(text))
  })
}
