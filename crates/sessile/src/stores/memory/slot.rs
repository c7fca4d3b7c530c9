//! What the store keeps for one session, and the dense list of all of them.

use std::ops::{Index, IndexMut};
use std::sync::Arc;

use sessile_core::SessionId;

use super::rank::Rank;

/// Stands for "no slot" in links.
pub(super) const NOWHERE: u32 = u32::MAX;

/// One session. The layout is the store's memory per session, so it is tight:
/// 88 bytes, plus the text.
pub(super) struct Slot {
    pub(super) id: Id,
    pub(super) text: Arc<str>,
    pub(super) rank: Rank,
    pub(super) version: u64,
    pub(super) hash: u32,
    /// The page of the calendar that lists it, and its neighbours there.
    pub(super) page: u32,
    pub(super) before: u32,
    pub(super) after: u32,
}

impl Slot {
    pub(super) fn new(id: &str, hash: u32, text: Arc<str>, rank: Rank, version: u64) -> Self {
        let (page, before, after) = (NOWHERE, NOWHERE, NOWHERE);
        Self { id: Id::new(id), text, rank, version, hash, page, before, after }
    }

    /// What the session counts towards the limit on bytes.
    pub(super) fn cost(&self) -> usize {
        cost(self.id.as_bytes().len(), self.text.len())
    }
}

/// What a session with an id and a text of these lengths costs: measured, with
/// one million sessions, and rounded up.
pub(super) fn cost(id: usize, text: usize) -> usize {
    const SLOT: usize = 128;
    SLOT + id + text
}

const INLINE: usize = 38;

/// An id without an allocation of its own, if it is as long as ours: that is
/// one cache miss less for each load, and 24 bytes.
pub(super) enum Id {
    Inline(u8, [u8; INLINE]),
    Boxed(Box<[u8]>),
}

impl Id {
    fn new(id: &str) -> Self {
        let bytes = id.as_bytes();
        match u8::try_from(bytes.len()) {
            Ok(len) if bytes.len() <= INLINE => {
                let mut inline = [0; INLINE];
                inline[..bytes.len()].copy_from_slice(bytes);
                Self::Inline(len, inline)
            }
            _ => Self::Boxed(bytes.into()),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline(len, bytes) => &bytes[..usize::from(*len)],
            Self::Boxed(bytes) => bytes,
        }
    }

    pub(super) fn to_session_id(&self) -> SessionId {
        // They were a string when they came, so nothing is ever replaced.
        SessionId::new(String::from_utf8_lossy(self.as_bytes()))
    }
}

/// Slots side by side, in pieces, so that growing copies no slot and memory
/// goes back as sessions go.
#[derive(Default)]
pub(super) struct Slots(Vec<Vec<Slot>>);

const PIECE: usize = 64;
/// Room that a piece begins with.
const FIRST: usize = 4;

impl Slots {
    pub(super) fn push(&mut self, slot: Slot) -> u32 {
        match self.0.last_mut() {
            Some(piece) if piece.len() < PIECE => piece.push(slot),
            _ => {
                let mut piece = Vec::with_capacity(FIRST);
                piece.push(slot);
                self.0.push(piece);
            }
        }
        self.last()
    }

    /// Takes a slot out. The last slot moves into the gap, from the index that
    /// [`last`](Self::last) gave before.
    pub(super) fn swap_remove(&mut self, at: u32) -> Option<Slot> {
        let last = self.last();
        let piece = self.0.last_mut()?;
        let slot = piece.pop()?;
        if piece.is_empty() {
            self.0.pop();
        }
        Some(if at == last { slot } else { std::mem::replace(&mut self[at], slot) })
    }

    /// Returns the index of the last slot, or [`NOWHERE`].
    pub(super) fn last(&self) -> u32 {
        let Some(piece) = self.0.last() else { return NOWHERE };
        let len = (self.0.len() - 1) * PIECE + piece.len();
        u32::try_from(len - 1).unwrap_or(NOWHERE)
    }

    /// Takes the slots apart, for dropping them a piece at a time.
    pub(super) fn into_pieces(self) -> Vec<Vec<Slot>> {
        self.0
    }
}

impl Index<u32> for Slots {
    type Output = Slot;

    fn index(&self, at: u32) -> &Slot {
        &self.0[at as usize / PIECE][at as usize % PIECE]
    }
}

impl IndexMut<u32> for Slots {
    fn index_mut(&mut self, at: u32) -> &mut Slot {
        &mut self.0[at as usize / PIECE][at as usize % PIECE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_stays_small() {
        assert_eq!(size_of::<Id>(), 40);
        assert_eq!(size_of::<Slot>(), 88);
    }

    #[test]
    fn ids_of_any_length_are_kept() {
        for len in [0, 1, INLINE - 1, INLINE, INLINE + 1, 300] {
            let id = "é".repeat(len / 2) + &"x".repeat(len % 2);
            assert_eq!(Id::new(&id).as_bytes(), id.as_bytes());
        }
    }

    #[test]
    fn removing_moves_the_last_slot_into_the_gap() {
        let slot = |n: u32| Slot::new(&n.to_string(), n, "{}".into(), Rank::expires_at(0), 0);
        let mut slots = Slots::default();
        assert_eq!(slots.last(), NOWHERE);
        for n in 0..130 {
            assert_eq!(slots.push(slot(n)), n);
        }
        assert_eq!(slots.swap_remove(3).unwrap().hash, 3);
        assert_eq!(slots[3].hash, 129);
        assert_eq!(slots.swap_remove(128).unwrap().hash, 128);
        assert_eq!(slots.last(), 127);
        assert_eq!(slots.0.len(), 2, "an empty piece is given back");
    }
}
