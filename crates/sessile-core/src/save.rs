//! Storing a session, and merging it with what other requests stored meanwhile.

use std::time::Instant;

use crate::data::Data;
use crate::session::Visit;
use crate::state::{Live, Phase, record_of};
use crate::{
    Concurrency, Error, ErrorKind, Precondition, Record, Saved, SessionCookie, SessionId, Version,
    events,
};

/// Ids tried before a generator that repeats itself is given up.
const ID_ATTEMPTS: usize = 3;

impl Visit {
    /// Saves the session under the id the store has it by, merging what other requests did.
    pub(crate) async fn save(&self) -> Result<(), Error> {
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
                    let fresh = self.generate_id()?;
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
    pub(crate) fn ends_at_once(&self, cookie: &SessionCookie) -> bool {
        cookie.expires().is_some_and(|expires| expires <= self.inner().now())
    }

    fn finish(&self, version: Version, job: Job) -> Result<(), Error> {
        self.state().live()?.saved_as(version, job.data, job.cookie, job.changes);
        Ok(())
    }

    /// Takes note that the session is dead, for good.
    pub(crate) fn lost(&self, id: &SessionId) -> Error {
        events::gone(id);
        self.state().phase = Phase::Destroyed(None);
        Error::gone()
    }

    /// Moves the stored session to its new id.
    pub(crate) async fn rotate(&self) -> Result<(), Error> {
        let (from, to, job) = {
            let mut state = self.state();
            let live = state.live()?;
            (live.stored_id().clone(), live.id.clone(), Job::of(live, self.max_bytes())?)
        };
        self.replace(&from, Some(&to), job).await?;
        self.state().live()?.rotate_from = None;
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
