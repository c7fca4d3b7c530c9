//! A store whose operations stop where a test wants them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sessile_core::{
    Capability, Cursor, Page, Precondition, Record, Saved, SessionCookie, SessionId, SessionStore,
    StoreError, Stored, Version,
};
use tokio::sync::watch;

use crate::around::{Calls, Op, store_around};

/// Wraps a store and stops any of its operations at a [`Gate`] until told.
///
/// That turns a race into a sequence: no sleeping, no luck. Clones are the same
/// store, so one goes into the layer and the test keeps another.
///
/// ```
/// use sessile_core::{Precondition, Record, Saved, SessionId, SessionStore};
/// use sessile_testkit::{GateStore, Op, ReferenceStore};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = GateStore::new(ReferenceStore::new());
/// let id = SessionId::new("a");
/// let record = Record::parse(r#"{"cookie":{}}"#).unwrap();
/// store.save(&id, &record, Precondition::Absent).await.unwrap();
///
/// let gate = store.hold(Op::Save);
/// let late = tokio::spawn({
///     let (store, id) = (store.clone(), id.clone());
///     async move { store.save(&id, &record, Precondition::Exists).await }
/// });
/// gate.arrived().await; // the save is on its way …
/// store.destroy(&id).await.unwrap(); // … and overtaken
/// gate.open();
/// assert_eq!(late.await.unwrap().unwrap(), Saved::Gone);
/// # });
/// ```
#[derive(Debug)]
pub struct GateStore<S>(Arc<Shared<S>>);

#[derive(Debug)]
struct Shared<S> {
    store: S,
    gates: Mutex<Gates>,
}

#[derive(Debug, Default)]
struct Gates {
    calls: Calls,
    held: HashMap<(Op, u64), Held>,
}

#[derive(Clone, Debug)]
struct Held {
    moment: Moment,
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Moment {
    /// The store has not seen the call yet.
    Before,
    /// The store has done it, and its answer is on its way back.
    Answer,
}

impl<S: SessionStore> GateStore<S> {
    /// Wraps `store`; all gates are open.
    ///
    /// ```
    /// # use sessile_core::SessionStore;
    /// # use sessile_testkit::{GateStore, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = GateStore::new(ReferenceStore::new());
    /// assert_eq!(store.length().await.unwrap(), 0); // nothing holds it
    /// # });
    /// ```
    pub fn new(store: S) -> Self {
        Self(Arc::new(Shared { store, gates: Mutex::default() }))
    }

    /// Returns the store inside, to which no gate applies.
    ///
    /// ```
    /// # use sessile_core::SessionStore;
    /// # use sessile_testkit::{GateStore, Op, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = GateStore::new(ReferenceStore::new());
    /// let gate = store.hold(Op::Length);
    /// assert_eq!(store.inner().length().await.unwrap(), 0);
    /// # gate.open();
    /// # });
    /// ```
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.0.store
    }

    /// Returns how often `op` was called, held calls included.
    ///
    /// ```
    /// # use sessile_core::SessionStore;
    /// # use sessile_testkit::{GateStore, Op, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = GateStore::new(ReferenceStore::new());
    /// let gate = store.hold(Op::Length);
    /// let length = tokio::spawn({
    ///     let store = store.clone();
    ///     async move { store.length().await }
    /// });
    /// gate.arrived().await;
    /// assert_eq!(store.calls(Op::Length), 1); // held, and counted
    /// # gate.open();
    /// # length.await.unwrap().unwrap();
    /// # });
    /// ```
    #[must_use]
    pub fn calls(&self, op: Op) -> u64 {
        self.gates().calls.of(op)
    }

    /// Holds the next call of `op` that no other gate holds.
    ///
    /// ```
    /// # use sessile_core::SessionStore;
    /// # use sessile_testkit::{GateStore, Op, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = GateStore::new(ReferenceStore::new());
    /// let gate = store.hold(Op::Length);
    /// let length = tokio::spawn({
    ///     let store = store.clone();
    ///     async move { store.length().await }
    /// });
    /// gate.arrived().await;
    /// assert!(!length.is_finished());
    /// assert_eq!(store.length().await.unwrap(), 0); // the next call passes
    /// gate.open();
    /// assert_eq!(length.await.unwrap().unwrap(), 0);
    /// # });
    /// ```
    pub fn hold(&self, op: Op) -> Gate {
        self.hold_many(op, 1)
    }

