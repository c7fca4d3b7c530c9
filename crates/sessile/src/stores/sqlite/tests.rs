use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use rusqlite::{Connection, params};
use serde_json::Value;
use sessile_core::{Clock, StoreErrorKind};
use tempfile::TempDir;

use super::layout::Statements;
use super::*;

/// 2030-01-02T03:04:05.678Z, when the golden rows were written.
const NOW: i64 = 1_893_553_445_678;
const DAY: i64 = 86_400_000;
const LAYOUTS: [SqliteLayout; 2] = [SqliteLayout::BetterSqlite3, SqliteLayout::ConnectSqlite3];

#[derive(Debug)]
struct TestClock {
    millis: AtomicI64,
    broken: AtomicBool,
    ended: Mutex<Option<mpsc::Sender<()>>>,
}

impl TestClock {
    fn new() -> Arc<Self> {
        let (millis, broken) = (AtomicI64::new(NOW), AtomicBool::new(false));
        Arc::new(Self { millis, broken, ended: Mutex::new(None) })
    }

    fn set(&self, millis: i64) {
        self.millis.store(millis, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        assert!(!self.broken.load(Ordering::SeqCst), "the clock is broken");
        time(self.millis.load(Ordering::SeqCst))
    }
}

impl Drop for TestClock {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.lock().unwrap().take() {
            ended.send(()).unwrap();
        }
    }
}

/// A store in a folder of its own, whose clock stands at [`NOW`].
struct Fixture {
    clock: Arc<TestClock>,
    folder: TempDir,
    layout: SqliteLayout,
    store: SqliteStore,
}

impl Fixture {
    async fn new(layout: SqliteLayout) -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
        let store = builder(&folder, layout, &clock).connect().await.unwrap();
        Self { clock, folder, layout, store }
    }

    async fn both() -> [Self; 2] {
        [Self::new(LAYOUTS[0]).await, Self::new(LAYOUTS[1]).await]
    }

    async fn another_store(&self) -> SqliteStore {
        builder(&self.folder, self.layout, &self.clock).connect().await.unwrap()
    }

    /// What another program sees.
    fn raw(&self) -> Connection {
        Connection::open(path(&self.folder)).unwrap()
    }

    fn raw_rows(&self) -> i64 {
        self.raw().query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap()
    }

    /// Writes a row whose expiry and record are any SQL.
    fn insert(&self, sid: &str, expiry: &str, sess: &str) {
        let column = self.layout.expiry();
        let sql =
            format!("INSERT INTO sessions (sid, {column}, sess) VALUES (?1, {expiry}, {sess})");
        self.raw().execute(&sql, [sid]).unwrap();
    }

    async fn create(&self, sid: &str, record: &Record) -> Version {
        version(self.store.save(&id(sid), record, Precondition::Absent).await.unwrap())
    }
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("sessions.db")
}

fn url(folder: &TempDir) -> String {
    format!("sqlite://{}", path(folder).display())
}

fn builder(folder: &TempDir, layout: SqliteLayout, clock: &Arc<TestClock>) -> SqliteBuilder {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    SqliteStore::builder(&url(folder)).with_layout(layout).with_clock(clock)
}

fn id(sid: &str) -> SessionId {
    SessionId::new(sid)
}

fn time(millis: i64) -> SystemTime {
    let distance = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
}

