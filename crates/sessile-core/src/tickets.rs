//! The ids that a client's cookies carry.

use crate::SessionId;

/// Usually one. Cookies of one name under several paths or domains make more,
/// and only the store knows which of them still names a session.
#[derive(Default)]
pub(crate) struct Tickets {
    first: Option<SessionId>,
    others: Vec<SessionId>,
}

/// A client may send any number of tickets it once got; each costs a load.
const MOST: usize = 4;

impl Tickets {
    pub(crate) fn is_full(&self) -> bool {
        self.others.len() + 1 >= MOST
    }

    pub(crate) fn push(&mut self, id: &str) {
        if self.first.is_none() {
            self.first = Some(SessionId::new(id));
        } else if self.iter().all(|ticket| ticket.as_str() != id) {
            self.others.push(SessionId::new(id));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn contains(&self, id: &SessionId) -> bool {
        self.iter().any(|ticket| ticket == id)
    }

    /// In the order in which the client sent them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &SessionId> {
        self.first.iter().chain(&self.others)
    }
}
