//! What a large table costs.

use mysql_async::{Params, Row};

use super::layout::{Records, Statements};
use super::operations::PURGE_BATCH;
use super::*;

const FEW: i64 = 1000;
const MANY: i64 = 1_000_000;

/// Adds rows, each of which expires a second after the one before.
async fn fill(fixture: &mut Fixture, first: i64, last: i64) {
    let layout = fixture.layout;
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
             SELECT LPAD(seq, 32, 'x'), '{{\"cookie\":{{}}}}', {expires}
             FROM seq_{first}_to_{last}"
        ))
        .await;
    fixture.execute("ANALYZE TABLE @").await;
}

/// Returns the parameters of a load that finds the first row.
fn of_first() -> Params {
    params! { "id" => format!("{:x>32}", 1), "now" => 0 }
}

/// Returns in which ways the server reads for a load that finds the first row, and how often.
async fn reads_of_load(fixture: &mut Fixture, load: &str) -> Vec<(String, u64)> {
    fixture.execute("FLUSH STATUS").await;
    let row: Option<Row> = fixture.raw.exec_first(load, of_first()).await.unwrap();
    assert!(row.is_some());
    let status = r"SHOW SESSION STATUS LIKE 'Handler\_read\_%'";
    let counted: Vec<(String, u64)> = fixture.raw.query(status).await.unwrap();
    counted.into_iter().filter(|(_, times)| *times > 0).collect()
}

/// What the server says of a statement: how it finds its rows, by which index, how many.
#[derive(Debug)]
struct Plan {
    access: String,
    index: Option<String>,
    rows: i64,
}

async fn plan(fixture: &mut Fixture, sql: &str, params: Params) -> Plan {
    let row: Row = fixture.raw.exec_first(format!("EXPLAIN {sql}"), params).await.unwrap().unwrap();
    Plan {
        access: row.get("type").unwrap(),
        index: row.get("key").unwrap(),
        rows: row.get::<Option<i64>, _>("rows").unwrap().unwrap_or_default(),
    }
}

#[tokio::test]
async fn in_a_million_rows_requests_and_purges_go_by_index_and_a_load_costs_as_in_a_thousand() {
    for layout in LAYOUTS {
        let mut fixture = Fixture::new(layout).await;
        let sql =
            Statements::new(layout, &Columns::default().sql(layout), Records::Text, &fixture.table);
        for (first, last) in [(1, FEW), (FEW + 1, MANY)] {
            fill(&mut fixture, first, last).await;
            let reads = reads_of_load(&mut fixture, &sql.load).await;
            assert_eq!(reads, [("Handler_read_key".to_owned(), 1)], "in {last} rows");
        }

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
        let load = plan(&mut fixture, &sql.load, of_first()).await;
        assert!(load.access == "const" && load.index.as_deref() == Some("PRIMARY"), "{load:?}");
        let params = params! { "id" => "a", "later" => true, "now" => now, "limit" => 100 };
        let all = plan(&mut fixture, &sql.all, params).await;
        assert!(all.access == "range" && all.index.as_deref() == Some("PRIMARY"), "{all:?}");
        let params = params! { "now" => now, "limit" => PURGE_BATCH };
        let purge = plan(&mut fixture, &sql.purge, params).await;
        assert!(purge.access == "range" && purge.index.as_deref() != Some("PRIMARY"), "{purge:?}");
        assert!(purge.rows < MANY / 100, "{purge:?}");

        fixture.set_clock(now * 1000);
        assert_eq!(fixture.store.purge_expired().await.unwrap(), 999);
    }
}
