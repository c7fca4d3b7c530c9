// A browser's side of cookies, without a browser.

/** A visitor whose cookies follow RFC 6265: by name and path, until they expire. */
export class Browser {
  cookies = new Map()

  constructor(server) {
    this.server = server
  }

  async send(method, target, options = {}) {
    const answer = await this.server.send(method, target, { cookie: this.header(target), ...options })
    for (const line of answer.setCookie) this.#keep(line)
    return answer
  }

  async post(target, options) {
    const answer = await this.send('POST', target, options)
    await answer.text()
    return answer
  }

  /** Reads session values with `GET /read`; `null` if the server does not answer with them. */
  async read(...keys) {
    const answer = await this.send('GET', `/read?${keys.map((key) => `key=${key}`).join('&')}`)
    const text = await answer.text()
    return answer.status === 200 ? JSON.parse(text) : null
  }

  /** The Cookie header for `target`, in whatever state the jar is now. */
  header(target = '/') {
    const { pathname } = new URL(target, this.server.base)
    const sent = [...this.cookies].filter(([, cookie]) => cookie.expires > this.server.now && matches(pathname, cookie.path))
    return sent.map(([name, cookie]) => `${name}=${cookie.value}`).join('; ')
  }

  /** The id inside the first signed cookie. */
  id() {
    const [cookie] = this.cookies.values()
    return decodeURIComponent(cookie.value).replace(/^s:/, '').replace(/\.[^.]*$/, '')
  }

  #keep(line) {
    const { name, value, attributes } = parseSetCookie(line)
    if (attributes.secure !== undefined) return // every request here is plain HTTP
    let expires = Infinity
    if (attributes.expires) expires = Date.parse(attributes.expires)
    if (attributes['max-age']) expires = this.server.now + attributes['max-age'] * 1000
    this.cookies.set(name, { value, path: attributes.path ?? '/', expires })
  }
}

/** Splits a Set-Cookie header into name, value and lower-cased attributes. */
export function parseSetCookie(line) {
  const [pair, ...rest] = line.split('; ')
  const [name, value] = cut(pair)
  return { name, value, attributes: Object.fromEntries(rest.map(cut).map(([key, text]) => [key.toLowerCase(), text])) }
}

function cut(pair) {
  const at = pair.indexOf('=')
  return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)]
}

function matches(pathname, path) {
  return pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`)
}
