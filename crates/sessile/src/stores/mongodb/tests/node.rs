//! Documents of `connect-mongo`, read and written.

use serde_json::Value;

use super::*;
use crate::stores::instant::to_millis;

/// What the package wrote: its version and options, and ours that fit.
const GOLDEN: [(&str, MongoLayout); 6] = [
    ("connect-mongo@5.1.0", MongoLayout::Text),
    ("connect-mongo@5.1.0 stringify=false", MongoLayout::Objects),
    ("connect-mongo@6.0.0", MongoLayout::Text),
    ("connect-mongo@6.0.0 stringify=false", MongoLayout::Objects),
    ("connect-mongo@6.0.0 timestamps", MongoLayout::Text),
    ("connect-mongo@6.0.0 touchAfter=5", MongoLayout::Text),
];

fn vectors(store: &str) -> Vec<Value> {
    let all = include_str!("../../../../../../fixtures/express/vectors.json");
    let mut all: Value = serde_json::from_str(all).unwrap();
    let records = all["store_records"].as_array_mut().unwrap();
    records.retain(|vector| vector["store"] == store);
    assert_eq!(records.len(), 2, "{store}");
    std::mem::take(records)
}

fn golden(vector: &Value, moment: &str) -> RawDocumentBuf {
    let hex = vector[moment][0]["bsonHex"].as_str().unwrap();
    let byte = |n: usize| u8::from_str_radix(&hex[n..n + 2], 16).unwrap();
    RawDocumentBuf::from_bytes((0..hex.len()).step_by(2).map(byte).collect()).unwrap()
}

/// Returns the record's text, which is the same in all the options.
fn text_of(scenario: &Value) -> String {
    let vectors = vectors("connect-mongo@6.0.0");
    let vector = vectors.iter().find(|vector| vector["scenario"] == *scenario).unwrap();
    golden(vector, "afterSet").get_str("session").unwrap().to_owned()
}

fn sid(document: &RawDocumentBuf) -> &str {
    document.get_str("_id").unwrap()
}

async fn fixture(store: &str, layout: MongoLayout) -> Fixture {
    Fixture::with(|builder| match store.contains("touchAfter") {
        true => builder.with_layout(layout).with_last_modified(),
        false => builder.with_layout(layout),
    })
    .await
}

#[tokio::test]
async fn sessions_of_connect_mongo_are_read() {
    for (store, layout) in GOLDEN {
        let fixture = fixture(store, layout).await;
        for vector in vectors(store) {
            for moment in ["afterSet", "afterTouch"] {
                let document = golden(&vector, moment);
                fixture.store.clear().await.unwrap();
                fixture.raw.insert_one(&document).await.unwrap();
                let stored = fixture.store.load(&id(sid(&document))).await.unwrap().unwrap();
                assert_eq!(*stored.text, text_of(&vector["scenario"]), "{store} {moment}");
                let expires = document.get_datetime("expires").unwrap().timestamp_millis();
                assert_eq!(to_millis(stored.expires.unwrap()), expires, "{store} {moment}");
            }
        }
    }
}

#[tokio::test]
async fn documents_are_written_as_connect_mongo_writes_them() {
    for (store, layout) in GOLDEN.into_iter().filter(|(store, _)| !store.contains("timestamps")) {
        let fixture = fixture(store, layout).await;
        for vector in vectors(store) {
            let expected = golden(&vector, "afterSet");
            let (sid, record) = (sid(&expected), Record::parse(text_of(&vector["scenario"])));
            let record = record.unwrap();
            for when in [Precondition::Absent, Precondition::None] {
                fixture.set_clock(NOW);
                fixture.store.clear().await.unwrap();
                version(fixture.store.save(&id(sid), &record, when).await.unwrap());
                assert_eq!(fixture.document(sid).await.unwrap(), expected, "{store} {when:?}");
            }

            fixture.set_clock(NOW + 10_250);
            let expires = record.cookie().expires().map(|_| NOW + 10_250 + 3_600_000);
            assert!(fixture.store.touch(&id(sid), &cookie(expires), None).await.unwrap());
            let expected = golden(&vector, "afterTouch");
            assert_eq!(fixture.document(sid).await.unwrap(), expected, "{store}, touched");
        }
    }
}

#[tokio::test]
async fn timestamps_of_connect_mongo_stay_as_they_are() {
    let fixture = Fixture::new().await;
    for vector in vectors("connect-mongo@6.0.0 timestamps") {
        let before = golden(&vector, "afterSet");
        fixture.store.clear().await.unwrap();
        fixture.raw.insert_one(&before).await.unwrap();
        let sid = sid(&before);
        let loaded = fixture.store.load(&id(sid)).await.unwrap().unwrap();
        let when = Precondition::Unchanged(&loaded.version);
        let saved = fixture.store.save(&id(sid), &record(NOW + DAY, r#""n":1"#), when).await;
        version(saved.unwrap());
        assert!(fixture.store.touch(&id(sid), &cookie(None), None).await.unwrap());
        let after = fixture.document(sid).await.unwrap();
        for key in ["createdAt", "updatedAt"] {
            assert_eq!(after.get_datetime(key).unwrap(), before.get_datetime(key).unwrap());
        }
    }
}

#[tokio::test]
async fn a_new_session_has_nothing_of_the_dead_one_before_it() {
    let fixture = Fixture::new().await;
    let dead = doc! { "_id": "a", "expires": date(NOW), "session": "{}", "createdAt": date(0) };
    fixture.put(dead).await;
    fixture.create("a", &record(NOW + DAY, r#""n":1"#)).await;
    assert!(fixture.document("a").await.unwrap().get("createdAt").unwrap().is_none());
}

#[tokio::test]
async fn a_document_without_expiry_never_ends() {
    let fixture = Fixture::new().await;
    let record = record(NOW, r#""n":1"#);
    fixture.put(doc! { "_id": "a", "session": &**record.text() }).await;
    fixture.set_clock(NOW + 1000 * DAY);
    let loaded = fixture.store.load(&id("a")).await.unwrap().unwrap();
    assert_eq!((&loaded.text, loaded.expires), (record.text(), None));
    assert_eq!(fixture.store.length().await.unwrap(), 1);
    assert_eq!(fixture.store.purge_expired().await.unwrap(), 0);
    let colliding = fixture.store.save(&id("a"), &record, Precondition::Absent).await.unwrap();
    assert_eq!(colliding, Saved::Conflict);
    assert!(fixture.store.destroy(&id("a")).await.unwrap());
}
