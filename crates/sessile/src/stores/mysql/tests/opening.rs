//! Tables found and made.

use sessile_core::StoreErrorKind;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_stores_that_start_at_once_share_one_new_table() {
    for layout in [LAYOUTS[0], LAYOUTS[1], LAYOUTS[1]] {
        let (table, clock) = (table(), clock());
        let starts: Vec<_> = (0..8)
            .map(|n| {
                let builder = builder(layout, &table, &clock);
                tokio::spawn(async move {
                    let store = builder.connect().await.unwrap();
                    let record = record(NOW + DAY, r#""n":1"#);
                    let sid = id(&n.to_string());
                    version(store.save(&sid, &record, Precondition::Absent).await.unwrap());
                    store
                })
            })
            .collect();
        let mut stores = Vec::new();
        for start in starts {
            stores.push(start.await.unwrap());
        }
        assert_eq!(stores[0].length().await.unwrap(), 8);
    }
}

#[tokio::test]
async fn names_are_quoted_whatever_they_contain() {
    let table = "x`; DROP TABLE y; -- ? :id '\"";
    let store = builder(LAYOUTS[1], table, &clock()).connect().await.unwrap();
    let record = record(NOW + DAY, r#""n":1"#);
    let first = version(store.save(&id("a"), &record, Precondition::Absent).await.unwrap());
    assert!(store.touch(&id("a"), record.cookie(), Some(&first)).await.unwrap());
    assert_eq!(store.length().await.unwrap(), 1);
}

#[tokio::test]
async fn a_table_of_something_else_is_left_alone() {
    let mut raw = Conn::from_url(url()).await.unwrap();
    let key = "session_id varchar(128) PRIMARY KEY";
    for (columns, why) in [
        ("id int".to_owned(), "does not have the columns session_id, data and expires"),
        (format!("{key}, data text, expires datetime"), "declares expires as datetime"),
        (format!("{key}, data int, expires int unsigned"), "declares data as int(11)"),
        (
            "session_id char(32) PRIMARY KEY, data text, expires bigint".to_owned(),
            "declares session_id as char(32)",
        ),
        (format!("{key}, data text, expires int, owner int NOT NULL"), "needs a value for owner"),
        (
            "session_id varchar(128), data text, expires int".to_owned(),
            "does not say that session_id is its primary key",
        ),
        (
            "session_id varchar(128), n int, data text, expires int, PRIMARY KEY (session_id, n)"
                .to_owned(),
            "needs a value for n",
        ),
    ] {
        let table = table();
        raw.query_drop(format!("CREATE TABLE {table} ({columns})")).await.unwrap();
        let error = builder(LAYOUTS[1], &table, &clock()).connect().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Failed);
        let expected =
            format!("the table \"{table}\" {why}, so it is not of the layout ExpressMysqlSession");
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn a_user_who_may_not_create_uses_what_there_is() {
    let mut fixture = Fixture::new(LAYOUTS[1]).await;
    fixture.execute("CREATE USER reader").await;
    fixture.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON @ TO reader").await;
    let url = url().replace("root@", "reader@");
    let open = |table: &str| MysqlStore::builder(&url).with_table(table).connect();
    let store = open(&fixture.table).await.unwrap();
    let record = Record::parse(r#"{"cookie":{"expires":null}}"#).unwrap();
    version(store.save(&id("a"), &record, Precondition::Absent).await.unwrap());
    assert_eq!(store.purge_expired().await.unwrap(), 0);

    // Everybody may create tables in `test`, but not everywhere.
    let url = url.replace("/test", "/mysql");
    let error = MysqlStore::connect(&url).await.unwrap_err();
    assert!(said(&error).contains("denied"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_only_reads_is_left_for_the_one_in_its_place() {
    let server = tokio::task::block_in_place(server::mariadb).unwrap();
    let mut root = Conn::from_url(server.url()).await.unwrap();
    for sql in ["CREATE USER web", "GRANT ALL ON test.* TO web"] {
        root.query_drop(sql).await.unwrap();
    }
    let url = server.url().replace("root@", "web@");
    let store = MysqlStore::builder(&url).with_max_connections(1).connect().await.unwrap();
    let record = Record::parse(r#"{"cookie":{"expires":null}}"#).unwrap();
    let a = id("a");
    let save = || store.save(&a, &record, Precondition::None);
    version(save().await.unwrap());
    let connection = "SELECT MAX(ID) FROM information_schema.PROCESSLIST WHERE USER = 'web'";
    let before: u64 = root.query_first(connection).await.unwrap().unwrap();

    root.query_drop("SET GLOBAL read_only = ON").await.unwrap();
    assert_eq!(save().await.unwrap_err().kind(), StoreErrorKind::Unavailable);
    root.query_drop("SET GLOBAL read_only = OFF").await.unwrap();
    version(save().await.unwrap());
    let after: u64 = root.query_first(connection).await.unwrap().unwrap();
    assert_ne!(before, after, "another server may be there by now");
}

#[tokio::test]
async fn another_engine_is_not_called_durable() {
    for (engine, durable) in [("InnoDB", true), ("MyISAM", false)] {
        let ddl = NODE_TABLES[1].replace("InnoDB", engine);
        let fixture = Fixture::on(LAYOUTS[1], Some(&ddl)).await;
        let capabilities = fixture.store.capabilities();
        assert_eq!(capabilities.contains(&Capability::Durable), durable, "{engine}");
        assert!(capabilities.contains(&Capability::Shared));
    }
}

#[tokio::test]
async fn connections_that_do_not_commit_are_refused() {
    let opts = mysql_async::OptsBuilder::from_opts(mysql_async::Opts::from_url(url()).unwrap())
        .init(vec!["SET autocommit = 0"]);
    let store = MysqlStore::from_pool(Pool::new(opts)).with_table(table());
    let error = store.connect().await.unwrap_err();
    assert!(error.to_string().starts_with("these connections do not commit"), "{error}");
}

#[tokio::test]
async fn nothing_that_prints_holds_the_password() {
    let url = url().replace("root@", "nobody:hunter2@");
    let error = MysqlStore::connect(&url).await.unwrap_err();
    assert!(!said(&error).contains("hunter2") && said(&error).contains("nobody"), "{error:?}");
    assert!(!format!("{:?}", MysqlStore::builder(&url)).contains("hunter2"));
}
