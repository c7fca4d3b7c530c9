//! Tables whose columns have other names.

use super::*;

/// Names that Node's options may give: the id's, the record's, the expiry's.
const NAMES: [(MysqlLayout, [&str; 3]); 4] = [
    (MysqlLayout::ConnectSessionKnex, ["token", "sess", "expired"]),
    (MysqlLayout::ExpressMysqlSession, ["token", "body", "valid_until"]),
    // Words of SQL, and what would end a name, or be a parameter.
    (MysqlLayout::ExpressMysqlSession, ["key", "it's a \"`record`\" :text ?", "select"]),
    // Each is what another column is called elsewhere.
    (MysqlLayout::ExpressMysqlSession, ["data", "expires", "session_id"]),
];

fn named(layout: MysqlLayout, table: &str, names: [&str; 3], clock: &TestClock) -> MysqlBuilder {
    let [id, record, expiry] = names;
    let builder = builder(layout, table, clock).with_id_column(id);
    builder.with_record_column(record).with_expiry_column(expiry)
}

/// What Node creates, with other names in it.
fn of_node(layout: MysqlLayout, [id, record, expiry]: [&str; 3]) -> String {
    let usual = [layout.id(), layout.record(), layout.expiry()];
    let (_, ddl) = LAYOUTS.into_iter().zip(NODE_TABLES).find(|(it, _)| *it == layout).unwrap();
    let marked = usual.iter().zip(["{id}", "{record}", "{expiry}"]);
    let marked =
        marked.fold(ddl.to_owned(), |ddl, (name, mark)| ddl.replace(&format!("`{name}`"), mark));
    [("{id}", id), ("{record}", record), ("{expiry}", expiry)]
        .into_iter()
        .fold(marked, |ddl, (mark, name)| ddl.replace(mark, &layout::quote(name)))
}

#[tokio::test]
async fn a_table_with_other_columns_holds_sessions_like_any_other() {
    for (layout, names) in NAMES {
        for ddl in [None, Some(of_node(layout, names))] {
            let (table, clock) = (table(), clock());
            let mut raw = Conn::from_url(url()).await.unwrap();
            if let Some(ddl) = ddl {
                raw.query_drop(ddl.replace('@', &table)).await.unwrap();
            }
            let store = named(layout, &table, names, &clock).connect().await.unwrap();
            lives_through_everything(&store, &clock).await;

            let [id, record, expiry] = names.map(layout::quote);
            let sql = format!("SELECT {id}, {record}, CAST({expiry} AS CHAR) FROM {table}");
            let row: (String, String, String) = raw.query_first(sql).await.unwrap().unwrap();
            let expires = match layout {
                MysqlLayout::ConnectSessionKnex => "2030-01-03 03:04:05",
                MysqlLayout::ExpressMysqlSession => "1893639846",
            };
            let text = super::record(NOW + DAY, r#""n":3"#).text().to_string();
            assert_eq!(row, ("b".to_owned(), text, expires.to_owned()));
        }
    }
}

/// Tries every statement, and leaves a session called `b`.
async fn lives_through_everything(store: &MysqlStore, clock: &TestClock) {
    let (a, b) = (id("a"), id("b"));
    let records = ["1", "2", "3"].map(|n| super::record(NOW + DAY, &format!(r#""n":{n}"#)));
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

    version(
        store.save(&a, &super::record(NOW + 1000, r#""n":4"#), Precondition::None).await.unwrap(),
    );
    assert_eq!(store.length().await.unwrap(), 2);
    clock.set(from_millis(NOW + 60_000));
    let page = store.all(None, 10).await.unwrap();
    assert_eq!(page.sessions.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(store.purge_expired().await.unwrap(), 1);
    version(
        store.save(&a, &super::record(NOW + DAY, r#""n":4"#), Precondition::None).await.unwrap(),
    );
    assert!(store.destroy(&a).await.unwrap());
}

#[tokio::test]
async fn a_row_that_node_wrote_under_other_names_is_read() {
    let (layout, names) = NAMES[1];
    let (table, clock) = (table(), clock());
    let mut raw = Conn::from_url(url()).await.unwrap();
    raw.query_drop(of_node(layout, names).replace('@', &table)).await.unwrap();
    raw.query_drop(format!(
        r#"INSERT INTO {table} VALUES ('a', 1893639846, '{{"cookie":{{}},"by":"node"}}')"#
    ))
    .await
    .unwrap();
    let store = named(layout, &table, names, &clock).connect().await.unwrap();
    let stored = store.load(&id("a")).await.unwrap().unwrap();
    assert_eq!(&*stored.text, r#"{"cookie":{},"by":"node"}"#);
    assert_eq!(stored.expires, Some(from_millis(1_893_639_846_500)));
}

#[tokio::test]
async fn a_table_without_the_columns_that_were_named_is_left_alone() {
    let fixture = Fixture::new(MysqlLayout::ExpressMysqlSession).await;
    let error = fixture.another().with_id_column("to`ken").connect().await.unwrap_err();
    let (table, why) = (&fixture.table, "does not have the columns to`ken, data and expires");
    let expected =
        format!("the table \"{table}\" {why}, so it is not of the layout ExpressMysqlSession");
    assert_eq!(error.to_string(), expected);
    // To MySQL, capitals make no other name.
    fixture.another().with_id_column("Session_ID").connect().await.unwrap();
}

#[tokio::test]
async fn a_record_too_long_names_the_column_that_is_there() {
    let (table, clock) = (table(), clock());
    let mut raw = Conn::from_url(url()).await.unwrap();
    let columns = "session_id varchar(128) PRIMARY KEY, body varchar(99), expires bigint";
    raw.query_drop(format!("CREATE TABLE {table} ({columns})")).await.unwrap();
    let builder = builder(MysqlLayout::ExpressMysqlSession, &table, &clock);
    let store = builder.with_record_column("body").connect().await.unwrap();
    let long = super::record(NOW + DAY, &format!(r#""n":"{}""#, "x".repeat(999)));
    let error = store.save(&id("a"), &long, Precondition::None).await.unwrap_err();
    assert!(error.to_string().ends_with("bytes of body"), "{error}");
}
