//! When a session's expiry is moved: with each request, or once in a while under `touch_after`.

use std::time::SystemTime;

use crate::clock::to_millis;
use crate::sessions::Inner;
use crate::tickets::Tickets;
use crate::{SessionCookie, SessionId};

/// A session that a request may keep alive.
pub(crate) struct Expiring<'s> {
    /// The id under which the store has it.
    pub(crate) id: &'s SessionId,
    /// Its cookie, the lifetime begun anew.
    pub(crate) cookie: &'s SessionCookie,
    /// When the store will drop it, in milliseconds since 1970; `None` if never.
    pub(crate) stored_until: Option<i64>,
}

impl Expiring<'_> {
    pub(crate) fn expires(&self) -> bool {
        self.cookie.expires_millis().is_some() || self.stored_until.is_some()
    }

    /// How many milliseconds ago it was touched, if that can be told.
    fn age(&self) -> Option<i64> {
        Some(self.cookie.expires_millis()?.saturating_sub(self.stored_until?).max(0))
    }
}

impl Inner {
    pub(crate) fn touch_is_due(&self, session: &Expiring<'_>) -> bool {
        let Some(touches) = &self.touches else { return session.expires() };
        if !session.expires() {
            return false;
        }
        match session.age() {
            Some(age) => age >= touches.window_millis().min(patience(session.cookie)),
            None => touches.recent(session.id, &*self.clock).is_none(),
        }
    }

    /// Remembers when a session was touched that need not be, so that requests that
    /// never look at it need not look for that either.
    pub(crate) fn note_touched(&self, session: &Expiring<'_>, now: impl Fn() -> SystemTime) {
        let age = if session.expires() { session.age() } else { Some(0) };
        if let (Some(touches), Some(age)) = (&self.touches, age)
            && touches.window_millis() <= patience(session.cookie)
        {
            touches.note(session.id, to_millis(now()).saturating_sub(age));
        }
    }

    /// Remembers that the session was touched just now.
    pub(crate) fn was_touched(&self, id: &SessionId, cookie: &SessionCookie) {
        if let Some(touches) = &self.touches
            && touches.window_millis() <= patience(cookie)
        {
            touches.note(id, to_millis(self.now()));
        }
    }

    /// Returns when the session was touched that is about to be loaded, if that is known,
    /// lately, and spares the store the question when it will expire.
    pub(crate) fn known_touch(&self, id: &SessionId) -> Option<i64> {
        if !self.store.asks_for_expiry() || self.options.absolute_timeout.is_some() {
            return None;
        }
        self.touches.as_ref()?.recent(id, &*self.clock)
    }

    pub(crate) fn were_touched_lately(&self, tickets: &Tickets) -> bool {
        let Some(touches) = &self.touches else { return false };
        tickets.iter().any(|id| touches.recent(id, &*self.clock).is_some())
    }
}

/// How many milliseconds a touch may be put off: half the lifetime, so that visits
/// at least so often keep the session alive.
fn patience(cookie: &SessionCookie) -> i64 {
    cookie.original_max_age_millis().map_or(i64::MAX, |max_age| (max_age / 2.0).max(0.0) as i64)
}
