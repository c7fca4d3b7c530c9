//! Any tower stack over http 1: no axum in sight.

use std::convert::Infallible;
use std::sync::Mutex;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, Request, Response};
use sessile::stores::MemoryStore;
use sessile::{Builder, Secrets, SessionHandle, SessionLayer, Sessions};
use sessile_testkit::{CountingIds, ReferenceStore};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use crate::client::SECRET;
use crate::stage::Stage;
use crate::watch::Watch;

async fn count(request: Request<String>) -> Result<Response<String>, Infallible> {
    let handle = request.extensions().get::<SessionHandle>().unwrap();
    let session = handle.load().await.unwrap();
    let count = session.update("count", |n: Option<u32>| n.unwrap_or(0) + 1).unwrap();
    Ok(Response::new(format!("{} {count}", request.body())))
}

fn request(cookie: Option<&str>) -> Request<String> {
    let mut request = Request::new("hello".to_owned());
    if let Some(cookie) = cookie {
        request.headers_mut().insert(COOKIE, cookie.parse().unwrap());
    }
    request
}

fn cookie(response: &Response<String>) -> Option<String> {
    let cookie = response.headers().get(SET_COOKIE)?.to_str().unwrap();
    Some(cookie.split(';').next().unwrap().to_owned())
}

#[tokio::test]
async fn a_plain_service_has_sessions_too() {
    let layer = SessionLayer::new(MemoryStore::new(), Secrets::new([SECRET]).unwrap());
    let mut service = ServiceBuilder::new().layer(layer).service(service_fn(count));
    let response = service.ready().await.unwrap().call(request(None)).await.unwrap();
    assert_eq!(response.body(), "hello 1");
    let cookie = cookie(&response).unwrap();
    let response = service.ready().await.unwrap().call(request(Some(&cookie))).await.unwrap();
    assert_eq!(response.body(), "hello 2");
    assert_eq!(response.headers()["vary"], "Cookie");
}

#[tokio::test]
async fn a_service_that_fails_saves_nothing_and_its_error_passes() {
    let (watch, stage) = (Watch::new(), Stage::memory());
    let fails = service_fn(async |request: Request<String>| {
        count(request).await.unwrap();
        Err::<Response<String>, _>("out of paper")
    });
    let service = ServiceBuilder::new().layer(stage.layer().build().unwrap()).service(fails);
    assert_eq!(service.oneshot(request(None)).await.unwrap_err(), "out of paper");
    assert!(stage.records().await.is_empty());
    assert_eq!(watch.events("WARN", "a request ended before its response"), 1);
}

#[tokio::test]
async fn a_failing_store_is_an_empty_body_of_the_services_own_kind() {
    let (stage, faults) = Stage::memory().faulty();
    faults.fail(sessile_testkit::Op::Save);
    let service =
        ServiceBuilder::new().layer(stage.layer().build().unwrap()).service(service_fn(count));
    let response = service.oneshot(request(None)).await.unwrap();
    assert_eq!((response.status().as_u16(), response.body().as_str()), (503, ""));
    assert_eq!(cookie(&response), None);
}

#[tokio::test]
async fn a_body_need_be_neither_clone_nor_send() {
    use std::rc::Rc;

    let stage = Stage::memory();
    let echo = service_fn(async |request: Request<Rc<str>>| {
        Ok::<_, Infallible>(Response::new(request.into_body().len().to_string()))
    });
    let service = ServiceBuilder::new().layer(stage.layer().build().unwrap()).service(echo);
    let response = service.oneshot(Request::new(Rc::from("four"))).await.unwrap();
    assert_eq!(response.body(), "4");
}

#[tokio::test]
async fn a_session_that_outlives_its_request_is_committed_as_any_other() {
    let kept = Mutex::new(Vec::new());
    let (stage, alone) = (Stage::memory(), Stage::memory());
    let keeps = service_fn(async |request: Request<String>| {
        let handle = request.extensions().get::<SessionHandle>().unwrap();
        let session = handle.load().await.unwrap();
        kept.lock().unwrap().push(session);
        count(request).await
    });
    let layer =
        |stage: &Stage| stage.layer().with_id_generator(CountingIds::default()).build().unwrap();
    let mut shared = ServiceBuilder::new().layer(layer(&stage)).service(keeps);
    let mut unshared = ServiceBuilder::new().layer(layer(&alone)).service(service_fn(count));
    let mut sent = None;
    for _ in 0..2 {
        let one = shared.ready().await.unwrap().call(request(sent.as_deref())).await.unwrap();
        let other = unshared.ready().await.unwrap().call(request(sent.as_deref())).await.unwrap();
        assert_eq!((one.headers(), one.body()), (other.headers(), other.body()));
        assert_eq!(stage.records().await, alone.records().await);
        sent = sent.or(cookie(&one));
    }
}

#[test]
fn a_handle_that_comes_back_uncommitted_still_knows_the_layer_around_it() {
    let secrets = Secrets::new([SECRET]).unwrap();
    let begin = |name: &str| {
        let builder = Builder::<Sessions>::new(ReferenceStore::new(), secrets.clone());
        let sessions = builder.with_name(name).with_save_uninitialized(true).build().unwrap();
        sessions.begin_whole(&request(None), "/").unwrap()
    };
    let handle = begin("admin").unwrap().inside(begin("site"));
    let handle = handle.commit_at_once(&mut HeaderMap::new()).unwrap_err();
    assert!(handle.named("site").is_some());
}
