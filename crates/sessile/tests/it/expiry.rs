//! Expiry: to the millisecond, by the store's word, and never longer than allowed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::{Router, routing::get};
use proptest::prelude::*;
use sessile::stores::MemoryStore;
use sessile::{Clock, CookieOptions, Error, Session, SessionLayer, SessionStore};
use sessile_testkit::{Op, TestClock};

use crate::client::{Client, app, secrets};
use crate::stage::Stage;

over_every_store! {
    a_session_is_dead_at_the_instant_its_idle_time_ends,
    the_absolute_timeout_wins_over_activity,
    an_absolute_timeout_that_no_clock_can_tell_never_comes,
    an_absolute_timeout_set_later_counts_from_the_next_request,
    a_login_begins_the_absolute_timeout_anew_and_a_new_id_does_not,
    a_remember_me_survives_later_writes,
    in_the_window_of_touch_after_there_is_one_write,
    at_the_end_of_the_window_an_asset_moves_the_expiry,
    rolling_resets_expiry,
    without_rolling_the_store_moves_and_the_browser_does_not,
    a_touch_is_dropped_with_its_session,
    a_session_that_expires_at_once_still_tells_the_browser,
    the_expiry_can_be_set_for_one_session,
    a_merged_save_ends_no_later_than_the_absolute_timeout,
}

const MILLI: Duration = Duration::from_millis(1);

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn lasting(time: Duration) -> CookieOptions {
    CookieOptions::default().with_max_age(time)
}

fn for_a_minute(stage: &Stage) -> sessile::Builder<SessionLayer> {
    stage.layer().with_cookie(lasting(secs(60)))
}

async fn stored_until(stage: &Stage, client: &Client) -> SystemTime {
    stage.store.load(&client.id()).await.unwrap().unwrap().expires.unwrap()
}

async fn a_session_is_dead_at_the_instant_its_idle_time_ends(stage: Stage) {
    let client = Client::of(for_a_minute(&stage).build().unwrap());
    client.get("/login/7").await.ok();
    for _ in 0..3 {
        stage.clock.advance(secs(60) - MILLI);
        assert_eq!(client.get("/user").await.ok().body, "7", "1 ms before, and alive anew");
    }
    let id = client.id();
    stage.clock.advance(secs(60));
    assert_eq!(client.get("/user").await.ok().body, "nobody");
    assert!(!stage.lives(&id).await);
    assert!(stage.records().await.is_empty());
}

async fn the_absolute_timeout_wins_over_activity(stage: Stage) {
    let layer = || for_a_minute(&stage).with_absolute_timeout(secs(100)).with_rolling(true);
    let client = Client::of(layer().build().unwrap());
    client.get("/login/7").await.ok();
    stage.clock.advance(secs(50));
    assert_eq!(client.get("/user").await.ok().body, "7");
    client.get("/max-age/99999999").await.ok();
    stage.clock.advance(secs(50) - MILLI);
    let reply = client.get("/user").await.ok();
    assert_eq!(reply.body, "7");
    let cookie = reply.session_cookie().unwrap();
    assert!(cookie.contains("Expires=Thu, 01 Jan 2026 00:01:40 GMT"), "{cookie}");
    let id = client.id();
    stage.clock.advance(MILLI);
    assert_eq!(client.get("/user").await.ok().body, "nobody");
    assert!(!stage.lives(&id).await);

    let until_the_browser_closes = stage.layer().with_absolute_timeout(secs(100));
    let client = Client::of(until_the_browser_closes.build().unwrap());
    client.get("/login/7").await.ok();
    stage.clock.advance(secs(100) - MILLI);
    assert_eq!(client.get("/user").await.ok().body, "7");
    assert_eq!(client.get("/all").await.json(), serde_json::json!({ "user": "7" }));
    let id = client.id();
    stage.clock.advance(MILLI);
    assert_eq!(client.get("/user").await.ok().body, "nobody");
    assert!(!stage.lives(&id).await);
}

