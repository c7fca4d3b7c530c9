//! What `session-file-store` wrote, and what it makes of what is written here.

use super::*;

const PLAIN: &str = r#"{"cookie":{"originalMaxAge":null,"expires":null},"views":1}"#;
const MINUTE: &str =
    r#"{"cookie":{"originalMaxAge":60000,"expires":"2030-01-02T03:05:05.678Z"},"views":1}"#;

/// The records that `session-file-store` 1.5.0 wrote: without encryption, by scenario.
fn golden() -> Vec<serde_json::Value> {
    let vectors = include_str!("../../../../../../fixtures/express/vectors.json");
    let mut vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    let serde_json::Value::Array(records) = vectors["store_records"].take() else { panic!() };
    records.into_iter().filter(|record| record["store"] == "session-file-store@1.5.0").collect()
}

fn content<'v>(vector: &'v serde_json::Value, when: &str) -> &'v str {
    let files = vector[when].as_object().unwrap();
    files.values().next().unwrap()["content"].as_str().unwrap()
}

#[tokio::test]
async fn files_are_nodes_to_the_byte() {
    const FILE: &str = "Y7tQm0JcVb-1s_2dK9xWzR4hLpN6aGfE.json";
    let vectors = golden();
    assert_eq!(vectors.len(), 2);
    for vector in vectors {
        let on = Fixture::new().await;
        let sid = id(FILE.strip_suffix(".json").unwrap());
        on.write(FILE, content(&vector, "afterSet"));
        let read = on.store.load(&sid).await.unwrap().unwrap();
        let record = record(&read.text);
        assert!(!read.text.contains("__lastAccess"));
        let due = record.cookie().expires().unwrap_or(time(NOW + HOUR));
        assert_eq!(read.expires, Some(due));

        fs::remove_file(on.file(FILE)).unwrap();
        let saved = on.store.save(&sid, &record, Precondition::Absent).await.unwrap();
        assert_eq!(saved, Saved::Saved(read.version));
        assert_eq!(on.read(FILE), content(&vector, "afterSet"));

        on.clock.set(time(NOW + 10_250));
        let mut cookie = record.cookie().clone();
        cookie.touch(on.clock.now());
        assert!(on.store.touch(&sid, &cookie, None).await.unwrap());
        assert_eq!(on.read(FILE), content(&vector, "afterTouch"));
        assert!(on.store.destroy(&sid).await.unwrap());
        assert!(!on.file(FILE).exists());
    }
}

