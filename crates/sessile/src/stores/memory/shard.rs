//! A part of the sessions, behind one lock.
//!
//! An index finds a session by its id, and a calendar finds those whose time
//! has come: pages of four seconds, each a list through the slots. A session
//! that lives longer than its page says is moved when that page comes up, so
//! touching costs one store to memory.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use hashbrown::HashTable;
use sessile_core::SessionId;

use super::rank::Rank;
use super::slot::{NOWHERE, Slot, Slots};

/// An id on its way to its slot.
#[derive(Clone, Copy)]
pub(super) struct Key<'i> {
    pub(super) id: &'i str,
    pub(super) hash: u32,
    pub(super) shard: usize,
}

#[derive(Default)]
pub(super) struct Shard {
    index: HashTable<Entry>,
    slots: Slots,
    calendar: BTreeMap<u32, Page>,
    bytes: usize,
    /// Never starts again, so that no two states of a session share a version.
    versions: u64,
}

/// Where a slot is. The hash is here too, so that a growing index reads no slot.
struct Entry {
    hash: u32,
    at: u32,
}

impl Entry {
    fn spread(&self) -> u64 {
        spread(self.hash)
    }
}

/// The table takes its tags from the top bits and its places from the low ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

/// A list of slots, oldest first.
#[derive(Clone, Copy)]
struct Page {
    first: u32,
    last: u32,
}

impl Page {
    const EMPTY: Self = Self { first: NOWHERE, last: NOWHERE };
}

/// What a save stores.
pub(super) struct New {
    pub(super) text: Arc<str>,
    pub(super) rank: Rank,
    pub(super) is_over: bool,
}

/// A session as a listing copies it.
pub(super) struct Row {
    pub(super) id: SessionId,
    pub(super) text: Arc<str>,
    pub(super) rank: Rank,
    pub(super) version: u64,
}

impl From<&Slot> for Row {
    fn from(slot: &Slot) -> Self {
        let text = Arc::clone(&slot.text);
        Self { id: slot.id.to_session_id(), text, rank: slot.rank, version: slot.version }
    }
}

/// What became of an eviction.
pub(super) enum Eviction {
    Evicted(Arc<str>),
    /// Nobody else is here.
    Empty,
    /// The session that was up has been used since: it moved back in the queue.
    Moved,
}

impl Shard {
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the first page of the calendar; `u32::MAX` if it is empty.
    pub(super) fn first_page(&self) -> u32 {
        self.calendar.first_key_value().map_or(u32::MAX, |(page, _)| *page)
    }

    pub(super) fn find(&self, key: Key<'_>) -> Option<u32> {
        let is_it = |entry: &Entry| entry.hash == key.hash && self.id(entry) == key.id.as_bytes();
        self.index.find(spread(key.hash), is_it).map(|entry| entry.at)
    }

    pub(super) fn find_live(&self, key: Key<'_>, now: u64) -> Option<u32> {
        self.find(key).filter(|at| !self.slots[*at].rank.is_over(now))
    }

    pub(super) fn slot(&self, at: u32) -> &Slot {
        &self.slots[at]
    }

    /// Stores a session under `key` and returns its version. What it replaced
    /// goes to `dead`, for the caller to drop after unlocking.
    ///
    /// One that is over already is not stored, and still replaces.
    pub(super) fn put(&mut self, key: Key<'_>, new: New, dead: &mut Vec<Arc<str>>) -> u64 {
        self.versions += 1;
        match self.find(key) {
            Some(at) if new.is_over => dead.extend(self.remove(at)),
            Some(at) => dead.push(self.replace(at, new.text, new.rank)),
            None if new.is_over => {}
            None => self.insert(Slot::new(key.id, key.hash, new.text, new.rank, self.versions)),
        }
        self.versions
    }

    fn replace(&mut self, at: u32, text: Arc<str>, rank: Rank) -> Arc<str> {
        let slot = &mut self.slots[at];
        let old = mem::replace(&mut slot.text, text);
        slot.version = self.versions;
        self.bytes = self.bytes - old.len() + slot.text.len();
        self.touch(at, rank);
        old
    }

