//! A slot moves from one master of a Cluster to another, while its sessions are in use.

use sessile::stores::RedisStore;
use sessile::{Precondition, Record, Saved, SessionId, SessionStore, Version};
use sessile_testkit::server;

use super::Admin;

fn record(n: u64) -> Record {
    Record::parse(format!(r#"{{"cookie":{{"expires":null}},"n":{n}}}"#)).unwrap()
}

fn version(saved: Saved) -> Version {
    let Saved::Saved(version) = saved else { panic!("{saved:?}") };
    version
}

/// Saves the session once more, as a request does that has loaded it.
async fn save(store: &RedisStore, id: &SessionId, n: u64) {
    let stored = store.load(id).await.unwrap().expect("it lives");
    let when = Precondition::Unchanged(&stored.version);
    version(store.save(id, &record(n), when).await.unwrap());
    let stored = store.load(id).await.unwrap().expect("it lives");
    assert!(store.touch(id, record(n).cookie(), Some(&stored.version)).await.unwrap());
    assert_eq!(stored.text, *record(n).text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_follows_its_slot() {
    let cluster = tokio::task::block_in_place(server::redis_cluster).unwrap();
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    // The last of the three masters has this one's slot, and the first will.
    let (slot, id) = ("16351", SessionId::new("a"));
    let [to, from] = [&cluster.nodes()[0], &cluster.nodes()[2]];
    let [new, old] = [Admin::of(to.url()).await, Admin::of(from.url()).await];
    let [new_name, old_name]: [String; 2] =
        [new.ask(&["CLUSTER", "MYID"]).await, old.ask(&["CLUSTER", "MYID"]).await];
    version(store.save(&id, &record(0), Precondition::Absent).await.unwrap());
    save(&store, &id, 1).await;

    // It is about to move: whoever has left is asked for at the new master, which has never
    // seen a script.
    let _: () = new.ask(&["CLUSTER", "SETSLOT", slot, "IMPORTING", &old_name]).await;
    let _: () = old.ask(&["CLUSTER", "SETSLOT", slot, "MIGRATING", &new_name]).await;
    save(&store, &id, 2).await;
    let (host, port) = (to.address().ip().to_string(), to.address().port().to_string());
    let _: () = old.ask(&["MIGRATE", &host, &port, "sess:a", "0", "5000"]).await;
    save(&store, &id, 3).await;

    // It has moved.
    for master in [&new, &old] {
        let _: () = master.ask(&["CLUSTER", "SETSLOT", slot, "NODE", &new_name]).await;
    }
    save(&store, &id, 4).await;
    let left: u64 = old.ask(&["CLUSTER", "COUNTKEYSINSLOT", slot]).await;
    let there: u64 = new.ask(&["CLUSTER", "COUNTKEYSINSLOT", slot]).await;
    assert_eq!((left, there), (0, 1));
}
