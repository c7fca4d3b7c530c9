// Express with connect-pg-simple: node postgres.mjs <url>
import session from "express-session";
import connect from "connect-pg-simple";
import pg from "pg";
import { serve } from "./app.mjs";

const pool = new pg.Pool({ connectionString: process.argv[2], max: 16 });
const Store = connect(session);
serve(new Store({ pool }));
