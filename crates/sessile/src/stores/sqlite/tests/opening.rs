//! Databases and tables, new and old.

use super::*;

#[tokio::test]
async fn an_index_that_is_there_is_not_made_twice() {
    for layout in LAYOUTS {
        let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
        let raw = Connection::open(path(&folder)).unwrap();
        let (columns, expiry) = (layout.columns(), layout.expiry());
        raw.execute_batch(&format!(
            "CREATE TABLE sessions ({columns}); CREATE INDEX own ON sessions ({expiry})"
        ))
        .unwrap();
        for _ in 0..2 {
            builder(&folder, layout, &clock).connect().await.unwrap();
        }
        let count = "SELECT count(*) FROM pragma_index_list('sessions')";
        assert_eq!(raw.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap(), 2);
    }
}

#[tokio::test]
async fn a_table_may_have_any_name() {
    for name in ["sessions", "my sessions", "x\"; DROP TABLE y; --", "select", "é"] {
        let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
        for layout in LAYOUTS {
            let table = format!("{name}{}", layout.expiry());
            let store = builder(&folder, layout, &clock).with_table(table).connect().await.unwrap();
            store.save(&id("a"), &record(NOW + 1, 1), Precondition::Absent).await.unwrap();
            assert_eq!(store.length().await.unwrap(), 1, "{name}");
        }
    }
}

#[tokio::test]
async fn a_table_of_another_layout_is_an_error_that_says_why() {
    for (create, layout, why) in [
        ("(sid PRIMARY KEY, expire, sess)", SqliteLayout::ConnectSqlite3, "has no column expired"),
        ("(sid PRIMARY KEY, expired, sess)", SqliteLayout::BetterSqlite3, "has no column expire,"),
        (
            "(sid varchar(255), sess json not null, expired datetime not null, primary key (sid))",
            SqliteLayout::ConnectSqlite3,
            "declares expired as datetime",
        ),
        (
            "(sid PRIMARY KEY, expired TEXT, sess)",
            SqliteLayout::ConnectSqlite3,
            "declares expired as TEXT",
        ),
        (
            "(sid PRIMARY KEY, expired, sess, n NOT NULL)",
            SqliteLayout::ConnectSqlite3,
            "needs a value for n",
        ),
        (
            "(sid, expired, sess)",
            SqliteLayout::ConnectSqlite3,
            "could not use the table \"sessions\"",
        ),
    ] {
        let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
        let raw = Connection::open(path(&folder)).unwrap();
        raw.execute_batch(&format!("CREATE TABLE sessions {create}")).unwrap();
        let error = builder(&folder, layout, &clock).connect().await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(error.kind(), StoreErrorKind::Failed);
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(path(&folder), "x".repeat(5000)).unwrap();
    let error = SqliteStore::connect(&url(&folder)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("sqlite could not open {}", path(&folder).display()));
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);

    let error =
        SqliteStore::connect(&format!("sqlite://{}", folder.path().display())).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "a folder is no database: {error:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let fixture = Fixture::new(SqliteLayout::default()).await;
    fixture.create("a", &record(NOW + 1, 1)).await;
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut files = 0;
    for file in std::fs::read_dir(fixture.folder.path()).unwrap() {
        assert_eq!(mode(file.unwrap().path()), 0o600);
        files += 1;
    }
    assert_eq!(files, 3, "database, log and index of the log");
}

#[tokio::test]
async fn a_database_in_memory_does_all_that_a_file_does() {
    for store in [
        SqliteStore::connect("sqlite::memory:").await.unwrap(),
        SqliteStore::from_connection(Connection::open_in_memory().unwrap())
            .connect()
            .await
            .unwrap(),
    ] {
        let record = record(NOW + DAY, 1);
        let first = version(store.save(&id("a"), &record, Precondition::Absent).await.unwrap());
        version(store.rotate(&id("a"), &id("b"), &record, &first).await.unwrap());
        assert_eq!(*text(&store, "b").await.unwrap(), **record.text());
        assert_eq!(store.length().await.unwrap(), 1);
        assert!(store.destroy(&id("b")).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stores_that_start_at_once_share_one_new_file() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let starts: Vec<_> = (0..8)
            .map(|n| {
                let url = url(&folder);
                tokio::spawn(async move {
                    let store = SqliteStore::connect(&url).await.unwrap();
                    let far = self::record(NOW + 100 * 365 * DAY, n);
                    version(
                        store.save(&id(&n.to_string()), &far, Precondition::Absent).await.unwrap(),
                    );
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
