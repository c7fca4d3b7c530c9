//! From a ticket to a session: what the store has, or a new one.
//!
//! Mirrors the middleware's `store.get` and `inflate` in `express-session/index.js`.

use std::sync::Arc;

use crate::data::{Data, Parsed};
use crate::state::{Live, Phase, SavedData, State};
use crate::visit::{Visit, Visitor};
use crate::{
    Concurrency, Error, ErrorKind, OnStoreError, SessionCookie, SessionId, Stored, events,
};

impl Visit {
    /// Loads the session unless that is done.
    pub(crate) async fn load(&self) -> Result<(), Error> {
        let _turn = self.turn().await;
        self.load_in_turn().await
    }

    /// As [`load`](Self::load), for whoever has the turn already.
    pub(crate) async fn load_in_turn(&self) -> Result<(), Error> {
        if let Some(answer) = self.already_loaded(&self.state()) {
            return answer;
        }
        let live = match self.fetch().await {
            Ok(live) => live,
            Err(error) => {
                self.state().phase = Phase::Down;
                return match self.inner().options.on_store_error {
                    OnStoreError::Anonymous => Ok(()),
                    OnStoreError::Unavailable => Err(error),
                };
            }
        };
        self.state().begin(live);
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
    async fn fetch(&self) -> Result<Box<Live>, Error> {
        for id in self.visitor.tickets.iter() {
            // After the response nobody would let the next request in.
            let late = self.state().committed;
            if self.inner().options.concurrency == Concurrency::Lock && !late {
                Box::pin(self.lock(id)).await?;
            }
            let stored = self.inner().store.load(id).await;
            let stored = stored.map_err(|error| unreachable_store().with_source(error))?;
            let Some(live) = stored.and_then(|stored| self.visitor.revive(id, stored)) else {
                continue;
            };
            if !self.visitor.has_outlived_its_time(&live) {
                return Ok(live);
            }
            Box::pin(self.inner().store.destroy(id)).await?;
        }
        self.visitor.new_session()
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
    pub(crate) fn revive(&self, id: &SessionId, stored: Stored) -> Option<Box<Live>> {
        let inner = self.inner();
        let read = self.read(id, &stored)?;
        let mut live = Box::new(Live::born(id.clone(), read.cookie, read.data));
        live.attributes_changed = read.attributes_changed;
        live.version = Some(stored.version);
        live.stored_until = stored.expires;
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

    /// Reads a record, with the layer's attributes; one that makes no sense is none.
    pub(crate) fn read(&self, id: &SessionId, stored: &Stored) -> Option<Loaded> {
        if stored.text.len() > self.inner().options.max_record_bytes {
            events::malformed(id, "it is larger than a record may be");
            return None;
        }
        let known = self.inner().written_cookie(self.connection_is_secure);
        let Parsed { mut cookie, cookie_is_known, data } =
            Data::parse(Arc::clone(&stored.text), known)
                .inspect_err(|reason| events::malformed(id, reason))
                .ok()?;
        cookie.correct_expiry(stored.expires);
        let attributes_changed = !cookie_is_known && self.refresh(&mut cookie);
        Some(Loaded { cookie, attributes_changed, data })
    }

    pub(crate) fn has_outlived_its_time(&self, live: &Live) -> bool {
        let Some(timeout) = self.inner().options.absolute_timeout else { return false };
        let Some(born) = live.created_at() else { return false };
        born.checked_add(timeout).is_some_and(|end| self.inner().now() >= end)
    }
}

/// What a record says.
pub(crate) struct Loaded {
    pub(crate) cookie: SessionCookie,
    /// The record's attributes were others than the layer's are now.
    pub(crate) attributes_changed: bool,
    pub(crate) data: Data,
}

pub(crate) fn unreachable_store() -> Error {
    Error::new(ErrorKind::Unavailable, "the session could not be loaded: the store failed")
}
