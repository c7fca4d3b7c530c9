//! What a handler does with its session besides reading and writing values.
//!
//! Mirrors the methods of `session/session.js` that ask the store.

use crate::clock::to_millis;
use crate::data::Data;
use crate::load::unreachable_store;
use crate::state::{Phase, SavedData};
use crate::visit::Visit;
use crate::{Error, ErrorKind, Session};

impl Session {
    /// Saves the session now, merging what parallel requests saved. Mirrors `req.session.save()`.
    ///
    /// Needed only when something must be durable before the handler is done,
    /// and for changes after the response. As in Express, a new session is then
    /// stored even if it is empty, or if its cookie cannot be sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the session was destroyed meanwhile, for good;
    /// [`ErrorKind::Conflict`] under [`Concurrency::Reject`](crate::Concurrency::Reject);
    /// [`ErrorKind::ResponseSent`] if it is new and its cookie can no longer be
    /// sent; [`ErrorKind::Encode`] if it is too large;
    /// [`ErrorKind::Unavailable`] or [`ErrorKind::Store`] if the store fails.
    ///
    /// ```
    /// use sessile_core::{Error, Session};
    ///
    /// async fn reserve(session: Session) -> Result<(), Error> {
    ///     session.insert("seat", 12)?;
    ///     session.save().await // durable before the payment begins
    /// }
    /// # use sessile_core::{Builder, Secrets, SessionStore, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// # let sessions: Sessions = Builder::with_defaults(store.clone(), secrets);
    /// # Browser::new(sessions).visit(async |session| {
    /// # assert_eq!(store.length().await?, 0);
    /// reserve(session).await?;
    /// assert_eq!(store.length().await?, 1);
    /// # Ok(()) }).await }
    /// ```
    pub async fn save(&self) -> Result<(), Error> {
        let _turn = self.0.turn().await;
        self.0.save().await?;
        self.0.state().live()?.saved_by_handler = true;
        Ok(())
    }

    /// Drops this request's changes and takes what the store has now. Mirrors `req.session.reload()`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the store has no such session (any more), or the
    /// store's errors; the session then stays as it is.
    ///
    /// ```
    /// # use sessile_testkit::Browser;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # let mut browser = Browser::default();
    /// browser.visit(async |session| session.insert("paid", false)).await?;
    ///
    /// let mut bank = browser.clone(); // calls back while the page waits
    /// let paid: Option<bool> = browser.visit(async |session| {
    ///     bank.visit(async |session| session.insert("paid", true)).await?;
    ///     session.reload().await?;
    ///     session.get("paid")
    /// }).await?;
    /// assert_eq!(paid, Some(true));
    /// # Ok(()) }
    /// ```
    pub async fn reload(&self) -> Result<(), Error> {
        let _turn = self.0.turn().await;
        self.0.reload().await
    }

    /// Destroys the session and begins a new, empty one with a new id. Mirrors `req.session.regenerate()`.
    ///
    /// Call it when somebody logs in: an id that an attacker planted stays
    /// behind. To keep the data, see [`cycle_id`](Self::cycle_id).
    ///
    /// # Errors
    ///
    /// If the store fails to destroy it; it then stays, so that no privileged
    /// session begins while the old id lives. [`ErrorKind::ResponseSent`] after the response.
    ///
    /// ```
    /// use sessile_core::{Error, Session};
    ///
    /// async fn log_in(session: &Session, user: u64) -> Result<(), Error> {
    ///     session.regenerate().await?;
    ///     session.insert("userID", user)
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # sessile_testkit::Browser::default().visit(async |session| {
    /// session.insert("cart", ["pen"])?;
    /// let planted = session.id()?;
    /// log_in(&session, 7).await?;
    /// assert_ne!(session.id()?, planted);
    /// assert_eq!(session.keys(), ["userID"]);
    /// # Ok(()) }).await }
    /// ```
    pub async fn regenerate(&self) -> Result<(), Error> {
        let _turn = self.0.turn().await;
        self.0.state().refuse_after_response()?;
        if self.is_read_only() {
            self.0.state().live()?;
        }
        let fresh = self.0.visitor.new_session(Box::default())?;
        self.0.destroy().await?;
        self.0.state().phase = Phase::Live(fresh);
        Ok(())
    }

    /// Gives the session a new id and keeps its data.
    ///
    /// The store moves it in one step when the request is committed: at no
    /// time are both ids alive, or both dead, and if the store refuses the old one
    /// stays. If its answer is lost, the layer looks under which of the two the
    /// session is. (If it cannot see that either, the client gets an error, and may
    /// have to log in again.)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the session was destroyed;
    /// [`ErrorKind::ResponseSent`] after the response.
    ///
    /// ```
    /// use sessile_core::{Error, Session};
    ///
    /// async fn become_admin(session: &Session) -> Result<(), Error> {
    ///     session.cycle_id().await?;
    ///     session.insert("admin", true)
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # sessile_testkit::Browser::default().visit(async |session| {
    /// session.insert("cart", ["pen"])?;
    /// let before = session.id()?;
    /// become_admin(&session).await?;
    /// assert_ne!(session.id()?, before);
    /// assert_eq!(session.keys(), ["cart", "admin"]);
    /// # Ok(()) }).await }
    /// ```
    pub async fn cycle_id(&self) -> Result<(), Error> {
        let _turn = self.0.turn().await;
        let fresh = self.0.visitor.generate_id()?;
        let mut state = self.0.state();
        state.refuse_after_response()?;
        let live = state.live()?;
        let old = std::mem::replace(&mut live.id, fresh);
        live.has_new_id = true;
        if live.version.is_some() {
            live.rotate_from.get_or_insert(old);
        }
        Ok(())
    }

