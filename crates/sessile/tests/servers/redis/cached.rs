//! Sessions that this process keeps until the server says that they changed.

use std::time::Duration;

use sessile::stores::RedisStore;
use sessile::{CookieOptions, Precondition, Record, SessionId, SessionLayer, SessionStore};
use sessile_testkit::server::{self, Server};
use tokio::time::timeout;

use super::Admin;
use crate::client::{Client, secrets};

const PATIENCE: Duration = Duration::from_secs(30);

fn a() -> SessionId {
    SessionId::new("a")
}

fn record(n: u64) -> Record {
    Record::parse(format!(r#"{{"cookie":{{"expires":null}},"n":{n}}}"#)).unwrap()
}

async fn cached(server: &Server) -> RedisStore {
    RedisStore::builder(server.url()).with_client_cache(100).connect().await.unwrap()
}

/// Loads until the session is as it should be: the word of a change takes a moment.
async fn until(store: &RedisStore, expected: Option<&Record>) {
    let loading = async {
        loop {
            // The connection may just have been cut.
            if let Ok(stored) = store.load(&a()).await
                && stored.as_ref().map(|stored| &stored.text) == expected.map(Record::text)
            {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, loading).await.expect("the change is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_read_asks_nobody() {
    let server = server::redis().unwrap();
    let admin = Admin::of(server.url()).await;
    let cookie = CookieOptions::default().with_max_age(Duration::from_secs(3600));
    let layer = SessionLayer::builder(cached(&server).await, secrets()).with_cookie(cookie);
    let client = Client::of(layer.with_touch_after(Duration::from_secs(60)).build().unwrap());
    client.get("/set/user/7").await.ok();
    client.get("/user").await.ok();

    let before = admin.reads().await;
    for _ in 0..1_000 {
        assert_eq!(client.get("/user").await.ok().body, "7");
    }
    let asked = admin.reads().await - before;
    // Once a second it asks whether the server is still there.
    assert!(asked < 60, "{asked} of 1000 reads asked the server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_do_is_seen() {
    let server = server::redis().unwrap();
    let admin = Admin::of(server.url()).await;
    let (ours, theirs) = (cached(&server).await, cached(&server).await);
    ours.save(&a(), &record(0), Precondition::None).await.unwrap();
    for n in 1..20 {
        until(&ours, Some(&record(n - 1))).await;
        theirs.save(&a(), &record(n), Precondition::None).await.unwrap();
    }
    until(&ours, Some(&record(19))).await;
    assert!(theirs.destroy(&a()).await.unwrap());
    until(&ours, None).await;

    // Node, an administrator, and a database that is emptied.
    let _: () = admin.ask(&["SET", "sess:a", record(1).text()]).await;
    until(&ours, Some(&record(1))).await;
    let _: () = admin.ask(&["EXPIRE", "sess:a", "-1"]).await;
    until(&ours, None).await;
    ours.save(&a(), &record(2), Precondition::None).await.unwrap();
    until(&ours, Some(&record(2))).await;
    let _: () = admin.ask(&["FLUSHALL"]).await;
    until(&ours, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_while_it_was_cut_off_is_seen() {
    let server = server::redis().unwrap();
    let admin = Admin::of(server.url()).await;
    let ours = cached(&server).await;
    for n in 0..20 {
        ours.save(&a(), &record(n), Precondition::None).await.ok();
        until(&ours, Some(&record(n))).await;
        let text = record(n + 100).text().to_string();
        let _: u64 = admin.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        let _: () = admin.ask(&["SET", "sess:a", &text]).await;
        until(&ours, Some(&record(n + 100))).await;
    }
}

/// A save is never made of what was kept: the server compares.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_revives_nobody_and_overwrites_nothing() {
    let server = server::redis().unwrap();
    let admin = Admin::of(server.url()).await;
    let ours = cached(&server).await;
    for n in 0..50 {
        ours.save(&a(), &record(n), Precondition::None).await.unwrap();
        let loaded = ours.load(&a()).await.unwrap().unwrap().version;
        let change: &[&str] =
            if n % 2 == 0 { &["DEL", "sess:a"] } else { &["SET", "sess:a", "{}"] };
        let _: redis::Value = admin.ask(change).await;
        let saved = ours.save(&a(), &record(999), Precondition::Unchanged(&loaded)).await.unwrap();
        assert!(!matches!(saved, sessile::Saved::Saved(_)));
    }
}
