//! A master dies, and a replica takes its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sessile::stores::RedisStore;
use sessile::{CookieOptions, SessionLayer};
use sessile_testkit::server::{self, Server};
use tokio::sync::Notify;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::timeout;

use crate::client::{Client, secrets};

const PATIENCE: Duration = Duration::from_secs(60);
const VISITORS: u64 = 60;
/// So many answers in all, and the master dies.
const ANSWERS_BEFORE: u64 = 1_000;

/// A browser in front of an application whose saves have a replica before they are answered.
async fn client(url: &str) -> Client {
    let store = RedisStore::builder(url).with_replicas(1).connect().await.unwrap();
    let cookie = CookieOptions::default().with_max_age(Duration::from_secs(3600));
    Client::of(SessionLayer::builder(store, secrets()).with_cookie(cookie).build().unwrap())
}

/// What all the visitors know together.
#[derive(Default)]
struct Crowd {
    answers: AtomicU64,
    enough: Notify,
    /// The master is gone, and another one has taken its place.
    replaced: AtomicBool,
}

/// One who counts, and takes note.
struct Visitor {
    client: Client,
    user: u64,
    counted: u64,
    refused: u64,
}

impl Visitor {
    /// Counts until it was answered by the new master.
    async fn count(&mut self, crowd: &Crowd) {
        loop {
            let replaced = crowd.replaced.load(Ordering::Relaxed);
            let reply = self.client.get("/count").await;
            if reply.status == 503 {
                self.refused += 1;
                tokio::task::yield_now().await;
                continue;
            }
            assert_eq!(reply.status, 200, "{reply:?}");
            let counted: u64 = reply.body.parse().unwrap();
            assert!(counted > self.counted, "{counted} after {}", self.counted);
            let unsure = counted - self.counted - 1;
            assert!(unsure <= self.refused, "{unsure} more than were asked for");
            (self.counted, self.refused) = (counted, self.refused - unsure);
            if crowd.answers.fetch_add(1, Ordering::Relaxed) == ANSWERS_BEFORE {
                crowd.enough.notify_one();
            }
            if replaced {
                return;
            }
        }
    }
}

/// Kills `master` under load, lets it come back as a replica, and tries that nothing that was
/// acknowledged is lost. `replaced` tells whether `standby` is a master.
async fn nothing_acknowledged_is_lost(url: &str, master: &Server, standby: &Server) {
    let first = client(url).await;
    let crowd = Arc::new(Crowd::default());
    let mut visitors = JoinSet::new();
    for user in 0..VISITORS {
        let client = first.with_a_copy_of_its_cookies();
        client.get(&format!("/login/{user}")).await.ok();
        let (crowd, mut visitor) =
            (Arc::clone(&crowd), Visitor { client, user, counted: 0, refused: 0 });
        visitors.spawn(async move {
            visitor.count(&crowd).await;
            visitor
        });
    }
    timeout(PATIENCE, crowd.enough.notified()).await.expect("the servers keep up");
    block_in_place(|| master.kill()).unwrap();
    timeout(PATIENCE, until_master(standby)).await.expect("the replica takes over");
    block_in_place(|| master.restart()).unwrap();
    crowd.replaced.store(true, Ordering::Relaxed);

    let visitors = timeout(PATIENCE, visitors.join_all()).await.expect("nobody hangs");
    for visitor in visitors {
        let user = visitor.client.get("/user").await.ok().body;
        assert_eq!(user, visitor.user.to_string(), "nobody becomes somebody else");
    }
}

async fn until_master(server: &Server) {
    while !matches!(role(server).await.as_deref(), Ok(b"master")) {
        tokio::task::yield_now().await;
    }
}

/// Asks over a new connection, as the Sentinels close those of a new master.
async fn role(server: &Server) -> redis::RedisResult<Vec<u8>> {
    let mut connection =
        redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
    let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
    redis::from_redis_value(role.into_iter().next().unwrap()).map_err(Into::into)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_cluster_acknowledged_survives_a_master() {
    let cluster = block_in_place(server::redis_cluster).unwrap();
    let nodes = cluster.nodes();
    nothing_acknowledged_is_lost(&cluster.url(), &nodes[0], &nodes[3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_watched_master_acknowledged_survives_it() {
    let servers = block_in_place(server::redis_sentinel).unwrap();
    nothing_acknowledged_is_lost(&servers.url(), servers.master(), servers.replica()).await;
}

/// Its connections stay open, and nobody says that they are of no use any more.
async fn a_master_that_hangs_is_left(url: &str, master: &Server, deadline: Duration) {
    let store = RedisStore::connect(url).await.unwrap();
    let layer = SessionLayer::builder(store, secrets()).with_store_timeout(deadline);
    let first = Client::of(layer.build().unwrap());
    let clients: Vec<Client> = (0..8).map(|_| first.with_a_copy_of_its_cookies()).collect();
    for (user, client) in clients.iter().enumerate() {
        client.get(&format!("/login/{user}")).await.ok();
    }
    master.pause().unwrap();
    for (user, client) in clients.iter().enumerate() {
        let asking = async {
            loop {
                let reply = client.get("/user").await;
                if reply.status == 200 {
                    return reply.body;
                }
                assert_eq!(reply.status, 503, "{reply:?}");
                tokio::task::yield_now().await;
            }
        };
        let user_found = timeout(PATIENCE, asking).await.expect("the other one is found");
        assert_eq!(user_found, user.to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hangs_is_left() {
    let cluster = block_in_place(server::redis_cluster).unwrap();
    let deadline = Duration::from_secs(5);
    a_master_that_hangs_is_left(&cluster.url(), &cluster.nodes()[0], deadline).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_master_that_hangs_is_left() {
    let servers = block_in_place(server::redis_sentinel).unwrap();
    a_master_that_hangs_is_left(&servers.url(), servers.master(), Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_master_that_hangs_is_left_by_the_impatient_too() {
    let servers = block_in_place(server::redis_sentinel).unwrap();
    let deadline = Duration::from_millis(300);
    a_master_that_hangs_is_left(&servers.url(), servers.master(), deadline).await;
}
