//! The commands that sessions take, and what their answers mean. No I/O.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};
use sessile_core::{Precondition, Record, Saved, Version};

use super::scripts::{FINISH, RELEASE, ROTATE, SAVE, TAKE, TOUCH};

/// The answers of the scripts; any other, which is 1, is a conflict.
const GONE: i64 = 0;
const SAVED: i64 = 2;

/// What no record is: the version of another store equals nothing.
const NO_RECORD: &str = "\0";

/// What a load asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wanted {
    Record,
    RecordAndExpiry,
}

/// `GET` and, if the expiry is wanted, `PTTL` in one write: one round trip, and less work
/// for the server than a script or a transaction.
pub(super) fn load(key: &[u8], wanted: Wanted) -> impl Iterator<Item = Cmd> {
    let names: &[&str] = match wanted {
        Wanted::Record => &["GET"],
        Wanted::RecordAndExpiry => &["GET", "PTTL"],
    };
    names.iter().map(move |name| {
        let mut command = Cmd::with_capacity(2, name.len() + key.len());
        command.arg(name).arg(key);
        command
    })
}

/// What a load found.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Loaded {
    Malformed(&'static str),
    Nothing,
    Record { text: Arc<str>, left: Option<Duration> },
}

/// What `PTTL` says of a key that does not expire.
const ENDLESS: i64 = -1;

/// Larger values are nobody's session.
const MOST_BYTES: usize = 64 << 20;

pub(super) fn loaded(answers: &[Value], wanted: Wanted) -> Loaded {
    let (bytes, left) = match (wanted, answers) {
        (Wanted::Record, [Value::BulkString(bytes)]) => (bytes, ENDLESS),
        (Wanted::RecordAndExpiry, [Value::BulkString(bytes), Value::Int(left)]) => (bytes, *left),
        _ => return Loaded::Nothing,
    };
    if bytes.len() > MOST_BYTES {
        return Loaded::Malformed("its record is too large");
    }
    if bytes.starts_with(RESERVED) {
        return Loaded::Nothing;
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Loaded::Malformed("its record is no text");
    };
    match left {
        ENDLESS => Loaded::Record { text: text.into(), left: None },
        // It expired between the two commands.
        ..=0 => Loaded::Nothing,
        left => {
            let left = Some(Duration::from_millis(left.unsigned_abs()));
            Loaded::Record { text: text.into(), left }
        }
    }
}

/// Saves `record` for `seconds` if `when` holds.
pub(super) fn save(key: &[u8], record: &Record, seconds: i64, when: Precondition<'_>) -> Cmd {
    let text = record.text().as_bytes();
    let set = |only: Option<&str>| {
        let mut set = redis::cmd("SET");
        set.arg(key).arg(text).arg("EX").arg(seconds).arg(only);
        set
    };
    match (when, seconds > 0) {
        (Precondition::Unchanged(version), _) => {
            let seconds = seconds.to_string();
            SAVE.call(&[key], &[known(version), text, seconds.as_bytes()])
        }
        (Precondition::Absent, true) => set(Some("NX")),
        (Precondition::Exists, true) => set(Some("XX")),
        (Precondition::None, true) => set(None),
        // What has expired already leaves no session, as in Node.
        (Precondition::Absent, false) => on(key, "EXISTS"),
        (Precondition::Exists | Precondition::None, false) => on(key, "DEL"),
    }
}

pub(super) fn saved(record: &Record, when: Precondition<'_>, answer: &Value) -> Saved {
    let saved = || Saved::Saved(Version::text(Arc::clone(record.text())));
    match (when, answer) {
        (Precondition::Unchanged(_), answer) => moved(record, answer),
        (Precondition::Absent, Value::Nil | Value::Int(1)) => Saved::Conflict,
        (Precondition::Exists, Value::Nil | Value::Int(0)) => Saved::Gone,
        _ => saved(),
    }
}

pub(super) fn touch(key: &[u8], seconds: i64, since: Option<&Version>) -> Cmd {
    match since {
        Some(since) => TOUCH.call(&[key], &[known(since), seconds.to_string().as_bytes()]),
        None => {
            let mut expire = redis::cmd("EXPIRE");
            expire.arg(key).arg(seconds);
            expire
        }
    }
}

