//! The Redis store, on real servers.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;
use sessile::stores::{RedisBuilder, RedisStore};
use sessile_testkit::server::{self, RedisCluster, RedisSentinel, Server};
use sessile_testkit::{Subject, suite};

use crate::Store;

pub(crate) const STORES: &[Store] = &[
    ("redis", 49, alone),
    ("redis_client_cache", 49, client_cache),
    ("redis_cluster", 49, cluster),
    ("redis_sentinel", 49, sentinel),
    #[cfg(feature = "redis-tls")]
    ("redis_tls", 49, tls),
    ("redis_two_handles", 49, two_handles),
    ("redis_unix", 49, unix),
];

/// As long as `connect-redis` keeps a session whose cookie has no expiry.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Redis counts in whole seconds here, as in Node.
const PRECISION: Duration = Duration::from_secs(1);

/// One server for all trials.
static ALONE: LazyLock<String> = LazyLock::new(|| {
    static SERVER: LazyLock<Server> = LazyLock::new(|| server::redis().expect("redis starts"));
    server::existing("redis").unwrap_or_else(|| SERVER.url().to_owned())
});

/// Gives each trial keys of its own, also in a database that others use.
fn prefix() -> String {
    static TRIALS: AtomicU64 = AtomicU64::new(0);
    let trial = TRIALS.fetch_add(1, Ordering::Relaxed);
    format!("trial-[{}*{trial}]:", std::process::id())
}

async fn open(builder: RedisBuilder) -> RedisStore {
    builder.connect().await.expect("redis answers")
}

fn subject(store: RedisStore) -> Subject {
    Subject::new(store).with_default_lifetime(DEFAULT_LIFETIME).with_precision(PRECISION)
}

async fn one_handle(url: &str) -> Subject {
    subject(open(RedisStore::builder(url).with_prefix(prefix())).await)
}

fn unix(name: &str) -> Vec<Trial> {
    static SERVER: LazyLock<Server> = LazyLock::new(|| server::redis_unix().expect("redis starts"));
    suite(name, || one_handle(SERVER.url()))
}

#[cfg(feature = "redis-tls")]
fn tls(name: &str) -> Vec<Trial> {
    static SERVER: LazyLock<Server> = LazyLock::new(|| server::redis_tls().expect("redis starts"));
    suite(name, || async {
        let authority = std::fs::read(SERVER.dir().join("ca.crt")).expect("it has an authority");
        let builder = RedisStore::builder(SERVER.url()).with_root_certificate(authority);
        subject(open(builder.with_prefix(prefix())).await)
    })
}

fn sentinel(name: &str) -> Vec<Trial> {
    static SERVERS: LazyLock<RedisSentinel> =
        LazyLock::new(|| server::redis_sentinel().expect("redis starts"));
    suite(name, || async { one_handle(&SERVERS.url()).await })
}

/// Two handles, each of which learns for itself who has which keys.
fn cluster(name: &str) -> Vec<Trial> {
    static SERVERS: LazyLock<RedisCluster> =
        LazyLock::new(|| server::redis_cluster().expect("redis starts"));
    suite(name, || async {
        let builder = RedisStore::builder(&SERVERS.url()).with_prefix(prefix());
        let other = open(builder.clone()).await;
        subject(open(builder).await).with_other_handle(other)
    })
}

fn alone(name: &str) -> Vec<Trial> {
    suite(name, || async { subject(open(RedisStore::builder(&ALONE).with_prefix(prefix())).await) })
}

/// One handle: another one would learn of a change a moment after it.
fn client_cache(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let builder = RedisStore::builder(&ALONE).with_prefix(prefix());
        subject(open(builder.with_client_cache(50)).await)
    })
}

/// Two handles with a connection each, as two processes have.
fn two_handles(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let builder = RedisStore::builder(&ALONE).with_prefix(prefix());
        let other = open(builder.clone()).await;
        subject(open(builder).await).with_other_handle(other)
    })
}
