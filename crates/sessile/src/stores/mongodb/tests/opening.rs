//! What a connection finds, makes and refuses.

use std::time::Instant;

use mongodb::bson::RawDocument;
use sessile_core::StoreErrorKind;

use super::*;

/// The server looks every second, and the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

async fn indexes(name: &str) -> Vec<Document> {
    let command = doc! { "listIndexes": name };
    let database = raw(name).await.client().default_database().unwrap();
    let reply = database.run_command(command).await.unwrap();
    let batch = reply.get_document("cursor").unwrap().get_array("firstBatch").unwrap().clone();
    batch.into_iter().map(|index| index.as_document().unwrap().clone()).collect()
}

#[tokio::test]
async fn the_ttl_index_is_that_of_connect_mongo() {
    let name = collection();
    for _ in 0..2 {
        builder(&name).connect().await.unwrap();
        let mut found = indexes(&name).await;
        // What has no effect since MongoDB 4.2 newer releases do not keep.
        found[1].remove("background");
        let expected =
            doc! { "v": 2, "key": { "expires": 1 }, "name": "expires_1", "expireAfterSeconds": 0 };
        assert_eq!(found[1..], [expected]);
    }
}

#[tokio::test]
async fn another_index_in_its_place_is_named() {
    let name = collection();
    let database = raw(&name).await.client().default_database().unwrap();
    let other = doc! { "key": { "expires": 1 }, "name": "expires_1", "expireAfterSeconds": 60 };
    let create = doc! { "createIndexes": &name, "indexes": [other] };
    database.run_command(create).await.unwrap();
    let error = builder(&name).connect().await.unwrap_err();
    assert!(error.to_string().contains("another index on `expires`"), "{error}");
    builder(&name).with_auto_remove(MongoAutoRemove::Disabled).connect().await.unwrap();
}

#[tokio::test]
async fn what_is_not_journaled_is_not_called_durable() {
    for (option, durable) in [("", true), ("w=1", true), ("journal=false", false)] {
        let separator = if url().contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}{option}", url());
        let builder = MongoStore::builder(&url).with_collection(collection());
        let capabilities = builder.connect().await.unwrap().capabilities();
        assert_eq!(capabilities.contains(&Capability::Durable), durable, "{option}");
        assert!(capabilities.contains(&Capability::Shared));
    }
}

#[tokio::test]
async fn a_server_that_shall_acknowledge_nothing_is_refused() {
    let error = MongoStore::connect("mongodb://127.0.0.1:1/?w=0").await.unwrap_err();
    assert!(error.to_string().starts_with("with w=0"), "{error}");
}

#[tokio::test]
async fn the_server_removes_what_has_expired() {
    let (name, clock) = (collection(), sessile_core::SystemClock);
    let (store, raw) = (builder(&name).connect().await.unwrap(), raw(&name).await);
    let now = crate::stores::instant::to_millis(sessile_core::Clock::now(&clock));
    for (sid, expires) in [("dies", now + 500), ("lives", now + DAY)] {
        let record = record(expires, r#""n":1"#);
        version(store.save(&id(sid), &record, Precondition::Absent).await.unwrap());
    }
    let started = Instant::now();
    while raw.count_documents(doc! {}).await.unwrap() > 1 {
        assert!(started.elapsed() < PATIENCE, "it is still there");
    }
    assert!(store.load(&id("lives")).await.unwrap().is_some());
}

#[tokio::test]
async fn the_store_removes_what_has_expired_if_it_is_told_to() {
    let interval = MongoAutoRemove::Interval(Duration::from_millis(100));
    let fixture = Fixture::with(|builder| builder.with_auto_remove(interval)).await;
    fixture.create("dies", &record(NOW + 1, r#""n":1"#)).await;
    fixture.set_clock(NOW + 1);
    let started = Instant::now();
    while fixture.document("dies").await.is_some() {
        assert!(started.elapsed() < PATIENCE, "it is still there");
    }
}

#[tokio::test]
async fn a_purge_goes_on_until_nothing_is_left() {
    let fixture = Fixture::new().await;
    let dead = |n: i32| {
        let dead = doc! { "_id": n.to_string(), "expires": date(NOW), "session": "{}" };
        RawDocumentBuf::try_from(&dead).unwrap()
    };
    fixture.raw.insert_many((0..1201).map(dead)).await.unwrap();
    fixture.create("lives", &record(NOW + 1, r#""n":1"#)).await;
    assert_eq!(fixture.store.purge_expired().await.unwrap(), 1201);
    assert_eq!(fixture.raw.count_documents(doc! {}).await.unwrap(), 1);
}

#[tokio::test]
async fn a_client_that_is_there_already_is_taken() {
    let client = mongodb::Client::with_uri_str(url()).await.unwrap();
    let name = collection();
    let builder = MongoStore::from_client(client.clone()).with_collection(&name);
    let store = builder.with_database("elsewhere").connect().await.unwrap();
    assert_eq!(
        format!("{store:?}"),
        format!("MongoStore {{ collection: \"elsewhere.{name}\", .. }}")
    );
    let record = record(NOW + 100 * 365 * DAY, r#""n":1"#);
    version(store.save(&id("a"), &record, Precondition::Absent).await.unwrap());
    let documents = client.database("elsewhere").collection::<RawDocumentBuf>(&name);
    let found = documents.find_one(doc! { "_id": "a" }).await.unwrap();
    assert!(found.is_some_and(|document: RawDocumentBuf| has_session(&document)));
}

fn has_session(document: &RawDocument) -> bool {
    document.get_str("session").is_ok()
}

#[tokio::test]
async fn who_may_not_in_is_told_so_without_the_password() {
    let url = url().replace("mongodb://", "mongodb://admin:hunter2@");
    let error = MongoStore::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Failed);
    assert!(error.to_string().contains("does not accept the url's user or password"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"));
}