async fn an_absolute_timeout_that_no_clock_can_tell_never_comes(stage: Stage) {
    let layer = for_a_minute(&stage).with_absolute_timeout(Duration::MAX).build().unwrap();
    let client = Client::of(layer);
    client.get("/login/7").await.ok();
    for _ in 0..3 {
        stage.clock.advance(secs(59));
        assert_eq!(client.get("/user").await.ok().body, "7");
    }
    stage.clock.advance(secs(60));
    assert_eq!(client.get("/user").await.ok().body, "nobody");
}

async fn an_absolute_timeout_set_later_counts_from_the_next_request(stage: Stage) {
    let client = Client::of(for_a_minute(&stage).build().unwrap());
    client.get("/login/7").await.ok();
    stage.clock.advance(secs(50));
    let layer = for_a_minute(&stage).with_absolute_timeout(secs(100)).build().unwrap();
    let client = client.at(app().layer(layer));
    for _ in 0..2 {
        assert_eq!(client.get("/user").await.ok().body, "7");
        stage.clock.advance(secs(50) - MILLI);
    }
    assert_eq!(client.get("/user").await.ok().body, "7");
    stage.clock.advance(2 * MILLI);
    assert_eq!(client.get("/user").await.ok().body, "nobody");
}

async fn a_login_begins_the_absolute_timeout_anew_and_a_new_id_does_not(stage: Stage) {
    let layer = for_a_minute(&stage).with_absolute_timeout(secs(100)).build().unwrap();
    let client = Client::of(layer);
    client.get("/login/7").await.ok();
    stage.clock.advance(secs(50));
    client.get("/login/8").await.ok();
    stage.clock.advance(secs(50));
    assert_eq!(client.get("/user").await.ok().body, "8");
    client.get("/cycle").await.ok();
    client.get("/clear").await.ok();
    client.get("/set/user/9").await.ok();
    stage.clock.advance(secs(50) - MILLI);
    assert_eq!(client.get("/user").await.ok().body, "9");
    stage.clock.advance(MILLI);
    assert_eq!(client.get("/user").await.ok().body, "nobody");
}

async fn a_merged_save_ends_no_later_than_the_absolute_timeout(stage: Stage) {
    let layer = for_a_minute(&stage).with_absolute_timeout(secs(100)).build().unwrap();
    let client = Client::of(layer);
    let born = stage.clock.now();
    client.get("/login/7").await.ok();
    stage.clock.advance(secs(59));
    client.get("/user").await.ok();
    stage.clock.advance(secs(11));
    let (pause, late) = client.get_paused("/set/a/1");
    let late = tokio::spawn(late);
    pause.reached().await;
    client.get("/set/b/2").await.ok();
    assert_eq!(stored_until(&stage, &client).await, born + secs(100));
    pause.go();
    let reply = late.await.unwrap().ok();
    assert_eq!(stored_until(&stage, &client).await, born + secs(100));
    let cookie = reply.session_cookie().unwrap();
    assert!(cookie.contains("Expires=Thu, 01 Jan 2026 00:01:40 GMT"), "{cookie}");
}

async fn a_remember_me_survives_later_writes(stage: Stage) {
    let month = secs(30 * 24 * 3600);
    let client = Client::of(for_a_minute(&stage).build().unwrap());
    client.get("/login/7").await.ok();
    client.get(&format!("/max-age/{}", month.as_millis())).await.ok();
    for path in ["/set/a/1", "/count", "/read", "/cycle", "/remove/a", "/touch", "/asset/1"] {
        stage.clock.advance(secs(3600));
        client.get(path).await.ok();
        let until = stored_until(&stage, &client).await;
        assert_eq!(until.duration_since(stage.clock.now()).unwrap(), month, "{path}");
    }
    stage.clock.advance(month - MILLI);
    assert_eq!(client.get("/user").await.ok().body, "7");
    client.get("/login/8").await.ok();
    let until = stored_until(&stage, &client).await;
    assert_eq!(until.duration_since(stage.clock.now()).unwrap(), secs(60), "a session of its own");
}

