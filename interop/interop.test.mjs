// Holds the table true: Express still shows each defect, Sessile shows none.
import assert from 'node:assert/strict'
import test from 'node:test'
import { measure, meets, scenarios, SERVERS } from './harness.mjs'

for (const definition of await scenarios()) {
  for (const name of SERVERS) {
    test(`${definition.number} ${name}: ${definition.title}`, async () => {
      const measured = await measure(definition, name)
      for (const [key, expected] of Object.entries(definition[name])) {
        assert.ok(meets(measured[key], expected), `${definition.rows[key]}: ${measured[key]}, not ${expected}`)
      }
    })
  }
}
