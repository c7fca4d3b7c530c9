//! Rows of the Node stores, read and written.

use serde_json::Value;

use super::*;

/// What the packages wrote, and the time zone their database was in.
const GOLDEN: [(&str, PostgresLayout, &str); 3] = [
    ("connect-pg-simple@10.0.0 db=sess_utc", PostgresLayout::ConnectPgSimple, "UTC"),
    ("connect-pg-simple@10.0.0 db=sess_ny", PostgresLayout::ConnectPgSimple, "America/New_York"),
    ("connect-session-knex@5.0.0 pg", PostgresLayout::ConnectSessionKnex, "America/New_York"),
];

/// Returns the URL of a database whose time zone is `zone`.
async fn database_in(zone: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("zone_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let raw = raw(url()).await;
    raw.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await.unwrap();
    raw.batch_execute(&format!("ALTER DATABASE {name} SET timezone = '{zone}'")).await.unwrap();
    url().replace("/postgres", &format!("/{name}")).replacen(&format!("/{name}:"), "/postgres:", 1)
}

fn vectors(store: &str) -> Vec<Value> {
    let all = include_str!("../../../../../../fixtures/express/vectors.json");
    let mut all: Value = serde_json::from_str(all).unwrap();
    let records = all["store_records"].as_array_mut().unwrap();
    records.retain(|vector| vector["store"] == store);
    assert_eq!(records.len(), 2, "{store}");
    std::mem::take(records)
}

/// A golden row: its id, its record, and its expiry as the database shows it.
fn golden(row: &Value) -> [&str; 3] {
    let text = |names: [&str; 2]| names.iter().find_map(|name| row[*name].as_str()).unwrap();
    [text(["sid", "sid"]), text(["sess_text", "sess"]), text(["expire_text", "expired"])]
}

/// The instant that a moment of a vector was written with.
fn expiry_of(vector: &Value, moment: &str, layout: PostgresLayout) -> i64 {
    let instant = |name: &str| {
        let cookie = format!(r#"{{"expires":{}}}"#, vector[name]);
        to_millis(SessionCookie::from_json(&cookie).unwrap().expires().unwrap())
    };
    let touched = moment == "afterTouch";
    let lifetime = if vector["scenario"] == "full" { 3_600_000 } else { DAY };
    // knex does not touch a session without an expiry.
    let moves = touched && (lifetime < DAY || layout == PostgresLayout::ConnectPgSimple);
    let written = instant(if moves { "touchClock" } else { "clock" });
    layout.rounded(written + lifetime, written)
}

#[tokio::test]
async fn sessions_of_the_node_stores_are_read_in_any_time_zone() {
    for (store, layout, zone) in GOLDEN {
        let fixture = Fixture::at(&database_in(zone).await, layout).await;
        for vector in vectors(store) {
            for moment in ["afterSet", "afterTouch"] {
                let [sid, sess, expiry] = golden(&vector[moment]["rows"][0]);
                fixture.execute("DELETE FROM @").await;
                let (table, column) = (&fixture.table, layout.expiry());
                let insert = format!(
                    "INSERT INTO {table} (sid, sess, {column})
                     VALUES ($1, $2::text::json, '{expiry}')"
                );
                fixture.raw.execute(&insert, &[&sid, &sess]).await.unwrap();

                let stored = fixture.store.load(&id(sid)).await.unwrap().unwrap();
                assert_eq!(*stored.text, *sess);
                let expires = to_millis(stored.expires.unwrap());
                assert_eq!(expires, expiry_of(&vector, moment, layout), "{store} {moment}");
            }
        }
    }
}

#[tokio::test]
async fn rows_are_written_as_the_node_stores_write_them() {
    for (store, layout, zone) in GOLDEN {
        let fixture = Fixture::at(&database_in(zone).await, layout).await;
        for vector in vectors(store) {
            let expected = golden(&vector["afterSet"]["rows"][0]);
            let (sid, record) = (expected[0], Record::parse(expected[1]).unwrap());
            fixture.set_clock(NOW);
            fixture.store.clear().await.unwrap();
            fixture.create(sid, &record).await;
            let sql =
                format!("SELECT sid, sess::text, {}::text FROM {}", layout.expiry(), fixture.table);
            let row = fixture.raw.query_one(&sql, &[]).await.unwrap();
            assert_eq!([0, 1, 2].map(|n| row.get::<_, &str>(n)), expected, "{store}");

            // What knex does not touch, we do: COMPATIBILITY.md says so.
            let knex = layout == PostgresLayout::ConnectSessionKnex;
            if knex && record.cookie().expires().is_none() {
                continue;
            }
            fixture.set_clock(NOW + 10_250);
            let expires = record.cookie().expires().map(|_| NOW + 10_250 + 3_600_000);
            assert!(fixture.store.touch(&id(sid), &cookie(expires), None).await.unwrap());
            let row = fixture.raw.query_one(&sql, &[]).await.unwrap();
            let expected = golden(&vector["afterTouch"]["rows"][0]);
            assert_eq!([0, 1, 2].map(|n| row.get::<_, &str>(n)), expected, "{store}, touched");
        }
    }
}

#[tokio::test]
async fn a_time_zone_that_is_named_counts_whatever_the_connection_has() {
    let there = database_in("America/New_York").await;
    let node = Fixture::at(&there, PostgresLayout::ConnectPgSimple).await;
    node.create("a", &record(NOW + 60_000, r#""n":1"#)).await;

    let elsewhere = format!("{there}?options=-c%20TimeZone%3DAsia/Tokyo");
    let open = |builder: PostgresBuilder| builder.with_time_zone("America/New_York").connect();
    let store = open(builder(&elsewhere, node.layout, &node.table, &node.clock)).await.unwrap();
    let (here, expires) = (id("a"), Some(from_millis(NOW + 60_322)));
    assert_eq!(store.load(&here).await.unwrap().unwrap().expires, expires);
    assert!(store.touch(&here, &cookie(Some(NOW + 120_000)), None).await.unwrap());
    let loaded = node.store.load(&here).await.unwrap().unwrap();
    assert_eq!(loaded.expires, Some(from_millis(NOW + 120_322)));

    node.set_clock(NOW + 120_321);
    assert_eq!(store.purge_expired().await.unwrap(), 0);
    assert_eq!((store.length().await.unwrap(), node.store.length().await.unwrap()), (1, 1));
    node.set_clock(NOW + 120_322);
    assert_eq!((store.length().await.unwrap(), node.store.length().await.unwrap()), (0, 0));
    assert_eq!(store.purge_expired().await.unwrap(), 1);
}

#[tokio::test]
async fn in_the_hour_that_autumn_repeats_nobody_is_dropped_early() {
    let zone = database_in("America/New_York").await;
    for named in [None, Some("America/New_York")] {
        let fixture =
            Fixture::with(&zone, PostgresLayout::ConnectPgSimple, |builder| match named {
                Some(zone) => builder.with_time_zone(zone),
                None => builder,
            })
            .await;
        // 2030-11-03T05:45:00Z is 01:45 in summer time, and 06:15Z is 01:15 after it.
        let (now, expires) = (1_919_915_100_000, 1_919_916_900_000);
        fixture.set_clock(now);
        fixture.create("a", &record(expires, r#""n":1"#)).await;
        assert_eq!(fixture.store.purge_expired().await.unwrap(), 0);
        fixture.set_clock(expires - 1);
        assert!(fixture.text("a").await.is_some(), "{named:?}");
        fixture.set_clock(expires + 3_600_000);
        assert!(fixture.text("a").await.is_none(), "{named:?}");
        // Compared as the wall shows it, a row may be swept an hour later.
        fixture.set_clock(expires + 2 * 3_600_000);
        assert_eq!(fixture.store.purge_expired().await.unwrap(), 1, "{named:?}");
    }
}
