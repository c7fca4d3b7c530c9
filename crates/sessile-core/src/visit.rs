//! What a request has to do with its session: who asks, and where that stands.

use std::cell::LazyCell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::data::Data;
use crate::sessions::{Baker, Inner};
use crate::share::Share;
use crate::state::{Live, Phase, State};
use crate::tickets::Tickets;
use crate::{Error, SessionCookie, SessionId, events};

/// One request's dealings with its session.
pub(crate) struct Visit {
    pub(crate) visitor: Visitor,
    state: Mutex<State>,
}

/// Who asks: what the request said, and the layer that it came to.
pub(crate) struct Visitor {
    share: Share<Inner>,
    pub(crate) tickets: Tickets,
    pub(crate) connection_is_secure: bool,
    own_baker: Option<Box<Baker>>,
}

/// A visit in the hands of its layer, of middleware and of the handler.
pub(crate) type SharedVisit = triomphe::Arc<Visit>;

impl Visit {
    pub(crate) fn new(visitor: Visitor) -> Self {
        Self { visitor, state: Mutex::default() }
    }

    pub(crate) fn inner(&self) -> &Inner {
        self.visitor.inner()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`state`](Self::state), for the only one who has it: that takes no lock.
    pub(crate) fn parts(&mut self) -> (&Visitor, &mut State) {
        (&self.visitor, self.state.get_mut().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Visitor {
    pub(crate) fn new(
        share: Share<Inner>,
        tickets: Tickets,
        connection_is_secure: bool,
        own_baker: Option<Box<Baker>>,
    ) -> Self {
        Self { share, tickets, connection_is_secure, own_baker }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.share
    }

    /// Gives a loaded session's cookie the attributes of a redeployed layer.
    /// Attributes that depend on the request have no one right value; they are
    /// only mended.
    pub(crate) fn refresh(&self, cookie: &mut SessionCookie) -> bool {
        let (inner, secure) = (self.inner(), self.connection_is_secure);
        let Some(baker) = inner.baker(self.own_baker.as_deref()) else { return false };
        if inner.cookie_is_fixed() {
            baker.refresh(cookie, secure)
        } else {
            baker.mend(cookie, secure)
        }
    }

    pub(crate) fn generate_id(&self) -> Result<SessionId, Error> {
        let id = self.inner().ids.generate()?;
        if id.as_str().is_empty() {
            return Err(Error::config("the id generator gave an empty id, which names no session"));
        }
        Ok(id)
    }

    /// Makes a session that no store has yet.
    pub(crate) fn new_session(&self) -> Result<Box<Live>, Error> {
        let inner = self.inner();
        let clock = LazyCell::new(|| inner.now());
        let now = || *clock;
        let baker = inner.baker(self.own_baker.as_deref());
        let baker = baker.ok_or_else(|| Error::config("the request has no cookie options"))?;
        let cookie = baker.bake(self.connection_is_secure, now);
        let mut live = Box::new(Live::born(self.generate_id()?, cookie, Data::new()));
        if inner.options.absolute_timeout.is_some() {
            live.set_created_at(now());
            live.touch_cookie(now, inner.options.absolute_timeout);
        }
        Ok(live)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let (_, state) = self.parts();
        if let Phase::Live(live) = &state.phase
            && live.has_unsaved_changes()
        {
            events::unsaved(state.committed);
        }
    }
}
