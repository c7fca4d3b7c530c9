//! The PostgreSQL store, in each layout.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libtest_mimic::Trial;
use sessile::stores::{PostgresBuilder, PostgresLayout, PostgresStore};
use sessile_testkit::server::{self, Server};
use sessile_testkit::{Subject, TestClock, suite};

use crate::Store;

pub(crate) const STORES: &[Store] = &[
    ("postgres", 49, simple),
    ("postgres_columns", 49, columns),
    ("postgres_knex", 49, knex),
    ("postgres_two_handles", 49, two_handles),
];

/// As long as Node's stores keep a session whose cookie has no expiry.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// `connect-pg-simple` counts whole seconds.
const SECOND: Duration = Duration::from_secs(1);

fn url() -> &'static str {
    static OURS: LazyLock<Server> =
        LazyLock::new(|| server::postgres().expect("PostgreSQL starts"));
    static URL: LazyLock<String> =
        LazyLock::new(|| server::existing("postgres").unwrap_or_else(|| OURS.url().to_owned()));
    &URL
}

/// A name that no other trial has.
fn table() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("session {} {}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn builder(table: &str, layout: PostgresLayout, clock: &TestClock) -> PostgresBuilder {
    let builder = PostgresStore::builder(url()).with_layout(layout).with_table(table);
    builder.with_clock(Arc::new(clock.clone()))
}

async fn open(table: &str, layout: PostgresLayout, clock: &TestClock) -> PostgresStore {
    builder(table, layout, clock).connect().await.expect("a table of its own opens")
}

fn simple(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let clock = TestClock::new();
        let store = open(&table(), PostgresLayout::ConnectPgSimple, &clock).await;
        Subject::new(store)
            .with_default_lifetime(DEFAULT_LIFETIME)
            .with_precision(SECOND)
            .with_clock(clock)
    })
}

/// knex's option `sidFieldName`.
fn columns(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let clock = TestClock::new();
        let builder = builder(&table(), PostgresLayout::ConnectSessionKnex, &clock);
        let store = builder.with_id_column("user").connect().await;
        Subject::new(store.expect("a table of its own opens"))
            .with_default_lifetime(DEFAULT_LIFETIME)
            .with_clock(clock)
    })
}

fn knex(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let clock = TestClock::new();
        let store = open(&table(), PostgresLayout::ConnectSessionKnex, &clock).await;
        Subject::new(store).with_default_lifetime(DEFAULT_LIFETIME).with_clock(clock)
    })
}

/// Two pools, as two processes have.
fn two_handles(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let (table, clock) = (table(), TestClock::new());
        let store = open(&table, PostgresLayout::ConnectPgSimple, &clock).await;
        let other = open(&table, PostgresLayout::ConnectPgSimple, &clock).await;
        Subject::new(store)
            .with_other_handle(other)
            .with_default_lifetime(DEFAULT_LIFETIME)
            .with_precision(SECOND)
            .with_clock(clock)
    })
}
