//! What a table of a million rows costs.

use super::layout::{Expiries, Records, Shape, Statements};
use super::*;

/// Returns how the server runs `sql` whatever its parameters are.
async fn plan(fixture: &Fixture, sql: &str, parameters: &str) -> String {
    fixture.execute(&format!("DEALLOCATE ALL; PREPARE p AS {sql}")).await;
    let sql = format!("EXPLAIN EXECUTE p ({parameters})");
    let rows = fixture.raw.query(&sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get::<_, String>(0) + "\n").collect()
}

#[tokio::test]
async fn in_a_million_rows_every_request_and_every_purge_finds_its_rows_by_index() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout).await;
        let expiry = layout.expiry();
        fixture
            .execute(&format!(
                "INSERT INTO @ (sid, sess, {expiry}) SELECT md5(n::text),
                 '{{\"cookie\":{{}}}}', timestamptz '2030-01-02T03:04:05Z' + n * interval '1 second'
                 FROM generate_series(-1000, 999000) AS n;
                 ANALYZE @; SET plan_cache_mode = force_generic_plan"
            ))
            .await;
        let zones = [None, Some("America/New_York".to_owned())];
        let wall = zones.map(|zone| Expiries::Wall { zone });
        let of_layout = match layout {
            PostgresLayout::ConnectPgSimple => wall.to_vec(),
            PostgresLayout::ConnectSessionKnex => vec![Expiries::Instant],
        };
        for expiries in of_layout {
            let table = fixture.table.clone();
            let shape = Shape { expiries, layout, records: Records::Json, table };
            let sql = Statements::new(&shape);
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
                (&sql.purge, "now(), 1000", &layout.index(&fixture.table)),
            ] {
                let plan = plan(&fixture, sql, parameters).await;
                let quoted = [format!(" using {index} "), format!(" using \"{index}\" ")];
                assert!(quoted.iter().any(|index| plan.contains(index)), "{plan}");
                assert!(!plan.contains("Seq Scan"), "{plan}");
            }
        }
        // 1001 of them have expired, and are gone without reading the others.
        fixture.set_clock(1_893_553_445_000);
        assert_eq!(fixture.store.purge_expired().await.unwrap(), 1001);
    }
}
