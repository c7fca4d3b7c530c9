//! The memcached store, on one real server and on three.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;
use sessile::stores::{MemcachedBuilder, MemcachedStore};
use sessile_testkit::server::{self, Server};
use sessile_testkit::{Subject, suite};

use crate::Store;

pub(crate) const STORES: &[Store] = &[
    ("memcached", 41, alone),
    ("memcached_three_servers", 41, three_servers),
    ("memcached_two_handles", 41, two_handles),
];

/// As long as `connect-memcached` keeps a session whose cookie has no expiry.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Memcached counts whole seconds, by a clock that ticks once a second.
const PRECISION: Duration = Duration::from_secs(2);

static SERVERS: LazyLock<[Server; 3]> =
    LazyLock::new(|| [(); 3].map(|()| server::memcached().expect("memcached starts")));

fn one() -> String {
    server::existing("memcached").unwrap_or_else(|| SERVERS[0].url().to_owned())
}

fn three() -> String {
    let addresses = SERVERS.each_ref().map(|server| server.address().to_string());
    format!("memcached://{}*2", addresses.join(","))
}

/// Keys of its own for each trial, and room for its large records.
fn builder(url: &str) -> MemcachedBuilder {
    static TRIALS: AtomicU64 = AtomicU64::new(0);
    let trial = TRIALS.fetch_add(1, Ordering::Relaxed);
    let prefix = format!("trial-{}-{trial}:", std::process::id());
    MemcachedStore::builder(url).with_prefix(prefix).with_max_bytes(4 << 20)
}

async fn open(builder: MemcachedBuilder) -> MemcachedStore {
    builder.connect().await.expect("memcached answers")
}

fn subject(store: MemcachedStore) -> Subject {
    Subject::new(store).with_default_lifetime(DEFAULT_LIFETIME).with_precision(PRECISION)
}

fn alone(name: &str) -> Vec<Trial> {
    suite(name, || async { subject(open(builder(&one())).await) })
}

fn three_servers(name: &str) -> Vec<Trial> {
    suite(name, || async { subject(open(builder(&three())).await) })
}

/// Two handles with connections of their own, as two processes have.
fn two_handles(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let builder = builder(&one());
        let other = open(builder.clone()).await;
        subject(open(builder).await).with_other_handle(other)
    })
}
