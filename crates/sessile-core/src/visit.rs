//! What a request has to do with its session: who asks, and where that stands.

use std::cell::{LazyCell, RefCell};
use std::sync::{Mutex, MutexGuard, PoisonError};

use triomphe::UniqueArc;

use crate::sessions::{Baker, Inner};
use crate::share::Share;
use crate::state::{Live, Phase, State};
use crate::tickets::Tickets;
use crate::{Error, SessionCookie, SessionId, events};

/// One request's dealings with its session.
#[derive(Default)]
pub(crate) struct Visit {
    pub(crate) visitor: Visitor,
    state: Mutex<State>,
}

/// Who asks: what the request said, and the layer that it came to.
#[derive(Default)]
pub(crate) struct Visitor {
    /// `None` between visits.
    share: Option<Share<Inner>>,
    pub(crate) tickets: Tickets,
    pub(crate) connection_is_secure: bool,
    own_baker: Option<Box<Baker>>,
}

/// A visit in the hands of its layer, of middleware and of the handler.
pub(crate) type SharedVisit = triomphe::Arc<Visit>;

thread_local! {
    /// Visits that have ended, empty: they leave their memory to the next ones, which is
    /// filled where it lies instead of being copied there.
    static SPARE: RefCell<Vec<UniqueArc<Visit>>> = const { RefCell::new(Vec::new()) };
}

/// So many a thread keeps, of less than a kilobyte each, or of a few if sessions have many keys.
const MOST_SPARE: usize = 64;

impl Visit {
    /// Begins a visit; its tickets are still to be found.
    pub(crate) fn begin(
        share: Share<Inner>,
        connection_is_secure: bool,
        own_baker: Option<Box<Baker>>,
    ) -> UniqueArc<Self> {
        let spare = SPARE.try_with(|spare| spare.borrow_mut().pop());
        let mut visit = spare.ok().flatten().unwrap_or_else(|| UniqueArc::new(Self::default()));
        let visitor = &mut visit.visitor;
        visitor.share = Some(share);
        visitor.connection_is_secure = connection_is_secure;
        visitor.own_baker = own_baker;
        visit
    }

    /// Ends the visit of the only one who has it. Nothing stays of it but its memory, least
    /// of all its layer, which may have been dropped meanwhile.
    pub(crate) fn end(mut visit: UniqueArc<Self>) {
        visit.report_unsaved();
        visit.visitor = Visitor::default();
        visit.parts().1.rest();
        // If the thread is ending, the visit ends with it.
        let _kept = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < MOST_SPARE {
                spare.push(visit);
            }
        });
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

    fn report_unsaved(&mut self) {
        let (_, state) = self.parts();
        if let Phase::Live(live) = &state.phase
            && live.has_unsaved_changes()
        {
            events::unsaved(state.committed);
        }
    }
}

impl Visitor {
    pub(crate) fn inner(&self) -> &Inner {
        self.share.as_deref().expect("a visit rests only while nobody has it")
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
    pub(crate) fn new_session(&self, mut live: Box<Live>) -> Result<Box<Live>, Error> {
        let inner = self.inner();
        let clock = LazyCell::new(|| inner.now());
        let now = || *clock;
        let baker = inner.baker(self.own_baker.as_deref());
        let baker = baker.ok_or_else(|| Error::config("the request has no cookie options"))?;
        live.cookie = baker.bake(self.connection_is_secure, now);
        live.id = self.generate_id()?;
        if inner.options.absolute_timeout.is_some() {
            live.set_created_at(now());
            live.touch_cookie(now, inner.options.absolute_timeout);
        }
        Ok(live)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.report_unsaved();
    }
}
