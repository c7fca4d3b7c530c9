//! Sessile with its memory store.

use std::hint::black_box;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use sessile::stores::MemoryStore;
use sessile::{CookieOptions, Error, Secrets, Session, SessionLayer, SessionStore};

use bench_report::record;

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);

/// With the default options: the cookie lives as long as the browser.
pub(super) fn router() -> Router {
    forever_router_over(MemoryStore::new())
}

/// The cookie lives for a day, so that every request prolongs the session.
pub(super) fn touched_router() -> Router {
    let layer = SessionLayer::builder(MemoryStore::new(), secrets());
    routes().layer(layer.with_cookie(a_day()).build().expect("the options are fine"))
}

/// The cookie lives for a day, and the session is prolonged at most once a minute.
pub(super) fn spared_router() -> Router {
    router_over(MemoryStore::new())
}

/// The same over any store.
pub fn router_over(store: impl SessionStore) -> Router {
    let layer = SessionLayer::builder(store, secrets()).with_touch_after(MINUTE);
    routes().layer(layer.with_cookie(a_day()).build().expect("the options are fine"))
}

/// Over any store, with a cookie that lives as long as the browser.
pub fn forever_router_over(store: impl SessionStore) -> Router {
    routes().layer(SessionLayer::new(store, secrets()))
}

fn a_day() -> CookieOptions {
    CookieOptions::default().with_max_age(DAY)
}

fn secrets() -> Secrets {
    Secrets::new(["thirty-two bytes that nobody knows"]).expect("it is no empty secret")
}

fn routes() -> Router {
    Router::new()
        .route("/page", get(|| async { "ok" }))
        .route("/read", get(read))
        .route("/count", get(count))
        .route("/create", get(create))
        .route("/seed", get(seed))
}

async fn read(session: Session) -> Result<&'static str, Error> {
    let name: Option<String> = session.get("username")?;
    black_box(name.expect("it was seeded"));
    Ok("ok")
}

async fn count(session: Session) -> Result<&'static str, Error> {
    let views = session.update("views", |n: Option<u64>| n.expect("it was seeded") + 1)?;
    black_box(views);
    Ok("ok")
}

async fn create(session: Session) -> Result<&'static str, Error> {
    session.insert("userID", 471_100)?;
    Ok("ok")
}

async fn seed(session: Session) -> Result<&'static str, Error> {
    for (key, value) in record::values() {
        session.insert(key, value)?;
    }
    Ok("ok")
}
