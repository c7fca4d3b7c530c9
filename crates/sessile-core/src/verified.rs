//! Tickets that were verified lately: a browser sends the same one with every
//! request, and a signature costs more than all else that a read does.

use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};

use foldhash::fast::RandomState;

use crate::SessionId;

/// A lossy table: a slot holds the last ticket that fell into it. It lives as
/// long as the layer, whose secrets never change.
///
/// A ticket is looked up by a keyed hash of all its bytes, so how long that
/// takes tells a forger nothing about any other ticket.
pub(crate) struct Verified {
    hasher: RandomState,
    slots: Box<[Mutex<Option<Ticket>>]>,
}

struct Ticket {
    hash: u64,
    raw: Box<[u8]>,
    id: SessionId,
}

const SLOTS: usize = 1 << 12;

impl Verified {
    pub(crate) fn new() -> Self {
        let slots = (0..SLOTS).map(|_| Mutex::new(None)).collect();
        Self { hasher: RandomState::default(), slots }
    }

    /// Returns the id in a cookie's raw value, from the table or by `verify`.
    pub(crate) fn id_in(
        &self,
        raw: &[u8],
        verify: impl FnOnce(&[u8]) -> Option<SessionId>,
    ) -> Option<SessionId> {
        let hash = self.hasher.hash_one(raw);
        let slot = &self.slots[usize::try_from(hash).unwrap_or(0) % SLOTS];
        {
            let known = slot.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(ticket) = &*known
                && ticket.hash == hash
                && *ticket.raw == *raw
            {
                return Some(ticket.id.clone());
            }
        }
        let id = verify(raw)?;
        let ticket = Ticket { hash, raw: raw.into(), id: id.clone() };
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(ticket);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secrets;

    #[test]
    fn what_was_verified_is_known_and_nothing_else_is() {
        let (verified, secrets) = (Verified::new(), Secrets::new(["keyboard cat"]).unwrap());
        let raw = format!("s:{}", secrets.sign("id"));
        for _ in 0..2 {
            let id = verified.id_in(raw.as_bytes(), |raw| secrets.verify(raw)).unwrap();
            assert_eq!(id.as_str(), "id");
        }
        let unasked = |_: &[u8]| -> Option<SessionId> { panic!("it is known") };
        assert!(verified.id_in(raw.as_bytes(), unasked).is_some());
        for forged in ["", "s:id", &raw[..raw.len() - 1], &format!("{raw}x")] {
            assert!(verified.id_in(forged.as_bytes(), |raw| secrets.verify(raw)).is_none());
        }
    }
}
