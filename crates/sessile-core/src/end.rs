//! The end of a request: decide, store, write the headers.
//!
//! Mirrors `res.end` and the `onHeaders` listener in `express-session/index.js`.

use std::pin::pin;
use std::sync::PoisonError;

use http::header::{HeaderMap, HeaderValue};

use crate::commit::{Commit, CookieAction, StoreAction};
use crate::guard::within;
use crate::headers::{replace_cookie, vary_by_cookie};
use crate::session::Visit;
use crate::state::{Live, Phase};
use crate::{Error, ErrorKind, SessionHandle, events};

/// A request that has no use for its session waits for this part of the store's deadline.
const PATIENCE: u32 = 10;

impl SessionHandle {
    /// Commits the session if that takes no store operation and no cookie, as
    /// after a handler that only read. `false`: it needs [`commit`](Self::commit).
    ///
    /// ```
    /// # use http::HeaderMap;
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::ReferenceStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let sessions: Sessions = Builder::with_defaults(ReferenceStore::new(), secrets);
    /// # let (request, ()) = http::Request::new(()).into_parts();
    /// # let mut headers = HeaderMap::new();
    /// let handle = sessions.begin(&request, "/")?.unwrap();
    /// handle.load().await?.insert("user", 7)?;
    /// assert!(!handle.try_commit(&mut headers)); // it must be stored first
    /// # handle.commit(&mut headers).await?;
    ///
    /// let handle = sessions.begin(&request, "/")?.unwrap();
    /// handle.load().await?.get::<u32>("user")?;
    /// assert!(handle.try_commit(&mut headers)); // new, and empty
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn try_commit(&self, headers: &mut HeaderMap) -> bool {
        self.visit().try_commit(headers)
    }

    /// Commits the session when the handler is done: stores, touches or
    /// destroys it and writes the headers. Call it once, before the response leaves.
    ///
    /// # Errors
    ///
    /// If the store fails: the response must then be replaced by one with the
    /// error's [`status`](Error::status), or the client would be told of data that was not kept.
    ///
    /// ```
    /// # use http::HeaderMap;
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{FaultyStore, Op, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = FaultyStore::new(ReferenceStore::new());
    /// # let sessions: Sessions = Builder::with_defaults(store.clone(), secrets);
    /// # let (request, ()) = http::Request::new(()).into_parts();
    /// # let handle = sessions.begin(&request, "/")?.unwrap();
    /// handle.load().await?.insert("user", 7)?;
    ///
    /// store.fail(Op::Save);
    /// let mut headers = HeaderMap::new();
    /// let error = handle.commit(&mut headers).await.unwrap_err();
    /// assert_eq!(error.status(), 503); // send this instead of the response
    /// assert!(!headers.contains_key("set-cookie"));
    /// # Ok(()) }
    /// ```
    pub async fn commit(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        self.visit().commit(headers).await
    }
}

impl Visit {
    /// Decides what the end of the request means for the session.
    fn plan(&self) -> Option<Commit> {
        let inner = self.inner();
        let mut state = self.state();
        let mut touch_due = true;
        if let Phase::Live(live) = &mut state.phase {
            live.touch_cookie(inner.now(), inner.options.absolute_timeout);
            touch_due = self.touch_is_due(live);
        }
        let facts = state.facts(&self.tickets, self.connection_is_secure, touch_due)?;
        Some(inner.policy.commit(facts))
    }

    fn touch_is_due(&self, live: &Live) -> bool {
        let (fresh, stored) = (live.cookie.expires(), live.stored_until);
        if fresh.is_none() && stored.is_none() {
            if let Some(touches) = &self.inner().touches {
                touches.note(live.stored_id(), self.inner().now());
            }
            return false;
        }
        if live.touched {
            return true;
        }
        let (Some(window), Some(touches)) =
            (self.inner().options.touch_after, &self.inner().touches)
        else {
            return true;
        };
        let now = self.inner().now();
        let (Some(fresh), Some(stored)) = (fresh, stored) else {
            return !touches.is_recent(live.stored_id(), now, window);
        };
        let age = fresh.duration_since(stored).unwrap_or_default();
        let due = age >= window.min(live.patience());
        if !due && window <= live.patience() {
            touches.note(live.stored_id(), now.checked_sub(age).unwrap_or(now));
        }
        due
    }

    /// A route that never named its session still has one to keep alive.
    fn must_load(&self) -> bool {
        let inner = self.inner();
        if self.tickets.is_empty() {
            return inner.options.save_uninitialized;
        }
        let touched_lately = inner.options.touch_after.zip(inner.touches.as_ref()).is_some_and(
            |(window, touches)| {
                let now = inner.now();
                self.tickets.iter().any(|id| touches.is_recent(id, now, window))
            },
        );
        let options = &inner.options;
        options.save_uninitialized || options.resave || options.rolling || !touched_lately
    }