async fn in_the_window_of_touch_after_there_is_one_write(stage: Stage) {
    let (stage, faults) = stage.faulty();
    let layer = || for_a_minute(&stage).with_touch_after(secs(10)).build().unwrap();
    let client = Client::of(layer());
    client.get("/login/7").await.ok();
    let writes = || faults.calls(Op::Touch) + faults.calls(Op::Save);
    let mut before = writes();
    for window in 0..5 {
        for _ in 0..19 {
            stage.clock.advance(Duration::from_millis(500));
            client.get("/user").await.ok();
            client.get("/asset/1").await.ok();
        }
        assert_eq!(writes(), before, "window {window}");
        stage.clock.advance(Duration::from_millis(500));
        client.get("/user").await.ok();
        client.get("/user").await.ok();
        before += 1;
        assert_eq!(writes(), before, "window {window}");
    }
    // The worst case: the last request came just before its touch was due.
    stage.clock.advance(secs(10) - MILLI);
    client.get("/user").await.ok();
    assert_eq!(writes(), before);
    let other_process = client.at(app().layer(layer()));
    stage.clock.advance(secs(60 - 10));
    assert_eq!(other_process.get("/user").await.ok().body, "7", "no earlier than documented");
    assert_eq!(writes(), before + 1, "who asks late moves the expiry");
}

/// What never names its session keeps it alive too, once in a window.
async fn at_the_end_of_the_window_an_asset_moves_the_expiry(stage: Stage) {
    let client = Client::of(for_a_minute(&stage).with_touch_after(secs(10)).build().unwrap());
    client.get("/login/7").await.ok();
    let born = stage.clock.now();
    client.get("/asset/1").await.ok();
    stage.clock.advance(secs(10) - MILLI);
    client.get("/asset/1").await.ok();
    assert_eq!(stored_until(&stage, &client).await, born + secs(60));
    stage.clock.advance(MILLI);
    client.get("/asset/1").await.ok();
    assert_eq!(stored_until(&stage, &client).await, born + secs(70));
}

async fn rolling_resets_expiry(stage: Stage) {
    let client = Client::of(for_a_minute(&stage).with_rolling(true).build().unwrap());
    let reply = client.get("/read").await.ok();
    assert_eq!(reply.session_cookie(), None, "nothing to roll yet");
    client.get("/login/7").await.ok();
    for minute in 1..4 {
        stage.clock.advance(secs(59));
        for path in ["/user", "/asset/1"] {
            let reply = client.get(path).await.ok();
            let seconds = 59 * minute + 60;
            let time = format!("00:{:02}:{:02} GMT", seconds / 60, seconds % 60);
            assert!(reply.session_cookie().unwrap().contains(&time), "{reply:?} {time}");
        }
    }
    assert_eq!(client.get("/user").await.ok().body, "7");
}

/// As in Express: documented at `with_rolling`.
async fn without_rolling_the_store_moves_and_the_browser_does_not(stage: Stage) {
    let client = Client::of(for_a_minute(&stage).build().unwrap());
    client.get("/login/7").await.ok();
    stage.clock.advance(secs(30));
    assert_eq!(client.get("/user").await.ok().session_cookie(), None);
    let until = stored_until(&stage, &client).await;
    assert_eq!(until, stage.clock.now() + secs(60));
    let reply = client.get("/set/a/1").await.ok();
    let cookie = reply.session_cookie().expect("a change tells the browser");
    assert!(cookie.contains("00:01:30 GMT"), "{cookie}");
}

