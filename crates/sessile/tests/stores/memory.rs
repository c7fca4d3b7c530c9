//! The memory store.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use sessile::stores::MemoryStore;
use sessile::{
    Capability, Cursor, Page, Precondition, Record, Saved, SessionCookie, SessionId, SessionStore,
    StoreError, Stored, Version,
};
use sessile_testkit::{Subject, TestClock, suite};

use crate::Store;

pub(crate) const STORES: &[Store] = &[
    ("memory", 49, memory),
    ("memory_at_once", 49, memory_at_once),
    ("memory_bounded", 49, memory_bounded),
];

fn memory(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let clock = TestClock::new();
        let store = MemoryStore::new().with_clock(Arc::new(clock.clone()));
        Subject::new(store.clone()).with_other_handle(store).with_clock(clock)
    })
}

/// The same store, asked as the layer asks it: for what it has at hand.
fn memory_at_once(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let clock = TestClock::new();
        let store = AtOnce(MemoryStore::new().with_clock(Arc::new(clock.clone())));
        Subject::new(store.clone()).with_other_handle(store).with_clock(clock)
    })
}

#[derive(Clone, Debug)]
struct AtOnce(MemoryStore);

/// Every answer must be there, or the layer would not have been spared a thing.
fn at_hand<T>(answer: Option<Result<T, StoreError>>) -> Result<T, StoreError> {
    answer.expect("a store in memory does not wait")
}

impl SessionStore for AtOnce {
    async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        at_hand(self.0.load_at_once(id))
    }

    async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        at_hand(self.0.save_at_once(id, record, when))
    }

    async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool, StoreError> {
        at_hand(self.0.touch_at_once(id, cookie, since))
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
}

/// The same store with all its limits, none of which a trial reaches.
fn memory_bounded(name: &str) -> Vec<Trial> {
    const LIFETIME: Duration = Duration::from_secs(24 * 3600);
    suite(name, || async {
        let clock = TestClock::new();
        let store = MemoryStore::new()
            .with_clock(Arc::new(clock.clone()))
            .with_default_lifetime(LIFETIME)
            .with_max_sessions(10_000)
            .with_max_bytes(1 << 30);
        Subject::new(store).with_default_lifetime(LIFETIME).with_clock(clock)
    })
}
