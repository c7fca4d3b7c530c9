// What people do with the site, in a browser that is as strict as theirs.
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { launch } from './browser.mjs'
import { Server } from './server.mjs'

const HOUR = 3600
const MONTH = 30 * 24 * HOUR

const server = new Server()
let browser, profile, page

before(async () => {
  browser = await launch()
  await server.start()
})

after(async () => {
  await browser?.close()
  await server.remove()
})

beforeEach(async () => {
  profile = await browser.newContext()
  page = await profile.newPage()
})

afterEach(() => profile.close())

async function logIn(page, name, { remember = false } = {}) {
  await page.goto(`${server.url}/login`)
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Remember me').setChecked(remember)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('heading', { name: `Hello, ${name}.` }).waitFor()
  await page.waitForLoadState()
}

async function logOut(page) {
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByRole('heading', { name: 'Hello, stranger.' }).waitFor()
  await page.waitForLoadState()
}

const heading = page => page.getByRole('heading', { level: 1 }).textContent()
const views = async page => Number(await page.locator('dt:text-is("Views") + dd').textContent())
const lifetime = page => page.locator('dt:text-is("Expires") + dd').textContent()

async function cookie() {
  const cookies = await profile.cookies()
  assert.ok(cookies.length <= 1, 'there is one cookie at most')
  return cookies[0]
}

function near(actual, expected) {
  assert.ok(Math.abs(actual - expected) < 60, `${actual} is about ${expected}`)
}

test('a stranger gets no cookie', async () => {
  await page.goto(server.url)
  assert.equal(await heading(page), 'Hello, stranger.')
  assert.equal(await cookie(), undefined)
})

test('who logs in is greeted by name on every page', async () => {
  await page.goto(server.url)
  await page.getByRole('main').getByRole('link', { name: 'Log in' }).click()
  await page.getByLabel('Name').fill('Ada')
  await page.keyboard.press('Enter')
  await page.waitForURL(`${server.url}/`)
  assert.equal(await heading(page), 'Hello, Ada.')
  const missing = await page.goto(`${server.url}/no/such/page`)
  assert.equal(missing.status(), 404)
  assert.match(await heading(page), /Ada/)
  await page.goto(`${server.url}/user/login`)
  assert.equal(page.url(), `${server.url}/`, 'who is logged in needs no form')
})

test('views are counted for each person', async () => {
  await logIn(page, 'Ada')
  assert.equal(await views(page), 1)
  await page.reload()
  await page.reload()
  assert.equal(await views(page), 3)
})

test('a second profile is somebody else', async () => {
  await logIn(page, 'Ada')
  const other = await browser.newContext()
  const otherPage = await other.newPage()
  await otherPage.goto(server.url)
  assert.equal(await heading(otherPage), 'Hello, stranger.')
  await logIn(otherPage, 'Grace')
  await page.reload()
  assert.equal(await heading(page), 'Hello, Ada.')
  await other.close()
})

test('two tabs are one person, and no view is lost between them', async () => {
  await logIn(page, 'Ada')
  const tab = await profile.newPage()
  await tab.goto(server.url)
  assert.equal(await heading(tab), 'Hello, Ada.')
  assert.equal(await views(tab), 2)
  const answers = await Promise.all(Array.from({ length: 20 }, () => profile.request.get(server.url)))
  assert.ok(answers.every(answer => answer.ok()))
  await tab.reload()
  assert.equal(await views(tab), 23)
  await logOut(page)
  await tab.reload()
  assert.equal(await heading(tab), 'Hello, stranger.')
})

test('the browser keeps the cookie as a session cookie ought to be', async () => {
  await logIn(page, 'Ada')
  const { expires, value, ...attributes } = await cookie()
  assert.deepEqual(attributes, { name: 'connect.sid', domain: 'localhost', path: '/', httpOnly: true, secure: false, sameSite: 'Lax' })
  assert.match(decodeURIComponent(value), /^s:[\w-]{32}\.[A-Za-z0-9+/]{43}$/)
  near(expires - Date.now() / 1000, HOUR)
  assert.equal(await lifetime(page), 'in 1 hour')
  assert.equal(await page.evaluate(() => document.cookie), '', 'no script sees it')
})

test('who asks to be remembered is, for 30 days', async () => {
  await logIn(page, 'Ada', { remember: true })
  assert.equal(await lifetime(page), 'in 30 days')
  near((await cookie()).expires - Date.now() / 1000, MONTH)
  await page.reload()
  near((await cookie()).expires - Date.now() / 1000, MONTH)
})

test('logging in again changes the ticket', async () => {
  await logIn(page, 'Ada')
  const first = await cookie()
  await logOut(page)
  await logIn(page, 'Ada')
  assert.notEqual((await cookie()).value, first.value)
})

test('logging out removes the cookie, and the ticket is worthless from then on', async () => {
  await logIn(page, 'Ada')
  const ticket = await cookie()
  await logOut(page)
  assert.equal(await cookie(), undefined)
  await profile.addCookies([ticket])
  await page.reload()
  assert.equal(await heading(page), 'Hello, stranger.')
})

test('the back button shows nobody after a logout', async () => {
  await logIn(page, 'Ada')
  await page.goto(`${server.url}/elsewhere`)
  await logOut(page)
  for (let step = 0; step < 2; step++) {
    await page.goBack()
    assert.doesNotMatch(await page.content(), /Ada/)
    assert.equal(await page.getByRole('button', { name: 'Log out' }).count(), 0)
  }
})

test('a restart of the server logs nobody out', async () => {
  await logIn(page, 'Ada')
  await server.stop()
  await server.start()
  await page.reload()
  assert.equal(await heading(page), 'Hello, Ada.')
  assert.equal(await views(page), 2)
})

test('a name of nothing is refused with a word that belongs to the field', async () => {
  await page.goto(`${server.url}/login`)
  await page.getByLabel('Name').fill('   ')
  await page.getByLabel('Remember me').check()
  await page.getByRole('button', { name: 'Log in' }).click()
  const field = page.getByLabel('Name')
  assert.equal(await field.getAttribute('aria-invalid'), 'true')
  const described = await field.getAttribute('aria-describedby')
  assert.equal(await page.locator(`#${described}`).textContent(), 'Enter a name.')
  assert.match(await page.title(), /^Error: /)
  assert.ok(await page.getByLabel('Remember me').isChecked(), 'what was chosen stays')
  assert.ok(await field.evaluate(input => input === document.activeElement), 'the field has the focus')
  assert.equal(await cookie(), undefined)
})

test('a name that is HTML stays a name', async () => {
  await logIn(page, '<b>"Ada" & co</b>')
  assert.equal(await page.locator('h1 b').count(), 0)
})

test('another site can neither log anybody in nor out', async () => {
  await logIn(page, 'Ada')
  for (const path of ['/logout', '/login']) {
    const stranger = await profile.newPage()
    // To a browser 127.0.0.1 is another site than localhost.
    await stranger.goto(`${server.url.replace('localhost', '127.0.0.1')}/style.css`)
    await stranger.setContent(`<form method="post" action="${server.url}${path}"><input name="username" value="Mallory"><button>Win</button></form>`)
    const [answer] = await Promise.all([stranger.waitForResponse(`${server.url}${path}`), stranger.getByRole('button').click()])
    assert.equal(answer.status(), 403)
    await stranger.close()
  }
  await page.reload()
  assert.equal(await heading(page), 'Hello, Ada.')
})

test('everything works without scripts', async () => {
  const plain = await browser.newContext({ javaScriptEnabled: false })
  const page = await plain.newPage()
  await logIn(page, 'Ada')
  await logOut(page)
  await plain.close()
})
