//! What many requests ask at once.

use super::*;

const SESSIONS: u64 = 100;

async fn filled(server: &Server) -> RedisStore {
    let store = RedisStore::connect(server.url()).await.unwrap();
    for n in 0..SESSIONS {
        store.save(&id(&n.to_string()), &record(n), Precondition::None).await.unwrap();
    }
    store
}

async fn load(store: RedisStore, n: u64) -> (u64, Option<Arc<str>>) {
    let stored = store.load(&id(&n.to_string())).await.unwrap();
    (n, stored.map(|stored| stored.text))
}

/// How often the server has read from a connection.
async fn reads(client: &redis::Client) -> u64 {
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let info: String = redis::cmd("INFO").arg("stats").query_async(&mut connection).await.unwrap();
    let reads = info.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
    reads.unwrap().parse().unwrap()
}

#[tokio::test]
async fn requests_at_once_leave_together_and_each_gets_its_own_answer() {
    let server = server::redis().unwrap();
    let store = filled(&server).await;
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut list = redis::cmd("RPUSH");
    list.arg("sess:100").arg("x").query_async::<()>(&mut connection).await.unwrap();

    let before = reads(&client).await;
    let mut loads = tokio::task::JoinSet::new();
    (0..=SESSIONS).for_each(|n| drop(loads.spawn(load(store.clone(), n))));
    while let Some(loaded) = loads.join_next().await {
        let (n, text) = loaded.unwrap();
        // The last is no session, and nobody else's trouble.
        let expected = (n < SESSIONS).then(|| Arc::clone(record(n).text()));
        assert_eq!(text, expected, "{n}");
    }
    let reads = reads(&client).await - before;
    assert!(reads < 20, "{SESSIONS} requests at once took {reads} reads");
}

#[tokio::test]
async fn whoever_gives_up_takes_nobody_along() {
    let server = server::redis().unwrap();
    let store = filled(&server).await;
    server.pause().unwrap();
    let loads: Vec<_> = (0..4).map(|n| tokio::spawn(load(store.clone(), n))).collect();
    tokio::task::yield_now().await;
    // The first has written, the second has begun what leaves next: both give up.
    loads[0].abort();
    loads[1].abort();
    tokio::task::yield_now().await;
    assert!(loads[0].is_finished() && loads[1].is_finished());
    server.resume().unwrap();
    for (n, loading) in (0..).zip(loads).skip(2) {
        assert_eq!(loading.await.unwrap(), (n, Some(Arc::clone(record(n).text()))));
    }
}
