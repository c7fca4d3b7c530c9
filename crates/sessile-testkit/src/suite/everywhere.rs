//! What holds for every operation: ids, records, default lifetimes, and silence.

use std::time::Duration;

use sessile_core::{
    AnyStore, Capability, Precondition, Record, Saved, SessionId, SessionStore, StoreErrorKind,
};

use super::steps::{create, living, says};
use super::{Outcome, Subject};

/// Ids that a database, a file system, a pattern or a careless comparison would change or
/// take for each other.
#[rustfmt::skip] // one id a line says no more
const ODD_IDS: &[&str] = &[
    " ", "0", "1", "01", "1.0", "1e0", "-1", "null", "undefined", "true", ":memory:", "__proto__",
    "a", "A", "a ", " a", "a\t", "a\n", "a\r\n", "a\u{7f}", "\u{feff}a", "ä", "a\u{308}", "Ä",
    "ss", "ß", "ﬀ", "ff", "İ", "i", "🦀", "\u{10ffff}", "%", "_", "a%", "a_", "*", "?", "[a]", "a*",
    "%61", "a%00", "'", "\"", "`", "\\", "\\\\", "a'--", "a\"; DROP TABLE sessions", ".", "..",
    "../a", "/", "a/b", "a\\b", "a.json", "$", "$gt", "{\"$gt\":\"\"}", "a.b", "a$b", ":", "a:",
    "sess:a", "s:a",
];

/// Ids that some backends cannot hold at all. A store may refuse to save one, but may not
/// take it for another.
fn extreme_ids() -> impl Iterator<Item = String> {
    let long = "x".repeat(8192);
    let longer = ["y", "z"].map(|end| format!("{long}{end}"));
    ["", "\0", "a\0", "a\0b"].map(String::from).into_iter().chain([long]).chain(longer)
}

