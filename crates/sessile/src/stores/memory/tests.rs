//! The promises that are this store's own; the conformance suite has the rest.

use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

#[derive(Debug)]
struct Hands(Mutex<SystemTime>);

impl Hands {
    fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for Hands {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

fn store() -> (MemoryStore, Arc<Hands>) {
    let clock = Arc::new(Hands(Mutex::new(UNIX_EPOCH + Duration::from_millis(1_893_553_445_678))));
    (MemoryStore::new().with_clock(Arc::clone(&clock) as Arc<dyn Clock>), clock)
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn id(n: usize) -> SessionId {
    SessionId::new(format!("{n:032}"))
}

/// A record that never expires unless the store has a default lifetime.
fn endless(n: usize) -> Record {
    let cookie = r#"{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#;
    Record::parse(format!(r#"{{"cookie":{cookie},"n":{n}}}"#)).unwrap()
}

fn lasting(n: usize, max_age: Duration, clock: &Hands) -> Record {
    let record = endless(n);
    let mut cookie = record.cookie().clone();
    cookie.set_max_age(Some(max_age), clock.now());
    Record::parse(Record::with_cookie(record.text(), &cookie).unwrap()).unwrap()
}

async fn create(store: &MemoryStore, id: &SessionId, record: &Record) -> Version {
    match store.save(id, record, Precondition::Absent).await.unwrap() {
        Saved::Saved(version) => version,
        refusal => panic!("{refusal:?}"),
    }
}

async fn lives(store: &MemoryStore, id: &SessionId) -> bool {
    store.load(id).await.unwrap().is_some()
}

async fn ids_of(store: &MemoryStore, limit: usize) -> Vec<SessionId> {
    let (mut ids, mut from) = (Vec::new(), None);
    loop {
        let page = store.all(from.as_ref(), limit).await.unwrap();
        assert!(page.sessions.len() <= limit);
        ids.extend(page.sessions.into_iter().map(|(id, _)| id));
        from = page.next;
        if from.is_none() {
            ids.sort();
            return ids;
        }
    }
}

#[tokio::test]
async fn alive_one_millisecond_before_and_dead_at_the_instant() {
    let (store, clock) = store();
    create(&store, &id(1), &lasting(1, SECOND, &clock)).await;
    clock.advance(SECOND - Duration::from_millis(1));
    assert!(lives(&store, &id(1)).await);
    assert_eq!(store.length().await.unwrap(), 1);

    clock.advance(Duration::from_millis(1));
    assert!(!lives(&store, &id(1)).await);
    assert_eq!(store.length().await.unwrap(), 0);
    assert!(ids_of(&store, 9).await.is_empty());
    assert!(!store.touch(&id(1), lasting(1, HOUR, &clock).cookie(), None).await.unwrap());
    assert!(!store.destroy(&id(1)).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn expired_sessions_are_gone_without_being_asked() {
    let (store, clock) = store();
    for n in 0..2000 {
        create(&store, &id(n), &lasting(n, SECOND * (1 + n as u32 % 60), &clock)).await;
    }
    create(&store, &id(2000), &lasting(2000, HOUR, &clock)).await;
    clock.advance(SECOND * 60);
    while store.shards.len() > 1 {
        tokio::time::advance(SWEEP_EVERY).await;
    }
    assert!(lives(&store, &id(2000)).await);
}

#[test]
fn saves_alone_keep_expired_sessions_away() {
    let (store, clock) = store();
    let mut saved = 0;
    // Outside of a runtime there is nobody else to do it.
    let mut save = |n: usize| {
        for _ in 0..n {
            saved += 1;
            let record = lasting(saved, SECOND, &clock);
            let id = id(saved);
            let save = std::pin::pin!(store.save(&id, &record, Precondition::Absent));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(save.poll(&mut context).is_ready());
        }
    };
    save(2000);
    clock.advance(HOUR);
    save(2000);
    assert!(!store.shards.sweeper.is_running());
    assert!(store.shards.len() < 2100, "{} left", store.shards.len());
}

#[tokio::test]
async fn purging_removes_the_expired_and_only_them() {
    let (store, clock) = store();
    for n in 0..5000 {
        let max_age = Duration::from_millis(if n % 2 == 0 { 100 } else { 101 });
        create(&store, &id(n), &lasting(n, max_age, &clock)).await;
    }
    assert_eq!(store.purge_expired().await.unwrap(), 0);
    clock.advance(Duration::from_millis(100));
    assert_eq!(store.purge_expired().await.unwrap(), 2500);
    for n in 0..5000 {
        assert_eq!(lives(&store, &id(n)).await, n % 2 == 1, "{n}");
    }
    clock.advance(HOUR);
    assert_eq!(store.purge_expired().await.unwrap(), 2500);
    assert_eq!((store.shards.len(), store.bytes()), (0, 0));
}

#[tokio::test]
async fn purging_many_lets_others_go_first() {
    let (store, clock) = store();
    for n in 0..50_000 {
        create(&store, &id(n), &lasting(n, SECOND, &clock)).await;
    }
    clock.advance(SECOND);
    let purge = tokio::spawn({
        let store = store.clone();
        async move { store.purge_expired().await.unwrap() }
    });
    let mut most_at_once = 0;
    while !purge.is_finished() {
        let before = store.shards.len();
        tokio::task::yield_now().await;
        most_at_once = most_at_once.max(before - store.shards.len());
    }
    assert_eq!(purge.await.unwrap(), 50_000);
    assert!((1..=BATCH).contains(&most_at_once), "{most_at_once}");
}

#[tokio::test]
async fn a_touched_session_outlives_its_first_expiry() {
    let (store, clock) = store();
    let version = create(&store, &id(1), &lasting(1, SECOND, &clock)).await;
    for _ in 0..100 {
        clock.advance(Duration::from_millis(999));
        assert!(store.touch(&id(1), lasting(1, SECOND, &clock).cookie(), None).await.unwrap());
        store.purge_expired().await.unwrap();
    }
    let stored = store.load(&id(1)).await.unwrap().unwrap();
    assert_eq!(stored.version, version);
    assert_eq!(stored.expires, Some(clock.now() + SECOND));
    clock.advance(SECOND);
    assert_eq!(store.purge_expired().await.unwrap(), 1);
}

#[tokio::test]
async fn a_session_touched_to_end_sooner_is_purged_sooner() {
    let (store, clock) = store();
    create(&store, &id(1), &lasting(1, HOUR, &clock)).await;
    create(&store, &id(2), &endless(2)).await;
    for n in [1, 2] {
        assert!(store.touch(&id(n), lasting(n, SECOND, &clock).cookie(), None).await.unwrap());
    }
    clock.advance(SECOND);
    assert_eq!(store.purge_expired().await.unwrap(), 2);
}

#[tokio::test]
async fn without_an_expiry_a_session_lives_on_or_for_the_default_lifetime() {
    let (store, clock) = store();
    let limited = store.clone().with_default_lifetime(HOUR);
    create(&store, &id(1), &endless(1)).await;
    create(&limited, &id(2), &endless(2)).await;
    assert_eq!(store.load(&id(1)).await.unwrap().unwrap().expires, None);
    assert_eq!(store.load(&id(2)).await.unwrap().unwrap().expires, Some(clock.now() + HOUR));

    clock.advance(HOUR - SECOND);
    assert!(limited.touch(&id(2), endless(2).cookie(), None).await.unwrap());
    clock.advance(SECOND);
    assert!(lives(&store, &id(2)).await, "each touch gives it another lifetime");
    clock.advance(HOUR * 24 * 365 * 100);
    assert_eq!(ids_of(&store, 9).await, [id(1)]);
}

#[tokio::test]
async fn saving_what_has_expired_leaves_nothing() {
    let (store, clock) = store();
    let dead = lasting(1, Duration::ZERO, &clock);
    create(&store, &id(1), &dead).await;
    assert_eq!(store.shards.len(), 0);
    create(&store, &id(1), &lasting(1, HOUR, &clock)).await;
    let saved = store.save(&id(1), &dead, Precondition::Exists).await.unwrap();
    assert!(matches!(saved, Saved::Saved(_)));
    assert_eq!((store.shards.len(), store.bytes()), (0, 0));
}

#[tokio::test]
async fn a_destroyed_session_never_shares_a_version_with_its_successor() {
    let (store, _) = store();
    let first = create(&store, &id(1), &endless(1)).await;
    store.clear().await.unwrap();
    let second = create(&store, &id(1), &endless(1)).await;
    assert!(first != second);
    let late = store.save(&id(1), &endless(2), Precondition::Unchanged(&first)).await.unwrap();
    assert_eq!(late, Saved::Conflict);
}

#[tokio::test]
async fn memory_is_bounded_in_sessions() {
    let (store, clock) = store();
    let store = store.with_max_sessions(100);
    for n in 0..1000 {
        create(&store, &id(n), &lasting(n, HOUR, &clock)).await;
        assert!(lives(&store, &id(n)).await, "what was just saved stays");
        assert!(store.shards.len() <= 100);
        clock.advance(SECOND * 5);
    }
    assert_eq!(store.evicted(), 900);
    assert_eq!(ids_of(&store, 7).await, (900..1000).map(id).collect::<Vec<_>>());
}

#[tokio::test]
async fn memory_is_bounded_in_bytes() {
    let (store, clock) = store();
    let store = store.with_max_bytes(1_000_000);
    let large = |n: usize| {
        let text = endless(n).text().replace(r#""n""#, &format!(r#""{}""#, "x".repeat(100_000)));
        Record::parse(text).unwrap()
    };
    for n in 0..100 {
        create(&store, &id(n), &large(n)).await;
        assert!(store.bytes() <= 1_000_000 && lives(&store, &id(n)).await);
    }
    assert_eq!(store.evicted(), 91);
    for n in 100..3000 {
        create(&store, &id(n), &lasting(n, HOUR, &clock)).await;
        assert!(store.bytes() <= 1_000_000);
    }
    store.save(&id(3000), &large(1), Precondition::None).await.unwrap();
    assert!(lives(&store, &id(3000)).await && store.bytes() <= 1_000_000);

    let tiny = store.clone().with_max_bytes(1000);
    let error = tiny.save(&id(1), &large(1), Precondition::None).await.unwrap_err();
    assert_eq!(error.kind(), sessile_core::StoreErrorKind::Failed);
}

#[tokio::test]
async fn a_growing_session_evicts_others_and_a_rotated_one_too() {
    let (store, clock) = store();
    let store = store.with_max_bytes(1000);
    let large = Record::parse(format!(r#"{{"cookie":{{}},"x":"{}"}}"#, "x".repeat(500))).unwrap();
    for n in 0..3 {
        create(&store, &id(n), &lasting(n, HOUR, &clock)).await;
    }
    let saved = store.save(&id(1), &large, Precondition::Exists).await.unwrap();
    let Saved::Saved(version) = saved else { panic!("{saved:?}") };
    assert!(lives(&store, &id(1)).await && store.bytes() <= 1000);
    store.rotate(&id(1), &id(9), &large, &version).await.unwrap();
    assert!(lives(&store, &id(9)).await && store.bytes() <= 1000);
}

#[tokio::test]
async fn the_expired_go_first_then_the_soonest_then_the_longest_unused() {
    let (store, clock) = store();
    let store = store.with_max_sessions(6);
    let pause = SECOND * 5;
    create(&store, &id(0), &endless(0)).await;
    clock.advance(pause);
    create(&store, &id(1), &endless(1)).await;
    clock.advance(pause);
    assert!(store.touch(&id(0), endless(0).cookie(), None).await.unwrap());
    create(&store, &id(2), &lasting(2, HOUR * 2, &clock)).await;
    create(&store, &id(3), &lasting(3, HOUR, &clock)).await;
    create(&store, &id(4), &lasting(4, SECOND, &clock)).await;
    create(&store, &id(5), &lasting(5, HOUR / 2, &clock)).await;
    assert!(store.touch(&id(5), lasting(5, HOUR * 3, &clock).cookie(), None).await.unwrap());
    clock.advance(pause);

    for (n, next) in [4, 3, 2, 5, 1, 0].into_iter().enumerate() {
        assert!(is_kept(&store, &id(next)), "{next}");
        create(&store, &id(100 + n), &endless(n)).await;
        assert!(!is_kept(&store, &id(next)), "{next}");
        assert_eq!(store.shards.len(), 6);
        clock.advance(pause);
    }
}

/// Tells whether a session takes memory, expired or not.
fn is_kept(store: &MemoryStore, id: &SessionId) -> bool {
    let key = store.shards.key(id.as_str());
    store.shards.read(key.shard).find(key).is_some()
}

#[tokio::test]
async fn a_store_of_one_keeps_the_last() {
    let (store, clock) = store();
    let store = store.with_max_sessions(0);
    for n in 0..10 {
        // Later ones expire sooner, and stay all the same.
        create(&store, &id(n), &lasting(n, HOUR - SECOND * n as u32 * 60, &clock)).await;
        assert_eq!(ids_of(&store, 9).await, [id(n)]);
    }
}

#[tokio::test]
async fn an_eviction_costs_the_same_however_many_were_touched() {
    let (store, clock) = store();
    let store = store.with_max_sessions(10_000);
    for n in 0..10_000 {
        create(&store, &id(n), &lasting(n, HOUR, &clock)).await;
    }
    clock.advance(SECOND * 60);
    for n in 0..10_000 {
        store.touch(&id(n), lasting(n, HOUR, &clock).cookie(), None).await.unwrap();
    }
    create(&store, &id(10_000), &lasting(0, HOUR, &clock)).await;
    assert_eq!(store.evicted(), 1);
    let first = Rank::expires_at(to_millis(clock.now() + HOUR - SECOND * 60)).page();
    let moved = 10_000 - count_on(&store, first);
    assert!(moved <= EVICTION_STEPS, "{moved} looked at");
}

fn count_on(store: &MemoryStore, page: u32) -> usize {
    Shards::all().map(|shard| store.shards.read(shard).list(page).count()).sum()
}

#[tokio::test]
async fn all_gives_each_session_once_whatever_comes_and_goes() {
    let (store, clock) = store();
    for n in 0..3000 {
        let expiry = if n % 3 == 0 { SECOND } else { HOUR };
        create(&store, &id(n), &lasting(n, expiry, &clock)).await;
    }
    clock.advance(SECOND);
    let live: Vec<_> = (0..3000).filter(|n| n % 3 != 0).map(id).collect();
    for limit in [1, 2, 500, usize::MAX] {
        assert_eq!(ids_of(&store, limit).await, live);
    }
    assert!(store.all(None, 0).await.unwrap().sessions.is_empty());

    let (mut seen, mut from) = (Vec::new(), None);
    for round in 0.. {
        let page = store.all(from.as_ref(), 100).await.unwrap();
        seen.extend(page.sessions.into_iter().map(|(id, _)| id));
        create(&store, &id(10_000 + round), &lasting(0, HOUR, &clock)).await;
        store.destroy(&seen[seen.len() / 2]).await.unwrap();
        store.purge_expired().await.unwrap();
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    seen.sort();
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "no session twice");
    assert!(live.iter().all(|id| seen.binary_search(id).is_ok()), "none left out");
}

#[tokio::test]
async fn all_gives_records_whose_cookie_has_the_current_expiry() {
    let (store, clock) = store();
    let max_age = Duration::from_millis(31_536_000_123);
    create(&store, &id(1), &lasting(1, max_age, &clock)).await;
    create(&store, &id(2), &endless(2)).await;
    clock.advance(SECOND);
    let touched = lasting(1, max_age, &clock);
    store.touch(&id(1), touched.cookie(), None).await.unwrap();
    for (found, stored) in store.all(None, 9).await.unwrap().sessions {
        let expected = if found == id(1) { &touched } else { &endless(2) };
        assert_eq!(stored.text, *expected.text());
        assert_eq!(stored.expires, expected.cookie().expires());
    }
}

#[tokio::test]
async fn loading_copies_no_text() {
    let (store, _) = store();
    let record = endless(1);
    create(&store, &id(1), &record).await;
    let stored = store.load(&id(1)).await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&stored.text, record.text()));
}

#[test]
fn a_hundred_parallel_increments_are_exactly_a_hundred() {
    let (store, _) = store();
    block_on(create(&store, &id(1), &endless(0)));
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| block_on(increment(&store, 25)));
        }
    });
    let stored = block_on(store.load(&id(1))).unwrap().unwrap();
    assert_eq!(stored.text, *endless(100).text());
}

async fn increment(store: &MemoryStore, times: usize) {
    let mut done = 0;
    while done < times {
        let stored = store.load(&id(1)).await.unwrap().unwrap();
        let n = stored.text.trim_end_matches('}').rsplit(':').next().unwrap();
        let next = endless(n.parse::<usize>().unwrap() + 1);
        std::thread::yield_now();
        let when = Precondition::Unchanged(&stored.version);
        done += usize::from(store.save(&id(1), &next, when).await.unwrap() != Saved::Conflict);
    }
}

#[test]
fn rotations_both_ways_never_wait_for_each_other_for_ever() {
    let (store, _) = store();
    let record = endless(1);
    let rotate = |from: usize, to: usize| {
        let (store, record) = (store.clone(), record.clone());
        move || {
            block_on(async {
                for _ in 0..2000 {
                    let Some(stored) = store.load(&id(from)).await.unwrap() else { continue };
                    store.rotate(&id(from), &id(to), &record, &stored.version).await.unwrap();
                }
            });
        }
    };
    block_on(create(&store, &id(1), &record));
    let threads = [(1, 2), (2, 1)].map(|(from, to)| std::thread::spawn(rotate(from, to)));
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(block_on(store.length()).unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_sweeper_ends_with_the_store() {
    let (store, _) = store();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    store.load(&id(1)).await.unwrap();
    let clone = store.clone();
    assert_eq!(tasks(), 1);
    drop(store);
    assert!(!lives(&clone, &id(1)).await);
    assert_eq!(tasks(), 1);
    drop(clone);
    while tasks() > 0 {
        tokio::time::advance(SWEEP_EVERY).await;
    }
}

#[tokio::test]
async fn clearing_removes_everything() {
    let (store, _) = store();
    for n in 0..1000 {
        create(&store, &id(n), &endless(n)).await;
    }
    store.clear().await.unwrap();
    assert_eq!((store.length().await.unwrap(), store.bytes()), (0, 0));
    assert!(ids_of(&store, 9).await.is_empty());
}

#[test]
fn debug_prints_no_secrets() {
    let (store, _) = store();
    let store = store.with_max_sessions(5);
    block_on(create(&store, &SessionId::new("secret-id"), &endless(12_345)));
    let printed = format!("{store:?}");
    assert!(!printed.contains("secret") && !printed.contains("12345"), "{printed}");
}

/// Small pseudo-random numbers, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % limit
    }
}

/// The store does what a plain map of expiries does, whatever is asked of it.
#[tokio::test]
async fn a_store_is_a_map_with_expiry() {
    let (store, clock) = store();
    let mut model = std::collections::BTreeMap::<usize, SystemTime>::new();
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for step in 0..40_000 {
        // Growth and decline in turn, so that slots move and indexes shrink.
        let longest = if step / 10_000 % 2 == 0 { 600_000 } else { 2000 };
        let n = dice.below(8000) as usize;
        let record = lasting(n, Duration::from_millis(dice.below(longest)), &clock);
        let expires = record.cookie().expires().unwrap();
        let lived = model.get(&n).is_some_and(|expires| *expires > clock.now());
        assert_eq!(lives(&store, &id(n)).await, lived);
        match dice.below(8) {
            0 => {
                assert_eq!(store.destroy(&id(n)).await.unwrap(), lived);
                model.remove(&n);
            }
            1 => {
                assert_eq!(rotate(&store, n, n + 8000, &record).await, lived);
                model.entry(n).and_modify(|at| *at = if lived { expires } else { *at });
            }
            2 | 3 => {
                assert_eq!(store.touch(&id(n), record.cookie(), None).await.unwrap(), lived);
                model.entry(n).and_modify(|at| *at = if lived { expires } else { *at });
            }
            4 => clock.advance(Duration::from_millis(dice.below(20))),
            _ => {
                store.save(&id(n), &record, Precondition::None).await.unwrap();
                model.insert(n, expires);
            }
        }
        if step % 5000 == 0 {
            store.purge_expired().await.unwrap();
            model.retain(|_, expires| *expires > clock.now());
            assert_eq!(
                ids_of(&store, 700).await,
                model.keys().copied().map(id).collect::<Vec<_>>()
            );
            assert_eq!(store.length().await.unwrap(), model.len() as u64);
            check(&store);
        }
    }
}

/// Rotates a session away and back.
async fn rotate(store: &MemoryStore, from: usize, to: usize, record: &Record) -> bool {
    let Some(stored) = store.load(&id(from)).await.unwrap() else { return false };
    let there = endless(from);
    let saved = store.rotate(&id(from), &id(to), &there, &stored.version).await.unwrap();
    let Saved::Saved(version) = saved else { return false };
    assert!(!lives(store, &id(from)).await && lives(store, &id(to)).await);
    let back = store.rotate(&id(to), &id(from), record, &version).await.unwrap();
    matches!(back, Saved::Saved(_))
}

/// The totals are those of the shards, and each shard's parts agree.
fn check(store: &MemoryStore) {
    let shards = || Shards::all().map(|shard| store.shards.read(shard));
    shards().for_each(|shard| shard.check());
    assert_eq!(store.shards.len(), shards().map(|shard| shard.len()).sum::<usize>());
    assert_eq!(store.bytes(), shards().map(|shard| shard.bytes()).sum::<usize>());
}