    /// Holds the next `count` calls of `op` that no other gate holds at one gate, where
    /// they wait for each other: [`Gate::arrived`] returns when all of them are there.
    ///
    /// ```
    /// # use sessile_core::{Precondition, Record, Saved, SessionId, SessionStore};
    /// # use sessile_testkit::{GateStore, Op, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = GateStore::new(ReferenceStore::new());
    /// let gate = store.hold_many(Op::Save, 2);
    /// let save = || {
    ///     let (store, id) = (store.clone(), SessionId::new("a"));
    ///     let record = Record::parse(r#"{"cookie":{}}"#).unwrap();
    ///     tokio::spawn(async move { store.save(&id, &record, Precondition::Absent).await.unwrap() })
    /// };
    /// let (one, two) = (save(), save());
    /// gate.arrived().await; // both are on their way
    /// gate.open();
    /// let (one, two) = (one.await.unwrap(), two.await.unwrap());
    /// assert!([one, two].contains(&Saved::Conflict));
    /// # });
    /// ```
    pub fn hold_many(&self, op: Op, count: usize) -> Gate {
        let mut gates = self.gates();
        let calls = gates.free(op, count);
        gates.place(op, &calls, Moment::Before)
    }

    /// Holds the `n`-th call of `op` from now on; the next one is the first.
    ///
    /// # Panics
    ///
    /// If `n` is zero, or another gate holds that call.
    ///
    /// ```
    /// # use sessile_core::SessionStore;
    /// # use sessile_testkit::{GateStore, Op, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = GateStore::new(ReferenceStore::new());
    /// let gate = store.hold_nth(Op::Length, 2);
    /// store.length().await.unwrap();
    /// let second = tokio::spawn({
    ///     let store = store.clone();
    ///     async move { store.length().await }
    /// });
    /// gate.arrived().await;
    /// assert!(!second.is_finished());
    /// # });
    /// ```
    pub fn hold_nth(&self, op: Op, n: u64) -> Gate {
        assert!(n > 0, "the next call is the first");
        let mut gates = self.gates();
        let call = gates.calls.of(op) + n;
        assert!(!gates.held.contains_key(&(op, call)), "another gate holds that call");
        gates.place(op, &[call], Moment::Before)
    }

    /// Lets the store do the next call of `op` that no other gate holds, and holds its answer.
    ///
    /// ```
    /// # use sessile_core::{Precondition, Record, SessionId, SessionStore};
    /// # use sessile_testkit::{GateStore, Op, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = GateStore::new(ReferenceStore::new());
    /// let id = SessionId::new("a");
    /// let gate = store.hold_answer(Op::Save);
    /// let save = tokio::spawn({
    ///     let (store, id) = (store.clone(), id.clone());
    ///     let record = Record::parse(r#"{"cookie":{}}"#).unwrap();
    ///     async move { store.save(&id, &record, Precondition::Absent).await }
    /// });
    /// gate.arrived().await;
    /// assert!(store.load(&id).await.unwrap().is_some()); // stored, and the saver does not know
    /// assert!(!save.is_finished());
    /// # });
    /// ```
    pub fn hold_answer(&self, op: Op) -> Gate {
        let mut gates = self.gates();
        let calls = gates.free(op, 1);
        gates.place(op, &calls, Moment::Answer)
    }

    fn gates(&self) -> MutexGuard<'_, Gates> {
        self.0.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn around<T>(
        &self,
        op: Op,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let held = self.gates().next(op);
        let Some(held) = held else { return call.await };
        match held.moment {
            Moment::Before => {
                held.wait().await;
                call.await
            }
            Moment::Answer => {
                let answer = call.await;
                held.wait().await;
                answer
            }
        }
    }
}

impl Gates {
    /// Returns the next `count` calls that no gate holds yet.
    fn free(&self, op: Op, count: usize) -> Vec<u64> {
        let next = self.calls.of(op) + 1;
        (next..).filter(|call| !self.held.contains_key(&(op, *call))).take(count).collect()
    }

    fn place(&mut self, op: Op, calls: &[u64], moment: Moment) -> Gate {
        let gate = Gate { calls: calls.len(), state: watch::Sender::new(State::default()) };
        for call in calls {
            self.held.insert((op, *call), Held { moment, state: gate.state.clone() });
        }
        gate
    }

    /// Counts a call, and returns what holds it.
    fn next(&mut self, op: Op) -> Option<Held> {
        let call = self.calls.count(op);
        self.held.remove(&(op, call))
    }
}

impl Held {
    async fn wait(self) {
        self.state.send_modify(|state| state.arrived += 1);
        // It fails when no sender is left, and this is one.
        let _ = self.state.subscribe().wait_for(|state| state.open).await;
    }
}

impl<S> Clone for GateStore<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

store_around!(GateStore);

/// Where operations of a [`GateStore`] stop. Dropping a gate opens it, so that a
/// test that fails does not hang.
///
/// ```
/// # use sessile_core::SessionStore;
/// # use sessile_testkit::{GateStore, Op, ReferenceStore};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let store = GateStore::new(ReferenceStore::new());
/// drop(store.hold(Op::Length));
/// assert_eq!(store.length().await.unwrap(), 0); // the gate is gone
/// # });
/// ```
#[derive(Debug)]
#[must_use = "a gate that is dropped is open"]
pub struct Gate {
    calls: usize,
    state: watch::Sender<State>,
}

