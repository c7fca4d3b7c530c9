//! Which sessions were touched lately, so that `touch_after` also spares
//! requests that never look at their session.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use foldhash::fast::RandomState;

use crate::SessionId;
use crate::clock::to_millis;

/// A lossy table: a slot holds the last session that fell into it. Forgetting
/// one costs a touch too many, nothing else.
#[derive(Debug)]
pub(crate) struct Touches {
    hasher: RandomState,
    slots: Box<[AtomicU64]>,
    window_millis: u64,
}

const SLOTS: usize = 1 << 14;
/// A slot is a tag of the session and the time in milliseconds.
const TIME_BITS: u32 = 42;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

impl Touches {
    pub(crate) fn new(window: Duration) -> Self {
        let slots = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        let window_millis = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        Self { hasher: RandomState::default(), slots, window_millis }
    }

    pub(crate) fn note(&self, id: &SessionId, at: SystemTime) {
        let (slot, tag) = self.place(id);
        slot.store(tag | millis(at), Ordering::Relaxed);
    }

    pub(crate) fn is_recent(&self, id: &SessionId, now: SystemTime) -> bool {
        let (slot, tag) = self.place(id);
        let noted = slot.load(Ordering::Relaxed);
        let age = millis(now).checked_sub(noted & TIME_MASK);
        noted & !TIME_MASK == tag && age.is_some_and(|age| age < self.window_millis)
    }

    fn place(&self, id: &SessionId) -> (&AtomicU64, u64) {
        let hash = self.hasher.hash_one(id.as_str());
        let slot = usize::try_from(hash).unwrap_or(0) % SLOTS;
        // A tag of zero would match an empty slot.
        (&self.slots[slot], (hash | 1 << 63) & !TIME_MASK)
    }
}

fn millis(time: SystemTime) -> u64 {
    u64::try_from(to_millis(time)).unwrap_or(0) & TIME_MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_touch_is_recent_until_the_window_ends() {
        let id = SessionId::new("id");
        let (now, window) =
            (SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000), Duration::from_secs(60));
        let touches = Touches::new(window);
        assert!(!touches.is_recent(&id, now));
        touches.note(&id, now);
        assert!(touches.is_recent(&id, now + Duration::from_millis(59_999)));
        assert!(!touches.is_recent(&id, now + window));
        assert!(!touches.is_recent(&SessionId::new("other"), now));
    }
}
