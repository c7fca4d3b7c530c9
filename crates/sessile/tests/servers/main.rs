//! Stores on real servers: what they cost, and what happens when the server does not.
//!
//! The browser and the application are those of the other tests.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test, where it stands")]

#[allow(dead_code, reason = "the other tests do more with it")]
#[path = "../it/client.rs"]
mod client;
#[cfg(feature = "memcached")]
mod memcached;
#[cfg(feature = "mongodb")]
mod mongodb;
#[cfg(feature = "mysql")]
mod mysql;
#[allow(
    dead_code,
    unused_macros,
    unused_imports,
    reason = "each store that has a server is a feature"
)]
mod outage;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[allow(dead_code, reason = "each store that has a server is a feature")]
mod trips;
