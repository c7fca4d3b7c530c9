//! The MySQL store, on MariaDB, in each layout.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libtest_mimic::Trial;
use sessile::stores::{MysqlBuilder, MysqlLayout, MysqlStore};
use sessile_testkit::server::{self, Server};
use sessile_testkit::{Subject, TestClock, suite};

use crate::Store;

pub(crate) const STORES: &[Store] = &[
    ("mysql", 49, express),
    ("mysql_columns", 49, columns),
    ("mysql_knex", 49, knex),
    ("mysql_two_handles", 49, two_handles),
];

/// As long as Node's stores keep a session whose cookie has no expiry.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Both tables count whole seconds.
const SECOND: Duration = Duration::from_secs(1);

fn url() -> &'static str {
    static OURS: LazyLock<Server> = LazyLock::new(|| server::mariadb().expect("MariaDB starts"));
    static URL: LazyLock<String> =
        LazyLock::new(|| server::existing("mysql").unwrap_or_else(|| OURS.url().to_owned()));
    &URL
}

/// A name that no other trial has.
fn table() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("session {} {}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn builder(table: &str, layout: MysqlLayout, clock: &TestClock) -> MysqlBuilder {
    let builder = MysqlStore::builder(url()).with_layout(layout).with_table(table);
    builder.with_clock(Arc::new(clock.clone()))
}

async fn open(table: &str, layout: MysqlLayout, clock: &TestClock) -> MysqlStore {
    builder(table, layout, clock).connect().await.expect("a table of its own opens")
}

fn express(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let clock = TestClock::new();
        let store = open(&table(), MysqlLayout::ExpressMysqlSession, &clock).await;
        Subject::new(store)
            .with_default_lifetime(DEFAULT_LIFETIME)
            .with_precision(SECOND)
            .with_clock(clock)
    })
}

/// Node's option `schema.columnNames`.
fn columns(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let clock = TestClock::new();
        let builder = builder(&table(), MysqlLayout::ExpressMysqlSession, &clock)
            .with_id_column("key")
            .with_record_column("the body")
            .with_expiry_column("valid_until");
        Subject::new(builder.connect().await.expect("a table of its own opens"))
            .with_default_lifetime(DEFAULT_LIFETIME)
            .with_precision(SECOND)
            .with_clock(clock)
    })
}

fn knex(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let clock = TestClock::new();
        let store = open(&table(), MysqlLayout::ConnectSessionKnex, &clock).await;
        Subject::new(store)
            .with_default_lifetime(DEFAULT_LIFETIME)
            .with_precision(SECOND)
            .with_clock(clock)
    })
}

/// Two pools, as two processes have.
fn two_handles(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let (table, clock) = (table(), TestClock::new());
        let store = open(&table, MysqlLayout::ExpressMysqlSession, &clock).await;
        let other = open(&table, MysqlLayout::ExpressMysqlSession, &clock).await;
        Subject::new(store)
            .with_other_handle(other)
            .with_default_lifetime(DEFAULT_LIFETIME)
            .with_precision(SECOND)
            .with_clock(clock)
    })
}
