//! Any interleaving of requests on one session ends as some serial order of them would.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use axum::{Router, routing::get};
use proptest::prelude::*;
use sessile::{
    AnyStore, Concurrency, Precondition, Record, Saved, Session, SessionCookie, SessionId,
    SessionStore, StoreError, Stored, Version,
};

use crate::client::{Client, Reply, request};
use crate::stage::Stage;

/// Lets the others run first.
async fn step() {
    let mut first = true;
    std::future::poll_fn(
        |_| {
            if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }
        },
    )
    .await;
}

/// A store that takes a step before each operation, and one before its answer.
#[derive(Debug)]
struct Stepping(AnyStore);

impl Stepping {
    async fn around<T>(call: impl Future<Output = T>) -> T {
        step().await;
        let answer = call.await;
        step().await;
        answer
    }
}

impl SessionStore for Stepping {
    async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        Self::around(self.0.load(id)).await
    }

    async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        Self::around(self.0.save(id, record, when)).await
    }

    async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool, StoreError> {
        Self::around(self.0.touch(id, cookie, since)).await
    }

    async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
        Self::around(self.0.destroy(id)).await
    }

    async fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved, StoreError> {
        Self::around(self.0.rotate(from, to, record, version)).await
    }
}

/// What a request does to its session.
#[derive(Clone, Debug)]
enum Act {
    Add(u8),
    Clear,
    Cycle,
    Destroy,
    Insert(u8, u64),
    Remove(u8),
}

fn key(key: u8) -> String {
    format!("k{key}")
}

async fn perform(session: &Session, act: &Act) {
    // A session that is gone by now is what some of these cases are about.
    let _gone = match act {
        Act::Add(k) => session.update(&key(*k), |n: Option<u64>| n.unwrap_or(0) + 100).map(drop),
        Act::Clear => session.clear(),
        Act::Cycle => session.cycle_id().await,
        Act::Destroy => session.destroy().await,
        Act::Insert(k, value) => session.insert(&key(*k), value),
        Act::Remove(k) => session.remove(&key(*k)).map(drop),
    };
}

fn client(stage: &Stage) -> Client {
    let begin = async |session: Session| {
        perform(&session, &Act::Insert(0, 1)).await;
        perform(&session, &Act::Insert(1, 2)).await;
    };
    let handler = async |session: Session, acts: axum::Extension<Arc<Vec<Act>>>| {
        if session.is_new() {
            return; // it came when all was over, as anybody's first visit
        }
        for act in acts.0.iter() {
            step().await;
            perform(&session, act).await;
        }
    };
    let stepping = AnyStore::new(Stepping(stage.store.clone()));
    let layer = sessile::SessionLayer::builder(stepping, crate::client::secrets())
        .with_clock(stage.clock.clone())
        .with_concurrency(Concurrency::Merge)
        .build()
        .unwrap();
    let router = Router::new().route("/begin", get(begin)).route("/acts", get(handler));
    Client::new(router.layer(layer))
}

type Values = BTreeMap<String, u64>;

/// The session after `order`, if it still lives: who comes after its end finds nothing.
fn serially<'a>(order: impl Iterator<Item = &'a Vec<Act>>, mut values: Values) -> Option<Values> {
    for acts in order {
        let mut cycled = false;
        for act in acts {
            match act {
                Act::Add(k) => *values.entry(key(*k)).or_default() += 100,
                Act::Clear => values.clear(),
                Act::Cycle => cycled = true,
                Act::Destroy => return None,
                Act::Insert(k, value) => drop(values.insert(key(*k), *value)),
                Act::Remove(k) => drop(values.remove(&key(*k))),
            }
        }
        if cycled {
            return Some(values);
        }
    }
    Some(values)
}

/// Every order of `0..n`.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(n - 1);
    (0..n)
        .flat_map(|at| {
            shorter.iter().map(move |order| {
                let mut order = order.clone();
                order.insert(at, n - 1);
                order
            })
        })
        .collect()
}

/// Polls the requests one step at a time, in the order that `schedule` says and then in turn.
fn run(requests: Vec<Pin<Box<dyn Future<Output = Reply>>>>, schedule: &[usize]) -> Vec<Reply> {
    let mut running: Vec<_> = requests.into_iter().map(Some).collect();
    let mut replies = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    let turns = schedule.iter().copied().chain(0..);
    for turn in turns.take(100_000) {
        let at = turn % running.len();
        if let Some(request) = &mut running[at]
            && let Poll::Ready(reply) = request.as_mut().poll(&mut cx)
        {
            replies.push(reply);
            running[at] = None;
        }
        if running.iter().all(Option::is_none) {
            return replies;
        }
    }
    panic!("the requests wait for each other");
}

fn acts(all: bool) -> impl Strategy<Value = Vec<Act>> {
    let change = prop_oneof![
        3 => (0..3_u8, 0..3_u64).prop_map(|(key, value)| Act::Insert(key, value)),
        3 => (0..3_u8).prop_map(Act::Add),
        2 => (0..3_u8).prop_map(Act::Remove),
        1 => Just(Act::Clear),
    ];
    let end = prop_oneof![1 => Just(Act::Cycle), 1 => Just(Act::Destroy)];
    let act = prop_oneof![if all { 8 } else { 1 } => change, u32::from(all) => end];
    proptest::collection::vec(act, 0..4)
}

