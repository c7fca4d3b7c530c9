//! What a real server adds to the conformance suite.

mod node;
mod rotation;
mod together;

use std::sync::LazyLock;
use std::time::Duration;

use redis::Value;
use sessile_core::{Precondition, Record, Saved, SessionId, SessionStore, SystemClock};
use sessile_testkit::server::{self, Server};

use super::*;

/// One server for all tests of this module; each has a prefix of its own.
static SERVER: LazyLock<Server> = LazyLock::new(|| server::redis().expect("redis starts"));

fn id(id: &str) -> SessionId {
    SessionId::new(id)
}

/// A record without an expiry.
fn record(n: u64) -> Record {
    let cookie = r#"{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#;
    Record::parse(format!(r#"{{"cookie":{cookie},"n":{n}}}"#)).unwrap()
}

async fn open(prefix: &str) -> RedisStore {
    RedisStore::builder(SERVER.url()).with_prefix(prefix).connect().await.unwrap()
}

/// Sends what another program would.
async fn raw(arguments: &[&[u8]]) -> Value {
    let client = redis::Client::open(SERVER.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::Cmd::new();
    for argument in arguments {
        command.arg(*argument);
    }
    connection.send_packed_command(&command).await.unwrap()
}

fn version(saved: Saved) -> Version {
    let Saved::Saved(version) = saved else { panic!("{saved:?}") };
    version
}

#[tokio::test]
async fn what_is_no_record_is_no_session() {
    let store = open("odd:").await;
    raw(&[b"RPUSH", b"odd:list", b"x"]).await;
    raw(&[b"SET", b"odd:bytes", b"{\"cookie\":{}}\xff"]).await;
    for odd in ["list", "bytes"] {
        assert!(store.load(&id(odd)).await.unwrap().is_none(), "{odd}");
    }
    assert!(store.all(None, 10).await.unwrap().sessions.is_empty());
}

#[tokio::test]
async fn a_blind_set_of_node_is_a_change() {
    let store = open("blind:").await;
    let (a, b) = (id("a"), id("b"));
    let loaded = version(store.save(&a, &record(1), Precondition::Absent).await.unwrap());
    raw(&[b"SET", b"blind:a", record(2).text().as_bytes(), b"EX", b"100"]).await;

    let when = Precondition::Unchanged(&loaded);
    assert_eq!(store.save(&a, &record(3), when).await.unwrap(), Saved::Conflict);
    assert_eq!(store.rotate(&a, &b, &record(3), &loaded).await.unwrap(), Saved::Conflict);
    let cookie = record(1).cookie().clone();
    assert!(store.touch(&a, &cookie, Some(&loaded)).await.unwrap(), "it lives");
    let stored = store.load(&a).await.unwrap().unwrap();
    assert_eq!(stored.text, *record(2).text());
    assert!(stored.expires.unwrap() < SystemClock.now() + Duration::from_secs(101), "untouched");
}

#[tokio::test]
async fn a_key_without_a_ttl_never_expires() {
    let store = open("endless:").await;
    raw(&[b"SET", b"endless:a", record(1).text().as_bytes()]).await;
    assert_eq!(store.load(&id("a")).await.unwrap().unwrap().expires, None);
}

#[tokio::test]
async fn scripts_that_the_server_forgot_are_sent_again() {
    let store = open("forgot:").await;
    let a = id("a");
    let mut loaded = version(store.save(&a, &record(0), Precondition::Absent).await.unwrap());
    for n in 1..4 {
        raw(&[b"SCRIPT", b"FLUSH", b"SYNC"]).await;
        let saved = store.save(&a, &record(n), Precondition::Unchanged(&loaded)).await.unwrap();
        loaded = version(saved);
    }
    raw(&[b"SCRIPT", b"FLUSH", b"SYNC"]).await;
    assert!(store.touch(&a, record(1).cookie(), Some(&loaded)).await.unwrap());
    raw(&[b"SCRIPT", b"FLUSH", b"SYNC"]).await;
    version(store.rotate(&a, &id("b"), &record(9), &loaded).await.unwrap());
}

#[tokio::test]
async fn a_prefix_is_no_pattern() {
    let (odd, other) = (open(r"s[1]*?\:").await, open("s1xx:").await);
    odd.save(&id("a"), &record(1), Precondition::Absent).await.unwrap();
    other.save(&id("b"), &record(2), Precondition::Absent).await.unwrap();
    assert_eq!(odd.length().await.unwrap(), 1);
    assert_eq!(odd.all(None, 10).await.unwrap().sessions[0].0, id("a"));
    odd.clear().await.unwrap();
    assert_eq!((odd.length().await.unwrap(), other.length().await.unwrap()), (0, 1));
}

#[tokio::test]
async fn a_listing_lists_thousands_once_in_pages_of_any_size() {
    let store = open("many:").await;
    let mut saves = tokio::task::JoinSet::new();
    for n in 0..2_500 {
        let store = store.clone();
        saves.spawn(async move {
            store.save(&id(&n.to_string()), &record(n), Precondition::None).await
        });
    }
    assert!(saves.join_all().await.into_iter().all(|saved| saved.is_ok()));
    for limit in [100, 999, 5_000] {
        let (mut listed, mut from) = (std::collections::HashSet::new(), None);
        loop {
            let page = store.all(from.as_ref(), limit).await.unwrap();
            assert!(page.sessions.len() <= limit);
            for (id, _) in page.sessions {
                assert!(listed.insert(id), "listed twice");
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(listed.len(), 2_500, "in pages of {limit}");
    }
}

#[tokio::test]
async fn a_password_is_asked_for_and_told_nobody() {
    let server = server::redis().unwrap();
    let guarded = server.url().replace("redis://", "redis://:hunter2@");
    let connect = |url: String| async move { RedisStore::connect(&url).await };
    let open = RedisStore::connect(server.url()).await.unwrap();
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("requirepass").arg("hunter2");
    open.inner.change(b"", set).await.unwrap();

    let store = connect(guarded.clone()).await.unwrap();
    store.save(&id("a"), &record(1), Precondition::Absent).await.unwrap();
    assert!(!format!("{store:?}").contains("hunter2"));
    for wrong in [server.url().to_owned(), guarded.replace("hunter2", "hunter3")] {
        let error = connect(wrong).await.unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(error.to_string().contains("the right user name and password"), "{said}");
        assert!(!said.contains("hunter"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_request_after_a_restart_finds_a_new_connection() {
    let server = server::redis().unwrap();
    let store = RedisStore::connect(server.url()).await.unwrap();
    let a = id("a");
    for n in 0..3 {
        store.save(&a, &record(n), Precondition::None).await.unwrap();
        tokio::task::block_in_place(|| {
            server.kill().unwrap();
            server.restart().unwrap();
        });
    }
    assert_eq!(store.load(&a).await.unwrap().unwrap().text, *record(2).text());
}

#[tokio::test]
async fn a_number_of_a_database_is_kept_to() {
    let zero = open("db:").await;
    let url = format!("{}/1", SERVER.url());
    let one = RedisStore::builder(&url).with_prefix("db:").connect().await.unwrap();
    one.save(&id("a"), &record(1), Precondition::Absent).await.unwrap();
    assert!(zero.load(&id("a")).await.unwrap().is_none());
    assert_eq!((zero.length().await.unwrap(), one.length().await.unwrap()), (0, 1));
}

#[tokio::test]
async fn a_user_may_do_what_the_docs_say_and_need_no_more() {
    let docs = include_str!("../mod.rs");
    let (_, listed) = docs.split_once("The user of the URL needs\n/// `").unwrap();
    let (commands, _) = listed.split_once('`').unwrap();
    let mut rules: Vec<&[u8]> =
        vec![b"ACL", b"SETUSER", b"web", b"on", b">pw", b"~sess:*", b"-@all"];
    rules.extend(commands.split_whitespace().filter(|word| *word != "///").map(str::as_bytes));
    assert_eq!(raw(&rules).await, Value::Okay);

    let url = SERVER.url().replace("redis://", "redis://web:pw@");
    let store = RedisStore::builder(&url).with_prefix("sess:acl:").connect().await.unwrap();
    let [a, b] = ["a", "b"].map(id);
    let new = version(store.save(&a, &record(1), Precondition::Absent).await.unwrap());
    let saved = store.save(&a, &record(2), Precondition::Unchanged(&new)).await.unwrap();
    assert!(store.touch(&a, record(2).cookie(), None).await.unwrap());
    let moved = store.rotate(&a, &b, &record(3), &version(saved)).await.unwrap();
    assert!(store.touch(&b, record(3).cookie(), Some(&version(moved))).await.unwrap());
    assert!(store.load(&b).await.unwrap().is_some());
    assert_eq!(store.all(None, 10).await.unwrap().sessions.len(), 1);
    assert!(store.destroy(&b).await.unwrap());
    let gone =
        record(1).text().replace(r#""expires":null"#, r#""expires":"2001-01-01T00:00:00.000Z""#);
    let gone = Record::parse(gone).unwrap();
    assert_eq!(store.save(&a, &gone, Precondition::Exists).await.unwrap(), Saved::Gone);
    version(store.save(&a, &gone, Precondition::Absent).await.unwrap());
    store.clear().await.unwrap();
}
