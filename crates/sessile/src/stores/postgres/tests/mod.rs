//! What is special about PostgreSQL; the rest is in the conformance suite.

mod columns;
mod node;
mod opening;
mod plans;
mod readers;
mod rows;
#[cfg(feature = "postgres-tls")]
mod tls;

use std::error::Error;
use std::pin::pin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use sessile_core::{
    Capability, Precondition, Record, Saved, SessionCookie, SessionId, SessionStore, Version,
};
use sessile_testkit::TestClock;
use sessile_testkit::server::{self, Server};
use tokio_postgres::NoTls;

use super::*;
use crate::stores::instant::{from_millis, to_millis};

/// 2030-01-02T03:04:05.678Z, when the golden rows were written.
const NOW: i64 = 1_893_553_445_678;
const DAY: i64 = 86_400_000;
const LAYOUTS: [PostgresLayout; 2] =
    [PostgresLayout::ConnectPgSimple, PostgresLayout::ConnectSessionKnex];

fn url() -> &'static str {
    static SERVER: LazyLock<Server> = LazyLock::new(|| server::postgres().unwrap());
    SERVER.url()
}

/// A table of its own in the database at `url`, and a store on it whose clock stands at [`NOW`].
struct Fixture {
    clock: TestClock,
    layout: PostgresLayout,
    raw: tokio_postgres::Client,
    store: PostgresStore,
    table: String,
    url: String,
}

impl Fixture {
    async fn new(layout: PostgresLayout) -> Self {
        Self::at(url(), layout).await
    }

    async fn at(url: &str, layout: PostgresLayout) -> Self {
        Self::with(url, layout, |builder| builder).await
    }

    async fn with(
        url: &str,
        layout: PostgresLayout,
        change: impl Fn(PostgresBuilder) -> PostgresBuilder,
    ) -> Self {
        let (clock, table, raw) = (clock(), table(), raw(url).await);
        let builder = builder(url, layout, &table, &clock);
        let store = change(builder).connect().await.unwrap();
        Self { clock, layout, raw, store, table, url: url.to_owned() }
    }

    async fn both() -> [Self; 2] {
        [Self::new(LAYOUTS[0]).await, Self::new(LAYOUTS[1]).await]
    }

    /// Another store on the same table.
    fn another(&self) -> PostgresBuilder {
        builder(&self.url, self.layout, &self.table, &self.clock)
    }

    fn set_clock(&self, millis: i64) {
        self.clock.set(from_millis(millis));
    }

    /// Runs SQL in which `@` stands for the table.
    async fn execute(&self, sql: &str) {
        self.raw.batch_execute(&sql.replace('@', &self.table)).await.unwrap();
    }

    async fn number(&self, sql: &str) -> i64 {
        let sql = sql.replace('@', &self.table);
        self.raw.query_one(&sql, &[]).await.unwrap().get(0)
    }

    async fn rows(&self) -> i64 {
        self.number("SELECT count(*) FROM @").await
    }

    async fn create(&self, sid: &str, record: &Record) -> Version {
        version(self.store.save(&id(sid), record, Precondition::Absent).await.unwrap())
    }

    async fn text(&self, sid: &str) -> Option<String> {
        self.store.load(&id(sid)).await.unwrap().map(|stored| stored.text.to_string())
    }
}

async fn raw(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A name that no other test has, and that needs no quotes.
fn table() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("session_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn clock() -> TestClock {
    let clock = TestClock::new();
    clock.set(from_millis(NOW));
    clock
}

fn builder(url: &str, layout: PostgresLayout, table: &str, clock: &TestClock) -> PostgresBuilder {
    let clock = Arc::new(clock.clone());
    PostgresStore::builder(url).with_layout(layout).with_table(table).with_clock(clock)
}

fn id(sid: &str) -> SessionId {
    SessionId::new(sid)
}

fn cookie(expires: Option<i64>) -> SessionCookie {
    let mut cookie = SessionCookie::from_json(r#"{"originalMaxAge":null,"expires":null}"#).unwrap();
    cookie.set_expires(expires.map(from_millis), from_millis(NOW));
    cookie
}

/// A record that expires at `expires`.
fn record(expires: i64, members: &str) -> Record {
    let cookie = cookie(Some(expires)).to_json();
    Record::parse(format!(r#"{{"cookie":{cookie},{members}}}"#)).unwrap()
}

fn version(saved: Saved) -> Version {
    match saved {
        Saved::Saved(version) => version,
        other => panic!("not saved: {other:?}"),
    }
}

fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Everything an error says, to whomever.
fn said(error: &StoreError) -> String {
    let (mut said, mut source) = (format!("{error} {error:?}"), Error::source(error));
    while let Some(cause) = source {
        said += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    said
}