fn check(requests: &[Vec<Act>], schedule: &[usize]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _context = runtime.enter();
    let stage = Stage::reference();
    let client = client(&stage);
    run(vec![Box::pin(client.get("/begin"))], &[]);
    let start = Values::from([(key(0), 1), (key(1), 2)]);

    let ask = |acts: &Vec<Act>| -> Pin<Box<dyn Future<Output = Reply>>> {
        let mut request = request("/acts");
        request.extensions_mut().insert(Arc::new(acts.clone()));
        Box::pin(client.send(request))
    };
    let asked = requests.iter().map(ask).collect();
    for reply in run(asked, schedule) {
        prop_assert_eq!(reply.status, 200);
    }
    let mut records = runtime.block_on(stage.records());
    prop_assert!(records.len() <= 1, "never two of one session: {:?}", records);
    let end: Option<Values> =
        records.pop_first().map(|(_, values)| serde_json::from_value(values).unwrap());
    let possible = orders(requests.len())
        .into_iter()
        .map(|order| serially(order.iter().map(|at| &requests[*at]), start.clone()));
    let possible: Vec<_> = possible.collect();
    prop_assert!(possible.contains(&end), "{:?} is none of {:?}", end, possible);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_of_changes_is_some_serial_order_of_them(
        requests in proptest::collection::vec(acts(false), 2..5),
        schedule in proptest::collection::vec(0..12_usize, 0..60),
    ) {
        check(&requests, &schedule)?;
    }

    #[test]
    fn destroyed_stays_destroyed_in_any_interleaving(
        requests in proptest::collection::vec(acts(true), 2..5),
        schedule in proptest::collection::vec(0..12_usize, 0..60),
    ) {
        check(&requests, &schedule)?;
    }
}

/// What happens to the clones of one request's session.
#[derive(Clone, Copy, Debug)]
enum Move {
    Add(usize),
    GiveUp(usize),
    /// Begins a save unless one is on its way, and lets it take a step.
    Save(usize),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let a_move = prop_oneof![
        2 => (0..CLONES).prop_map(Move::Add),
        1 => (0..CLONES).prop_map(Move::GiveUp),
        6 => (0..CLONES).prop_map(Move::Save),
    ];
    proptest::collection::vec(a_move, 0..40)
}

const CLONES: usize = 3;

/// Leaves a session behind whose response has left.
async fn a_late_session(stage: &Stage) -> (Client, Session) {
    let shelf = Arc::new(Mutex::new(None));
    let keep = {
        let shelf = Arc::clone(&shelf);
        async move |session: Session| *shelf.lock().unwrap() = Some(session)
    };
    let stepping = AnyStore::new(Stepping(stage.store.clone()));
    let layer = sessile::SessionLayer::new(stepping, crate::client::secrets());
    let router = Router::new().route("/keep", get(keep)).merge(crate::client::app());
    let client = Client::new(router.layer(layer));
    client.get("/set/a/1").await.ok();
    client.get("/keep").await.ok();
    let session = shelf.lock().unwrap().take().unwrap();
    (client, session)
}

/// Takes all the steps of a future that waits for nothing else.
fn drive<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        if let Poll::Ready(outcome) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return outcome;
        }
    }
}

type Saving<'s> = Pin<Box<dyn Future<Output = Result<(), sessile::Error>> + 's>>;

fn count_each_once(moves: &[Move]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _context = runtime.enter();
    let stage = Stage::reference();
    let (client, session) = drive(a_late_session(&stage));
    let clones: [_; CLONES] = std::array::from_fn(|_| session.clone());
    let mut saving: [Option<Saving<'_>>; CLONES] = Default::default();
    let mut added = 0_u64;
    let mut context = Context::from_waker(Waker::noop());
    let mut poll = |saving: &mut Option<Saving<'_>>| {
        if let Some(save) = saving
            && let Poll::Ready(outcome) = save.as_mut().poll(&mut context)
        {
            outcome.unwrap();
            *saving = None;
        }
    };
    for one in moves {
        match *one {
            Move::Add(n) => {
                clones[n].update("n", |n: Option<u64>| n.unwrap_or(0) + 1).unwrap();
                added += 1;
            }
            Move::GiveUp(n) => saving[n] = None,
            Move::Save(n) => {
                saving[n].get_or_insert_with(|| Box::pin(clones[n].save()));
                poll(&mut saving[n]);
            }
        }
    }
    for _ in 0..1000 {
        saving.iter_mut().for_each(&mut poll);
    }
    prop_assert!(saving.iter().all(Option::is_none), "they wait for each other");
    drive(session.save()).unwrap();
    let all = drive(client.get("/all")).json();
    prop_assert_eq!(all["n"].as_u64().unwrap_or(0), added);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn saves_given_up_anywhere_do_each_change_once(moves in moves()) {
        count_each_once(&moves)?;
    }
}
