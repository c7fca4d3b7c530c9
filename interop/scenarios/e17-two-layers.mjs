import { parseSetCookie } from '../browser.mjs'
import { scenario } from '../harness.mjs'

const LAYERS = [
  { at: '/shop', name: 'shop.sid', cookie: { maxAge: 60_000, sameSite: 'lax', httpOnly: true } },
  { at: '/widget', name: 'widget.sid', cookie: { maxAge: 3_600_000, sameSite: 'strict', httpOnly: false } },
]

export default await scenario(import.meta, {
  number: 'E17',
  title: 'Two layers with different cookies on one store',
  rows: { foreign: 'attributes of the shop\'s cookie taken from the widget, of 3' },
  express: { foreign: 3 },
  sessile: { foreign: 0 },
  async run(server) {
    await server.configure({ layers: LAYERS })
    const answer = await server.browser().post('/shop/set?key=color&value=red')
    const { attributes } = parseSetCookie(answer.setCookie[0])
    const foreign = [
      Date.parse(attributes.expires) !== server.now + 60_000,
      attributes.samesite.toLowerCase() !== 'lax',
      attributes.httponly === undefined,
    ]
    return { foreign: foreign.filter(Boolean).length }
  },
})
