//! Odd rows, odd columns, and what happens beside each other.

use sessile_core::StoreErrorKind;

use super::*;

#[tokio::test]
async fn in_nodes_tables_no_id_is_taken_for_another() {
    for (layout, twins) in [
        (LAYOUTS[0], vec!["Login", "login ", "LOGIN", "lógin"]),
        (LAYOUTS[1], vec!["login ", "login  "]),
    ] {
        let fixture = Fixture::of_node(layout).await;
        let (store, mine) = (&fixture.store, record(NOW + DAY, r#""of":"login""#));
        let mine_version = fixture.create("login", &mine).await;
        let theirs = record(NOW + DAY, r#""of":"somebody else""#);
        for twin in twins.into_iter().map(id) {
            assert!(store.load(&twin).await.unwrap().is_none());
            assert!(!store.touch(&twin, theirs.cookie(), None).await.unwrap());
            assert!(!store.destroy(&twin).await.unwrap());
            assert_eq!(
                store.save(&twin, &theirs, Precondition::Exists).await.unwrap(),
                Saved::Gone
            );
            for when in [Precondition::Absent, Precondition::None] {
                let error = store.save(&twin, &theirs, when).await.unwrap_err();
                assert_eq!(error.kind(), StoreErrorKind::Failed);
                assert!(error.to_string().starts_with("the table cannot keep such an id"));
            }
            let moved = store.rotate(&twin, &id("b"), &theirs, &mine_version).await.unwrap();
            assert_eq!(moved, Saved::Gone);
            assert_eq!(*fixture.text("login").await.unwrap(), **mine.text());
        }
    }
}

#[tokio::test]
async fn a_table_of_ours_keeps_every_id_apart() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout).await;
        for sid in ["a", "A", "a ", "á", "a\0"] {
            fixture.create(sid, &record(NOW + DAY, &format!(r#""of":{}"#, sid.len()))).await;
        }
        assert_eq!(fixture.store.length().await.unwrap(), 5);
        assert_eq!(fixture.store.all(None, 10).await.unwrap().sessions.len(), 5);
    }
}

#[tokio::test]
async fn whatever_the_flags_of_a_connection_an_answer_says_what_happened() {
    for found_rows in [false, true] {
        let fixture = Fixture::new(MysqlLayout::ExpressMysqlSession).await;
        let opts = mysql_async::OptsBuilder::from_opts(mysql_async::Opts::from_url(url()).unwrap());
        let pool = Pool::new(opts.client_found_rows(found_rows));
        let store = MysqlStore::from_pool(pool).with_table(&fixture.table);
        let store = store.with_clock(Arc::new(fixture.clock.clone())).connect().await.unwrap();
        let (a, one) = (id("a"), record(NOW + DAY, r#""n":1"#));

        let first = version(store.save(&a, &one, Precondition::Absent).await.unwrap());
        assert_eq!(store.save(&a, &one, Precondition::Absent).await.unwrap(), Saved::Conflict);
        // None of these changes a byte of the row.
        version(store.save(&a, &one, Precondition::Exists).await.unwrap());
        version(store.save(&a, &one, Precondition::None).await.unwrap());
        version(store.save(&a, &one, Precondition::Unchanged(&first)).await.unwrap());
        assert!(store.touch(&a, one.cookie(), None).await.unwrap());
        assert!(store.touch(&a, one.cookie(), Some(&first)).await.unwrap());
        version(store.rotate(&a, &id("b"), &one, &first).await.unwrap());
        assert!(!store.touch(&a, one.cookie(), None).await.unwrap());
        assert!(store.destroy(&id("b")).await.unwrap() && !store.destroy(&id("b")).await.unwrap());
        version(store.save(&a, &record(NOW, r#""n":2"#), Precondition::Absent).await.unwrap());
        version(store.save(&a, &record(NOW, r#""n":2"#), Precondition::Absent).await.unwrap());
        assert!(store.load(&a).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_row_that_nobody_can_have_meant_is_no_session() {
    let mut fixture = Fixture::of_node(MysqlLayout::ExpressMysqlSession).await;
    fixture.execute("ALTER TABLE @ MODIFY data longblob").await;
    fixture
        .execute(
            "INSERT INTO @ VALUES ('null', 4294967295, NULL), ('bytes', 4294967295, x'ff7b7d')",
        )
        .await;
    fixture.execute("ALTER TABLE @ MODIFY data longtext CHARACTER SET latin1").await;
    let store = fixture.another().connect().await.unwrap();
    assert!(store.load(&id("null")).await.unwrap().is_none());
    // In latin1 every byte is a letter, which is sent as UTF-8.
    assert_eq!(store.load(&id("bytes")).await.unwrap().unwrap().text.as_ref(), "ÿ{}");

    fixture.execute("SET GLOBAL max_allowed_packet = 1 << 28").await;
    fixture.raw = Conn::from_url(url()).await.unwrap();
    fixture
        .execute("INSERT INTO @ VALUES ('large', 4294967295, REPEAT('x', (64 << 20) + 1))")
        .await;
    let store = fixture.another().connect().await.unwrap();
    assert!(store.load(&id("large")).await.unwrap().is_none());
    assert_eq!(store.all(None, 10).await.unwrap().sessions.len(), 1);
    assert_eq!(store.length().await.unwrap(), 3);
}

#[tokio::test]
async fn a_lax_server_cuts_nothing() {
    let mut fixture = Fixture::on(
        MysqlLayout::ExpressMysqlSession,
        Some(
            "CREATE TABLE @ (session_id varchar(8) CHARACTER SET latin1 PRIMARY KEY,
             expires int NOT NULL, data text CHARACTER SET utf8mb4)",
        ),
    )
    .await;
    let lax = mysql_async::OptsBuilder::from_opts(mysql_async::Opts::from_url(url()).unwrap())
        .init(vec!["SET sql_mode = ''"]);
    let store = MysqlStore::from_pool(Pool::new(lax)).with_table(&fixture.table);
    let store = store.with_clock(Arc::new(fixture.clock.clone())).connect().await.unwrap();
    let good = record(NOW + DAY, r#""n":1"#);
    for sid in ["12345678x", "🦀"] {
        let error = store.save(&id(sid), &good, Precondition::Absent).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Failed);
        assert!(store.load(&id(sid)).await.unwrap().is_none());
    }
    let long = record(NOW + DAY, &format!(r#""n":"{}""#, "x".repeat(65_536)));
    let error = store.save(&id("a"), &long, Precondition::Absent).await.unwrap_err();
    assert_eq!(error.to_string(), "a record is longer than the 65535 bytes of data");
    assert_eq!(fixture.first::<i64>("SELECT COUNT(*) FROM @").await, 0);

    // The last second of a signed column is in 2038.
    let late = record(4_000_000_000_000, r#""n":1"#);
    version(store.save(&id("a"), &late, Precondition::Absent).await.unwrap());
    let expires = store.load(&id("a")).await.unwrap().unwrap().expires;
    assert_eq!(expires, Some(from_millis(2_147_483_647_500)));
}

#[tokio::test]
async fn an_error_says_nothing_of_ids_and_records() {
    let mut fixture = Fixture::new(MysqlLayout::ExpressMysqlSession).await;
    fixture.execute("ALTER TABLE @ ADD CHECK (data NOT LIKE '%secret%')").await;
    let bad = record(NOW + DAY, r#""secret":1"#);
    let error = fixture.store.save(&id("secret"), &bad, Precondition::None).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Failed);
    assert!(said(&error).contains("4025") && !said(&error).contains("secret"), "{error:?}");
}

#[tokio::test]
async fn a_purge_goes_in_batches() {
    for layout in LAYOUTS {
        let mut fixture = Fixture::new(layout).await;
        let (id, record, expiry) = (layout.id(), layout.record(), layout.expiry());
        let (old, new) = match layout {
            MysqlLayout::ConnectSessionKnex => ("'2020-01-01'", "'2040-01-01'"),
            MysqlLayout::ExpressMysqlSession => ("1577836800", "2208988800"),
        };
        fixture
            .execute(&format!(
                "INSERT INTO @ ({id}, {record}, {expiry}) SELECT seq, '{{}}', {old} FROM seq_1_to_2500"
            ))
            .await;
        fixture
            .execute(&format!(
                "INSERT INTO @ ({id}, {record}, {expiry}) VALUES ('a', '{{}}', {new})"
            ))
            .await;
        assert_eq!(fixture.store.purge_expired().await.unwrap(), 2500);
        assert_eq!(fixture.store.length().await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_answer_to_the_next() {
    let fixture = Fixture::new(MysqlLayout::ExpressMysqlSession).await;
    let store = fixture.another().with_max_connections(1).connect().await.unwrap();
    for sid in ["a", "b"] {
        fixture.create(sid, &record(NOW + DAY, &format!(r#""is":"{sid}""#))).await;
    }
    for _ in 0..50 {
        let (a, b) = (id("a"), id("b"));
        let _ = poll_once(store.load(&a));
        let loaded = store.load(&b).await.unwrap().unwrap();
        assert!(loaded.text.contains(r#""is":"b""#), "an answer meant for somebody else");
        // Halfway through, with the question on its way.
        drop(tokio::time::timeout(Duration::from_micros(300), store.load(&a)).await);
        let loaded = store.load(&b).await.unwrap().unwrap();
        assert!(loaded.text.contains(r#""is":"b""#), "an answer meant for somebody else");
    }
}

#[tokio::test]
async fn a_table_made_anew_needs_no_restart_of_ours() {
    let mut fixture = Fixture::new(MysqlLayout::ExpressMysqlSession).await;
    fixture.create("a", &record(NOW + DAY, r#""n":1"#)).await;
    fixture.execute("ALTER TABLE @ MODIFY data longtext, ADD COLUMN note text").await;
    assert!(fixture.text("a").await.is_some());
    fixture.execute("DROP TABLE @").await;
    fixture.execute(NODE_TABLES[1]).await;
    assert_eq!(fixture.text("a").await, None);
    fixture.create("a", &record(NOW + DAY, r#""n":2"#)).await;
    assert!(fixture.text("a").await.is_some());
}

#[tokio::test]
async fn what_knex_made_mariadb_refuse_is_an_error() {
    let fixture = Fixture::of_node(MysqlLayout::ConnectSessionKnex).await;
    let lone = record(NOW + DAY, r#""lone":"\ud800""#);
    let error = fixture.store.save(&id("a"), &lone, Precondition::Absent).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Failed);
    assert!(said(&error).contains("4025"), "{error:?}");
    let fixture = Fixture::new(MysqlLayout::ConnectSessionKnex).await;
    fixture.create("a", &lone).await;
}
