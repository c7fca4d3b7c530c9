//! Requests that read over one connection at a time.
//!
//! Questions need not wait for each other's answers: the driver sends them as they come
//! and tells the answers apart. Whoever shares a connection that is in use saves the server
//! another process, and both sides system calls.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use deadpool_postgres::Object;

use super::lease::Lease;

/// So many read over one connection at a time. The server answers one after the other.
const MOST_AT_ONCE: usize = 8;
/// After so many it goes back to the pool, where others may be waiting for it.
const MOST_IN_ALL: usize = 16;

/// The connection that the next reader may share.
#[derive(Default)]
pub(super) struct Readers(Mutex<Weak<Shared>>);

struct Shared {
    lease: Option<Lease>,
    is_sound: AtomicBool,
    places: AtomicUsize,
}

impl Readers {
    /// Joins those who read, if somebody does.
    pub(super) fn join(&self) -> Option<Seat> {
        let shared = self.0.lock().unwrap_or_else(PoisonError::into_inner).upgrade()?;
        let may_join = Arc::strong_count(&shared) <= MOST_AT_ONCE
            && shared.is_sound.load(Ordering::Relaxed)
            && !shared.client().is_closed()
            && shared.takes_a_place();
        may_join.then(|| Seat::at(shared))
    }

    /// Reads over a connection of one's own, which others may join.
    pub(super) fn begin(&self, lease: Lease) -> Seat {
        let seat = Seat::at(Shared::new(lease, MOST_IN_ALL - 1));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&seat.shared);
        seat
    }
}

impl Shared {
    fn new(lease: Lease, places: usize) -> Arc<Self> {
        let (is_sound, places) = (AtomicBool::new(true), AtomicUsize::new(places));
        Arc::new(Self { lease: Some(lease), is_sound, places })
    }

    fn client(&self) -> &Object {
        self.lease.as_ref().expect("it is there until the last seat is left").client()
    }

    fn takes_a_place(&self) -> bool {
        let less = |places: usize| places.checked_sub(1);
        self.places.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take()
            && *self.is_sound.get_mut()
        {
            lease.give_back();
        }
    }
}

/// A seat at a connection. If whoever has it goes away before the answer comes, nobody
/// joins that connection any more, and it is closed when the last seat is left.
pub(super) struct Seat {
    shared: Arc<Shared>,
    is_answered: bool,
}

impl Seat {
    /// A seat at a connection that nobody joins.
    pub(super) fn alone(lease: Lease) -> Self {
        Self::at(Shared::new(lease, 0))
    }

    fn at(shared: Arc<Shared>) -> Self {
        Self { shared, is_answered: false }
    }

    pub(super) fn client(&self) -> &Object {
        self.shared.client()
    }

    /// Leaves a connection that is in order.
    pub(super) fn give_back(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.is_answered {
            self.shared.is_sound.store(false, Ordering::Relaxed);
        }
    }
}
