//! Any tower stack over http 1: no axum in sight.

use std::convert::Infallible;

use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response};
use sessile::stores::MemoryStore;
use sessile::{Secrets, SessionHandle, SessionLayer};
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
