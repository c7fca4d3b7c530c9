//! SQLite: whether reading writes, and how many operations a second it does.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{fs, io};

use sessile::stores::SqliteStore;
use sessile::{Precondition, Record, SessionId, SessionStore, StoreError};

use crate::contender::{AxumApp, ours};
use crate::scenario::{READ, SCENARIOS};
use bench_report::record;

const REQUESTS: u64 = 1_000;
const PAGE: u64 = 4096;
const SESSIONS: u64 = 10_000;

/// Counts the pages that [`REQUESTS`] requests append to the database's log, when the
/// session is touched at most once a minute.
pub async fn pages_written_by_reading() -> io::Result<u64> {
    let (store, log) = open("reading").await?;
    let mut app = AxumApp(ours::router_over(store));
    let ask = SCENARIOS[READ].prepare(&mut app).await;
    app.answer(&ask).await;
    let before = fs::metadata(&log)?;
    for _ in 0..REQUESTS {
        app.answer(&ask).await;
    }
    let after = fs::metadata(&log)?;
    let grown = after.len().abs_diff(before.len()).div_ceil(PAGE);
    Ok(grown.max(u64::from(after.modified()? != before.modified()?)))
}

/// Measures loads, saves and touches per second, each for `millis`, by `callers` at once.
pub async fn rates(callers: u64, millis: u64) -> io::Result<[f64; 3]> {
    let (store, _) = open(&format!("rates-{callers}")).await?;
    let record = Record::parse(record::text(Some("2099-01-01T00:00:00.000Z"))).expect("it is one");
    for n in 0..SESSIONS {
        let saved = store.save(&id(n), &record, Precondition::Absent).await;
        saved.map_err(io::Error::other)?;
    }
    let time = Duration::from_millis(millis);
    let stored = store.load(&id(0)).await.map_err(io::Error::other)?.expect("it was saved");
    let load = per_second(callers, time, {
        let store = store.clone();
        move |n| {
            let store = store.clone();
            async move { store.load(&id(n)).await.map(|stored| drop(black_box(stored))) }
        }
    });
    let load = load.await?;
    let save = per_second(callers, time, {
        let (store, record) = (store.clone(), record.clone());
        move |n| {
            let (store, record) = (store.clone(), record.clone());
            async move { store.save(&id(n), &record, Precondition::Exists).await.map(drop) }
        }
    });
    let save = save.await?;
    let touch = per_second(callers, time, move |n| {
        let (store, record, version) = (store.clone(), record.clone(), stored.version.clone());
        async move { store.touch(&id(n), record.cookie(), Some(&version)).await.map(drop) }
    });
    Ok([load, save, touch.await?])
}

async fn per_second<F>(
    callers: u64,
    time: Duration,
    operation: impl Fn(u64) -> F + Clone + Send + 'static,
) -> io::Result<f64>
where
    F: Future<Output = Result<(), StoreError>> + Send,
{
    let started = Instant::now();
    let callers: Vec<_> = (0..callers)
        .map(|caller| {
            let operation = operation.clone();
            tokio::spawn(async move {
                let mut done = 0;
                while started.elapsed() < time {
                    operation((caller * 7919 + done * 31) % SESSIONS).await?;
                    done += 1;
                }
                Ok::<u64, StoreError>(done)
            })
        })
        .collect();
    let mut done = 0;
    for caller in callers {
        done += caller.await?.map_err(io::Error::other)?;
    }
    Ok(done as f64 / started.elapsed().as_secs_f64())
}

fn id(n: u64) -> SessionId {
    SessionId::new(record::id(n))
}

/// Opens a new database; tells where its log of changes is.
async fn open(name: &str) -> io::Result<(SqliteStore, PathBuf)> {
    let directory = super::scratch(name)?;
    let url = format!("sqlite://{}", directory.join("sessions.db").display());
    let store = SqliteStore::connect(&url).await.map_err(io::Error::other)?;
    Ok((store, directory.join("sessions.db-wal")))
}
