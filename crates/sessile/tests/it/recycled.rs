//! Requests leave their memory to the next ones on their thread, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use sessile::CookieOptions;
use sessile_testkit::TestClock;

use crate::client::Client;
use crate::stage::Stage;

/// Browsers of two layers take turns on one thread; each sees what it would alone.
#[tokio::test]
async fn nobody_finds_what_another_one_left() {
    let stage = [Stage::memory(), Stage::memory()];
    let cookie = CookieOptions::default().with_max_age(Duration::from_secs(3600));
    let eager = stage[0].layer().with_cookie(cookie).with_save_uninitialized(true);
    let lazy = stage[1].layer().with_touch_after(Duration::from_secs(60));
    let [eager, lazy] = [eager, lazy].map(|layer| Client::of(layer.build().unwrap()));
    let another = lazy.with_a_copy_of_its_cookies(); // it has none yet
    eager.get("/login/7").await.ok();
    lazy.get("/login/8").await.ok();
    for round in 1..=100 {
        assert_eq!(eager.get("/count").await.ok().body, round.to_string());
        assert_eq!(another.get("/user").await.ok().body, "nobody");
        assert_eq!(another.get("/asset/1").await.ok().session_cookie(), None);
        assert_eq!(lazy.get("/user").await.ok().body, "8");
        assert_eq!(eager.get("/user").await.ok().body, "7");
        if round % 10 == 0 {
            another.get("/set/cart/pen").await.ok();
            assert_eq!(another.get("/user").await.ok().body, "nobody");
            another.get("/destroy").await.ok();
            another.forget_cookies();
        }
    }
}

#[tokio::test]
async fn a_layer_that_is_dropped_leaves_nothing_behind() {
    let (stage, clock) = (Stage::memory(), Arc::new(TestClock::new()));
    let held = Arc::downgrade(&clock);
    let client = Client::of(stage.layer().with_clock(clock).build().unwrap());
    for path in ["/login/7", "/user", "/asset/1", "/count", "/destroy", "/user"] {
        client.get(path).await.ok();
    }
    assert!(held.upgrade().is_some());
    drop(client);
    assert!(held.upgrade().is_none(), "a request that has ended still holds its layer");
}
