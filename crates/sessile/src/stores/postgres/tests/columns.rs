//! Tables of `connect-session-knex` with another name for the column of the id.

use super::*;

const KNEX: PostgresLayout = PostgresLayout::ConnectSessionKnex;
/// Plain, a word of SQL, what would end a name or be a parameter, and with capitals.
const NAMES: [&str; 4] = ["token", "user", r#"it's "the" id, $1"#, "SessionId"];

#[tokio::test]
async fn a_table_with_another_id_column_holds_sessions_like_any_other() {
    for name in NAMES {
        let quoted = layout::quote(name);
        let of_node = format!(
            "CREATE TABLE @ ({quoted} varchar(255), sess json NOT NULL,
             expired timestamptz NOT NULL, PRIMARY KEY ({quoted}))"
        );
        for ddl in [None, Some(of_node)] {
            let (table, clock, raw) = (table(), clock(), raw(url()).await);
            if let Some(ddl) = ddl {
                raw.batch_execute(&ddl.replace('@', &table)).await.unwrap();
            }
            let builder = builder(url(), KNEX, &table, &clock).with_id_column(name);
            lives_through_everything(&builder.connect().await.unwrap(), &clock).await;

            let sql =
                format!("SELECT {quoted}, sess::text, expired = $1::timestamptz FROM {table}");
            let row = raw.query_one(&sql, &[&from_millis(NOW + DAY)]).await.unwrap();
            let text = record(NOW + DAY, r#""n":3"#).text().to_string();
            assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("b", &*text));
            assert!(row.get::<_, bool>(2));
        }
    }
}

/// Tries every statement, and leaves a session called `b`.
async fn lives_through_everything(store: &PostgresStore, clock: &TestClock) {
    let (a, b) = (id("a"), id("b"));
    let records = ["1", "2", "3"].map(|n| record(NOW + DAY, &format!(r#""n":{n}"#)));
    let [one, two, three] = &records;
    let first = version(store.save(&a, one, Precondition::Absent).await.unwrap());
    assert_eq!(store.save(&a, two, Precondition::Absent).await.unwrap(), Saved::Conflict);
    assert!(store.touch(&a, one.cookie(), None).await.unwrap());
    assert!(store.touch(&a, one.cookie(), Some(&first)).await.unwrap());
    version(store.save(&a, two, Precondition::Exists).await.unwrap());
    let again = store.save(&a, three, Precondition::Unchanged(&first)).await.unwrap();
    assert_eq!(again, Saved::Conflict);
    let second = store.load(&a).await.unwrap().unwrap().version;
    version(store.rotate(&a, &b, three, &second).await.unwrap());
    assert!(store.load(&a).await.unwrap().is_none());

    let short = record(NOW + 1000, r#""n":4"#);
    version(store.save(&a, &short, Precondition::None).await.unwrap());
    assert_eq!(store.length().await.unwrap(), 2);
    clock.set(from_millis(NOW + 60_000));
    let page = store.all(None, 10).await.unwrap();
    assert_eq!(page.sessions.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(store.purge_expired().await.unwrap(), 1);
    version(store.save(&a, one, Precondition::None).await.unwrap());
    assert!(store.destroy(&a).await.unwrap());
}

#[tokio::test]
async fn a_row_that_node_wrote_under_another_name_is_read() {
    let fixture = Fixture::with(url(), KNEX, |builder| builder.with_id_column("token")).await;
    fixture
        .execute(
            r#"INSERT INTO @ (token, expired, sess)
             VALUES ('a', '2030-01-03T03:04:05.678Z', '{"cookie":{},"by":"node"}')"#,
        )
        .await;
    assert_eq!(fixture.text("a").await.unwrap(), r#"{"cookie":{},"by":"node"}"#);
    let expires = fixture.store.load(&id("a")).await.unwrap().unwrap().expires;
    assert_eq!(expires, Some(from_millis(NOW + DAY)));
}

#[tokio::test]
async fn a_table_without_the_column_that_was_named_is_left_alone() {
    let fixture = Fixture::with(url(), KNEX, |builder| builder.with_id_column("token")).await;
    // To PostgreSQL, capitals make another name.
    for (builder, id) in
        [(fixture.another(), "sid"), (fixture.another().with_id_column("Token"), "Token")]
    {
        let error = builder.connect().await.unwrap_err();
        let (table, why) =
            (&fixture.table, format!("does not have the columns {id}, sess and expired"));
        let expected =
            format!("the table \"{table}\" {why}, so it is not of the layout ConnectSessionKnex");
        assert_eq!(error.to_string(), expected);
    }
}
