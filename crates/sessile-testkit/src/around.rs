//! What the wrappers of a store share: the names of its operations, how often each
//! was called, and the ten methods that all lead to one.

/// An operation of a store.
///
/// ```
/// # use sessile_core::SessionStore;
/// # use sessile_testkit::{FaultyStore, Op, ReferenceStore};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let store = FaultyStore::new(ReferenceStore::new());
/// store.length().await.unwrap();
/// assert_eq!((store.calls(Op::Length), store.calls(Op::All)), (1, 0));
/// # });
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// [`SessionStore::all`](sessile_core::SessionStore::all)
    All,
    /// [`SessionStore::clear`](sessile_core::SessionStore::clear)
    Clear,
    /// [`SessionStore::destroy`](sessile_core::SessionStore::destroy)
    Destroy,
    /// [`SessionStore::find_by_user`](sessile_core::SessionStore::find_by_user)
    FindByUser,
    /// [`SessionStore::length`](sessile_core::SessionStore::length)
    Length,
    /// [`SessionStore::load`](sessile_core::SessionStore::load)
    Load,
    /// [`SessionStore::purge_expired`](sessile_core::SessionStore::purge_expired)
    PurgeExpired,
    /// [`SessionStore::rotate`](sessile_core::SessionStore::rotate)
    Rotate,
    /// [`SessionStore::save`](sessile_core::SessionStore::save)
    Save,
    /// [`SessionStore::touch`](sessile_core::SessionStore::touch)
    Touch,
}

const OPS: usize = Op::Touch as usize + 1;

/// How often each operation was called.
#[derive(Debug, Default)]
pub(crate) struct Calls([u64; OPS]);

impl Calls {
    /// Counts a call and returns its number, the first being 1.
    pub(crate) fn count(&mut self, op: Op) -> u64 {
        self.0[op as usize] += 1;
        self.of(op)
    }

    pub(crate) fn of(&self, op: Op) -> u64 {
        self.0[op as usize]
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// Implements `SessionStore` for a wrapper that has `inner()` and
/// `around(op, call)`. The call starts when `around` first polls it, not before:
/// a store may do its work before it returns its future.
macro_rules! store_around {
    ($store:ident) => {
        impl<S: SessionStore> SessionStore for $store<S> {
            async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
                self.around(Op::Load, async { self.inner().load(id).await }).await
            }
            async fn load_record(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
                self.around(Op::Load, async { self.inner().load_record(id).await }).await
            }
            fn asks_for_expiry(&self) -> bool {
                self.inner().asks_for_expiry()
            }
            async fn save(
                &self,
                id: &SessionId,
                record: &Record,
                when: Precondition<'_>,
            ) -> Result<Saved, StoreError> {
                self.around(Op::Save, async { self.inner().save(id, record, when).await }).await
            }
            async fn touch(
                &self,
                id: &SessionId,
                cookie: &SessionCookie,
                since: Option<&Version>,
            ) -> Result<bool, StoreError> {
                self.around(Op::Touch, async { self.inner().touch(id, cookie, since).await }).await
            }
            async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
                self.around(Op::Destroy, async { self.inner().destroy(id).await }).await
            }
            async fn rotate(
                &self,
                from: &SessionId,
                to: &SessionId,
                record: &Record,
                version: &Version,
            ) -> Result<Saved, StoreError> {
                let call = async { self.inner().rotate(from, to, record, version).await };
                self.around(Op::Rotate, call).await
            }
            fn capabilities(&self) -> &'static [Capability] {
                self.inner().capabilities()
            }
            async fn all(&self, from: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
                self.around(Op::All, async { self.inner().all(from, limit).await }).await
            }
            async fn length(&self) -> Result<u64, StoreError> {
                self.around(Op::Length, async { self.inner().length().await }).await
            }
            async fn clear(&self) -> Result<(), StoreError> {
                self.around(Op::Clear, async { self.inner().clear().await }).await
            }
            async fn purge_expired(&self) -> Result<u64, StoreError> {
                self.around(Op::PurgeExpired, async { self.inner().purge_expired().await }).await
            }
            async fn find_by_user(
                &self,
                key: &str,
                user: &serde_json::Value,
            ) -> Result<Vec<SessionId>, StoreError> {
                let call = async { self.inner().find_by_user(key, user).await };
                self.around(Op::FindByUser, call).await
            }
        }
    };
}

pub(crate) use store_around;
