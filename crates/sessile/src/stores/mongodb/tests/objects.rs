//! What survives as a BSON object, and what is refused.

use mongodb::bson::{Binary, Bson, Decimal128, oid::ObjectId, spec::BinarySubtype};

use super::*;

/// Saves a record with `members` and returns them as they come back.
async fn round_trip(fixture: &Fixture, members: &str) -> Result<String, StoreError> {
    let record = record(NOW + DAY, members);
    fixture.store.clear().await?;
    fixture.store.save(&id("a"), &record, Precondition::Absent).await?;
    let text = fixture.text("a").await.unwrap();
    let members = text.split_once("},").unwrap().1.strip_suffix('}').unwrap();
    Ok(members.to_owned())
}

#[tokio::test]
async fn values_survive_that_a_json_writer_writes() {
    let fixture = Fixture::objects().await;
    for members in [
        r#""unknown":{"kept":[1,[2,{"deep":null}],true,false]},"empty":{},"none":[],"":"no key""#,
        r#""z":1,"a":2,"10":3,"2":4,"B":5"#,
        r#""big":12345678901234567890,"bigger":123456789012345678901234567890"#,
        r#""id":1152921504606846976,"safe":9007199254740991,"next":9007199254740993"#,
        r#""pi":3.14159,"small":-2147483648,"large":2147483648,"tiny":1e-7,"huge":1e+21"#,
        r#""when":"2024-02-29T12:00:00.000Z","text":"2030-01-02""#,
        r#""text":"\u0000\b\f\n\r\t\u001f\"\\/","raw":"äa\u0308🦀","pair":"🦀""#,
        r#""a.b":1,"a":{"b.c":2},"__proto__":{"admin":true},"_id":3,"expires":4"#,
    ] {
        let back = round_trip(&fixture, members).await.unwrap();
        assert_eq!(back, members.replace("\\u0308", "\u{308}"));
    }
}

#[tokio::test]
async fn what_else_is_json_survives_in_its_value() {
    let fixture = Fixture::objects().await;
    for (members, back) in [
        (r#""float":1.50,"hundred":1e2,"zero":-0"#, r#""float":1.5,"hundred":100,"zero":0"#),
        (r#""same":1,"other":2,"same":3"#, r#""same":3,"other":2"#),
        (" \"spaces\" :\t[ 1 ,\n2 ] ", r#""spaces":[1,2]"#),
        (r#""escaped":"\u0041\/\ud83e\udd80""#, r#""escaped":"A/🦀""#),
    ] {
        assert_eq!(round_trip(&fixture, members).await.unwrap(), back);
    }
}

#[tokio::test]
async fn what_bson_cannot_hold_is_refused_by_name() {
    let fixture = Fixture::objects().await;
    let deep = format!(r#""a":{}{}"#, "[".repeat(150), "]".repeat(150));
    for (members, why) in [
        (r#""lone":"secret\ud800""#, "half of a surrogate pair"),
        (r#""\u0000secret":1"#, "a key contains the character NUL"),
        (r#""a":12345678901234567890123456789012345"#, "a number of more than 34 digits"),
        (&deep, "it is nested too deeply"),
        // MongoDB 4.4, with which this runs: 5.0 takes it.
        (r#""$secret":1"#, "it takes no key that begins with a dollar sign"),
    ] {
        match round_trip(&fixture, members).await {
            Ok(_) => assert!(members.contains('$'), "{members}"),
            Err(error) => {
                assert!(error.to_string().contains(why), "{error}");
                assert!(!format!("{error:?}").contains("secret"), "{error:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_json_lacks_stays_until_somebody_changes_it() {
    let fixture = Fixture::objects().await;
    let binary = Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2, 3] };
    let oid = ObjectId::parse_str("65f1a2b3c4d5e6f708090a0b").unwrap();
    let decimal: Decimal128 = "1.10".parse().unwrap();
    let cart = doc! { "at": date(NOW), "list": [1.0, date(0), 2_i64], "data": &binary };
    let session = doc! {
        "cookie": { "originalMaxAge": Bson::Null, "expires": Bson::Null, "httpOnly": true, "path": "/" },
        "cart": &cart, "oid": oid, "price": decimal, "views": 1,
    };
    fixture.put(doc! { "_id": "a", "expires": date(NOW + DAY), "session": &session }).await;

    let loaded = fixture.store.load(&id("a")).await.unwrap().unwrap();
    let cookie = r#"{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#;
    let text = |list: &str, views: u32| {
        format!(
            r#"{{"cookie":{cookie},"cart":{{"at":"2030-01-02T03:04:05.678Z","list":{list},"data":null}},"oid":"65f1a2b3c4d5e6f708090a0b","price":1.10,"views":{views}}}"#
        )
    };
    let list = r#"[1,"1970-01-01T00:00:00.000Z",2]"#;
    assert_eq!(*loaded.text, text(list, 1));

    let changed = Record::parse(text(list, 2)).unwrap();
    let when = Precondition::Unchanged(&loaded.version);
    let saved = version(fixture.store.save(&id("a"), &changed, when).await.unwrap());
    let mut expected = session.clone();
    expected.insert("views", 2);
    assert_eq!(object(&fixture, "a").await, expected, "all but the counter is as it was");

    // A neighbour in the same list and object changes nothing either; a new id neither.
    let changed = Record::parse(text(r#"[5,"1970-01-01T00:00:00.000Z",2]"#, 2)).unwrap();
    version(fixture.store.rotate(&id("a"), &id("b"), &changed, &saved).await.unwrap());
    expected
        .get_document_mut("cart")
        .unwrap()
        .insert("list", vec![Bson::Int32(5), Bson::DateTime(date(0)), Bson::Int64(2)]);
    assert_eq!(object(&fixture, "b").await, expected);
}

async fn object(fixture: &Fixture, sid: &str) -> Document {
    let document = fixture.document(sid).await.unwrap();
    Document::try_from(document.get_document("session").unwrap()).unwrap()
}

#[tokio::test]
async fn a_blind_save_of_nodes_is_noticed() {
    let fixture = Fixture::objects().await;
    let first = record(NOW + DAY, r#""n":1"#);
    let loaded = fixture.create("a", &first).await;
    let blind = doc! { "$set": { "session.n": 2 } };
    fixture.raw.update_one(doc! { "_id": "a" }, blind).await.unwrap();
    let when = Precondition::Unchanged(&loaded);
    let late = record(NOW + DAY, r#""n":3"#);
    assert_eq!(fixture.store.save(&id("a"), &late, when).await.unwrap(), Saved::Conflict);
}
