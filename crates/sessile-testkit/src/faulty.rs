//! A store that fails when a test wants it to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sessile_core::{
    Capability, Cursor, Page, Precondition, Record, Saved, SessionCookie, SessionId, SessionStore,
    StoreError, Stored, Version,
};
use tokio::sync::watch;

use crate::around::{Calls, Op, store_around};

/// Wraps a store that fails, hangs, is slow or loses its answers on cue, and counts
/// every call.
///
/// Clones are the same store, so one goes into the layer and the test keeps another.
///
/// ```
/// use sessile_core::{SessionId, SessionStore, StoreErrorKind};
/// use sessile_testkit::{FaultyStore, Op, ReferenceStore};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = FaultyStore::new(ReferenceStore::new());
/// let id = SessionId::new("a");
///
/// store.fail(Op::Load);
/// let error = store.load(&id).await.unwrap_err();
/// assert_eq!(error.kind(), StoreErrorKind::Unavailable);
///
/// store.recover();
/// assert!(store.load(&id).await.unwrap().is_none());
/// assert_eq!(store.calls(Op::Load), 2);
/// # });
/// ```
#[derive(Debug)]
pub struct FaultyStore<S>(Arc<Shared<S>>);

#[derive(Debug)]
struct Shared<S> {
    store: S,
    plan: Mutex<Plan>,
    /// How often the store recovered; whoever hangs waits for the next time.
    recoveries: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Plan {
    calls: Calls,
    always: HashMap<Op, Fault>,
    once: HashMap<(Op, u64), Fault>,
}

/// What goes wrong with a call.
///
/// ```
/// # use sessile_core::{Precondition, Record, SessionId, SessionStore};
/// # use sessile_testkit::{Fault, FaultyStore, Op, ReferenceStore};
/// # let (id, record) = (SessionId::new("a"), Record::parse(r#"{"cookie":{}}"#).unwrap());
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let store = FaultyStore::new(ReferenceStore::new());
/// store.inject(Op::Save, Fault::LoseAnswer);
/// assert!(store.save(&id, &record, Precondition::Absent).await.is_err());
/// assert!(store.load(&id).await.unwrap().is_some()); // it was done all the same
/// # });
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// The store does it after so long, by tokio's clock, which tests can pause.
    Delay(Duration),
    /// The store does not do it, and says that it is unavailable.
    Fail,
    /// The store does it only after [`FaultyStore::recover`].
    Hang,
    /// The store does it, but all the caller gets is an error.
    LoseAnswer,
}

impl<S: SessionStore> FaultyStore<S> {
    /// Wraps `store`; nothing goes wrong yet.
    ///
    /// ```
    /// # use sessile_core::SessionStore;
    /// # use sessile_testkit::{FaultyStore, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = FaultyStore::new(ReferenceStore::new());
    /// assert_eq!(store.round_trips(), 0);
    /// assert_eq!(store.length().await.unwrap(), 0);
    /// assert_eq!(store.round_trips(), 1);
    /// # });
    /// ```
    pub fn new(store: S) -> Self {
        let recoveries = watch::Sender::new(0);
        Self(Arc::new(Shared { store, plan: Mutex::default(), recoveries }))
    }

