//! How often a request asks the server.

use std::time::Duration;

use sessile::stores::connect;
use sessile::{CookieOptions, SessionLayer};

use crate::client::{Client, secrets};

/// What a browser does, and how many round trips it may cost.
const BUDGET: &[(&str, &str, u64)] = &[
    ("a visitor without a cookie", "/asset/a", 0),
    ("a visitor without a cookie, asked who it is", "/user", 0),
    ("a new session", "/set/user/7", 1),
    ("a session that is read", "/user", 1),
    ("a session that nobody names", "/asset/a", 0),
    ("a session that is changed", "/count", 2),
    ("a session that is changed again", "/count", 2),
    ("a session that gets a new id", "/cycle", 2),
    ("a session that ends", "/destroy", 2),
    ("a visitor whose session ended", "/user", 0),
];

/// Tries that each request keeps to its budget on the server at `url`, whose operations
/// so far `count` tells.
pub(crate) async fn each_request_keeps_to_its_budget(url: &str, count: impl AsyncFn() -> u64) {
    each_request_keeps_to_its_budget_but(&[], url, count).await;
}

/// The same for a store that takes more for some requests: for these paths, so much.
pub(crate) async fn each_request_keeps_to_its_budget_but(
    more: &[(&str, u64)],
    url: &str,
    count: impl AsyncFn() -> u64,
) {
    let store = connect(url).await.expect("the server answers");
    let cookie = CookieOptions::default().with_max_age(Duration::from_secs(3600));
    let layer = SessionLayer::builder(store, secrets()).with_cookie(cookie);
    let layer = layer.with_touch_after(Duration::from_secs(60)).build().unwrap();
    let client = Client::of(layer);

    // The first time a connection prepares what it asks.
    for (_, path, _) in BUDGET {
        client.get(path).await.ok();
    }
    client.forget_cookies();
    for (what, path, budget) in BUDGET {
        let before = count().await;
        client.get(path).await.ok();
        let trips = count().await - before;
        let budget = more.iter().find(|(other, _)| other == path).map_or(budget, |(_, more)| more);
        assert!(trips <= *budget, "{what}: {trips} round trips instead of {budget}");
    }
}
