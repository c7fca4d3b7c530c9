//! The words in which the trials are written.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sessile_core::{
    AnyStore, Precondition, Record, Saved, SessionId, SessionStore, Stored, Version,
};
use tokio::sync::Barrier;

use super::{Failure, Outcome};

/// One of several requests that race.
pub(super) type Runner<T> = Pin<Box<dyn Future<Output = Outcome<T>> + Send>>;

/// Lets all of them go at the same moment, each in its own task, and returns what
/// they said, in their order.
///
/// The runtime wakes them in an order of its own, so each race lines them up another
/// way: over some rounds, each goes first.
pub(super) async fn race<T, F>(runners: impl IntoIterator<Item = F>) -> Outcome<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Outcome<T>> + Send + 'static,
{
    static RACES: AtomicUsize = AtomicUsize::new(0);
    let mut runners: Vec<_> = runners.into_iter().collect();
    let turn = RACES.fetch_add(1, Ordering::Relaxed) % runners.len();
    runners.rotate_left(turn);
    let start = Arc::new(Barrier::new(runners.len()));
    let running: Vec<_> = runners
        .into_iter()
        .map(|runner| {
            let start = Arc::clone(&start);
            tokio::spawn(async move {
                start.wait().await;
                runner.await
            })
        })
        .collect();
    let mut said = Vec::with_capacity(running.len());
    for runner in running {
        said.push(runner.await??);
    }
    said.rotate_right(turn);
    Ok(said)
}

/// Creates a session and returns its version.
pub(super) async fn create(store: &AnyStore, id: &SessionId, record: &Record) -> Outcome<Version> {
    version(store.save(id, record, Precondition::Absent).await?)
}

/// Replaces whatever session has the id, and returns the new version.
pub(super) async fn replace(store: &AnyStore, id: &SessionId, record: &Record) -> Outcome<Version> {
    version(store.save(id, record, Precondition::Exists).await?)
}

/// Returns the version of a save that must have happened.
pub(super) fn version(saved: Saved) -> Outcome<Version> {
    match saved {
        Saved::Saved(version) => Ok(version),
        Saved::Conflict | Saved::Gone => Err(Failure(format!("expected a save, got {saved:?}"))),
    }
}

/// Returns a session that must live.
pub(super) async fn living(store: &AnyStore, id: &SessionId) -> Outcome<Stored> {
    store.load(id).await?.ok_or_else(|| Failure("expected a live session, got none".into()))
}

/// Returns what a live session says, which is what [`Subject::record`](super::Subject::record)
/// let it say; `None` if it does not live.
pub(super) async fn says(store: &AnyStore, id: &SessionId) -> Outcome<Option<u64>> {
    store.load(id).await?.map(|stored| number(&stored)).transpose()
}

pub(super) fn number(stored: &Stored) -> Outcome<u64> {
    value(stored, "n")?.as_u64().ok_or_else(|| Failure("the record lost its number".into()))
}

pub(super) fn value(stored: &Stored, key: &str) -> Outcome<serde_json::Value> {
    let mut record: serde_json::Value = serde_json::from_str(&stored.text)
        .map_err(|error| Failure(format!("the record is no JSON any more: {error}")))?;
    Ok(record[key].take())
}
