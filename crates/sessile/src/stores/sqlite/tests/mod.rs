//! What is special about SQLite; the rest is in the conformance suite.

mod node;
mod opening;
mod rows;
mod threads;

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use rusqlite::{Connection, params};
use serde_json::Value;
use sessile_core::{Clock, StoreErrorKind};
use tempfile::TempDir;

use super::layout::Statements;
use super::*;

/// 2030-01-02T03:04:05.678Z, when the golden rows were written.
const NOW: i64 = 1_893_553_445_678;
const DAY: i64 = 86_400_000;
const LAYOUTS: [SqliteLayout; 2] = [SqliteLayout::BetterSqlite3, SqliteLayout::ConnectSqlite3];

#[derive(Debug)]
struct TestClock {
    millis: AtomicI64,
    broken: AtomicBool,
    ended: Mutex<Option<mpsc::Sender<()>>>,
}

impl TestClock {
    fn new() -> Arc<Self> {
        let (millis, broken) = (AtomicI64::new(NOW), AtomicBool::new(false));
        Arc::new(Self { millis, broken, ended: Mutex::new(None) })
    }

    fn set(&self, millis: i64) {
        self.millis.store(millis, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        assert!(!self.broken.load(Ordering::SeqCst), "the clock is broken");
        time(self.millis.load(Ordering::SeqCst))
    }
}

impl Drop for TestClock {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.lock().unwrap().take() {
            ended.send(()).unwrap();
        }
    }
}

/// A store in a folder of its own, whose clock stands at [`NOW`].
struct Fixture {
    clock: Arc<TestClock>,
    folder: TempDir,
    layout: SqliteLayout,
    store: SqliteStore,
}

impl Fixture {
    async fn new(layout: SqliteLayout) -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
        let store = builder(&folder, layout, &clock).connect().await.unwrap();
        Self { clock, folder, layout, store }
    }

    async fn both() -> [Self; 2] {
        [Self::new(LAYOUTS[0]).await, Self::new(LAYOUTS[1]).await]
    }

    async fn another_store(&self) -> SqliteStore {
        builder(&self.folder, self.layout, &self.clock).connect().await.unwrap()
    }

    /// What another program sees.
    fn raw(&self) -> Connection {
        Connection::open(path(&self.folder)).unwrap()
    }

    fn raw_rows(&self) -> i64 {
        self.raw().query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap()
    }

    /// Writes a row whose expiry and record are any SQL.
    fn insert(&self, sid: &str, expiry: &str, sess: &str) {
        let column = self.layout.expiry();
        let sql =
            format!("INSERT INTO sessions (sid, {column}, sess) VALUES (?1, {expiry}, {sess})");
        self.raw().execute(&sql, [sid]).unwrap();
    }

    async fn create(&self, sid: &str, record: &Record) -> Version {
        version(self.store.save(&id(sid), record, Precondition::Absent).await.unwrap())
    }
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("sessions.db")
}

fn url(folder: &TempDir) -> String {
    format!("sqlite://{}", path(folder).display())
}

fn builder(folder: &TempDir, layout: SqliteLayout, clock: &Arc<TestClock>) -> SqliteBuilder {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    SqliteStore::builder(&url(folder)).with_layout(layout).with_clock(clock)
}

fn id(sid: &str) -> SessionId {
    SessionId::new(sid)
}

fn time(millis: i64) -> SystemTime {
    let distance = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
}

fn cookie(expires: Option<i64>) -> SessionCookie {
    let mut cookie = SessionCookie::from_json(r#"{"originalMaxAge":null,"expires":null}"#).unwrap();
    cookie.set_expires(expires.map(time), time(NOW));
    cookie
}

/// A record that expires at `expires`.
fn record(expires: impl Into<Option<i64>>, n: u64) -> Record {
    let cookie = cookie(expires.into());
    Record::parse(format!(r#"{{"cookie":{},"n":{n}}}"#, cookie.to_json())).unwrap()
}

fn version(saved: Saved) -> Version {
    match saved {
        Saved::Saved(version) => version,
        other => panic!("not saved: {other:?}"),
    }
}

async fn text(store: &SqliteStore, sid: &str) -> Option<String> {
    store.load(&id(sid)).await.unwrap().map(|stored| stored.text.to_string())
}

fn vectors(package: &str) -> Vec<Value> {
    let all = include_str!("../../../../../../fixtures/express/vectors.json");
    let mut all: Value = serde_json::from_str(all).unwrap();
    let records = all["store_records"].as_array_mut().unwrap();
    records
        .retain(|vector| vector["store"].as_str().is_some_and(|store| store.starts_with(package)));
    assert_eq!(records.len(), 2, "{package}");
    std::mem::take(records)
}

fn package(layout: SqliteLayout) -> &'static str {
    match layout {
        SqliteLayout::BetterSqlite3 => "better-sqlite3-session-store",
        SqliteLayout::ConnectSqlite3 => "connect-sqlite3",
    }
}

fn value_sql(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        number => format!("{number}.0"),
    }
}
