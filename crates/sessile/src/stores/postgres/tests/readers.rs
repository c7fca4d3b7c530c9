//! Requests that read at the same time, over fewer connections than they are.

use std::sync::Arc;

use deadpool_postgres::{Manager, Pool};
use futures_util::future::join_all;
use sessile_core::Stored;

use super::*;

/// A table with the session `a`, and a store that has a pool of at most so many connections.
async fn pooled(most: usize) -> (Fixture, PostgresStore, Pool) {
    let fixture = Fixture::new(PostgresLayout::ConnectPgSimple).await;
    fixture.create("a", &record(NOW + DAY, r#""n":1"#)).await;
    let manager = Manager::new(fixture.url.parse().unwrap(), NoTls);
    let pool = Pool::builder(manager).max_size(most).build().unwrap();
    let store = PostgresStore::from_pool(pool.clone())
        .with_table(&fixture.table)
        .with_clock(Arc::new(fixture.clock.clone()))
        .connect()
        .await
        .unwrap();
    assert!(store.load(&id("a")).await.unwrap().is_some());
    (fixture, store, pool)
}

fn in_use(pool: &Pool) -> usize {
    pool.status().size - pool.status().available
}

/// Begins a load that the table's lock keeps from ending.
fn begin<'s>(store: &'s PostgresStore, id: &'s SessionId) -> Load<'s> {
    let mut load: Load<'s> = Box::pin(store.load(id));
    assert!(poll_once(load.as_mut()).is_pending());
    load
}

type Load<'s> = std::pin::Pin<Box<dyn Future<Output = Result<Option<Stored>, StoreError>> + 's>>;

#[tokio::test]
async fn parallel_reads_share_a_connection() {
    let (fixture, store, pool) = pooled(2).await;
    let a = id("a");
    fixture.execute("BEGIN; LOCK TABLE @").await;
    let mut loads: Vec<_> = (0..8).map(|_| begin(&store, &a)).collect();
    assert_eq!(in_use(&pool), 1);
    let ninth = begin(&store, &a); // has to open one of its own
    loads.push(ninth);
    fixture.execute("COMMIT").await;
    for loaded in join_all(loads).await {
        assert!(loaded.unwrap().unwrap().text.contains(r#""n":1"#));
    }
    assert_eq!((in_use(&pool), pool.status().size), (0, 2));
}

#[tokio::test]
async fn nobody_joins_a_connection_that_somebody_left_without_an_answer() {
    let (fixture, store, pool) = pooled(2).await;
    let a = id("a");
    fixture.execute("BEGIN; LOCK TABLE @").await;
    let (left, stays) = (begin(&store, &a), begin(&store, &a));
    drop(left);
    let late = begin(&store, &a);
    fixture.execute("COMMIT").await;
    assert!(stays.await.unwrap().is_some() && late.await.unwrap().is_some());
    assert_eq!((in_use(&pool), pool.status().size), (0, 1), "the first one was closed");
}

#[tokio::test]
async fn readers_that_never_cease_let_a_writer_in() {
    let (_fixture, store, _pool) = pooled(1).await;
    let a = id("a");
    let mut reading = begin(&store, &a);
    let (writer, b) = (store.clone(), id("b"));
    let save = tokio::spawn(async move {
        writer.save(&b, &record(NOW + DAY, r#""n":2"#), Precondition::Absent).await
    });
    for _ in 0..10_000 {
        let next = begin(&store, &a);
        assert!(std::mem::replace(&mut reading, next).await.unwrap().is_some());
        if save.is_finished() {
            break;
        }
    }
    assert!(save.is_finished());
    version(save.await.unwrap().unwrap());
    assert!(reading.await.unwrap().is_some());
}
