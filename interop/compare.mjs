// Prints the comparison of README.md, measured now. `--write` keeps it as RESULTS.md, `--json` prints the numbers alone.
import { readFileSync, writeFileSync } from 'node:fs'
import { measure, scenarios, SERVERS } from './harness.mjs'
import { build } from './server.mjs'

const version = (name) => JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version
const COLUMNS = { express: `Express ${version('express')}, express-session ${version('express-session')}`, sessile: 'Sessile' }

const flags = process.argv.slice(2).filter((argument) => argument.startsWith('--'))
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const servers = wanted.length ? wanted : SERVERS

if (servers.includes('sessile')) process.env.INTEROP_SERVER ||= build('release') // as its users run it

const results = []
for (const definition of await scenarios()) {
  const measured = {}
  for (const name of servers) measured[name] = await measure(definition, name)
  results.push({ definition, measured })
}

if (flags.includes('--json')) {
  console.log(JSON.stringify(Object.fromEntries(results.map(({ definition, measured }) => [definition.number, measured])), null, 2))
} else {
  console.log(table())
}
if (flags.includes('--write')) {
  writeFileSync(new URL('RESULTS.md', import.meta.url), `# What Express and Sessile really do

Written by \`node compare.mjs --write\` on Node ${process.version}; do not edit. The numbers after "lost logins", "lost writes" and
"processor time" differ a little from run to run, the others do not. README.md says what each row tries.

${table()}
`)
}

function table() {
  const lines = [row(['', 'What was tried, what was counted', ...servers.map((name) => COLUMNS[name])]), row(['---', '---', ...servers.map(() => '---:')])]
  for (const { definition, measured } of results) {
    lines.push(row([definition.number, `**${definition.title}**`, ...servers.map(() => '')]))
    for (const [key, words] of Object.entries(definition.rows)) {
      lines.push(row(['', words, ...servers.map((name) => measured[name][key] ?? '–')]))
    }
  }
  return lines.join('\n')
}

function row(cells) {
  return `| ${cells.join(' | ')} |`
}
