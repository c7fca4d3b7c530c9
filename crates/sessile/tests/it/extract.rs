//! Extractors: what handlers ask for, and what they are told when it is not there.

use axum::extract::{FromRequestParts, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sessile::{CookieOptions, Error, ErrorKind, Session, SessionHandle, SessionKey, Typed};
use sessile_testkit::Op;

use crate::client::{Client, app, pausable, request};
use crate::stage::Stage;

over_every_store! {
    a_typed_session_stores_the_fields_that_changed,
    middleware_and_handler_share_one_load,
}

#[tokio::test]
async fn without_a_layer_the_answer_says_what_to_do() {
    for path in ["/user", "/count", "/handle", "/typed"] {
        let router = app()
            .route("/handle", get(async |_: SessionHandle| {}))
            .route("/typed", get(async |_: Typed<Shopper>| {}));
        let reply = Client::new(router).get(path).await;
        assert_eq!(reply.status, 500, "{path}");
        assert!(reply.body.contains("add a SessionLayer"), "{}", reply.body);
    }
    let (mut parts, ()) = http::Request::new(()).into_parts();
    let error = Session::from_request_parts(&mut parts, &()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MissingLayer);
}

#[tokio::test]
async fn outside_the_cookies_path_the_answer_says_what_to_do() {
    let stage = Stage::memory();
    let layer = stage.layer().with_cookie(CookieOptions::default().with_path("/admin"));
    let reply = Client::of(layer.build().unwrap()).get("/user").await;
    assert_eq!(reply.status, 500);
    assert!(reply.body.contains("Path"), "{}", reply.body);
    assert!(reply.body.contains("Option<Session>"), "{}", reply.body);
}

#[tokio::test]
async fn an_optional_session_is_none_only_where_there_is_none_to_be_had() {
    let (stage, faults) = Stage::memory().faulty();
    let optional = async |session: Option<Session>| if session.is_some() { "some" } else { "none" };
    let router = || Router::new().route("/", get(optional)).route("/admin", get(optional));
    assert_eq!(Client::new(router()).get("/").await.ok().body, "none", "no layer");
    let layer = |path: &str| {
        stage.layer().with_cookie(CookieOptions::default().with_path(path)).build().unwrap()
    };
    let outside = Client::new(router().layer(layer("/admin")));
    assert_eq!(outside.get("/").await.ok().body, "none");
    assert_eq!(outside.get("/admin").await.ok().body, "some");
    let client = Client::new(router().merge(app()).layer(layer("/")));
    assert_eq!(client.get("/").await.ok().body, "some", "a newcomer has an empty one");
    client.get("/login/7").await.ok();
    faults.fail(Op::Load);
    let reply = client.get("/").await;
    assert_eq!(reply.status, 503, "that nobody knows is not that there is none");
    assert!(reply.header("retry-after").is_some());
}

#[derive(Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
struct Shopper {
    name: Option<String>,
    items: Vec<u32>,
    visits: u32,
}

async fn buy(mut shopper: Typed<Shopper>) -> Result<String, Error> {
    shopper.update(|shopper| shopper.items.push(7))?;
    Ok(shopper.items.len().to_string())
}

async fn visit(mut shopper: Typed<Shopper>) -> Result<String, Error> {
    shopper.update(|shopper| shopper.visits += 1)?;
    assert!(shopper.session().contains_key("visits"));
    Ok(shopper.visits.to_string())
}

async fn a_typed_session_stores_the_fields_that_changed(stage: Stage) {
    let layer = stage.layer().build().unwrap();
    let router = Router::new()
        .route("/look", get(async |shopper: Typed<Shopper>| format!("{:?}", *shopper)))
        .route("/buy", get(buy))
        .route("/visit", get(visit));
    let router = pausable(router).merge(app());
    let client = Client::new(router.layer(layer));
    let empty = format!("{:?}", Shopper::default());
    assert_eq!(client.get("/look").await.ok().body, empty);
    client.get("/set/unrelated/kept").await.ok();
    assert_eq!(client.get("/look").await.ok().body, empty);

    let (pause, late) = client.get_paused("/visit");
    let late = tokio::spawn(late);
    pause.reached().await;
    client.get("/buy").await.ok();
    pause.go();
    late.await.unwrap().ok();
    let all = client.get("/all").await.json();
    assert_eq!(all["items"], json!([7]));
    assert_eq!(all["visits"], 1);
    assert_eq!(all["unrelated"], "kept");

    client.get("/set/items/nonsense").await.ok();
    let reply = client.get("/look").await;
    assert_eq!((reply.status.as_u16(), reply.body.as_str()), (500, "Internal Server Error"));
    assert!(!reply.body.contains("nonsense"));
}

const USER: SessionKey<u64> = SessionKey::new("userID");

async fn only_members(request: Request, next: Next) -> Response {
    let handle = request.extensions().get::<SessionHandle>().unwrap();
    match handle.load().await {
        Ok(session) if session.get(USER).ok().flatten().is_some() => next.run(request).await,
        Ok(_) => StatusCode::FORBIDDEN.into_response(),
        Err(error) => error.into_response(),
    }
}

async fn middleware_and_handler_share_one_load(stage: Stage) {
    let (stage, faults) = stage.faulty();
    let join = async |session: Session| session.insert(USER, 7);
    let secret = async |first: Session, second: Session, handle: SessionHandle| {
        first.insert("a", 1)?;
        assert_eq!(second.get::<u8>("a")?, Some(1));
        assert_eq!(handle.load().await?.get::<u8>("a")?, Some(1));
        second.get(USER).map(|user| user.unwrap().to_string())
    };
    let router = Router::new()
        .route("/secret", get(secret))
        .layer(from_fn(only_members))
        .route("/join", get(join));
    let client = Client::new(router.layer(stage.layer().build().unwrap()));
    assert_eq!(client.get("/secret").await.status, 403);
    assert_eq!(faults.calls(Op::Load), 0);
    client.get("/join").await.ok();
    assert_eq!(client.get("/secret").await.ok().body, "7");
    assert_eq!(faults.calls(Op::Load), 1);
    faults.fail(Op::Load);
    let reply = client.get("/secret").await;
    assert_eq!(reply.status, 503);
    assert!(reply.header("retry-after").is_some());
}

#[tokio::test]
async fn errors_tell_the_client_no_more_than_their_status() {
    let stage = Stage::memory();
    let client = stage.client();
    client.get("/set/user/7").await.ok();
    client.get("/set/count/not-a-number").await.ok();
    let reply = client.get("/count").await;
    assert_eq!((reply.status.as_u16(), reply.body.as_str()), (500, "Internal Server Error"));
    assert_eq!(client.get("/all").await.json()["count"], "not-a-number");
    for (kind, status) in [
        (ErrorKind::Conflict, 409),
        (ErrorKind::Unavailable, 503),
        (ErrorKind::ReadOnly, 503),
        (ErrorKind::Gone, 500),
        (ErrorKind::Store, 500),
        (ErrorKind::Encode, 500),
        (ErrorKind::Decode, 500),
        (ErrorKind::Config, 500),
        (ErrorKind::ResponseSent, 500),
    ] {
        let response = Error::new(kind, "words for the log").into_response();
        assert_eq!(response.status(), status, "{kind:?}");
        let body = axum::body::to_bytes(response.into_body(), 999).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("words for the log"), "{kind:?}");
    }
}

/// A handle that a layer around left behind is not taken for one's own.
#[tokio::test]
async fn outside_its_path_a_layer_does_not_lend_the_session_of_another() {
    let stage = Stage::memory();
    let inner = stage.layer().with_name("admin").with_namespace("admin:");
    let inner = inner.with_cookie(CookieOptions::default().with_path("/admin")).build().unwrap();
    let outer = stage.layer().with_name("site").with_namespace("site:").build().unwrap();
    let handler = async |handle: SessionHandle| {
        assert!(handle.named("admin").is_none());
        handle.named("site").unwrap().load().await.unwrap().insert("a", 1)
    };
    let app = Router::new().route("/", get(handler)).layer(inner).layer(outer);
    let response = Client::new(app).raw(request("/")).await;
    assert_eq!(response.status(), 200);
    let ids: Vec<_> = stage.records().await.into_keys().collect();
    assert!(ids.len() == 1 && ids[0].starts_with("site:"), "{ids:?}");
}