    /// Moves a session's place in the queue out.
    pub(super) fn touch(&mut self, at: u32, rank: Rank) {
        let slot = &mut self.slots[at];
        slot.rank = rank;
        // Later is found out when the page comes up; earlier would be missed.
        if rank.page() < slot.page {
            self.change_page(at);
        }
    }

    fn insert(&mut self, slot: Slot) {
        let hash = slot.hash;
        self.bytes += slot.cost();
        let at = self.slots.push(slot);
        self.index.insert_unique(spread(hash), Entry { hash, at }, Entry::spread);
        self.add_to_page(at);
    }

    /// Removes a session and returns its text, for the caller to drop after unlocking.
    pub(super) fn remove(&mut self, at: u32) -> Option<Arc<str>> {
        self.take_from_page(at);
        self.unindex(at);
        let moved = self.slots.last();
        let slot = self.slots.swap_remove(at)?;
        if moved != at {
            self.follow(moved, at);
        }
        self.bytes -= slot.cost();
        self.shrink();
        Some(slot.text)
    }

    fn unindex(&mut self, at: u32) {
        let hash = spread(self.slots[at].hash);
        if let Ok(entry) = self.index.find_entry(hash, |entry| entry.at == at) {
            entry.remove();
        }
    }

    /// Corrects whatever points to the slot that moved from `from` to `to`.
    fn follow(&mut self, from: u32, to: u32) {
        let Slot { hash, page, before, after, .. } = self.slots[to];
        if let Some(entry) = self.index.find_mut(spread(hash), |entry| entry.at == from) {
            entry.at = to;
        }
        self.join(page, before, to);
        self.join(page, to, after);
    }

    fn shrink(&mut self) {
        let (len, capacity) = (self.index.len(), self.index.capacity());
        if capacity > 64 && len < capacity / 4 {
            self.index.shrink_to(len * 2, Entry::spread);
        }
    }

    fn add_to_page(&mut self, at: u32) {
        let page = self.slots[at].rank.page();
        let before = self.calendar.entry(page).or_insert(Page::EMPTY).last;
        self.slots[at].page = page;
        self.join(page, before, at);
        self.join(page, at, NOWHERE);
    }

    fn take_from_page(&mut self, at: u32) {
        let Slot { page, before, after, .. } = self.slots[at];
        if before == NOWHERE && after == NOWHERE {
            self.calendar.remove(&page);
        } else {
            self.join(page, before, after);
        }
    }

    fn change_page(&mut self, at: u32) {
        self.take_from_page(at);
        self.add_to_page(at);
    }

    /// Makes two slots neighbours on `page`, of which [`NOWHERE`] is both ends.
    fn join(&mut self, page: u32, before: u32, after: u32) {
        if before != NOWHERE {
            self.slots[before].after = after;
        } else if let Some(list) = self.calendar.get_mut(&page) {
            list.first = after;
        }
        if after != NOWHERE {
            self.slots[after].before = before;
        } else if let Some(list) = self.calendar.get_mut(&page) {
            list.last = before;
        }
    }

    /// Removes sessions that are over, looking at up to `limit`, and leaves what
    /// it removed in `dead`. Returns how many it looked at: fewer than `limit`
    /// once all that was due is done.
    pub(super) fn purge(&mut self, now: u64, limit: usize, dead: &mut Vec<Arc<str>>) -> usize {
        let seen = self.purge_past_pages(now, limit, dead);
        seen + self.purge_this_page(now, limit - seen, dead)
    }

    /// Does the part of [`purge`](Self::purge) that never looks at a session twice.
    pub(super) fn purge_past_pages(
        &mut self,
        now: u64,
        limit: usize,
        dead: &mut Vec<Arc<str>>,
    ) -> usize {
        let this_page = Rank::expires_at(now).page();
        for seen in 0..limit {
            match self.calendar.first_key_value() {
                Some((page, list)) if *page < this_page => self.release(list.first, now, dead),
                _ => return seen,
            }
        }
        limit
    }

    /// Removes the session if it is over, or moves it to the page where it belongs by now.
    fn release(&mut self, at: u32, now: u64, dead: &mut Vec<Arc<str>>) {
        if self.slots[at].rank.is_over(now) {
            dead.extend(self.remove(at));
        } else {
            self.change_page(at);
        }
    }