    /// Returns the store inside, where nothing goes wrong and nothing counts.
    ///
    /// ```
    /// # use sessile_core::SessionStore;
    /// # use sessile_testkit::{FaultyStore, Op, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = FaultyStore::new(ReferenceStore::new());
    /// store.fail(Op::Length);
    /// assert_eq!(store.inner().length().await.unwrap(), 0);
    /// assert_eq!(store.calls(Op::Length), 0);
    /// # });
    /// ```
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.0.store
    }

    /// Returns how often `op` was called, failures included.
    ///
    /// ```
    /// # use sessile_core::{SessionId, SessionStore};
    /// # use sessile_testkit::{FaultyStore, Op, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = FaultyStore::new(ReferenceStore::new());
    /// store.fail_next(Op::Load, 1);
    /// for _ in 0..2 {
    ///     let _ = store.load(&SessionId::new("a")).await;
    /// }
    /// assert_eq!(store.calls(Op::Load), 2);
    /// # });
    /// ```
    #[must_use]
    pub fn calls(&self, op: Op) -> u64 {
        self.plan().calls.of(op)
    }

    /// Returns how often anything was called.
    ///
    /// ```
    /// # use sessile_core::{SessionId, SessionStore};
    /// # use sessile_testkit::{FaultyStore, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = FaultyStore::new(ReferenceStore::new());
    /// store.load(&SessionId::new("a")).await.unwrap();
    /// store.destroy(&SessionId::new("a")).await.unwrap();
    /// assert_eq!(store.round_trips(), 2);
    /// # });
    /// ```
    #[must_use]
    pub fn round_trips(&self) -> u64 {
        self.plan().calls.total()
    }

    /// Lets every call of `op` fail from now on.
    ///
    /// ```
    /// # use sessile_core::SessionStore;
    /// # use sessile_testkit::{FaultyStore, Op, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = FaultyStore::new(ReferenceStore::new());
    /// store.fail(Op::Clear);
    /// assert!(store.clear().await.is_err());
    /// assert!(store.clear().await.is_err());
    /// assert!(store.length().await.is_ok());
    /// # });
    /// ```
    pub fn fail(&self, op: Op) {
        self.inject(op, Fault::Fail);
    }

    /// Lets the next `count` calls of `op` fail.
    ///
    /// ```
    /// # use sessile_core::SessionStore;
    /// # use sessile_testkit::{FaultyStore, Op, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = FaultyStore::new(ReferenceStore::new());
    /// store.fail_next(Op::Length, 1);
    /// assert!(store.length().await.is_err());
    /// assert!(store.length().await.is_ok());
    /// # });
    /// ```
    pub fn fail_next(&self, op: Op, count: u64) {
        for n in 1..=count {
            self.inject_nth(op, n, Fault::Fail);
        }
    }

    /// Lets every call of `op` hang from now on.
    ///
    /// ```
    /// # use sessile_core::SessionStore;
    /// # use sessile_testkit::{FaultyStore, Op, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = FaultyStore::new(ReferenceStore::new());
    /// store.hang(Op::Length);
    /// let length = tokio::spawn({
    ///     let store = store.clone();
    ///     async move { store.length().await }
    /// });
    /// tokio::task::yield_now().await;
    /// assert_eq!((store.calls(Op::Length), length.is_finished()), (1, false));
    /// store.recover();
    /// assert_eq!(length.await.unwrap().unwrap(), 0);
    /// # });
    /// ```
    pub fn hang(&self, op: Op) {
        self.inject(op, Fault::Hang);
    }

    /// Lets every call of `op` take `time` longer from now on.
    ///
    /// ```
    /// # use sessile_core::SessionStore;
    /// # use sessile_testkit::{FaultyStore, Op, ReferenceStore};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// let store = FaultyStore::new(ReferenceStore::new());
    /// store.delay(Op::Length, Duration::from_secs(3));
    /// let start = tokio::time::Instant::now(); // under `start_paused`, so that nobody waits
    /// store.length().await.unwrap();
    /// assert_eq!(start.elapsed().as_secs(), 3);
    /// # }
    /// ```
    pub fn delay(&self, op: Op, time: Duration) {
        self.inject(op, Fault::Delay(time));
    }

    /// Lets every call of `op` suffer `fault` from now on.
    ///
    /// ```
    /// # use sessile_core::{SessionStore, StoreErrorKind};
    /// # use sessile_testkit::{Fault, FaultyStore, Op, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = FaultyStore::new(ReferenceStore::new());
    /// store.inject(Op::Clear, Fault::LoseAnswer);
    /// store.inject(Op::Clear, Fault::Fail); // instead
    /// assert_eq!(store.clear().await.unwrap_err().kind(), StoreErrorKind::Unavailable);
    /// # });
    /// ```
    pub fn inject(&self, op: Op, fault: Fault) {
        self.plan().always.insert(op, fault);
    }

    /// Lets the `n`-th call of `op` from now on suffer `fault`; the next one is the first.
    ///
    /// ```
    /// # use sessile_core::SessionStore;
    /// # use sessile_testkit::{Fault, FaultyStore, Op, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = FaultyStore::new(ReferenceStore::new());
    /// store.inject_nth(Op::Length, 2, Fault::Fail);
    /// assert!(store.length().await.is_ok());
    /// assert!(store.length().await.is_err());
    /// assert!(store.length().await.is_ok());
    /// # });
    /// ```
    pub fn inject_nth(&self, op: Op, n: u64, fault: Fault) {
        let mut plan = self.plan();
        let call = plan.calls.of(op) + n;
        plan.once.insert((op, call), fault);
    }

    /// Ends all faults. Calls that hang, and whose caller still waits, go on.
    ///
    /// ```
    /// # use sessile_core::SessionStore;
    /// # use sessile_testkit::{FaultyStore, Op, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = FaultyStore::new(ReferenceStore::new());
    /// store.fail(Op::Length);
    /// store.recover();
    /// assert!(store.length().await.is_ok());
    /// # });
    /// ```
    pub fn recover(&self) {
        let mut plan = self.plan();
        plan.always.clear();
        plan.once.clear();
        drop(plan);
        self.0.recoveries.send_modify(|recoveries| *recoveries += 1);
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn around<T>(
        &self,
        op: Op,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        // Listening begins before the fault is known: a recovery in between is not missed.
        let mut recoveries = self.0.recoveries.subscribe();
        let fault = self.plan().next(op);
        match fault {
            Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
            Some(Fault::Fail) => return Err(unavailable()),
            // It fails when no sender is left, and this store has one.
            Some(Fault::Hang) => _ = recoveries.changed().await,
            Some(Fault::LoseAnswer) => {
                call.await?;
                return Err(unavailable());
            }
            None => {}
        }
        call.await
    }
}

