//! Sessile with its stores for Redis and PostgreSQL.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bench_report::record;
use sessile::stores::{PostgresStore, RedisStore};
use sessile::{CookieOptions, Error, Secrets, Session, SessionLayer, SessionStore};

use super::{DAY_SECONDS, SECRET};
use crate::Outcome;

const MINUTE: Duration = Duration::from_secs(60);

/// More than there are.
const CACHED: usize = 10_000;

/// When a session that is only read is prolonged.
#[derive(Clone, Copy)]
pub(super) enum Touch {
    AfterAMinute,
    EachTime,
}

pub(super) async fn redis(url: &str, touch: Touch) -> Outcome<Router> {
    router(RedisStore::connect(url).await?, touch)
}

/// Redis tells this process when a session changes, so that most reads ask it nothing.
pub(super) async fn cached_redis(url: &str) -> Outcome<Router> {
    let store = RedisStore::builder(url).with_client_cache(CACHED).connect().await?;
    router(store, Touch::AfterAMinute)
}

pub(super) async fn postgres(url: &str, touch: Touch) -> Outcome<Router> {
    router(PostgresStore::connect(url).await?, touch)
}

fn router(store: impl SessionStore, touch: Touch) -> Outcome<Router> {
    let day = Duration::from_secs(DAY_SECONDS.into());
    let layer = SessionLayer::builder(store, Secrets::new([SECRET])?)
        .with_cookie(CookieOptions::default().with_max_age(day));
    let layer = match touch {
        Touch::AfterAMinute => layer.with_touch_after(MINUTE),
        Touch::EachTime => layer,
    };
    Ok(Router::new()
        .route("/seed", get(seed))
        .route("/read", get(read))
        .route("/count", get(count))
        .layer(layer.build()?))
}

async fn read(session: Session) -> Result<String, Error> {
    Ok(session.get("username")?.expect("it was seeded"))
}

async fn count(session: Session) -> Result<String, Error> {
    let views = session.update("views", |n: Option<u64>| n.expect("it was seeded") + 1)?;
    Ok(views.to_string())
}

async fn seed(session: Session) -> Result<&'static str, Error> {
    for (key, value) in record::values_beside_expiry() {
        session.insert(key, value)?;
    }
    Ok("ok")
}
