//! Frugal: round trips to the store are counted, and bots cost none.

use std::time::Duration;

use futures_util::FutureExt;
use sessile::{Builder, CookieOptions, SessionLayer, SessionStore};
use sessile_testkit::Op;

use crate::client::{Client, NAME, ticket};
use crate::stage::Stage;

over_every_store! {
    of_a_page_with_forty_assets_thirty_nine_cost_nothing,
    each_kind_of_request_costs_what_is_promised,
    a_request_that_only_reads_waits_for_one_round_trip,
    a_request_that_tells_the_browser_waits_for_the_touch,
    random_ids_leave_no_record,
}

/// The touch goes on behind the response; nothing in that depends on it.
async fn a_request_that_only_reads_waits_for_one_round_trip(stage: Stage) {
    let (stage, gates) = stage.gated();
    let client = Client::of(for_an_hour(&stage).build().unwrap());
    client.get("/login/7").await.ok();
    let gate = gates.hold(Op::Touch);
    assert_eq!(client.get("/user").await.ok().body, "7");
    gate.arrived().await;
    assert_eq!(client.get("/user").await.ok().body, "7", "another one does not wait either");
    gate.open();
}

#[tokio::test]
async fn a_store_that_hangs_does_not_pile_up_touches() {
    let (stage, faults) = Stage::memory().faulty();
    let client = Client::of(for_an_hour(&stage).build().unwrap());
    client.get("/login/7").await.ok();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    faults.hang(Op::Touch);
    let mut answered = 0;
    let waiting = loop {
        let mut request = Box::pin(client.get("/user"));
        if (&mut request).now_or_never().is_none() {
            break request;
        }
        answered += 1;
        assert!(answered < 10_000, "each of them left a task");
    };
    assert!(answered > 100, "few at a time wait for nothing");
    faults.recover();
    assert_eq!(waiting.await.ok().body, "7");
    while tasks() > before {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.get("/user").await.ok().body, "7");
}

/// A cookie that lasts longer must not leave before the session does last longer.
async fn a_request_that_tells_the_browser_waits_for_the_touch(stage: Stage) {
    let (stage, gates) = stage.gated();
    let client = Client::of(for_an_hour(&stage).with_rolling(true).build().unwrap());
    client.get("/login/7").await.ok();
    let gate = gates.hold(Op::Touch);
    let request = tokio::spawn(client.get("/user"));
    gate.arrived().await;
    assert!(!request.is_finished());
    gate.open();
    assert!(request.await.unwrap().ok().session_cookie().is_some());
}

fn for_an_hour(stage: &Stage) -> Builder<SessionLayer> {
    let cookie = CookieOptions::default().with_max_age(Duration::from_secs(3600));
    stage.layer().with_cookie(cookie)
}

/// SHA-256 would be as good; this needs no crate.
fn scramble(n: u64) -> u64 {
    let mut x = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[tokio::test]
async fn a_hundred_thousand_forged_tickets_cost_no_store_operation() {
    let (stage, faults) = Stage::memory().faulty();
    let client = stage.client();
    for n in 0..100_000_u64 {
        let (id, mac) = (scramble(n), scramble(!n));
        let value = match n % 4 {
            0 => format!("s%3A{id:032x}.{mac:043x}"),
            1 => format!("{id:032x}"),
            2 => format!("s%3A{id:032x}"),
            _ => format!("s:{id:x}.{mac:x}"),
        };
        client.set_cookie(NAME, &value);
        let path = if n % 3 == 0 { "/user" } else { "/asset/1" };
        let reply = client.get(path).await;
        assert_eq!(reply.status, 200);
        assert!(reply.set_cookies().is_empty());
    }
    assert_eq!(faults.round_trips(), 0);
    assert_eq!(stage.store.length().await.unwrap(), 0);
}

async fn random_ids_leave_no_record(stage: Stage) {
    let (stage, faults) = stage.faulty();
    let client = stage.client();
    for n in 0..500 {
        client.set_cookie(NAME, &ticket(&format!("{:032x}", scramble(n))));
        let path = if n % 3 == 0 { "/user" } else { "/asset/1" };
        assert!(client.get(path).await.ok().set_cookies().is_empty());
    }
    assert_eq!(faults.round_trips(), 500, "one load each, as they are signed");
    assert_eq!(stage.store.length().await.unwrap(), 0);
}

async fn of_a_page_with_forty_assets_thirty_nine_cost_nothing(stage: Stage) {
    let (stage, faults) = stage.faulty();
    let cookies = [
        CookieOptions::default().with_max_age(Duration::from_secs(3600)),
        CookieOptions::default(),
    ];
    for (n, cookie) in cookies.into_iter().enumerate() {
        let layer = stage.layer().with_cookie(cookie).with_touch_after(Duration::from_secs(60));
        let client = Client::of(layer.build().unwrap());
        client.get("/login/7").await.ok();
        stage.clock.advance(Duration::from_secs(1));
        client.get("/asset/0").await.ok();
        let before = faults.round_trips();
        for n in 1..40 {
            client.get(&format!("/asset/{n}")).await.ok();
        }
        assert_eq!(faults.round_trips(), before, "cookie {n}");
    }
}

async fn each_kind_of_request_costs_what_is_promised(stage: Stage) {
    let (stage, faults) = stage.faulty();
    let cookie = CookieOptions::default().with_max_age(Duration::from_secs(3600));
    let layer = stage.layer().with_cookie(cookie).with_touch_after(Duration::from_secs(60));
    let client = Client::of(layer.build().unwrap());
    for (path, expected) in [
        ("/asset/1", &[][..]),
        ("/user", &[]),
        ("/set/a/1", &[Op::Save]),
        ("/user", &[Op::Load]),
        ("/all", &[Op::Load]),
        ("/set/a/1", &[Op::Load]), // it is so already
        ("/set/a/2", &[Op::Load, Op::Save]),
        ("/count", &[Op::Load, Op::Save]),
        ("/remove/a", &[Op::Load, Op::Save]),
        ("/remove/a", &[Op::Load]),
        ("/touch", &[Op::Load, Op::Touch]),
        ("/unset", &[Op::Load]),
        ("/cycle", &[Op::Load, Op::Rotate]),
        ("/login/7", &[Op::Load, Op::Destroy, Op::Save]),
        ("/destroy", &[Op::Load, Op::Destroy]),
        ("/destroy", &[]),
    ] {
        let ops = [Op::Load, Op::Save, Op::Touch, Op::Destroy, Op::Rotate];
        let before = ops.map(|op| faults.calls(op));
        client.get(path).await.ok();
        let after = ops.map(|op| faults.calls(op));
        let called: Vec<_> = ops
            .into_iter()
            .enumerate()
            .flat_map(|(n, op)| (before[n]..after[n]).map(move |_| op))
            .collect();
        let mut expected = expected.to_vec();
        expected.sort_by_key(|op| ops.iter().position(|other| other == op));
        assert_eq!(called, expected, "{path}");
    }
}
