//! The store fails, before, during and after: an outage erases nothing.

use sessile::{CookieOptions, OnStoreError, SessionStore};
use sessile_testkit::{Fault, FaultyStore, Op};
use std::time::Duration;

use crate::client::Client;
use crate::stage::Stage;
use crate::watch::Watch;

over_every_store! {
    unavailable_is_503_and_writes_nothing,
    anonymous_is_read_only_and_writes_nothing,
    an_outage_between_load_and_save_keeps_what_was,
    a_store_that_is_down_at_first_needs_no_restart,
}

/// Every route of the application that names its session.
const ROUTES: [&str; 15] = [
    "/all",
    "/clear",
    "/count",
    "/cycle",
    "/cycle/8",
    "/destroy",
    "/login/8",
    "/max-age/1",
    "/read",
    "/remove/user",
    "/reload",
    "/set/user/8",
    "/touch",
    "/unset",
    "/user",
];

const WRITES: [Op; 4] = [Op::Save, Op::Touch, Op::Destroy, Op::Rotate];

fn writes<S: SessionStore>(faults: &FaultyStore<S>) -> u64 {
    WRITES.iter().map(|op| faults.calls(*op)).sum()
}

async fn unavailable_is_503_and_writes_nothing(stage: Stage) {
    let watch = Watch::new();
    let (stage, faults) = stage.faulty();
    let cookie = CookieOptions::default().with_max_age(Duration::from_secs(3600));
    let client = Client::of(stage.layer().with_cookie(cookie).build().unwrap());
    client.get("/login/7").await.ok();
    let before = (writes(&faults), client.cookie("connect.sid"));
    for path in ROUTES {
        faults.fail(Op::Load);
        let reply = client.get(path).await;
        assert_eq!(reply.status, 503, "{path}");
        assert!(reply.header("retry-after").is_some(), "{path}");
        assert_eq!(reply.session_cookie(), None, "{path}");
        faults.recover();
        assert_eq!(client.get("/user").await.ok().body, "7", "{path}");
    }
    assert_eq!(client.cookie("connect.sid"), before.1);
    let reads = ROUTES.len() as u64; // each of them touches, when the store is back
    assert_eq!(writes(&faults), before.0 + reads);
    assert!(watch.events("ERROR", "the session store failed") >= ROUTES.len());
    watch.counted("sessile_store_errors", reads);
}

async fn anonymous_is_read_only_and_writes_nothing(stage: Stage) {
    let (stage, faults) = stage.faulty();
    let layer = stage.layer().with_on_store_error(OnStoreError::Anonymous);
    let client =
        Client::of(layer.with_rolling(true).with_save_uninitialized(true).build().unwrap());
    client.get("/login/7").await.ok();
    let (before, cookie) = (writes(&faults), client.cookie("connect.sid"));
    faults.fail(Op::Load);
    for path in ROUTES {
        let reply = client.get(path).await;
        let reads = ["/all", "/read", "/user"].contains(&path);
        assert_eq!(reply.status, if reads { 200 } else { 503 }, "{path}: {}", reply.body);
        assert_eq!(reply.session_cookie(), None, "{path}");
    }
    assert_eq!(client.get("/user").await.ok().body, "nobody");
    assert_eq!(client.get("/all").await.json(), serde_json::json!({}));
    client.get("/asset/1").await.ok();
    assert_eq!(writes(&faults), before, "nothing was minted, moved or erased");
    assert_eq!(client.cookie("connect.sid"), cookie);
    faults.recover();
    assert_eq!(client.get("/user").await.ok().body, "7");
    client.get("/set/a/1").await.ok();
    assert_eq!(stage.records().await.len(), 1);
}

async fn an_outage_between_load_and_save_keeps_what_was(stage: Stage) {
    let (stage, faults) = stage.faulty();
    for policy in [OnStoreError::Unavailable, OnStoreError::Anonymous] {
        let client = Client::of(stage.layer().with_on_store_error(policy).build().unwrap());
        client.get("/set/a/1").await.ok();
        for (path, op) in
            [("/set/a/2", Op::Save), ("/cycle", Op::Rotate), ("/destroy", Op::Destroy)]
        {
            for fault in [Fault::Fail, Fault::Hang] {
                let (pause, request) = client.get_paused(path);
                let request = tokio::spawn(request);
                if op == Op::Destroy {
                    faults.inject(op, Fault::Fail);
                } else if fault == Fault::Fail {
                    faults.inject(op, fault);
                } else {
                    continue;
                }
                pause.reached().await;
                pause.go();
                let reply = request.await.unwrap();
                assert_eq!(reply.status, 503, "{path}");
                assert_eq!(reply.session_cookie(), None, "{path}");
                faults.recover();
                assert_eq!(client.get("/all").await.json(), serde_json::json!({ "a": "1" }));
            }
        }
    }
}

