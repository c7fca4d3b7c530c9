//! Durable before visible: who has the response has the data.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::{Router, routing::get};
use futures_util::{FutureExt, StreamExt, stream};
use http::header::{RETRY_AFTER, SET_COOKIE};
use sessile::{
    Concurrency, CookieOptions, Error, ErrorKind, Secure, Session, SessionHandle, SessionStore,
};
use sessile_testkit::{Fault, Op};
use tokio::time::Instant;
use tower::ServiceExt;

use crate::client::{Client, Reply, request};
use crate::stage::Stage;
use crate::watch::Watch;

over_every_store! {
    no_response_leaves_before_the_store_acknowledged_the_session,
    a_failing_save_is_an_error_that_tells_nothing,
    a_failing_save_of_a_known_session_leaves_it_as_it_was,
    a_streamed_body_is_committed_before_its_first_chunk,
    a_late_change_is_saved_when_told_to,
    a_panicking_handler_loses_nothing,
    a_cancelled_request_loses_nothing,
    a_cancelled_commit_is_done_or_not_done,
    what_a_lost_answer_saved_is_not_done_twice,
    what_was_saved_before_an_outage_is_not_done_twice_after_it,
    what_a_save_that_was_given_up_stored_is_not_done_twice,
    a_change_after_a_failed_commit_is_kept_through_a_conflict,
    a_late_touch_asks_the_store_at_once,
}

/// Lets every task that can run do so.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

async fn no_response_leaves_before_the_store_acknowledged_the_session(stage: Stage) {
    let (stage, gates) = stage.gated();
    let client = stage.client();
    let routes = [
        (Op::Save, "/set/a/1", true),
        (Op::Save, "/set/b/2", false),
        (Op::Rotate, "/cycle", true),
        (Op::Destroy, "/destroy", true),
    ];
    for (op, path, cookie) in routes {
        let gate = gates.hold_answer(op);
        let request = tokio::spawn(client.get(path));
        gate.arrived().await;
        settle().await;
        assert!(!request.is_finished(), "{path} answered before the store did");
        gate.open();
        let reply = request.await.unwrap().ok();
        assert_eq!(reply.session_cookie().is_some(), cookie, "{path}");
    }
}

async fn a_failing_save_is_an_error_that_tells_nothing(stage: Stage) {
    let watch = Watch::new();
    let (stage, faults) = stage.faulty();
    let app = Router::new().route(
        "/",
        get(async |session: Session| {
            session.insert("a", 1)?;
            Ok::<_, Error>((
                [(SET_COOKIE, "promised=1"), (http::header::LOCATION, "/kept")],
                "your data is kept",
            ))
        }),
    );
    let client = Client::new(app.layer(stage.layer().build().unwrap()));
    for fault in [Fault::Fail, Fault::LoseAnswer] {
        faults.inject(Op::Save, fault);
        let reply = client.get("/").await;
        assert!(reply.status.is_server_error(), "{reply:?}");
        assert_eq!(reply.body, "");
        assert_eq!(reply.set_cookies(), Vec::<&str>::new());
        assert_eq!(reply.header("location"), None);
    }
    assert_eq!(watch.events("ERROR", "the session was not saved"), 2, "{}", watch.text());
    watch.counted("sessile_failed_commits", 2);
}

async fn a_failing_save_of_a_known_session_leaves_it_as_it_was(stage: Stage) {
    let (stage, faults) = stage.faulty();
    let client = stage.client();
    client.get("/set/a/1").await.ok();
    faults.fail(Op::Save);
    let reply = client.get("/set/a/2").await;
    assert!(reply.status.is_server_error(), "{reply:?}");
    assert_eq!(reply.session_cookie(), None);
    faults.recover();
    assert_eq!(client.get("/all").await.json()["a"], "1");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_503_at_the_deadline_and_nobody_else_waits() {
    let (stage, faults) = Stage::memory().faulty();
    let client = stage.client();
    client.get("/set/a/1").await.ok();
    let newcomer = stage.client();

    let start = Instant::now();
    faults.hang(Op::Save);
    let hanging = tokio::spawn(client.get("/set/a/2"));
    settle().await;
    client.get("/asset/1").await.ok();
    assert_eq!(client.get("/all").await.json()["a"], "1");
    newcomer.get("/read").await.ok();
    assert!(!hanging.is_finished());
    assert_eq!(start.elapsed(), Duration::ZERO, "nobody waited");

    let reply = hanging.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 5);
    assert_eq!(reply.status, 503);
    assert!(reply.headers.contains_key(RETRY_AFTER));
    assert_eq!(reply.session_cookie(), None);

    faults.recover();
    client.get("/set/a/3").await.ok();
    assert_eq!(client.get("/all").await.json()["a"], "3");
}

