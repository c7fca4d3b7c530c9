//! Tickets that were verified lately: a browser sends the same one with every
//! request, and a signature costs more than all else that a read does.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use foldhash::fast::RandomState;

use crate::SessionId;

/// A lossy table: a pair of slots holds the last two tickets that fell into it. It
/// lives as long as the layer, whose secrets never change, and takes 512 KiB.
///
/// A ticket's slots are told by a keyed hash and compared as a whole, so how long
/// that takes tells a forger nothing about any other ticket.
pub(crate) struct Verified {
    hasher: RandomState,
    pairs: Box<[[Slot; 2]]>,
}

const PAIRS: usize = 1 << 11;
/// The last bytes of a ticket, its signature's, tell it from any other that is verified.
const TOLD_BY: usize = 16;

impl Verified {
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::default(),
            pairs: (0..PAIRS).map(|_| Default::default()).collect(),
        }
    }

    /// Returns the id in a cookie's raw value, if that was verified lately.
    pub(crate) fn find<'r>(&self, raw: &'r [u8]) -> Option<&'r str> {
        let id = self.pair(raw).iter().find_map(|slot| slot.find(raw))?;
        std::str::from_utf8(raw.get(ID_STARTS..)?.get(..id)?).ok()
    }

    /// Remembers a raw value in which `id` was found: one that is written as ours are, with an
    /// id of up to 48 characters that need no encoding. Others are verified each time.
    pub(crate) fn keep(&self, raw: &[u8], id: &SessionId) {
        let id = id.as_str().as_bytes();
        let stands_as_it_is = raw.get(ID_STARTS..).is_some_and(|rest| rest.starts_with(id));
        if stands_as_it_is && raw.len() <= LONGEST {
            let [first, second] = self.pair(raw);
            let older = if second.is_older_than(first) { second } else { first };
            older.keep(raw, id.len());
        }
    }

    fn pair(&self, raw: &[u8]) -> &[Slot; 2] {
        let mac = raw.last_chunk::<TOLD_BY>();
        &self.pairs[usize::try_from(self.hasher.hash_one(mac)).unwrap_or(0) % PAIRS]
    }
}

/// Where the id begins in a raw ticket.
const ID_STARTS: usize = "s%3A".len();

/// Express's tickets have up to 80 bytes, and two for each that is percent-encoded.
const WORDS: usize = 12;
const WORD: usize = size_of::<u64>();
const LONGEST: usize = WORDS * WORD;

/// A ticket, which threads read without a lock: a sequence lock. Who reads while
/// another writes finds nothing, and who writes meanwhile lets it be.
///
/// Aligned, so that a look at it touches two lines of the processor's cache, not three.
#[derive(Default)]
#[repr(align(128))]
struct Slot {
    /// Odd while it is being written.
    sequence: AtomicU32,
    /// The lengths of the ticket and of the id in it.
    lengths: AtomicU32,
    words: [AtomicU64; WORDS],
    /// The ticket's last bytes, whether or not they are in a word.
    end: AtomicU64,
}

impl Slot {
    /// Returns the length of the id, if `raw` is the ticket. All of it is compared, always.
    fn find(&self, raw: &[u8]) -> Option<usize> {
        let (words, _) = raw.as_chunks::<WORD>();
        let sequence = self.sequence.load(Ordering::Acquire);
        let (length, id) = unpack(self.lengths.load(Ordering::Relaxed));
        let end = raw.last_chunk().copied().map(u64::from_ne_bytes)?;
        let mut difference = self.end.load(Ordering::Relaxed) ^ end;
        for (own, word) in self.words.iter().zip(words) {
            difference |= own.load(Ordering::Relaxed) ^ u64::from_ne_bytes(*word);
        }
        fence(Ordering::Acquire);
        let at_rest =
            sequence.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == sequence;
        (at_rest && length == raw.len() && difference == 0).then_some(id)
    }

    fn is_older_than(&self, other: &Self) -> bool {
        self.sequence.load(Ordering::Relaxed) < other.sequence.load(Ordering::Relaxed)
    }

