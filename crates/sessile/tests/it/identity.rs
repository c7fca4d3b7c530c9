//! Identity: an id is ours, unguessable, and nobody else's.

use axum::{Router, routing::get};
use http::HeaderValue;
use http::header::COOKIE;
use sessile::{Secrets, Session, SessionHandle, SessionId, SessionLayer, SessionStore};
use sessile_testkit::{CountingIds, Op};

use crate::client::{Client, NAME, app, request, secrets, ticket};
use crate::stage::Stage;
use crate::watch::Watch;

over_every_store! {
    signed_but_unknown_ids_are_anonymous_and_never_adopted,
    an_expired_or_deleted_session_is_anonymous,
    a_forced_collision_takes_nobody_over,
    namespaces_keep_layers_apart,
    two_layers_on_one_store_never_mix,
}

/// Sends `cookie` as it is, which may be no text at all.
async fn user_of(client: &Client, cookie: &[u8]) -> String {
    let mut request = request("/user");
    request.headers_mut().insert(COOKIE, HeaderValue::from_bytes(cookie).unwrap());
    let reply = client.send(request).await.ok();
    assert_eq!(reply.session_cookie(), None);
    reply.body
}

fn named(value: impl AsRef<[u8]>) -> Vec<u8> {
    [b"connect.sid=", value.as_ref()].concat()
}

