//! Any `Cookie` header is read without a panic, and what we write into one comes back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sessile_core::{SetCookie, parse_cookies};

fuzz_target!(|header: &str| {
    let pairs: Vec<_> = parse_cookies(header).collect();
    assert!(pairs.len() <= header.matches('=').count());

    let mut written = Vec::new();
    for (name, value) in &pairs {
        assert!(!name.contains([';', '=']), "{name:?} swallowed a separator");
        assert!(value.len() <= header.len(), "decoding never grows a value");
        if let Ok(pair) = SetCookie::new(name, value).serialize() {
            written.push(((*name, value.clone()), pair));
        }
    }
    let (expected, texts): (Vec<_>, Vec<_>) = written.into_iter().unzip();
    let again = texts.join("; ");
    assert_eq!(parse_cookies(&again).collect::<Vec<_>>(), expected, "{again:?}");
});