    /// Destroys the session: logs out. Mirrors `req.session.destroy()`.
    ///
    /// The response clears its cookie. No request still running brings it back.
    ///
    /// # Errors
    ///
    /// If the store fails; the session then stays.
    ///
    /// ```
    /// # use sessile_testkit::Browser;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// let mut browser = Browser::default();
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// browser.visit(async |session| session.destroy().await).await?; // logs out
    /// assert!(browser.set_cookie().unwrap().contains("Expires=Thu, 01 Jan 1970 00:00:00 GMT"));
    /// assert!(browser.visit(async |session| Ok(session.is_new())).await?);
    /// # Ok(()) }
    /// ```
    pub async fn destroy(&self) -> Result<(), Error> {
        let _turn = self.0.turn().await;
        self.0.destroy().await
    }

    /// Starts the session's lifetime anew. Mirrors `req.session.touch()`.
    ///
    /// The end of each request does this by itself, at most once per
    /// [`touch_after`](crate::Builder::with_touch_after); a call makes it do so
    /// in any case. After the response, in a long stream, it asks the store at once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the store has no such session any more, or the store's errors.
    ///
    /// ```
    /// use sessile_core::{Error, Session};
    ///
    /// async fn stream_on(session: &Session) -> Result<(), Error> {
    ///     session.touch().await // now and then, as long as events flow
    /// }
    /// # use sessile_core::CookieOptions;
    /// # use sessile_testkit::{Browser, TestClock};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let (clock, minute) = (TestClock::new(), Duration::from_secs(60));
    /// # let cookie = CookieOptions::default().with_max_age(minute);
    /// # let sessions = |sessions: sessile_core::Builder<_>| sessions.with_cookie(cookie).with_clock(clock.clone());
    /// # Browser::with_options(sessions)?.visit(async |session| {
    /// clock.advance(minute / 2);
    /// stream_on(&session).await?;
    /// assert_eq!(session.cookie().max_age(), Some(minute)); // all of it again
    /// # Ok(()) }).await }
    /// ```
    pub async fn touch(&self) -> Result<(), Error> {
        let _turn = self.0.turn().await;
        self.0.touch().await
    }
}

impl Visit {
    async fn touch(&self) -> Result<(), Error> {
        let late = {
            let mut state = self.state();
            let late = state.committed;
            let live = state.live()?;
            live.touch_cookie(|| self.inner().now(), self.inner().options.absolute_timeout);
            live.touched = true;
            late && live.version.is_some()
        };
        if late { self.touch_stored().await } else { Ok(()) }
    }

    /// Destroys the stored session. If that fails it stays, here and there.
    pub(crate) async fn destroy(&self) -> Result<(), Error> {
        let (id, is_stored) = {
            let state = self.state();
            match &state.phase {
                Phase::Live(live) | Phase::Unset(live) => {
                    (live.stored_id().clone(), live.version.is_some())
                }
                Phase::Destroyed(_) => return Ok(()),
                Phase::Down | Phase::Unloaded => return Err(unreachable_store()),
            }
        };
        if is_stored {
            self.inner().store.destroy(&id).await?;
        }
        let mut state = self.state();
        state.client_session_destroyed |= self.visitor.tickets.contains(&id);
        if let Phase::Live(live) | Phase::Unset(live) = std::mem::take(&mut state.phase) {
            state.phase = Phase::Destroyed(Some(Box::new(live.cookie)));
        }
        Ok(())
    }

    async fn reload(&self) -> Result<(), Error> {
        let failed = || Error::new(ErrorKind::Gone, "failed to load session");
        let id = {
            let mut state = self.state();
            let live = state.live()?;
            if live.version.is_none() {
                return Err(failed());
            }
            live.stored_id().clone()
        };
        let stored = self.inner().store.load(&id).await?.ok_or_else(failed)?;
        let (mut data, stored_until) = (Data::default(), stored.expires.map(to_millis));
        let (mut cookie, attributes_changed) =
            self.visitor.read(&id, stored.text, &mut data).ok_or_else(failed)?;
        cookie.correct_expiry(stored_until);
        let mut state = self.state();
        let live = state.live()?;
        live.original.keep(&live.data);
        live.data = data;
        if live.saved != SavedData::Never {
            live.saved = SavedData::Current;
        }
        live.changes.clear();
        live.cookie = cookie;
        live.attributes_changed |= attributes_changed;
        live.version = Some(stored.version);
        live.stored_until = stored_until;
        live.lifetime_changed = false;
        live.unanswered.clear();
        Ok(())
    }
}
