//! The memory store.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use sessile::stores::MemoryStore;
use sessile_testkit::{Subject, TestClock, suite};

use crate::Store;

pub(crate) const STORES: &[Store] =
    &[("memory", 48, memory), ("memory_bounded", 48, memory_bounded)];

fn memory(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let clock = TestClock::new();
        let store = MemoryStore::new().with_clock(Arc::new(clock.clone()));
        Subject::new(store.clone()).with_other_handle(store).with_clock(clock)
    })
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