fn unavailable() -> StoreError {
    StoreError::unavailable("the store fails because its test says so")
}

impl Plan {
    /// Counts a call, and returns what goes wrong with it.
    fn next(&mut self, op: Op) -> Option<Fault> {
        let call = self.calls.count(op);
        self.once.remove(&(op, call)).or_else(|| self.always.get(&op).copied())
    }
}

impl<S> Clone for FaultyStore<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

store_around!(FaultyStore);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReferenceStore;

    fn store() -> FaultyStore<ReferenceStore> {
        FaultyStore::new(ReferenceStore::new())
    }

    async fn save(store: &FaultyStore<ReferenceStore>) -> Result<Saved, StoreError> {
        let record = Record::parse(r#"{"cookie":{}}"#).unwrap();
        store.save(&SessionId::new("a"), &record, Precondition::None).await
    }

    #[tokio::test]
    async fn calls_fail_by_their_number() {
        let store = store();
        store.fail_next(Op::Save, 2);
        store.inject_nth(Op::Save, 4, Fault::Fail);
        let mut outcomes = Vec::new();
        for _ in 0..5 {
            outcomes.push(save(&store).await.is_ok());
        }
        assert_eq!(outcomes, [false, false, true, false, true]);
        assert_eq!((store.calls(Op::Save), store.round_trips()), (5, 5));
    }

    #[tokio::test]
    async fn a_call_that_fails_leaves_the_store_alone() {
        let store = store();
        store.fail(Op::Save);
        save(&store).await.unwrap_err();
        assert_eq!(store.inner().length().await.unwrap(), 0);
        assert_eq!(store.length().await.unwrap(), 0, "other operations go on");
    }

    #[tokio::test]
    async fn a_lost_answer_is_an_error_for_what_was_done() {
        let store = store();
        store.inject(Op::Save, Fault::LoseAnswer);
        save(&store).await.unwrap_err();
        assert_eq!(store.inner().length().await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_takes_no_real_time() {
        let store = store();
        store.delay(Op::Save, Duration::from_secs(3600));
        let start = tokio::time::Instant::now();
        save(&store).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 3600);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_hangs_until_the_store_recovers() {
        let store = store();
        store.hang(Op::Save);
        let hanging = tokio::spawn({
            let store = store.clone();
            async move { save(&store).await }
        });
        let patience = Duration::from_secs(3600);
        tokio::time::timeout(patience, save(&store)).await.unwrap_err();
        assert!(!hanging.is_finished());
        store.recover();
        hanging.await.unwrap().unwrap();
        save(&store).await.unwrap();
    }
}
