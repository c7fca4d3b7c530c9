//! The verbs of a session, as a handler uses them.

use axum::{Router, routing::get};
use serde_json::{Value, json};
use sessile::{Error, ErrorKind, Session, SessionKey, SessionStore};
use sessile_testkit::Op;

use crate::client::{Client, app};
use crate::stage::Stage;

over_every_store! {
    keys_come_in_the_order_of_javascript,
    a_save_in_the_middle_of_a_request_is_durable_at_once,
    a_regenerated_session_is_new_and_empty,
    a_cycled_session_keeps_its_data,
    clear_removes_the_values_and_keeps_the_session,
    an_update_sees_the_value_before_it,
    resave_saves_what_nobody_changed,
    save_uninitialized_stores_newcomers,
}

/// Runs `handler` at `/` of an application that can do everything else too.
macro_rules! client_with {
    ($stage:expr, $handler:expr) => {
        Client::new(
            Router::new()
                .route("/", get($handler))
                .merge(app())
                .layer($stage.layer().build().unwrap()),
        )
    };
}

async fn keys_come_in_the_order_of_javascript(stage: Stage) {
    let client = client_with!(stage, async |session: Session| {
        for key in ["b", "10", "a", "9", "01", "-1", "b"] {
            session.insert(key, key)?;
        }
        assert_eq!(session.keys(), ["9", "10", "b", "a", "01", "-1"]);
        assert!(session.remove("b")?);
        assert!(!session.remove("b")?);
        assert!(session.contains_key("9") && !session.contains_key("b"));
        session.insert("b", 1)?;
        Ok::<_, Error>(())
    });
    client.get("/").await.ok();
    let all = client.get("/all").await.ok().body;
    assert_eq!(all, r#"{"9":"9","10":"10","a":"a","01":"01","-1":"-1","b":1}"#);
}

#[tokio::test]
async fn values_are_what_was_put_in() {
    const USER: SessionKey<u64> = SessionKey::new("userID");
    let stage = Stage::memory();
    let client = client_with!(stage, async |session: Session| {
        let existing = session.get::<String>("text")?.is_some();
        if !existing {
            session.insert(USER, u64::MAX)?;
            session.insert("text", "snow\u{2603}man \u{1F980} \u{2028} \" \\ \u{0}")?;
            session.insert("list", vec![Some(1), None])?;
            session.insert("nothing", ())?;
            session.insert("float", 0.1 + 0.2)?;
            session.insert(&String::from("owned"), true)?;
        }
        assert_eq!(session.get(USER)?, Some(u64::MAX));
        assert_eq!(session.get::<u64>("userID")?, Some(u64::MAX));
        assert_eq!(
            session.get::<String>("text")?.unwrap(),
            "snow\u{2603}man \u{1F980} \u{2028} \" \\ \u{0}"
        );
        assert_eq!(session.get::<Vec<Option<u8>>>("list")?, Some(vec![Some(1), None]));
        assert_eq!(session.get::<Option<u8>>("nothing")?, Some(None));
        assert_eq!(session.get::<f64>("float")?, Some(0.1 + 0.2));
        assert_eq!(session.get::<bool>("owned")?, Some(true));
        assert_eq!(session.get::<bool>("missing")?, None);
        assert_eq!(session.get::<bool>("text").unwrap_err().kind(), ErrorKind::Decode);
        Ok::<_, Error>(())
    });
    client.get("/").await.ok();
    client.get("/").await.ok();
    assert_eq!(client.get("/all").await.json()["userID"], json!(u64::MAX));
}

#[tokio::test]
async fn new_and_modified_say_what_they_mean() {
    let stage = Stage::memory();
    let client = client_with!(stage, async |session: Session| {
        let is_new = session.is_new();
        assert!(!session.is_modified());
        session.insert("a", 1)?;
        assert_eq!(session.is_modified(), is_new, "it is so already, the second time");
        session.insert("b", 1)?;
        assert!(session.is_modified());
        session.remove("b")?;
        assert_eq!(session.is_modified(), is_new, "what was undone is no change");
        assert_eq!(session.is_new(), is_new);
        assert!(!session.is_destroyed() && !session.is_read_only());
        Ok::<_, Error>(is_new.to_string())
    });
    assert_eq!(client.get("/").await.ok().body, "true");
    assert_eq!(client.get("/").await.ok().body, "false");
}

async fn a_save_in_the_middle_of_a_request_is_durable_at_once(stage: Stage) {
    let client = client_with!(stage, {
        let store = stage.store.clone();
        async move |session: Session| {
            session.insert("a", 1)?;
            session.save().await?;
            let stored = store.load(&session.id()?).await?.unwrap();
            let values: Value = serde_json::from_str(&stored.text).unwrap();
            assert_eq!(values["a"], 1);
            session.insert("b", 2)?;
            Ok::<_, Error>(())
        }
    });
    for _ in 0..2 {
        client.get("/").await.ok();
        assert_eq!(client.get("/all").await.json(), json!({ "a": 1, "b": 2 }));
        client.get("/clear").await.ok();
    }
    assert_eq!(stage.records().await.len(), 1);
}

async fn a_regenerated_session_is_new_and_empty(stage: Stage) {
    let client = client_with!(stage, async |session: Session| {
        let old = session.id()?;
        session.insert("planted", 1)?;
        session.cookie().set_max_age(Some(std::time::Duration::from_secs(5)))?;
        session.regenerate().await?;
        assert_ne!(session.id()?, old);
        assert!(session.is_new() && session.is_modified() && session.keys().is_empty());
        assert_eq!(session.cookie().max_age(), None);
        session.insert("fresh", 1)
    });
    client.get("/set/a/1").await.ok();
    let old = client.id();
    client.get("/").await.ok();
    assert_ne!(client.id(), old);
    assert!(!stage.lives(&old).await);
    assert_eq!(client.get("/all").await.json(), json!({ "fresh": 1 }));
    assert_eq!(stage.records().await.len(), 1);
}

async fn a_cycled_session_keeps_its_data(stage: Stage) {
    let client = client_with!(stage, async |session: Session| {
        session.insert("b", 2)?;
        for _ in 0..3 {
            let old = session.id()?;
            session.cycle_id().await?;
            assert_ne!(session.id()?, old);
        }
        session.save().await?;
        session.insert("c", 3)?;
        Ok::<_, Error>(session.id()?.as_str().to_owned())
    });
    client.get("/set/a/1").await.ok();
    let old = client.id();
    let new = client.get("/").await.ok().body;
    assert_eq!(client.id().as_str(), new);
    assert!(!stage.lives(&old).await);
    assert_eq!(stage.records().await.len(), 1);
    assert_eq!(client.get("/all").await.json(), json!({ "a": "1", "b": 2, "c": 3 }));
}

async fn clear_removes_the_values_and_keeps_the_session(stage: Stage) {
    let client = stage.client();
    client.get("/set/a/1").await.ok();
    let id = client.id();
    client.get("/clear").await.ok();
    assert_eq!(client.get("/all").await.json(), json!({}));
    assert_eq!(client.id(), id);
    assert!(stage.lives(&id).await);
}

async fn an_update_sees_the_value_before_it(stage: Stage) {
    let client = client_with!(stage, async |session: Session| {
        assert_eq!(session.update("n", |n: Option<u8>| n.map_or(1, |n| n * 2))?, 1);
        assert_eq!(session.update("n", |n: Option<u8>| n.map_or(1, |n| n * 2))?, 2);
        session.insert("n", 10)?;
        assert_eq!(session.update("n", |n: Option<u8>| n.map_or(1, |n| n * 2))?, 20);
        session.remove("n")?;
        assert_eq!(session.update("n", |n: Option<u8>| n.map_or(1, |n| n * 2))?, 1);
        Ok::<_, Error>(())
    });
    client.get("/").await.ok();
    assert_eq!(client.get("/all").await.json(), json!({ "n": 1 }));
}

#[tokio::test]
async fn after_destroy_there_is_nothing_to_have() {
    let stage = Stage::memory();
    let client = client_with!(stage, async |session: Session| {
        session.destroy().await?;
        assert!(session.is_destroyed());
        assert_eq!(session.get::<u8>("a")?, None);
        assert_eq!(session.cookie().expires(), None);
        assert_eq!(session.id().unwrap_err().kind(), ErrorKind::Gone);
        for error in [
            session.insert("a", 1).unwrap_err(),
            session.save().await.unwrap_err(),
            session.reload().await.unwrap_err(),
            session.touch().await.unwrap_err(),
            session.cycle_id().await.unwrap_err(),
            session.clear().unwrap_err(),
            session.unset().unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Gone);
        }
        session.destroy().await?;
        session.regenerate().await?;
        session.insert("again", true)
    });
    client.get("/set/a/1").await.ok();
    client.get("/").await.ok();
    assert_eq!(client.get("/all").await.json(), json!({ "again": true }));
}

