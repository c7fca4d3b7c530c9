//! When a session goes: which is dead, and which goes first when room is short.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A session's place in the queue out of the store, in milliseconds since 1970:
/// when it expires or, behind all of those, when it was last used.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Rank(u64);

const NEVER: u64 = 1 << 63;

/// Four seconds to a page: fine enough that few sessions wait for their page
/// to end, coarse enough that a page lists many.
const PAGE_BITS: u32 = 12;
const NEVER_PAGE: u64 = 1 << 31;

impl Rank {
    pub(super) fn expires_at(millis: u64) -> Self {
        Self(millis.min(NEVER - 1))
    }

    /// For a session that never expires and was used at `millis`.
    pub(super) fn never(millis: u64) -> Self {
        Self(millis | NEVER)
    }

    /// Dead at the very instant; alive one millisecond before.
    pub(super) fn is_over(self, now: u64) -> bool {
        self.0 <= now
    }

    /// Tells whether it goes at all.
    pub(super) fn ends(self) -> bool {
        self.0 & NEVER == 0
    }

    pub(super) fn expires(self) -> Option<SystemTime> {
        let millis = (self.0 & NEVER == 0).then_some(self.0)?;
        UNIX_EPOCH.checked_add(Duration::from_millis(millis))
    }

    /// Returns the page of the calendar that it belongs on.
    pub(super) fn page(self) -> u32 {
        let part = ((self.0 & !NEVER) >> PAGE_BITS).min(NEVER_PAGE - 1);
        let page = if self.0 & NEVER == 0 { part } else { part | NEVER_PAGE };
        // The last page there could be would stand for an empty calendar.
        u32::try_from(page).unwrap_or(u32::MAX).min(u32::MAX - 1)
    }
}

/// Milliseconds since 1970, rounded down as `Date.now()` does; none before.
pub(super) fn to_millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, in_millis)
}

pub(super) fn in_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_expires_comes_last_and_oldest_first() {
        let now = 1_893_553_445_678;
        let far = Rank::expires_at(u64::MAX);
        let order = [Rank::expires_at(now), far, Rank::never(now), Rank::never(now + 60_000)];
        assert!(order.is_sorted());
        assert!(order.iter().map(|rank| rank.page()).is_sorted());
        assert!(order[0].is_over(now) && !order[0].is_over(now - 1));
        assert_eq!(order.map(|rank| rank.is_over(u64::MAX >> 2)), [true, false, false, false]);
        assert_eq!(Rank::never(now).expires(), None);
        assert!(Rank::never(u64::MAX).page() < u32::MAX);
    }
}
