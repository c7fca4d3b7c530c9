//! Whatever answers in memcached's place: reading it never panics, never reads beyond the
//! answer, and does not depend on how the bytes arrive.

#![no_main]

#[allow(dead_code, reason = "its other readers are elsewhere")]
#[path = "../../crates/sessile/src/stores/memcached/reply.rs"]
mod reply;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some((reply, length))) = reply::parse(bytes) else { return };
    assert!(length <= bytes.len());
    assert_eq!(reply::parse(&bytes[..length]), Ok(Some((reply.clone(), length))));
    for cut in [0, length / 3, length / 2, length - 1] {
        assert_eq!(reply::parse(&bytes[..cut]), Ok(None), "of {length} bytes {cut} are no answer");
    }
    if let reply::Reply::Value(value, _) = reply {
        assert!(bytes[..length].ends_with(&[&value[..], b"\r\n"].concat()));
    }
});
