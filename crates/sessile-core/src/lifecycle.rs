//! What a request asks of the store: load, the verbs of a session, commit.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use http::header::{self, HeaderMap, HeaderValue};

use crate::commit::{Commit, CookieAction, StoreAction};
use crate::data::Data;
use crate::session::Visit;
use crate::state::{Live, Phase, SavedData, record_of};
use crate::{
    Concurrency, Error, ErrorKind, OnStoreError, Precondition, Record, Saved, Session,
    SessionCookie, SessionHandle, SessionId, Stored, Version, events,
};

/// Ids tried before a generator that repeats itself is given up.
const ID_ATTEMPTS: usize = 3;

impl Visit {
    pub(crate) async fn load(&self) -> Result<(), Error> {
        if let Some(answer) = self.already_loaded() {
            return answer;
        }
        let _loading = self.loading.lock().await;
        if let Some(answer) = self.already_loaded() {
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
        let mut state = self.state();
        state.first_id = Some(live.id.clone());
        state.phase = Phase::Live(Box::new(live));
        Ok(())
    }

    fn already_loaded(&self) -> Option<Result<(), Error>> {
        let down_is_fine = self.inner().options.on_store_error == OnStoreError::Anonymous;
        match self.state().phase {
            Phase::Unloaded => None,
            Phase::Down if !down_is_fine => Some(Err(unreachable_store())),
            Phase::Destroyed(_) | Phase::Down | Phase::Live(_) | Phase::Unset(_) => Some(Ok(())),
        }
    }

    /// Returns the client's session, or a new one if it has none.
    async fn fetch(&self) -> Result<Live, Error> {
        let Some(id) = &self.ticket else { return self.new_session() };
        if self.inner().options.concurrency == Concurrency::Lock {
            let guard = self.inner().locks.acquire(id, self.inner().store.timeout()).await?;
            *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
        }
        let stored = self
            .inner()
            .store
            .load(id)
            .await
            .map_err(|error| unreachable_store().with_source(error))?;
        let Some(live) = stored.and_then(|stored| self.revive(id, stored)) else {
            return self.new_session();
        };
        if self.has_outlived_its_time(&live) {
            self.inner().store.destroy(id).await?;
            return self.new_session();
        }
        Ok(live)
    }

    fn revive(&self, id: &SessionId, stored: Stored) -> Option<Live> {
        let inner = self.inner();
        let (mut cookie, data) = self.read(id, &stored)?;
        let attributes_changed = inner.refresh(&mut cookie, self.connection_is_secure);
        let mut live = Live {
            data,
            attributes_changed,
            version: Some(stored.version),
            stored_until: stored.expires,
            is_new: false,
            ..Live::born(id.clone(), cookie)
        };
        if !inner.options.resave {
            live.saved = SavedData::Original;
        }
        if inner.options.absolute_timeout.is_some() && live.created_at().is_none() {
            live.original = Some(live.data.clone());
            live.set_created_at(inner.now());
        }
        Some(live)
    }

    /// Reads a record; one that makes no sense is none.
    fn read(&self, id: &SessionId, stored: &Stored) -> Option<(SessionCookie, Data)> {
        if stored.text.len() > self.inner().options.max_record_bytes {
            events::malformed(id, "it is larger than a record may be");
            return None;
        }
        let (mut cookie, data) = Data::parse(Arc::clone(&stored.text))
            .inspect_err(|reason| events::malformed(id, reason))
            .ok()?;
        cookie.correct_expiry(stored.expires);
        Some((cookie, data))
    }

    fn has_outlived_its_time(&self, live: &Live) -> bool {
        let (Some(timeout), Some(born)) =
            (self.inner().options.absolute_timeout, live.created_at())
        else {
            return false;
        };
        born.checked_add(timeout).is_none_or(|end| self.inner().now() >= end)
    }

    /// Saves the session under the id the store has it by, merging what other requests did.
    async fn save(&self) -> Result<(), Error> {
        let (id, job) = {
            let mut state = self.state();
            let committed = state.committed;
            let live = state.live()?;
            if committed && live.version.is_none() {
                state.refuse_after_response()?;
            }
            let live = state.live()?;
            (live.stored_id().clone(), Job::of(live, self.max_bytes())?)
        };
        if job.version.is_none() {
            return self.create(job).await;
        }
        self.replace(&id, None, job).await
    }

    fn max_bytes(&self) -> usize {
        self.inner().options.max_record_bytes
    }

    /// Stores a session that no store has; an id that is taken is exchanged.
    async fn create(&self, job: Job) -> Result<(), Error> {
        for _ in 0..ID_ATTEMPTS {
            let id = self.state().live()?.id.clone();
            match self.inner().store.save(&id, &job.record, Precondition::Absent).await? {
                Saved::Saved(version) => return self.finish(version, job),
                Saved::Conflict | Saved::Gone => {
                    events::id_collision(&id);
                    let fresh = self.inner().ids.generate()?;
                    let mut state = self.state();
                    if state.first_id.as_ref() == Some(&id) {
                        state.first_id = Some(fresh.clone());
                    }
                    state.live()?.id = fresh;
                }
            }
        }
        Err(Error::new(ErrorKind::Store, "the id generator gives only ids that are taken"))
    }

    /// Saves over the stored session, under `to` if its id shall change, until
    /// it wins: each time another request was first, this one's changes are
    /// applied to what that one left.
    async fn replace(
        &self,
        id: &SessionId,
        to: Option<&SessionId>,
        mut job: Job,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let overwrite = self.inner().options.concurrency == Concurrency::LastWriteWins;
        loop {
            let Some(version) = &job.version else { return Err(Error::gone()) };
            let saved = match to {
                Some(to) => self.inner().store.rotate(id, to, &job.record, version).await?,
                None => {
                    let when = if overwrite {
                        Precondition::Exists
                    } else {
                        Precondition::Unchanged(version)
                    };
                    self.inner().store.save(id, &job.record, when).await?
                }
            };
            match saved {
                Saved::Saved(version) => return self.finish(version, job),
                Saved::Gone if self.ends_at_once(&job.cookie) => {
                    return self.finish(version.clone(), job);
                }
                Saved::Gone => return Err(self.lost(id)),
                Saved::Conflict => {}
            }
            events::conflict(id);
            if self.inner().options.concurrency == Concurrency::Reject {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "another request changed the session first",
                ));
            }
            if started.elapsed() >= self.inner().store.timeout() {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "other requests kept changing the session",
                ));
            }
            let Some(fresh) = self.inner().store.load(id).await? else { return Err(self.lost(id)) };
            let read = self.read(id, &fresh);
            self.rebase(&mut job, read, fresh.version)?;
        }
    }

    /// Applies the job's changes to what another request left.
    fn rebase(
        &self,
        job: &mut Job,
        read: Option<(SessionCookie, Data)>,
        version: Version,
    ) -> Result<(), Error> {
        // What makes no sense is replaced by what this request knows.
        if let Some((cookie, mut data)) = read {
            let changes =
                self.state().live()?.changes.iter().take(job.changes).cloned().collect::<Vec<_>>();
            for change in &changes {
                change.apply(&mut data)?;
            }
            if !job.keeps_cookie {
                let mut cookie = cookie;
                self.inner().refresh(&mut cookie, self.connection_is_secure);
                cookie.touch(self.inner().now());
                job.cookie = cookie;
            }
            job.data = data;
        }
        job.record = record_of(&job.data, &job.cookie, self.max_bytes())?;
        job.version = Some(version);
        Ok(())
    }

    /// A session that the handler let expire now leaves nothing to save over.
    fn ends_at_once(&self, cookie: &SessionCookie) -> bool {
        cookie.expires().is_some_and(|expires| expires <= self.inner().now())
    }

    fn finish(&self, version: Version, job: Job) -> Result<(), Error> {
        self.state().live()?.saved_as(version, job.data, job.cookie, job.changes);
        Ok(())
    }

    /// Takes note that the session is dead, for good.
    fn lost(&self, id: &SessionId) -> Error {
        events::gone(id);
        self.state().phase = Phase::Destroyed(None);
        Error::gone()
    }

    /// Moves the stored session's expiry to the cookie's.
    async fn touch_stored(&self) -> Result<(), Error> {
        let inner = self.inner();
        let (id, cookie) = {
            let mut state = self.state();
            let live = state.live()?;
            (live.stored_id().clone(), live.cookie.clone())
        };
        if !inner.store.touch(&id, &cookie).await? && !self.ends_at_once(&cookie) {
            return Err(self.lost(&id));
        }
        if let Ok(live) = self.state().live() {
            live.stored_until = cookie.expires();
        }
        if let Some(touches) = &inner.touches {
            touches.note(&id, inner.now());
        }
        Ok(())
    }

    async fn touch(&self) -> Result<(), Error> {
        let late = {
            let mut state = self.state();
            let late = state.committed;
            let live = state.live()?;
            live.touch_cookie(self.inner().now(), self.inner().options.absolute_timeout);
            live.touched = true;
            late && live.version.is_some()
        };
        if late { self.touch_stored().await } else { Ok(()) }
    }

    /// Destroys the stored session. If that fails it stays, here and there.
    async fn destroy(&self) -> Result<(), Error> {
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
        state.client_session_destroyed |= self.ticket.as_ref() == Some(&id);
        if let Phase::Live(live) | Phase::Unset(live) = std::mem::take(&mut state.phase) {
            state.phase = Phase::Destroyed(Some(live.cookie));
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
        let (cookie, data) = self.read(&id, &stored).ok_or_else(failed)?;
        let mut state = self.state();
        let live = state.live()?;
        let before = std::mem::replace(&mut live.data, data.clone());
        live.original.get_or_insert(before);
        if !matches!(live.saved, SavedData::Never) {
            live.saved = SavedData::This(data);
        }
        live.changes.clear();
        live.cookie = cookie;
        live.version = Some(stored.version);
        live.stored_until = stored.expires;
        live.lifetime_changed = false;
        Ok(())
    }

    /// Decides what the end of the request means for the session.
    fn plan(&self) -> Option<Commit> {
        let inner = self.inner();
        let mut state = self.state();
        let mut touch_due = true;
        if let Phase::Live(live) = &mut state.phase {
            live.touch_cookie(inner.now(), inner.options.absolute_timeout);
            touch_due = self.touch_is_due(live);
        }
        let facts = state.facts(self.ticket.as_ref(), self.connection_is_secure, touch_due)?;
        Some(inner.policy.commit(facts))
    }

    fn touch_is_due(&self, live: &Live) -> bool {
        let (fresh, stored) = (live.cookie.expires(), live.stored_until);
        if fresh.is_none() && stored.is_none() {
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
        if age < window {
            touches.note(live.stored_id(), now.checked_sub(age).unwrap_or(now));
        }
        age >= window
    }

    /// A route that never named its session still has one to keep alive.
    fn must_load(&self) -> bool {
        let options = &self.inner().options;
        let Some(id) = &self.ticket else { return options.save_uninitialized };
        let touch_spared = options.touch_after.zip(self.inner().touches.as_ref());
        options.save_uninitialized
            || options.resave
            || options.rolling
            || touch_spared
                .is_none_or(|(window, touches)| !touches.is_recent(id, self.inner().now(), window))
    }

    async fn commit(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        let unloaded = matches!(self.state().phase, Phase::Unloaded);
        if unloaded && self.must_load() {
            // The response does not depend on the session, so it need not fail with the store.
            let _reported = self.load().await;
        }
        let outcome = match self.plan() {
            Some(commit) => self.carry_out(commit, headers).await,
            None => Ok(()),
        };
        let mut state = self.state();
        state.committed = true;
        if let Phase::Live(live) = &mut state.phase {
            live.changes.clear();
        }
        if state.named {
            vary_by_cookie(headers);
        }
        drop(state);
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        outcome.inspect_err(events::commit_failed)
    }

    async fn carry_out(&self, commit: Commit, headers: &mut HeaderMap) -> Result<(), Error> {
        let done = match commit.store {
            StoreAction::Create | StoreAction::Update => self.save().await,
            StoreAction::Destroy => self.destroy().await,
            StoreAction::Nothing => Ok(()),
            StoreAction::Orphan => {
                self.inner().report_undeliverable();
                Ok(())
            }
            StoreAction::Rotate => self.rotate().await,
            StoreAction::Touch => self.touch_stored().await,
        };
        match done {
            Ok(()) => self.write_cookie(commit.cookie, headers),
            // Reported where it was found; the response is what it is, and brings nobody back.
            Err(error) if error.kind() == ErrorKind::Gone => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn rotate(&self) -> Result<(), Error> {
        let (from, to, job) = {
            let mut state = self.state();
            let live = state.live()?;
            (live.stored_id().clone(), live.id.clone(), Job::of(live, self.max_bytes())?)
        };
        self.replace(&from, Some(&to), job).await?;
        self.state().live()?.rotate_from = None;
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

/// A save on its way: a copy of the session, so that no lock is held meanwhile.
struct Job {
    record: Record,
    data: Data,
    cookie: SessionCookie,
    version: Option<Version>,
    /// How many of the session's changes are in `data`.
    changes: usize,
    /// This request set the lifetime, so another's does not replace it.
    keeps_cookie: bool,
}

impl Job {
    fn of(live: &Live, max_bytes: usize) -> Result<Self, Error> {
        Ok(Self {
            record: live.record(max_bytes)?,
            data: live.data.clone(),
            cookie: live.cookie.clone(),
            version: live.version.clone(),
            changes: live.changes.len(),
            keeps_cookie: live.lifetime_changed,
        })
    }
}

fn unreachable_store() -> Error {
    Error::new(ErrorKind::Unavailable, "the session could not be loaded: the store failed")
}

/// Exactly one cookie of our name; those of others stay.
fn replace_cookie(headers: &mut HeaderMap, name: &str, value: HeaderValue) {
    let ours = |cookie: &HeaderValue| {
        cookie.as_bytes().strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
    };
    if headers.get_all(header::SET_COOKIE).iter().any(ours) {
        let others: Vec<_> =
            headers.get_all(header::SET_COOKIE).iter().filter(|c| !ours(c)).cloned().collect();
        headers.remove(header::SET_COOKIE);
        for other in others {
            headers.append(header::SET_COOKIE, other);
        }
    }
    headers.append(header::SET_COOKIE, value);
    forbid_caching_the_cookie(headers);
}

/// A shared cache must not give one visitor's cookie to the next.
fn forbid_caching_the_cookie(headers: &mut HeaderMap) {
    let stricter = headers.get_all(header::CACHE_CONTROL).iter().any(|value| {
        value.to_str().is_ok_and(|list| {
            list.split(',').map(str::trim).any(|directive| {
                ["no-store", "private", "no-cache"]
                    .iter()
                    .any(|d| directive.eq_ignore_ascii_case(d))
            })
        })
    });
    if !stricter {
        let value = HeaderValue::from_static(r#"no-cache="set-cookie""#);
        headers.append(header::CACHE_CONTROL, value);
    }
}

fn vary_by_cookie(headers: &mut HeaderMap) {
    let present = headers.get_all(header::VARY).iter().any(|value| {
        value.to_str().is_ok_and(|list| {
            list.split(',')
                .map(str::trim)
                .any(|name| name == "*" || name.eq_ignore_ascii_case("cookie"))
        })
    });
    if !present {
        headers.append(header::VARY, HeaderValue::from_static("Cookie"));
    }
}

impl SessionHandle {
    /// Tells whether nobody looked at the session and nothing has to be done
    /// for it, so that there is nothing to [`commit`](Self::commit).
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.visit().state().phase, Phase::Unloaded) && !self.visit().must_load()
    }

    /// Commits the session when the handler is done: stores, touches or
    /// destroys it and writes the headers. Call it once, before the response leaves.
    ///
    /// # Errors
    ///
    /// If the store fails: the response must then be replaced by one with the
    /// error's [`status`](Error::status), or the client would be told of data that was not kept.
    pub async fn commit(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        self.visit().commit(headers).await
    }
}

impl Session {
    /// Saves the session now, merging what parallel requests saved. Mirrors `req.session.save()`.
    ///
    /// Needed only when something must be durable before the handler is done,
    /// and for changes after the response.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the session was destroyed meanwhile, for good;
    /// [`ErrorKind::Conflict`] under [`Concurrency::Reject`];
    /// [`ErrorKind::ResponseSent`] if it is new and its cookie can no longer be
    /// sent; [`ErrorKind::Encode`] if it is too large;
    /// [`ErrorKind::Unavailable`] or [`ErrorKind::Store`] if the store fails.
    pub async fn save(&self) -> Result<(), Error> {
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
    pub async fn reload(&self) -> Result<(), Error> {
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
    pub async fn regenerate(&self) -> Result<(), Error> {
        self.0.state().refuse_after_response()?;
        if self.is_read_only() {
            self.0.state().live()?;
        }
        let fresh = self.0.new_session()?;
        self.0.destroy().await?;
        self.0.state().phase = Phase::Live(Box::new(fresh));
        Ok(())
    }

    /// Gives the session a new id and keeps its data.
    ///
    /// The store moves it in one step when the request is committed: at no
    /// time are both ids alive, or both dead, and if the commit fails the old one stays.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the session was destroyed;
    /// [`ErrorKind::ResponseSent`] after the response.
    #[expect(
        clippy::unused_async,
        reason = "a verb like the others, and free to ask the store one day"
    )]
    pub async fn cycle_id(&self) -> Result<(), Error> {
        let fresh = self.0.inner().ids.generate()?;
        let mut state = self.0.state();
        state.refuse_after_response()?;
        let live = state.live()?;
        let old = std::mem::replace(&mut live.id, fresh);
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
    pub async fn destroy(&self) -> Result<(), Error> {
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
    pub async fn touch(&self) -> Result<(), Error> {
        self.0.touch().await
    }
}
