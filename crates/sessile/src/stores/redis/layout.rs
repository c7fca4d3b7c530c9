//! How sessions lie in Redis: their keys, and their lifetimes. No I/O.

use std::time::{Duration, SystemTime};

use sessile_core::{SessionCookie, SessionId};

/// Further away than any date of JavaScript, so that Redis can count it in milliseconds.
const LAST_SECOND: u128 = 8_640_000_000_000;

/// Where the sessions' keys begin, and how long a session without an expiry lives.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) prefix: String,
    pub(super) default_lifetime: Duration,
}

impl Layout {
    pub(super) fn key(&self, id: &SessionId) -> Vec<u8> {
        [self.prefix.as_bytes(), id.as_str().as_bytes()].concat()
    }

    /// Returns the id whose key it is, unless it is not one of ours.
    pub(super) fn id(&self, key: &[u8]) -> Option<SessionId> {
        let id = key.strip_prefix(self.prefix.as_bytes())?;
        std::str::from_utf8(id).ok().map(SessionId::new)
    }

    /// Returns the pattern that matches all keys, and nothing else, whatever the prefix.
    pub(super) fn pattern(&self) -> String {
        let mut pattern = String::with_capacity(self.prefix.len() + 1);
        for character in self.prefix.chars() {
            if matches!(character, '*' | '?' | '[' | ']' | '\\') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern.push('*');
        pattern
    }

    /// Counts the seconds to the cookie's expiry, rounded up as Node does; at most zero
    /// if it is over.
    pub(super) fn seconds(&self, cookie: &SessionCookie, now: SystemTime) -> i64 {
        let left = match cookie.expires() {
            None => Ok(self.default_lifetime),
            Some(expires) => {
                millis(expires).checked_sub(millis(now)).map(Duration::from_millis).ok_or(())
            }
        };
        left.map_or(0, whole_seconds)
    }
}

fn whole_seconds(left: Duration) -> i64 {
    let seconds = left.as_millis().div_ceil(1000).min(LAST_SECOND);
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// Milliseconds since 1970, as `Date.now()` counts them.
fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
