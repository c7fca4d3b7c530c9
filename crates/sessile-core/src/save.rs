//! Storing a session, and merging it with what other requests stored meanwhile.

use std::sync::Arc;
use std::time::Instant;

use crate::clock::to_millis;
use crate::data::Data;
use crate::state::{Live, Phase, record_of, touch_cookie};
use crate::unanswered::Asking;
use crate::visit::{Visit, Visitor};
use crate::{
    Concurrency, Error, ErrorKind, Precondition, Record, Saved, SessionCookie, SessionId, Stored,
    Version, events,
};

/// Ids tried before a generator that repeats itself is given up.
const ID_ATTEMPTS: usize = 3;

impl Visit {
    /// Saves the session under the id the store has it by, merging what other requests did.
    pub(crate) async fn save(&self) -> Result<(), Error> {
        let (id, job) = {
            let mut state = self.state();
            if state.live()?.version.is_none() {
                state.refuse_after_response()?;
            }
            let live = state.live()?;
            (live.stored_id().clone(), Job::of(live, self.visitor.max_bytes())?)
        };
        let mut asking = Asking::new(self, job);
        let version = match &mut asking.job {
            Some(job) if job.version.is_none() => self.create(job).await?,
            Some(job) => self.replace(&id, Target::Same, job).await?,
            None => return Ok(()),
        };
        asking.answered(version)
    }

    /// Moves the stored session to its new id.
    pub(crate) async fn rotate(&self) -> Result<(), Error> {
        let (from, mut job) = {
            let mut state = self.state();
            let live = state.live()?;
            (live.stored_id().clone(), Job::of(live, self.visitor.max_bytes())?)
        };
        let version = match self.replace(&from, Target::New, &mut job).await {
            Ok(version) => version,
            Err(error) => Box::pin(self.recognise_rotated(&from, &job, error)).await?,
        };
        let mut state = self.state();
        let live = state.live()?;
        live.rotate_from = None;
        live.saved_as(version, job);
        Ok(())
    }

    /// Stores a session that no store has; an id that is taken is exchanged.
    async fn create(&self, job: &mut Job) -> Result<Version, Error> {
        for _ in 0..ID_ATTEMPTS {
            let id = self.state().live()?.id.clone();
            match self.inner().store.save(&id, &job.record, Precondition::Absent).await? {
                Saved::Saved(version) => return Ok(version),
                Saved::Conflict | Saved::Gone => {}
            }
            if !self.state().live()?.unanswered.is_empty()
                && let Some(stored) = self.inner().store.load(&id).await?
                && self.recognise(&stored)?
            {
                *job = Job::of(self.state().live()?, self.visitor.max_bytes())?;
                return self.replace(&id, Target::Same, job).await;
            }
            self.exchange_id(&id)?;
        }
        Err(no_free_id())
    }

    /// Gives the session another id than one that is taken.
    fn exchange_id(&self, taken: &SessionId) -> Result<(), Error> {
        events::id_collision(taken);
        let fresh = self.visitor.generate_id()?;
        let mut state = self.state();
        state.live()?.id = fresh;
        Ok(())
    }