async fn resave_saves_what_nobody_changed(stage: Stage) {
    let (stage, faults) = stage.faulty();
    let client = Client::of(stage.layer().with_resave(true).build().unwrap());
    client.get("/read").await.ok();
    assert_eq!(faults.calls(Op::Save), 0);
    client.get("/set/a/1").await.ok();
    for path in ["/read", "/asset/1"] {
        let before = faults.calls(Op::Save);
        client.get(path).await.ok();
        assert_eq!(faults.calls(Op::Save), before + 1, "{path}");
    }
}

async fn save_uninitialized_stores_newcomers(stage: Stage) {
    let client = Client::of(stage.layer().with_save_uninitialized(true).build().unwrap());
    assert!(client.get("/asset/1").await.ok().session_cookie().is_some());
    assert_eq!(stage.records().await.len(), 1);
    assert_eq!(client.get("/asset/1").await.ok().session_cookie(), None);
    client.get("/count").await.ok();
    assert_eq!(stage.records().await.len(), 1);
}

#[tokio::test]
async fn a_new_session_that_is_destroyed_or_emptied_leaves_nothing() {
    let (stage, faults) = Stage::memory().faulty();
    let client = client_with!(stage, async |session: Session| {
        session.insert("a", 1)?;
        session.remove("a")?;
        Ok::<_, Error>(())
    });
    for path in ["/", "/destroy", "/unset", "/clear", "/touch", "/max-age/5"] {
        assert_eq!(client.get(path).await.ok().session_cookie(), None, "{path}");
    }
    assert_eq!(faults.round_trips(), 0);
}
