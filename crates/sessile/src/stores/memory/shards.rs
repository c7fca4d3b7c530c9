//! All the sessions: many shards, so that requests rarely wait for each other
//! and nothing that grows or shrinks is large.

use std::hash::BuildHasher;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::DefaultHashBuilder;
use sessile_core::SessionId;

use super::shard::{Eviction, Key, Shard};
use crate::stores::sweep::Sweeper;

/// At ten million sessions a shard has forty thousand, whose index grows in
/// a few hundred microseconds.
const SHARDS: usize = 256;

/// How many sessions one eviction moves back in the queue for having been used
/// since, before it takes the next all the same: what one request can cost.
const CHANCES: usize = 32;

#[derive(Default)]
pub(super) struct Shards {
    parts: Parts,
    hasher: DefaultHashBuilder,
    totals: Totals,
    pub(super) sweeper: Sweeper,
}

struct Parts {
    shards: Box<[Part]>,
    /// The first page of each shard's calendar, for finding without locks who is due.
    first_pages: Box<[AtomicU32]>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Part::default()).collect(),
            first_pages: (0..SHARDS).map(|_| AtomicU32::new(u32::MAX)).collect(),
        }
    }
}

/// On cache lines of its own: two workers in neighbouring shards do not slow each other down.
#[derive(Default)]
#[repr(align(128))]
struct Part(Mutex<Shard>);

/// What only writes change, away from what every load reads.
#[derive(Default)]
#[repr(align(128))]
struct Totals {
    sessions: AtomicUsize,
    bytes: AtomicUsize,
    evicted: AtomicU64,
    /// Where the next eviction begins to look, and the right to evict.
    turn: Mutex<usize>,
}

/// How much room there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) sessions: usize,
    pub(super) bytes: usize,
}

impl Limits {
    pub(super) const NONE: Self = Self { sessions: usize::MAX, bytes: usize::MAX };

    pub(super) fn is_any(self) -> bool {
        self.sessions < usize::MAX || self.bytes < usize::MAX
    }
}

impl Shards {
    pub(super) fn len(&self) -> usize {
        self.totals.sessions.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> usize {
        self.totals.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn evicted(&self) -> u64 {
        self.totals.evicted.load(Ordering::Relaxed)
    }

    pub(super) fn key<'i>(&self, id: &'i str) -> Key<'i> {
        let [shard, .., a, b, c, d] = self.hasher.hash_one(id).to_be_bytes();
        Key { id, hash: u32::from_be_bytes([a, b, c, d]), shard: usize::from(shard) % SHARDS }
    }

    pub(super) fn all() -> std::ops::Range<usize> {
        0..SHARDS
    }

    /// Returns the first page of the shard's calendar, without waiting for its lock.
    pub(super) fn first_page(&self, shard: usize) -> u32 {
        self.parts.first_pages[shard].load(Ordering::Relaxed)
    }

    pub(super) fn read(&self, shard: usize) -> MutexGuard<'_, Shard> {
        lock(&self.parts.shards[shard].0)
    }

    pub(super) fn write(&self, at: usize) -> Writing<'_> {
        let shard = self.read(at);
        let before = (shard.len(), shard.bytes());
        Writing { shards: self, at, before, shard }
    }

    /// Locks the shards of two keys, which may be one, always in the same order.
    pub(super) fn write_both(&self, one: usize, other: usize) -> WritingBoth<'_> {
        let first = self.write(one.min(other));
        let second = (one != other).then(|| self.write(one.max(other)));
        WritingBoth { first, second }
    }

    pub(super) fn is_over(&self, limits: Limits) -> bool {
        self.len() > limits.sessions || self.bytes() > limits.bytes
    }

    /// Evicts sessions other than `keep`, in up to `steps` steps, until the rest
    /// is within `limits`. Returns whether there is more to do.
    ///
    /// One at a time: two that evict for one session too many would evict two.
    pub(super) fn evict(&self, limits: Limits, keep: &SessionId, steps: usize) -> bool {
        let keep = self.key(keep.as_str());
        let mut turn = lock(&self.totals.turn);
        let (mut alone, mut chances) = (None, CHANCES);
        for _ in 0..steps {
            if !self.is_over(limits) {
                return false;
            }
            let Some(at) = self.first_in_queue(*turn, alone) else { return false };
            *turn = at + 1;
            match self.evict_from(at, keep, chances) {
                Eviction::Empty if at == keep.shard => alone = Some(at),
                Eviction::Empty => {}
                Eviction::Evicted(text) => {
                    drop(text);
                    self.count_eviction();
                    chances = CHANCES;
                }
                Eviction::Moved => chances -= 1,
            }
        }
        self.is_over(limits)
    }

    /// Returns the shard whose calendar begins first; of several the next after `turn`.
    fn first_in_queue(&self, turn: usize, except: Option<usize>) -> Option<usize> {
        (turn..turn + SHARDS)
            .map(|at| at % SHARDS)
            .filter(|at| Some(*at) != except && self.first_page(*at) != u32::MAX)
            .min_by_key(|at| self.first_page(*at))
    }

    fn evict_from(&self, at: usize, keep: Key<'_>, chances: usize) -> Eviction {
        let mut shard = self.write(at);
        let keep = if at == keep.shard { shard.find(keep) } else { None };
        shard.evict(keep, chances)
    }

    fn count_eviction(&self) {
        let evicted = self.totals.evicted.fetch_add(1, Ordering::Relaxed) + 1;
        #[cfg(feature = "metrics")]
        metrics::counter!("sessile_evicted_sessions").increment(1);
        // Once at first, and then less and less often: a flood must not fill the log too.
        if evicted.is_power_of_two() {
            tracing::warn!(evicted, "the memory store is full and evicts sessions");
        }
    }
}

/// Nothing here panics halfway through a change, so a poisoned lock guards sound data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A locked shard that brings the totals up to date when it unlocks.
pub(super) struct Writing<'s> {
    shards: &'s Shards,
    at: usize,
    before: (usize, usize),
    shard: MutexGuard<'s, Shard>,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let totals = &self.shards.totals;
        let (sessions, bytes) = self.before;
        add_difference(&totals.sessions, sessions, self.shard.len());
        add_difference(&totals.bytes, bytes, self.shard.bytes());
        let (page, published) = (self.shard.first_page(), &self.shards.parts.first_pages[self.at]);
        if published.load(Ordering::Relaxed) != page {
            published.store(page, Ordering::Relaxed);
        }
    }
}

/// Leaves a total alone that does not change: all workers share its cache line.
fn add_difference(total: &AtomicUsize, before: usize, after: usize) {
    if before != after {
        total.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    }
}

impl Deref for Writing<'_> {
    type Target = Shard;

    fn deref(&self) -> &Shard {
        &self.shard
    }
}

impl DerefMut for Writing<'_> {
    fn deref_mut(&mut self) -> &mut Shard {
        &mut self.shard
    }
}

/// Two locked shards, or one that is both.
pub(super) struct WritingBoth<'s> {
    first: Writing<'s>,
    second: Option<Writing<'s>>,
}

impl WritingBoth<'_> {
    pub(super) fn of(&mut self, key: Key<'_>) -> &mut Shard {
        match &mut self.second {
            Some(second) if second.at == key.shard => second,
            _ => &mut self.first,
        }
    }
}
