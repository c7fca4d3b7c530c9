// Looks at every page: light, dark and on a phone. The pictures land in screenshots/.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { after, before, test } from 'node:test'
import axe from 'axe-core'
import { launch } from './browser.mjs'
import { Server } from './server.mjs'

const pictures = new URL('screenshots/', import.meta.url).pathname
const looks = {
  light: { viewport: { width: 1120, height: 700 }, deviceScaleFactor: 2 },
  dark: { viewport: { width: 1120, height: 700 }, deviceScaleFactor: 2, colorScheme: 'dark' },
  narrow: { viewport: { width: 375, height: 760 }, deviceScaleFactor: 2 },
}

const server = new Server()
let browser

before(async () => {
  mkdirSync(pictures, { recursive: true })
  browser = await launch()
  await server.start()
})

after(async () => {
  await browser?.close()
  await server.remove()
})

const submit = async (page, name) => {
  await page.goto(`${server.url}/login`)
  await page.getByLabel('Name').fill(name)
  // A click returns before the page it leads to is there; a reload then would find none.
  const arrived = page.waitForEvent('load')
  await page.getByRole('button', { name: 'Log in' }).click()
  await arrived
}

const pages = {
  welcome: page => page.goto(server.url),
  login: page => page.goto(`${server.url}/login`),
  'login-error': page => submit(page, '  '),
  home: async page => {
    await submit(page, 'Ada')
    await page.reload()
    await page.reload()
  },
  'home-long-name': page => submit(page, 'Adolph Blaine Charles David Earl Frederick Gerald Hubert Irvin J'),
  'home-right-to-left': page => submit(page, 'עדה'),
  'not-found': page => page.goto(`${server.url}/no/such/page`),
  failure: page => page.goto(`${server.url}/logout`),
}

for (const [look, settings] of Object.entries(looks)) {
  for (const [name, open] of Object.entries(pages)) {
    test(`${name}, ${look}: accessible, within the screen, no complaint of the browser`, async () => {
      const profile = await browser.newContext(settings)
      const page = await profile.newPage()
      const complaints = []
      page.on('console', message => {
        const expected = /status of 4\d\d/.test(message.text())
        if (!expected) complaints.push(message.text())
      })
      await open(page)
      await page.screenshot({ path: `${pictures}${name}-${look}.png`, fullPage: true })
      await page.evaluate(axe.source)
      const { violations } = await page.evaluate(() => window.axe.run())
      assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(node => node.html)]), [])
      const { scrollWidth, clientWidth } = await page.evaluate(() => {
        const { scrollWidth, clientWidth } = document.documentElement
        return { scrollWidth, clientWidth }
      })
      assert.ok(scrollWidth <= clientWidth, `${scrollWidth} pixels wide on a screen of ${clientWidth}`)
      assert.deepEqual(complaints, [])
      await profile.close()
    })
  }
}
