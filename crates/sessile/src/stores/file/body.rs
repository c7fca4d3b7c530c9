//! What stands in a file: a record, and `__lastAccess` for `session-file-store`.
//!
//! Mirrors `isExpired` and `setLastAccess` of `session-file-store`
//! (`lib/session-file-helpers.js`, 1.5.0).

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sessile_core::{Record, SessionCookie, Stored, Version};

use crate::stores::instant::{from_millis, to_millis};
use crate::stores::touched::state;

const KEY: &str = r#""__lastAccess""#;

/// A session as its file keeps it.
pub(super) struct Body {
    pub(super) record: Record,
    pub(super) version: Version,
    /// Milliseconds since 1970; `None` for a session that never expires.
    expires: Option<i64>,
}

impl Body {
    /// Reads a file; `None` if it holds no record. `lifetime` is that of a session
    /// whose cookie has no max age.
    pub(super) fn parse(content: &str, lifetime: Duration) -> Option<Self> {
        let access = LastAccess::find(content);
        let text = match &access {
            Some(access) => [&content[..access.span.start], &content[access.span.end..]].concat(),
            None => content.to_owned(),
        };
        let record = Record::parse(text)?;
        let expires = access.map(|access| access.millis + max_age(record.cookie(), lifetime));
        let expires = expires.map(|expires| expires.floor() as i64);
        Some(Self { version: Version::text(state(&record)), record, expires })
    }

    pub(super) fn lives(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| expires > to_millis(now))
    }

    pub(super) fn into_stored(self) -> Stored {
        Stored::new(Arc::clone(self.record.text()), self.version, self.expires.map(from_millis))
    }
}

/// Returns what to write for `record` so that it dies at `expires`, for Node too.
///
/// Node adds the cookie's max age to the last access, so that is when the access must
/// have been: now, unless somebody set another expiry.
pub(super) fn content(record: &Record, expires: i64, lifetime: Duration) -> String {
    let accessed = expires as f64 - max_age(record.cookie(), lifetime);
    let text = record.text();
    let end = text.rfind('}').unwrap_or(text.len());
    format!("{},{KEY}:{accessed}{}", &text[..end], &text[end..])
}

/// `cookie.originalMaxAge || ttl * 1000`
fn max_age(cookie: &SessionCookie, lifetime: Duration) -> f64 {
    // `original_max_age()` has no negative durations.
    let json = cookie.to_json();
    let number = json.strip_prefix(r#"{"originalMaxAge":"#).and_then(|rest| rest.split(',').next());
    let age = number.and_then(|number| number.parse().ok()).filter(|age: &f64| *age != 0.0);
    age.unwrap_or(lifetime.as_secs_f64() * 1000.0)
}

/// Where the member stands that the file has beside the record.
struct LastAccess {
    /// With the comma that parts it from the other members.
    span: Range<usize>,
    millis: f64,
}

impl LastAccess {
    /// Finds the last one, which is Node's. An application may have put another one
    /// before it, and gets it back.
    ///
    /// Whether the text is JSON at all is for others to say.
    fn find(content: &str) -> Option<Self> {
        let (bytes, mut depth, mut at, mut found) = (content.as_bytes(), 0_usize, 0, None);
        while at < bytes.len() {
            match bytes[at] {
                b'"' => {
                    let key = at..string_end(bytes, at)?;
                    at = key.end;
                    if depth == 1 && &content[key.clone()] == KEY {
                        found = Self::at(content, key).or(found);
                    }
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.checked_sub(1)?,
                _ => {}
            }
            at += 1;
        }
        found
    }

    fn at(content: &str, key: Range<usize>) -> Option<Self> {
        let value = content[key.end..].trim_start().strip_prefix(':')?.trim_start();
        let rest =
            value.trim_start_matches(|c: char| !matches!(c, ',' | '}') && !c.is_whitespace());
        let millis = value[..value.len() - rest.len()].parse().ok()?;
        let end = content.len() - rest.len();
        let before = content[..key.start].trim_end();
        let span = match before.strip_suffix(',') {
            Some(before) => before.len()..end,
            None if rest.trim_start().starts_with(',') => {
                key.start..content.len() - rest.trim_start().len() + 1
            }
            None => key.start..end,
        };
        Some(Self { span, millis })
    }
}

/// Returns where the string ends that begins at `start`.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}
