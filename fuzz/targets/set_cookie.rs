//! A `Set-Cookie` header holds the attributes it was given, each once, and nothing
//! that a value, a domain or a path smuggles in.

#![no_main]

use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use sessile_core::{Priority, SameSite, SetCookie, parse_cookies};

fuzz_target!(|data: &[u8]| {
    // Fields end at 0xFF, which no text holds.
    let mut fields = data.splitn(5, |byte| *byte == 0xFF);
    let mut text = || std::str::from_utf8(fields.next().unwrap_or_default()).ok();
    let (Some(name), Some(value), Some(domain), Some(path)) = (text(), text(), text(), text())
    else {
        return;
    };
    let switches = Switches(fields.next().unwrap_or_default());

    let (cookie, attributes) =
        switches.apply(SetCookie::new(name, value).domain(domain).path(path));
    let Ok(header) = cookie.serialize() else { return };

    assert!(header.bytes().all(|byte| (0x20..0x7F).contains(&byte)), "{header:?}");
    let mut parts = header.split("; ");
    let pair = parts.next().unwrap_or_default();
    assert_eq!(parse_cookies(pair).collect::<Vec<_>>(), [(name, value.into())], "{header:?}");
    assert!(!pair.contains([';', ',', ' ', '"', '\\']), "{header:?}");

    let mut expected: Vec<String> = Vec::new();
    expected.extend(attributes.max_age);
    expected.extend((!domain.is_empty()).then(|| format!("Domain={domain}")));
    expected.extend((!path.is_empty()).then(|| format!("Path={path}")));
    let (expires, rest): (Vec<_>, Vec<_>) = parts.partition(|part| part.starts_with("Expires="));
    assert_eq!(expires.len(), usize::from(attributes.expires), "{header:?}");
    assert!(expires.iter().all(|date| date.ends_with(" GMT") && !date.contains(';')), "{header:?}");
    expected.extend(attributes.flags.iter().map(|flag| (*flag).to_owned()));
    assert_eq!(rest, expected, "{header:?}");
});

/// The attributes that are not text, chosen by the bits of the last field.
struct Switches<'d>(&'d [u8]);

/// What of them the header must show.
struct Expected {
    max_age: Option<String>,
    expires: bool,
    flags: Vec<&'static str>,
}

impl Switches<'_> {
    fn on(&self, bit: usize) -> bool {
        self.0.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
    }

    fn number(&self) -> i64 {
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(self.0.iter().skip(2)) {
            *to = *from;
        }
        i64::from_le_bytes(bytes)
    }

    fn apply<'c>(&self, mut cookie: SetCookie<'c>) -> (SetCookie<'c>, Expected) {
        let mut expected = Expected { max_age: None, expires: false, flags: Vec::new() };
        if self.on(0) {
            cookie = cookie.max_age(self.number());
            expected.max_age = Some(format!("Max-Age={}", self.number()));
        }
        if self.on(1) {
            let date = SystemTime::UNIX_EPOCH
                .checked_add(Duration::from_millis(self.number().unsigned_abs()));
            cookie = cookie.expires(date.unwrap_or(SystemTime::UNIX_EPOCH));
            expected.expires = true;
        }
        let flags = [(2, "HttpOnly"), (3, "Secure"), (4, "Partitioned")];
        expected.flags.extend(flags.iter().filter(|(bit, _)| self.on(*bit)).map(|(_, flag)| flag));
        cookie = cookie.http_only(self.on(2)).secure(self.on(3)).partitioned(self.on(4));
        if self.on(5) {
            let (priority, word) = match (self.on(6), self.on(7)) {
                (true, _) => (Priority::High, "Priority=High"),
                (false, true) => (Priority::Low, "Priority=Low"),
                (false, false) => (Priority::Medium, "Priority=Medium"),
            };
            cookie = cookie.priority(priority);
            expected.flags.push(word);
        }
        if self.on(8) {
            let (same_site, word) = match (self.on(9), self.on(10)) {
                (true, _) => (SameSite::Lax, "SameSite=Lax"),
                (false, true) => (SameSite::None, "SameSite=None"),
                (false, false) => (SameSite::Strict, "SameSite=Strict"),
            };
            cookie = cookie.same_site(same_site);
            expected.flags.push(word);
        }
        (cookie, expected)
    }
}
