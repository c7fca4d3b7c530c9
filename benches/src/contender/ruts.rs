//! ruts with its in-memory store, which is a bounded `moka` cache, and plain cookies, its default.
//!
//! It keeps each value by itself and has no session to load.

use std::hint::black_box;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use ruts::store::Ttl;
use ruts::store::moka::{MokaStore, MokaStoreBuilder};
use ruts::{CookieOptions, Session, SessionLayer};
use serde_json::Value;
use tower_cookies::CookieManagerLayer;

use bench_report::record;

pub(super) fn router() -> Router {
    let store = Arc::new(MokaStoreBuilder::new().max_capacity(1_000_000).build());
    Router::new()
        .route("/page", get(|| async { "ok" }))
        .route("/read", get(read))
        .route("/count", get(count))
        .route("/create", get(create))
        .route("/seed", get(seed))
        .layer(SessionLayer::new(store).with_cookie_options(CookieOptions::build()))
        .layer(CookieManagerLayer::new())
}

fn day() -> Ttl {
    Ttl::new(86_400).expect("a day is not too long")
}

async fn read(session: Session<MokaStore>) -> &'static str {
    let name = session.get::<String>("username").await.expect("memory does not fail");
    black_box(name.expect("it was seeded"));
    "ok"
}

async fn count(session: Session<MokaStore>) -> &'static str {
    let views = session.get::<u64>("views").await.expect("memory does not fail");
    let views = views.expect("it was seeded") + 1;
    session.set("views", &views, day(), None).await.expect("memory does not fail");
    black_box(views);
    "ok"
}

async fn create(session: Session<MokaStore>) -> &'static str {
    session.set("userID", &471_100, day(), None).await.expect("memory does not fail");
    "ok"
}

async fn seed(session: Session<MokaStore>) -> &'static str {
    for (key, value) in record::values() {
        // Its binary format needs to be told each value's type.
        let set = match &value {
            Value::Number(number) => session.set(key, &number.as_u64(), day(), None).await,
            Value::String(text) => session.set(key, text, day(), None).await,
            other => session.set(key, &other.to_string(), day(), None).await,
        };
        set.expect("memory does not fail");
    }
    "ok"
}
