//! What takes no waiting where the store has its answers at hand: a request with
//! such a store needs no future of its own. It locks its state once to load and, if
//! somebody still has its session by then, once to commit.
//!
//! Whatever is out of the ordinary is left to the futures of `load.rs` and
//! `end.rs`, which begin anew.

use std::cell::LazyCell;
use std::sync::MutexGuard;

use http::HeaderMap;

use crate::clock::to_millis;
use crate::commit::StoreAction;
use crate::keep_alive::Expiring;
use crate::save::Job;
use crate::state::{Live, Phase, State};
use crate::visit::{Visit, Visitor};
use crate::{Concurrency, Error, Precondition, Saved, SessionCookie, Stored, events};

impl Visit {
    /// Loads the session if that takes no waiting. `None`: it needs [`load`](Self::load).
    pub(crate) fn load_at_once(&self) -> Option<Result<MutexGuard<'_, State>, Error>> {
        let mut state = self.state();
        if let Some(answer) = self.already_loaded(&state) {
            return Some(answer.map(|()| state));
        }
        if state.turns.is_taken() || self.inner().options.concurrency == Concurrency::Lock {
            return None;
        }
        let live = self.visitor.fetch_at_once(&mut state)?;
        Some(live.map(|live| {
            state.begin(live);
            state
        }))
    }

    /// Commits the session if that takes no waiting. `None`: it needs
    /// [`commit`](crate::SessionHandle::commit).
    pub(crate) fn commit_at_once(&self, headers: &mut HeaderMap) -> Option<Result<(), Error>> {
        self.visitor.commit_at_once(&mut self.state(), headers)
    }
}

impl Visitor {
    /// As [`Visit::fetch`]; `None` if it has to wait, or to end a session.
    fn fetch_at_once(&self, state: &mut State) -> Option<Result<Box<Live>, Error>> {
        for id in self.tickets.iter() {
            let stored = self.inner().store.load_at_once(id)?;
            let revive =
                |stored| self.revive(id, stored, None, state.take_spare().unwrap_or_default());
            let Some(live) = stored.and_then(revive) else { continue };
            return (!self.has_outlived_its_time(&live)).then_some(Ok(live));
        }
        Some(self.new_session(state.take_spare().unwrap_or_default()))
    }

    /// As [`Visit::commit_at_once`], for whoever has the state.
    pub(crate) fn commit_at_once(
        &self,
        state: &mut State,
        headers: &mut HeaderMap,
    ) -> Option<Result<(), Error>> {
        if state.turns.is_taken() || state.committed {
            return None;
        }
        let mut outcome = Ok(());
        if matches!(state.phase, Phase::Unloaded) {
            if self.must_load() {
                self.keep_alive_unseen()?;
            }
        } else if let Some(commit) = self.plan(state) {
            self.store_at_once(state, commit.store)?;
            outcome = self.write_cookie(state, commit.cookie, headers);
        }
        state.close(headers, usize::MAX);
        state.release();
        Some(outcome.inspect_err(events::commit_failed))
    }

    fn store_at_once(&self, state: &mut State, action: StoreAction) -> Option<()> {
        match action {
            StoreAction::Create | StoreAction::Update => self.save_at_once(state.live().ok()?),
            StoreAction::Nothing => Some(()),
            StoreAction::Touch => self.touch_at_once(state.live().ok()?),
            StoreAction::Destroy | StoreAction::Orphan | StoreAction::Rotate => None,
        }
    }

    fn save_at_once(&self, live: &mut Live) -> Option<()> {
        if !live.unanswered.is_empty() {
            return None;
        }
        let job = Job::of(live, self.max_bytes()).ok()?;
        let when = job.version().map_or(Precondition::Absent, |version| self.when(version));
        match self.inner().store.save_at_once(live.stored_id(), job.record(), when)? {
            Ok(Saved::Saved(version)) => {
                live.saved_as(version, job);
                return Some(());
            }
            Ok(Saved::Conflict | Saved::Gone) => {}
            Err(_) => live.unanswered.note(job),
        }
        None
    }

    fn touch_at_once(&self, live: &mut Live) -> Option<()> {
        let Some(version) = &live.version else { return Some(()) };
        let inner = self.inner();
        if !inner.store.touch_at_once(live.stored_id(), &live.cookie, version)? {
            return None;
        }
        inner.was_touched(live.stored_id(), &live.cookie);
        live.stored_until = live.cookie.expires_millis();
        Some(())
    }

    /// Touches a session that no handler looked at, without reading more of it
    /// than its cookie. `None` if it is due for more than that.
    fn keep_alive_unseen(&self) -> Option<()> {
        let (inner, options) = (self.inner(), &self.inner().options);
        let may_do_more = options.save_uninitialized
            || options.resave
            || options.rolling
            || options.absolute_timeout.is_some()
            || options.concurrency == Concurrency::Lock;
        let mut ids = self.tickets.iter();
        let (false, Some(id), None) = (may_do_more, ids.next(), ids.next()) else { return None };
        let Some(stored) = inner.store.load_at_once(id)? else { return Some(()) };
        let mut cookie = self.read_cookie(&stored)?;
        let clock = LazyCell::new(|| inner.now());
        let now = || *clock;
        cookie.touch_by(now);
        let stored_until = stored.expires.map(to_millis);
        let session = Expiring { id, cookie: &cookie, stored_until };
        if inner.touch_is_due(&session) {
            if !inner.store.touch_at_once(id, &cookie, &stored.version)? {
                return None;
            }
            inner.was_touched(id, &cookie);
        } else {
            inner.note_touched(&session, now);
        }
        Some(())
    }

    /// Reads the cookie of a record that begins with one as this layer writes it.
    fn read_cookie(&self, stored: &Stored) -> Option<SessionCookie> {
        const START: &str = r#"{"cookie":"#;
        let written = self.inner().written_cookie(self.connection_is_secure)?;
        if stored.text.len() > self.max_bytes() || !stored.text.starts_with(START) {
            return None;
        }
        let (mut cookie, _) = written.read(&stored.text, START.len())?;
        cookie.correct_expiry(stored.expires.map(to_millis));
        Some(cookie)
    }
}
