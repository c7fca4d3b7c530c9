//! Every store keeps every promise of `SessionStore`, and of parallel requests.
//!
//! The trials are those of `sessile-testkit`. Their number stands here in writing,
//! so that a store that lost its trials is not green; nor is a run without any.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use sessile::stores::MemoryStore;
use sessile_testkit::{Subject, TestClock, suite};

/// One store, how many trials it has to pass, and where they come from.
type Store = (&'static str, usize, fn(&str) -> Vec<Trial>);

const STORES: &[Store] = &[
    ("memory", 48, memory),
    ("memory_bounded", 48, memory_bounded),
    #[cfg(feature = "sqlite")]
    ("sqlite", 48, sqlite::file),
    #[cfg(feature = "sqlite")]
    ("sqlite_better_sqlite3", 48, sqlite::better_sqlite3),
    #[cfg(feature = "sqlite")]
    ("sqlite_in_memory", 48, sqlite::in_memory),
    #[cfg(feature = "sqlite")]
    ("sqlite_two_handles", 48, sqlite::two_handles),
];

fn memory(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let clock = TestClock::new();
        let store = MemoryStore::new().with_clock(Arc::new(clock.clone()));
        Subject::new(store.clone()).with_other_handle(store).with_clock(clock)
    })
}

/// The same store with all its limits, none of which a trial reaches.
fn memory_bounded(name: &str) -> Vec<Trial> {
    const LIFETIME: Duration = Duration::from_secs(24 * 3600);
    suite(name, || async {
        let clock = TestClock::new();
        let store = MemoryStore::new()
            .with_clock(Arc::new(clock.clone()))
            .with_default_lifetime(LIFETIME)
            .with_max_sessions(10_000)
            .with_max_bytes(1 << 30);
        Subject::new(store).with_default_lifetime(LIFETIME).with_clock(clock)
    })
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use sessile::stores::{SqliteLayout, SqliteStore};
    use tempfile::TempDir;

    use super::{Arc, Duration, Subject, TestClock, Trial, suite};

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

    pub(super) fn file(name: &str) -> Vec<Trial> {
        suite(name, || async {
            let (folder, url) = temporary();
            one_handle(&url, SqliteLayout::ConnectSqlite3).await.with_guard(folder)
        })
    }

    pub(super) fn better_sqlite3(name: &str) -> Vec<Trial> {
        suite(name, || async {
            let (folder, url) = temporary();
            one_handle(&url, SqliteLayout::BetterSqlite3).await.with_guard(folder)
        })
    }

    pub(super) fn in_memory(name: &str) -> Vec<Trial> {
        suite(name, || one_handle("sqlite::memory:", SqliteLayout::ConnectSqlite3))
    }

    /// Two handles on one file, as two processes have.
    pub(super) fn two_handles(name: &str) -> Vec<Trial> {
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
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for (name, expected, make) in STORES {
        let made = make(name);
        if made.len() != *expected {
            eprintln!("{name} has {} trials and must have {expected}", made.len());
            return ExitCode::FAILURE;
        }
        trials.extend(made);
    }

    let all = trials.len();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let ran = conclusion.num_passed + conclusion.num_failed;
    // `cargo test some_name` asks every test program, most of which have no such test.
    if ran == 0 && arguments.filter.is_none() && !arguments.list {
        eprintln!("no trial ran: that proves nothing");
        return ExitCode::FAILURE;
    }
    if !arguments.list {
        closing_line(ran, all);
    }
    conclusion.exit_code()
}

#[expect(clippy::print_stdout, reason = "it belongs to the report of the trials")]
fn closing_line(ran: u64, all: usize) {
    let list: Vec<_> = STORES.iter().map(|(name, trials, _)| format!("{name} {trials}")).collect();
    println!("{ran} of {all} trials ran: {}", list.join(", "));
}
