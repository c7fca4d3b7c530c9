//! What proves a session store for [Sessile](https://docs.rs/sessile).
//!
//! The conformance suite turns every promise in the docs of
//! [`SessionStore`](sessile_core::SessionStore) into a trial of the same name and
//! runs it over your store. `tests/stores.rs` in your crate, declared in
//! `Cargo.toml` with `harness = false`, is all it takes:
//!
//! ```
//! use sessile_testkit::{ReferenceStore, Subject, TestClock, suite};
//!
//! # fn arguments() -> libtest_mimic::Arguments {
//! #     libtest_mimic::Arguments::from_iter(["stores", "--quiet"])
//! # }
//! let trials = suite("reference", || async {
//!     let clock = TestClock::new();
//!     Subject::new(ReferenceStore::with_clock(clock.clone())).with_clock(clock)
//! });
//! assert_eq!(trials.len(), 49); // a suite that lost its trials proves nothing
//! libtest_mimic::run(&arguments(), trials).exit_if_failed(); // `Arguments::from_args()`
//! ```
//!
//! Beside it stand the tools that make races and outages repeatable, for tests of
//! stores and of whole applications:
//!
//! | tool | what it does |
//! |---|---|
//! | [`TestClock`] | stands still until it is moved |
//! | [`GateStore`] | stops an operation at a gate until the test opens it |
//! | [`FaultyStore`] | fails, hangs, delays or loses the answer on cue; counts every call |
//! | [`Browser`] | makes requests without a server and keeps its cookie |
//! | [`CountingIds`] | gives `sid-1`, `sid-2`, …, or the same id twice |
//! | `server` | starts real servers, kills and pauses them (feature `servers`) |
//! | [`ReferenceStore`] | keeps the contract in the plainest way: a model to read and to compare with |
//!
//! None of them sleeps to wait for something: a test says what happens when.

mod around;
mod browser;
mod clock;
mod faulty;
mod gate;
mod ids;
mod reference;
#[cfg(all(feature = "servers", unix))]
pub mod server;
mod suite;

pub use around::Op;
pub use browser::Browser;
pub use clock::TestClock;
pub use faulty::{Fault, FaultyStore};
pub use gate::{Gate, GateStore};
pub use ids::CountingIds;
pub use reference::ReferenceStore;
pub use suite::{Subject, contract, count, suite};
