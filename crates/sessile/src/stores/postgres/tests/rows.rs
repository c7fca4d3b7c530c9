//! Odd rows, odd columns, and what happens beside each other.

use sessile_core::StoreErrorKind;

use super::*;

#[tokio::test]
async fn an_expired_session_is_dead_at_the_very_instant() {
    for (fixture, dead) in Fixture::both().await.into_iter().zip([NOW + 60_322, NOW + 60_001]) {
        fixture.create("a", &record(NOW + 60_001, r#""n":1"#)).await;
        fixture.set_clock(dead - 1);
        assert!(fixture.text("a").await.is_some());
        assert_eq!(fixture.store.purge_expired().await.unwrap(), 0);
        fixture.set_clock(dead);
        assert!(fixture.text("a").await.is_none());
        assert!(!fixture.store.destroy(&id("a")).await.unwrap());
        assert_eq!(fixture.rows().await, 0, "and destroying it removes its row");
    }
}

#[tokio::test]
async fn a_session_saved_expired_is_not_rounded_to_life() {
    let fixture = Fixture::new(PostgresLayout::ConnectPgSimple).await;
    fixture.create("a", &record(NOW, r#""n":1"#)).await;
    assert_eq!(fixture.text("a").await, None);
    assert_eq!(fixture.store.purge_expired().await.unwrap(), 1);
}

#[tokio::test]
async fn a_row_that_nobody_can_have_meant_is_no_session() {
    let fixture = Fixture::new(PostgresLayout::ConnectPgSimple).await;
    fixture.execute("ALTER TABLE @ ALTER sess DROP NOT NULL").await;
    fixture
        .execute(
            "INSERT INTO @ VALUES ('null', NULL, 'infinity'), ('past', '{}', '-infinity'),
             ('large', ('\"' || repeat('x', 64 << 20) || '\"')::json, 'infinity'),
             ('late', '{}', 'infinity')",
        )
        .await;
    for sid in ["null", "past", "large"] {
        assert_eq!(fixture.text(sid).await, None, "{sid}");
    }
    let late = fixture.store.load(&id("late")).await.unwrap().unwrap();
    assert_eq!(late.expires, Some(from_millis(i64::MAX)));
    let listed = fixture.store.all(None, 10).await.unwrap().sessions;
    assert_eq!(listed.len(), 1);
    assert_eq!(fixture.store.purge_expired().await.unwrap(), 1);
}

#[tokio::test]
async fn text_columns_serve_as_well_as_json() {
    for kind in ["text", "varchar"] {
        let fixture = Fixture::new(PostgresLayout::ConnectPgSimple).await;
        fixture.execute(&format!("ALTER TABLE @ ALTER sess TYPE {kind}")).await;
        let store = fixture.another().connect().await.unwrap();
        let (a, one) = (id("a"), record(NOW + DAY, r#""z":"\ud800","a":"\u0000""#));
        let first = version(store.save(&a, &one, Precondition::Absent).await.unwrap());
        let loaded = store.load(&a).await.unwrap().unwrap();
        assert!(loaded.text == *one.text() && loaded.version == first);
        version(store.save(&a, &one, Precondition::Unchanged(&first)).await.unwrap());
        fixture.execute("UPDATE @ SET sess = 'not json'").await;
        assert_eq!(store.load(&a).await.unwrap().unwrap().text.as_ref(), "not json");
    }
}

#[tokio::test]
async fn a_jsonb_column_serves_as_far_as_it_can() {
    let fixture = Fixture::new(PostgresLayout::ConnectPgSimple).await;
    fixture.execute("ALTER TABLE @ ALTER sess TYPE jsonb").await;
    let store = fixture.another().connect().await.unwrap();
    let (a, to) = (id("a"), id("b"));
    let (one, two) = (record(NOW + DAY, r#""z":1,"a":2"#), record(NOW + DAY, r#""z":2,"a":2"#));
    let first = version(store.save(&a, &one, Precondition::Absent).await.unwrap());
    let second = version(store.save(&a, &two, Precondition::Unchanged(&first)).await.unwrap());
    let late = store.save(&a, &one, Precondition::Unchanged(&first)).await.unwrap();
    assert_eq!(late, Saved::Conflict);
    let loaded = store.load(&a).await.unwrap().unwrap();
    assert!(loaded.text.contains(r#""z": 2"#), "the server writes it anew");
    assert!(store.touch(&a, &cookie(Some(NOW + 2 * DAY)), Some(&second)).await.unwrap());
    version(store.rotate(&a, &to, &one, &loaded.version).await.unwrap());

    let nul = record(NOW + DAY, r#""secret":"\u0000""#);
    let error = store.save(&to, &nul, Precondition::Exists).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Failed);
    assert!(!said(&error).contains("secret"), "{error:?}");
}

#[tokio::test]
async fn an_error_says_nothing_of_ids_and_records() {
    let fixture = Fixture::new(PostgresLayout::ConnectSessionKnex).await;
    let (long, good) = (id(&"secret-id".repeat(40)), record(NOW + DAY, r#""secret":1"#));
    let error = fixture.store.save(&long, &good, Precondition::Absent).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Failed);
    assert!(said(&error).contains("22001") && !said(&error).contains("secret"), "{error:?}");
    assert!(fixture.store.load(&long).await.unwrap().is_none());

    fixture.execute("ALTER TABLE @ ADD CHECK (sess::text NOT LIKE '%secret%')").await;
    let error = fixture.store.save(&id("secret"), &good, Precondition::None).await.unwrap_err();
    assert!(said(&error).contains("23514") && !said(&error).contains("secret"), "{error:?}");
}

#[tokio::test]
async fn a_purge_goes_in_batches_past_rows_that_somebody_holds() {
    let fixture = Fixture::new(PostgresLayout::ConnectPgSimple).await;
    fixture
        .execute(
            "INSERT INTO @ SELECT n, '{}', '2020-01-01' FROM generate_series(1, 2500) AS n;
             INSERT INTO @ VALUES ('alive', '{}', '2040-01-01')",
        )
        .await;
    fixture.execute("BEGIN; SELECT FROM @ WHERE sid = '7' FOR UPDATE").await;
    assert_eq!(fixture.store.purge_expired().await.unwrap(), 2499);
    fixture.execute("ROLLBACK").await;
    assert_eq!(fixture.store.purge_expired().await.unwrap(), 1);
    assert_eq!(fixture.rows().await, 1);
}

#[tokio::test]
async fn a_session_kept_alive_during_a_purge_is_not_removed() {
    let fixture = Fixture::new(PostgresLayout::ConnectSessionKnex).await;
    fixture.create("a", &record(NOW + 1, r#""n":1"#)).await;
    fixture.set_clock(NOW + 1);
    fixture.execute("BEGIN; UPDATE @ SET expired = '2040-01-01' WHERE sid = 'a'").await;
    assert_eq!(fixture.store.purge_expired().await.unwrap(), 0);
    fixture.execute("COMMIT").await;
    assert!(fixture.text("a").await.is_some());
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_answer_to_the_next() {
    let fixture = Fixture::new(PostgresLayout::ConnectPgSimple).await;
    let store = fixture.another().with_max_connections(1).connect().await.unwrap();
    for sid in ["a", "b"] {
        fixture.create(sid, &record(NOW + DAY, &format!(r#""is":"{sid}""#))).await;
    }
    for _ in 0..50 {
        let (a, b) = (id("a"), id("b"));
        assert!(poll_once(store.load(&a)).is_pending());
        let loaded = store.load(&b).await.unwrap().unwrap();
        assert!(loaded.text.contains(r#""is":"b""#), "an answer meant for somebody else");
        // Halfway through, with the question on its way.
        let halfway = tokio::time::timeout(Duration::from_micros(300), store.load(&a)).await;
        drop(halfway);
        let loaded = store.load(&b).await.unwrap().unwrap();
        assert!(loaded.text.contains(r#""is":"b""#), "an answer meant for somebody else");
    }
}

#[tokio::test]
async fn a_table_made_anew_needs_no_restart_of_ours() {
    let fixture = Fixture::new(PostgresLayout::ConnectPgSimple).await;
    fixture.create("a", &record(NOW + DAY, r#""n":1"#)).await;
    fixture.execute("ALTER TABLE @ ALTER sess TYPE text, ADD COLUMN note text").await;
    assert!(fixture.text("a").await.is_some());
    fixture
        .execute(
            "DROP TABLE @; CREATE TABLE @
             (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)",
        )
        .await;
    assert_eq!(fixture.text("a").await, None);
    fixture.create("a", &record(NOW + DAY, r#""n":2"#)).await;
    assert!(fixture.text("a").await.is_some());
}