#[tokio::test]
async fn an_access_that_node_keeps_in_the_middle_is_no_part_of_the_session() {
    let on = Fixture::new().await;
    let cookie = r#""cookie":{"originalMaxAge":60000,"expires":"2030-01-02T03:05:05.678Z"}"#;
    for (file, text) in [
        (
            format!(r#"{{{cookie},"views":1,"__lastAccess":{NOW},"user":"a"}}"#),
            format!(r#"{{{cookie},"views":1,"user":"a"}}"#),
        ),
        (format!(r#"{{"__lastAccess":{NOW},{cookie}}}"#), format!("{{{cookie}}}")),
        (format!("{{ {cookie} , \"__lastAccess\" : {NOW} }}\n"), format!("{{ {cookie}  }}\n")),
    ] {
        on.write("a.json", file);
        let stored = on.load("a").await.unwrap();
        assert_eq!(*stored.text, *text);
        assert_eq!(stored.expires, Some(time(NOW + 60_000)));
    }
}

#[tokio::test]
async fn an_access_of_the_applications_own_comes_back() {
    let on = Fixture::new().await;
    for members in [
        r#""__lastAccess":5"#,
        r#""__lastAccess":"never","n":{"__lastAccess":6}"#,
        r#""list":["__lastAccess",{"__lastAccess":7}],"text":"\",\"__lastAccess\":8}""#,
    ] {
        let text = format!(r#"{{"cookie":{{"originalMaxAge":null,"expires":null}},{members}}}"#);
        on.save("a", &text).await;
        let stored = on.load("a").await.unwrap();
        assert_eq!(*stored.text, *text);
        assert_eq!(stored.expires, Some(time(NOW + HOUR)));
    }
}

#[tokio::test]
async fn a_touch_by_node_is_no_change_and_a_save_is_one() {
    let on = Fixture::new().await;
    let version = on.save("a", MINUTE).await;
    on.clock.set(time(NOW + 30_000));
    let touched = MINUTE
        .replace("03:05:05", "03:05:35")
        .replace("\"views\":1", &format!("\"views\":1,\"__lastAccess\":{}", NOW + 30_000));
    on.write("a.json", &touched);
    let stored = on.load("a").await.unwrap();
    assert!(stored.version == version);
    assert_eq!(stored.expires, Some(time(NOW + 90_000)));

    on.write("a.json", touched.replace("\"views\":1", "\"views\":2"));
    let late = on.store.save(&id("a"), &record(PLAIN), Precondition::Unchanged(&version)).await;
    assert_eq!(late.unwrap(), Saved::Conflict);
    on.write("a.json", touched.replace("60000", "70000"));
    let late = on.store.save(&id("a"), &record(PLAIN), Precondition::Unchanged(&version)).await;
    assert_eq!(late.unwrap(), Saved::Conflict, "another max age is a change");
}

#[tokio::test]
async fn what_is_dead_here_is_dead_for_node() {
    let soon = "2030-01-02T03:04:35.678Z";
    for max_age in ["null", "0", "60000", "-1", "1500.5", "8640000000000000"] {
        let on = Fixture::new().await;
        let text =
            format!(r#"{{"cookie":{{"originalMaxAge":{max_age},"expires":"{soon}"}},"n":1}}"#);
        on.save("a", &text).await;
        assert_eq!(on.load("a").await.unwrap().expires, Some(time(NOW + 30_000)), "{max_age}");
        assert!(!on.is_expired_for_node("a.json"));
        on.clock.set(time(NOW + 30_000));
        assert!(on.load("a").await.is_none());
        on.clock.set(time(NOW + 30_001));
        assert!(on.is_expired_for_node("a.json"), "{max_age}");
    }
}

#[tokio::test]
async fn a_touch_with_another_max_age_moves_the_expiry_for_node_too() {
    let on = Fixture::new().await;
    let version = on.save("a", MINUTE).await;
    let longer = r#"{"originalMaxAge":120000,"expires":"2030-01-02T03:06:05.678Z"}"#;
    let cookie = SessionCookie::from_json(longer).unwrap();
    assert!(on.store.touch(&id("a"), &cookie, Some(&version)).await.unwrap());
    let stored = on.load("a").await.unwrap();
    assert_eq!(*stored.text, *MINUTE);
    assert!(stored.version == version);
    on.clock.set(time(NOW + 119_999));
    assert!(on.load("a").await.is_some() && !on.is_expired_for_node("a.json"));
    on.clock.set(time(NOW + 120_001));
    assert!(on.load("a").await.is_none() && on.is_expired_for_node("a.json"));
}

#[tokio::test]
async fn nodes_rule_decides_over_nodes_files() {
    let on = Fixture::new().await;
    let file = |max_age: &str, access: u64| {
        let cookie =
            format!(r#"{{"originalMaxAge":{max_age},"expires":"2000-01-01T00:00:00.000Z"}}"#);
        format!(r#"{{"cookie":{cookie},"__lastAccess":{access}}}"#)
    };
    for (content, lives) in [
        (file("60000", NOW - 59_999), true),
        (file("60000", NOW - 60_000), false),
        (file("0", NOW - HOUR + 1), true),
        (file("null", NOW - HOUR), false),
        (file("-5", NOW), false),
        (PLAIN.to_owned(), true),
        (PLAIN.replace("1}", r#"1,"__lastAccess":"now"}"#), true),
    ] {
        on.write("a.json", &content);
        assert_eq!(on.load("a").await.is_some(), lives, "{content}");
    }
    on.write("a.json", PLAIN);
    assert_eq!(on.load("a").await.unwrap().expires, None, "never, as in Node");
}
