//! A store that gives back what no store should hold.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sessile::{
    Precondition, Record, Saved, SessionCookie, SessionId, SessionStore, StoreError, Stored,
    Version,
};

/// Wraps a store; loads give back planted texts instead of what is stored, until
/// somebody saves over them.
#[derive(Clone, Debug)]
pub(crate) struct PlantedStore<S> {
    inner: S,
    planted: Arc<Mutex<HashMap<SessionId, Arc<str>>>>,
}

impl<S: SessionStore> PlantedStore<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, planted: Arc::default() }
    }

    pub(crate) fn inner(&self) -> &S {
        &self.inner
    }

    /// Gives the session `id`, which must exist, another text.
    pub(crate) fn plant(&self, id: SessionId, text: String) {
        self.planted().insert(id, text.into());
    }

    fn planted(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<str>>> {
        self.planted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: SessionStore> SessionStore for PlantedStore<S> {
    async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        let stored = self.inner.load(id).await?;
        let planted = self.planted().get(id).map(Arc::clone);
        Ok(stored.map(|stored| match planted {
            Some(text) => Stored::new(text, stored.version, stored.expires),
            None => stored,
        }))
    }

    async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        let saved = self.inner.save(id, record, when).await?;
        if matches!(saved, Saved::Saved(_)) {
            self.planted().remove(id);
        }
        Ok(saved)
    }

    async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool, StoreError> {
        self.inner.touch(id, cookie, since).await
    }

    async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
        self.inner.destroy(id).await
    }

    async fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved, StoreError> {
        self.inner.rotate(from, to, record, version).await
    }
}