async fn a_touch_is_dropped_with_its_session(stage: Stage) {
    let handler = async |session: Session| {
        session.touch().await?;
        session.unset()
    };
    let app = Router::new().route("/touch-and-unset", get(handler)).merge(app());
    let client = Client::new(app.layer(for_a_minute(&stage).build().unwrap()));
    client.get("/login/7").await.ok();
    let before = stored_until(&stage, &client).await;
    stage.clock.advance(secs(30));
    client.get("/touch-and-unset").await.ok();
    assert_eq!(stored_until(&stage, &client).await, before);
}

async fn a_session_that_expires_at_once_still_tells_the_browser(stage: Stage) {
    let handler = |insert: bool| {
        async move |session: Session| -> Result<(), Error> {
            session.cookie().set_max_age(Some(Duration::ZERO))?;
            session.save().await?;
            if insert {
                session.insert("bye", true)?;
            }
            Ok(())
        }
    };
    for (insert, rolling) in [(true, false), (true, true), (false, true)] {
        let app = Router::new().route("/bye", get(handler(insert))).merge(app());
        let layer = for_a_minute(&stage).with_rolling(rolling).build().unwrap();
        let client = Client::new(app.layer(layer));
        client.get("/login/7").await.ok();
        stage.clock.advance(secs(1));
        let second = stage.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let reply = client.get("/bye").await.ok();
        let cookie = reply.session_cookie().expect("the browser is told");
        let now = format!("00:00:{:02} GMT", second.as_secs() % 60);
        assert!(cookie.contains(&now), "{cookie}");
        assert!(stage.records().await.is_empty());
    }
}

async fn the_expiry_can_be_set_for_one_session(stage: Stage) {
    let handler = {
        let clock = stage.clock.clone();
        async move |session: Session| {
            let cookie = session.cookie();
            cookie.set_expires(Some(clock.now() + secs(5)))?;
            assert_eq!(cookie.max_age(), Some(secs(5)));
            assert_eq!(cookie.original_max_age(), Some(secs(5)));
            assert_eq!(cookie.expires(), Some(clock.now() + secs(5)));
            session.insert("short", true)
        }
    };
    let forget = async |session: Session| {
        session.cookie().set_max_age(None)?;
        assert_eq!(session.cookie().expires(), None);
        session.insert("browser", true)
    };
    let app =
        Router::new().route("/short", get(handler)).route("/browser", get(forget)).merge(app());
    let client = Client::new(app.layer(for_a_minute(&stage).build().unwrap()));
    let reply = client.get("/short").await.ok();
    assert!(reply.session_cookie().unwrap().contains("00:00:05 GMT"));
    let reply = client.get("/browser").await.ok();
    let cookie = reply.session_cookie();
    assert!(cookie.is_none_or(|cookie| !cookie.contains("Expires")), "{cookie:?}");
    stage.clock.advance(secs(3600));
    assert_eq!(client.get("/all").await.json()["browser"], true, "the store's own lifetime holds");
}

#[tokio::test]
async fn the_browser_hears_that_its_cookie_lasts_as_long_as_it_does() {
    let stage = Stage::memory();
    let forget = async |session: Session| {
        session.cookie().set_max_age(None)?;
        session.insert("browser", true)
    };
    let app = Router::new().route("/browser", get(forget)).merge(app());
    let client = Client::new(app.layer(for_a_minute(&stage).with_rolling(true).build().unwrap()));
    client.get("/login/7").await.ok();
    let reply = client.get("/browser").await.ok();
    assert!(!reply.session_cookie().unwrap().contains("Expires"));
}

