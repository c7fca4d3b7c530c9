//! What a session costs in memory: a process filled with them, by its resident pages.

use std::collections::HashMap;
use std::fs;

use sessile::{Precondition, Record, SessionId, SessionStore as _, stores::MemoryStore};
use tower_sessions::session::Id;
use tower_sessions::{MemoryStore as TheirStore, SessionStore as _};

use bench_report::record;

const EXPIRES: &str = "2099-01-01T00:00:00.000Z";

/// Returns the bytes per session in Sessile's store.
pub async fn ours(sessions: u64) -> f64 {
    let store = MemoryStore::new();
    let before = resident();
    for n in 0..sessions {
        let record = Record::parse(record::text(Some(EXPIRES))).expect("it is a record");
        let id = SessionId::new(record::id(n));
        store.save(&id, &record, Precondition::Absent).await.expect("memory does not fail");
    }
    per_session(before, sessions)
}

/// Returns the bytes per session in tower-sessions' store.
pub async fn theirs(sessions: u64) -> f64 {
    let store = TheirStore::default();
    let before = resident();
    for _ in 0..sessions {
        let values = record::values_beside_expiry().into_iter();
        let data: HashMap<_, _> = values.map(|(key, value)| (key.to_owned(), value)).collect();
        let expiry_date = time::OffsetDateTime::now_utc() + time::Duration::days(1);
        let mut record = tower_sessions::session::Record { id: Id::default(), data, expiry_date };
        store.create(&mut record).await.expect("memory does not fail");
    }
    per_session(before, sessions)
}

fn per_session(before: u64, sessions: u64) -> f64 {
    (resident().saturating_sub(before)) as f64 / sessions as f64
}

/// Returns the bytes of this process that are in memory.
fn resident() -> u64 {
    const PAGE: u64 = 4096;
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * PAGE
}