    fn purge_this_page(&mut self, now: u64, limit: usize, dead: &mut Vec<Arc<str>>) -> usize {
        let page = Rank::expires_at(now).page();
        let mut over: Vec<u32> = self.over(page, now).take(limit).collect();
        // From the back: what then moves into a gap is never one of those still to go.
        over.sort_unstable_by(|one, other| other.cmp(one));
        for at in &over {
            dead.extend(self.remove(*at));
        }
        over.len()
    }

    fn over(&self, page: u32, now: u64) -> impl Iterator<Item = u32> {
        self.list(page).filter(move |at| self.slots[*at].rank.is_over(now))
    }

    pub(super) fn list(&self, page: u32) -> impl Iterator<Item = u32> {
        let first = self.calendar.get(&page).map(|list| list.first);
        std::iter::successors(first, |at| Some(self.slots[*at].after).filter(|at| *at != NOWHERE))
    }

    /// Counts the sessions that are not over.
    pub(super) fn count_live(&self, now: u64) -> usize {
        let due = self.calendar.range(..=Rank::expires_at(now).page());
        let over: usize = due.map(|(page, _)| self.over(*page, now).count()).sum();
        self.len() - over
    }

    /// Removes the session that is first in the queue out, but not `keep`. With
    /// `chances` left, one that was used since moves back in the queue instead.
    pub(super) fn evict(&mut self, keep: Option<u32>, chances: usize) -> Eviction {
        let Some(at) = self.first_in_queue(keep) else { return Eviction::Empty };
        if chances > 0 && self.slots[at].page < self.slots[at].rank.page() {
            self.change_page(at);
            return Eviction::Moved;
        }
        self.remove(at).map_or(Eviction::Empty, Eviction::Evicted)
    }

    fn first_in_queue(&self, except: Option<u32>) -> Option<u32> {
        self.calendar.keys().flat_map(|page| self.list(*page)).find(|at| Some(*at) != except)
    }

    /// Copies up to `limit` sessions, over or not, that follow `last` in the
    /// order of hashes and ids. That order holds while sessions come and go.
    pub(super) fn rows_after(&self, last: Option<Key<'_>>, limit: usize) -> Vec<Row> {
        let is_after = |entry: &&Entry| {
            last.is_none_or(|last| {
                let order = entry.hash.cmp(&last.hash);
                order.then_with(|| self.id(entry).cmp(last.id.as_bytes())).is_gt()
            })
        };
        let mut rest: Vec<_> = self.index.iter().filter(is_after).collect();
        // Ids are read where hashes are equal only: each is a cache miss.
        let order = |one: &&Entry, other: &&Entry| {
            one.hash.cmp(&other.hash).then_with(|| self.id(one).cmp(self.id(other)))
        };
        if limit < rest.len() {
            rest.select_nth_unstable_by(limit, order);
            rest.truncate(limit);
        }
        rest.sort_unstable_by(order);
        rest.into_iter().map(|entry| Row::from(&self.slots[entry.at])).collect()
    }

    fn id(&self, entry: &Entry) -> &[u8] {
        self.slots[entry.at].id.as_bytes()
    }

    /// Every slot is indexed, listed once, and on no page later than its own.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let (mut listed, mut bytes) = (0, 0);
        for page in self.calendar.keys() {
            let mut before = NOWHERE;
            for at in self.list(*page) {
                let slot = &self.slots[at];
                assert_eq!((slot.page, slot.before), (*page, before));
                assert!(slot.page <= slot.rank.page());
                let entry = self.index.find(spread(slot.hash), |entry| entry.at == at).unwrap();
                assert_eq!(entry.hash, slot.hash);
                (before, listed, bytes) = (at, listed + 1, bytes + slot.cost());
            }
            assert_eq!(self.calendar[page].last, before);
        }
        assert_eq!((listed, bytes), (self.len(), self.bytes));
        assert_eq!(self.slots.last().wrapping_add(1) as usize, self.len());
    }

    /// Takes all sessions out; versions go on where they were.
    pub(super) fn take(&mut self) -> Self {
        mem::replace(self, Self { versions: self.versions, ..Self::default() })
    }

    pub(super) fn into_slots(self) -> Slots {
        self.slots
    }
}