pub(super) fn destroy(key: &[u8]) -> Cmd {
    on(key, "DEL")
}

/// Tells whether a command found a session to act on.
pub(super) fn found(answer: &Value) -> bool {
    matches!(answer, Value::Int(count) if *count > 0)
}

/// Moves a session where both its keys are on one server.
pub(super) fn rotate(
    [from, to]: [&[u8]; 2],
    record: &Record,
    seconds: i64,
    version: &Version,
) -> Cmd {
    let (text, seconds) = (record.text().as_bytes(), seconds.to_string());
    ROTATE.call(&[from, to], &[known(version), text, seconds.as_bytes()])
}

/// What a reservation begins with. To Node it is the number zero, which it takes for no
/// session; a record begins otherwise.
const RESERVED: &[u8] = b"0e";
/// Longer than a rotation takes at the most.
const RESERVED_SECONDS: u32 = 120;

/// Returns a reservation unlike any other: zero times ten to the power of `number`.
pub(super) fn reservation(number: u64) -> String {
    format!("0e{number}")
}

/// Takes a key that nobody has.
pub(super) fn reserve(key: &[u8], reservation: &str) -> Cmd {
    let mut set = redis::cmd("SET");
    set.arg(key).arg(reservation).arg("EX").arg(RESERVED_SECONDS).arg("NX");
    set
}

pub(super) fn take(key: &[u8], version: &Version) -> Cmd {
    TAKE.call(&[key], &[known(version)])
}

pub(super) fn finish(key: &[u8], reservation: &str, record: &Record, seconds: i64) -> Cmd {
    let (text, seconds) = (record.text().as_bytes(), seconds.to_string());
    FINISH.call(&[key], &[reservation.as_bytes(), text, seconds.as_bytes()])
}

pub(super) fn release(key: &[u8], reservation: &str) -> Cmd {
    RELEASE.call(&[key], &[reservation.as_bytes()])
}

/// Reads the answer of a script that saves.
pub(super) fn moved(record: &Record, answer: &Value) -> Saved {
    match answer {
        Value::Int(SAVED) => Saved::Saved(Version::text(Arc::clone(record.text()))),
        Value::Int(GONE) => Saved::Gone,
        _ => Saved::Conflict,
    }
}

/// Asks how durable the server is.
pub(super) fn durability() -> Cmd {
    let mut get = redis::cmd("CONFIG");
    get.arg("GET").arg("append*");
    get
}

/// Reads names and values, in whichever protocol.
pub(super) fn settings(answer: Value) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        _ => String::new(),
    };
    match answer {
        Value::Map(pairs) => pairs.iter().map(|(name, value)| (text(name), text(value))).collect(),
        Value::Array(words) => {
            words.chunks_exact(2).map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
        }
        _ => Vec::new(),
    }
}

/// Tells whether a setting lets an acknowledged save survive.
pub(super) fn is_durable(name: &str, value: &str) -> bool {
    match name {
        "appendonly" => value == "yes",
        "appendfsync" => value == "always",
        _ => true,
    }
}

/// Asks for some more keys that match `pattern`.
pub(super) fn scan(from: u64, pattern: &str, count: usize) -> Cmd {
    let mut scan = redis::cmd("SCAN");
    scan.arg(from).arg("MATCH").arg(pattern).arg("COUNT").arg(count);
    scan
}

/// Reads where a scan goes on, zero at its end, and the keys it found.
pub(super) fn scanned(answer: Value) -> Option<(u64, Vec<Vec<u8>>)> {
    let Value::Array(parts) = answer else { return None };
    let [Value::BulkString(next), Value::Array(keys)] = <[Value; 2]>::try_from(parts).ok()? else {
        return None;
    };
    let next = std::str::from_utf8(&next).ok()?.parse().ok()?;
    let keys = keys.into_iter().filter_map(|key| match key {
        Value::BulkString(key) => Some(key),
        _ => None,
    });
    Some((next, keys.collect()))
}

fn on(key: &[u8], name: &str) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(key);
    command
}

fn known(version: &Version) -> &[u8] {
    version.as_text().map_or(NO_RECORD, AsRef::as_ref).as_bytes()
}
