//! Server-side HTTP sessions that speak the formats of Express's
//! `express-session`, and lose nothing.
//!
//! ```
//! # #[cfg(all(feature = "axum", feature = "memory"))]
//! # fn main() -> Result<(), sessile::Error> {
//! use axum::{Router, routing::get};
//! use sessile::{Error, Secrets, Session, SessionLayer, stores::MemoryStore};
//!
//! async fn index(session: Session) -> Result<String, Error> {
//!     let username: Option<String> = session.get("username")?;
//!     session.update("views", |n: Option<u64>| n.unwrap_or(0) + 1)?;
//!     Ok(format!("Hello {}", username.as_deref().unwrap_or("stranger")))
//! }
//!
//! let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
//! let sessions = SessionLayer::new(MemoryStore::new(), secrets);
//! let app: Router = Router::new().route("/", get(index)).layer(sessions);
//! # let _ = app;
//! # Ok(()) }
//! # #[cfg(not(all(feature = "axum", feature = "memory")))]
//! # fn main() {}
//! ```
//!
//! # The four nouns
//!
//! - A [`Session`] is what a handler holds: loaded, cheap to clone, read and
//!   written without waiting. What changed is stored before the response leaves.
//! - The cookie is a signed ticket. [`CookieOptions`] are its attributes,
//!   [`Secrets`] sign it; each session carries a [copy](SessionCookie) of its own.
//! - A [`SessionId`] names a session. Whoever holds it holds the session, so it never prints.
//! - A [store](stores) is where records live. Any [`SessionStore`] will do.
//!
//! # What it promises
//!
//! - **Durable before visible.** No byte of a response leaves before the store
//!   has acknowledged the session. If it does not, the client gets an error.
//! - **The dead stay dead.** A destroyed session is never written again, however
//!   slow a request was.
//! - **Nothing lost between parallel requests.** Changes are merged by key, and
//!   [`Session::update`] is exact.
//! - **Express reads it.** Cookie, signature and record are Express's, to the byte.
//!
//! # What it does not do
//!
//! It does not encrypt records in the store, authenticate anybody, or protect
//! forms against forgery beyond `SameSite`.
//!
//! # Guides
//!
//! - [`docs::cookies`]: attributes, proxies, prefixes, expiry
//! - [`docs::defaults`]: why each default is what it is
//! - [`docs::express`]: coming from express-session, or running beside it
//! - [`docs::attacks`]: known attacks, and what stops them
//!
//! # Features
//!
//! | feature | what it adds | default? |
//! |---|---|---|
//! | `axum` | the extractors [`Session`], `Option<Session>`, [`SessionHandle`], [`Typed`] | yes |
//! | `memory` | `stores::MemoryStore` | yes |
//! | `file` | `stores::FileStore` | |
//! | `memcached` | `stores::MemcachedStore` | |
//! | `mongodb` | `stores::MongoStore`, with TLS | |
//! | `mysql` | `stores::MysqlStore`, over mysql_async; also for MariaDB | |
//! | `mysql-tls` | … over TLS | |
//! | `postgres` | `stores::PostgresStore`, over tokio-postgres | |
//! | `postgres-tls` | … over TLS | |
//! | `redis` | `stores::RedisStore`, also with Sentinel and Cluster | |
//! | `redis-tls` | `rediss://`, over rustls | |
//! | `sqlite` | `stores::SqliteStore`, with SQLite built in | |
//! | `metrics` | counters through the [`metrics`](https://docs.rs/metrics) facade | |
//! | `full` | all of them | |
//!
//! A feature adds names. It never changes what compiled code does.

#[cfg(any(doc, doctest))]
pub mod docs;
mod future;
mod layer;
mod service;
pub mod stores;

pub use future::ResponseFuture;
pub use layer::SessionLayer;
pub use service::SessionService;
#[doc(inline)]
pub use sessile_core::*;

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[cfg(all(feature = "axum", feature = "sqlite"))]
struct Readme;
