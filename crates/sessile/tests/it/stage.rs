//! The stores that promises are tried over, each with a clock that tests move.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use sessile::stores::MemoryStore;
use sessile::{
    AnyStore, Builder, Precondition, Record, Saved, SessionId, SessionLayer, SessionStore,
};
use sessile_testkit::{FaultyStore, GateStore, ReferenceStore, TestClock};

use crate::client::{Client, secrets};

/// A store and its clock.
pub(crate) struct Stage {
    pub(crate) clock: TestClock,
    pub(crate) store: AnyStore,
    /// Where a store on disk has its file, until the test is over.
    _folder: Option<tempfile::TempDir>,
}

impl Stage {
    pub(crate) fn memory() -> Self {
        let clock = TestClock::new();
        let store = MemoryStore::new().with_clock(Arc::new(clock.clone()));
        Self { clock, store: AnyStore::new(store), _folder: None }
    }

    pub(crate) fn reference() -> Self {
        let clock = TestClock::new();
        let store = ReferenceStore::with_clock(clock.clone());
        Self { clock, store: AnyStore::new(store), _folder: None }
    }

    /// A store that is asked for an expiry only if the layer does not know it.
    pub(crate) fn terse() -> Self {
        let clock = TestClock::new();
        let store = ReferenceStore::with_clock(clock.clone()).with_expiry_apart();
        Self { clock, store: AnyStore::new(store), _folder: None }
    }

    #[cfg(feature = "sqlite")]
    pub(crate) async fn sqlite() -> Self {
        let (clock, folder) = (TestClock::new(), tempfile::tempdir().unwrap());
        let url = format!("sqlite://{}", folder.path().join("sessions.db").display());
        let store = sessile::stores::SqliteStore::builder(&url)
            .with_clock(Arc::new(clock.clone()))
            .connect()
            .await
            .unwrap();
        Self { clock, store: AnyStore::new(crate::prompt::Prompt(store)), _folder: Some(folder) }
    }

    /// Wraps the store so that a test can hold its operations.
    pub(crate) fn gated(self) -> (Self, GateStore<AnyStore>) {
        let gates = GateStore::new(self.store.clone());
        (self.with_store(gates.clone()), gates)
    }

    /// Wraps the store so that a test can make it fail, and count its calls.
    pub(crate) fn faulty(self) -> (Self, FaultyStore<AnyStore>) {
        let faults = FaultyStore::new(self.store.clone());
        (self.with_store(faults.clone()), faults)
    }

    /// Puts another store around this one.
    pub(crate) fn with_store(self, store: impl SessionStore) -> Self {
        Self { store: AnyStore::new(store), ..self }
    }

    /// Begins a layer over the store, by the stage's clock.
    pub(crate) fn layer(&self) -> Builder<SessionLayer> {
        SessionLayer::builder(self.store.clone(), secrets()).with_clock(self.clock.clone())
    }

    /// A browser in front of the application behind a layer with the default options.
    pub(crate) fn client(&self) -> Client {
        Client::of(self.layer().build().unwrap())
    }

    /// Everything in the store, by id, without its cookies.
    pub(crate) async fn records(&self) -> BTreeMap<String, Value> {
        let page = self.store.all(None, usize::MAX >> 1).await.unwrap();
        let values = page.sessions.into_iter().map(|(id, stored)| {
            let mut value: Value = serde_json::from_str(&stored.text).unwrap();
            value.as_object_mut().unwrap().remove("cookie").expect("a record has a cookie");
            (id.as_str().to_owned(), value)
        });
        values.collect()
    }

    pub(crate) async fn lives(&self, id: &SessionId) -> bool {
        self.store.load(id).await.unwrap().is_some()
    }

    /// Writes a record past the layer, as Node would.
    pub(crate) async fn plant(&self, id: &str, text: &str) {
        let record = Record::parse(text).expect("stores take records only");
        let saved = self.store.save(&SessionId::new(id), &record, Precondition::None).await;
        assert!(matches!(saved.unwrap(), Saved::Saved(_)));
    }
}

/// Tries each test over every store.
macro_rules! over_every_store {
    ($($test:ident),+ $(,)?) => {
        over_every_store!(@ memory, Stage::memory(), $($test),+);
        over_every_store!(@ reference, Stage::reference(), $($test),+);
        over_every_store!(@ terse, Stage::terse(), $($test),+);
        #[cfg(feature = "sqlite")]
        over_every_store!(@ sqlite, Stage::sqlite().await, $($test),+);
    };
    (@ $store:ident, $stage:expr, $($test:ident),+) => {
        mod $store {
            use crate::stage::Stage;

            $(
                #[tokio::test]
                async fn $test() {
                    super::$test($stage).await;
                }
            )+
        }
    };
}
