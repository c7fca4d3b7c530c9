//! Rows of the Node stores, read and written.

use super::*;

#[tokio::test]
async fn sessions_of_the_node_stores_are_read() {
    for fixture in Fixture::both().await {
        for vector in vectors(package(fixture.layout)) {
            for moment in ["afterSet", "afterTouch"] {
                let row = &vector[moment]["rows"][0];
                let expiry = &row[fixture.layout.expiry()];
                let (sid, sess) = (row["sid"].as_str().unwrap(), row["sess"].as_str().unwrap());
                fixture.raw().execute("DELETE FROM sessions", []).unwrap();
                fixture.insert(sid, &value_sql(expiry), &value_sql(&row["sess"]));

                let stored = fixture.store.load(&id(sid)).await.unwrap().unwrap();
                assert_eq!(*stored.text, *sess);
                let expires = stored.expires.unwrap();
                let cookie = format!(r#"{{"expires":{expiry}}}"#);
                let iso = SessionCookie::from_json(&cookie).unwrap().expires();
                assert_eq!(expires, iso.unwrap_or_else(|| time(expiry.as_i64().unwrap())));
            }
        }
    }
}

#[tokio::test]
async fn rows_are_written_as_the_node_stores_write_them() {
    for fixture in Fixture::both().await {
        let column = fixture.layout.expiry();
        let columns =
            format!("SELECT {column}, typeof({column}), sess, typeof(sess) FROM sessions");
        for vector in vectors(package(fixture.layout)) {
            let row = &vector["afterSet"]["rows"][0];
            let record = Record::parse(row["sess"].as_str().unwrap()).unwrap();
            fixture.store.clear().await.unwrap();
            fixture.create(row["sid"].as_str().unwrap(), &record).await;

            let raw = fixture.raw();
            let found = raw.query_row(&columns, [], |row| {
                let expiry: rusqlite::types::Value = row.get(0)?;
                let types: (String, String) = (row.get(1)?, row.get(3)?);
                Ok((expiry, types, row.get::<_, String>(2)?))
            });
            let (expiry, types, sess) = found.unwrap();
            match expiry {
                rusqlite::types::Value::Text(text) => assert_eq!(text, row[column]),
                rusqlite::types::Value::Real(millis) => assert_eq!(millis, row[column]),
                other => panic!("{other:?}"),
            }
            assert_eq!(types, (row["te"].as_str().unwrap().into(), "text".into()));
            assert_eq!(sess, row["sess"]);
        }
    }
}

#[tokio::test]
async fn a_touch_writes_the_expiry_as_the_node_stores_do() {
    for fixture in Fixture::both().await {
        let vector = &vectors(package(fixture.layout))[1];
        assert_eq!(vector["scenario"], "full");
        let (row, touched) = (&vector["afterSet"]["rows"][0], &vector["afterTouch"]["rows"][0]);
        let record = Record::parse(row["sess"].as_str().unwrap()).unwrap();
        fixture.create("full", &record).await;
        assert!(
            fixture.store.touch(&id("full"), &cookie(Some(NOW + 3_610_250)), None).await.unwrap()
        );

        let column = fixture.layout.expiry();
        let sql = format!("SELECT {column} FROM sessions WHERE sess = ?1");
        let raw = fixture.raw();
        match fixture.layout {
            SqliteLayout::BetterSqlite3 => {
                let text: String = raw.query_row(&sql, [record.text()], |row| row.get(0)).unwrap();
                assert_eq!(text, touched[column]);
            }
            SqliteLayout::ConnectSqlite3 => {
                let millis: f64 = raw.query_row(&sql, [record.text()], |row| row.get(0)).unwrap();
                assert_eq!(millis, touched[column]);
            }
        }
    }
}

#[tokio::test]
async fn every_spelling_of_a_date_that_sqlite_reads_is_an_expiry() {
    let fixture = Fixture::new(SqliteLayout::BetterSqlite3).await;
    for (spelling, expires) in [
        ("2030-01-02T04:04:05.678Z", Some(NOW + 3_600_000)),
        ("2030-01-02T04:04:05Z", Some(NOW + 3_599_322)),
        ("2030-01-02 04:04:05", Some(NOW + 3_599_322)),
        ("2030-01-02T06:04:05.678+02:00", Some(NOW + 3_600_000)),
        ("2030-01-02T03:04:05.678Z", None),
        ("2030-01-02T05:04:05.678+02:00", None),
        ("1893557045678", None),
        ("tomorrow", None),
        ("", None),
    ] {
        fixture.insert(spelling, &format!("'{spelling}'"), "'{}'");
        let stored = fixture.store.load(&id(spelling)).await.unwrap();
        assert_eq!(stored.and_then(|stored| stored.expires), expires.map(time), "{spelling}");
    }
    // Sorts as expired, but is not for another minute.
    fixture.insert("west", "'2030-01-02T01:05:05.678-02:00'", "'{}'");
    fixture.store.purge_expired().await.unwrap();
    assert!(text(&fixture.store, "west").await.is_some());
    assert_eq!(fixture.store.length().await.unwrap(), 5);
}

#[tokio::test]
async fn malformed_rows_are_no_sessions_and_no_errors() {
    let fixture = Fixture::new(SqliteLayout::ConnectSqlite3).await;
    let (later, record) = (format!("{NOW}.0 + 1000"), "'{\"cookie\":{}}'");
    let rows = [
        ("blob", &*later, "x'7b7d'"),
        ("null", &later, "NULL"),
        ("number", &later, "7"),
        ("not utf-8", &later, "CAST(x'ff7b' AS TEXT)"),
        ("larger than 64 MiB", &later, "hex(zeroblob(33 << 20))"),
        ("no expiry", "NULL", record),
        ("number as text", "'9999999999999'", record),
        ("date as text", "'2999-01-01T00:00:00.000Z'", record),
        ("blob as expiry", "x'ff'", record),
    ];
    fixture.insert("good", "1893553445679", record);
    for (sid, expiry, sess) in rows {
        fixture.insert(sid, expiry, sess);
        assert_eq!(text(&fixture.store, sid).await, None, "{sid}");
        let touched = fixture.store.touch(&id(sid), &cookie(Some(NOW + DAY)), None).await.unwrap();
        assert_eq!(touched, sid == "not utf-8", "{sid}");
    }
    fixture.raw().execute("INSERT INTO sessions VALUES (x'ff', 9e12, '{}')", []).unwrap();
    fixture.raw().execute("INSERT INTO sessions VALUES (5, 9e12, '{}')", []).unwrap();

    let page = fixture.store.all(None, 100).await.unwrap();
    assert_eq!(page.sessions.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["good"]);
    assert_eq!(fixture.store.purge_expired().await.unwrap(), 0, "kept for whoever looks at them");
    // Such an id is free again for whoever has the right to it.
    fixture.create("date as text", &self::record(NOW + 1, 1)).await;
    assert!(text(&fixture.store, "date as text").await.is_some());
}