#[derive(Debug, Default)]
struct State {
    arrived: usize,
    open: bool,
}

impl Gate {
    /// Waits until every call that the gate holds stands before it.
    ///
    /// ```
    /// # use sessile_core::SessionStore;
    /// # use sessile_testkit::{GateStore, Op, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = GateStore::new(ReferenceStore::new());
    /// let gate = store.hold(Op::Clear);
    /// let clear = tokio::spawn({
    ///     let store = store.clone();
    ///     async move { store.clear().await }
    /// });
    /// assert_eq!(store.calls(Op::Clear), 0); // not yet
    /// gate.arrived().await;
    /// assert_eq!(store.calls(Op::Clear), 1);
    /// # drop(gate);
    /// # clear.await.unwrap().unwrap();
    /// # });
    /// ```
    pub async fn arrived(&self) {
        // It fails when no sender is left, and the gate has one.
        let _ = self.state.subscribe().wait_for(|state| state.arrived >= self.calls).await;
    }

    /// Lets them all go on, and whoever comes later pass.
    ///
    /// ```
    /// # use sessile_core::SessionStore;
    /// # use sessile_testkit::{GateStore, Op, ReferenceStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = GateStore::new(ReferenceStore::new());
    /// let gate = store.hold(Op::Length);
    /// gate.open();
    /// assert_eq!(store.length().await.unwrap(), 0); // it comes later, and passes
    /// # });
    /// ```
    pub fn open(self) {}
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.state.send_modify(|state| state.open = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReferenceStore;
    use tokio::task::JoinSet;

    fn store() -> GateStore<ReferenceStore> {
        GateStore::new(ReferenceStore::new())
    }

    fn record() -> Record {
        Record::parse(r#"{"cookie":{}}"#).unwrap()
    }

    fn save(store: &GateStore<ReferenceStore>, id: &str) -> impl Future<Output = Saved> + 'static {
        let (store, id) = (store.clone(), SessionId::new(id));
        async move { store.save(&id, &record(), Precondition::Absent).await.unwrap() }
    }

    #[tokio::test]
    async fn a_held_call_reaches_the_store_only_when_the_gate_opens() {
        let store = store();
        let gate = store.hold(Op::Save);
        let late = tokio::spawn(save(&store, "late"));
        gate.arrived().await;
        assert_eq!(store.inner().length().await.unwrap(), 0);
        save(&store, "in time").await;
        assert_eq!(store.inner().length().await.unwrap(), 1);
        gate.open();
        late.await.unwrap();
        assert_eq!(store.inner().length().await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_held_answer_comes_after_the_deed() {
        let store = store();
        let gate = store.hold_answer(Op::Save);
        let waiting = tokio::spawn(save(&store, "a"));
        gate.arrived().await;
        assert_eq!(store.inner().length().await.unwrap(), 1);
        assert!(!waiting.is_finished());
        gate.open();
        assert!(matches!(waiting.await.unwrap(), Saved::Saved(_)));
    }

    #[tokio::test]
    async fn gates_hold_the_calls_they_were_told_to() {
        let store = store();
        let (third, first, second) =
            (store.hold_nth(Op::Save, 3), store.hold(Op::Save), store.hold(Op::Save));
        let one = tokio::spawn(save(&store, "1"));
        first.arrived().await;
        let two = tokio::spawn(save(&store, "2"));
        second.arrived().await;
        let three = tokio::spawn(save(&store, "3"));
        third.arrived().await;
        for (gate, call) in [(second, two), (third, three), (first, one)] {
            gate.open();
            call.await.unwrap();
        }
        assert_eq!((store.calls(Op::Save), store.calls(Op::Load)), (3, 0));
    }

    #[tokio::test]
    async fn many_calls_wait_for_each_other_at_one_gate() {
        let store = store();
        let gate = store.hold_many(Op::Save, 20);
        let mut saves = JoinSet::new();
        for n in 0..20 {
            saves.spawn(save(&store, &n.to_string()));
        }
        gate.arrived().await;
        assert_eq!(store.inner().length().await.unwrap(), 0);
        gate.open();
        saves.join_all().await;
        assert_eq!(store.inner().length().await.unwrap(), 20);
    }

    #[tokio::test]
    async fn a_dropped_gate_is_open() {
        let store = store();
        drop(store.hold(Op::Save));
        save(&store, "a").await;
        assert_eq!(store.inner().length().await.unwrap(), 1);
    }

    #[tokio::test]
    #[should_panic(expected = "another gate holds that call")]
    async fn two_gates_never_hold_one_call() {
        let store = store();
        let _first = store.hold(Op::Save);
        let _second = store.hold_nth(Op::Save, 1);
    }
}
