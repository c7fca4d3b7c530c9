// Starts the login example as a process of its own, and ends it as an operator would.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { binary } from './binary.mjs'

export class Server {
  #folder = mkdtempSync(join(tmpdir(), 'login-'))
  #process
  #port = 0

  // Keeps its port, so that a restart has the same address.
  async start() {
    this.#process = spawn(binary, [], {
      cwd: this.#folder,
      env: { PORT: String(this.#port), DATABASE: 'sqlite://sessions.db', SESSION_SECRET: 'a secret of the browser tests, 32 bytes' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    for await (const line of createInterface(this.#process.stdout)) {
      const port = /listening on http:\/\/localhost:(\d+)/.exec(line)?.[1]
      if (port) {
        this.#port = Number(port)
        this.#process.stdout.resume()
        return
      }
    }
    throw new Error('the login example ended before it listened; its complaint stands above')
  }

  get url() {
    return `http://localhost:${this.#port}`
  }

  async stop() {
    const exit = once(this.#process, 'exit')
    this.#process.kill('SIGTERM')
    assert.deepEqual(await exit, [0, null], 'SIGTERM ends the server in order')
  }

  async remove() {
    const runs = this.#process && (this.#process.exitCode ?? this.#process.signalCode) === null
    if (runs) await this.stop()
    rmSync(this.#folder, { recursive: true })
  }
}
