//! Rows of the Node stores, read and written.

use serde_json::Value;

use super::*;

/// What the packages wrote.
const GOLDEN: [(&str, MysqlLayout); 2] = [
    ("connect-session-knex@5.0.0 mysql2", MysqlLayout::ConnectSessionKnex),
    ("express-mysql-session@3.0.3", MysqlLayout::ExpressMysqlSession),
];

fn vectors(store: &str) -> Vec<Value> {
    let all = include_str!("../../../../../../fixtures/express/vectors.json");
    let mut all: Value = serde_json::from_str(all).unwrap();
    let records = all["store_records"].as_array_mut().unwrap();
    records.retain(|vector| vector["store"] == store);
    assert_eq!(records.len(), 2, "{store}");
    std::mem::take(records)
}

/// A golden row: its id, its record, and its expiry as the database shows it.
fn golden(layout: MysqlLayout, row: &Value) -> (String, String, String) {
    let text = |name: &str| match &row[name] {
        Value::String(text) => text.clone(),
        number => number.to_string(),
    };
    (text(layout.id()), text(layout.record()), text(layout.expiry()))
}

fn columns(layout: MysqlLayout) -> String {
    format!("{}, {}, CAST({} AS CHAR)", layout.id(), layout.record(), layout.expiry())
}

#[tokio::test]
async fn sessions_of_the_node_stores_are_read() {
    for (store, layout) in GOLDEN {
        let mut fixture = Fixture::of_node(layout).await;
        for vector in vectors(store) {
            for moment in ["afterSet", "afterTouch"] {
                let (sid, record, expiry) = golden(layout, &vector[moment]["rows"][0]);
                fixture.execute("DELETE FROM @").await;
                let names = [layout.id(), layout.record(), layout.expiry()].join(", ");
                let insert = format!("INSERT INTO {} ({names}) VALUES (?, ?, ?)", fixture.table);
                fixture.raw.exec_drop(insert, (&sid, &record, &expiry)).await.unwrap();

                let stored = fixture.store.load(&id(&sid)).await.unwrap().unwrap();
                assert_eq!(*stored.text, *record);
                let kept = match layout {
                    MysqlLayout::ConnectSessionKnex => {
                        let read =
                            format!("SELECT TIMESTAMPDIFF(SECOND, '1970-01-01', '{expiry}')");
                        fixture.first(&read).await
                    }
                    MysqlLayout::ExpressMysqlSession => expiry.parse().unwrap(),
                };
                let expires = to_millis(stored.expires.unwrap());
                assert_eq!(expires, layout.death(kept), "{store} {moment}");
            }
        }
    }
}

#[tokio::test]
async fn rows_are_written_as_the_node_stores_write_them() {
    for (store, layout) in GOLDEN {
        for mut fixture in [Fixture::of_node(layout).await, Fixture::new(layout).await] {
            for vector in vectors(store) {
                let expected = golden(layout, &vector["afterSet"]["rows"][0]);
                let (sid, record) = (&expected.0, Record::parse(expected.1.as_str()).unwrap());
                fixture.set_clock(NOW);
                fixture.store.clear().await.unwrap();
                fixture.create(sid, &record).await;
                let sql = format!("SELECT {} FROM @", columns(layout));
                let row: (String, String, String) = fixture.first(&sql).await;
                assert_eq!(row, expected, "{store}");

                // What knex does not touch, we do: COMPATIBILITY.md says so.
                let knex = layout == MysqlLayout::ConnectSessionKnex;
                if knex && record.cookie().expires().is_none() {
                    continue;
                }
                fixture.set_clock(NOW + 10_250);
                let expires = record.cookie().expires().map(|_| NOW + 10_250 + 3_600_000);
                assert!(fixture.store.touch(&id(sid), &cookie(expires), None).await.unwrap());
                let row: (String, String, String) = fixture.first(&sql).await;
                let touched = golden(layout, &vector["afterTouch"]["rows"][0]);
                assert_eq!(row, touched, "{store}, touched");
            }
        }
    }
}

/// `express-mysql-session` compares `expires` with `Math.round(Date.now() / 1000)`, and knex
/// compares `expired` with the second that has begun.
#[tokio::test]
async fn a_session_lives_exactly_as_long_as_in_node() {
    for (layout, kept, dead) in [
        (MysqlLayout::ConnectSessionKnex, 1_893_553_505, 1_893_553_506_000),
        (MysqlLayout::ExpressMysqlSession, 1_893_553_506, 1_893_553_506_500),
    ] {
        let mut fixture = Fixture::of_node(layout).await;
        fixture.create("a", &record(NOW + 60_000, r#""n":1"#)).await;
        let expiry = layout.expiry();
        let read = match layout {
            MysqlLayout::ConnectSessionKnex => {
                format!("SELECT TIMESTAMPDIFF(SECOND, '1970-01-01', {expiry}) FROM @")
            }
            MysqlLayout::ExpressMysqlSession => format!("SELECT {expiry} FROM @"),
        };
        assert_eq!(fixture.first::<i64>(&read).await, kept);
        fixture.set_clock(dead - 1);
        assert!(fixture.text("a").await.is_some(), "{layout:?}");
        assert_eq!(fixture.store.purge_expired().await.unwrap(), 0);
        fixture.set_clock(dead);
        assert!(fixture.text("a").await.is_none(), "{layout:?}");
        assert_eq!(fixture.store.purge_expired().await.unwrap(), 1);
    }
}
