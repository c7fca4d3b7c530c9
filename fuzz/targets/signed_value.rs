//! Only what one of the secrets signed is accepted, and all of it is.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sessile_core::{Secrets, SetCookie, parse_cookies};

static NEW: LazyLock<Secrets> = LazyLock::new(|| secrets(&["keyboard cat"]));
static OLD: LazyLock<Secrets> = LazyLock::new(|| secrets(&["tobiiscool"]));
static BOTH: LazyLock<Secrets> = LazyLock::new(|| secrets(&["keyboard cat", "tobiiscool"]));

fn secrets(secrets: &[&str]) -> Secrets {
    Secrets::new(secrets).expect("none of them is empty")
}

fuzz_target!(|text: &str| {
    if let Some(value) = BOTH.unsign(text) {
        assert!([NEW.sign(value), OLD.sign(value)].iter().any(|signed| signed == text));
    }
    assert_eq!(BOTH.unsign(text).is_some(), NEW.unsign(text).or(OLD.unsign(text)).is_some());

    let signed = NEW.sign(text);
    assert_eq!(NEW.unsign(&signed), Some(text));
    assert_eq!(BOTH.sign(text), signed, "the first secret signs");
    assert_eq!(BOTH.unsign(&OLD.sign(text)), Some(text), "the others still verify");
    assert_eq!(OLD.unsign(&signed), None);
    forged(&signed);
    through_a_cookie(&signed);
});

/// One bit changed, at the place that the value itself chooses, and it is refused.
fn forged(signed: &str) {
    let sum: usize = signed.bytes().map(usize::from).sum();
    let (at, bit) = (sum % signed.len(), sum % 7);
    let mut bytes = signed.as_bytes().to_vec();
    bytes[at] ^= 1 << bit;
    if let Ok(forged) = String::from_utf8(bytes) {
        assert_eq!(NEW.unsign(&forged), None, "{forged:?}");
    }
}

fn through_a_cookie(signed: &str) {
    let header = SetCookie::new("connect.sid", signed).serialize().expect("the name is a token");
    let (name, value) = parse_cookies(&header).next().expect("it is a pair");
    assert_eq!((name, value.as_ref()), ("connect.sid", signed));
}
