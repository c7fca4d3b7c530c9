//! Golden vectors: what npm's cookie, cookie-signature, uid-safe and
//! express-session really wrote, against what we write. See fixtures/express/README.md.

#![allow(clippy::unwrap_used, reason = "a vector that does not read fails the test")]

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use sessile_core::{
    IdGenerator, Priority, RandomIds, Record, SameSite, Secrets, SessionCookie, SetCookie,
    parse_cookies,
};

static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/express/vectors.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
});

/// The vectors of one group; a test that saw none would prove nothing.
fn vectors(group: &str, count: usize) -> &'static [Value] {
    let group = match &VECTORS[group] {
        Value::Array(vectors) => vectors,
        other => other["rows"].as_array().unwrap(),
    };
    assert_eq!(group.len(), count);
    group
}

fn text<'v>(vector: &'v Value, key: &str) -> &'v str {
    vector[key].as_str().unwrap()
}

fn at(millis: i64) -> SystemTime {
    let distance = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
}

#[test]
fn session_cookies_are_signed_and_encoded_as_in_express() {
    for vector in vectors("express_session_cookie", 136) {
        let secrets = Secrets::new([text(vector, "secret")]).unwrap();
        let ticket = format!("s:{}", secrets.sign(text(vector, "sid")));
        let cookie = SetCookie::new("n", &ticket).serialize().unwrap();
        let strings: Vec<_> =
            vector.as_object().unwrap().values().filter_map(Value::as_str).collect();
        assert!(strings.contains(&&cookie[2..]), "{vector}\n{cookie}");
    }
}

#[test]
fn secrets_may_be_bytes() {
    for vector in vectors("cookie_signature_binary_keys", 3) {
        let hex = text(vector, "secret_hex");
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let secret: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        let secrets = Secrets::new([secret]).unwrap();
        assert_eq!(secrets.sign(text(vector, "sid")), text(vector, "1.0.7"));
    }
}

#[test]
fn only_signed_values_verify_as_in_cookie_signature() {
    for vector in vectors("unsign", 18) {
        let secrets = Secrets::new([text(vector, "secret")]).unwrap();
        assert_eq!(secrets.unsign(text(vector, "input")), vector["1.0.7"].as_str(), "{vector}");
    }
}

#[test]
fn secrets_rotate_the_first_signs_and_all_verify() {
    for vector in vectors("secret_rotation", 16) {
        let configured = vector["configured_secrets"].as_array().unwrap();
        let configured: Vec<_> = configured.iter().map(|secret| secret.as_str().unwrap()).collect();
        let secrets = Secrets::new(&configured).unwrap();
        let value = text(vector, "cookie_value").strip_prefix("s:").unwrap();
        assert_eq!(secrets.unsign(value), vector["accepted_sid"].as_str(), "{vector}");
        let first = Secrets::new([text(vector, "new_cookies_signed_with")]).unwrap();
        assert_eq!(secrets.sign("id"), first.sign("id"));
    }
}

/// What JavaScript takes for true.
fn truthy(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && value != "" && value != 0
}

fn same_site(value: &Value) -> Option<SameSite> {
    match value.as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("auto") => Some(SameSite::Auto),
        Some("lax") => Some(SameSite::Lax),
        Some("none") => Some(SameSite::None),
        Some("strict") => Some(SameSite::Strict),
        _ => (value == true).then_some(SameSite::Strict),
    }
}

fn priority(value: &Value) -> Option<Priority> {
    match value.as_str()?.to_ascii_lowercase().as_str() {
        "high" => Some(Priority::High),
        "low" => Some(Priority::Low),
        "medium" => Some(Priority::Medium),
        _ => None,
    }
}

fn date(value: &Value) -> Option<SystemTime> {
    let text = value.as_str()?;
    let text = text.strip_prefix("Date:").unwrap_or(text);
    SessionCookie::from_json(&format!(r#"{{"expires":"{text}"}}"#))?.expires()
}

fn cookie<'v>(name: &'v str, value: &'v str, options: &'v Value) -> SetCookie<'v> {
    let mut cookie = SetCookie::new(name, value)
        .domain(options["domain"].as_str().unwrap_or_default())
        .path(options["path"].as_str().unwrap_or_default())
        .http_only(truthy(&options["httpOnly"]))
        .secure(truthy(&options["secure"]))
        .partitioned(truthy(&options["partitioned"]));
    if let Some(seconds) = options["maxAge"].as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "cookie 0.7.2 cuts fractions too")]
        let seconds = seconds as i64;
        cookie = cookie.max_age(seconds);
    }
    if let Some(expires) = date(&options["expires"]) {
        cookie = cookie.expires(expires);
    }
    if let Some(priority) = priority(&options["priority"]) {
        cookie = cookie.priority(priority);
    }
    match same_site(&options["sameSite"]) {
        Some(same_site) => cookie.same_site(same_site),
        None => cookie,
    }
}

