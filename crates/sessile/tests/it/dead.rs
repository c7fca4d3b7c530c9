//! The dead stay dead: no late request brings a session back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::{Router, routing::get};
use http::StatusCode;
use sessile::{Concurrency, CookieOptions, Session, SessionStore};
use sessile_testkit::{CountingIds, Fault, Op};

use crate::client::{Client, app, pausable};
use crate::stage::Stage;
use crate::watch::Watch;

over_every_store! {
    a_late_request_never_brings_a_session_back,
    last_write_wins_brings_nobody_back_either,
    a_late_regenerate_begins_a_session_of_its_own,
    while_destroy_fails_no_new_session_begins,
    an_id_is_cycled_though_the_handler_fails,
    a_cycle_whose_commit_fails_keeps_the_old_id,
    a_cycle_whose_answer_is_lost_leaves_exactly_one_id,
    a_cycle_whose_answer_is_lost_is_told_to_the_client,
    a_cycle_that_fails_is_not_taken_for_one_whose_answer_is_lost,
    of_two_ids_exactly_one_lives_at_every_moment,
    of_two_parallel_cycles_one_wins,
    what_others_saved_moves_along_with_the_id,
    destroying_twice_is_once,
}

const HOUR: Duration = Duration::from_secs(3600);

/// A client that is logged in as user 7, in a layer where every request touches.
async fn logged_in(stage: &Stage, mode: Concurrency) -> Client {
    let cookie = CookieOptions::default().with_max_age(HOUR);
    let layer = stage.layer().with_cookie(cookie).with_concurrency(mode).build().unwrap();
    let client = Client::of(layer);
    client.get("/login/7").await.ok();
    client
}

/// What ends a session while another request of it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Cycle,
    Destroy,
    Expire,
    Regenerate,
    Revoke,
}

impl End {
    const ALL: [Self; 5] =
        [Self::Cycle, Self::Destroy, Self::Expire, Self::Regenerate, Self::Revoke];

    async fn happens(self, stage: &Stage, client: &Client) {
        match self {
            Self::Cycle => drop(client.get("/cycle").await.ok()),
            Self::Destroy => drop(client.get("/destroy").await.ok()),
            Self::Expire => stage.clock.advance(HOUR),
            Self::Regenerate => drop(client.get("/login/9").await.ok()),
            Self::Revoke => {
                for id in stage.store.find_by_user("user", &"7".into()).await.unwrap() {
                    assert!(stage.store.destroy(&id).await.unwrap());
                }
            }
        }
    }
}

const LATE: [(&str, &str); 10] = [
    ("/clear", "cleared"),
    ("/count", "1"),
    ("/cycle", "cycled"),
    ("/cycle/8", "cycled"),
    ("/max-age/9999999", "remembered"),
    ("/read", "read"),
    ("/remove/user", "true"),
    ("/set/user/8", "set"),
    ("/touch", "touched"),
    ("/user", "7"),
];

async fn late_requests_find_it_gone(stage: &Stage, mode: Concurrency) {
    for end in End::ALL {
        for (path, body) in LATE {
            let watch = Watch::new();
            let case = format!("{path} after {end:?} under {mode:?}");
            let client = logged_in(stage, mode).await;
            let (old, thief) = (client.id(), client.with_a_copy_of_its_cookies());
            let (pause, late) = thief.get_paused(path);
            let late = tokio::spawn(late);
            pause.reached().await;
            end.happens(stage, &client).await;
            let others = stage.records().await;
            pause.go();
            let reply = late.await.unwrap();

            assert_eq!((reply.status.as_u16(), reply.body.as_str()), (200, body), "{case}");
            assert_eq!(reply.session_cookie(), None, "{case}");
            assert!(!stage.lives(&old).await, "{case}");
            assert_eq!(stage.records().await, others, "{case}");
            assert_eq!(thief.get("/user").await.ok().body, "nobody", "{case}");
            assert_eq!(watch.events("INFO", "its late write is dropped"), 1, "{case}");
            watch.counted("sessile_gone", 1);
            stage.store.clear().await.unwrap();
        }
    }
}

async fn a_late_request_never_brings_a_session_back(stage: Stage) {
    late_requests_find_it_gone(&stage, Concurrency::Merge).await;
}

async fn last_write_wins_brings_nobody_back_either(stage: Stage) {
    late_requests_find_it_gone(&stage, Concurrency::LastWriteWins).await;
    late_requests_find_it_gone(&stage, Concurrency::Reject).await;
}

