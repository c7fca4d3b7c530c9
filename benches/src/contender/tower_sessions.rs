//! tower-sessions with its own `MemoryStore`, plain and with signed cookies.

use std::hint::black_box;

use axum::Router;
use axum::routing::get;
use tower_sessions::cookie::Key;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

use bench_report::record;

pub fn router() -> Router {
    routes().layer(SessionManagerLayer::new(MemoryStore::default()))
}

pub fn signed_router() -> Router {
    let layer = SessionManagerLayer::new(MemoryStore::default());
    routes().layer(layer.with_signed(Key::from(&[7; 64])))
}

fn routes() -> Router {
    Router::new()
        .route("/page", get(|| async { "ok" }))
        .route("/read", get(read))
        .route("/count", get(count))
        .route("/create", get(create))
        .route("/seed", get(seed))
}

async fn read(session: Session) -> &'static str {
    let name = session.get::<String>("username").await.expect("memory does not fail");
    black_box(name.expect("it was seeded"));
    "ok"
}

async fn count(session: Session) -> &'static str {
    let views = session.get::<u64>("views").await.expect("memory does not fail");
    let views = views.expect("it was seeded") + 1;
    session.insert("views", views).await.expect("memory does not fail");
    black_box(views);
    "ok"
}

async fn create(session: Session) -> &'static str {
    session.insert("userID", 471_100).await.expect("memory does not fail");
    "ok"
}

async fn seed(session: Session) -> &'static str {
    for (key, value) in record::values() {
        session.insert(key, value).await.expect("memory does not fail");
    }
    "ok"
}
