//! The server hangs, dies, comes back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sessile::stores::connect;
use sessile::{CookieOptions, SessionLayer, StoreErrorKind};
use sessile_testkit::server::Server;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::client::{Client, secrets};

/// How to start the server of a store, and what it promises.
#[derive(Clone, Copy)]
pub(crate) struct Backend {
    pub(crate) start: fn() -> io::Result<Server>,
    /// What it acknowledged survives `kill -9`.
    pub(crate) durable: bool,
}

/// Makes a test of each scenario for `backend`.
macro_rules! outages {
    ($backend:expr) => {
        $crate::outage::outages! { $backend,
            a_hung_server_is_met_by_the_deadline
            answers_that_come_late_reach_nobody_else
            a_dead_server_is_503_and_needs_no_restart_of_ours
            what_kill_9_under_200_clients_had_acknowledged_is_there
            a_server_that_is_down_at_the_start_is_said_to_be
        }
    };
    ($backend:expr, $($scenario:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                $crate::outage::$scenario($backend).await;
            }
        )*
    };
}
pub(crate) use outages;

/// The longest that the layer waits for the store here.
const DEADLINE: Duration = Duration::from_secs(1);
/// A scenario that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);
const CLIENTS: u64 = 200;
/// So many answers in all, and the server dies.
const ACKNOWLEDGED_BEFORE: u64 = 2_000;

async fn start(backend: Backend) -> Server {
    tokio::task::spawn_blocking(backend.start).await.unwrap().expect("the server starts")
}

/// A browser in front of an application whose store is on `server`.
async fn client(server: &Server) -> Client {
    let store = connect(server.url()).await.expect("the server answers");
    let cookie = CookieOptions::default().with_max_age(Duration::from_secs(3600));
    let layer = SessionLayer::builder(store, secrets()).with_cookie(cookie);
    Client::of(layer.with_store_timeout(DEADLINE).build().unwrap())
}

/// Asks until the store is back.
async fn ask_until_answered(client: &Client, path: &str) -> String {
    let asking = async {
        loop {
            let reply = client.get(path).await;
            if reply.status == 200 {
                return reply.body;
            }
            assert_eq!(reply.status, 503, "{reply:?}");
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, asking).await.expect("the store comes back by itself")
}

pub(crate) async fn a_hung_server_is_met_by_the_deadline(backend: Backend) {
    let server = start(backend).await;
    let client = client(&server).await;
    client.get("/login/7").await.ok();

    server.pause().unwrap();
    for path in ["/user", "/count", "/destroy"] {
        let reply = timeout(PATIENCE, client.get(path)).await.expect("the deadline holds");
        assert_eq!(reply.status, 503, "{path}");
        assert_eq!(reply.session_cookie(), None, "{path}");
    }
    server.resume().unwrap();
    // What was under way when it stopped may have been done, the logout too.
    let user = ask_until_answered(&client, "/user").await;
    assert!(["7", "nobody"].contains(&user.as_str()), "{user}");
}

/// A connection whose request was given up still has an answer coming.
pub(crate) async fn answers_that_come_late_reach_nobody_else(backend: Backend) {
    let server = start(backend).await;
    let first = client(&server).await;
    let clients: Vec<Client> = (0..20).map(|_| first.with_a_copy_of_its_cookies()).collect();
    for (user, client) in clients.iter().enumerate() {
        client.get(&format!("/login/{user}")).await.ok();
    }

    server.pause().unwrap();
    let mut waiting: JoinSet<_> = clients.iter().map(|client| client.get("/user")).collect();
    while let Some(reply) = waiting.join_next().await {
        assert_eq!(reply.unwrap().status, 503);
    }
    server.resume().unwrap();

    for (user, client) in clients.iter().enumerate() {
        assert_eq!(ask_until_answered(client, "/user").await, user.to_string());
    }
}

pub(crate) async fn a_dead_server_is_503_and_needs_no_restart_of_ours(backend: Backend) {
    let server = start(backend).await;
    let client = client(&server).await;
    client.get("/login/7").await.ok();
    let cookie = client.cookie("connect.sid");

    server.kill().unwrap();
    for path in ["/user", "/count", "/login/8"] {
        let reply = timeout(PATIENCE, client.get(path)).await.expect("the deadline holds");
        assert_eq!(reply.status, 503, "{path}");
        assert!(reply.header("retry-after").is_some(), "{path}");
        assert_eq!(reply.session_cookie(), None, "{path}");
    }
    assert_eq!(client.cookie("connect.sid"), cookie, "nobody was logged out by the outage");

    server.restart().unwrap();
    let user = ask_until_answered(&client, "/user").await;
    assert_eq!(user, if backend.durable { "7" } else { "nobody" });
    client.get("/login/9").await.ok();
    assert_eq!(client.get("/user").await.ok().body, "9");
}

pub(crate) async fn what_kill_9_under_200_clients_had_acknowledged_is_there(backend: Backend) {
    let server = start(backend).await;
    let first = client(&server).await;
    let enough = Arc::new(Enough::default());

    let mut visitors = JoinSet::new();
    for user in 0..CLIENTS {
        let (client, enough) = (first.with_a_copy_of_its_cookies(), Arc::clone(&enough));
        visitors.spawn(async move { count_until_it_fails(client, user, &enough).await });
    }
    timeout(PATIENCE, enough.reached.notified()).await.expect("the server keeps up");
    server.kill().unwrap();
    let visitors = timeout(PATIENCE, visitors.join_all()).await.expect("nobody hangs");
    server.restart().unwrap();

    ask_until_answered(&first, "/user").await;
    for Visitor { client, user, counted } in visitors {
        let Some(counted) = counted else { continue };
        let (found, next) = (
            ask_until_answered(&client, "/user").await,
            ask_until_answered(&client, "/count").await,
        );
        if !backend.durable && found == "nobody" {
            continue;
        }
        assert_eq!(found, user.to_string(), "nobody becomes somebody else");
        // The last one may have been counted and its answer lost.
        let next: u64 = next.parse().unwrap();
        assert!([counted + 1, counted + 2].contains(&next), "{next} after {counted} answers");
    }
}

struct Visitor {
    client: Client,
    user: u64,
    /// The last count it was told; `None` if it never got in.
    counted: Option<u64>,
}

/// Tells when the server has answered enough to die.
#[derive(Default)]
struct Enough {
    answers: AtomicU64,
    reached: Notify,
}

impl Enough {
    fn another(&self) {
        if self.answers.fetch_add(1, Ordering::Relaxed) == ACKNOWLEDGED_BEFORE {
            self.reached.notify_one();
        }
    }
}

async fn count_until_it_fails(client: Client, user: u64, enough: &Enough) -> Visitor {
    if client.get(&format!("/login/{user}")).await.status != 200 {
        return Visitor { client, user, counted: None };
    }
    let mut counted = 0;
    loop {
        let reply = client.get("/count").await;
        if reply.status != 200 {
            return Visitor { client, user, counted: Some(counted) };
        }
        counted = reply.body.parse().unwrap();
        enough.another();
    }
}

/// Connecting tells, rather than the first visitor.
pub(crate) async fn a_server_that_is_down_at_the_start_is_said_to_be(backend: Backend) {
    let server = start(backend).await;
    server.kill().unwrap();
    let connecting = timeout(PATIENCE, connect(server.url()));
    let error = connecting.await.expect("it does not wait for ever").unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    assert!(std::error::Error::source(&error).is_some(), "{error}");
}
