//! Operations: what an operator can see and count.

use std::time::Duration;

use sessile::{Concurrency, CookieOptions, SessionStore};

use crate::client::{Client, NAME};
use crate::stage::Stage;
use crate::watch::Watch;

/// A client that has been through everything that is counted.
async fn busy(stage: &Stage) -> Client {
    let cookie = CookieOptions::default().with_max_age(Duration::from_secs(3600));
    let client = Client::of(stage.layer().with_cookie(cookie).build().unwrap());
    client.get("/login/7").await.ok();
    client.get("/user").await.ok();
    client.get("/count").await.ok();
    client.get("/cycle").await.ok();
    let (pause, late) = client.get_paused("/count");
    let late = tokio::spawn(late);
    pause.reached().await;
    client.get("/count").await.ok();
    pause.go();
    late.await.unwrap().ok();
    client
}

#[cfg(feature = "metrics")]
#[tokio::test]
async fn every_operation_of_the_store_is_counted_and_timed() {
    use metrics_util::debugging::DebugValue;

    let (stage, faults) = Stage::memory().faulty();
    let watch = Watch::new();
    let client = busy(&stage).await;
    client.get("/destroy").await.ok();
    let mut counted = std::collections::BTreeMap::new();
    let mut timed = std::collections::BTreeMap::new();
    for (key, unit, words, value) in watch.snapshot() {
        let _ = (unit, words);
        let operation = key
            .key()
            .labels()
            .find(|label| label.key() == "operation")
            .map(|label| label.value().to_owned());
        match (key.key().name(), operation, value) {
            ("sessile_store_operations", Some(operation), DebugValue::Counter(n)) => {
                counted.insert(operation, n);
            }
            ("sessile_store_seconds", Some(operation), DebugValue::Histogram(values)) => {
                timed.insert(operation, values.len() as u64);
            }
            _ => {}
        }
    }
    use sessile_testkit::Op;
    let expected: std::collections::BTreeMap<_, _> = [
        ("load", Op::Load),
        ("save", Op::Save),
        ("touch", Op::Touch),
        ("destroy", Op::Destroy),
        ("rotate", Op::Rotate),
    ]
    .map(|(name, op)| (name.to_owned(), faults.calls(op)))
    .into();
    assert!(expected.values().all(|n| *n > 0), "{expected:?}");
    assert_eq!(counted, expected);
    assert_eq!(timed, expected);
}

#[tokio::test]
async fn what_goes_wrong_is_counted_by_its_name() {
    let (stage, faults) = Stage::memory().faulty();
    let watch = Watch::new();
    let client = busy(&stage).await;
    watch.counted("sessile_conflicts", 1);

    let (pause, late) = client.get_paused("/count");
    let late = tokio::spawn(late);
    pause.reached().await;
    client.get("/destroy").await.ok();
    pause.go();
    late.await.unwrap().ok();
    watch.counted("sessile_gone", 1);

    client.set_cookie(NAME, "s%3Aforged.AAAA");
    client.get("/user").await.ok();
    watch.counted("sessile_bad_signatures", 1);
    client.get("/asset/1").await.ok();
    watch.counted("sessile_bad_signatures", 1);

    faults.fail(sessile_testkit::Op::Save);
    client.forget_cookies();
    assert_eq!(client.get("/login/7").await.status, 503);
    watch.counted("sessile_store_errors", 1);
}

#[tokio::test]
async fn events_name_a_session_by_its_digest() {
    let (watch, stage) = (Watch::new(), Stage::memory());
    let client = busy(&stage).await;
    let id = client.id();
    let (pause, late) = client.get_paused("/count");
    let late = tokio::spawn(late);
    pause.reached().await;
    stage.store.destroy(&id).await.unwrap();
    pause.go();
    late.await.unwrap().ok();
    let text = watch.text();
    let line = text.lines().find(|line| line.contains("its late write is dropped")).unwrap();
    assert!(line.contains(&format!("session={}", id.digest())), "{line}");
    assert_eq!(id.digest().len(), 16);
    assert!(!text.contains(id.as_str()));
}

#[tokio::test]
async fn a_quiet_day_prints_nothing() {
    let (watch, stage) = (Watch::new(), Stage::memory());
    for mode in [Concurrency::Merge, Concurrency::Lock, Concurrency::LastWriteWins] {
        let client = Client::of(stage.layer().with_concurrency(mode).build().unwrap());
        for path in ["/asset/1", "/login/7", "/count", "/user", "/cycle", "/touch", "/destroy"] {
            client.get(path).await.ok();
        }
    }
    for level in ["ERROR", "WARN", "INFO"] {
        assert_eq!(watch.events(level, ""), 0, "{}", watch.text());
    }
}

#[tokio::test]
async fn a_short_secret_is_a_warning_and_an_empty_one_an_error() {
    use sessile::Secrets;

    let watch = Watch::new();
    Secrets::new(["0123456789abcdef0123456789abcdef"]).unwrap();
    assert_eq!(watch.events("WARN", "shorter than 32 bytes"), 0);
    Secrets::new(["hunter2hunter2"]).unwrap();
    assert_eq!(watch.events("WARN", "shorter than 32 bytes"), 1);
    assert!(!watch.text().contains("hunter2"));
    assert!(Secrets::new([""]).is_err());
    assert!(Secrets::new(Vec::<String>::new()).is_err());
    assert!(Secrets::from_env("SESSILE_NO_SUCH_VARIABLE").is_err());
}

/// The response has left by then, and who reads the log wants to know which it was.
#[tokio::test]
async fn what_happens_behind_a_response_is_reported_within_its_request() {
    use tracing::Instrument;

    let watch = Watch::new();
    let (stage, gates) = Stage::memory().gated();
    let cookie = CookieOptions::default().with_max_age(Duration::from_secs(3600));
    let client = Client::of(stage.layer().with_cookie(cookie).build().unwrap());
    client.get("/login/7").await.ok();
    let gate = gates.hold(sessile_testkit::Op::Touch);
    client.get("/user").instrument(tracing::info_span!("request", path = "/user")).await.ok();
    gate.arrived().await;
    stage.store.destroy(&client.id()).await.unwrap();
    gate.open();
    while watch.events("INFO", "destroyed or expired") == 0 {
        tokio::task::yield_now().await;
    }
    let told = watch.events("INFO", r#"request{path="/user"}"#);
    assert_eq!(told, 1, "{}", watch.text());
}
