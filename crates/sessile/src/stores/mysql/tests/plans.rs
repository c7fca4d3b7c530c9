//! What a large table costs.

use mysql_async::Row;

use super::layout::{Records, Statements};
use super::operations::PURGE_BATCH;
use super::*;

const ROWS: i64 = 1_000_000;

/// What the server says of a statement: how it finds its rows, by which index, how many.
#[derive(Debug)]
struct Plan {
    access: String,
    index: Option<String>,
    rows: i64,
}

async fn plan(fixture: &mut Fixture, sql: &str, params: mysql_async::Params) -> Plan {
    let row: Row = fixture.raw.exec_first(format!("EXPLAIN {sql}"), params).await.unwrap().unwrap();
    Plan {
        access: row.get("type").unwrap(),
        index: row.get("key").unwrap(),
        rows: row.get::<Option<i64>, _>("rows").unwrap().unwrap_or_default(),
    }
}

#[tokio::test]
async fn in_a_million_rows_every_request_and_every_purge_finds_its_rows_by_index() {
    for layout in LAYOUTS {
        let mut fixture = Fixture::new(layout).await;
        let (id, record, expiry) = (layout.id(), layout.record(), layout.expiry());
        let expires = match layout {
            MysqlLayout::ConnectSessionKnex => {
                "TIMESTAMP('1970-01-01') + INTERVAL 1893552445 + seq SECOND"
            }
            MysqlLayout::ExpressMysqlSession => "1893552445 + seq",
        };
        fixture
            .execute(&format!(
                "INSERT INTO @ ({id}, {record}, {expiry})
                 SELECT LPAD(seq, 32, 'x'), '{{\"cookie\":{{}}}}', {expires} FROM seq_1_to_{ROWS}"
            ))
            .await;
        fixture.execute("ANALYZE TABLE @").await;

        let sql = Statements::new(layout, Records::Text, &fixture.table);
        let now = 1_893_553_445;
        let known = "";
        let save = params! {
            "id" => "a", "now" => now, "expires" => now, "text" => "{}", "known" => known,
        };
        let keyed = params! { "id" => "a", "now" => now };
        let touched = params! { "id" => "a", "now" => now, "expires" => now };
        let same = params! { "id" => "a", "now" => now, "expires" => now, "known" => known };
        let existing = params! { "id" => "a", "now" => now, "expires" => now, "text" => "{}" };
        let rotated = params! {
            "id" => "a", "now" => now, "expires" => now, "text" => "{}", "known" => known,
            "to" => "b",
        };
        for (sql, params) in [
            (&sql.touch, touched),
            (&sql.touch_unchanged, same),
            (&sql.save_existing, existing),
            (&sql.save_unchanged, save),
            (&sql.rotate, rotated),
            (&sql.destroy, keyed),
        ] {
            let plan = plan(&mut fixture, sql, params).await;
            assert_eq!(plan.index.as_deref(), Some("PRIMARY"), "{sql}: {plan:?}");
            assert!(plan.access == "range" && plan.rows == 1, "{sql}: {plan:?}");
        }
        // A key that no row has is looked up while it plans: it names no table any more.
        let taken = format!("{:x>32}", 1);
        let load = params! { "id" => taken.as_str(), "now" => 0 };
        let load = plan(&mut fixture, &sql.load, load).await;
        assert!(load.access == "const" && load.index.as_deref() == Some("PRIMARY"), "{load:?}");
        let params = params! { "id" => "a", "later" => true, "now" => now, "limit" => 100 };
        let all = plan(&mut fixture, &sql.all, params).await;
        assert!(all.access == "range" && all.index.as_deref() == Some("PRIMARY"), "{all:?}");
        let params = params! { "now" => now, "limit" => PURGE_BATCH };
        let purge = plan(&mut fixture, &sql.purge, params).await;
        assert!(purge.access == "range" && purge.index.as_deref() != Some("PRIMARY"), "{purge:?}");
        assert!(purge.rows < ROWS / 100, "{purge:?}");

        fixture.set_clock(now * 1000);
        assert_eq!(fixture.store.purge_expired().await.unwrap(), 999);
    }
}
