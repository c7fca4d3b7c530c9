//! What connect-redis wrote, read; and what it sent, sent.

use std::time::{Duration, SystemTime};

use redis::{Arg, Cmd, Value};
use sessile_core::{Precondition, Record, SessionCookie, SessionId};

use super::super::commands::{self, Loaded, Wanted};
use super::super::layout::Layout;

const DAY: Duration = Duration::from_secs(86_400);

fn layout() -> Layout {
    Layout { prefix: "sess:".to_owned(), default_lifetime: DAY }
}

/// The recordings of every version of connect-redis.
fn vectors() -> Vec<serde_json::Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/express/vectors.json");
    let text = std::fs::read_to_string(path).unwrap();
    let mut vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
    let serde_json::Value::Array(all) = vectors["store_records"].take() else { panic!("no list") };
    let redis = |vector: &serde_json::Value| {
        vector["store"].as_str().unwrap_or_default().starts_with("connect-redis@")
    };
    let found: Vec<_> = all.into_iter().filter(redis).collect();
    assert_eq!(found.len(), 10, "two scenarios of five versions");
    found
}

/// The one key that a recording is about, and what was under it.
fn entry(recorded: &serde_json::Value) -> (&str, &serde_json::Value) {
    let entries = recorded.as_object().unwrap().iter();
    let (key, value) = entries.into_iter().find(|(key, _)| *key != "commands").unwrap();
    (key, value)
}

fn words(command: &Cmd) -> Vec<String> {
    let word = |argument: Arg<&[u8]>| match argument {
        Arg::Simple(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        _ => panic!("no such argument is sent"),
    };
    command.args_iter().map(word).collect()
}

/// A recorded command whose name is `name`, which clients write in either case.
fn recorded(commands: &serde_json::Value, name: &str) -> Vec<String> {
    let all = commands.as_array().unwrap().iter();
    let all =
        all.map(|command| -> Vec<String> { serde_json::from_value(command.clone()).unwrap() });
    let mut found = all.into_iter().find(|words| words[0].eq_ignore_ascii_case(name)).unwrap();
    found[0] = name.to_owned();
    found
}

fn time(iso: &serde_json::Value) -> SystemTime {
    let cookie = SessionCookie::from_json(&format!(r#"{{"expires":{iso}}}"#)).unwrap();
    cookie.expires().unwrap()
}

#[test]
fn a_save_sends_what_connect_redis_sends() {
    for vector in vectors() {
        let (key, value) = entry(&vector["afterSet"]);
        let id = SessionId::new(key.strip_prefix("sess:").unwrap());
        let record = Record::parse(value["value"].as_str().unwrap()).unwrap();
        let seconds = layout().seconds(record.cookie(), time(&vector["clock"]));
        let save = commands::save(&layout().key(&id), &record, seconds, Precondition::None);
        let mut theirs = recorded(&vector["afterSet"]["commands"], "SET");
        // The recording escapes what is not ASCII; what arrived stands beside it.
        theirs[2] = record.text().to_string();
        assert_eq!(words(&save), theirs);
    }
}

#[test]
fn a_touch_sends_what_connect_redis_sends() {
    for vector in vectors() {
        let (key, value) = entry(&vector["afterTouch"]);
        let record = Record::parse(value["value"].as_str().unwrap()).unwrap();
        let now = time(&vector["touchClock"]);
        let mut cookie = record.cookie().clone();
        if cookie.expires().is_some() {
            cookie.set_expires(Some(now + Duration::from_secs(3600)), now);
        }
        let touch = commands::touch(key.as_bytes(), layout().seconds(&cookie, now), None);
        assert_eq!(words(&touch), recorded(&vector["afterTouch"]["commands"], "EXPIRE"));
    }
}

#[test]
fn what_connect_redis_wrote_is_read() {
    for vector in vectors() {
        for moment in ["afterSet", "afterTouch"] {
            let (_, value) = entry(&vector[moment]);
            let (text, pttl) = (value["value"].as_str().unwrap(), value["pttl"].as_i64().unwrap());
            let answers = [Value::BulkString(text.into()), Value::Int(pttl)];
            let left = Some(Duration::from_millis(pttl.unsigned_abs()));
            assert_eq!(
                commands::loaded(&answers, Wanted::RecordAndExpiry),
                Loaded::Record { text: text.into(), left }
            );
        }
    }
}

#[test]
fn lifetimes_are_rounded_up_to_seconds() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_678);
    let late = Duration::from_millis(10);
    for (left, seconds) in [(11, 1), (1009, 1), (1010, 1), (1011, 2), (1510, 2), (10, 0), (9, 0)] {
        let expires = now - late + Duration::from_millis(left);
        let mut cookie = SessionCookie::from_json(r#"{"expires":null}"#).unwrap();
        cookie.set_expires(Some(expires), now);
        assert_eq!(layout().seconds(&cookie, now), seconds, "{left} ms after {late:?} ago");
    }
    let endless = SessionCookie::from_json(r#"{"expires":null}"#).unwrap();
    assert_eq!(layout().seconds(&endless, now), 86_400);
    let forever = Layout { default_lifetime: Duration::MAX, ..layout() };
    assert!(forever.seconds(&endless, now).checked_mul(1000).is_some(), "redis counts in ms");
}

#[test]
fn what_expires_while_it_is_read_is_gone() {
    let text = || Value::BulkString(b"{}".to_vec());
    assert_eq!(
        commands::loaded(&[text(), Value::Int(-2)], Wanted::RecordAndExpiry),
        Loaded::Nothing
    );
    assert_eq!(
        commands::loaded(&[Value::Nil, Value::Int(-2)], Wanted::RecordAndExpiry),
        Loaded::Nothing
    );
    let endless = Loaded::Record { text: "{}".into(), left: None };
    assert_eq!(commands::loaded(&[text(), Value::Int(-1)], Wanted::RecordAndExpiry), endless);
}
