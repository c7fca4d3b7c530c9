//! Sessions that this process has read lately, until the server says that they changed.
//!
//! The server is asked to tell (`CLIENT TRACKING`) and does so over the connection that
//! read them, so that an answer proves that everything before it has been told.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use redis::{PushInfo, PushKind, Value};

/// Nothing is believed for longer without an answer from the server, which may be gone
/// without a word.
const LEASE: Duration = Duration::from_secs(1);

/// Some sessions, each as the server had it last.
#[derive(Clone)]
pub(super) struct Cache(Arc<Mutex<State>>);

struct State {
    capacity: usize,
    slots: HashMap<Arc<[u8]>, Slot>,
    /// The keys in the order in which they came, those that went again too.
    order: VecDeque<(Arc<[u8]>, Ticket)>,
    next: u64,
    /// When the last question was sent that has been answered.
    heard: Option<Instant>,
}

/// Says for which load a place is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ticket(u64);

struct Slot {
    ticket: Ticket,
    held: Option<Held>,
}

/// A session as it was read.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) text: Arc<str>,
    pub(super) expires: Option<SystemTime>,
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            capacity,
            slots: HashMap::new(),
            order: VecDeque::new(),
            next: 0,
            heard: None,
        })))
    }

    /// Returns a session that is as it was, as far as anybody can know.
    pub(super) fn get(&self, key: &[u8], at: Instant, now: SystemTime) -> Option<Held> {
        let state = self.lock();
        let heard = state.heard?;
        if at.saturating_duration_since(heard) >= LEASE {
            return None;
        }
        let held = state.slots.get(key)?.held.as_ref()?;
        held.expires.is_none_or(|expires| now < expires).then(|| held.clone())
    }

    /// Keeps a place for what a load will find. It is lost if the key changes meanwhile.
    pub(super) fn expect(&self, key: &[u8]) -> Ticket {
        let mut state = self.lock();
        let ticket = Ticket(state.next);
        state.next += 1;
        let key: Arc<[u8]> = key.into();
        state.order.push_back((Arc::clone(&key), ticket));
        state.slots.insert(key, Slot { ticket, held: None });
        state.make_room();
        ticket
    }

    /// Puts in what the load with this ticket found, which was sent at `asked`.
    pub(super) fn fill(&self, key: &[u8], ticket: Ticket, held: Option<Held>, asked: Instant) {
        let mut state = self.lock();
        let Some(slot) = state.slots.get_mut(key).filter(|slot| slot.ticket == ticket) else {
            return;
        };
        match held {
            Some(held) => slot.held = Some(held),
            None => drop(state.slots.remove(key)),
        }
        state.heard = state.heard.max(Some(asked));
    }

    pub(super) fn forget(&self, key: &[u8]) {
        self.lock().slots.remove(key);
    }

    /// Forgets everything: nobody tells any more what changes.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.slots.clear();
        state.order.clear();
        state.heard = None;
    }

    /// Takes what the server tells.
    pub(super) fn listen(&self, push: &PushInfo) {
        match (&push.kind, push.data.as_slice()) {
            (PushKind::Invalidate, [Value::Array(keys)]) => {
                for key in keys {
                    if let Value::BulkString(key) = key {
                        self.forget(key);
                    }
                }
            }
            (PushKind::Invalidate | PushKind::Disconnection, _) => self.clear(),
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The oldest go first. What went already leaves only its place in the order.
    fn make_room(&mut self) {
        while self.slots.len() > self.capacity || self.order.len() > 2 * self.capacity.max(1) {
            let Some((key, ticket)) = self.order.pop_front() else { return };
            if self.slots.get(&key).is_some_and(|slot| slot.ticket == ticket) {
                self.slots.remove(&key);
            }
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("capacity", &self.lock().capacity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn held(text: &str) -> Option<Held> {
        Some(Held { text: text.into(), expires: Some(NOW + Duration::from_secs(10)) })
    }

    fn invalidation(data: Value) -> PushInfo {
        PushInfo { kind: PushKind::Invalidate, data: vec![data] }
    }

    fn get(cache: &Cache, key: &str, at: Instant) -> Option<String> {
        cache.get(key.as_bytes(), at, NOW).map(|held| held.text.to_string())
    }

    #[test]
    fn a_session_is_kept_until_it_changes() {
        let (cache, at) = (Cache::new(10), Instant::now());
        let ticket = cache.expect(b"a");
        assert_eq!(get(&cache, "a", at), None);
        cache.fill(b"a", ticket, held("1"), at);
        assert_eq!(get(&cache, "a", at).as_deref(), Some("1"));
        let changed = Value::Array(vec![Value::BulkString(b"a".to_vec())]);
        cache.listen(&invalidation(changed));
        assert_eq!(get(&cache, "a", at), None);
    }

    #[test]
    fn what_changes_while_it_is_loaded_is_not_kept() {
        let (cache, at) = (Cache::new(10), Instant::now());
        for change in [Cache::clear, |cache: &Cache| cache.forget(b"a")] {
            let ticket = cache.expect(b"a");
            change(&cache);
            cache.fill(b"a", ticket, held("old"), at);
            assert_eq!(get(&cache, "a", at), None);
        }
        let (first, second) = (cache.expect(b"a"), cache.expect(b"a"));
        cache.fill(b"a", first, held("old"), at);
        assert_eq!(get(&cache, "a", at), None);
        cache.fill(b"a", second, held("new"), at);
        assert_eq!(get(&cache, "a", at).as_deref(), Some("new"));
    }

    #[test]
    fn nothing_is_believed_of_a_server_that_is_silent_for_a_second() {
        let (cache, at) = (Cache::new(10), Instant::now());
        let ticket = cache.expect(b"a");
        cache.fill(b"a", ticket, held("1"), at);
        assert!(get(&cache, "a", at + LEASE - Duration::from_millis(1)).is_some());
        assert_eq!(get(&cache, "a", at + LEASE), None);
        let ticket = cache.expect(b"b");
        cache.fill(b"b", ticket, None, at + LEASE);
        assert!(get(&cache, "a", at + LEASE).is_some(), "an answer about another proves it too");
    }

    #[test]
    fn a_session_is_dead_at_the_instant_it_expires() {
        let (cache, at) = (Cache::new(10), Instant::now());
        let ticket = cache.expect(b"a");
        cache.fill(b"a", ticket, held("1"), at);
        assert!(cache.get(b"a", at, NOW + Duration::from_millis(9_999)).is_some());
        assert!(cache.get(b"a", at, NOW + Duration::from_secs(10)).is_none());
    }

    #[test]
    fn whoever_hangs_up_or_flushes_takes_everything_along() {
        let hung_up = PushInfo { kind: PushKind::Disconnection, data: Vec::new() };
        for push in [invalidation(Value::Nil), hung_up] {
            let (cache, at) = (Cache::new(10), Instant::now());
            let ticket = cache.expect(b"a");
            cache.fill(b"a", ticket, held("1"), at);
            cache.listen(&push);
            assert_eq!(get(&cache, "a", at), None);
        }
    }

    #[test]
    fn it_keeps_no_more_than_it_may() {
        let (cache, at) = (Cache::new(3), Instant::now());
        for n in 0..100_u8 {
            let ticket = cache.expect(&[n % 7]);
            cache.fill(&[n % 7], ticket, held("1"), at);
            let state = cache.lock();
            assert!(state.slots.len() <= 3 && state.order.len() <= 6);
        }
        let kept = (0..7_u8).filter(|n| cache.get(&[*n], at, NOW).is_some()).count();
        assert_eq!(kept, 3);
        let none = Cache::new(0);
        let ticket = none.expect(b"a");
        none.fill(b"a", ticket, held("1"), at);
        assert_eq!(get(&none, "a", at), None);
    }
}
