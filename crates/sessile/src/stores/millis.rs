//! Instants as JavaScript counts them: milliseconds since 1970, in doubles.

use std::time::{Duration, SystemTime};

/// The last instant of a JavaScript date; the first one lies as far before 1970.
pub(crate) const LAST_INSTANT: f64 = 8.64e15;

/// Rounds down as `Date.now()` does.
#[expect(clippy::cast_precision_loss, reason = "JavaScript counts milliseconds in doubles too")]
pub(crate) fn to_millis(time: SystemTime) -> f64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => after.as_millis() as f64,
        Err(before) => -(before.duration().as_nanos().div_ceil(1_000_000) as f64),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to what a date can hold")]
#[expect(clippy::cast_sign_loss, reason = "the sign is looked at")]
pub(crate) fn from_millis(millis: f64) -> SystemTime {
    let millis = millis.clamp(-LAST_INSTANT, LAST_INSTANT);
    let distance = Duration::from_millis(millis.abs() as u64);
    let time = if millis < 0.0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_round_down_on_both_sides_of_1970() {
        let nano = Duration::from_nanos(1);
        assert_eq!(to_millis(SystemTime::UNIX_EPOCH + nano), 0.0);
        assert_eq!(to_millis(SystemTime::UNIX_EPOCH - nano), -1.0);
        for millis in [-LAST_INSTANT, -1.0, 0.0, 1_893_553_445_678.0, LAST_INSTANT] {
            assert_eq!(to_millis(from_millis(millis)), millis);
        }
        assert_eq!(from_millis(f64::MAX), from_millis(LAST_INSTANT));
    }
}
