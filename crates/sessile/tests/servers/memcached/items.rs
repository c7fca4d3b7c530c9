//! What the items are for `connect-memcached`, and what it leaves.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use sessile::stores::{MemcachedBuilder, MemcachedStore};
use sessile::{
    Clock, Precondition, Record, Saved, SessionCookie, SessionId, SessionStore, StoreErrorKind,
    Stored, SystemClock,
};
use sessile_testkit::server::{self, Server};

use super::{commands, say};

const PLAIN: &str = r#"{"cookie":{"originalMaxAge":null,"expires":null},"views":1}"#;

/// A store on a server of its own.
struct Fixture {
    server: Server,
    store: MemcachedStore,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(options: impl FnOnce(MemcachedBuilder) -> MemcachedBuilder) -> Self {
        let server = server::memcached().expect("memcached starts");
        let store = options(MemcachedStore::builder(server.url())).connect().await.unwrap();
        Self { server, store }
    }

    async fn say(&self, what: &str) -> String {
        say(self.server.address(), what.as_bytes()).await
    }

    /// Stores an item as another client does.
    async fn set(&self, key: &str, flags: u32, seconds: i64, value: &str) {
        let set = format!("set {key} {flags} {seconds} {}\r\n{value}", value.len());
        assert_eq!(self.say(&set).await, "STORED\r\n");
    }

    /// Returns how many seconds an item has left.
    async fn left(&self, key: &str) -> i64 {
        let answer = self.say(&format!("mg {key} t")).await;
        answer.trim().strip_prefix("HD t").expect("there is such an item").parse().unwrap()
    }

    async fn load(&self, key: &str) -> Option<Stored> {
        self.store.load(&id(key)).await.unwrap()
    }

    async fn save(&self, key: &str, text: &str) {
        let saved = self.store.save(&id(key), &record(text), Precondition::None).await.unwrap();
        assert!(matches!(saved, Saved::Saved(_)));
    }
}

fn id(id: &str) -> SessionId {
    SessionId::new(id)
}

fn record(text: &str) -> Record {
    Record::parse(text).unwrap()
}

