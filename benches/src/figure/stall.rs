//! How long a request waits while many expired sessions are removed.
//!
//! Everything runs on one thread, where removing competes with answering, and
//! the time is that thread's own: what other processes do does not count.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use cpu_time::ThreadTime;
use sessile::{
    Clock, Precondition, Record, SessionId, SessionStore, SystemClock, stores::MemoryStore,
};

use crate::contender::{AxumApp, ours};
use crate::scenario::{READ, SCENARIOS};
use bench_report::record;

const EXPIRES: &str = "2099-01-01T00:00:00.000Z";

/// The real time, or that of the year 2100.
#[derive(Debug, Default)]
struct Jump(AtomicBool);

impl Clock for Jump {
    fn now(&self) -> SystemTime {
        if self.0.load(Ordering::Relaxed) {
            SystemTime::UNIX_EPOCH + Duration::from_secs(130 * 365 * 86_400)
        } else {
            SystemClock.now()
        }
    }
}

/// Fills a store, lets all of it expire, and answers requests while it is purged.
///
/// Returns, in milliseconds, the longest from one answer to the next by this
/// thread's time and by the clock on the wall, and how long the purge took in all.
pub async fn while_purging(sessions: u64) -> Vec<f64> {
    let clock = Arc::new(Jump::default());
    let store = MemoryStore::new().with_clock(Arc::<Jump>::clone(&clock));
    for n in 0..sessions {
        let record = Record::parse(record::text(Some(EXPIRES))).expect("it is a record");
        let id = SessionId::new(record::id(n));
        store.save(&id, &record, Precondition::Absent).await.expect("memory does not fail");
    }
    // The layer keeps the real time; what it saves from now on does not expire.
    let forever = ours::forever_router_over(store.clone());
    let mut app = AxumApp(forever);
    let ask = SCENARIOS[READ].prepare(&mut app).await;
    for _ in 0..1_000 {
        app.answer(&ask).await;
    }
    clock.0.store(true, Ordering::Relaxed);

    let started = Instant::now();
    let purge = tokio::spawn(async move { store.purge_expired().await });
    let (mut longest, mut longest_on_the_wall) = (Duration::ZERO, Duration::ZERO);
    while !purge.is_finished() {
        let (thread, wall) = (ThreadTime::now(), Instant::now());
        // The request arrives here, and waits for its turn.
        tokio::task::yield_now().await;
        app.answer(&ask).await;
        longest = longest.max(thread.elapsed());
        longest_on_the_wall = longest_on_the_wall.max(wall.elapsed());
    }
    let whole = started.elapsed();
    purge.await.expect("it does not panic").expect("memory does not fail");
    [longest, longest_on_the_wall, whole].map(|time| time.as_secs_f64() * 1e3).into()
}
