//! Whatever a store gives back is a record or none; a record stays JSON, and
//! what nobody touched stays as it was.

#![no_main]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use sessile_core::{Record, SessionCookie};

fuzz_target!(|text: &str| {
    let record = Record::parse(text);
    if let Some(record) = &record {
        assert!(is_json(text), "taken for JSON");
        assert_eq!(record.text().as_ref(), text);
        moves_through_time(record.cookie().clone());
    }
    if let Some(cookie) = SessionCookie::from_json(text) {
        moves_through_time(cookie);
    }
    replaces_only_the_cookie(text, record.as_ref());
});

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// What is read, and what becomes of it as time passes, is written as JSON that reads the same.
fn moves_through_time(mut cookie: SessionCookie) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_893_553_445_678);
    reads_as_written(&cookie);
    let _ = (cookie.secure(), cookie.max_age(now), cookie.original_max_age());
    cookie.touch(now);
    reads_as_written(&cookie);
    cookie.set_max_age(cookie.original_max_age(), now);
    reads_as_written(&cookie);
    cookie.set_expires(cookie.expires(), now);
    reads_as_written(&cookie);
}

fn reads_as_written(cookie: &SessionCookie) {
    let json = cookie.to_json();
    assert!(is_json(&json), "{json}");
    let again = SessionCookie::from_json(&json).expect("what we wrote");
    assert_eq!(again.to_json(), json);
    assert_eq!(again.expires(), cookie.expires(), "{json}");
}

fn replaces_only_the_cookie(text: &str, record: Option<&Record>) {
    let cookie = r#"{"originalMaxAge":60000,"expires":"2030-01-02T03:04:05.678Z","path":"/"}"#;
    let cookie = SessionCookie::from_json(cookie).expect("it is one");
    let Some(replaced) = Record::with_cookie(text, &cookie) else {
        assert!(record.is_none(), "a record's cookie can be replaced");
        return;
    };
    let record = Record::parse(replaced.as_str()).expect("it is still a record");
    assert_eq!(record.cookie(), &cookie);

    // Where the cookie stands, as another parser sees it; it reads escapes in keys, which we do not.
    if text.contains('\\') {
        return;
    }
    let members: BTreeMap<&str, &RawValue> = serde_json::from_str(text).expect("an object");
    let old = members["cookie"].get();
    let start = old.as_ptr().addr() - text.as_ptr().addr();
    let expected = [&text[..start], &cookie.to_json(), &text[start + old.len()..]].concat();
    assert_eq!(replaced, expected);
}