/// A record that lives so long from now.
fn living(lifetime: Duration) -> String {
    let mut cookie = SessionCookie::from_json("{}").unwrap();
    cookie.set_max_age(Some(lifetime), SystemClock.now());
    format!(r#"{{"cookie":{},"views":1}}"#, cookie.to_json())
}

fn seconds_from_now(time: SystemTime) -> u64 {
    time.duration_since(SystemClock.now()).unwrap().as_secs()
}

/// What `connect-memcached` 3.0.0 wrote, without encryption.
fn golden() -> Vec<Value> {
    let vectors = include_str!("../../../../../fixtures/express/vectors.json");
    let mut vectors: Value = serde_json::from_str(vectors).unwrap();
    let Value::Array(records) = vectors["store_records"].take() else { panic!() };
    let theirs = ["connect-memcached@3.0.0", "connect-memcached@3.0.0 prefix"];
    let is_theirs = |record: &Value| theirs.iter().any(|store| record["store"] == *store);
    records.into_iter().filter(is_theirs).collect()
}

#[tokio::test]
async fn items_are_nodes_to_the_byte() {
    let sid = "Y7tQm0JcVb-1s_2dK9xWzR4hLpN6aGfE";
    let vectors = golden();
    assert_eq!(vectors.len(), 4);
    for vector in vectors {
        let prefix =
            if vector["store"].as_str().unwrap().ends_with("prefix") { "sess:" } else { "" };
        let on = Fixture::with(|builder| builder.with_prefix(prefix)).await;
        let key = format!("{prefix}{sid}");
        let [set, touched] =
            ["afterSet", "afterTouch"].map(|when| vector[when]["get"].as_str().unwrap());
        let [text, touched_text] = [set, touched].map(|answer| answer.lines().nth(1).unwrap());

        on.set(&key, 2, 3600, text).await;
        let read = on.load(sid).await.unwrap();
        assert_eq!(*read.text, *text);
        assert!((3598..=3600).contains(&seconds_from_now(read.expires.unwrap())));

        on.say(&format!("delete {key}")).await;
        on.save(sid, text).await;
        assert_eq!(on.say(&format!("get {key}")).await, set);

        let touched_record = record(touched_text);
        let loaded = on.load(sid).await.unwrap();
        let cookie = touched_record.cookie();
        assert!(on.store.touch(&id(sid), cookie, Some(&loaded.version)).await.unwrap());
        assert_eq!(on.say(&format!("get {key}")).await, touched);
        assert!(on.store.destroy(&id(sid)).await.unwrap());
        assert_eq!(on.say(&format!("get {key}")).await, "END\r\n");
    }
}

#[tokio::test]
async fn a_touch_by_node_is_no_change_and_a_save_is_one() {
    let on = Fixture::new().await;
    let text =
        r#"{"cookie":{"originalMaxAge":60000,"expires":"2030-01-02T03:04:05.678Z"},"views":1}"#;
    on.set("a", 2, 60, text).await;
    let version = on.load("a").await.unwrap().version;
    on.set("a", 2, 60, &text.replace("03:04", "03:05")).await;
    let unchanged = Precondition::Unchanged(&version);
    let saved = on.store.save(&id("a"), &record(PLAIN), unchanged).await.unwrap();
    assert!(matches!(saved, Saved::Saved(_)));

    let version = on.load("a").await.unwrap().version;
    on.set("a", 2, 60, &PLAIN.replace('1', "2")).await;
    let late = on.store.save(&id("a"), &record(PLAIN), Precondition::Unchanged(&version)).await;
    assert_eq!(late.unwrap(), Saved::Conflict);
    assert!(on.store.touch(&id("a"), record(PLAIN).cookie(), Some(&version)).await.unwrap());
    assert_eq!(*on.load("a").await.unwrap().text, *PLAIN.replace('1', "2"));
}

#[tokio::test]
async fn long_lives_are_long_and_short_ones_end() {
    const DAY: u64 = 86_400;
    let on = Fixture::new().await;
    for days in [1, 29, 30, 31, 400] {
        on.save("a", &living(Duration::from_secs(days * DAY))).await;
        let left = u64::try_from(on.left("a").await).unwrap();
        assert!((days * DAY..=days * DAY + 3).contains(&left), "{days} days: {left} s");
        assert!(on.load("a").await.is_some());
    }
    // Node loses a session of 31 days at once; a century is beyond memcached's clock.
    on.save("a", &living(Duration::from_secs(100 * 365 * DAY))).await;
    assert_eq!(on.left("a").await, -1);
    let expires = on.load("a").await.unwrap().expires.unwrap();
    assert!(seconds_from_now(expires) > 99 * 365 * DAY);

    // Node writes 0 for less than a second, which is for ever.
    let dies = living(Duration::from_millis(900));
    on.save("a", &dies).await;
    assert!((1..=2).contains(&on.left("a").await));
    on.set("b", 2, 0, &dies).await;
    on.set("c", 2, 3600, &living(Duration::ZERO)).await;
    while on.load("a").await.is_some() || on.load("b").await.is_some() {
        tokio::task::yield_now().await;
    }
    // The option `ttl` of connect-memcached counts more than the cookie.
    assert!(seconds_from_now(on.load("c").await.unwrap().expires.unwrap()) > 3590);
}

#[tokio::test]
async fn what_nobody_can_have_meant_is_no_session_and_no_error() {
    let on = Fixture::new().await;
    on.set("string", 0, 60, PLAIN).await;
    on.set("cookieless", 2, 60, r#"{"views":1}"#).await;
    on.set("cut", 2, 60, &PLAIN[..20]).await;
    on.set("empty", 2, 60, "").await;
    let stored = say(on.server.address(), b"set latin 2 60 1\r\n\xE9").await;
    assert_eq!(stored, "STORED\r\n");
    for name in ["string", "cookieless", "cut", "empty", "latin"] {
        assert!(on.load(name).await.is_none(), "{name}");
        assert!(!on.store.touch(&id(name), record(PLAIN).cookie(), None).await.unwrap(), "{name}");
    }
}

#[tokio::test]
async fn a_record_that_is_too_large_is_refused_before_it_costs_the_session() {
    let on = Fixture::new().await;
    on.save("a", PLAIN).await;
    let before = commands(on.server.address()).await;
    let large = PLAIN.replace('1', &format!("\"{}\"", "x".repeat(1 << 20)));
    let error = on.store.save(&id("a"), &record(&large), Precondition::None).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Failed);
    assert!(error.to_string().contains("1047552"), "{error}");
    assert_eq!(commands(on.server.address()).await, before);
    assert_eq!(*on.load("a").await.unwrap().text, *PLAIN);
}

#[tokio::test]
async fn a_value_the_server_refuses_is_an_error_and_the_next_answer_is_its_own() {
    let on = Fixture::with(|builder| builder.with_max_bytes(64 << 20)).await;
    on.save("a", PLAIN).await;
    let large = PLAIN.replace('1', &format!("\"{}\"", "x".repeat(9 << 20)));
    for _ in 0..3 {
        let error = on.store.save(&id("b"), &record(&large), Precondition::None).await.unwrap_err();
        // It closes the connection, or says why.
        let kinds = [StoreErrorKind::Failed, StoreErrorKind::Unavailable];
        assert!(kinds.contains(&error.kind()), "{error}");
        assert_eq!(*on.load("a").await.unwrap().text, *PLAIN);
    }
}
