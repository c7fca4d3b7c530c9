//! Tables found and made.

use deadpool_postgres::{Manager, Pool};
use sessile_core::StoreErrorKind;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_stores_that_start_at_once_share_one_new_table() {
    for _ in 0..5 {
        let (table, clock) = (table(), clock());
        let starts: Vec<_> = (0..8)
            .map(|n| {
                let builder = builder(url(), PostgresLayout::ConnectPgSimple, &table, &clock);
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
async fn a_new_table_is_the_one_that_node_makes() {
    let [simple, knex] = Fixture::both().await;
    for (fixture, columns) in [
        (&simple, "sid character varying NO, sess json NO, expire timestamp without time zone NO"),
        (&knex, "sid character varying NO, sess json NO, expired timestamp with time zone NO"),
    ] {
        let sql = "SELECT string_agg(column_name || ' ' || data_type || ' ' || is_nullable, ', '
             ORDER BY ordinal_position) FROM information_schema.columns WHERE table_name = $1";
        let row = fixture.raw.query_one(sql, &[&fixture.table]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), columns);
    }
    let indexes = async |fixture: &Fixture| -> Vec<String> {
        let sql = "SELECT indexname::text FROM pg_indexes WHERE tablename = $1 ORDER BY 1";
        let rows = fixture.raw.query(sql, &[&fixture.table]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let table = &simple.table;
    assert_eq!(indexes(&simple).await, [format!("IDX_{table}_expire"), format!("{table}_pkey")]);
    let table = &knex.table;
    assert_eq!(indexes(&knex).await, [format!("{table}_expired_index"), format!("{table}_pkey")]);
}

#[tokio::test]
async fn names_are_quoted_whatever_they_contain() {
    let raw = raw(url()).await;
    raw.batch_execute(r#"CREATE SCHEMA "my ""schema" "#).await.unwrap();
    let builder = builder(url(), LAYOUTS[0], r#"x"; DROP TABLE y; --'$1"#, &clock());
    let store = builder.with_schema(r#"my "schema"#).connect().await.unwrap();
    let record = record(NOW + DAY, r#""n":1"#);
    version(store.save(&id("a"), &record, Precondition::Absent).await.unwrap());
    assert_eq!(store.length().await.unwrap(), 1);
    let sql = "SELECT count(*) FROM pg_tables WHERE schemaname = $1";
    assert_eq!(raw.query_one(sql, &[&r#"my "schema"#]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test]
async fn a_table_of_something_else_is_left_alone() {
    let raw = raw(url()).await;
    for (columns, why) in [
        ("id int", "does not have the columns sid, sess and expire"),
        (
            "sid varchar PRIMARY KEY, sess json, expired timestamptz",
            "does not have the columns sid, sess and expire",
        ),
        ("sid varchar PRIMARY KEY, sess json, expire bigint", "declares expire as int8"),
        ("sid varchar PRIMARY KEY, sess bytea, expire timestamp", "declares sess as bytea"),
        ("sid char(32) PRIMARY KEY, sess json, expire timestamp", "declares sid as bpchar"),
        (
            "sid varchar PRIMARY KEY, sess json, expire timestamp, owner int NOT NULL",
            "needs a value for owner",
        ),
        ("sid varchar, sess json, expire timestamp", "does not say that sid is its primary key"),
    ] {
        let table = table();
        raw.batch_execute(&format!("CREATE TABLE {table} ({columns})")).await.unwrap();
        let builder = builder(url(), PostgresLayout::ConnectPgSimple, &table, &clock());
        let error = builder.connect().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Failed);
        let expected =
            format!("the table \"{table}\" {why}, so it is not of the layout ConnectPgSimple");
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn a_role_that_may_not_create_uses_what_there_is() {
    let fixture = Fixture::new(PostgresLayout::ConnectPgSimple).await;
    fixture
        .execute("CREATE ROLE reader LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON @ TO reader")
        .await;
    let url = url().replace("sessile@", "reader@");
    let open = |table: &str| builder(&url, fixture.layout, table, &fixture.clock).connect();
    let store = open(&fixture.table).await.unwrap();
    let record = record(NOW + DAY, r#""n":1"#);
    version(store.save(&id("a"), &record, Precondition::Absent).await.unwrap());
    assert_eq!(store.purge_expired().await.unwrap(), 0);

    let error = open("another_table").await.unwrap_err();
    assert_eq!(error.to_string(), "postgres could not set up its table");
    assert!(said(&error).contains("permission denied"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_only_reads_is_left_for_the_one_in_its_place() {
    let fixture = Fixture::new(PostgresLayout::ConnectPgSimple).await;
    fixture
        .execute(
            "CREATE ROLE standby LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON @ TO standby;
             ALTER ROLE standby SET default_transaction_read_only = on",
        )
        .await;
    let url = url().replace("sessile@", "standby@");
    let builder = builder(&url, fixture.layout, &fixture.table, &fixture.clock);
    let store = builder.with_max_connections(1).connect().await.unwrap();
    let record = record(NOW + DAY, r#""n":1"#);
    let a = id("a");
    let save = || store.save(&a, &record, Precondition::Absent);
    let error = save().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");

    fixture.execute("ALTER ROLE standby RESET default_transaction_read_only").await;
    version(save().await.unwrap());
}

#[tokio::test]
async fn an_unlogged_table_is_not_called_durable() {
    let layout = PostgresLayout::ConnectPgSimple;
    let logged = Fixture::new(layout).await;
    assert!(logged.store.capabilities().contains(&Capability::Durable));
    let unlogged = Fixture::with(url(), layout, PostgresBuilder::with_unlogged).await;
    assert!(!unlogged.store.capabilities().contains(&Capability::Durable));
    assert!(unlogged.store.capabilities().contains(&Capability::Shared));
    let lazy = format!("{}?options=-c%20synchronous_commit%3Doff", url());
    assert!(!Fixture::at(&lazy, layout).await.store.capabilities().contains(&Capability::Durable));
}

#[tokio::test]
async fn a_pool_of_the_application_serves() {
    let manager = Manager::new(url().parse().unwrap(), NoTls);
    let pool = Pool::builder(manager).max_size(2).build().unwrap();
    let store = PostgresStore::from_pool(pool).with_table(table()).connect().await.unwrap();
    let record = Record::parse(r#"{"cookie":{"expires":null}}"#).unwrap();
    version(store.save(&id("a"), &record, Precondition::Absent).await.unwrap());
    assert!(store.destroy(&id("a")).await.unwrap());
}

#[tokio::test]
async fn nothing_that_prints_holds_the_password() {
    let url = url().replace("sessile@", "nobody:hunter2@");
    let error = PostgresStore::connect(&url).await.unwrap_err();
    assert!(!said(&error).contains("hunter2") && said(&error).contains("nobody"), "{error:?}");
    let builder = PostgresStore::builder(&url);
    assert!(!format!("{builder:?}").contains("hunter2"));
}
