//! The MongoDB store: alone, through two handles, in a replica set.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libtest_mimic::Trial;
use sessile::stores::{MongoAutoRemove, MongoBuilder, MongoLayout, MongoStore};
use sessile_testkit::server::{self, Server};
use sessile_testkit::{Subject, TestClock, suite};

use crate::Store;

pub(crate) const STORES: &[Store] = &[
    ("mongodb", 49, alone),
    ("mongodb_objects", 47, objects),
    ("mongodb_two_handles", 49, two_handles),
    ("mongodb_replica_set", 49, replica_set),
];

/// As long as `connect-mongo` keeps a session whose cookie has no expiry.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);

static ALONE: LazyLock<Place> = LazyLock::new(|| Place::new("mongodb", server::mongodb));
static SET: LazyLock<Place> =
    LazyLock::new(|| Place::new("mongodb_replica_set", server::mongodb_replica_set));

/// One server for all trials: its own, or one that runs already.
struct Place {
    url: String,
    _server: Option<Server>,
}

impl Place {
    fn new(name: &str, start: fn() -> std::io::Result<Server>) -> Self {
        if let Some(url) = server::existing(name) {
            return Self { url, _server: None };
        }
        let server = start().expect("the server starts");
        Self { url: server.url().to_owned(), _server: Some(server) }
    }
}

/// A collection that no other trial knows.
fn collection() -> String {
    static MADE: AtomicU64 = AtomicU64::new(0);
    format!("trial-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed))
}

/// Time that a trial moves is not the server's, whose index would remove too much.
async fn moving_time(builder: MongoBuilder) -> Subject {
    let clock = TestClock::new();
    let builder = builder
        .with_collection(collection())
        .with_auto_remove(MongoAutoRemove::Disabled)
        .with_clock(Arc::new(clock.clone()));
    let store = builder.connect().await.expect("the server answers");
    Subject::new(store).with_default_lifetime(DEFAULT_LIFETIME).with_clock(clock)
}

fn alone(name: &str) -> Vec<Trial> {
    suite(name, || moving_time(MongoStore::builder(&ALONE.url)))
}

fn replica_set(name: &str) -> Vec<Trial> {
    suite(name, || moving_time(MongoStore::builder(&SET.url)))
}

/// Trials that store text which no JSON writer would write that way.
const BYTE_FOR_BYTE: [&str; 2] = ["load_returns_what_was_saved", "records_survive_byte_for_byte"];

/// What BSON keeps of a record is told by the store's own tests: not every byte.
fn objects(name: &str) -> Vec<Trial> {
    let builder = || MongoStore::builder(&ALONE.url).with_layout(MongoLayout::Objects);
    let mut trials = suite(name, move || moving_time(builder()));
    trials.retain(|trial| {
        !BYTE_FOR_BYTE.iter().any(|name| trial.name().ends_with(&format!("::{name}")))
    });
    trials
}

/// Two clients in real time, as two processes have, while the server removes what expires.
fn two_handles(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let collection = collection();
        let open = || MongoStore::builder(&ALONE.url).with_collection(&collection).connect();
        let store = open().await.expect("the server answers");
        let other = open().await.expect("the server answers");
        Subject::new(store).with_other_handle(other).with_default_lifetime(DEFAULT_LIFETIME)
    })
}
