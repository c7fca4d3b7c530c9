//! `unset`: what `req.session = null` means, either way.

use axum::{Router, routing::get};
use sessile::{ErrorKind, Session, Unset};
use sessile_testkit::Op;

use crate::client::{Client, NAME, app};
use crate::stage::Stage;

over_every_store! {
    unset_keeps_the_stored_session_and_drops_the_changes,
    unset_destroys_when_told_to,
    a_destroy_that_fails_at_unset_is_an_error,
}

fn router() -> Router {
    let change_and_unset = async |session: Session| {
        session.insert("a", "changed")?;
        session.unset()?;
        assert!(session.is_destroyed());
        assert_eq!(session.get::<String>("a")?, None);
        assert!(session.keys().is_empty());
        assert_eq!(session.insert("a", 1).unwrap_err().kind(), ErrorKind::Gone);
        assert_eq!(session.unset().unwrap_err().kind(), ErrorKind::Gone);
        Ok::<_, sessile::Error>(())
    };
    let unset_and_regenerate = async |session: Session| {
        session.unset()?;
        session.regenerate().await?;
        session.insert("fresh", true)
    };
    Router::new()
        .route("/change-and-unset", get(change_and_unset))
        .route("/unset-and-regenerate", get(unset_and_regenerate))
        .merge(app())
}

fn client(stage: &Stage, unset: Unset) -> Client {
    Client::new(router().layer(stage.layer().with_unset(unset).build().unwrap()))
}

async fn unset_keeps_the_stored_session_and_drops_the_changes(stage: Stage) {
    let client = client(&stage, Unset::Keep);
    client.get("/set/a/1").await.ok();
    for path in ["/change-and-unset", "/unset"] {
        assert_eq!(client.get(path).await.ok().session_cookie(), None);
        assert_eq!(client.get("/all").await.json()["a"], "1");
    }
    let old = client.id();
    client.get("/unset-and-regenerate").await.ok();
    assert!(!stage.lives(&old).await);
    assert_eq!(client.get("/all").await.json(), serde_json::json!({ "fresh": true }));
}

async fn unset_destroys_when_told_to(stage: Stage) {
    let client = client(&stage, Unset::Destroy);
    for path in ["/change-and-unset", "/unset"] {
        client.get("/set/a/1").await.ok();
        let reply = client.get(path).await.ok();
        assert!(reply.session_cookie().unwrap().starts_with("connect.sid=;"), "{reply:?}");
        assert_eq!(client.cookie(NAME), None);
        assert!(stage.records().await.is_empty());
    }
    assert_eq!(client.get("/unset").await.ok().session_cookie(), None, "a newcomer has nothing");
}

async fn a_destroy_that_fails_at_unset_is_an_error(stage: Stage) {
    let (stage, faults) = stage.faulty();
    let client = client(&stage, Unset::Destroy);
    client.get("/set/a/1").await.ok();
    faults.fail(Op::Destroy);
    let reply = client.get("/unset").await;
    assert_eq!((reply.status.as_u16(), reply.session_cookie()), (503, None));
    faults.recover();
    assert_eq!(client.get("/all").await.json()["a"], "1");
}
