//! Time as databases keep it: milliseconds since 1970.

use std::time::{Duration, SystemTime};

use sessile_core::SessionCookie;

/// The year 0: as dead as anything before it, and early enough for any date type.
const FIRST: i64 = -62_167_219_200_000;
/// The last instant of a JavaScript date.
const LAST: i64 = 8_640_000_000_000_000;

/// Milliseconds since 1970, rounded down as `Date.now()` does.
pub(super) fn to_millis(time: SystemTime) -> i64 {
    let millis = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()),
        Err(before) => i64::try_from(before.duration().as_nanos().div_ceil(1_000_000)).map(|n| -n),
    };
    millis.unwrap_or(LAST).clamp(FIRST, LAST)
}

pub(super) fn from_millis(millis: i64) -> SystemTime {
    let millis = millis.clamp(FIRST, LAST);
    let distance = Duration::from_millis(millis.unsigned_abs());
    let time = if millis < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// When the session of `cookie` expires, before a column rounds it.
pub(super) fn expiry(cookie: &SessionCookie, now: i64, default_lifetime: Duration) -> i64 {
    let lifetime = i64::try_from(default_lifetime.as_millis()).unwrap_or(LAST);
    let default = || now.saturating_add(lifetime);
    cookie.expires().map_or_else(default, to_millis).clamp(FIRST, LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_round_down_on_both_sides_of_1970() {
        let nano = Duration::from_nanos(1);
        assert_eq!(to_millis(SystemTime::UNIX_EPOCH + nano), 0);
        assert_eq!(to_millis(SystemTime::UNIX_EPOCH - nano), -1);
        for millis in [FIRST, -1, 0, 1, 1_893_553_445_678, LAST] {
            assert_eq!(to_millis(from_millis(millis)), millis);
        }
        assert_eq!(from_millis(i64::MAX), from_millis(LAST));
    }
}
