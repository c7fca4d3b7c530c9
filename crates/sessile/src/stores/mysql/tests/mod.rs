//! What is special about MySQL; the rest is in the conformance suite.

mod columns;
mod node;
mod opening;
mod plans;
mod rows;
#[cfg(feature = "mysql-tls")]
mod tls;

use std::error::Error;
use std::pin::pin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use mysql_async::prelude::{FromRow, Queryable as _};
use mysql_async::{Conn, params};
use sessile_core::{
    Capability, Precondition, Record, Saved, SessionCookie, SessionId, SessionStore, Version,
};
use sessile_testkit::TestClock;
use sessile_testkit::server::{self, Server};

use super::*;
use crate::stores::instant::{from_millis, to_millis};

/// 2030-01-02T03:04:05.678Z, when the golden rows were written.
const NOW: i64 = 1_893_553_445_678;
const DAY: i64 = 86_400_000;
const LAYOUTS: [MysqlLayout; 2] =
    [MysqlLayout::ConnectSessionKnex, MysqlLayout::ExpressMysqlSession];

/// The tables as the packages create them, in a database whose own character set is latin1.
const NODE_TABLES: [&str; 2] = [
    "CREATE TABLE @ (`sid` varchar(255) NOT NULL,
       `sess` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL CHECK (json_valid(`sess`)),
       `expired` datetime NOT NULL, PRIMARY KEY (`sid`), KEY `sessions_expired_index` (`expired`)
     ) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci",
    "CREATE TABLE @ (`session_id` varchar(128) COLLATE utf8mb4_bin NOT NULL,
       `expires` int(11) unsigned NOT NULL, `data` mediumtext COLLATE utf8mb4_bin,
       PRIMARY KEY (`session_id`)) ENGINE=InnoDB",
];

fn url() -> &'static str {
    static SERVER: LazyLock<Server> = LazyLock::new(|| server::mariadb().unwrap());
    SERVER.url()
}

/// A table of its own, and a store on it whose clock stands at [`NOW`].
struct Fixture {
    clock: TestClock,
    layout: MysqlLayout,
    raw: Conn,
    store: MysqlStore,
    table: String,
}

impl Fixture {
    async fn new(layout: MysqlLayout) -> Self {
        Self::on(layout, None).await
    }

    /// On the table as Node creates it.
    async fn of_node(layout: MysqlLayout) -> Self {
        let ddl = LAYOUTS.iter().zip(NODE_TABLES).find(|(known, _)| **known == layout);
        Self::on(layout, ddl.map(|(_, ddl)| ddl)).await
    }

    async fn on(layout: MysqlLayout, ddl: Option<&str>) -> Self {
        let (clock, table) = (clock(), table());
        let mut raw = Conn::from_url(url()).await.unwrap();
        if let Some(ddl) = ddl {
            raw.query_drop(ddl.replace('@', &table)).await.unwrap();
        }
        let store = builder(layout, &table, &clock).connect().await.unwrap();
        Self { clock, layout, raw, store, table }
    }

    /// Another store on the same table.
    fn another(&self) -> MysqlBuilder {
        builder(self.layout, &self.table, &self.clock)
    }

    fn set_clock(&self, millis: i64) {
        self.clock.set(from_millis(millis));
    }

    /// Runs SQL in which `@` stands for the table.
    async fn execute(&mut self, sql: &str) {
        self.raw.query_drop(sql.replace('@', &self.table)).await.unwrap();
    }

    async fn first<T: FromRow + Send + 'static>(&mut self, sql: &str) -> T {
        self.raw.query_first(sql.replace('@', &self.table)).await.unwrap().unwrap()
    }

    async fn create(&self, sid: &str, record: &Record) -> Version {
        version(self.store.save(&id(sid), record, Precondition::Absent).await.unwrap())
    }

    async fn text(&self, sid: &str) -> Option<String> {
        self.store.load(&id(sid)).await.unwrap().map(|stored| stored.text.to_string())
    }
}

/// A name that no other test has, and that needs no quotes.
fn table() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("sessions_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn clock() -> TestClock {
    let clock = TestClock::new();
    clock.set(from_millis(NOW));
    clock
}

fn builder(layout: MysqlLayout, table: &str, clock: &TestClock) -> MysqlBuilder {
    let clock = Arc::new(clock.clone());
    MysqlStore::builder(url()).with_layout(layout).with_table(table).with_clock(clock)
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
