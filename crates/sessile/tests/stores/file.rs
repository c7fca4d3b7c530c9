//! The file store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use sessile::stores::FileStore;
use sessile_testkit::{Subject, TestClock, suite};
use tempfile::TempDir;

use crate::Store;

pub(crate) const STORES: &[Store] =
    &[("file", 49, one_handle), ("file_two_handles", 49, two_handles)];

/// As long as `session-file-store` keeps a session whose cookie has no max age.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);

async fn open(folder: &Path, clock: &TestClock) -> FileStore {
    let builder = FileStore::builder(&format!("file://{}", folder.display()));
    let opened = builder.with_clock(Arc::new(clock.clone())).connect().await;
    opened.expect("a folder of its own opens")
}

fn one_handle(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let (folder, clock) = (temporary(), TestClock::new());
        let store = open(folder.path(), &clock).await;
        subject(store, clock).with_guard(folder)
    })
}

/// Two handles on one folder, as two processes have.
fn two_handles(name: &str) -> Vec<Trial> {
    suite(name, || async {
        let (folder, clock) = (temporary(), TestClock::new());
        let (store, other) = (open(folder.path(), &clock).await, open(folder.path(), &clock).await);
        subject(store, clock).with_other_handle(other).with_guard(folder)
    })
}

fn subject(store: FileStore, clock: TestClock) -> Subject {
    Subject::new(store).with_default_lifetime(DEFAULT_LIFETIME).with_clock(clock)
}

fn temporary() -> TempDir {
    TempDir::new().expect("there is room for a folder")
}
