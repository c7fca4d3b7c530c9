//! Any store behind one type.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::{
    Capability, Cursor, Page, Precondition, Record, Saved, SessionCookie, SessionId, SessionStore,
    StoreError, Stored, Version,
};

/// Any store behind one type, cheap to clone.
///
/// It is a store itself, so that `AnyStore::new(store)` fits wherever a store
/// does:
///
/// ```
/// use sessile_core::{AnyStore, SessionStore};
///
/// fn choose(memory: impl SessionStore, other: impl SessionStore, durable: bool) -> AnyStore {
///     if durable { AnyStore::new(other) } else { AnyStore::new(memory) }
/// }
/// # use sessile_testkit::{FaultyStore, ReferenceStore};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sessile_core::StoreError> {
/// # let other = FaultyStore::new(ReferenceStore::new());
/// let store = choose(ReferenceStore::new(), other, false);
/// assert_eq!(store.length().await?, 0);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct AnyStore(Arc<dyn Erased>);

impl AnyStore {
    /// Boxes `store`.
    ///
    /// ```
    /// # use sessile_core::{AnyStore, SessionStore};
    /// # use sessile_testkit::ReferenceStore;
    /// let plain = ReferenceStore::new();
    /// let boxed = AnyStore::new(plain.clone());
    /// assert_eq!(boxed.capabilities(), plain.capabilities());
    /// ```
    pub fn new(store: impl SessionStore) -> Self {
        Self(Arc::new(store))
    }

    /// As [`load`](SessionStore::load), in the box in which the answer comes.
    pub(crate) fn begin_load<'a>(&'a self, id: &'a SessionId) -> Answer<'a, Option<Stored>> {
        self.0.load(id)
    }

    /// As [`load_record`](SessionStore::load_record), in the box in which the answer comes.
    pub(crate) fn begin_load_record<'a>(&'a self, id: &'a SessionId) -> Answer<'a, Option<Stored>> {
        self.0.load_record(id)
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The object-safe twin of [`SessionStore`].
trait Erased: fmt::Debug + Send + Sync {
    fn load<'a>(&'a self, id: &'a SessionId) -> Answer<'a, Option<Stored>>;
    fn load_record<'a>(&'a self, id: &'a SessionId) -> Answer<'a, Option<Stored>>;
    fn asks_for_expiry(&self) -> bool;
    fn save<'a>(
        &'a self,
        id: &'a SessionId,
        record: &'a Record,
        when: Precondition<'a>,
    ) -> Answer<'a, Saved>;
    fn touch<'a>(
        &'a self,
        id: &'a SessionId,
        cookie: &'a SessionCookie,
        since: Option<&'a Version>,
    ) -> Answer<'a, bool>;
    fn destroy<'a>(&'a self, id: &'a SessionId) -> Answer<'a, bool>;
    fn rotate<'a>(
        &'a self,
        from: &'a SessionId,
        to: &'a SessionId,
        record: &'a Record,
        version: &'a Version,
    ) -> Answer<'a, Saved>;
    fn load_at_once(&self, id: &SessionId) -> Option<Result<Option<Stored>, StoreError>>;
    fn save_at_once(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Option<Result<Saved, StoreError>>;
    fn touch_at_once(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Option<Result<bool, StoreError>>;
    fn capabilities(&self) -> &'static [Capability];
    fn all<'a>(&'a self, from: Option<&'a Cursor>, limit: usize) -> Answer<'a, Page>;
    fn length(&self) -> Answer<'_, u64>;
    fn clear(&self) -> Answer<'_, ()>;
    fn purge_expired(&self) -> Answer<'_, u64>;
    fn find_by_user<'a>(
        &'a self,
        key: &'a str,
        user: &'a serde_json::Value,
    ) -> Answer<'a, Vec<SessionId>>;
}