    fn keep(&self, raw: &[u8], id: usize) {
        let (words, _) = raw.as_chunks::<WORD>();
        let (Some(end), Some(lengths)) = (raw.last_chunk(), pack(raw.len(), id)) else { return };
        let sequence = self.sequence.load(Ordering::Relaxed) & !1;
        let writing = sequence | 1;
        let (taken, refused) = (Ordering::Acquire, Ordering::Relaxed);
        if self.sequence.compare_exchange(sequence, writing, taken, refused).is_err() {
            return;
        }
        fence(Ordering::Release);
        self.lengths.store(lengths, Ordering::Relaxed);
        self.end.store(u64::from_ne_bytes(*end), Ordering::Relaxed);
        for (own, word) in self.words.iter().zip(words) {
            own.store(u64::from_ne_bytes(*word), Ordering::Relaxed);
        }
        self.sequence.store(writing.wrapping_add(1), Ordering::Release);
    }
}

fn pack(length: usize, id: usize) -> Option<u32> {
    Some(u32::from(u16::try_from(length).ok()?) << 16 | u32::from(u16::try_from(id).ok()?))
}

fn unpack(lengths: u32) -> (usize, usize) {
    ((lengths >> 16) as usize, (lengths & 0xffff) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secrets;

    fn ticket(secrets: &Secrets, id: &str) -> String {
        let mut raw = String::new();
        secrets.write_ticket(&SessionId::new(id), &mut raw);
        raw
    }

    #[test]
    fn what_was_verified_is_known_and_nothing_else_is() {
        let (verified, secrets) = (Verified::new(), Secrets::new(["keyboard cat"]).unwrap());
        let raw = ticket(&secrets, "id");
        assert_eq!(verified.find(raw.as_bytes()), None);
        verified.keep(raw.as_bytes(), &SessionId::new("id"));
        assert_eq!(verified.find(raw.as_bytes()), Some("id"));
        let [slot, _] = verified.pair(raw.as_bytes());
        for at in 0..raw.len() {
            let mut forged = raw.clone().into_bytes();
            forged[at] ^= 1;
            assert_eq!(slot.find(&forged), None, "{at}");
            assert_eq!(slot.find(&raw.as_bytes()[..at]), None, "{at}");
        }
        assert_eq!(slot.find(format!("{raw}x").as_bytes()), None);
        for none in ["", "s", "s%3A", "s%3Aid"] {
            assert_eq!(verified.find(none.as_bytes()), None);
        }
    }

    #[test]
    fn two_tickets_of_one_pair_are_both_known_and_a_third_replaces_the_older() {
        let (verified, secrets) = (Verified::new(), Secrets::new(["keyboard cat"]).unwrap());
        let tickets = |n: u32| ticket(&secrets, &format!("id{n}"));
        let pair: *const _ = verified.pair(tickets(0).as_bytes());
        let falls_there = |raw: &String| std::ptr::eq(verified.pair(raw.as_bytes()), pair);
        let of_one_pair: Vec<_> = (0..).map(tickets).filter(falls_there).take(3).collect();
        let known = || of_one_pair.iter().map(|raw| verified.find(raw.as_bytes()).is_some());
        for (raw, expected) in
            of_one_pair.iter().zip([[true, false, false], [true, true, false], [false, true, true]])
        {
            let id = secrets.verify(raw.as_bytes()).unwrap();
            verified.keep(raw.as_bytes(), &id);
            assert!(known().eq(expected));
        }
    }

    #[test]
    fn tickets_that_fit_no_slot_are_not_kept() {
        let (verified, secrets) = (Verified::new(), Secrets::new(["keyboard cat"]).unwrap());
        for id in ["\u{e4}", &"id".repeat(40)] {
            let raw = ticket(&secrets, id);
            verified.keep(raw.as_bytes(), &SessionId::new(id));
            assert_eq!(verified.find(raw.as_bytes()), None);
        }
    }

    #[test]
    fn threads_that_share_a_slot_take_no_ticket_for_another() {
        // Of one length, so that only the slot tells how long the id in each is.
        let tickets: Vec<_> = (1..=16).map(|id| (id, format!("s%3A{id:016}.{id:043}"))).collect();
        let (slot, found) = (Slot::default(), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for (id, raw) in tickets.iter().cycle().take(20_000) {
                        match slot.find(raw.as_bytes()) {
                            Some(length) => assert_eq!(length, *id),
                            None => slot.keep(raw.as_bytes(), *id),
                        }
                        let length = slot.find(raw.as_bytes());
                        assert!(length.is_none_or(|length| length == *id));
                        found.fetch_add(u32::from(length.is_some()), Ordering::Relaxed);
                    }
                });
            }
        });
        assert!(found.into_inner() > 1000);
    }
}
