// Stands between express-session and a store: delays, fails or holds operations on cue.
import session from 'express-session'

const OPERATIONS = { get: 'read', set: 'write', touch: 'touch', destroy: 'destroy' }

export class Control {
  latency = {} // kind → milliseconds
  fail = new Set() // kinds
  hang = new Set() // kinds
  held = [] // [kind, what to do when it may go on]
  started = { read: 0, write: 0, touch: 0, destroy: 0 }

  change({ latency = {}, fail = [], hang = [] }) {
    this.latency = latency
    this.fail = new Set(fail)
    this.hang = new Set(hang)
    const held = this.held
    this.held = []
    for (const [kind, go] of held) this.#start(kind, go)
  }

  run(kind, operation, callback = () => {}) {
    this.started[kind]++
    this.#start(kind, () => {
      if (this.fail.has(kind)) setImmediate(callback, new Error(`the store failed to ${kind}`))
      else if (kind in this.latency) setTimeout(operation, this.latency[kind])
      else operation()
    })
  }

  #start(kind, go) {
    if (this.hang.has(kind)) this.held.push([kind, go])
    else go()
  }
}

export class ControlledStore extends session.Store {
  constructor(inner, control) {
    super()
    this.inner = inner
    for (const [method, kind] of Object.entries(OPERATIONS)) {
      this[method] = (...args) => {
        const callback = typeof args.at(-1) === 'function' ? args.pop() : undefined
        control.run(kind, () => inner[method](...args, callback), callback)
      }
    }
  }
}
