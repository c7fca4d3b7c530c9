//! From a ticket to a session: what the store has, or a new one.
//!
//! Mirrors the middleware's `store.get` and `inflate` in `express-session/index.js`.

use std::sync::Arc;

use crate::clock::to_millis;
use crate::data::Data;
use crate::state::{Live, Phase, SavedData, State};
use crate::visit::{Visit, Visitor};
use crate::{
    Concurrency, Error, ErrorKind, OnStoreError, SessionCookie, SessionId, Stored, events,
};

/// What a load begins with.
struct Loading {
    /// After the response nobody would let the next request in.
    is_late: bool,
    spare: Option<Box<Live>>,
}

impl Visit {
    /// Loads the session for a handler, unless that is done.
    pub(crate) async fn load(&self) -> Result<(), Error> {
        let (turn, loading) = self.turn_with(|state| self.loading(state)).await;
        let fetched = match loading {
            Ok(loading) => Ok(self.fetch(loading).await),
            Err(loaded) => Err(loaded),
        };
        turn.end_with(|state| {
            match fetched {
                Ok(fetched) => self.take_in(fetched, state)?,
                Err(loaded) => loaded?,
            }
            state.named = true;
            Ok(())
        })
    }

    /// Loads the session unless that is done, for whoever has the turn already.
    pub(crate) async fn load_in_turn(&self) -> Result<(), Error> {
        let loading = self.loading(&mut self.state());
        match loading {
            Ok(loading) => {
                let fetched = self.fetch(loading).await;
                self.take_in(fetched, &mut self.state())
            }
            Err(loaded) => loaded,
        }
    }

    /// Looks what the load begins with; `Err` if it is done.
    fn loading(&self, state: &mut State) -> Result<Loading, Result<(), Error>> {
        match self.already_loaded(state) {
            Some(loaded) => Err(loaded),
            None => Ok(Loading { is_late: state.committed, spare: state.take_spare() }),
        }
    }

    fn take_in(&self, fetched: Result<Box<Live>, Error>, state: &mut State) -> Result<(), Error> {
        match fetched {
            Ok(live) => state.begin(live),
            Err(error) => {
                state.phase = Phase::Down;
                if self.inner().options.on_store_error == OnStoreError::Unavailable {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn already_loaded(&self, state: &State) -> Option<Result<(), Error>> {
        let down_is_fine = self.inner().options.on_store_error == OnStoreError::Anonymous;
        match state.phase {
            Phase::Unloaded => None,
            Phase::Down if !down_is_fine => Some(Err(unreachable_store())),
            Phase::Destroyed(_) | Phase::Down | Phase::Live(_) | Phase::Unset(_) => Some(Ok(())),
        }
    }

    /// Returns the client's session, or a new one if it has none.
    async fn fetch(&self, loading: Loading) -> Result<Box<Live>, Error> {
        let mut spare = loading.spare;
        for id in self.visitor.tickets.iter() {
            if self.inner().options.concurrency == Concurrency::Lock && !loading.is_late {
                Box::pin(self.lock(id)).await?;
            }
            let touched_at = self.inner().known_touch(id);
            let stored = self.inner().store.load_touched(id, touched_at).await;
            let stored = stored.map_err(|error| unreachable_store().with_source(error))?;
            let revive = |stored| {
                self.visitor.revive(id, stored, touched_at, spare.take().unwrap_or_default())
            };
            let Some(live) = stored.and_then(revive) else { continue };
            if !self.visitor.has_outlived_its_time(&live) {
                return Ok(live);
            }
            Box::pin(self.inner().store.destroy(id)).await?;
        }
        self.visitor.new_session(spare.unwrap_or_default())
    }

    /// Waits until no other request has the session. A load that was given up has waited already.
    async fn lock(&self, id: &SessionId) -> Result<(), Error> {
        // A dead ticket's lock must not be held while waiting for the next one's.
        let held = self.state().lock.take_if(|lock| lock.0 != *id);
        drop(held);
        if self.state().lock.is_some() {
            return Ok(());
        }
        let guard = self.inner().locks.acquire(id, self.inner().store.timeout()).await?;
        self.state().lock = Some(Box::new((id.clone(), guard)));
        Ok(())
    }
}

impl Visitor {
    pub(crate) fn revive(
        &self,
        id: &SessionId,
        stored: Stored,
        touched_at: Option<i64>,
        mut live: Box<Live>,
    ) -> Option<Box<Live>> {
        let inner = self.inner();
        let Stored { text, version, expires } = stored;
        (live.cookie, live.attributes_changed) = self.read(id, text, &mut live.data)?;
        live.stored_until = match (expires, touched_at) {
            (None, Some(touched_at)) => Some(live.cookie.lives_until(touched_at)),
            (expires, _) => expires.map(to_millis),
        };
        live.cookie.correct_expiry(live.stored_until);
        live.touch_is_noted = touched_at.is_some();
        live.id = id.clone();
        live.version = Some(version);
        live.is_new = false;
        if !inner.options.resave {
            live.saved = SavedData::Original;
        }
        if inner.options.absolute_timeout.is_some() && live.created_at().is_none() {
            live.original.keep(&live.data);
            live.set_created_at(inner.now());
        }
        Some(live)
    }

    /// Reads a record into `data`, and returns its cookie with the layer's attributes, and
    /// whether they were others; a record that makes no sense is none.
    pub(crate) fn read(
        &self,
        id: &SessionId,
        text: Arc<str>,
        data: &mut Data,
    ) -> Option<(SessionCookie, bool)> {
        if text.len() > self.inner().options.max_record_bytes {
            events::malformed(id, "it is larger than a record may be");
            return None;
        }
        let known = self.inner().written_cookie(self.connection_is_secure);
        let (mut cookie, cookie_is_known) =
            data.read(text, known).inspect_err(|reason| events::malformed(id, reason)).ok()?;
        let attributes_changed = !cookie_is_known && self.refresh(&mut cookie);
        Some((cookie, attributes_changed))
    }

    pub(crate) fn has_outlived_its_time(&self, live: &Live) -> bool {
        let Some(timeout) = self.inner().options.absolute_timeout else { return false };
        let Some(born) = live.created_at() else { return false };
        born.checked_add(timeout).is_some_and(|end| self.inner().now() >= end)
    }
}

pub(crate) fn unreachable_store() -> Error {
    Error::new(ErrorKind::Unavailable, "the session could not be loaded: the store failed")
}