impl<S: SessionStore> Erased for S {
    fn load<'a>(&'a self, id: &'a SessionId) -> Answer<'a, Option<Stored>> {
        Box::pin(SessionStore::load(self, id))
    }
    fn load_record<'a>(&'a self, id: &'a SessionId) -> Answer<'a, Option<Stored>> {
        Box::pin(SessionStore::load_record(self, id))
    }
    fn asks_for_expiry(&self) -> bool {
        SessionStore::asks_for_expiry(self)
    }
    fn save<'a>(
        &'a self,
        id: &'a SessionId,
        record: &'a Record,
        when: Precondition<'a>,
    ) -> Answer<'a, Saved> {
        Box::pin(SessionStore::save(self, id, record, when))
    }
    fn touch<'a>(
        &'a self,
        id: &'a SessionId,
        cookie: &'a SessionCookie,
        since: Option<&'a Version>,
    ) -> Answer<'a, bool> {
        Box::pin(SessionStore::touch(self, id, cookie, since))
    }
    fn destroy<'a>(&'a self, id: &'a SessionId) -> Answer<'a, bool> {
        Box::pin(SessionStore::destroy(self, id))
    }
    fn rotate<'a>(
        &'a self,
        from: &'a SessionId,
        to: &'a SessionId,
        record: &'a Record,
        version: &'a Version,
    ) -> Answer<'a, Saved> {
        Box::pin(SessionStore::rotate(self, from, to, record, version))
    }
    fn load_at_once(&self, id: &SessionId) -> Option<Result<Option<Stored>, StoreError>> {
        SessionStore::load_at_once(self, id)
    }
    fn save_at_once(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Option<Result<Saved, StoreError>> {
        SessionStore::save_at_once(self, id, record, when)
    }
    fn touch_at_once(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Option<Result<bool, StoreError>> {
        SessionStore::touch_at_once(self, id, cookie, since)
    }
    fn capabilities(&self) -> &'static [Capability] {
        SessionStore::capabilities(self)
    }
    fn all<'a>(&'a self, from: Option<&'a Cursor>, limit: usize) -> Answer<'a, Page> {
        Box::pin(SessionStore::all(self, from, limit))
    }
    fn length(&self) -> Answer<'_, u64> {
        Box::pin(SessionStore::length(self))
    }
    fn clear(&self) -> Answer<'_, ()> {
        Box::pin(SessionStore::clear(self))
    }
    fn purge_expired(&self) -> Answer<'_, u64> {
        Box::pin(SessionStore::purge_expired(self))
    }
    fn find_by_user<'a>(
        &'a self,
        key: &'a str,
        user: &'a serde_json::Value,
    ) -> Answer<'a, Vec<SessionId>> {
        Box::pin(SessionStore::find_by_user(self, key, user))
    }
}

impl SessionStore for AnyStore {
    async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        self.0.load(id).await
    }
    async fn load_record(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        self.0.load_record(id).await
    }
    fn asks_for_expiry(&self) -> bool {
        self.0.asks_for_expiry()
    }
    async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        self.0.save(id, record, when).await
    }
    async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool, StoreError> {
        self.0.touch(id, cookie, since).await
    }
    async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
        self.0.destroy(id).await
    }
    async fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved, StoreError> {
        self.0.rotate(from, to, record, version).await
    }
    fn load_at_once(&self, id: &SessionId) -> Option<Result<Option<Stored>, StoreError>> {
        self.0.load_at_once(id)
    }
    fn save_at_once(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Option<Result<Saved, StoreError>> {
        self.0.save_at_once(id, record, when)
    }
    fn touch_at_once(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Option<Result<bool, StoreError>> {
        self.0.touch_at_once(id, cookie, since)
    }
    fn capabilities(&self) -> &'static [Capability] {
        self.0.capabilities()
    }
    async fn all(&self, from: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        self.0.all(from, limit).await
    }
    async fn length(&self) -> Result<u64, StoreError> {
        self.0.length().await
    }
    async fn clear(&self) -> Result<(), StoreError> {
        self.0.clear().await
    }
    async fn purge_expired(&self) -> Result<u64, StoreError> {
        self.0.purge_expired().await
    }
    async fn find_by_user(
        &self,
        key: &str,
        user: &serde_json::Value,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.0.find_by_user(key, user).await
    }
}