    fn try_commit(&self, headers: &mut HeaderMap) -> bool {
        let Ok(_turn) = self.busy.try_lock() else { return false };
        let unloaded = matches!(self.state().phase, Phase::Unloaded);
        let seen = self.changes();
        if unloaded && self.must_load() || !self.plan().is_none_or(Commit::is_nothing) {
            return false;
        }
        self.close(headers, seen);
        self.release();
        true
    }

    /// How many changes the handler made so far. Counted before the decision, so
    /// that one a clone makes meanwhile is never taken for settled.
    fn changes(&self) -> usize {
        self.state().live().map_or(0, |live| live.changes.len())
    }

    /// Lets the next request of the session in.
    fn release(&self) {
        self.state().committed = true;
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    async fn commit(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        let _turn = self.turn().await;
        let unloaded = matches!(self.state().phase, Phase::Unloaded);
        let outcome = if unloaded && self.must_load() {
            Box::pin(self.commit_unseen(headers)).await
        } else {
            self.commit_seen(headers).await
        };
        self.release();
        outcome.inspect_err(events::commit_failed)
    }

    /// Commits a session that no handler looked at. The response does not depend
    /// on it, so it neither fails with the store nor waits long for it; unless
    /// the options want a cookie on each response, or a save for each request.
    async fn commit_unseen(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        let inner = self.inner();
        let work = async {
            match self.load_in_turn().await {
                Ok(()) => self.commit_seen(headers).await,
                // Reported where it happened.
                Err(_) => Ok(()),
            }
        };
        let options = &inner.options;
        if options.save_uninitialized || options.resave || options.rolling {
            return work.await;
        }
        // Nor does it matter to the response whether the touch succeeded.
        let _reported = within(inner.store.timeout() / PATIENCE, pin!(work)).await;
        Ok(())
    }

    async fn commit_seen(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        let seen = self.changes();
        let decided = self.plan();
        let saves = decided.is_some_and(|commit| commit.store.saves());
        let outcome = match decided {
            Some(commit) => self.carry_out(commit, headers).await,
            None => Ok(()),
        };
        self.close(headers, if saves && outcome.is_ok() { 0 } else { seen });
        outcome
    }

    /// Ends the request. The first `settled` changes need no saving any more;
    /// those made since by a clone of the session do.
    fn close(&self, headers: &mut HeaderMap, settled: usize) {
        let mut state = self.state();
        if let Phase::Live(live) = &mut state.phase {
            live.changes.drain(..settled.min(live.changes.len()));
        }
        if state.named {
            vary_by_cookie(headers);
        }
    }

    async fn carry_out(&self, commit: Commit, headers: &mut HeaderMap) -> Result<(), Error> {
        let done = match commit.store {
            // What reads never do stays out of their future: a large one is slow to allocate.
            StoreAction::Create | StoreAction::Update => Box::pin(self.save()).await,
            StoreAction::Destroy => Box::pin(self.destroy()).await,
            StoreAction::Nothing => Ok(()),
            StoreAction::Orphan => {
                self.inner().report_undeliverable();
                Ok(())
            }
            StoreAction::Rotate => Box::pin(self.rotate()).await,
            StoreAction::Touch => self.touch_stored().await,
        };
        match done {
            Ok(()) => self.write_cookie(commit.cookie, headers),
            // Reported where it was found; the response is what it is, and brings nobody back.
            Err(error) if error.kind() == ErrorKind::Gone => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Moves the stored session's expiry to the cookie's.
    pub(crate) async fn touch_stored(&self) -> Result<(), Error> {
        let inner = self.inner();
        let (id, cookie, version) = {
            let mut state = self.state();
            let live = state.live()?;
            let Some(version) = live.version.clone() else { return Ok(()) };
            (live.stored_id().clone(), live.cookie.clone(), version)
        };
        if !inner.store.touch(&id, &cookie, &version).await? && !self.ends_at_once(&cookie) {
            return Err(self.lost(&id));
        }
        let mut state = self.state();
        let Ok(live) = state.live() else { return Ok(()) };
        live.stored_until = cookie.expires();
        if let (Some(touches), Some(window)) = (&inner.touches, inner.options.touch_after)
            && window <= live.patience()
        {
            touches.note(&id, inner.now());
        }
        Ok(())
    }

    fn write_cookie(&self, action: CookieAction, headers: &mut HeaderMap) -> Result<(), Error> {
        let name = &self.inner().options.name;
        let text = match action {
            CookieAction::Leave => return Ok(()),
            CookieAction::Set => {
                let mut state = self.state();
                let live = state.live()?;
                live.cookie.serialize(name, &self.inner().secrets.ticket(&live.id))?
            }
            CookieAction::Clear => match &self.state().phase {
                Phase::Destroyed(Some(cookie)) => cookie.serialize_removal(name)?,
                Phase::Unset(live) => live.cookie.serialize_removal(name)?,
                Phase::Destroyed(None) | Phase::Down | Phase::Live(_) | Phase::Unloaded => {
                    return Ok(());
                }
            },
        };
        let value = HeaderValue::try_from(text).map_err(|error| {
            Error::config("the session cookie is no header value").with_source(error)
        })?;
        replace_cookie(headers, name, value);
        Ok(())
    }
}