#[tokio::test(start_paused = true)]
async fn a_load_that_hangs_is_503_at_the_deadline() {
    let (stage, faults) = Stage::memory().faulty();
    let layer = stage.layer().with_store_timeout(Duration::from_millis(700)).build().unwrap();
    let client = Client::of(layer);
    client.get("/set/a/1").await.ok();
    faults.hang(Op::Load);
    let start = Instant::now();
    let reply = client.get("/set/a/2").await;
    assert_eq!(start.elapsed().as_millis(), 700);
    assert_eq!(reply.status, 503);
    assert!(reply.headers.contains_key(RETRY_AFTER));
    assert_eq!(faults.calls(Op::Save), 1, "only the first was saved");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_slow_but_in_time_is_no_error() {
    let (stage, faults) = Stage::memory().faulty();
    let client = stage.client();
    faults.delay(Op::Load, Duration::from_millis(4999));
    faults.delay(Op::Save, Duration::from_millis(4999));
    client.get("/set/a/1").await.ok();
    client.get("/set/b/2").await.ok();
    assert_eq!(client.get("/all").await.json()["b"], "2");
}

/// A handler whose body is streamed, with the session kept until its end.
fn streaming(late: impl AsyncFnLate) -> Router {
    let handler = async move |session: Session| {
        session.insert("early", 1)?;
        let first = stream::once(async { Ok::<_, Infallible>(Bytes::from("first ")) });
        let last = stream::once(async move {
            let words = late.call(session).await;
            Ok::<_, Infallible>(Bytes::from(words))
        });
        Ok::<_, Error>(Response::new(Body::from_stream(first.chain(last))))
    };
    Router::new().route("/stream", get(handler)).merge(crate::client::app())
}

/// What a streaming handler does when its response has long begun.
trait AsyncFnLate: Clone + Send + Sync + 'static {
    fn call(self, session: Session) -> impl Future<Output = String> + Send;
}

impl<F, R> AsyncFnLate for F
where
    F: Fn(Session) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = String> + Send,
{
    fn call(self, session: Session) -> impl Future<Output = String> + Send {
        self(session)
    }
}

async fn a_streamed_body_is_committed_before_its_first_chunk(stage: Stage) {
    let (stage, gates) = stage.gated();
    let app = streaming(async |_| "last".into()).layer(stage.layer().build().unwrap());
    let gate = gates.hold(Op::Save);
    let response = tokio::spawn(app.oneshot(request("/stream")));
    gate.arrived().await;
    settle().await;
    assert!(!response.is_finished());
    gate.open();
    let response = response.await.unwrap().unwrap();
    let records = stage.records().await;
    assert_eq!(records.values().next().unwrap()["early"], 1, "before a chunk was read");
    let reply = Reply::read(response).await.ok();
    assert_eq!(reply.body, "first last");
    assert!(reply.session_cookie().is_some());
}

async fn a_late_change_is_saved_when_told_to(stage: Stage) {
    let watch = Watch::new();
    let late = async |session: Session| {
        session.insert("late", 2).unwrap();
        session.update("count", |n: Option<u64>| n.unwrap_or(0) + 1).unwrap();
        session.save().await.unwrap();
        "last".to_owned()
    };
    let client = Client::new(streaming(late).layer(stage.layer().build().unwrap()));
    client.get("/stream").await.ok();
    let all = client.get("/all").await.json();
    assert_eq!(all, serde_json::json!({ "early": 1, "late": 2, "count": 1 }));
    assert_eq!(watch.events("WARN", "dropped unsaved"), 0);
    watch.counted("sessile_unsaved_changes", 0);
}

