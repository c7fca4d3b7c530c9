// The longest time between two turns of the event loop, in milliseconds, while expired sessions go:
// node stall.mjs <sessions>
import { fill, MemoryStore } from "./sessions.mjs";

const store = new MemoryStore();
fill(store, Number(process.argv[2]), "2001-01-01T00:00:00.000Z");

let longest = 0;
let last = performance.now();
let done = false;
const turn = () => {
  const now = performance.now();
  longest = Math.max(longest, now - last);
  last = now;
  done ? console.log(longest) : setImmediate(turn);
};
setImmediate(turn);
// It removes what has expired when it is asked for all.
setTimeout(() => store.length(() => setTimeout(() => (done = true), 50)), 50);
