// What makes a file a scenario: declared once, run against any server, alone or for the whole table.
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Server } from './server.mjs'

export const SERVERS = ['express', 'sessile']

/** Declares a scenario; its file, run as a script, prints what the named servers did (`express` if none is named). */
export async function scenario(meta, definition) {
  if (process.argv[1] === fileURLToPath(meta.url)) {
    const names = process.argv.slice(2)
    for (const name of names.length ? names : ['express']) {
      console.log(JSON.stringify({ [name]: await measure(definition, name) }))
    }
  }
  return definition
}

/** Loads every scenario, in the order of their numbers. */
export async function scenarios() {
  const files = readdirSync(new URL('scenarios', import.meta.url)).filter((file) => file.endsWith('.mjs')).sort()
  return Promise.all(files.map(async (file) => (await import(`./scenarios/${file}`)).default))
}

/** Runs `definition` against a server of its own and returns what it measured. */
export async function measure(definition, name) {
  const server = await Server.start(name)
  try {
    return await definition.run(server)
  } finally {
    server.stop()
  }
}

/** Compares a measured value with the expected one, which may be a function of it. */
export function meets(value, expected) {
  return typeof expected === 'function' ? expected(value) : value === expected
}

/** Runs `task` for 0..count, at most `abreast` at a time, and returns the results in order. */
export async function times(count, abreast, task) {
  const results = []
  let next = 0
  const worker = async () => {
    while (next < count) {
      const index = next++
      results[index] = await task(index)
    }
  }
  await Promise.all(Array.from({ length: abreast }, worker))
  return results
}

/** How many of `values` are true. */
export function count(values) {
  return values.filter(Boolean).length
}