fn cookie(expires: Option<i64>) -> SessionCookie {
    let mut cookie = SessionCookie::from_json(r#"{"originalMaxAge":null,"expires":null}"#).unwrap();
    cookie.set_expires(expires.map(time), time(NOW));
    cookie
}

/// A record that expires at `expires`.
fn record(expires: impl Into<Option<i64>>, n: u64) -> Record {
    let cookie = cookie(expires.into());
    Record::parse(format!(r#"{{"cookie":{},"n":{n}}}"#, cookie.to_json())).unwrap()
}

fn version(saved: Saved) -> Version {
    match saved {
        Saved::Saved(version) => version,
        other => panic!("not saved: {other:?}"),
    }
}

async fn text(store: &SqliteStore, sid: &str) -> Option<String> {
    store.load(&id(sid)).await.unwrap().map(|stored| stored.text.to_string())
}

fn vectors(package: &str) -> Vec<Value> {
    let all = include_str!("../../../../../fixtures/express/vectors.json");
    let mut all: Value = serde_json::from_str(all).unwrap();
    let records = all["store_records"].as_array_mut().unwrap();
    records
        .retain(|vector| vector["store"].as_str().is_some_and(|store| store.starts_with(package)));
    assert_eq!(records.len(), 2, "{package}");
    std::mem::take(records)
}

fn package(layout: SqliteLayout) -> &'static str {
    match layout {
        SqliteLayout::BetterSqlite3 => "better-sqlite3-session-store",
        SqliteLayout::ConnectSqlite3 => "connect-sqlite3",
    }
}

fn value_sql(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        number => format!("{number}.0"),
    }
}

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
async fn load_expired_is_none_at_the_very_instant() {
    for fixture in Fixture::both().await {
        let (store, record) = (&fixture.store, record(NOW + 60_001, 1));
        let version = fixture.create("a", &record).await;
        fixture.clock.set(NOW + 60_000);
        assert!(store.load(&id("a")).await.unwrap().is_some());
        assert_eq!(store.length().await.unwrap(), 1);
        assert_eq!(store.all(None, 10).await.unwrap().sessions.len(), 1);
        assert_eq!(store.purge_expired().await.unwrap(), 0);

        fixture.clock.set(NOW + 60_001);
        let (a, to, later) = (id("a"), id("b"), self::record(NOW + DAY, 2));
        assert!(store.load(&a).await.unwrap().is_none());
        assert_eq!(store.length().await.unwrap(), 0);
        assert!(store.all(None, 10).await.unwrap().sessions.is_empty());
        assert!(!store.touch(&a, later.cookie(), None).await.unwrap());
        assert_eq!(store.save(&a, &later, Precondition::Exists).await.unwrap(), Saved::Gone);
        let unchanged = Precondition::Unchanged(&version);
        assert_eq!(store.save(&a, &later, unchanged).await.unwrap(), Saved::Gone);
        assert_eq!(store.rotate(&a, &to, &later, &version).await.unwrap(), Saved::Gone);
        assert!(store.load(&a).await.unwrap().is_none());
        assert_eq!(store.purge_expired().await.unwrap(), 1);
        assert_eq!(fixture.raw_rows(), 0);
    }
}

#[tokio::test]
async fn destroying_an_expired_session_says_it_did_not_live() {
    for fixture in Fixture::both().await {
        fixture.create("a", &record(NOW + 1, 1)).await;
        fixture.create("b", &record(NOW + 2, 1)).await;
        fixture.clock.set(NOW + 1);
        assert!(!fixture.store.destroy(&id("a")).await.unwrap());
        assert!(fixture.store.destroy(&id("b")).await.unwrap());
        assert!(!fixture.store.destroy(&id("b")).await.unwrap());
        assert_eq!(fixture.raw_rows(), 0);
    }
}

#[tokio::test]
async fn a_save_happens_only_if_its_precondition_holds() {
    for fixture in Fixture::both().await {
        let (store, a) = (&fixture.store, id("a"));
        let (one, two, three) = (record(NOW + 1, 1), record(NOW + 1, 2), record(NOW + DAY, 3));
        let save = async |record, when| store.save(&a, record, when).await.unwrap();

        assert_eq!(save(&one, Precondition::Exists).await, Saved::Gone);
        let first = version(save(&one, Precondition::Absent).await);
        assert_eq!(save(&two, Precondition::Absent).await, Saved::Conflict);
        assert!(store.load(&a).await.unwrap().unwrap().version == first);

        let second = version(save(&two, Precondition::Unchanged(&first)).await);
        assert_eq!(save(&three, Precondition::Unchanged(&first)).await, Saved::Conflict);
        let foreign = Version::number(7);
        assert_eq!(save(&three, Precondition::Unchanged(&foreign)).await, Saved::Conflict);
        assert_eq!(*text(store, "a").await.unwrap(), **two.text());

        fixture.clock.set(NOW + 1);
        assert_eq!(save(&three, Precondition::Unchanged(&second)).await, Saved::Gone);
        version(save(&three, Precondition::Absent).await);
        version(save(&one, Precondition::Exists).await);
        assert_eq!(text(store, "a").await, None, "saved expired");
        version(save(&three, Precondition::None).await);
        assert_eq!(*text(store, "a").await.unwrap(), **three.text());
    }
}

#[tokio::test]
async fn touch_moves_only_the_expiry() {
    for fixture in Fixture::both().await {
        let record = record(NOW + 1000, 1);
        let before = fixture.create("a", &record).await;
        assert!(fixture.store.touch(&id("a"), &cookie(Some(NOW + 5000)), None).await.unwrap());
        let stored = fixture.store.load(&id("a")).await.unwrap().unwrap();
        assert_eq!(stored.text, *record.text());
        assert_eq!(stored.expires, Some(time(NOW + 5000)));
        assert!(stored.version == before, "a touch is not a change");
        assert!(!fixture.store.touch(&id("b"), record.cookie(), None).await.unwrap());
    }
}

#[tokio::test]
async fn no_expiry_means_the_default_lifetime() {
    for fixture in Fixture::both().await {
        fixture.create("a", &record(None, 1)).await;
        let expires = async || fixture.store.load(&id("a")).await.unwrap().unwrap().expires;
        assert_eq!(expires().await, Some(time(NOW + DAY)));
        fixture.clock.set(NOW + 5);
        assert!(fixture.store.touch(&id("a"), &cookie(None), None).await.unwrap());
        assert_eq!(expires().await, Some(time(NOW + DAY + 5)));

        let hour = Duration::from_secs(3600);
        let brief = builder(&fixture.folder, fixture.layout, &fixture.clock);
        let brief = brief.with_default_lifetime(hour).connect().await.unwrap();
        brief.save(&id("a"), &record(None, 1), Precondition::Exists).await.unwrap();
        assert_eq!(expires().await, Some(time(NOW + 5) + hour));
    }
}

#[tokio::test]
async fn an_expiry_beyond_what_the_column_can_say_is_the_last_it_can() {
    for fixture in Fixture::both().await {
        for (expires, lives) in [(8_640_000_000_000_000, true), (-8_640_000_000_000_000, false)] {
            let when = Precondition::None;
            fixture.store.save(&id("a"), &record(expires, 1), when).await.unwrap();
            assert_eq!(text(&fixture.store, "a").await.is_some(), lives, "{expires}");
        }
    }
}

#[tokio::test]
async fn rotate_moves_the_session() {
    for fixture in Fixture::both().await {
        let (store, a, b) = (&fixture.store, id("a"), id("b"));
        let (one, two) = (record(NOW + DAY, 1), record(NOW + DAY, 2));
        let first = fixture.create("a", &one).await;
        fixture.create("taken", &one).await;

        let taken = store.rotate(&a, &id("taken"), &two, &first).await.unwrap();
        assert_eq!(taken, Saved::Conflict, "it never takes over an id that lives");
        let to_itself = store.rotate(&a, &a, &two, &first).await.unwrap();
        assert_eq!(to_itself, Saved::Conflict);

        // An expired session under the new id is nobody's any more.
        store.save(&b, &record(NOW - 1, 9), Precondition::None).await.unwrap();
        let second = version(store.rotate(&a, &b, &two, &first).await.unwrap());
        assert_eq!(text(store, "a").await, None);
        assert_eq!(*text(store, "b").await.unwrap(), **two.text());

        assert_eq!(store.rotate(&a, &id("c"), &two, &second).await.unwrap(), Saved::Gone);
        assert_eq!(store.rotate(&b, &id("c"), &one, &first).await.unwrap(), Saved::Conflict);
        assert_eq!(text(store, "c").await, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_changes_with_one_version_exactly_one_wins() {
    for fixture in Fixture::both().await {
        let first = fixture.create("a", &record(NOW + DAY, 0)).await;
        let stores = [fixture.store.clone(), fixture.another_store().await];
        let racers: Vec<_> = (1..=40)
            .map(|n: u64| {
                let (store, first) =
                    (stores[usize::from(n.is_multiple_of(2))].clone(), first.clone());
                tokio::spawn(async move {
                    let (record, to) = (record(NOW + DAY, n), id(&format!("new {n}")));
                    match n % 4 < 2 {
                        true => store.rotate(&id("a"), &to, &record, &first).await,
                        false => {
                            store.save(&id("a"), &record, Precondition::Unchanged(&first)).await
                        }
                    }
                })
            })
            .collect();
        let mut winners = 0;
        for racer in racers {
            winners += u32::from(matches!(racer.await.unwrap().unwrap(), Saved::Saved(_)));
        }
        assert_eq!((winners, fixture.raw_rows()), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_increments_over_two_stores_are_all_kept() {
    for fixture in Fixture::both().await {
        fixture.create("a", &record(NOW + DAY, 0)).await;
        let stores = [fixture.store.clone(), fixture.another_store().await];
        let increments: Vec<_> = (0..100)
            .map(|n: usize| {
                let store = stores[n % 2].clone();
                tokio::spawn(async move {
                    loop {
                        let stored = store.load(&id("a")).await.unwrap().unwrap();
                        let value: Value = serde_json::from_str(&stored.text).unwrap();
                        let next = record(NOW + DAY, value["n"].as_u64().unwrap() + 1);
                        let when = Precondition::Unchanged(&stored.version);
                        match store.save(&id("a"), &next, when).await.unwrap() {
                            Saved::Saved(_) => break,
                            Saved::Conflict => {}
                            Saved::Gone => panic!("gone"),
                        }
                    }
                })
            })
            .collect();
        for increment in increments {
            increment.await.unwrap();
        }
        assert_eq!(*text(&fixture.store, "a").await.unwrap(), **record(NOW + DAY, 100).text());
    }
}

#[tokio::test]
async fn ids_are_compared_exactly() {
    let long = "x".repeat(8192);
    let ids = [
        "",
        " ",
        "a",
        "A",
        "a ",
        "a\0",
        "a\0b",
        "a%",
        "a_",
        "1",
        "01",
        "1.0",
        "1e0",
        "é",
        "e\u{301}",
        "../a",
        "$gt",
        "'; DROP TABLE sessions; --",
        "\u{1f980}",
        &long,
    ];
    for fixture in Fixture::both().await {
        for (n, sid) in ids.iter().enumerate() {
            assert_eq!(text(&fixture.store, sid).await, None, "{sid:?}");
            fixture.create(sid, &record(NOW + DAY, n as u64)).await;
        }
        for (n, sid) in ids.iter().enumerate() {
            let expected = record(NOW + DAY, n as u64);
            assert_eq!(*text(&fixture.store, sid).await.unwrap(), **expected.text(), "{sid:?}");
        }
        let mut listed: Vec<_> = fixture.store.all(None, 100).await.unwrap().sessions;
        assert_eq!(listed.len(), ids.len());
        let (first, _) = listed.swap_remove(0);
        assert!(fixture.store.destroy(&first).await.unwrap());
        assert_eq!(fixture.store.length().await.unwrap(), ids.len() as u64 - 1);
    }
}

#[tokio::test]
async fn records_survive_byte_for_byte() {
    for fixture in Fixture::both().await {
        for body in [
            r#""big":12345678901234567890,"tiny":1e-7,"zero":-0.0"#.to_owned(),
            "\"u\":\"\u{2028} \\u0000 \\ud800 é \u{1f980}\"".to_owned(),
            format!(r#""megabyte":"{}""#, "x".repeat(1 << 20)),
        ] {
            let record = Record::parse(format!(r#"{{"cookie":{{}},{body}}}"#)).unwrap();
            fixture.store.save(&id("a"), &record, Precondition::None).await.unwrap();
            assert!(text(&fixture.store, "a").await.unwrap() == **record.text());
        }
    }
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
async fn purge_removes_the_expired_only_in_batches() {
    for fixture in Fixture::both().await {
        let saves: Vec<_> = (0..1200)
            .map(|n| {
                let store = fixture.store.clone();
                tokio::spawn(async move {
                    let record = record(NOW + if n < 3 { 2 } else { 1 }, n);
                    store.save(&id(&n.to_string()), &record, Precondition::Absent).await
                })
            })
            .collect();
        for save in saves {
            version(save.await.unwrap().unwrap());
        }
        fixture.clock.set(NOW + 1);
        assert_eq!(fixture.store.purge_expired().await.unwrap(), 1197);
        assert_eq!(fixture.raw_rows(), 3);
        assert_eq!(fixture.store.purge_expired().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn expired_sessions_are_removed_without_being_asked_for() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let layout = SqliteLayout::default();
    let store = builder(&folder, layout, &clock).with_sweep_every(Duration::from_millis(1));
    let fixture = Fixture { store: store.connect().await.unwrap(), clock, folder, layout };
    fixture.create("a", &record(NOW + 1, 1)).await;
    fixture.clock.set(NOW + 1);
    while fixture.raw_rows() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn all_lists_each_session_once() {
    for fixture in Fixture::both().await {
        for n in 0..25 {
            let expires = NOW + 1 + i64::from(n % 5 > 0);
            fixture.create(&format!("{n:02}"), &record(expires, n)).await;
        }
        fixture.clock.set(NOW + 1);
        let (mut listed, mut from) = (Vec::new(), None);
        loop {
            let page = fixture.store.all(from.as_ref(), 7).await.unwrap();
            listed.extend(page.sessions.into_iter().map(|(id, _)| id.as_str().to_owned()));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        let expected = (0..25).filter(|n| n % 5 > 0).map(|n| format!("{n:02}"));
        assert_eq!(listed, expected.collect::<Vec<_>>());

        let one = fixture.store.find_by_user("n", &Value::from(7)).await.unwrap();
        assert!(one == [id("07")]);
        fixture.store.clear().await.unwrap();
        assert_eq!(fixture.raw_rows(), 0);
    }
}

#[tokio::test]
async fn queries_use_an_index() {
    for fixture in Fixture::both().await {
        let raw = fixture.raw();
        let statements = Statements::new(fixture.layout, "sessions");
        let plan = |sql: &str| -> Vec<String> {
            let mut statement = raw.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let plan = statement.raw_query().mapped(|row| row.get(3)).collect::<Result<_, _>>();
            plan.unwrap()
        };
        for sql in [
            &statements.load,
            &statements.save_existing,
            &statements.save_unchanged,
            &statements.touch,
            &statements.destroy,
            &statements.rotate,
            &statements.alive,
        ] {
            let plan = plan(sql);
            let by_id = |step: &String| step.contains("sqlite_autoindex_sessions_1 (sid=?)");
            assert!(
                plan.iter().all(|step| by_id(step) || step.starts_with("SCALAR")),
                "{sql} {plan:?}"
            );
        }
        assert!(plan(&statements.all)[0].contains("(sid>?)"), "{:?}", plan(&statements.all));
        let by_expiry = format!("({}<?)", fixture.layout.expiry());
        let purge = plan(&statements.purge);
        assert!(purge.iter().any(|step| step.contains(&by_expiry)), "{purge:?}");
        assert!(!purge.iter().any(|step| step.contains("SCAN")), "{purge:?}");
    }
}

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

#[tokio::test]
async fn a_writer_never_blocks_readers() {
    let fixture = Fixture::new(SqliteLayout::default()).await;
    let record = record(NOW + DAY, 1);
    fixture.create("a", &record).await;
    let other = fixture.raw();
    other.execute_batch("BEGIN IMMEDIATE; UPDATE sessions SET sess = '{}'").unwrap();
    assert_eq!(*text(&fixture.store, "a").await.unwrap(), **record.text());

    // A save waits for it instead, and is not there before it is acknowledged.
    let store = fixture.store.clone();
    let save = tokio::spawn(async move {
        store.save(&id("b"), &self::record(NOW + DAY, 2), Precondition::Absent).await
    });
    for _ in 0..100 {
        assert_eq!(text(&fixture.store, "b").await, None);
        assert!(!save.is_finished());
    }
    other.execute_batch("COMMIT").unwrap();
    version(save.await.unwrap().unwrap());
    assert_eq!(text(&fixture.store, "a").await.unwrap(), "{}");
}

#[tokio::test]
async fn a_panic_is_an_error_of_that_operation_only() {
    let fixture = Fixture::new(SqliteLayout::default()).await;
    let (store, record) = (&fixture.store, record(NOW + DAY, 1));
    fixture.create("a", &record).await;
    fixture.clock.broken.store(true, Ordering::SeqCst);
    for _ in 0..10 {
        assert!(store.load(&id("a")).await.is_err());
        assert!(store.save(&id("a"), &record, Precondition::None).await.is_err());
    }
    fixture.clock.broken.store(false, Ordering::SeqCst);
    assert!(text(store, "a").await.is_some());
    version(store.save(&id("a"), &record, Precondition::Exists).await.unwrap());
}

#[tokio::test]
async fn a_full_disk_fails_saves_and_heals() {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch("PRAGMA max_page_count = 64").unwrap();
    let store = SqliteStore::from_connection(connection).connect().await.unwrap();
    let large = format!(r#"{{"cookie":{{}},"x":"{}"}}"#, "x".repeat(1 << 19));
    let (large, small) = (Record::parse(large).unwrap(), record(NOW + DAY, 1));
    let (large_id, small_id) = (id("large"), id("small"));
    let (large, together) = tokio::join!(
        store.save(&large_id, &large, Precondition::Absent),
        store.save(&small_id, &small, Precondition::Absent),
    );
    assert_eq!(large.unwrap_err().kind(), StoreErrorKind::Failed);
    let alone = store.save(&small_id, &small, Precondition::None).await;
    version(alone.unwrap());
    assert!(matches!(together, Err(_) | Ok(Saved::Saved(_))));
    assert_eq!(store.length().await.unwrap(), 1);
}

fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_caller_that_goes_away_wedges_nothing() {
    let fixture = Fixture::new(SqliteLayout::default()).await;
    let (store, record) = (&fixture.store, record(NOW + DAY, 1));
    fixture.create("kept", &record).await;
    for n in 0..100 {
        let sid = id(&format!("abandoned {n}"));
        let _ = poll_once(store.save(&sid, &record, Precondition::Absent));
        let _ = poll_once(store.load(&sid));
    }
    let _ = poll_once(store.destroy(&id("kept")));
    // The queue is in order: what was asked before is done before.
    fixture.create("last", &record).await;
    assert_eq!(text(store, "kept").await, None, "a logout does not wait for the client");
    assert_eq!(store.length().await.unwrap(), 101);
}

#[tokio::test]
async fn dropping_the_store_finishes_its_work_and_ends_its_threads() {
    let fixture = Fixture::new(SqliteLayout::default()).await;
    let (ended, end) = mpsc::channel();
    *fixture.clock.ended.lock().unwrap() = Some(ended);
    for n in 0..50 {
        let record = record(NOW + DAY, n);
        let _ = poll_once(fixture.store.save(&id(&n.to_string()), &record, Precondition::Absent));
    }
    let folder = fixture.folder;
    drop((fixture.store, fixture.clock));
    // Each thread holds the clock: it is gone when the last of them is.
    tokio::task::spawn_blocking(move || end.recv()).await.unwrap().unwrap();

    let raw = Connection::open(path(&folder)).unwrap();
    let count = "SELECT count(*) FROM sessions WHERE expired > ?1";
    assert_eq!(raw.query_row(count, params![NOW], |row| row.get::<_, i64>(0)).unwrap(), 50);
}

#[tokio::test]
async fn debug_prints_no_secrets() {
    let fixture = Fixture::new(SqliteLayout::default()).await;
    fixture.create("secret-id", &record(NOW + 1, 1)).await;
    let secret = cookie(None);
    let _ = poll_once(fixture.store.touch(&id("secret-id"), &secret, None));
    assert!(!format!("{:?}", fixture.store).contains("secret"));
}

/// One process in several threads: see `tests/sqlite_process.rs` for several processes.
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
