//! The Redis store on real servers.

mod cached;
mod failover;
mod slots;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sessile::stores::{RedisStore, connect};
use sessile::{Capability, CookieOptions, SessionLayer, SessionStore};
use sessile_testkit::server;

use crate::client::{Client, secrets};

mod outages {
    use crate::outage::{Backend, outages};

    outages!(Backend { start: sessile_testkit::server::redis, durable: true });
}

/// A connection of an administrator, who sees what the store asks.
struct Admin {
    connection: redis::aio::MultiplexedConnection,
    asked: AtomicU64,
}

impl Admin {
    async fn of(url: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        Self { connection, asked: AtomicU64::new(0) }
    }

    async fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut command = redis::Cmd::new();
        command.arg(words);
        command.query_async(&mut self.connection.clone()).await.unwrap()
    }

    /// Counts how often the server has read from a connection of others.
    async fn reads(&self) -> u64 {
        let info: String = self.ask(&["INFO", "stats"]).await;
        let line = info.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
        line.unwrap().parse::<u64>().unwrap() - self.asked.load(Ordering::Relaxed)
    }

    /// Counts the calls of each command since the last reset.
    async fn calls(&self) -> BTreeMap<String, u64> {
        let info: String = self.ask(&["INFO", "commandstats"]).await;
        let call = |line: &str| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
        };
        let calls = info.lines().filter_map(call);
        calls.filter(|(name, _)| !name.starts_with("info") && !name.starts_with("config")).collect()
    }

    /// The same, once there are as many as expected: the touch of a session that was only
    /// read goes on behind the response.
    async fn calls_once_all_were_counted(
        &self,
        expected: &BTreeMap<String, u64>,
    ) -> BTreeMap<String, u64> {
        let wanted: u64 = expected.values().sum();
        let counted = async {
            loop {
                let calls = self.calls().await;
                if calls.values().sum::<u64>() >= wanted {
                    return calls;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), counted).await.expect("all is counted")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_keeps_to_its_budget() {
    let server = server::redis().unwrap();
    let admin = Admin::of(server.url()).await;
    crate::trips::each_request_keeps_to_its_budget(server.url(), async || admin.reads().await)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_sends_these_commands() {
    let server = server::redis().unwrap();
    let admin = Admin::of(server.url()).await;
    let store = connect(server.url()).await.unwrap();
    let cookie = CookieOptions::default().with_max_age(Duration::from_secs(3600));
    let client =
        Client::of(SessionLayer::builder(store, secrets()).with_cookie(cookie).build().unwrap());
    for path in ["/set/user/7", "/count", "/user", "/cycle"] {
        client.get(path).await.ok(); // scripts are known after that
    }
    for (path, commands) in [
        ("/user", &[("get", 2), ("pttl", 1), ("evalsha", 1), ("expire", 1)][..]),
        ("/count", &[("get", 2), ("pttl", 1), ("evalsha", 1), ("set", 1)]),
        (
            "/cycle",
            &[("get", 2), ("pttl", 1), ("evalsha", 1), ("set", 1), ("exists", 1), ("del", 1)],
        ),
        ("/destroy", &[("get", 1), ("pttl", 1), ("del", 1)]),
        ("/set/user/8", &[("set", 1)]),
    ] {
        let _: () = admin.ask(&["CONFIG", "RESETSTAT"]).await;
        client.get(path).await.ok();
        let expected = commands.iter().map(|(name, calls)| ((*name).to_owned(), *calls)).collect();
        assert_eq!(admin.calls_once_all_were_counted(&expected).await, expected, "{path}");
    }
}

/// Until the touch is due the layer knows when the session expires.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_touch_after_a_read_is_one_get() {
    let server = server::redis().unwrap();
    let admin = Admin::of(server.url()).await;
    let store = connect(server.url()).await.unwrap();
    let cookie = CookieOptions::default().with_max_age(Duration::from_secs(3600));
    let layer = SessionLayer::builder(store, secrets()).with_cookie(cookie);
    let client = Client::of(layer.with_touch_after(Duration::from_secs(600)).build().unwrap());
    client.get("/set/user/7").await.ok();
    for commands in [&[("get", 1), ("pttl", 1)][..], &[("get", 1)], &[("get", 1)]] {
        let _: () = admin.ask(&["CONFIG", "RESETSTAT"]).await;
        assert_eq!(client.get("/user").await.ok().body, "7");
        let expected = commands.iter().map(|(name, calls)| ((*name).to_owned(), *calls)).collect();
        assert_eq!(admin.calls_once_all_were_counted(&expected).await, expected);
    }
}

/// connect-redis computes the TTL of an explicit save from the `expires` in the record,
/// which a touch leaves stale, and deletes the living session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_of_a_touched_session_does_not_delete_it() {
    let server = server::redis().unwrap();
    let admin = Admin::of(server.url()).await;
    let store = connect(server.url()).await.unwrap();
    let cookie = CookieOptions::default().with_max_age(Duration::from_secs(600));
    let client =
        Client::of(SessionLayer::builder(store, secrets()).with_cookie(cookie).build().unwrap());
    client.get("/set/user/7").await.ok();

    // As Node leaves it: touched a moment ago, and the record says it ended long since.
    let key = format!("sess:{}", client.id().as_str());
    let stale = r#"{"cookie":{"originalMaxAge":600000,"expires":"2020-01-01T00:00:00.000Z","httpOnly":true,"path":"/"},"user":"7"}"#;
    let _: () = admin.ask(&["SET", &key, stale, "EX", "500"]).await;
    assert_eq!(client.get("/user").await.ok().body, "7");
    assert_eq!(client.get("/count").await.ok().body, "1");
    let left: u64 = admin.ask(&["TTL", &key]).await;
    assert!((595..=600).contains(&left), "{left}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_less_durable_than_said_is_refused() {
    let server = server::redis().unwrap();
    let admin = Admin::of(server.url()).await;
    let connect = || RedisStore::builder(server.url()).with_durable_server().connect();
    assert!(connect().await.unwrap().capabilities().contains(&Capability::Durable));
    for (setting, value) in [("appendfsync", "everysec"), ("appendonly", "no")] {
        let _: () = admin.ask(&["CONFIG", "SET", setting, value]).await;
        let error = connect().await.unwrap_err().to_string();
        assert_eq!(error, format!("redis is not durable as said: its {setting} is {value}"));
        let _: () = admin.ask(&["CONFIG", "SET", "appendfsync", "always"]).await;
    }
}