#[tokio::test]
async fn a_late_change_that_is_dropped_is_reported() {
    let (watch, stage) = (Watch::new(), Stage::memory());
    let late = async |session: Session| {
        session.insert("late", 2).unwrap();
        "last".to_owned()
    };
    let client = Client::new(streaming(late).layer(stage.layer().build().unwrap()));
    client.get("/stream").await.ok();
    assert_eq!(watch.events("WARN", "dropped unsaved"), 1, "{}", watch.text());
    watch.counted("sessile_unsaved_changes", 1);
    assert_eq!(client.get("/all").await.json()["late"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_late_change_merges_with_what_others_saved() {
    let stage = Stage::memory();
    let client = Client::new(
        streaming(async |session: Session| {
            session.insert("late", 2).unwrap();
            session.save().await.map_or_else(|error| error.to_string(), |()| "saved".into())
        })
        .layer(stage.layer().build().unwrap()),
    );
    client.get("/set/first/1").await.ok();
    let mut response = stage_response(&client, &stage).await;
    client.get("/set/other/3").await.ok();
    let body = axum::body::to_bytes(std::mem::take(response.body_mut()), 99).await.unwrap();
    assert_eq!(body, "first saved");
    let all = client.get("/all").await.json();
    assert_eq!(all, serde_json::json!({ "first": "1", "early": 1, "other": "3", "late": 2 }));
}

#[tokio::test]
async fn a_late_save_brings_no_dead_session_back() {
    let stage = Stage::memory();
    let client = Client::new(
        streaming(async |session: Session| {
            session.insert("late", 2).unwrap();
            format!("{:?}", session.save().await.unwrap_err().kind())
        })
        .layer(stage.layer().build().unwrap()),
    );
    client.get("/set/first/1").await.ok();
    let response = stage_response(&client, &stage).await;
    client.get("/destroy").await.ok();
    assert_eq!(Reply::read(response).await.body, "first Gone");
    assert!(stage.records().await.is_empty());
}

/// The response of `/stream`, its body unread.
async fn stage_response(client: &Client, stage: &Stage) -> Response {
    let mut request = request("/stream");
    let cookie = format!("connect.sid={}", client.cookie("connect.sid").unwrap());
    request.headers_mut().insert(http::header::COOKIE, cookie.parse().unwrap());
    let response = client.clone().raw(request).await;
    assert_eq!(stage.records().await.len(), 1);
    response
}

#[tokio::test]
async fn after_the_response_an_id_can_no_longer_change() {
    let stage = Stage::memory();
    let late = async |session: Session| {
        let kinds = [
            session.regenerate().await.unwrap_err().kind(),
            session.cycle_id().await.unwrap_err().kind(),
            session.unset().unwrap_err().kind(),
        ];
        assert_eq!(kinds, [ErrorKind::ResponseSent; 3]);
        session.destroy().await.unwrap();
        "refused".to_owned()
    };
    let client = Client::new(streaming(late).layer(stage.layer().build().unwrap()));
    assert_eq!(client.get("/stream").await.ok().body, "first refused");
    assert!(stage.records().await.is_empty(), "who wants to be out is out, late or not");
}

#[tokio::test]
async fn a_session_that_begins_after_the_response_cannot_be_saved() {
    let stage = Stage::memory();
    let handler = async |session: Session| {
        Body::from_stream(stream::once(async move {
            session.insert("late", 1).unwrap();
            let error = session.save().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ResponseSent);
            Ok::<_, Infallible>("refused")
        }))
    };
    let app = Router::new().route("/", get(handler)).layer(stage.layer().build().unwrap());
    let reply = Client::new(app).get("/").await.ok();
    assert_eq!((reply.body.as_str(), reply.session_cookie()), ("refused", None));
    assert!(stage.records().await.is_empty());
}

#[tokio::test]
async fn a_session_first_looked_at_after_the_response_knows_that_it_left() {
    let stage = Stage::memory();
    let handler = async |handle: SessionHandle| {
        Body::from_stream(stream::once(async move {
            let session = handle.load().await.unwrap();
            session.insert("late", 1).unwrap();
            let error = session.save().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ResponseSent);
            Ok::<_, Infallible>("refused")
        }))
    };
    let app = Router::new().route("/", get(handler)).layer(stage.layer().build().unwrap());
    let reply = Client::new(app).get("/").await.ok();
    assert_eq!((reply.body.as_str(), reply.session_cookie()), ("refused", None));
    assert!(stage.records().await.is_empty());
}

/// A store that saved and could not say so is asked again, and nothing is counted twice.
async fn what_a_lost_answer_saved_is_not_done_twice(stage: Stage) {
    let (stage, faults) = stage.faulty();
    let handler = {
        let faults = faults.clone();
        async move |session: Session| {
            session.update("count", |n: Option<u64>| n.unwrap_or(0) + 1)?;
            faults.inject_nth(Op::Save, 1, Fault::LoseAnswer);
            session.save().await.unwrap_err();
            session.update("second", |n: Option<u64>| n.unwrap_or(0) + 1)
        }
    };
    let app = Router::new()
        .route(
            "/twice",
            get(async move |session: Session| handler(session).await.map(|n| n.to_string())),
        )
        .merge(crate::client::app());
    let client = Client::new(app.layer(stage.layer().build().unwrap()));
    for n in 1..4 {
        client.get("/twice").await.ok();
        let all = client.get("/all").await.json();
        assert_eq!(all, serde_json::json!({ "count": n, "second": n }));
        assert_eq!(stage.records().await.len(), 1);
    }
}

/// Adds one to a value that nobody else changes.
fn add_one(session: &Session, key: &str) -> Result<u64, Error> {
    session.update(key, |n: Option<u64>| n.unwrap_or(0) + 1)
}

/// An outage often begins with an answer that is lost: what was saved then counts,
/// however many saves fail behind it.
async fn what_was_saved_before_an_outage_is_not_done_twice_after_it(stage: Stage) {
    let (stage, faults) = stage.faulty();
    let handler = {
        let faults = faults.clone();
        async move |session: Session| {
            for n in 0..9 {
                add_one(&session, "count").unwrap();
                let fault = if n == 0 { Fault::LoseAnswer } else { Fault::Fail };
                faults.inject_nth(Op::Save, 1, fault);
                session.save().await.unwrap_err();
            }
        }
    };
    let app = Router::new().route("/outage", get(handler)).merge(crate::client::app());
    let client = Client::new(app.layer(stage.layer().build().unwrap()));
    for n in 1..4 {
        client.get("/outage").await.ok();
        assert_eq!(client.get("/all").await.json(), serde_json::json!({ "count": 9 * n }));
    }
}

async fn what_a_save_that_was_given_up_stored_is_not_done_twice(stage: Stage) {
    let (stage, gates) = stage.gated();
    let handler = {
        let gates = gates.clone();
        async move |session: Session| {
            add_one(&session, "count").unwrap();
            let gate = gates.hold_answer(Op::Save);
            tokio::select! {
                saved = session.save() => panic!("the gate is shut: {saved:?}"),
                () = gate.arrived() => {}
            }
            gate.open();
            add_one(&session, "second").unwrap();
        }
    };
    let app = Router::new().route("/given-up", get(handler)).merge(crate::client::app());
    let client = Client::new(app.layer(stage.layer().build().unwrap()));
    for n in 1..4 {
        client.get("/given-up").await.ok();
        let all = client.get("/all").await.json();
        assert_eq!(all, serde_json::json!({ "count": n, "second": n }));
        assert_eq!(stage.records().await.len(), 1);
    }
}

async fn a_change_after_a_failed_commit_is_kept_through_a_conflict(stage: Stage) {
    let (stage, faults) = stage.faulty();
    let (stage, gates) = stage.gated();
    let (app, shelf) = leaking();
    let client = Client::new(app.layer(stage.layer().build().unwrap()));
    client.get("/set/a/1").await.ok();
    faults.inject_nth(Op::Save, 1, Fault::LoseAnswer);
    assert_eq!(client.get("/").await.status, 503);
    let session = shelf.lock().unwrap().take().unwrap();
    session.insert("late", 2).unwrap();
    let gate = gates.hold_nth(Op::Save, 2);
    let saving = tokio::spawn(async move { session.save().await });
    gate.arrived().await;
    client.get("/set/b/1").await.ok();
    gate.open();
    saving.await.unwrap().unwrap();
    let all = client.get("/all").await.json();
    assert_eq!(all, serde_json::json!({ "a": "1", "early": 1, "late": 2, "b": "1" }));
}

async fn a_late_touch_asks_the_store_at_once(stage: Stage) {
    let hour = Duration::from_secs(3600);
    let cookie = CookieOptions::default().with_max_age(hour);
    let late = {
        let clock = stage.clock.clone();
        move |session: Session| {
            let clock = clock.clone();
            async move {
                clock.advance(hour / 2);
                let touched = session.touch().await;
                touched.map_or_else(|error| format!("{:?}", error.kind()), |()| "touched".into())
            }
        }
    };
    let app = streaming(late).layer(stage.layer().with_cookie(cookie).build().unwrap());
    let client = Client::new(app);
    assert_eq!(client.get("/stream").await.ok().body, "first touched");
    let stored = stage.store.load(&client.id()).await.unwrap().unwrap();
    assert_eq!(stored.expires.unwrap(), sessile::Clock::now(&stage.clock) + hour);

    let response = stage_response(&client, &stage).await;
    client.get("/destroy").await.ok();
    assert_eq!(Reply::read(response).await.body, "first Gone");
    assert!(stage.records().await.is_empty());
}

/// A handler that leaves its session where the test can reach it.
fn leaking() -> (Router, Arc<Mutex<Option<Session>>>) {
    let shelf = Arc::new(Mutex::new(None));
    let handler = {
        let shelf = Arc::clone(&shelf);
        async move |session: Session| {
            session.insert("early", 1).unwrap();
            *shelf.lock().unwrap() = Some(session);
        }
    };
    (Router::new().route("/", get(handler)).merge(crate::client::app()), shelf)
}

#[tokio::test]
async fn a_change_made_while_the_commit_runs_is_not_lost_in_silence() {
    let watch = Watch::new();
    let (stage, gates) = Stage::memory().gated();
    let (app, shelf) = leaking();
    let client = Client::new(app.layer(stage.layer().build().unwrap()));
    let gate = gates.hold(Op::Save);
    let committing = tokio::spawn(client.get("/"));
    gate.arrived().await;
    let session = shelf.lock().unwrap().take().unwrap();
    session.insert("between", 2).unwrap();
    gate.open();
    committing.await.unwrap().ok();
    assert_eq!(client.get("/all").await.json()["between"], serde_json::Value::Null);
    drop(session);
    assert_eq!(watch.events("WARN", "dropped unsaved"), 1, "{}", watch.text());
}

#[tokio::test]
async fn a_change_made_while_the_commit_runs_can_be_saved_and_merges() {
    let (stage, gates) = Stage::memory().gated();
    let (app, shelf) = leaking();
    let client = Client::new(app.layer(stage.layer().build().unwrap()));
    let gate = gates.hold(Op::Save);
    let committing = tokio::spawn(client.get("/"));
    gate.arrived().await;
    let session = shelf.lock().unwrap().take().unwrap();
    session.insert("between", 2).unwrap();
    gate.open();
    committing.await.unwrap().ok();
    client.get("/set/other/3").await.ok();
    session.save().await.unwrap();
    let all = client.get("/all").await.json();
    assert_eq!(all, serde_json::json!({ "early": 1, "other": "3", "between": 2 }));
}

fn secure_layer(stage: &Stage) -> sessile::SessionLayer {
    let cookie = CookieOptions::default().with_secure(Secure::Always);
    stage.layer().with_cookie(cookie).build().unwrap()
}

#[tokio::test]
async fn a_secure_cookie_over_plain_http_makes_no_record_and_one_warning() {
    let watch = Watch::new();
    let (stage, faults) = Stage::memory().faulty();
    let client = Client::of(secure_layer(&stage));
    for path in ["/set/a/1", "/login/7", "/count", "/cycle/7"] {
        assert_eq!(client.get(path).await.ok().session_cookie(), None, "{path}");
    }
    assert_eq!(faults.round_trips(), 0);
    assert_eq!(watch.events("WARN", "its cookie is Secure"), 1, "{}", watch.text());
    watch.counted("sessile_undeliverable_cookies", 4);

    let mut https = request("/set/a/1");
    https.extensions_mut().insert(sessile::Https);
    assert!(client.send(https).await.ok().session_cookie().is_some());
}

/// The recording of express-session stores what `save` stores, cookie or none.
#[tokio::test]
async fn a_handler_that_saves_for_itself_is_taken_at_its_word() {
    let stage = Stage::memory();
    let handler = async |session: Session| {
        session.insert("a", 1)?;
        session.save().await
    };
    let app = Router::new().route("/", get(handler)).layer(secure_layer(&stage));
    let reply = Client::new(app).get("/").await;
    assert_eq!(reply.session_cookie(), None);
    assert_eq!(stage.records().await.len(), 1);
}

async fn a_panicking_handler_loses_nothing(stage: Stage) {
    let watch = Watch::new();
    for mode in [Concurrency::Merge, Concurrency::Lock] {
        let handler = async |session: Session| -> () {
            session.insert("a", "half done").unwrap();
            session.insert("b", "half done").unwrap();
            panic!("the handler of this test panics");
        };
        let app = Router::new().route("/panic", get(handler)).merge(crate::client::app());
        let layer = stage.layer().with_concurrency(mode).build().unwrap();
        let client = Client::new(app.layer(layer));
        client.get("/set/a/1").await.ok();
        let panicked = std::panic::AssertUnwindSafe(client.get("/panic")).catch_unwind().await;
        assert!(panicked.is_err());
        assert_eq!(client.get("/all").await.json(), serde_json::json!({ "a": "1" }));
        client.get("/set/c/3").await.ok();
        assert_eq!(client.get("/all").await.json()["c"], "3");
    }
    assert_eq!(watch.events("WARN", "a request ended before its response"), 2);
}

async fn a_cancelled_request_loses_nothing(stage: Stage) {
    for mode in [Concurrency::Merge, Concurrency::Lock] {
        let client = Client::of(stage.layer().with_concurrency(mode).build().unwrap());
        client.get("/set/a/1").await.ok();
        let old = client.id();
        for path in ["/set/a/2", "/count", "/clear", "/cycle", "/unset"] {
            let (pause, request) = client.get_paused(path);
            let request = tokio::spawn(request);
            pause.reached().await;
            request.abort();
            assert!(request.await.unwrap_err().is_cancelled());
            assert_eq!(client.get("/all").await.json(), serde_json::json!({ "a": "1" }), "{path}");
            assert!(stage.lives(&old).await, "{path}");
        }
        client.get("/set/b/2").await.ok();
        assert_eq!(client.get("/all").await.json(), serde_json::json!({ "a": "1", "b": "2" }));
        client.forget_cookies();
    }
}

async fn a_cancelled_commit_is_done_or_not_done(stage: Stage) {
    let (stage, gates) = stage.gated();
    let client = stage.client();
    client.get("/set/a/1").await.ok();
    for (answered, expected) in [(false, "1"), (true, "2")] {
        let gate = if answered { gates.hold_answer(Op::Save) } else { gates.hold(Op::Save) };
        let request = tokio::spawn(client.get("/set/a/2"));
        gate.arrived().await;
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
        gate.open();
        assert_eq!(client.get("/all").await.json()["a"], expected);
    }
    client.get("/set/a/3").await.ok();
    assert_eq!(client.get("/all").await.json()["a"], "3");
    assert_eq!(gates.inner().length().await.unwrap(), 1);
}
