// The application of the benchmarks with express-session over any store.
import express from "express";
import session from "express-session";

const DAY = 86400000;

/** Serves it on a free port, and prints that. */
export function serve(store) {
  const app = express();
  app.use(
    session({
      store,
      secret: "sixty-four bytes that nobody knows, as some want no fewer of them",
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: DAY, sameSite: "lax" },
    }),
  );
  app.get("/seed", (req, res) => {
    Object.assign(req.session, {
      userID: 471100,
      username: "marlene_42.abcd",
      views: 12,
      locale: "en-GB",
      cart: [1717, 2323],
    });
    res.send("ok");
  });
  app.get("/read", (req, res) => res.send(req.session.username));
  app.get("/count", (req, res) => res.send(String(++req.session.views)));
  const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
  server.keepAliveTimeout = 0; // its turn may be long in coming
}
