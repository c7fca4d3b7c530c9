//! The store as a request sees it: within its namespace, under a deadline, watched.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use crate::deadline::within;
use crate::{
    AnyStore, Precondition, Record, Saved, SessionCookie, SessionId, SessionStore, StoreError,
    Stored, Version, events,
};

#[derive(Debug)]
pub(crate) struct Guard {
    store: AnyStore,
    namespace: String,
    timeout: Duration,
    asks_for_expiry: bool,
}

impl Guard {
    pub(crate) fn new(store: AnyStore, namespace: String, timeout: Duration) -> Self {
        Self { asks_for_expiry: store.asks_for_expiry(), store, namespace, timeout }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    fn key(&self, id: &SessionId) -> SessionId {
        if self.namespace.is_empty() { id.clone() } else { id.within(&self.namespace) }
    }

    /// The answer of a store that has it at hand; a failure is left to [`load`](Self::load).
    pub(crate) fn load_at_once(&self, id: &SessionId) -> Option<Option<Stored>> {
        self.at_once("load", || self.with_key(id, |key| self.store.load_at_once(key)))?.ok()
    }

    /// As [`load_at_once`](Self::load_at_once), but a save that failed may have been done.
    pub(crate) fn save_at_once(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Option<Result<Saved, StoreError>> {
        self.at_once("save", || self.with_key(id, |key| self.store.save_at_once(key, record, when)))
    }

    /// As [`load_at_once`](Self::load_at_once).
    pub(crate) fn touch_at_once(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: &Version,
    ) -> Option<bool> {
        self.at_once("touch", || {
            self.with_key(id, |key| self.store.touch_at_once(key, cookie, Some(since)))
        })?
        .ok()
    }

    pub(crate) async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        self.watch("load", self.store.begin_load(&self.key(id))).await
    }

    /// As [`load`](Self::load), the record alone if it is known when the session was touched.
    pub(crate) async fn load_touched(
        &self,
        id: &SessionId,
        touched_at: Option<i64>,
    ) -> Result<Option<Stored>, StoreError> {
        let key = self.key(id);
        let load = match touched_at {
            Some(_) => self.store.begin_load_record(&key),
            None => self.store.begin_load(&key),
        };
        self.watch("load", load).await
    }

    pub(crate) fn asks_for_expiry(&self) -> bool {
        self.asks_for_expiry
    }

    pub(crate) async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        self.watch("save", self.store.save(&self.key(id), record, when)).await
    }

    pub(crate) async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: &Version,
    ) -> Result<bool, StoreError> {
        self.watch("touch", self.store.touch(&self.key(id), cookie, Some(since))).await
    }

    pub(crate) async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
        self.watch("destroy", self.store.destroy(&self.key(id))).await
    }

    pub(crate) async fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved, StoreError> {
        let (from, to) = (self.key(from), self.key(to));
        self.watch("rotate", self.store.rotate(&from, &to, record, version)).await
    }

    fn with_key<T>(&self, id: &SessionId, work: impl FnOnce(&SessionId) -> T) -> T {
        if self.namespace.is_empty() { work(id) } else { work(&id.within(&self.namespace)) }
    }

    #[cfg_attr(not(feature = "metrics"), expect(unused_variables, reason = "metrics only"))]
    fn at_once<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce() -> Option<Result<T, StoreError>>,
    ) -> Option<Result<T, StoreError>> {
        #[cfg(feature = "metrics")]
        let started = std::time::Instant::now();
        let answer = work()?;
        #[cfg(feature = "metrics")]
        if answer.is_ok() {
            count(operation, started);
        }
        Some(answer)
    }

    async fn watch<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        #[cfg(feature = "metrics")]
        let started = std::time::Instant::now();
        let answer = within(self.timeout, pin!(work)).await.unwrap_or_else(|| {
            Err(StoreError::timed_out(format!("no answer within {:?}", self.timeout)))
        });
        #[cfg(feature = "metrics")]
        count(operation, started);
        answer.inspect_err(|error| events::store_failed(operation, error))
    }
}

#[cfg(feature = "metrics")]
fn count(operation: &'static str, started: std::time::Instant) {
    metrics::histogram!("sessile_store_seconds", "operation" => operation)
        .record(started.elapsed());
    metrics::counter!("sessile_store_operations", "operation" => operation).increment(1);
}
