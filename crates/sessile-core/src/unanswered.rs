//! Saves that the store was asked for and that nobody knows the outcome of. It may
//! have done them: a later save must recognise its own work, or it would apply its
//! changes twice.

use crate::save::Job;
use crate::visit::Visit;
use crate::{Error, ErrorKind, SessionId, Stored, Version};

/// At most a few, no two alike.
#[derive(Default)]
pub(crate) struct Unanswered(Vec<Job>);

const MOST: usize = 4;

impl Unanswered {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn note(&mut self, job: Job) {
        self.0.retain(|other| other.record().text() != job.record().text());
        if self.0.len() == MOST {
            // An outage begins with an answer that is lost; those behind it hardly got through.
            self.0.remove(1);
        }
        self.0.push(job);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes note that the session's first `changes` are no longer counted.
    pub(crate) fn settle(&mut self, changes: usize) {
        for job in &mut self.0 {
            job.changes = job.changes.saturating_sub(changes);
        }
    }

    fn take(&mut self, stored: &Stored) -> Option<Job> {
        let at = self.0.iter().position(|job| *job.record().text() == stored.text)?;
        Some(self.0.swap_remove(at))
    }
}

/// A save on its way. Given up before it is [`answered`](Self::answered), by an
/// error or by whoever waited for it, it is left unanswered.
pub(crate) struct Asking<'v> {
    visit: &'v Visit,
    pub(crate) job: Option<Job>,
}

impl<'v> Asking<'v> {
    pub(crate) fn new(visit: &'v Visit, job: Job) -> Self {
        Self { visit, job: Some(job) }
    }

    pub(crate) fn answered(mut self, version: Version) -> Result<(), Error> {
        let Some(job) = self.job.take() else { return Ok(()) };
        self.visit.state().live()?.saved_as(version, job);
        Ok(())
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let Some(job) = self.job.take() else { return };
        if let Ok(live) = self.visit.state().live() {
            live.unanswered.note(job);
        }
    }
}

impl Visit {
    /// Tells whether `stored` is what an unanswered save of ours left, and takes note if so.
    pub(crate) fn recognise(&self, stored: &Stored) -> Result<bool, Error> {
        let mut state = self.state();
        let live = state.live()?;
        let Some(job) = live.unanswered.take(stored) else { return Ok(false) };
        live.saved_as(stored.version.clone(), job);
        Ok(true)
    }

    /// Tells whether the store moved the session from `from` though it answered with
    /// `error`, or not at all: then the new id has what was to be saved, and the old one is gone.
    pub(crate) async fn recognise_rotated(
        &self,
        from: &SessionId,
        job: &Job,
        error: Error,
    ) -> Result<Version, Error> {
        let to = match self.state().live() {
            Ok(live) if is_no_answer(&error) => live.id.clone(),
            _ => return Err(error),
        };
        let store = &self.inner().store;
        match store.load(&to).await {
            Ok(Some(stored)) if stored.text == *job.record().text() => match store.load(from).await
            {
                Ok(None) => Ok(stored.version),
                _ => Err(error),
            },
            _ => Err(error),
        }
    }
}

fn is_no_answer(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Store | ErrorKind::Unavailable)
}
