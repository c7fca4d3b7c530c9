//! New ids on other nodes of a Cluster.

use sessile_testkit::server::RedisCluster;
use tokio::time::timeout;

use super::*;

static CLUSTER: LazyLock<RedisCluster> =
    LazyLock::new(|| server::redis_cluster().expect("redis starts"));
const PATIENCE: Duration = Duration::from_secs(30);

async fn cluster(prefix: &str) -> RedisStore {
    RedisStore::builder(&CLUSTER.url()).with_prefix(prefix).connect().await.unwrap()
}

async fn lives(store: &RedisStore, id: &SessionId) -> bool {
    store.load(id).await.unwrap().is_some()
}

async fn get(store: &RedisStore, id: &SessionId) -> Value {
    let mut get = redis::cmd("GET");
    get.arg(store.inner.key(id));
    store.inner.change(&store.inner.key(id), get).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_is_given_up_leaves_one_of_the_two() {
    let store = cluster("given-up:").await;
    let (mut moved, mut stayed) = (0, 0);
    for n in 0..120_u32 {
        let (from, to) = (id(&format!("{n}-from")), id(&format!("{n}-to")));
        let saved = store.save(&from, &record(1), Precondition::Absent).await.unwrap();
        let version = version(saved);
        let renamed = record(2);
        let rotation = store.rotate(&from, &to, &renamed, &version);
        // Given up at another moment each time, the first ones before they begin.
        let _ = timeout(Duration::from_micros(u64::from(n / 2) * 20), rotation).await;
        let settled = async {
            loop {
                let new = lives(&store, &to).await;
                let old = lives(&store, &from).await;
                assert!(!(new && old), "both live");
                if new {
                    return true;
                }
                // Not begun, or not far: then nothing is reserved either.
                if old && get(&store, &to).await == Value::Nil {
                    return lives(&store, &to).await;
                }
                tokio::task::yield_now().await;
            }
        };
        match timeout(PATIENCE, settled).await.expect("one of them lives in the end") {
            true => moved += 1,
            false => stayed += 1,
        }
    }
    assert_eq!(moved + stayed, 120);
    assert!(moved > 0, "some of them got as far as that");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_fails_leaves_no_reservation() {
    let store = cluster("fails:").await;
    let (from, to) = (id("from"), id("to"));
    let loaded = version(store.save(&from, &record(1), Precondition::Absent).await.unwrap());
    store.save(&from, &record(2), Precondition::Exists).await.unwrap();
    assert_eq!(store.rotate(&from, &to, &record(3), &loaded).await.unwrap(), Saved::Conflict);
    assert_eq!(get(&store, &to).await, Value::Nil);
    assert!(store.destroy(&from).await.unwrap());
    assert_eq!(store.rotate(&from, &to, &record(3), &loaded).await.unwrap(), Saved::Gone);
    assert_eq!(get(&store, &to).await, Value::Nil);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reservation_is_no_session() {
    let store = cluster("reserved:").await;
    let a = id("a");
    let key = store.inner.key(&a);
    let reserve = commands::reserve(&key, &commands::reservation(u64::MAX));
    store.inner.change(&key, reserve).await.unwrap();
    assert!(!lives(&store, &a).await);
    let conflict = store.save(&a, &record(1), Precondition::Absent).await.unwrap();
    assert_eq!(conflict, Saved::Conflict, "nobody takes it meanwhile");
    assert!(store.all(None, 10).await.unwrap().sessions.is_empty());
}
