//! When memcached drops an item, and when a session is dead.
//!
//! Memcached counts whole seconds, by a clock that ticks once a second. The record knows the
//! millisecond, and both stores that share it write it anew whenever they move the expiry. So
//! the record is believed for as long as memcached does not contradict it.

/// What the server takes for seconds from now; more is an instant since 1970.
const MAX_RELATIVE: i64 = 60 * 60 * 24 * 30;
/// The last instant that it can keep, in 2038.
const LAST: i64 = i32::MAX as i64;
/// The server adds up to two seconds here, and Node takes as many away.
const DOUBT_MILLIS: i64 = 3_000;

/// Returns the server's word for dropping an item at `expires`, or a little later: never
/// early. Both are milliseconds since 1970.
pub(super) fn to_wire(expires: i64, now: i64) -> i64 {
    if expires <= now {
        return -1;
    }
    // A whole second more, as the server's clock may tick at once.
    let seconds = |millis: i64| millis.saturating_add(999) / 1000 + 1;
    match seconds(expires.saturating_sub(now)) {
        left if left <= MAX_RELATIVE => left,
        _ if seconds(expires) > LAST => 0,
        _ => seconds(expires),
    }
}

/// Returns when a session is dead whose record says `in_record`, and which has `left`
/// seconds on the server, negative for ever.
pub(super) fn of_item(in_record: Option<i64>, left: i64, now: i64) -> Option<i64> {
    if left < 0 {
        return in_record;
    }
    let dropped = now.saturating_add(left.saturating_mul(1000));
    let agrees = |expires: &i64| dropped.abs_diff(*expires) <= DOUBT_MILLIS.unsigned_abs();
    Some(in_record.filter(agrees).unwrap_or(dropped))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_893_553_445_678;
    const DAY: i64 = 86_400_000;

    #[test]
    fn no_session_is_dropped_early_or_kept_for_ever() {
        for (lifetime, word) in [
            (-1, -1),
            (0, -1),
            (1, 2),
            (999, 2),
            (1000, 2),
            (1001, 3),
            (3_600_000, 3601),
            (30 * DAY - 1000, 2_592_000),
            // An instant, where Node writes one in 1970 and stores nothing.
            (30 * DAY, 1_893_553_446 + 2_592_000 + 1),
            (365 * DAY, 1_893_553_446 + 31_536_000 + 1),
            (20 * 365 * DAY, 0),
            (i64::MAX - NOW, 0),
        ] {
            assert_eq!(to_wire(NOW + lifetime, NOW), word, "{lifetime} ms");
        }
    }

    #[test]
    fn the_record_is_believed_until_the_server_contradicts() {
        for (in_record, left, expires) in [
            (Some(NOW + 5_500), 6, Some(NOW + 5_500)),
            (Some(NOW + 5_500), 5, Some(NOW + 5_500)),
            (Some(NOW + 5_500), 8, Some(NOW + 5_500)),
            // Dead by now, though the server still has it.
            (Some(NOW - 1), 1, Some(NOW - 1)),
            // Somebody's `ttl` option, or a touch that left the record alone.
            (Some(NOW - 60_000), 60, Some(NOW + 60_000)),
            (Some(NOW + 60_000), 7200, Some(NOW + 7_200_000)),
            (None, 60, Some(NOW + 60_000)),
            // Node's word for less than a second: the server would keep it for ever.
            (Some(NOW + 700), -1, Some(NOW + 700)),
            (None, -1, None),
        ] {
            assert_eq!(of_item(in_record, left, NOW), expires, "{in_record:?} {left}");
        }
    }
}
