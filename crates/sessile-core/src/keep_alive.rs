//! When a session's expiry is moved: with each request, or once in a while under `touch_after`.

use std::time::{Duration, SystemTime};

use crate::sessions::Inner;
use crate::tickets::Tickets;
use crate::{SessionCookie, SessionId};

/// A session that a request may keep alive.
pub(crate) struct Expiring<'s> {
    /// The id under which the store has it.
    pub(crate) id: &'s SessionId,
    /// Its cookie, the lifetime begun anew.
    pub(crate) cookie: &'s SessionCookie,
    /// When the store will drop it; `None` if never.
    pub(crate) stored_until: Option<SystemTime>,
}

impl Expiring<'_> {
    pub(crate) fn expires(&self) -> bool {
        self.cookie.expires().is_some() || self.stored_until.is_some()
    }
}

impl Inner {
    pub(crate) fn touch_is_due(
        &self,
        session: &Expiring<'_>,
        now: impl Fn() -> SystemTime,
    ) -> bool {
        if !session.expires() {
            if let Some(touches) = &self.touches {
                touches.note(session.id, now());
            }
            return false;
        }
        let (Some(window), Some(touches)) = (self.options.touch_after, &self.touches) else {
            return true;
        };
        let (Some(fresh), Some(stored)) = (session.cookie.expires(), session.stored_until) else {
            return !touches.is_recent(session.id, now());
        };
        let (age, patience) =
            (fresh.duration_since(stored).unwrap_or_default(), patience(session.cookie));
        let due = age >= window.min(patience);
        if !due && window <= patience {
            touches.note(session.id, now().checked_sub(age).unwrap_or_else(&now));
        }
        due
    }

    /// Remembers that the session was touched just now.
    pub(crate) fn was_touched(&self, id: &SessionId, cookie: &SessionCookie) {
        if let (Some(touches), Some(window)) = (&self.touches, self.options.touch_after)
            && window <= patience(cookie)
        {
            touches.note(id, self.now());
        }
    }

    pub(crate) fn were_touched_lately(&self, tickets: &Tickets) -> bool {
        let Some(touches) = &self.touches else { return false };
        let now = self.now();
        tickets.iter().any(|id| touches.is_recent(id, now))
    }
}

/// How long a touch may be put off: half the lifetime, so that visits at least
/// so often keep the session alive.
fn patience(cookie: &SessionCookie) -> Duration {
    cookie.original_max_age().map_or(Duration::MAX, |max_age| max_age / 2)
}
