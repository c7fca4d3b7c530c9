//! tower-sessions with its stores for Redis (on fred) and PostgreSQL (on sqlx).

use axum::Router;
use axum::routing::get;
use bench_report::record;
use time::Duration;
use tower_sessions::cookie::Key;
use tower_sessions::{Expiry, Session, SessionManagerLayer, SessionStore};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike as _, Config, Pool};
use tower_sessions_sqlx_store::PostgresStore;
use tower_sessions_sqlx_store::sqlx::postgres::PgPoolOptions;

use super::{CONNECTIONS, DAY_SECONDS, SECRET};
use crate::Outcome;

/// As many as its documentation shows.
const CLIENTS: usize = 6;

pub(super) async fn redis(url: &str, always_save: bool) -> Outcome<Router> {
    let pool = Pool::new(Config::from_url(url)?, None, None, None, CLIENTS)?;
    pool.connect();
    pool.wait_for_connect().await?;
    Ok(router(RedisStore::new(pool), always_save))
}

pub(super) async fn postgres(url: &str, always_save: bool) -> Outcome<Router> {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(url).await?;
    let store = PostgresStore::new(pool);
    store.migrate().await?;
    Ok(router(store, always_save))
}

fn router<S: SessionStore + Clone>(store: S, always_save: bool) -> Router {
    let expiry = Expiry::OnInactivity(Duration::seconds(DAY_SECONDS.into()));
    let layer = SessionManagerLayer::new(store)
        .with_secure(false)
        .with_expiry(expiry)
        .with_always_save(always_save)
        .with_signed(Key::from(SECRET.as_bytes()));
    Router::new()
        .route("/seed", get(seed))
        .route("/read", get(read))
        .route("/count", get(count))
        .layer(layer)
}

async fn read(session: Session) -> String {
    let name = session.get("username").await.expect("the server answers");
    name.expect("it was seeded")
}

async fn count(session: Session) -> String {
    let views = session.get::<u64>("views").await.expect("the server answers");
    let views = views.expect("it was seeded") + 1;
    session.insert("views", views).await.expect("a number is JSON");
    views.to_string()
}

async fn seed(session: Session) -> &'static str {
    for (key, value) in record::values_beside_expiry() {
        session.insert(key, value).await.expect("it is JSON");
    }
    "ok"
}
