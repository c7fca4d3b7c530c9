//! What a table of a million rows costs.

use serde_json::Value;
use tokio_postgres::SimpleQueryMessage;

use super::layout::{Expiries, Records, Shape, Statements};
use super::*;

const FEW: i64 = 1000;
const MANY: i64 = 1_000_000;

/// Adds rows, each of which expires a second after the one before.
async fn fill(fixture: &Fixture, first: i64, last: i64) {
    let expiry = fixture.layout.expiry();
    fixture
        .execute(&format!(
            "INSERT INTO @ (sid, sess, {expiry}) SELECT md5(n::text), '{{\"cookie\":{{}}}}',
             timestamptz '2030-01-02T03:04:05Z' + (n - 1001) * interval '1 second'
             FROM generate_series({first}, {last}) AS n;
             ANALYZE @; SET plan_cache_mode = force_generic_plan"
        ))
        .await;
}

/// Returns what the store may run on the table, as the column for the expiry may be read.
fn statements(fixture: &Fixture) -> Vec<Statements> {
    let wall = |zone| Expiries::Wall { zone };
    let expiries = match fixture.layout {
        PostgresLayout::ConnectPgSimple => {
            vec![wall(None), wall(Some("America/New_York".to_owned()))]
        }
        PostgresLayout::ConnectSessionKnex => vec![Expiries::Instant],
    };
    let shape = |expiries| Shape {
        expiries,
        id: "sid".to_owned(),
        layout: fixture.layout,
        records: Records::Json,
        table: fixture.table.clone(),
    };
    expiries.into_iter().map(|expiries| Statements::new(&shape(expiries))).collect()
}

async fn prepare(fixture: &Fixture, sql: &str) {
    fixture.execute(&format!("DEALLOCATE ALL; PREPARE p AS {sql}")).await;
}

/// Returns how the server runs `sql` whatever its parameters are.
async fn plan(fixture: &Fixture, sql: &str, parameters: &str) -> String {
    prepare(fixture, sql).await;
    let sql = format!("EXPLAIN EXECUTE p ({parameters})");
    let rows = fixture.raw.query(&sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get::<_, String>(0) + "\n").collect()
}

/// Returns how many pages a load touches that finds the first row.
async fn pages_of_load(fixture: &Fixture, load: &str) -> i64 {
    prepare(fixture, load).await;
    let sql = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE p (md5('1'), '2030-01-01')";
    let answer = fixture.raw.simple_query(sql).await.unwrap();
    let text = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let explained: Value = serde_json::from_str(text.unwrap()).unwrap();
    let plan = &explained[0]["Plan"];
    assert_eq!(plan["Node Type"], "Index Scan", "{plan}");
    assert_eq!(plan["Actual Rows"].as_f64(), Some(1.0), "{plan}");
    assert_eq!(plan["Rows Removed by Filter"], 0, "{plan}");
    let pages = |how: &str| plan[how].as_i64().unwrap();
    pages("Shared Hit Blocks") + pages("Shared Read Blocks")
}

async fn pages_of_loads(fixture: &Fixture) -> Vec<i64> {
    let mut pages = Vec::new();
    for sql in statements(fixture) {
        pages.push(pages_of_load(fixture, &sql.load).await);
    }
    pages
}

async fn assert_by_index(fixture: &Fixture, sql: &Statements) {
    let by_key = format!("{}_pkey", fixture.table);
    for (sql, parameters, index) in [
        (&sql.load, "'a', now()", &by_key),
        (&sql.touch, "'a', now(), now()", &by_key),
        (&sql.touch_unchanged, "'a', now(), now(), ''", &by_key),
        (&sql.save_existing, "'a', now(), now(), '{}'", &by_key),
        (&sql.save_unchanged, "'a', now(), now(), '{}', ''", &by_key),
        (&sql.rotate, "'a', now(), now(), '{}', '', 'b'", &by_key),
        (&sql.destroy, "'a', now()", &by_key),
        (&sql.all, "'a', now(), NULL, 100", &by_key),
        (&sql.purge, "now(), 1000", &fixture.layout.index(&fixture.table)),
    ] {
        let plan = plan(fixture, sql, parameters).await;
        let quoted = [format!(" using {index} "), format!(" using \"{index}\" ")];
        assert!(quoted.iter().any(|index| plan.contains(index)), "{plan}");
        assert!(!plan.contains("Seq Scan"), "{plan}");
    }
}

#[tokio::test]
async fn in_a_million_rows_requests_and_purges_go_by_index_and_a_load_costs_as_in_a_thousand() {
    for fixture in Fixture::both().await {
        fill(&fixture, 1, FEW).await;
        let few = pages_of_loads(&fixture).await;
        fill(&fixture, FEW + 1, MANY).await;
        let many = pages_of_loads(&fixture).await;
        // One level more of the index, and its first page, which is read anew now and then.
        let flat = few.iter().zip(&many).all(|(few, many)| *many <= few + 2);
        assert!(flat, "pages of a load: {few:?} in {FEW} rows, {many:?} in {MANY}");

        for sql in statements(&fixture) {
            assert_by_index(&fixture, &sql).await;
        }
        // 1001 of them have expired, and are gone without reading the others.
        fixture.set_clock(1_893_553_445_000);
        assert_eq!(fixture.store.purge_expired().await.unwrap(), 1001);
    }
}
