//! Where a listing stands between two of its pages. No I/O.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sessile_core::{Cursor, SessionId};

/// A place in the scan of all keys.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Position {
    /// Which listing it belongs to.
    pub(super) listing: u64,
    /// Which servers it goes through.
    pub(super) servers: u64,
    /// How many of them are scanned to the end.
    pub(super) server: usize,
    /// Where the scan of the next one goes on; zero is its beginning.
    pub(super) scan: u64,
    /// What the scan found and no page had room for.
    pub(super) left: VecDeque<SessionId>,
}

impl Position {
    /// Writes it into a cursor: numbers, and each id after its length.
    pub(super) fn to_cursor(&self) -> Cursor {
        let Self { listing, servers, server, scan, left } = self;
        let mut cursor = format!("{listing};{servers};{server};{scan};");
        for id in left {
            cursor.push_str(&format!("{}:{}", id.as_str().len(), id.as_str()));
        }
        Cursor::new(cursor)
    }

    pub(super) fn from_cursor(cursor: &Cursor) -> Option<Self> {
        let mut parts = cursor.as_str().splitn(5, ';');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (listing, servers) = (number()?, number()?);
        let (server, scan) = (usize::try_from(number()?).ok()?, number()?);
        let mut rest = parts.next()?;
        let mut left = VecDeque::new();
        while !rest.is_empty() {
            let (length, ids) = rest.split_once(':')?;
            let (id, others) = ids.split_at_checked(length.parse().ok()?)?;
            left.push_back(SessionId::new(id));
            rest = others;
        }
        Some(Self { listing, servers, server, scan, left })
    }
}

/// More listings at a time are nobody's need. What the oldest had seen is forgotten.
const LISTINGS: usize = 4;

/// What the listings under way have seen already, as `SCAN` may name a key twice.
#[derive(Debug, Default)]
pub(super) struct Listings {
    hasher: RandomState,
    under_way: Mutex<Vec<Seen>>,
}

/// The keys that one listing has seen, by their hashes.
#[derive(Debug)]
pub(super) struct Seen {
    listing: u64,
    hasher: RandomState,
    keys: HashSet<u64>,
}

impl Seen {
    /// Notes `key`; `false` if it was there before.
    pub(super) fn is_new(&mut self, key: &[u8]) -> bool {
        self.keys.insert(self.hasher.hash_one(key))
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

impl Listings {
    /// Begins to list.
    pub(super) fn begin(&self) -> Seen {
        let listing = RandomState::new().hash_one(());
        self.forgotten(listing)
    }

    /// Goes on with a listing. One that was forgotten, or began in another process, goes
    /// on without what it had seen.
    pub(super) fn resume(&self, listing: u64) -> Seen {
        let mut under_way = self.lock();
        match under_way.iter().position(|seen| seen.listing == listing) {
            Some(index) => under_way.remove(index),
            None => self.forgotten(listing),
        }
    }

    /// Keeps what a listing has seen for its next page.
    pub(super) fn keep(&self, seen: Seen) {
        let mut under_way = self.lock();
        if under_way.len() == LISTINGS {
            under_way.remove(0);
        }
        under_way.push(seen);
    }

    fn forgotten(&self, listing: u64) -> Seen {
        Seen { listing, hasher: self.hasher.clone(), keys: HashSet::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    pub(super) fn listing(&self) -> u64 {
        self.listing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_cursor_whatever_the_ids() {
        let left = ["a", "", "3:a;b", "\u{0}\n", "é🦀", "12"].map(SessionId::new);
        let position =
            Position { listing: u64::MAX, servers: 5, server: 2, scan: 77, left: left.into() };
        assert_eq!(Position::from_cursor(&position.to_cursor()), Some(position));
    }

    #[test]
    fn a_cursor_of_another_store_is_none_of_ours() {
        for cursor in ["", "id", "1;2", "1;2;3;x;", "1;2;3;4", "1;2;3;4;9:short", "1;2;3;4;1:é"] {
            assert_eq!(Position::from_cursor(&Cursor::new(cursor)), None, "{cursor}");
        }
    }

    #[test]
    fn a_listing_that_nobody_ends_is_forgotten() {
        let listings = Listings::default();
        let mut first = listings.begin();
        assert!(first.is_new(b"a") && !first.is_new(b"a"));
        let listing = first.listing();
        listings.keep(first);
        let mut first = listings.resume(listing);
        assert!(!first.is_new(b"a"));
        listings.keep(first);
        for _ in 0..LISTINGS {
            listings.keep(listings.begin());
        }
        assert_eq!(listings.lock().len(), LISTINGS);
        assert!(listings.resume(listing).is_new(b"a"));
    }
}
