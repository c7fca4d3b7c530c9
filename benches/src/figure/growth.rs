//! What a load costs as the store fills: for a session used a moment ago, and for any of all.
//!
//! The first is the work that the store does; the second adds the time that
//! main memory takes to answer, which no store can avoid.

use std::hint::black_box;
use std::time::{Duration, Instant};

use sessile::{Precondition, Record, SessionId, SessionStore, stores::MemoryStore};

use bench_report::record;

/// Few enough to stay in the processor's cache.
const HOT: usize = 64;
const LOADS: usize = 200_000;

/// Nanoseconds per load, at a number of sessions.
pub struct Point {
    pub sessions: u64,
    pub hot: f64,
    pub any: f64,
}

impl From<&Point> for [f64; 3] {
    fn from(point: &Point) -> Self {
        [point.sessions as f64, point.hot, point.any]
    }
}

impl From<&[f64]> for Point {
    fn from(point: &[f64]) -> Self {
        Self { sessions: point[0] as u64, hot: point[1], any: point[2] }
    }
}

/// Fills a store from 1,000 sessions to `most`, tenfold at a time.
pub async fn curve(most: u64) -> Vec<Point> {
    let store = MemoryStore::new();
    let mut points = Vec::new();
    let (mut filled, mut size) = (0, 1_000);
    while size <= most {
        for n in filled..size {
            let record = Record::parse(record::text(None)).expect("it is a record");
            let id = SessionId::new(record::id(n));
            store.save(&id, &record, Precondition::Absent).await.expect("memory does not fail");
        }
        let (hot, any) = (pick(size, HOT), pick(size, LOADS));
        points.push(Point {
            sessions: size,
            hot: fastest(&store, &hot).await,
            any: fastest(&store, &any).await,
        });
        (filled, size) = (size, size * 10);
    }
    points
}

fn pick(of: u64, how_many: usize) -> Vec<SessionId> {
    let step = 0x9e37_79b9_7f4a_7c15_u64;
    let picked = (1..=how_many as u64).map(|n| n.wrapping_mul(step) % of);
    picked.map(|n| SessionId::new(record::id(n))).collect()
}

async fn fastest(store: &MemoryStore, ids: &[SessionId]) -> f64 {
    let mut best = Duration::MAX;
    let rounds = 5;
    for _ in 0..rounds {
        let started = Instant::now();
        for id in ids.iter().cycle().take(LOADS) {
            let stored = store.load(id).await.expect("memory does not fail");
            black_box(stored.expect("it was saved"));
        }
        best = best.min(started.elapsed());
    }
    best.as_nanos() as f64 / LOADS as f64
}
