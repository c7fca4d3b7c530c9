// Express with connect-redis: node redis.mjs <url>
import { RedisStore } from "connect-redis";
import { createClient } from "redis";
import { serve } from "./app.mjs";

const client = await createClient({ url: process.argv[2] }).connect();
serve(new RedisStore({ client }));
