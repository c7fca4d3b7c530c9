//! What the stores without a server promise to several processes, and after `kill -9`.
//!
//! A child process is this test binary again, which plays the role that an
//! environment variable names.
#![cfg(any(feature = "file", feature = "sqlite"))]
#![expect(clippy::unwrap_used, reason = "all of this is a test")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use sessile::{AnyStore, Precondition, Record, Saved, SessionId, SessionStore, Stored};
use tempfile::TempDir;
use tokio::task::JoinSet;

const ROLE: &str = "SESSILE_TEST_ROLE";
const URL: &str = "SESSILE_TEST_URL";
const SHARED: &str = "shared";

/// Not a test of its own: what a child process does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let store = connect(&std::env::var(URL).unwrap()).await;
    match role.split_once(' ').unwrap_or((&role, "")) {
        ("change", name) => change_in_parallel(&store, name).await,
        ("destroy", _) => assert!(store.destroy(&id(SHARED)).await.unwrap()),
        ("rotate", _) => rotate_until_killed(&store).await,
        ("save", round) => save_until_killed(&store, round).await,
        ("start", name) => create(&store, name, &json!({})).await,
        _ => panic!("no role {role}"),
    }
    acknowledge("done");
}

fn acknowledge(what: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ack {what}").unwrap();
    out.flush().unwrap();
}