    /// Saves over the stored session until it wins: each time another request
    /// was first, this one's changes are applied to what that one left.
    async fn replace(
        &self,
        id: &SessionId,
        target: Target,
        job: &mut Job,
    ) -> Result<Version, Error> {
        let (started, mut taken) = (Instant::now(), 0);
        loop {
            let Some(version) = &job.version else { return Err(Error::gone()) };
            match self.try_replace(id, target, job, version).await? {
                Saved::Saved(version) => return Ok(version),
                Saved::Gone if self.visitor.ends_at_once(job.record.cookie()) => {
                    return Ok(version.clone());
                }
                Saved::Gone => return Err(self.lost(id)),
                Saved::Conflict => {}
            }
            if started.elapsed() >= self.inner().store.timeout() {
                let message = "other requests kept changing the session";
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
            tokio::task::yield_now().await;
            let Some(fresh) = self.inner().store.load(id).await? else { return Err(self.lost(id)) };
            if target == Target::New && fresh.version == *version {
                taken += 1;
                if taken == ID_ATTEMPTS {
                    return Err(no_free_id());
                }
                let to = self.state().live()?.id.clone();
                self.exchange_id(&to)?;
                continue;
            }
            if self.recognise(&fresh)? {
                *job = Job::of(self.state().live()?, self.visitor.max_bytes())?;
                continue;
            }
            self.merge(id, job, &fresh)?;
        }
    }

    async fn try_replace(
        &self,
        id: &SessionId,
        target: Target,
        job: &Job,
        version: &Version,
    ) -> Result<Saved, Error> {
        let store = &self.inner().store;
        if target == Target::New {
            let to = self.state().live()?.id.clone();
            return Ok(store.rotate(id, &to, &job.record, version).await?);
        }
        Ok(store.save(id, &job.record, self.visitor.when(version)).await?)
    }

    /// Another request was first.
    fn merge(&self, id: &SessionId, job: &mut Job, fresh: &Stored) -> Result<(), Error> {
        events::conflict(id);
        if self.inner().options.concurrency == Concurrency::Reject {
            let message = "another request changed the session first";
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let mut data = Data::default();
        let read = self.visitor.read(id, Arc::clone(&fresh.text), &mut data);
        let read = read.map(|(mut cookie, _)| {
            cookie.correct_expiry(fresh.expires.map(to_millis));
            (cookie, data)
        });
        self.rebase(job, read, fresh.version.clone())
    }

    /// Applies the job's changes to what another request left.
    fn rebase(
        &self,
        job: &mut Job,
        read: Option<(SessionCookie, Data)>,
        version: Version,
    ) -> Result<(), Error> {
        // What makes no sense is replaced by what this request knows, which the job has.
        let Some((mut cookie, mut data)) = read else {
            job.version = Some(version);
            return Ok(());
        };
        let changes =
            self.state().live()?.changes.iter().take(job.changes).cloned().collect::<Vec<_>>();
        for change in &changes {
            change.apply(&mut data)?;
        }
        if job.keeps_cookie {
            cookie = job.record.cookie().clone();
        } else {
            let (inner, limit) = (self.inner(), self.inner().options.absolute_timeout);
            touch_cookie(&mut cookie, &data, || inner.now(), limit);
        }
        job.record = record_of(&data, cookie, self.visitor.max_bytes())?;
        job.merged = Some(data);
        job.version = Some(version);
        Ok(())
    }

    /// Takes note that the session is dead, for good.
    pub(crate) fn lost(&self, id: &SessionId) -> Error {
        events::gone(id);
        self.state().phase = Phase::Destroyed(None);
        Error::gone()
    }
}

impl Visitor {
    pub(crate) fn max_bytes(&self) -> usize {
        self.inner().options.max_record_bytes
    }

    /// What must hold for a session to be replaced that was loaded with `version`.
    pub(crate) fn when<'v>(&self, version: &'v Version) -> Precondition<'v> {
        match self.inner().options.concurrency {
            Concurrency::LastWriteWins => Precondition::Exists,
            Concurrency::Lock | Concurrency::Merge | Concurrency::Reject => {
                Precondition::Unchanged(version)
            }
        }
    }

    /// A session that the handler let expire now leaves nothing to save over.
    pub(crate) fn ends_at_once(&self, cookie: &SessionCookie) -> bool {
        cookie.expires().is_some_and(|expires| expires <= self.inner().now())
    }
}

fn no_free_id() -> Error {
    Error::new(ErrorKind::Store, "the id generator gives only ids that are taken")
}

/// Where a save goes.
#[derive(Clone, Copy, PartialEq)]
enum Target {
    /// To the session's new id.
    New,
    /// To the id the session is stored under.
    Same,
}

/// A save on its way: a copy of the session, so that no lock is held meanwhile.
pub(crate) struct Job {
    record: Record,
    /// The data with the changes of others in it; `None` while it is the session's own.
    pub(crate) merged: Option<Data>,
    version: Option<Version>,
    /// How many of the session's changes are in it.
    pub(crate) changes: usize,
    /// This request set the lifetime, so another's does not replace it.
    keeps_cookie: bool,
}

impl Job {
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    pub(crate) fn into_cookie(self) -> SessionCookie {
        self.record.into_cookie()
    }

    pub(crate) fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    pub(crate) fn of(live: &Live, max_bytes: usize) -> Result<Self, Error> {
        Ok(Self {
            record: live.record(max_bytes)?,
            merged: None,
            version: live.version.clone(),
            changes: live.changes.len(),
            keeps_cookie: live.lifetime_changed,
        })
    }
}