#[tokio::test]
async fn without_a_max_age_a_session_lives_as_long_as_its_store_says() {
    let years = secs(10 * 365 * 24 * 3600);
    let stage = Stage::memory();
    let client = stage.client();
    client.get("/login/7").await.ok();
    stage.clock.advance(years);
    assert_eq!(client.get("/user").await.ok().body, "7", "as in Express's MemoryStore");

    let clock = TestClock::new();
    let store = MemoryStore::new()
        .with_clock(Arc::new(clock.clone()))
        .with_default_lifetime(secs(24 * 3600));
    let layer = SessionLayer::builder(store, secrets()).with_clock(clock.clone());
    let client = Client::of(layer.build().unwrap());
    client.get("/login/7").await.ok();
    for _ in 0..3 {
        clock.advance(secs(24 * 3600) - MILLI);
        assert_eq!(client.get("/user").await.ok().body, "7", "each request moves it");
    }
    clock.advance(secs(24 * 3600));
    assert_eq!(client.get("/user").await.ok().body, "nobody");
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn in_sqlite_a_session_without_a_max_age_lives_a_day() {
    let stage = Stage::sqlite().await;
    let client = stage.client();
    client.get("/login/7").await.ok();
    for _ in 0..3 {
        stage.clock.advance(secs(24 * 3600) - MILLI);
        assert_eq!(client.get("/user").await.ok().body, "7");
    }
    stage.clock.advance(secs(24 * 3600));
    assert_eq!(client.get("/user").await.ok().body, "nobody");
}

/// Express keeps all 2,000 until each is asked for.
#[tokio::test(start_paused = true)]
async fn expired_sessions_leave_the_memory_unasked() {
    let clock = TestClock::new();
    let store = MemoryStore::new().with_clock(Arc::new(clock.clone()));
    let layer = SessionLayer::builder(store.clone(), secrets())
        .with_cookie(lasting(secs(60)))
        .with_clock(clock.clone())
        .build()
        .unwrap();
    for _ in 0..2000 {
        Client::of(layer.clone()).get("/set/a/1").await.ok();
    }
    assert_eq!(store.length().await.unwrap(), 2000);
    clock.advance(secs(60));
    tokio::time::sleep(secs(120)).await; // time is paused: this is the sweeper's turn
    assert_eq!(store.bytes(), 0);
}

#[tokio::test]
async fn another_process_that_touched_is_believed() {
    let stage = Stage::memory();
    let layer = || for_a_minute(&stage).with_touch_after(secs(10)).build().unwrap();
    let client = Client::of(layer());
    client.get("/login/7").await.ok();
    let other = client.at(app().layer(layer()));
    for _ in 0..10 {
        stage.clock.advance(secs(60 - 10));
        assert_eq!(client.get("/asset/1").await.ok().body, "an asset");
        stage.clock.advance(secs(5));
        assert_eq!(other.get("/user").await.ok().body, "7");
    }
}

const WINDOW: Duration = secs(10);

fn pauses() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..20_000_u64).prop_map(Duration::from_millis),
        (40_000..62_000_u64).prop_map(Duration::from_millis),
        prop::sample::select(vec![
            Duration::ZERO,
            WINDOW - MILLI,
            WINDOW,
            secs(60) - WINDOW,
            secs(60) - MILLI,
            secs(60),
        ]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Two processes, requests that name the session and requests that do not.
    #[test]
    fn under_touch_after_nobody_dies_earlier_or_later_than_documented(
        rolling in any::<bool>(),
        visits in prop::collection::vec((pauses(), 0..2_usize, 0..3_usize), 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let stage = Stage::reference();
            let process = || {
                let layer = for_a_minute(&stage).with_touch_after(WINDOW).with_rolling(rolling);
                app().layer(layer.build().unwrap())
            };
            let processes = [process(), process()];
            let client = Client::new(processes[0].clone());
            client.get("/login/7").await.ok();
            let id = client.id();
            for (pause, process, route) in visits {
                stage.clock.advance(pause);
                let alive = stage.lives(&id).await;
                if pause <= secs(60) - WINDOW {
                    prop_assert!(alive, "dead {:?} after a request", pause);
                }
                if pause >= secs(60) {
                    prop_assert!(!alive, "alive {:?} after a request", pause);
                }
                let client = client.at(processes[process].clone());
                let route = ["/asset/1", "/user", "/count"][route];
                let body = client.get(route).await.ok().body;
                if !alive {
                    prop_assert_ne!(body, "7");
                    break;
                }
            }
            Ok(())
        })?;
    }
}
