// nginx in front of both applications, with the configuration that the documentation gives.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'

const CONFIGURATION = new URL('../../docs/moving-from-express/nginx.conf', import.meta.url)

export class Proxy {
  #dir = mkdtempSync(path.join(tmpdir(), 'sessile-nginx-'))
  #nginx
  #text

  /** Starts nginx between a visitor and the applications. */
  static async start({ express, sessile }) {
    const proxy = new Proxy()
    const port = await freePort()
    proxy.base = `http://127.0.0.1:${port}`
    let text = readFileSync(CONFIGURATION, 'utf8')
    for (const [documented, here] of [
      ['127.0.0.1:3000', new URL(express).host],
      ['127.0.0.1:8080', new URL(sessile).host],
      ['127.0.0.1:8000', `127.0.0.1:${port}`],
    ]) {
      if (!text.includes(documented)) throw new Error(`nginx.conf does not name ${documented}`)
      text = text.replaceAll(documented, here)
    }
    proxy.#text = text
    proxy.#configure(text)
    proxy.#nginx = spawn('/usr/sbin/nginx', ['-p', proxy.#dir, '-c', 'nginx.conf', '-e', 'stderr'], { stdio: ['ignore', 'inherit', 'inherit'] })
    const left = new Promise((_, fail) => {
      proxy.#nginx.once('error', fail)
      proxy.#nginx.once('exit', (code) => fail(new Error(`nginx left with ${code}`)))
    })
    left.catch(() => {})
    await Promise.race([proxy.#answers(), left])
    return proxy
  }

  /** Moves `location` to `side`, as an administrator does: a new line and a reload. */
  async move(location, side) {
    this.#configure(this.#text.replace('# What has moved.', `location ${location} { proxy_pass http://${side}; add_header X-Side ${side}; }`))
    this.#nginx.kill('SIGHUP')
  }

  stop() {
    const left = new Promise((ok) => this.#nginx.once('exit', ok))
    this.#nginx.kill()
    return left.then(() => rmSync(this.#dir, { recursive: true, force: true }))
  }

  #configure(text) {
    writeFileSync(path.join(this.#dir, 'nginx.conf'), text)
  }

  async #answers() {
    for (;;) {
      const up = await fetch(this.base).then(() => true, () => false)
      if (up) return
    }
  }
}

async function freePort() {
  const server = createServer()
  await new Promise((ok) => server.listen(0, '127.0.0.1', ok))
  const { port } = server.address()
  await new Promise((ok) => server.close(ok))
  return port
}