async fn a_store_that_is_down_at_first_needs_no_restart(stage: Stage) {
    let (stage, faults) = stage.faulty();
    for op in [Op::Load, Op::Save, Op::Touch, Op::Destroy, Op::Rotate] {
        faults.fail(op);
    }
    let client = stage.client();
    client.get("/asset/1").await.ok();
    client.get("/read").await.ok();
    assert_eq!(client.get("/set/a/1").await.status, 503);
    assert_eq!(stage.records().await.len(), 0);
    faults.recover();
    client.get("/set/a/1").await.ok();
    assert_eq!(client.get("/all").await.json()["a"], "1");
}

#[tokio::test]
async fn a_route_that_never_names_its_session_outlives_the_store() {
    let (stage, faults) = Stage::memory().faulty();
    for policy in [OnStoreError::Unavailable, OnStoreError::Anonymous] {
        let layer = stage.layer().with_on_store_error(policy).with_rolling(true);
        let client = Client::of(layer.build().unwrap());
        client.get("/login/7").await.ok();
        let writes_before = writes(&faults);
        faults.fail(Op::Load);
        let reply = client.get("/asset/1").await.ok();
        assert_eq!(reply.session_cookie(), None);
        assert_eq!(writes(&faults), writes_before);
        faults.recover();
        assert_eq!(client.get("/user").await.ok().body, "7");
    }
}

#[tokio::test]
async fn a_route_that_never_names_its_session_outlives_a_failing_touch() {
    let (stage, faults) = Stage::memory().faulty();
    let cookie = CookieOptions::default().with_max_age(Duration::from_secs(3600));
    for fault in [Fault::Fail, Fault::LoseAnswer] {
        let client = Client::of(stage.layer().with_cookie(cookie.clone()).build().unwrap());
        client.get("/login/7").await.ok();
        faults.inject(Op::Touch, fault);
        assert_eq!(client.get("/asset/1").await.ok().body, "an asset");
        faults.recover();
        assert_eq!(client.get("/user").await.ok().body, "7");
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_that_never_names_its_session_waits_less_than_others() {
    let (stage, faults) = Stage::memory().faulty();
    let client = stage.client();
    client.get("/login/7").await.ok();
    for op in [Op::Load, Op::Touch] {
        faults.hang(op);
        let start = tokio::time::Instant::now();
        client.get("/asset/1").await.ok();
        assert!(start.elapsed() < Duration::from_secs(1), "{op:?}");
        faults.recover();
    }
}

#[tokio::test]
async fn a_session_that_stands_in_says_so() {
    use axum::{Router, routing::get};
    use sessile::{ErrorKind, Session};

    let (stage, faults) = Stage::memory().faulty();
    let handler = async |session: Session| {
        assert!(session.is_read_only() && session.is_new() && !session.is_destroyed());
        for error in [
            session.insert("a", 1).unwrap_err(),
            session.remove("a").map(drop).unwrap_err(),
            session.clear().unwrap_err(),
            session.update("a", |n: Option<u8>| n.unwrap_or(0)).map(drop).unwrap_err(),
            session.unset().unwrap_err(),
            session.cycle_id().await.unwrap_err(),
            session.regenerate().await.unwrap_err(),
            session.save().await.unwrap_err(),
            session.touch().await.unwrap_err(),
            session.id().map(drop).unwrap_err(),
            session.cookie().set_max_age(None).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
        }
        assert_eq!(session.destroy().await.unwrap_err().kind(), ErrorKind::Unavailable);
    };
    let app = Router::new().route("/stand-in", get(handler)).merge(crate::client::app());
    let layer = stage.layer().with_on_store_error(OnStoreError::Anonymous).build().unwrap();
    let client = Client::new(app.layer(layer));
    client.get("/login/7").await.ok();
    faults.fail(Op::Load);
    client.get("/stand-in").await.ok();
}

#[tokio::test]
async fn a_newcomer_during_an_outage_gets_no_cookie() {
    let (stage, faults) = Stage::memory().faulty();
    for policy in [OnStoreError::Unavailable, OnStoreError::Anonymous] {
        for op in WRITES {
            faults.fail(op);
        }
        let client = Client::of(stage.layer().with_on_store_error(policy).build().unwrap());
        let reply = client.get("/login/7").await;
        assert_eq!((reply.status.as_u16(), reply.session_cookie()), (503, None));
        faults.recover();
        assert!(stage.records().await.is_empty());
    }
}