#[tokio::test]
async fn a_ticket_that_we_did_not_sign_never_reaches_the_store() {
    let watch = Watch::new();
    let (stage, faults) = Stage::memory().faulty();
    let victim = stage.client();
    victim.get("/login/7").await.ok();
    let id = victim.id();
    let id = id.as_str();
    let good = format!("s:{}", secrets().sign(id));
    let mac = good.rsplit_once('.').unwrap().1;
    let others = Secrets::new(["a secret of somebody else, 32 bytes"]).unwrap();
    let flipped = if mac.starts_with('A') { "B" } else { "A" };
    let bad = [
        named(""),
        named("s:"),
        named("s%3A"),
        named("s:."),
        named("."),
        named(id),
        named(format!("s:{id}")),
        named(format!("s:{id}.")),
        named(format!("{id}.{mac}")),
        named(format!("j:{id}.{mac}")),
        named(format!("S:{id}.{mac}")),
        named(format!("s:{id}.{mac}=")),
        named(format!("s:{id}.{mac}A")),
        named(format!("s:{id}.{}", &mac[..42])),
        named(format!("s:{id}.{flipped}{}", &mac[1..])),
        named(format!("s:{id}.{}", mac.to_lowercase())),
        named(format!("s:{}.{mac}", id.to_lowercase())),
        named(format!("s:{id} .{mac}")),
        named(format!("s:{id}x.{mac}")),
        named(format!("s:s:{id}.{mac}")),
        named(format!("s:{}", others.sign(id))),
        named("s:x.y".repeat(1600)),
        named("s:".to_owned() + &"a".repeat(8192) + "." + mac),
        named(b"\xff\xfe\x80"),
        named(b"s:\xc3\x28.AAAA"),
        named("s%3A%00.%00"),
        named("s%3A..%2F..%2Fetc%2Fpasswd.AAAA"),
        named(r#"s:{"$gt":""}.AAAA"#),
        named("s:*.AAAA"),
        named("%E0%A4%A"),
        named("%"),
        named("\""),
        format!("connect_sid={good}").into_bytes(),
        format!("connect.sid.{good}").into_bytes(),
        format!("Connect.Sid={good}").into_bytes(),
        b";;;===;".to_vec(),
    ];
    let before = faults.round_trips();
    let mut signed_badly = 0;
    for cookie in &bad {
        let shown = String::from_utf8_lossy(cookie);
        assert_eq!(user_of(&stage.client(), cookie).await, "nobody", "{shown}");
        assert_eq!(faults.round_trips(), before, "the store was asked for {shown}");
        signed_badly += u64::from(cookie.starts_with(b"connect.sid="));
    }
    assert_eq!(user_of(&stage.client(), &named(good)).await, "7", "the good one is good");
    // Bytes that are no text cannot even be read as a ticket.
    let unreadable = 2;
    let events = watch.events("DEBUG", "is not signed by us");
    assert!(events as u64 >= signed_badly - unreadable, "{events} of {signed_badly}");
}

async fn signed_but_unknown_ids_are_anonymous_and_never_adopted(stage: Stage) {
    let ids = [
        "unknown",
        "a",
        ".",
        "..",
        "../../etc/passwd",
        "a/b",
        r#"{"$gt":""}"#,
        "' OR 1=1 --",
        "%",
        "_",
        "*",
        "a\0b",
        "\0",
        "snow\u{2603}man",
        " ",
        "s:",
        "__proto__",
        "connect.sid",
        &"x".repeat(8192),
        "line\r\nset-cookie: a=b",
    ];
    stage.client().get("/set/some/body").await.ok();
    for id in ids {
        let client = stage.client();
        client.set_cookie(NAME, &ticket(id));
        assert_eq!(client.get("/user").await.ok().body, "nobody", "{id:?}");
        let reply = client.get("/login/7").await.ok();
        assert!(reply.session_cookie().is_some(), "{id:?}");
        assert_ne!(client.id().as_str(), id);
        assert!(!stage.lives(&SessionId::new(id)).await, "{id:?} was adopted");
        assert_eq!(client.get("/user").await.ok().body, "7", "{id:?}");
    }
    let client = stage.client();
    client.set_cookie(NAME, &ticket(""));
    assert_eq!(client.get("/user").await.ok().body, "nobody");
    assert_eq!(stage.records().await.len(), 1 + ids.len());
}

async fn an_expired_or_deleted_session_is_anonymous(stage: Stage) {
    let cookie = sessile::CookieOptions::default();
    let cookie = cookie.with_max_age(std::time::Duration::from_secs(60));
    let client = Client::of(stage.layer().with_cookie(cookie).build().unwrap());
    for expires in [true, false] {
        client.get("/login/7").await.ok();
        let old = client.id();
        if expires {
            stage.clock.advance(std::time::Duration::from_secs(60));
        } else {
            stage.store.destroy(&old).await.unwrap();
        }
        assert_eq!(client.get("/user").await.ok().body, "nobody");
        client.get("/set/a/1").await.ok();
        assert_ne!(client.id(), old);
        assert!(!stage.lives(&old).await);
    }
}

#[tokio::test]
async fn an_old_secret_still_verifies_and_the_new_one_signs() {
    let stage = Stage::memory();
    let client = stage.client();
    client.get("/login/7").await.ok();
    let rotated =
        Secrets::new(["a new secret, of thirty-two bytes or more", crate::client::SECRET]);
    let layer = SessionLayer::builder(stage.store.clone(), rotated.unwrap())
        .with_clock(stage.clock.clone())
        .with_rolling(true)
        .build()
        .unwrap();
    let before = client.cookie(NAME);
    let client = client.at(app().layer(layer));
    assert_eq!(client.get("/user").await.ok().body, "7");
    assert_ne!(client.cookie(NAME), before);
    assert_eq!(client.get("/user").await.ok().body, "7");
    let without_the_new = stage.client();
    without_the_new.set_cookie(NAME, &client.cookie(NAME).unwrap());
    assert_eq!(without_the_new.get("/user").await.ok().body, "nobody");
}

async fn a_forced_collision_takes_nobody_over(stage: Stage) {
    let watch = Watch::new();
    let ids = CountingIds::new();
    let layer = stage.layer().with_id_generator(ids.clone()).build().unwrap();
    let victim = Client::of(layer.clone());
    ids.set(5);
    victim.get("/set/user/7").await.ok();
    let victims_id = victim.id();
    // A login gives two ids: to the newcomer and to the regenerated session.
    for (path, next) in [("/set/a/1", 5), ("/login/8", 4)] {
        ids.set(next);
        let newcomer = Client::of(layer.clone());
        newcomer.get(path).await.ok();
        assert_ne!(newcomer.id(), victims_id, "{path}");
        assert_eq!(victim.get("/all").await.json(), serde_json::json!({ "user": "7" }), "{path}");
        assert!(newcomer.id().as_str().starts_with("sid-"), "{path}");
    }
    assert!(watch.events("ERROR", "gave an id that is taken") >= 2, "{}", watch.text());

    let stuck = stage.layer().with_id_generator({
        let id = victims_id.clone();
        move || id.clone()
    });
    let newcomer = Client::of(stuck.build().unwrap());
    let reply = newcomer.get("/set/a/1").await;
    assert_eq!((reply.status.as_u16(), reply.session_cookie()), (500, None));
    assert_eq!(victim.get("/all").await.json(), serde_json::json!({ "user": "7" }));
}

async fn namespaces_keep_layers_apart(stage: Stage) {
    let layer = |name: &str, namespace: &str| {
        stage.layer().with_name(name).with_namespace(namespace).build().unwrap()
    };
    let shop = Client::new(app().layer(layer(NAME, "shop:")));
    let admin = Client::new(app().layer(layer("admin.sid", "admin:")));
    shop.get("/login/7").await.ok();
    admin.get("/login/root").await.ok();
    let records = stage.records().await;
    assert!(records.keys().any(|id| id.starts_with("shop:")));
    assert!(records.keys().any(|id| id.starts_with("admin:")));

    let (shops, admins) = (shop.cookie(NAME).unwrap(), admin.cookie("admin.sid").unwrap());
    shop.set_cookie(NAME, &admins);
    admin.set_cookie("admin.sid", &shops);
    assert_eq!(shop.get("/user").await.ok().body, "nobody");
    assert_eq!(admin.get("/user").await.ok().body, "nobody");
    admin.get("/destroy").await.ok();
    assert_eq!(stage.records().await.len(), 2, "and destroys nothing of the other's");
    shop.set_cookie(NAME, &shops);
    assert_eq!(shop.get("/user").await.ok().body, "7");
    shop.get("/cycle").await.ok();
    assert_eq!(shop.get("/user").await.ok().body, "7");
    assert!(stage.records().await.keys().filter(|id| id.starts_with("shop:")).count() == 1);
}

async fn two_layers_on_one_store_never_mix(stage: Stage) {
    let short = sessile::CookieOptions::default().with_max_age(std::time::Duration::from_secs(60));
    let inner = stage
        .layer()
        .with_name("inner")
        .with_namespace("inner:")
        .with_cookie(short.with_domain("example.com"))
        .build()
        .unwrap();
    let outer = stage.layer().with_name("outer").with_namespace("outer:").build().unwrap();
    let both = async |session: Session, handle: SessionHandle| {
        session.insert("who", "inner").unwrap();
        let outer = handle.named("outer").unwrap().load().await.unwrap();
        outer.insert("who", "outer").unwrap();
        let inner = handle.named("inner").unwrap().load().await.unwrap();
        assert_eq!(inner.get::<String>("who").unwrap().unwrap(), "inner");
        assert!(handle.named("connect.sid").is_none());
        assert_ne!(inner.id().unwrap(), outer.id().unwrap());
    };
    let router = Router::new().route("/both", get(both)).merge(app());
    let client = Client::new(router.layer(inner).layer(outer));
    let reply = client.get("/both").await.ok();
    let mut cookies = reply.set_cookies();
    cookies.sort_unstable();
    assert_eq!(cookies.len(), 2);
    assert!(cookies[0].starts_with("inner=") && cookies[0].contains("Domain=example.com"));
    assert!(cookies[1].starts_with("outer=") && !cookies[1].contains("Domain"));
    assert!(cookies[0].contains("Expires=") && !cookies[1].contains("Expires="));
    let records = stage.records().await;
    assert_eq!(records.len(), 2);
    for (id, values) in records {
        assert!(id.starts_with(values["who"].as_str().unwrap()), "{id} {values}");
    }

    client.get("/destroy").await.ok();
    assert_eq!((client.cookie("inner"), client.cookie("outer").is_some()), (None, true));
    client.get("/both").await.ok();
    stage.clock.advance(std::time::Duration::from_secs(60));
    let left = stage.records().await;
    assert_eq!(left.len(), 1, "each expires by its own layer's options");
}

#[tokio::test]
async fn layers_with_other_secrets_refuse_each_others_tickets() {
    let stage = Stage::memory();
    let client = stage.client();
    client.get("/login/7").await.ok();
    let other = Secrets::new(["a secret of somebody else, 32 bytes"]).unwrap();
    let layer = SessionLayer::new(stage.store.clone(), other);
    assert_eq!(client.at(app().layer(layer)).get("/user").await.ok().body, "nobody");
}

/// Every order of a few cookies of one name.
fn orders(values: &[String]) -> Vec<Vec<String>> {
    if values.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for n in 0..values.len() {
        let mut rest = values.to_vec();
        let first = rest.remove(n);
        all.extend(orders(&rest).into_iter().map(|mut order| {
            order.insert(0, first.clone());
            order
        }));
    }
    all
}

async fn finds_7_in_any_order(stage: &Stage, values: &[String]) {
    for order in orders(values) {
        let pairs: Vec<_> = order.iter().map(|value| format!("{NAME}={value}")).collect();
        let one_header = pairs.join("; ");
        let client = stage.client();
        assert_eq!(user_of(&client, one_header.as_bytes()).await, "7", "{order:?}");
        let mut request = request("/user");
        for pair in &pairs {
            request.headers_mut().append(COOKIE, pair.parse().unwrap());
        }
        assert_eq!(client.send(request).await.ok().body, "7", "{order:?} in headers of their own");
    }
}

#[tokio::test]
async fn of_several_cookies_of_one_name_the_valid_one_is_found() {
    let stage = Stage::memory();
    let client = stage.client();
    client.get("/login/7").await.ok();
    let good = client.cookie(NAME).unwrap();
    let forged = good.replace("s%3A", "s%3Ax");
    finds_7_in_any_order(&stage, &["junk".into(), good.clone(), forged]).await;
    finds_7_in_any_order(&stage, &[String::new(), format!("\"{good}\""), "\"\"".into()]).await;
}

/// What a redeploy with another Path leaves in browsers: two cookies, both ours, one of the dead.
#[tokio::test]
async fn a_ticket_of_a_dead_session_does_not_hide_the_living_one() {
    let stage = Stage::memory();
    let client = stage.client();
    client.get("/login/7").await.ok();
    let dead = ticket("signed by us, and long gone");
    finds_7_in_any_order(&stage, &[dead, client.cookie(NAME).unwrap()]).await;
}

/// Whoever collects tickets of dead sessions must not make one request cost a hundred loads.
#[tokio::test]
async fn a_pile_of_dead_tickets_costs_no_more_than_a_few_loads() {
    let (stage, faults) = Stage::memory().faulty();
    let pile: Vec<_> = (0..100).map(|n| format!("{NAME}={}", ticket(&n.to_string()))).collect();
    assert_eq!(user_of(&stage.client(), pile.join("; ").as_bytes()).await, "nobody");
    assert!(faults.calls(Op::Load) <= 10, "{}", faults.calls(Op::Load));
}

#[tokio::test]
async fn new_ids_are_random_and_never_given_twice() {
    let stage = Stage::memory();
    let mut ids = std::collections::HashSet::new();
    for _ in 0..1000 {
        let client = stage.client();
        client.get("/set/a/1").await.ok();
        let id = client.id();
        assert_eq!(id.as_str().len(), 32, "24 bytes in base64url");
        assert!(ids.insert(id));
    }
    assert_eq!(stage.store.length().await.unwrap(), 1000);
}

#[tokio::test]
async fn a_request_without_a_session_cookie_never_asks_the_store() {
    let (stage, faults) = Stage::memory().faulty();
    let client = stage.client();
    for path in ["/asset/1", "/read", "/user", "/id", "/touch", "/destroy", "/unset", "/cycle"] {
        client.set_cookie("theme", "dark");
        client.get(path).await.ok();
        if path == "/cycle" {
            break;
        }
        assert_eq!(client.cookie(NAME), None, "{path}");
    }
    assert_eq!(faults.calls(Op::Load), 0);
}