async fn a_late_regenerate_begins_a_session_of_its_own(stage: Stage) {
    for end in End::ALL {
        let client = logged_in(&stage, Concurrency::Merge).await;
        let (old, other) = (client.id(), client.with_a_copy_of_its_cookies());
        let (pause, late) = other.get_paused("/login/8");
        let late = tokio::spawn(late);
        pause.reached().await; // its regenerate has destroyed the session already
        if end != End::Revoke {
            end.happens(&stage, &client).await;
        }
        pause.go();
        late.await.unwrap().ok();
        assert!(!stage.lives(&old).await, "{end:?}");
        assert_eq!(other.get("/user").await.ok().body, "8", "{end:?}");
        stage.store.clear().await.unwrap();
    }
}

async fn while_destroy_fails_no_new_session_begins(stage: Stage) {
    let (stage, faults) = stage.faulty();
    let client = stage.client();
    client.get("/set/planted/1").await.ok();
    let old = client.id();
    faults.fail(Op::Destroy);
    let reply = client.get("/login/admin").await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.session_cookie(), None);
    faults.recover();
    let records = stage.records().await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[old.as_str()], serde_json::json!({ "planted": "1" }));
    client.get("/login/admin").await.ok();
    assert!(!stage.lives(&old).await);
}

async fn an_id_is_cycled_though_the_handler_fails(stage: Stage) {
    let fails = async |session: Session| {
        session.cycle_id().await.unwrap();
        session.insert("half", "done").unwrap();
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let app = Router::new().route("/fails", get(fails)).merge(app());
    let client = Client::new(app.layer(stage.layer().build().unwrap()));
    client.get("/set/a/1").await.ok();
    let old = client.id();
    let reply = client.get("/fails").await;
    assert_eq!(reply.status, 500);
    assert!(reply.session_cookie().is_some(), "who has the new id must be told of it");
    assert!(!stage.lives(&old).await);
    assert!(stage.lives(&client.id()).await);
    let all = client.get("/all").await.json();
    assert_eq!(all, serde_json::json!({ "a": "1", "half": "done" }));
}

async fn a_cycle_whose_commit_fails_keeps_the_old_id(stage: Stage) {
    let (stage, faults) = stage.faulty();
    let client = stage.client();
    client.get("/set/a/1").await.ok();
    let old = client.id();
    faults.fail(Op::Rotate);
    let reply = client.get("/cycle/8").await;
    assert_eq!((reply.status.as_u16(), reply.session_cookie()), (503, None));
    faults.recover();
    assert!(stage.lives(&old).await);
    assert_eq!(client.get("/all").await.json(), serde_json::json!({ "a": "1" }));
    assert_eq!(stage.records().await.len(), 1);
}

async fn a_cycle_whose_answer_is_lost_leaves_exactly_one_id(stage: Stage) {
    let (stage, faults) = stage.faulty();
    let client = stage.client();
    client.get("/set/a/1").await.ok();
    faults.inject_nth(Op::Rotate, 1, Fault::LoseAnswer);
    faults.inject_nth(Op::Load, 2, Fault::Fail);
    let reply = client.get("/cycle").await;
    assert_eq!((reply.status.as_u16(), reply.session_cookie()), (503, None));
    assert_eq!(stage.records().await.len(), 1);
}

async fn a_cycle_whose_answer_is_lost_is_told_to_the_client(stage: Stage) {
    let (stage, faults) = stage.faulty();
    let client = stage.client();
    client.get("/set/a/1").await.ok();
    let old = client.id();
    faults.inject_nth(Op::Rotate, 1, Fault::LoseAnswer);
    assert!(client.get("/cycle/8").await.ok().session_cookie().is_some());
    assert!(!stage.lives(&old).await);
    assert_eq!(client.get("/all").await.json(), serde_json::json!({ "a": "1", "user": "8" }));
    client.get("/set/b/2").await.ok();
    assert_eq!(stage.records().await.len(), 1);
}

/// The new id may be somebody's whose session looks the same.
async fn a_cycle_that_fails_is_not_taken_for_one_whose_answer_is_lost(stage: Stage) {
    let ids = CountingIds::new();
    let (stage, faults) = stage.faulty();
    let layer = || stage.layer().with_id_generator(ids.clone()).build().unwrap();
    let (client, other) = (Client::of(layer()), Client::of(layer()));
    client.get("/set/a/1").await.ok();
    other.get("/set/a/1").await.ok();
    let (own, others) = (client.id(), other.id());
    ids.set(2);
    faults.fail(Op::Rotate);
    let reply = client.get("/cycle").await;
    assert_eq!((reply.status.as_u16(), reply.session_cookie()), (503, None));
    assert!(stage.lives(&own).await && stage.lives(&others).await);
}

async fn of_two_ids_exactly_one_lives_at_every_moment(stage: Stage) {
    let (stage, gates) = stage.gated();
    let client = stage.client();
    client.get("/set/a/1").await.ok();
    let old = client.id();
    let (before, after) = (gates.hold_nth(Op::Rotate, 1), gates.hold_answer(Op::Rotate));
    let cycle = tokio::spawn(client.get("/cycle"));
    before.arrived().await;
    assert!(stage.lives(&old).await);
    assert_eq!(stage.records().await.len(), 1);
    before.open();
    cycle.await.unwrap().ok();
    assert_eq!(stage.records().await.len(), 1);

    let old = client.id();
    let cycle = tokio::spawn(client.get("/cycle"));
    after.arrived().await;
    assert!(!stage.lives(&old).await);
    assert_eq!(stage.records().await.len(), 1);
    after.open();
    cycle.await.unwrap().ok();
    assert!(stage.lives(&client.id()).await);
    assert_eq!(client.get("/all").await.json()["a"], "1");
}

async fn of_two_parallel_cycles_one_wins(stage: Stage) {
    let (stage, gates) = stage.gated();
    let client = stage.client();
    client.get("/set/a/1").await.ok();
    let (old, other) = (client.id(), client.with_a_copy_of_its_cookies());
    let gate = gates.hold_many(Op::Rotate, 2);
    let cycles = [tokio::spawn(client.get("/cycle/1")), tokio::spawn(other.get("/cycle/2"))];
    gate.arrived().await;
    gate.open();
    let mut cookies = 0;
    for cycle in cycles {
        cookies += cycle.await.unwrap().ok().set_cookies().len();
    }
    assert_eq!(cookies, 1, "the loser has no id to tell of");
    assert!(!stage.lives(&old).await);
    assert_eq!(stage.records().await.len(), 1);
    let users = [client.get("/user").await.ok().body, other.get("/user").await.ok().body];
    assert!(users == ["1", "nobody"] || users == ["nobody", "2"], "{users:?}");
}

async fn what_others_saved_moves_along_with_the_id(stage: Stage) {
    let client = stage.client();
    client.get("/set/a/1").await.ok();
    let (pause, cycle) = client.get_paused("/cycle/8");
    let cycle = tokio::spawn(cycle);
    pause.reached().await;
    client.get("/set/b/2").await.ok();
    pause.go();
    cycle.await.unwrap().ok();
    let all = client.get("/all").await.json();
    assert_eq!(all, serde_json::json!({ "a": "1", "b": "2", "user": "8" }));
    assert_eq!(stage.records().await.len(), 1);
}

async fn destroying_twice_is_once(stage: Stage) {
    let (stage, gates) = stage.gated();
    let client = stage.client();
    client.get("/set/a/1").await.ok();
    let other = client.with_a_copy_of_its_cookies();
    let gate = gates.hold_many(Op::Destroy, 2);
    let requests = [&client, &other].map(|browser| tokio::spawn(browser.get("/destroy")));
    gate.arrived().await;
    gate.open();
    for request in requests {
        assert_eq!(request.await.unwrap().ok().body, "destroyed");
    }
    assert_eq!((client.cookie("connect.sid"), other.cookie("connect.sid")), (None, None));
    assert!(stage.records().await.is_empty());
}

#[tokio::test]
async fn reloading_a_dead_session_is_an_error_and_brings_nobody_back() {
    let stage = Stage::memory();
    let client = stage.client();
    client.get("/set/a/1").await.ok();
    let handler = {
        let store = stage.store.clone();
        async move |session: Session| {
            session.insert("a", 2).unwrap();
            store.destroy(&session.id().unwrap()).await.unwrap();
            session.reload().await
        }
    };
    let app = Router::new().route("/", get(handler)).layer(stage.layer().build().unwrap());
    assert_eq!(client.at(app).get("/").await.status, 500);
    assert!(stage.records().await.is_empty());
}

/// A handler that leaves its session where the test can reach it, and waits.
fn shared_session() -> (Router, Arc<Mutex<Option<Session>>>) {
    let shelf = Arc::new(Mutex::new(None));
    let handler = {
        let shelf = Arc::clone(&shelf);
        async move |session: Session| {
            *shelf.lock().unwrap() = Some(session);
        }
    };
    (Router::new().route("/share", get(handler)).merge(app()), shelf)
}

/// A handler that saves in one task and logs in in another.
#[tokio::test]
async fn a_regenerated_session_takes_nothing_from_a_save_that_was_on_its_way() {
    let (stage, gates) = Stage::memory().gated();
    let (app, shelf) = shared_session();
    let client = Client::new(pausable(app).layer(stage.layer().build().unwrap()));
    client.get("/set/planted/1").await.ok();
    let old = client.id();

    let (pause, request) = client.get_paused("/share");
    let request = tokio::spawn(request);
    pause.reached().await;
    let session = shelf.lock().unwrap().take().unwrap();
    session.insert("planted", 2).unwrap();
    let gate = gates.hold(Op::Save);
    let saving = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    gate.arrived().await;
    let logging_in = tokio::spawn({
        let session = session.clone();
        async move {
            session.regenerate().await.unwrap();
            session.insert("user", 7).unwrap();
        }
    });
    tokio::task::yield_now().await;
    gate.open();
    let _either = saving.await.unwrap();
    logging_in.await.unwrap();
    assert_eq!(session.keys(), ["user"]);
    drop(session);
    pause.go();
    request.await.unwrap().ok();
    assert!(!stage.lives(&old).await);
    assert_eq!(client.get("/all").await.json(), serde_json::json!({ "user": 7 }));
}

#[tokio::test]
async fn an_id_cycled_while_the_session_is_first_saved_is_the_one_that_lives() {
    let (stage, gates) = Stage::memory().gated();
    let (app, shelf) = shared_session();
    let client = Client::new(pausable(app).layer(stage.layer().build().unwrap()));
    let (pause, request) = client.get_paused("/share");
    let request = tokio::spawn(request);
    pause.reached().await;
    let session = shelf.lock().unwrap().take().unwrap();
    session.insert("a", 1).unwrap();
    let gate = gates.hold(Op::Save);
    let saving = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    gate.arrived().await;
    let cycling = tokio::spawn({
        let session = session.clone();
        async move { session.cycle_id().await }
    });
    tokio::task::yield_now().await;
    gate.open();
    saving.await.unwrap().unwrap();
    cycling.await.unwrap().unwrap();
    drop(session);
    pause.go();
    request.await.unwrap().ok();
    assert_eq!(client.get("/all").await.json(), serde_json::json!({ "a": 1 }));
    assert_eq!(stage.records().await.len(), 1, "and no other");
}

#[tokio::test]
async fn a_session_destroyed_while_it_is_first_saved_leaves_no_record() {
    let (stage, gates) = Stage::memory().gated();
    let (app, shelf) = shared_session();
    let client = Client::new(pausable(app).layer(stage.layer().build().unwrap()));
    let (pause, request) = client.get_paused("/share");
    let request = tokio::spawn(request);
    pause.reached().await;
    let session = shelf.lock().unwrap().take().unwrap();
    session.insert("a", 1).unwrap();
    let gate = gates.hold(Op::Save);
    let saving = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    gate.arrived().await;
    let destroying = tokio::spawn({
        let session = session.clone();
        async move { session.destroy().await }
    });
    tokio::task::yield_now().await;
    gate.open();
    let _gone_or_saved = saving.await.unwrap();
    destroying.await.unwrap().unwrap();
    pause.go();
    request.await.unwrap().ok();
    assert!(stage.records().await.is_empty());
}

/// A cycle onto an id that lives: nobody is taken over, and nobody waits.
#[tokio::test]
async fn a_cycle_never_takes_over_an_id_that_lives() {
    let (stage, faults) = Stage::memory().faulty();
    let ids = sessile_testkit::CountingIds::new();
    let layer = stage
        .layer()
        .with_id_generator(ids.clone())
        .with_store_timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    let (victim, mover) = (Client::of(layer.clone()), Client::of(layer));
    victim.get("/set/secret/1").await.ok();
    mover.get("/set/mine/2").await.ok();
    let before = faults.calls(Op::Rotate);
    ids.set(1);
    let reply = mover.get("/cycle").await;
    assert_eq!(victim.get("/all").await.json(), serde_json::json!({ "secret": "1" }));
    assert_eq!(mover.get("/all").await.json(), serde_json::json!({ "mine": "2" }));
    assert!(faults.calls(Op::Rotate) - before <= 10, "it asks again and again, to the deadline");
    assert_eq!(reply.status, 200, "another id would do");
}
