// A clock that stands still until it is moved. Import it before anything that asks for the time.
const RealDate = Date
let now = RealDate.UTC(2030, 0, 1)

globalThis.Date = class Date extends RealDate {
  constructor(...args) {
    super(...(args.length ? args : [now]))
  }

  static now() {
    return now
  }
}

export function advance(milliseconds) {
  now += milliseconds
}
