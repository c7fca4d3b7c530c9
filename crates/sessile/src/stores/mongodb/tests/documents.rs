//! Documents that nobody can have meant, and those that are too large.

use std::error::Error as _;

use mongodb::bson::{Bson, oid::ObjectId};
use sessile_core::StoreErrorKind;

use super::*;

#[tokio::test]
async fn what_is_no_session_is_none_and_stays() {
    let text = record(NOW + DAY, r#""n":1"#).text().to_string();
    let wrong_records: [Bson; 4] = [
        7.into(),
        Bson::Null,
        doc! { "cookie": {} }.into(),
        Bson::Array(vec![text.clone().into()]),
    ];
    let wrong_expiries: [Bson; 3] = ["2035-01-01".into(), Bson::Null, (NOW + DAY).into()];
    let fixture = Fixture::new().await;
    let mut count = 0;
    for session in wrong_records {
        count += 1;
        let expires = date(NOW + DAY);
        fixture
            .put(doc! { "_id": count.to_string(), "expires": expires, "session": session })
            .await;
    }
    for expires in wrong_expiries {
        count += 1;
        fixture.put(doc! { "_id": count.to_string(), "expires": expires, "session": &text }).await;
    }
    fixture.put(doc! { "_id": "none", "expires": date(NOW + DAY) }).await;

    for n in 1..=count {
        assert!(fixture.store.load(&id(&n.to_string())).await.unwrap().is_none(), "{n}");
    }
    assert!(fixture.store.load(&id("none")).await.unwrap().is_none());
    assert!(fixture.store.all(None, 100).await.unwrap().sessions.is_empty());
    assert_eq!(fixture.raw.count_documents(doc! {}).await.unwrap(), count + 1, "for a look at");
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_no_session() {
    let fixture = Fixture::new().await;
    let document = doc! { "_id": "a", "expires": date(NOW + DAY), "session": "@@" };
    let mut bytes = RawDocumentBuf::try_from(&document).unwrap().into_bytes();
    let at = bytes.windows(2).position(|two| two == b"@@").unwrap();
    bytes[at] = 0xff;
    fixture.raw.insert_one(RawDocumentBuf::from_bytes(bytes).unwrap()).await.unwrap();
    assert!(fixture.store.load(&id("a")).await.unwrap().is_none());
    assert!(fixture.store.all(None, 10).await.unwrap().sessions.is_empty());
    assert!(fixture.store.destroy(&id("a")).await.unwrap());
}

#[tokio::test]
async fn documents_with_another_kind_of_id_are_nobodys() {
    let fixture = Fixture::new().await;
    let text = record(NOW + DAY, r#""n":1"#).text().to_string();
    for id in [Bson::ObjectId(ObjectId::new()), 7.into(), Bson::Null, doc! { "a": 1 }.into()] {
        fixture.put(doc! { "_id": id, "expires": date(NOW + DAY), "session": &text }).await;
    }
    fixture.create("a", &record(NOW + DAY, r#""n":1"#)).await;
    let page = fixture.store.all(None, 100).await.unwrap();
    assert_eq!((page.sessions.len(), page.next), (1, None));
}

#[tokio::test]
async fn a_record_that_mongodb_cannot_hold_is_said_to_be_too_large() {
    let fixture = Fixture::new().await;
    let of = |megabytes: usize| {
        let filling = "x".repeat(megabytes << 20);
        record(NOW + DAY, &format!(r#""filling":"{filling}""#))
    };
    let error = fixture.store.save(&id("a"), &of(17), Precondition::Absent).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Failed);
    assert!(error.to_string().ends_with("is too large: mongodb keeps 16 MB at most"), "{error}");

    let large = fixture.create("a", &of(9)).await;
    assert_eq!(fixture.text("a").await.unwrap().len() >> 20, 9);
    let when = Precondition::Unchanged(&large);
    let error = fixture.store.save(&id("a"), &of(8), when).await.unwrap_err();
    assert!(error.to_string().contains("which holds both"), "{error}");
    version(fixture.store.save(&id("a"), &of(6), when).await.unwrap());
    version(fixture.store.save(&id("b"), &of(15), Precondition::Absent).await.unwrap());
}

#[tokio::test]
async fn an_error_quotes_no_session() {
    let (fixture, name) = (Fixture::new().await, collection());
    let database = fixture.raw.client().default_database().unwrap();
    database.create_collection(&name).validator(doc! { "never": 1 }).await.unwrap();
    let store = builder(&name).connect().await.unwrap();
    let record = record(NOW + DAY, r#""n":"secret value""#);
    let saved = store.save(&id("secret id"), &record, Precondition::Absent).await;
    let rotated = {
        database.run_command(doc! { "collMod": &name, "validator": {} }).await.unwrap();
        let loaded = store.save(&id("secret id"), &record, Precondition::Absent).await.unwrap();
        let validator = doc! { "never": 1 };
        database.run_command(doc! { "collMod": &name, "validator": validator }).await.unwrap();
        store.rotate(&id("secret id"), &id("secret to"), &record, &version(loaded)).await
    };
    for error in [saved.unwrap_err(), rotated.unwrap_err()] {
        assert_eq!(error.kind(), StoreErrorKind::Failed);
        let source = error.source().unwrap().to_string();
        assert!(source.starts_with("error 121"), "{source}");
        assert!(!format!("{error} {error:?} {source}").contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_session_that_moved_leaves_nothing_to_read() {
    let fixture = Fixture::new().await;
    let loaded = fixture.create("a", &record(NOW + DAY, r#""n":1"#)).await;
    let moved = record(NOW + DAY, r#""n":2"#);
    version(fixture.store.rotate(&id("a"), &id("b"), &moved, &loaded).await.unwrap());
    let left = fixture.document("a").await.unwrap();
    assert_eq!(left, RawDocumentBuf::try_from(&doc! { "_id": "a", "expires": date(0) }).unwrap());
    assert_eq!(fixture.store.purge_expired().await.unwrap(), 1);
    assert_eq!(fixture.store.length().await.unwrap(), 1);
}

#[tokio::test]
async fn a_rotation_that_comes_too_late_leaves_no_copy() {
    let fixture = Fixture::new().await;
    let loaded = fixture.create("a", &record(NOW + DAY, r#""n":1"#)).await;
    let blind = doc! { "$set": { "session": "{\"cookie\":{},\"n\":2}" } };
    fixture.raw.update_one(doc! { "_id": "a" }, blind).await.unwrap();
    let moved = record(NOW + DAY, r#""n":3"#);
    let rotated = fixture.store.rotate(&id("a"), &id("b"), &moved, &loaded).await.unwrap();
    assert_eq!(rotated, Saved::Conflict, "Node saved it");
    assert!(fixture.document("b").await.is_none());
}
