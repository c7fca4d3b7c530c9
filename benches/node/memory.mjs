// Bytes of memory per session in express-session's MemoryStore: node --expose-gc memory.mjs <sessions>
import { fill, MemoryStore } from "./sessions.mjs";

const sessions = Number(process.argv[2]);
const store = new MemoryStore();
const resident = () => (gc(), gc(), process.memoryUsage().rss);
const before = resident();
fill(store, sessions, "2099-01-01T00:00:00.000Z");
console.log((resident() - before) / sessions);
