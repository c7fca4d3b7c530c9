//! The SQLite store, in each layout and place.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use sessile::stores::{SqliteLayout, SqliteStore};
use sessile_testkit::{Subject, TestClock, suite};
use tempfile::TempDir;

use crate::Store;

pub(crate) const STORES: &[Store] = &[
    ("sqlite", 49, file),
    ("sqlite_better_sqlite3", 49, better_sqlite3),
    ("sqlite_in_memory", 49, in_memory),
    ("sqlite_two_handles", 49, two_handles),
];

/// As long as `connect-sqlite3` keeps a session whose cookie has no expiry.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(24 * 3600);

async fn open(url: &str, layout: SqliteLayout, clock: &TestClock) -> SqliteStore {
    let builder = SqliteStore::builder(url).with_layout(layout);
    let opened = builder.with_clock(Arc::new(clock.clone())).connect().await;
    opened.expect("a database of its own opens")
}

fn temporary() -> (TempDir, String) {
    let folder = TempDir::new().expect("there is room for a folder");
    let url = format!("sqlite://{}", folder.path().join("sessions.db").display());
    (folder, url)
}

async fn one_handle(url: &str, layout: SqliteLayout) -> Subject {
    let clock = TestClock::new();
    let store = open(url, layout, &clock).await;
    Subject::new(store).with_default_lifetime(DEFAULT_LIFETIME).with_clock(clock)
}

fn file(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let (folder, url) = temporary();
        one_handle(&url, SqliteLayout::ConnectSqlite3).await.with_guard(folder)
    })
}

fn better_sqlite3(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let (folder, url) = temporary();
        one_handle(&url, SqliteLayout::BetterSqlite3).await.with_guard(folder)
    })
}

fn in_memory(name: &str) -> Vec<Trial> {
    suite(name, || one_handle("sqlite::memory:", SqliteLayout::ConnectSqlite3))
}

/// Two handles on one file, as two processes have.
fn two_handles(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let (folder, url) = temporary();
        let clock = TestClock::new();
        let store = open(&url, SqliteLayout::ConnectSqlite3, &clock).await;
        let other = open(&url, SqliteLayout::ConnectSqlite3, &clock).await;
        Subject::new(store)
            .with_other_handle(other)
            .with_default_lifetime(DEFAULT_LIFETIME)
            .with_clock(clock)
            .with_guard(folder)
    })
}