pub(super) async fn ids_are_compared_exactly(on: Subject) -> Outcome {
    let mut saved = Vec::new();
    for (n, id) in (0..).zip(ODD_IDS.iter().copied().map(SessionId::new)) {
        assert_unknown(&on, on.store(), &id).await?;
        create(on.store(), &id, &on.record(n)).await?;
        saved.push((id, n));
    }
    for (n, id) in (1000..).zip(extreme_ids().map(SessionId::new)) {
        assert_unknown(&on, on.other(), &id).await?;
        match on.store().save(&id, &on.record(n), Precondition::Absent).await {
            Ok(outcome) => {
                super::steps::version(outcome)?;
                saved.push((id, n));
            }
            Err(error) if error.kind() == StoreErrorKind::Failed => {
                assert_unknown(&on, on.store(), &id).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }

    for (id, n) in &saved {
        assert_eq!(says(on.other(), id).await?, Some(*n), "{}", id.as_str().escape_debug());
    }
    let (gone, left): (Vec<_>, Vec<_>) = saved.into_iter().partition(|(_, n)| n % 2 == 0);
    for (id, _) in &gone {
        assert!(on.other().destroy(id).await?, "{}", id.as_str().escape_debug());
    }
    for (id, n) in &left {
        assert_eq!(says(on.store(), id).await?, Some(*n), "{}", id.as_str().escape_debug());
    }
    for (id, _) in &gone {
        assert_unknown(&on, on.store(), id).await?;
    }
    Ok(())
}

/// Asserts that an id is unknown, and that asking for it is no error.
async fn assert_unknown(on: &Subject, store: &AnyStore, id: &SessionId) -> Outcome {
    let name = id.as_str().chars().take(50).collect::<String>();
    assert!(store.load(id).await?.is_none(), "{name:?} is taken for another id");
    let cookie = on.cookie(Some(on.now() + on.short()));
    assert!(!store.touch(id, &cookie, None).await?, "{name:?} is taken for another id");
    assert!(!store.destroy(id).await?, "{name:?} is taken for another id");
    let replaced = store.save(id, &on.record(0), Precondition::Exists).await?;
    assert_eq!(replaced, Saved::Gone, "{name:?} is taken for another id");
    Ok(())
}

/// What a JSON parser, a database or a number type would write another way.
const ODD_MEMBERS: &[&str] = &[
    r#""big":12345678901234567890,"bigger":123456789012345678901234567890"#,
    r#""float":1.50,"zero":-0,"tiny":1e-400,"huge":1E+400,"hundred":1e2"#,
    r#""z":1,"a":2,"10":3,"2":4,"B":5"#,
    r#""same":1,"same":2"#,
    r#""lone":"\ud800","swapped":"\udc00\ud83d","pair":"\ud83e\udd80","nul":"\u0000""#,
    r#""escaped":"\u0041\/\b\f\n\r\t\"\\","raw":"/""#,
    "\"text\":\"\u{7f}\u{2028}\u{2029}\u{feff}äa\u{308}🦀\u{10ffff}\"",
    "\"quotes\":\"' '' ` $1 ? ?1 :a @a %s %d {} \\\\ -- /* */ ;\"",
    r#""__proto__":{"admin":true},"constructor":null,"$gt":1,"a.b":2,"":3,"_id":4,"__lastAccess":5"#,
    " \"spaces\" :\t[ 1 ,\n2 , { } ]\r\n ",
    r#""id":"x","save":1,"version":2,"expires":3,"null":null,"empty":"","none":[]"#,
];

pub(super) async fn records_survive_byte_for_byte(on: Subject) -> Outcome {
    let expires = Some(on.now() + Duration::from_secs(7200));
    let deep = format!(r#""deep":{}{}"#, "[".repeat(100), "]".repeat(100));
    let large = format!(r#""large":"{}""#, "0123456789abcdeé".repeat((1 << 20) / 17 + 1));
    let cookie = on.cookie(expires).to_json();
    let elsewhere = format!("\n{{ \"n\": 1, \"cookie\": {cookie} }}\n");

    let texts = ODD_MEMBERS.iter().map(|members| on.record_of(members, expires));
    let texts = texts.chain([deep, large].map(|members| on.record_of(&members, expires)));
    let texts = texts.chain(Record::parse(elsewhere));
    for (n, record) in (0..).zip(texts) {
        let id = on.id(n);
        let created = create(on.store(), &id, &record).await?;
        assert_same(on.other(), &id, &record).await?;

        // A save over a save, and a rotation, store as faithfully as the first save.
        let saved = on.store().save(&id, &record, Precondition::Unchanged(&created)).await?;
        let saved = super::steps::version(saved)?;
        assert_same(on.store(), &id, &record).await?;
        let to = on.id(format!("{n}-rotated"));
        super::steps::version(on.other().rotate(&id, &to, &record, &saved).await?)?;
        assert_same(on.store(), &to, &record).await?;
    }
    Ok(())
}

async fn assert_same(store: &AnyStore, id: &SessionId, record: &Record) -> Outcome {
    let stored = living(store, id).await?;
    let (before, after) = (record.text(), stored.text);
    let differs = before.bytes().zip(after.bytes()).position(|(a, b)| a != b);
    let differs = differs.unwrap_or(before.len().min(after.len()));
    let around = |text: &str| {
        String::from_utf8_lossy(&text.as_bytes()[differs..]).chars().take(40).collect::<String>()
    };
    assert!(*before == after, "saved {:?}, got {:?}", around(before), around(&after));
    Ok(())
}

pub(super) async fn no_expiry_means_the_default_lifetime(on: Subject) -> Outcome {
    let id = on.id("a");
    let lifetime = on.default_lifetime();
    let due = || lifetime.map(|lifetime| on.now() + lifetime);
    let endless = on.record_of(r#""n":1"#, None);

    let expected = due();
    create(on.store(), &id, &endless).await?;
    on.assert_expiry(living(on.other(), &id).await?.expires, expected);

    // Each touch without an expiry begins it anew, also after one that had an expiry.
    on.reach(on.now() + on.short()).await;
    let expected = due();
    assert!(on.store().touch(&id, &on.cookie(None), None).await?);
    on.assert_expiry(living(on.other(), &id).await?.expires, expected);
    assert!(on.store().touch(&id, &on.cookie(Some(on.now() + on.short())), None).await?);
    let expected = due();
    assert!(on.store().touch(&id, &on.cookie(None), None).await?);
    on.assert_expiry(living(on.other(), &id).await?.expires, expected);

    if on.moves_time() {
        // "For ever" is ten years here.
        let ten_years = Duration::from_secs(10 * 365 * 24 * 3600);
        on.eve_of(on.now() + lifetime.unwrap_or(ten_years));
        on.store().purge_expired().await?;
        assert_eq!(says(on.store(), &id).await?, Some(1), "dropped early");
    }
    if let (true, Some(expected)) = (on.moves_time(), expected) {
        on.reach(expected).await;
        assert!(on.other().load(&id).await?.is_none(), "kept too long");
    }
    Ok(())
}

pub(super) async fn debug_prints_no_secrets(on: Subject) -> Outcome {
    let id = on.id("never-print-this-id");
    let expires = Some(on.now() + Duration::from_secs(7200));
    let record = on.record_of(r#""n":1,"secret":"never-print-this-value""#, expires);
    let saved = on.store().save(&id, &record, Precondition::Absent).await?;
    let stored = living(on.store(), &id).await?;
    let mut said = format!("{:?}{:#?}{saved:?}{stored:?}", on.store(), on.other());
    if on.store().capabilities().contains(&Capability::All) {
        create(on.store(), &on.id("never-print-this-id-either"), &record).await?;
        said += &format!("{:?}", on.store().all(None, 1).await?);
    }
    assert!(!said.contains("never-print-this"), "Debug says too much");
    Ok(())
}
