//! What is special about MongoDB; the rest is in the conformance suite.

mod documents;
mod node;
mod objects;
mod opening;
mod plans;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use mongodb::Collection;
use mongodb::bson::{DateTime, Document, RawDocumentBuf, doc};
use sessile_testkit::TestClock;
use sessile_testkit::server::{self, Server};

use super::*;
use crate::stores::instant::from_millis;

/// 2030-01-02T03:04:05.678Z, when the golden documents were written.
const NOW: i64 = 1_893_553_445_678;
const DAY: i64 = 86_400_000;

fn url() -> &'static str {
    static SERVER: LazyLock<Server> = LazyLock::new(|| server::mongodb().unwrap());
    SERVER.url()
}

/// A collection of its own, and a store on it whose clock stands at [`NOW`].
struct Fixture {
    clock: TestClock,
    raw: Collection<RawDocumentBuf>,
    store: MongoStore,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    async fn objects() -> Self {
        Self::with(|builder| builder.with_layout(MongoLayout::Objects)).await
    }

    async fn with(change: impl FnOnce(MongoBuilder) -> MongoBuilder) -> Self {
        let (clock, name) = (TestClock::new(), collection());
        clock.set(from_millis(NOW));
        let builder = builder(&name)
            .with_auto_remove(MongoAutoRemove::Disabled)
            .with_clock(Arc::new(clock.clone()));
        let store = change(builder).connect().await.unwrap();
        Self { clock, raw: raw(&name).await, store }
    }

    fn set_clock(&self, millis: i64) {
        self.clock.set(from_millis(millis));
    }

    async fn put(&self, document: Document) {
        self.raw.insert_one(RawDocumentBuf::try_from(&document).unwrap()).await.unwrap();
    }

    /// Returns the document as it is stored.
    async fn document(&self, sid: &str) -> Option<RawDocumentBuf> {
        self.raw.find_one(doc! { "_id": sid }).await.unwrap()
    }

    async fn create(&self, sid: &str, record: &Record) -> Version {
        version(self.store.save(&id(sid), record, Precondition::Absent).await.unwrap())
    }

    async fn text(&self, sid: &str) -> Option<String> {
        self.store.load(&id(sid)).await.unwrap().map(|stored| stored.text.to_string())
    }
}

fn builder(collection: &str) -> MongoBuilder {
    MongoStore::builder(url()).with_collection(collection)
}

/// The driver ends with its runtime, so that each test has a client of its own.
async fn raw(name: &str) -> Collection<RawDocumentBuf> {
    let client = mongodb::Client::with_uri_str(url()).await.unwrap();
    client.default_database().unwrap().collection(name)
}

/// A name that no other test has.
fn collection() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("sessions_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn id(sid: &str) -> SessionId {
    SessionId::new(sid)
}

fn date(millis: i64) -> DateTime {
    DateTime::from_millis(millis)
}

fn cookie(expires: Option<i64>) -> SessionCookie {
    let mut cookie = SessionCookie::from_json(r#"{"originalMaxAge":null,"expires":null}"#).unwrap();
    cookie.set_expires(expires.map(from_millis), from_millis(NOW));
    cookie
}

fn record(expires: i64, members: &str) -> Record {
    let cookie = cookie(Some(expires)).to_json();
    Record::parse(format!(r#"{{"cookie":{cookie},{members}}}"#)).unwrap()
}

#[track_caller]
fn version(saved: Saved) -> Version {
    let Saved::Saved(version) = saved else { panic!("expected a save, got {saved:?}") };
    version
}
