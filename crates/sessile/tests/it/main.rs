//! What Sessile promises, tried through the real layer: a module for each promise.
//!
//! A test's name is the promise. Nobody sleeps: gates hold what must wait, and
//! clocks are moved. Promises that hold over every store are tried over every store.

#![allow(clippy::future_not_send, reason = "a test watches the events of its own thread")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test, where it stands")]

#[macro_use]
mod stage;
mod client;
mod watch;

mod at_once;
mod bad_data;
mod compatibility;
mod cookie;
mod dead;
mod durable;
mod examples;
mod expiry;
mod extract;
mod frugal;
mod identity;
mod interleaving;
mod operations;
mod outage;
mod parallel;
#[cfg(feature = "sqlite")]
mod prompt;
mod recycled;
mod secrecy;
mod session;
mod tcp;
mod tower_stack;
mod unset;
mod verbs;