/// A child process and what it acknowledged; killed when dropped.
struct Process {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(url: &str, role: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(ROLE, role)
            .env(URL, url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits for the next acknowledgement; none after the end.
    fn next(&mut self) -> Option<String> {
        let acknowledged = |line: String| Some(line.split_once("ack ")?.1.to_owned());
        self.lines.by_ref().map_while(Result::ok).find_map(acknowledged)
    }

    /// Kills it once it acknowledged so much, and returns all it did: what it said
    /// before it died still counts.
    fn killed_after(mut self, count: usize) -> Vec<String> {
        let mut heard = Vec::new();
        while let Some(line) = self.next() {
            heard.push(line);
            if heard.len() == count {
                self.child.kill().unwrap();
            }
        }
        assert!(!self.child.wait().unwrap().success());
        heard
    }

    fn finish(mut self) {
        let mut last = None;
        while let Some(next) = self.next() {
            last = Some(next);
        }
        assert_eq!(last.as_deref(), Some("done"));
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a store keeps its sessions, in a folder of its own.
struct Place {
    url: String,
    #[cfg_attr(not(feature = "sqlite"), expect(dead_code, reason = "looked at by sqlite alone"))]
    path: PathBuf,
    _folder: TempDir,
}

/// A place for each store.
fn places() -> impl Iterator<Item = Place> {
    let stores: &[(&str, &str)] = &[
        #[cfg(feature = "file")]
        ("file", "sessions"),
        #[cfg(feature = "sqlite")]
        ("sqlite", "sessions.db"),
    ];
    stores.iter().map(|(scheme, name)| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        Place { url: format!("{scheme}://{}", path.display()), path, _folder: folder }
    })
}

async fn connect(url: &str) -> AnyStore {
    sessile::stores::connect(url).await.unwrap()
}

fn id(id: &str) -> SessionId {
    SessionId::new(id)
}

fn record(value: &Value) -> Record {
    let mut value = value.clone();
    value["cookie"] = json!({ "expires": "2999-01-01T00:00:00.000Z" });
    Record::parse(value.to_string()).unwrap()
}

fn value(stored: &Stored) -> Value {
    serde_json::from_str(&stored.text).unwrap()
}

async fn create(store: &AnyStore, name: &str, value: &Value) {
    let saved = store.save(&id(name), &record(value), Precondition::Absent).await.unwrap();
    assert!(matches!(saved, Saved::Saved(_)));
}

/// Loads, changes and saves until no other save came between.
async fn update(store: &AnyStore, name: &str, change: impl Fn(&mut Value)) {
    loop {
        let stored = store.load(&id(name)).await.unwrap().unwrap();
        let mut value = value(&stored);
        change(&mut value);
        let when = Precondition::Unchanged(&stored.version);
        match store.save(&id(name), &record(&value), when).await.unwrap() {
            Saved::Saved(_) => return,
            Saved::Conflict => {}
            Saved::Gone => panic!("the session is gone"),
        }
    }
}

/// Sets ten keys of this process and counts to fifty, all at once.
async fn change_in_parallel(store: &AnyStore, name: &str) {
    let mut changes = JoinSet::new();
    for n in 0..60 {
        let (store, key) = (store.clone(), format!("{name}{n}"));
        changes.spawn(async move {
            let increment =
                |value: &mut Value| value["n"] = json!(value["n"].as_u64().unwrap() + 1);
            match n < 10 {
                true => update(&store, SHARED, |value| value[&key] = json!(n)).await,
                false => update(&store, SHARED, increment).await,
            }
        });
    }
    while let Some(change) = changes.join_next().await {
        change.unwrap();
    }
}

/// Eight sessions count as fast as they can, and new ones are born.
async fn save_until_killed(store: &AnyStore, round: &str) {
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let (store, round) = (store.clone(), round.to_owned());
        writers.spawn(async move {
            let counter = format!("{round} counter {writer}");
            create(&store, &counter, &json!({ "n": 0 })).await;
            for n in 1_u64.. {
                update(&store, &counter, |value| value["n"] = json!(n)).await;
                acknowledge(&format!("{counter}={n}"));
                let born = format!("{round} born {writer} {n}");
                create(&store, &born, &json!({ "n": n })).await;
                acknowledge(&format!("{born}={n}"));
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
}

/// Gives a session one id after the other.
async fn rotate_until_killed(store: &AnyStore) {
    create(store, "0", &json!({})).await;
    for n in 0_u64.. {
        let from = id(&n.to_string());
        let version = store.load(&from).await.unwrap().unwrap().version;
        let to = id(&(n + 1).to_string());
        let rotated = store.rotate(&from, &to, &record(&json!({ "n": n })), &version).await;
        assert!(matches!(rotated.unwrap(), Saved::Saved(_)));
        acknowledge(&(n + 1).to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_between_two_processes() {
    for place in places() {
        let store = connect(&place.url).await;
        create(&store, SHARED, &json!({ "n": 0 })).await;
        let other = Process::start(&place.url, "change theirs");
        change_in_parallel(&store, "ours").await;
        tokio::task::spawn_blocking(|| other.finish()).await.unwrap();

        let value = value(&store.load(&id(SHARED)).await.unwrap().unwrap());
        assert_eq!(value["n"], 100);
        for name in ["ours", "theirs"] {
            for n in 0..10 {
                assert_eq!(value[format!("{name}{n}")], n);
            }
        }
    }
}

#[tokio::test]
async fn what_another_process_destroys_stays_dead() {
    for place in places() {
        let store = connect(&place.url).await;
        create(&store, SHARED, &json!({})).await;
        let stored = store.load(&id(SHARED)).await.unwrap().unwrap();
        Process::start(&place.url, "destroy").finish();

        let late = record(&json!({ "late": true }));
        let unchanged = Precondition::Unchanged(&stored.version);
        assert_eq!(store.save(&id(SHARED), &late, unchanged).await.unwrap(), Saved::Gone);
        assert!(!store.touch(&id(SHARED), late.cookie(), None).await.unwrap());
        assert!(store.load(&id(SHARED)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn processes_that_start_at_once_share_one_new_file() {
    for place in (0..3).flat_map(|_| places()) {
        let start = |n| Process::start(&place.url, &format!("start {n}"));
        let processes: Vec<_> = (0..6).map(start).collect();
        processes.into_iter().for_each(Process::finish);
        assert_eq!(connect(&place.url).await.length().await.unwrap(), 6);
    }
}

#[tokio::test]
async fn acknowledged_saves_survive_kill_9() {
    for place in places() {
        let mut acknowledged = HashMap::new();
        for round in 0..3 {
            let process = Process::start(&place.url, &format!("save round{round}"));
            for line in process.killed_after(500) {
                if let Some((session, n)) = line.split_once('=') {
                    acknowledged.insert(session.to_owned(), n.parse::<u64>().unwrap_or(0));
                }
            }
            assert!(acknowledged.len() > 200, "{}", acknowledged.len());

            let store = connect(&place.url).await;
            for (session, n) in &acknowledged {
                let stored = store.load(&id(session)).await.unwrap();
                let kept = value(&stored.unwrap_or_else(|| panic!("{session} is lost")));
                assert!(kept["n"].as_u64() >= Some(*n), "{session}: {} of {n}", kept["n"]);
            }
            #[cfg(feature = "sqlite")]
            if place.url.starts_with("sqlite") {
                let raw = rusqlite::Connection::open(&place.path).unwrap();
                let check =
                    raw.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
                assert_eq!(check.unwrap(), "ok");
            }
        }
    }
}

#[tokio::test]
async fn a_rotation_cut_short_leaves_one_id_alive() {
    for kill_after in [1, 2, 3, 20, 50] {
        for place in places() {
            let process = Process::start(&place.url, "rotate");
            let last = process.killed_after(kill_after).pop().unwrap();
            let last: u64 = last.parse().unwrap();

            let store = connect(&place.url).await;
            assert_eq!(store.length().await.unwrap(), 1, "neither both alive nor both dead");
            let mut alive = Vec::new();
            for n in last..last + 2 {
                alive.extend(store.load(&id(&n.to_string())).await.unwrap().map(|_| n));
            }
            assert_eq!(alive.len(), 1, "of {last} and its successor");
        }
    }
}
