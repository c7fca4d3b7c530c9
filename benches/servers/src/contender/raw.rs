//! The raw limit: what any session in such a server costs at least.
//!
//! The cookie is the key. It is not verified, the record is not read.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::get;
use bench_report::record;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use tokio_postgres::NoTls;

use super::{CONNECTIONS, DAY_SECONDS, text};
use crate::{Outcome, now};

const NAME: &str = "sid=";
const SELECT: &str = "SELECT sess::text FROM session WHERE sid = $1 AND expire > $2";
const UPDATE: &str = "UPDATE session SET sess = $3::text::json, expire = $2 WHERE sid = $1";
const INSERT: &str = "INSERT INTO session (sid, sess, expire) VALUES ($1, $3::text::json, $2)";

pub(super) async fn redis(url: &str) -> Outcome<Router> {
    let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    Ok(Router::new()
        .route("/seed", get(redis_seed))
        .route("/read", get(redis_read))
        .route("/count", get(redis_count))
        .with_state(connection))
}

async fn redis_read(Key(key): Key, State(mut redis): State<MultiplexedConnection>) -> &'static str {
    let mut getex = redis::cmd("GETEX");
    getex.arg(key).arg("EX").arg(DAY_SECONDS);
    let record: Option<Vec<u8>> = getex.query_async(&mut redis).await.expect("redis answers");
    record.expect("it was seeded");
    "ok"
}

async fn redis_count(
    Key(key): Key,
    State(mut redis): State<MultiplexedConnection>,
) -> &'static str {
    let record: Option<Vec<u8>> = redis.get(&key).await.expect("redis answers");
    redis_save(&mut redis, &key, &record.expect("it was seeded")).await;
    "ok"
}

async fn redis_seed(State(mut redis): State<MultiplexedConnection>) -> impl IntoResponse {
    let key = new_id();
    redis_save(&mut redis, &key, text().as_bytes()).await;
    (AppendHeaders([(SET_COOKIE, format!("{NAME}{key}"))]), "ok")
}

async fn redis_save(redis: &mut MultiplexedConnection, key: &str, record: &[u8]) {
    let mut set = redis::cmd("SET");
    set.arg(key).arg(record).arg("EX").arg(DAY_SECONDS);
    set.query_async::<()>(redis).await.expect("redis answers");
}

pub(super) async fn postgres(url: &str) -> Outcome<Router> {
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(url.parse()?, NoTls, manager);
    let pool = Pool::builder(manager).max_size(CONNECTIONS as usize).build()?;
    Ok(Router::new()
        .route("/seed", get(postgres_seed))
        .route("/read", get(postgres_read))
        .route("/count", get(postgres_count))
        .with_state(pool))
}

async fn postgres_read(Key(key): Key, State(pool): State<Pool>) -> &'static str {
    let client = pool.get().await.expect("postgres lets us in");
    let select = client.prepare_cached(SELECT).await.expect("the statement is right");
    let row = client.query_opt(&select, &[&key, &now()]).await;
    row.expect("postgres answers").expect("it was seeded");
    "ok"
}

async fn postgres_count(Key(key): Key, State(pool): State<Pool>) -> &'static str {
    let client = pool.get().await.expect("postgres lets us in");
    let select = client.prepare_cached(SELECT).await.expect("the statement is right");
    let row = client.query_opt(&select, &[&key, &now()]).await;
    let row = row.expect("postgres answers").expect("it was seeded");
    let record: &str = row.get(0);
    let update = client.prepare_cached(UPDATE).await.expect("the statement is right");
    let updated = client.execute(&update, &[&key, &tomorrow(), &record]).await;
    assert_eq!(updated.expect("postgres answers"), 1);
    "ok"
}

async fn postgres_seed(State(pool): State<Pool>) -> impl IntoResponse {
    let key = new_id();
    let client = pool.get().await.expect("postgres lets us in");
    let insert = client.prepare_cached(INSERT).await.expect("the statement is right");
    client.execute(&insert, &[&key, &tomorrow(), &text()]).await.expect("postgres answers");
    (AppendHeaders([(SET_COOKIE, format!("{NAME}{key}"))]), "ok")
}

fn tomorrow() -> SystemTime {
    now() + std::time::Duration::from_secs(DAY_SECONDS.into())
}

fn new_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    record::id(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What the cookie says.
struct Key(String);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let cookie = parts.headers.get(COOKIE).and_then(|cookie| cookie.to_str().ok());
        Ok(Self(cookie.and_then(|cookie| cookie.strip_prefix(NAME)).unwrap_or_default().into()))
    }
}
