// Fills express-session's MemoryStore with the record of src/record.rs.
import { randomBytes } from "node:crypto";
import session from "express-session";

export const { MemoryStore } = session;

export function fill(store, sessions, expires) {
  for (let n = 0; n < sessions; n++) {
    store.set(randomBytes(24).toString("base64url"), {
      cookie: {
        originalMaxAge: 86400000,
        expires,
        secure: false,
        httpOnly: true,
        path: "/",
        sameSite: "lax",
      },
      userID: 471100,
      username: "marlene_42.abcd",
      views: 12,
      locale: "en-GB",
      cart: [1717, 2323],
    });
  }
}
