//! Which sessions were touched lately, so that `touch_after` also spares
//! requests that never look at their session.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::clock::to_millis;
use crate::{Clock, SessionId};

/// A lossy table: a slot holds the last session that fell into it. Forgetting
/// one costs a touch too many, nothing else.
#[derive(Debug)]
pub(crate) struct Touches {
    hasher: RandomState,
    slots: Box<[AtomicU64]>,
    window_millis: i64,
}

const SLOTS: usize = 1 << 14;
/// A slot is a tag of the session and the time in milliseconds.
const TIME_BITS: u32 = 42;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
/// How far [`Clock::about_now`] may be behind.
const SECOND: i64 = 1000;

impl Touches {
    pub(crate) fn new(window: Duration) -> Self {
        let slots = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        let window_millis = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        Self { hasher: RandomState::default(), slots, window_millis }
    }

    pub(crate) fn window_millis(&self) -> i64 {
        self.window_millis
    }

    /// Notes a touch, in milliseconds since 1970.
    pub(crate) fn note(&self, id: &SessionId, at: i64) {
        let (slot, tag) = self.place(id);
        slot.store(tag | at.max(0).cast_unsigned() & TIME_MASK, Ordering::Relaxed);
    }

    /// Returns when the session was touched, if that was within the window.
    pub(crate) fn recent(&self, id: &SessionId, clock: &dyn Clock) -> Option<i64> {
        let (slot, tag) = self.place(id);
        let slot = slot.load(Ordering::Relaxed);
        if slot & !TIME_MASK != tag {
            return None;
        }
        let noted = (slot & TIME_MASK).cast_signed();
        let recently = noted..noted.saturating_add(self.window_millis);
        let is_recent_at = |now| recently.contains(&now);
        // If it still is in a second, the precise time does not matter.
        let is_recent = is_recent_at(clock.about_now().saturating_add(SECOND))
            || is_recent_at(to_millis(clock.now()));
        is_recent.then_some(noted)
    }

    fn place(&self, id: &SessionId) -> (&AtomicU64, u64) {
        let hash = self.hasher.hash_one(id.as_str());
        let slot = usize::try_from(hash).unwrap_or(0) % SLOTS;
        // A tag of zero would match an empty slot.
        (&self.slots[slot], (hash | 1 << 63) & !TIME_MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    /// A clock, and how far what it knows without looking closely is behind.
    #[derive(Debug)]
    struct Clocks(SystemTime, Duration);

    impl Clock for Clocks {
        fn now(&self) -> SystemTime {
            self.0
        }

        fn about_now(&self) -> i64 {
            to_millis(self.0 - self.1)
        }
    }

    #[test]
    fn a_touch_is_recent_until_the_window_ends() {
        let id = SessionId::new("id");
        let (now, window) =
            (SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000), Duration::from_secs(60));
        for behind in [0, 4, 999, 1000].map(Duration::from_millis) {
            let touches = Touches::new(window);
            let at = |time| Clocks(time, behind);
            assert_eq!(touches.recent(&id, &at(now)), None);
            touches.note(&id, to_millis(now));
            assert_eq!(touches.recent(&id, &at(now)), Some(to_millis(now)));
            assert!(touches.recent(&id, &at(now + Duration::from_millis(59_999))).is_some());
            assert_eq!(touches.recent(&id, &at(now + window)), None);
            assert_eq!(touches.recent(&SessionId::new("other"), &at(now)), None);
        }
    }

    #[test]
    fn a_window_shorter_than_the_clocks_are_apart_still_ends() {
        let (id, touches) = (SessionId::new("id"), Touches::new(Duration::from_millis(300)));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        touches.note(&id, to_millis(now));
        for (after, recent) in [(0, true), (299, true), (300, false)] {
            let clocks = Clocks(now + Duration::from_millis(after), Duration::from_millis(999));
            assert_eq!(touches.recent(&id, &clocks).is_some(), recent, "{after}");
        }
    }
}
