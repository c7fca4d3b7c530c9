//! The end of a request: decide, store, write the headers.
//!
//! Mirrors `res.end` and the `onHeaders` listener in `express-session/index.js`.

use std::cell::LazyCell;
use std::pin::pin;

use http::header::{HeaderMap, HeaderValue};

use crate::commit::{Commit, CookieAction, StoreAction};
use crate::deadline::within;
use crate::headers::replace_cookie;
use crate::state::{Phase, State};
use crate::visit::{SharedVisit, Visit, Visitor};
use crate::{Error, ErrorKind, SessionHandle, buffer, events};

/// A request that has no use for its session waits for this part of the store's deadline.
const PATIENCE: u32 = 10;

impl SessionHandle {
    /// Commits the session if that takes no waiting, as after a handler that only
    /// read, or with a store in memory. If it must wait, the handle comes back as the outer
    /// error, for [`commit`](Self::commit).
    ///
    /// Within a Tokio runtime a session that was only read is kept alive by a task
    /// of its own, which nobody waits for.
    ///
    /// # Errors
    ///
    /// The inner ones are those of [`commit`](Self::commit).
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
    /// let handle = handle.commit_at_once(&mut headers).unwrap_err(); // it must be stored first
    /// # handle.commit(&mut headers).await?;
    ///
    /// let handle = sessions.begin(&request, "/")?.unwrap();
    /// handle.load().await?.get::<u32>("user")?;
    /// handle.commit_at_once(&mut headers).unwrap()?; // new, and empty
    /// # Ok(()) }
    /// ```
    pub fn commit_at_once(self, headers: &mut HeaderMap) -> Result<Result<(), Error>, Self> {
        let (visit, outer) = self.into_parts();
        let visit = match SharedVisit::try_unique(visit) {
            Ok(mut own) => {
                let (visitor, state) = own.parts();
                if let Some(done) = visitor.commit_at_once(state, headers) {
                    Visit::end(own);
                    return Ok(done);
                }
                own.shareable()
            }
            Err(visit) => {
                if let Some(done) = visit.commit_at_once(headers) {
                    return Ok(done);
                }
                visit
            }
        };
        let handle = Self::from_parts(visit, outer);
        if handle.touch_behind(headers) { Ok(Ok(())) } else { Err(handle) }
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
    async fn commit(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        let _turn = self.turn().await;
        let unloaded = matches!(self.state().phase, Phase::Unloaded);
        let outcome = if unloaded && self.visitor.must_load() {
            Box::pin(self.commit_unseen(headers)).await
        } else {
            self.commit_seen(headers).await
        };
        self.state().release();
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
        let (seen, decided) = {
            let mut state = self.state();
            // Those that a clone makes from here on are not settled by what is decided now.
            (state.live().map_or(0, |live| live.changes.len()), self.visitor.plan(&mut state))
        };
        let saves = decided.is_some_and(|commit| commit.store.saves());
        let outcome = match decided {
            Some(commit) => self.carry_out(commit, headers).await,
            None => Ok(()),
        };
        let settled = if saves && outcome.is_ok() { 0 } else { seen };
        self.state().close(headers, settled);
        outcome
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
            Ok(()) => self.visitor.write_cookie(&mut self.state(), commit.cookie, headers),
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
        if !inner.store.touch(&id, &cookie, &version).await? && !self.visitor.ends_at_once(&cookie)
        {
            return Err(self.lost(&id));
        }
        let mut state = self.state();
        let Ok(live) = state.live() else { return Ok(()) };
        live.stored_until = cookie.expires_millis();
        inner.was_touched(&id, &cookie);
        Ok(())
    }
}

impl Visitor {
    /// Decides what the end of the request means for the session.
    pub(crate) fn plan(&self, state: &mut State) -> Option<Commit> {
        let inner = self.inner();
        let mut touch_due = true;
        if let Phase::Live(live) = &mut state.phase {
            let clock = LazyCell::new(|| inner.now());
            let now = || *clock;
            live.touch_cookie(now, inner.options.absolute_timeout);
            let session = live.expiring();
            touch_due = inner.touch_is_due(&session) || live.touched && session.expires();
            if !touch_due && !live.touch_is_noted {
                inner.note_touched(&session, now);
            }
        }
        let facts = state.facts(&self.tickets, self.connection_is_secure, touch_due)?;
        Some(inner.policy.commit(facts))
    }

    /// A route that never named its session still has one to keep alive.
    pub(crate) fn must_load(&self) -> bool {
        let inner = self.inner();
        if self.tickets.is_empty() {
            return inner.options.save_uninitialized;
        }
        let options = &inner.options;
        options.save_uninitialized
            || options.resave
            || options.rolling
            || !inner.were_touched_lately(&self.tickets)
    }

    pub(crate) fn write_cookie(
        &self,
        state: &mut State,
        action: CookieAction,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        if action == CookieAction::Leave {
            return Ok(());
        }
        let mut text = buffer::take();
        let written = self.write_set_cookie(state, action, &mut text).and_then(|is_written| {
            let value = || HeaderValue::from_str(&text);
            is_written.then(value).transpose().map_err(|error| {
                Error::config("the session cookie is no header value").with_source(error)
            })
        });
        buffer::give_back(text);
        if let Some(value) = written? {
            replace_cookie(headers, &self.inner().options.name, value);
        }
        Ok(())
    }

    /// `false`: there is none to write.
    fn write_set_cookie(
        &self,
        state: &mut State,
        action: CookieAction,
        out: &mut String,
    ) -> Result<bool, Error> {
        let name = &self.inner().options.name;
        match action {
            CookieAction::Leave => return Ok(false),
            CookieAction::Set => {
                let live = state.live()?;
                let ticket = |out: &mut String| self.inner().secrets.write_ticket(&live.id, out);
                let known = self.inner().written_cookie(self.connection_is_secure);
                live.cookie.write_header(out, name, ticket, known)?;
            }
            CookieAction::Clear => match &state.phase {
                Phase::Destroyed(Some(cookie)) => cookie.write_removal(out, name)?,
                Phase::Unset(live) => live.cookie.write_removal(out, name)?,
                Phase::Destroyed(None) | Phase::Down | Phase::Live(_) | Phase::Unloaded => {
                    return Ok(false);
                }
            },
        }
        Ok(true)
    }
}
