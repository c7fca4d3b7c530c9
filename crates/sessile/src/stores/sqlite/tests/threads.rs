//! The threads behind the store, and what happens on them.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_increments_over_two_stores_are_all_kept() {
    for fixture in Fixture::both().await {
        fixture.create("a", &record(NOW + DAY, 0)).await;
        let stores = [fixture.store.clone(), fixture.another_store().await];
        let increments: Vec<_> = (0..100)
            .map(|n: usize| {
                let store = stores[n % 2].clone();
                tokio::spawn(async move {
                    loop {
                        let stored = store.load(&id("a")).await.unwrap().unwrap();
                        let value: Value = serde_json::from_str(&stored.text).unwrap();
                        let next = record(NOW + DAY, value["n"].as_u64().unwrap() + 1);
                        let when = Precondition::Unchanged(&stored.version);
                        match store.save(&id("a"), &next, when).await.unwrap() {
                            Saved::Saved(_) => break,
                            Saved::Conflict => {}
                            Saved::Gone => panic!("gone"),
                        }
                    }
                })
            })
            .collect();
        for increment in increments {
            increment.await.unwrap();
        }
        assert_eq!(*text(&fixture.store, "a").await.unwrap(), **record(NOW + DAY, 100).text());
    }
}

#[tokio::test]
async fn a_writer_never_blocks_readers() {
    let fixture = Fixture::new(SqliteLayout::default()).await;
    let record = record(NOW + DAY, 1);
    fixture.create("a", &record).await;
    let other = fixture.raw();
    other.execute_batch("BEGIN IMMEDIATE; UPDATE sessions SET sess = '{}'").unwrap();
    assert_eq!(*text(&fixture.store, "a").await.unwrap(), **record.text());

    // A save waits for it instead, and is not there before it is acknowledged.
    let store = fixture.store.clone();
    let save = tokio::spawn(async move {
        store.save(&id("b"), &self::record(NOW + DAY, 2), Precondition::Absent).await
    });
    for _ in 0..100 {
        assert_eq!(text(&fixture.store, "b").await, None);
        assert!(!save.is_finished());
    }
    other.execute_batch("COMMIT").unwrap();
    version(save.await.unwrap().unwrap());
    assert_eq!(text(&fixture.store, "a").await.unwrap(), "{}");
}

#[tokio::test]
async fn a_panic_is_an_error_of_that_operation_only() {
    let fixture = Fixture::new(SqliteLayout::default()).await;
    let (store, record) = (&fixture.store, record(NOW + DAY, 1));
    fixture.create("a", &record).await;
    fixture.clock.broken.store(true, Ordering::SeqCst);
    for _ in 0..10 {
        assert!(store.load(&id("a")).await.is_err());
        assert!(store.save(&id("a"), &record, Precondition::None).await.is_err());
    }
    fixture.clock.broken.store(false, Ordering::SeqCst);
    assert!(text(store, "a").await.is_some());
    version(store.save(&id("a"), &record, Precondition::Exists).await.unwrap());
}

#[tokio::test]
async fn a_full_disk_fails_saves_and_heals() {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch("PRAGMA max_page_count = 64").unwrap();
    let store = SqliteStore::from_connection(connection).connect().await.unwrap();
    let large = format!(r#"{{"cookie":{{}},"x":"{}"}}"#, "x".repeat(1 << 19));
    let (large, small) = (Record::parse(large).unwrap(), record(NOW + DAY, 1));
    let (large_id, small_id) = (id("large"), id("small"));
    let (large, together) = tokio::join!(
        store.save(&large_id, &large, Precondition::Absent),
        store.save(&small_id, &small, Precondition::Absent),
    );
    assert_eq!(large.unwrap_err().kind(), StoreErrorKind::Failed);
    let alone = store.save(&small_id, &small, Precondition::None).await;
    version(alone.unwrap());
    assert!(matches!(together, Err(_) | Ok(Saved::Saved(_))));
    assert_eq!(store.length().await.unwrap(), 1);
}

fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_caller_that_goes_away_wedges_nothing() {
    let fixture = Fixture::new(SqliteLayout::default()).await;
    let (store, record) = (&fixture.store, record(NOW + DAY, 1));
    fixture.create("kept", &record).await;
    for n in 0..100 {
        let sid = id(&format!("abandoned {n}"));
        let _ = poll_once(store.save(&sid, &record, Precondition::Absent));
        let _ = poll_once(store.load(&sid));
    }
    let _ = poll_once(store.destroy(&id("kept")));
    // The queue is in order: what was asked before is done before.
    fixture.create("last", &record).await;
    assert_eq!(text(store, "kept").await, None, "a logout does not wait for the client");
    assert_eq!(store.length().await.unwrap(), 101);
}

#[tokio::test]
async fn dropping_the_store_finishes_its_work_and_ends_its_threads() {
    let fixture = Fixture::new(SqliteLayout::default()).await;
    let (ended, end) = mpsc::channel();
    *fixture.clock.ended.lock().unwrap() = Some(ended);
    for n in 0..50 {
        let record = record(NOW + DAY, n);
        let _ = poll_once(fixture.store.save(&id(&n.to_string()), &record, Precondition::Absent));
    }
    let folder = fixture.folder;
    drop((fixture.store, fixture.clock));
    // Each thread holds the clock: it is gone when the last of them is.
    tokio::task::spawn_blocking(move || end.recv()).await.unwrap().unwrap();

    let raw = Connection::open(path(&folder)).unwrap();
    let count = "SELECT count(*) FROM sessions WHERE expired > ?1";
    assert_eq!(raw.query_row(count, params![NOW], |row| row.get::<_, i64>(0)).unwrap(), 50);
}

#[tokio::test]
async fn a_closed_store_leaves_one_file_with_all_that_was_asked_of_it() {
    let fixture = Fixture::new(SqliteLayout::default()).await;
    let saves: Vec<_> = (0..100)
        .map(|n| {
            let store = fixture.store.clone();
            let save = async move {
                store.save(&id(&format!("{n}")), &record(NOW + DAY, n), Precondition::Absent).await
            };
            tokio::spawn(save)
        })
        .collect();
    tokio::task::yield_now().await;
    fixture.store.close().await;
    let mut acknowledged = 0;
    for save in saves {
        acknowledged += u64::from(save.await.unwrap().is_ok());
    }

    let error = fixture.store.load(&id("1")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let error = fixture.store.purge_expired().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(!path(&fixture.folder).with_extension("db-wal").exists());
    assert_eq!(fixture.another_store().await.length().await.unwrap(), acknowledged);
    assert!(acknowledged > 0);
}
