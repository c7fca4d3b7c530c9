// Debian's Chromium, offline: it looks for nothing outside this machine.
import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'

const QUIET = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
]

export function launch() {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
  if (!existsSync(executablePath)) {
    throw new Error(`there is no Chromium at ${executablePath}: install Debian's package chromium, or say where one is with CHROMIUM=…`)
  }
  // Playwright turns off the cache behind the back button; people have it.
  return chromium.launch({ executablePath, args: QUIET, ignoreDefaultArgs: ['--disable-back-forward-cache'] })
}