#[test]
fn set_cookie_is_written_as_in_node_for_every_combination() {
    for vector in vectors("cookie_serialize_matrix", 2560) {
        let options = &vector[0];
        let header = cookie("n", "v", options).serialize().unwrap();
        assert_eq!(header, vector[1].as_str().unwrap(), "{options}");
    }
}

/// What our types cannot even express: wrong types, and values that are no option.
fn is_expressible(options: &Value) -> bool {
    let known = |key: &str, parses: bool| options.get(key).is_none_or(|v| !truthy(v) || parses);
    known("sameSite", same_site(&options["sameSite"]).is_some())
        && known("priority", priority(&options["priority"]).is_some())
        && known("expires", date(&options["expires"]).is_some())
        && known("maxAge", options["maxAge"].is_number())
}

#[test]
fn set_cookie_refuses_what_node_refuses() {
    let (mut written, mut refused) = (0, 0);
    for vector in vectors("cookie_serialize_cases", 37) {
        let (options, expected) = (&vector["options"], &vector["0.7.2"]);
        if !is_expressible(options) || text(vector, "value").starts_with("(lone surrogate") {
            assert!(expected["throws"].is_string(), "{vector}");
            refused += 1;
            continue;
        }
        let header = cookie(text(vector, "name"), text(vector, "value"), options).serialize();
        match expected["ok"].as_str() {
            Some(expected) => assert_eq!(header.unwrap(), expected, "{vector}"),
            None => assert!(header.is_err(), "{vector}"),
        }
        written += 1;
    }
    assert_eq!((written, refused), (30, 7));
}

#[test]
fn dates_are_written_as_in_javascript() {
    for vector in vectors("http_dates", 14) {
        let time = at(vector["ms"].as_i64().unwrap());
        let header = SetCookie::new("n", "v").expires(time).serialize().unwrap();
        assert_eq!(header, format!("n=v; Expires={}", text(vector, "utc")));
        let json = format!(r#"{{"expires":"{}","path":"/"}}"#, text(vector, "iso"));
        let cookie = SessionCookie::from_json(&json).unwrap();
        assert_eq!(cookie.expires(), Some(time), "{vector}");
        assert_eq!(cookie.to_json(), json);
    }
}

#[test]
fn cookie_headers_are_read_as_in_node() {
    for vector in vectors("cookie_parse", 27) {
        let mut pairs = serde_json::Map::new();
        for (name, value) in parse_cookies(text(vector, "header")) {
            // A JavaScript object has no property of that name to set.
            if name != "__proto__" {
                pairs.entry(name).or_insert_with(|| Value::from(value.into_owned()));
            }
        }
        assert_eq!(Value::Object(pairs), vector["0.7.2"], "{vector}");
    }
}

#[test]
fn new_ids_look_like_those_of_uid_safe() {
    let sample = VECTORS["uid_safe"]["sample"].as_str().unwrap();
    let shape = |id: &str| {
        id.len() == 32 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    assert!(shape(sample) && shape(RandomIds.generate().unwrap().as_str()));
}

fn is_record(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|record| record["cookie"].is_object())
}

/// Every JSON text with a cookie in it that any Node store wrote.
fn records_in<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) if is_record(text) => found.push(text),
        Value::Array(values) => values.iter().for_each(|value| records_in(value, found)),
        Value::Object(values) => values.values().for_each(|value| records_in(value, found)),
        _ => {}
    }
}

#[test]
fn records_of_every_node_store_read_and_write_back_byte_for_byte() {
    let mut texts = Vec::new();
    for group in ["express_session_cookie_options", "express_session_options", "store_records"] {
        records_in(&VECTORS[group], &mut texts);
    }
    let mut cookies = 0;
    for text in texts {
        let record = Record::parse(text).unwrap();
        let written = Record::with_cookie(text, record.cookie()).unwrap();
        // An empty cookie gains what Node's `new Cookie` would give it.
        if !text.contains(r#""cookie":{}"#) {
            assert_eq!(written, text);
        }
        cookies += 1;
    }
    assert!(cookies > 150, "{cookies}");
}
