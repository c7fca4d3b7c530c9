//! The cookie: attributes, prefixes, paths, caches, proxies.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use axum::{Router, routing::get};
use http::header::{CACHE_CONTROL, SET_COOKIE, VARY};
use http::{HeaderMap, Request};
use sessile::{
    Builder, CookieOptions, ErrorKind, Expiry, Https, Priority, SameSite, Secure, Session,
    SessionLayer, TrustProxy,
};

use crate::client::{Client, NAME, app, request};
use crate::stage::Stage;

over_every_store! {
    attributes_of_a_redeploy_are_sent_anew_once,
    a_destroyed_session_clears_its_cookie_with_its_own_attributes,
}

#[tokio::test]
async fn what_browsers_refuse_is_an_error_when_the_layer_is_built() {
    let stage = Stage::memory();
    let secure = || CookieOptions::default().with_secure(Secure::Always);
    let never = || CookieOptions::default().with_secure(Secure::Never);
    for (name, cookie) in [
        ("__Host-sid", secure().with_domain("example.com")),
        ("__Host-sid", secure().with_path("/admin")),
        ("__Host-sid", never()),
        ("__Host-sid", CookieOptions::default()),
        ("__HOST-sid", secure().with_path("/admin")),
        ("__Secure-sid", never()),
        ("__Secure-sid", CookieOptions::default()),
        ("sid", never().with_same_site(SameSite::None)),
        ("sid", never().with_partitioned(true)),
        ("", secure()),
        ("s id", secure()),
        ("s;id", secure()),
        ("s=id", secure()),
        ("s\u{7f}id", secure()),
        ("s\u{e9}d", secure()),
        ("sid\r\nset-cookie: a=b", secure()),
        ("sid", secure().with_path("/a;b")),
        ("sid", secure().with_path("/a\n")),
        ("sid", secure().with_path("/\u{0}")),
        ("sid", secure().with_path("/\u{2603}")),
        ("sid", secure().with_domain("example.com; Secure")),
        ("sid", secure().with_domain("example.com\t")),
        ("sid", secure().with_domain("exa mple.com")),
        ("sid", secure().with_domain("-example.com")),
    ] {
        let built = stage.layer().with_name(name).with_cookie(cookie.clone()).build();
        let error = built.map(drop).expect_err(&format!("{name:?} {cookie:?}"));
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().len() > 20, "it says what is wrong: {error}");
    }
    for (name, cookie) in [
        ("__Host-sid", secure()),
        ("__Secure-sid", secure().with_domain("example.com").with_path("/admin")),
        ("sid", secure().with_same_site(SameSite::None).with_partitioned(true)),
        ("sid", CookieOptions::default().with_same_site(SameSite::None)),
        ("!#$%&'*+-.^_`|~0", never()),
    ] {
        stage.layer().with_name(name).with_cookie(cookie).build().unwrap();
    }
    assert!(stage.layer().with_store_timeout(Duration::ZERO).build().is_err());
    assert!(stage.layer().with_max_record_bytes(0).build().is_err());
}

/// The layer's answer to the first request that stores something.
async fn first_cookie(layer: Builder<SessionLayer>) -> String {
    let client = Client::of(layer.build().unwrap());
    let reply = client.get("/set/a/1").await.ok();
    let cookie = reply.session_cookie().unwrap();
    let (value, attributes) = cookie.split_once(';').unwrap();
    assert!(value.starts_with("connect.sid=s%3A"), "{value}");
    attributes.trim_start().to_owned()
}

#[tokio::test]
async fn the_default_cookie_is_safe_and_the_preset_is_express() {
    let stage = Stage::memory();
    assert_eq!(first_cookie(stage.layer()).await, "Path=/; HttpOnly; SameSite=Lax");
    let express = SessionLayer::express(stage.store.clone(), crate::client::secrets());
    assert_eq!(first_cookie(express).await, "Path=/; HttpOnly");
    let everything = CookieOptions::default()
        .with_domain("example.com")
        .with_path("/")
        .with_max_age(Duration::from_secs(3600))
        .with_http_only(false)
        .with_priority(Priority::High)
        .with_same_site(SameSite::Strict);
    assert_eq!(
        first_cookie(stage.layer().with_cookie(everything)).await,
        "Domain=example.com; Path=/; Expires=Thu, 01 Jan 2026 01:00:00 GMT; Priority=High; SameSite=Strict"
    );
    let expires = sessile::Clock::now(&stage.clock) + Duration::from_secs(60);
    let at = CookieOptions::express().with_expiry(Expiry::At(expires));
    assert_eq!(
        first_cookie(stage.layer().with_cookie(at)).await,
        "Path=/; Expires=Thu, 01 Jan 2026 00:01:00 GMT; HttpOnly"
    );
}

#[tokio::test]
async fn there_is_one_cookie_of_our_name_and_others_are_untouched() {
    let stage = Stage::memory();
    let handler = async |session: Session| {
        session.insert("a", 1).unwrap();
        let mut response = Response::new(Body::empty());
        for cookie in [
            "theme=dark; Path=/",
            "connect.sid=forged; Path=/",
            "connect.sid2=x",
            "xconnect.sid=y",
            "connect.sid=forged again",
            "junk",
            "theme=light",
        ] {
            response.headers_mut().append(SET_COOKIE, cookie.parse().unwrap());
        }
        response
    };
    let app = Router::new().route("/", get(handler)).layer(stage.layer().build().unwrap());
    let reply = Client::new(app).get("/").await.ok();
    let ours = reply.session_cookie().unwrap();
    assert!(ours.starts_with("connect.sid=s%3A"), "{ours}");
    let others: Vec<_> = reply.set_cookies().into_iter().filter(|cookie| *cookie != ours).collect();
    assert_eq!(
        others,
        ["theme=dark; Path=/", "connect.sid2=x", "xconnect.sid=y", "junk", "theme=light"]
    );
}

#[tokio::test]
async fn admin_does_not_match_adminfoo() {
    let stage = Stage::memory();
    let cookie = CookieOptions::default().with_path("/admin");
    let optional = async |session: Option<Session>| {
        session.map(|session| session.insert("a", 1)).transpose().unwrap();
    };
    let router = Router::new().fallback(get(optional));
    let client = || {
        Client::new(
            router.clone().layer(stage.layer().with_cookie(cookie.clone()).build().unwrap()),
        )
    };
    for (path, matches) in [
        ("/admin", true),
        ("/admin/", true),
        ("/admin/x", true),
        ("/admin?a=/b", true),
        ("/adminfoo", false),
        ("/Admin", false),
        ("/", false),
        ("/x/admin", false),
        ("/admi", false),
    ] {
        let reply = client().get(path).await.ok();
        assert_eq!(reply.session_cookie().is_some(), matches, "{path}");
    }
}

#[tokio::test]
async fn a_nested_router_matches_the_path_the_client_asked_for() {
    let stage = Stage::memory();
    let cookie = CookieOptions::default().with_path("/admin");
    let layer = || stage.layer().with_cookie(cookie.clone()).build().unwrap();
    let deep = Router::new().nest("/admin", Router::new().nest("/deep", app().layer(layer())));
    let client = Client::new(deep);
    client.get("/admin/deep/set/a/1").await.ok();
    assert_eq!(client.get("/admin/deep/all").await.json()["a"], "1");
    let elsewhere = Router::new().nest("/elsewhere", app().layer(layer()));
    assert_eq!(client.at(elsewhere).get("/elsewhere/read").await.status, 500);
    let outer = Router::new().nest("/admin", app()).layer(layer());
    assert_eq!(Client::new(outer).get("/admin/count").await.ok().body, "1");
}

fn https(path: &str) -> Request<Body> {
    let mut request = request(path);
    request.extensions_mut().insert(Https);
    request
}

async fn a_destroyed_session_clears_its_cookie_with_its_own_attributes(stage: Stage) {
    let cookie = CookieOptions::default()
        .with_domain("example.com")
        .with_path("/app")
        .with_secure(Secure::Always)
        .with_partitioned(true)
        .with_priority(Priority::Low)
        .with_same_site(SameSite::None)
        .with_max_age(Duration::from_secs(60));
    let layer = stage.layer().with_cookie(cookie).build().unwrap();
    let client = Client::new(Router::new().nest("/app", app()).layer(layer));
    client.send(https("/app/set/a/1")).await.ok();
    let thief = client.with_a_copy_of_its_cookies();
    let reply = client.send(https("/app/destroy")).await.ok();
    assert_eq!(
        reply.session_cookie().unwrap(),
        "connect.sid=; Domain=example.com; Path=/app; Expires=Thu, 01 Jan 1970 00:00:00 GMT; \
         HttpOnly; Secure; Partitioned; Priority=Low; SameSite=None"
    );
    assert_eq!(client.cookie(NAME), None);
    assert_eq!(thief.send(https("/app/user")).await.ok().body, "nobody");
    let newcomer = client.send(https("/app/destroy")).await.ok();
    assert_eq!(newcomer.session_cookie(), None, "there is nothing to clear");
}

async fn attributes_of_a_redeploy_are_sent_anew_once(stage: Stage) {
    let before = CookieOptions::default().with_max_age(Duration::from_secs(3600));
    let client = Client::of(stage.layer().with_cookie(before.clone()).build().unwrap());
    client.get("/login/7").await.ok();
    let id = client.id();
    for (after, expected) in [
        (before.clone().with_same_site(SameSite::Strict), "SameSite=Strict"),
        (before.clone().with_domain("example.com"), "Domain=example.com"),
        (before.clone().with_http_only(false), "SameSite=Lax"),
        (before.clone().with_priority(Priority::High), "Priority=High"),
        (before.with_path("/user"), "Path=/user"),
    ] {
        let redeployed = client.at(app().layer(stage.layer().with_cookie(after).build().unwrap()));
        let reply = redeployed.get("/user").await.ok();
        assert_eq!(reply.body, "7");
        let cookie = reply.session_cookie().expect("it is sent anew");
        assert!(cookie.contains(expected), "{cookie}");
        assert!(cookie.contains("Expires="), "{cookie}");
        assert_eq!(redeployed.get("/user").await.ok().session_cookie(), None, "once is enough");
        assert_eq!(redeployed.id(), id);
        assert_eq!(stage.records().await.len(), 1);
    }
}

#[tokio::test]
async fn a_reload_keeps_the_attributes_of_the_redeploy() {
    let stage = Stage::memory();
    let client = stage.client();
    client.get("/login/7").await.ok();
    let strict = CookieOptions::default().with_same_site(SameSite::Strict);
    let client = client.at(app().layer(stage.layer().with_cookie(strict).build().unwrap()));
    let reply = client.get("/reload").await.ok();
    assert!(reply.session_cookie().unwrap().contains("SameSite=Strict"), "{reply:?}");
    assert_eq!(client.get("/user").await.ok().session_cookie(), None);
}

#[tokio::test]
async fn attributes_that_could_not_be_sent_are_sent_when_they_can() {
    let stage = Stage::memory();
    let client = stage.client();
    client.get("/login/7").await.ok();
    let secure = CookieOptions::default().with_secure(Secure::Always);
    let client = client.at(app().layer(stage.layer().with_cookie(secure).build().unwrap()));
    assert_eq!(client.get("/user").await.ok().session_cookie(), None, "not over plain http");
    let reply = client.send(https("/user")).await.ok();
    assert!(reply.session_cookie().is_some_and(|cookie| cookie.contains("; Secure")), "{reply:?}");
}

#[tokio::test]
async fn a_response_with_our_cookie_is_not_cached_with_it() {
    let stage = Stage::memory();
    let handler = async |session: Session, headers: HeaderMap| {
        if headers.contains_key("x-set") {
            session.insert("a", 1).unwrap();
        }
        let mut response = Response::new(Body::empty());
        for wanted in headers.get_all("x-cache-control") {
            response.headers_mut().append(CACHE_CONTROL, wanted.clone());
        }
        response
    };
    let router = Router::new().route("/", get(handler)).layer(stage.layer().build().unwrap());
    let ours = r#"no-cache="set-cookie""#;
    for (theirs, expected) in [
        (&[][..], &[ours][..]),
        (&["public, max-age=60"], &["public, max-age=60", ours]),
        (&["no-store"], &["no-store"]),
        (&["private"], &["private"]),
        (&["max-age=0, PRIVATE"], &["max-age=0, PRIVATE"]),
        (&["no-cache"], &["no-cache"]),
        (&["max-age=1", "no-store"], &["max-age=1", "no-store"]),
        (&[r#"private="x-user""#], &[r#"private="x-user""#, ours]),
        (&["not-no-store"], &["not-no-store", ours]),
    ] {
        for set in [true, false] {
            let mut request = request("/");
            for value in theirs {
                request.headers_mut().append("x-cache-control", value.parse().unwrap());
            }
            if set {
                request.headers_mut().insert("x-set", "1".parse().unwrap());
            }
            let reply = Client::new(router.clone()).send(request).await.ok();
            let sent: Vec<_> = reply.headers.get_all(CACHE_CONTROL).iter().collect();
            assert_eq!(sent, if set { expected } else { theirs }, "set {set}");
            assert_eq!(reply.session_cookie().is_some(), set);
        }
    }
}

#[tokio::test]
async fn a_response_that_depends_on_the_session_varies_by_cookie() {
    let stage = Stage::memory();
    let named = async |_: Session, headers: HeaderMap| {
        let mut response = Response::new(Body::empty());
        for wanted in headers.get_all("x-vary") {
            response.headers_mut().append(VARY, wanted.clone());
        }
        response
    };
    let router = Router::new().route("/named", get(named)).merge(app());
    let client = Client::new(router.layer(stage.layer().with_rolling(true).build().unwrap()));
    for (theirs, expected) in [
        (&[][..], &["Cookie"][..]),
        (&["accept-encoding"], &["accept-encoding", "Cookie"]),
        (&["origin, cookie"], &["origin, cookie"]),
        (&["origin", "COOKIE"], &["origin", "COOKIE"]),
        (&["*"], &["*"]),
        (&["cookies"], &["cookies", "Cookie"]),
    ] {
        let mut request = request("/named");
        for value in theirs {
            request.headers_mut().append("x-vary", value.parse().unwrap());
        }
        let reply = client.send(request).await.ok();
        assert_eq!(reply.headers.get_all(VARY).iter().collect::<Vec<_>>(), expected);
    }
    assert_eq!(client.get("/asset/1").await.ok().header("vary"), None);
    client.get("/login/7").await.ok();
    assert_eq!(client.get("/asset/1").await.ok().header("vary"), None, "whoever asks gets it");
    assert_eq!(client.get("/user").await.ok().header("vary"), Some("Cookie"));
}

/// What a request says of its connection.
const CONNECTIONS: [(&str, &str, &str); 14] = [
    ("plain", "", ""),
    ("tls", "", ""),
    ("xfp", "x-forwarded-proto", "https"),
    ("xfp", "x-forwarded-proto", "HTTPS"),
    ("xfp", "x-forwarded-proto", " https , http"),
    ("no", "x-forwarded-proto", "http"),
    ("no", "x-forwarded-proto", "http, https"),
    ("no", "x-forwarded-proto", "httpsx"),
    ("no", "x-forwarded-proto", ""),
    ("no", "x-forwarded-ssl", "on"),
    ("fwd", "forwarded", "for=192.0.2.1;proto=https;by=10.0.0.1"),
    ("fwd", "forwarded", "Proto=\"HTTPS\", proto=http"),
    ("no", "forwarded", "proto=http, proto=https"),
    ("no", "forwarded", "for=\"proto=https\""),
];

#[tokio::test]
async fn who_is_believed_decides_on_secure() {
    let stage = Stage::memory();
    let proxies = [
        (TrustProxy::Never, &["tls"][..]),
        (TrustProxy::XForwardedProto, &["tls", "xfp"]),
        (TrustProxy::Forwarded, &["tls", "fwd"]),
        (TrustProxy::AssumeHttps, &["tls", "xfp", "fwd", "plain", "no"]),
    ];
    for (proxy, believed) in proxies {
        for (kind, header, value) in CONNECTIONS {
            let is_secure = believed.contains(&kind);
            let case = format!("{proxy:?}, {header}: {value}");
            for secure in [Secure::Always, Secure::Auto, Secure::Never] {
                let same_site =
                    if secure == Secure::Never { SameSite::Lax } else { SameSite::Auto };
                let cookie = CookieOptions::default().with_secure(secure).with_same_site(same_site);
                let layer = stage.layer().with_cookie(cookie).with_trust_proxy(proxy);
                let client = Client::of(layer.build().unwrap());
                let mut request = request("/set/a/1");
                if kind == "tls" {
                    request.extensions_mut().insert(Https);
                }
                if !header.is_empty() {
                    request.headers_mut().insert(header, value.parse().unwrap());
                }
                let reply = client.send(request).await.ok();
                let sent = reply.session_cookie();
                if secure == Secure::Always && !is_secure {
                    assert_eq!(sent, None, "{case}");
                    continue;
                }
                let sent = sent.unwrap();
                let expected = is_secure && secure != Secure::Never;
                assert_eq!(sent.contains("; Secure"), expected, "{case}: {sent}");
                if secure != Secure::Never {
                    let same_site = if is_secure { "SameSite=None" } else { "SameSite=Lax" };
                    assert!(sent.contains(same_site), "{case}: {sent}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_cookie_may_depend_on_the_request() {
    let stage = Stage::memory();
    let layer = stage.layer().with_cookie_fn(|request| {
        let cookie = CookieOptions::default();
        match request.headers.get("host").and_then(|host| host.to_str().ok()) {
            Some("bad.example") => cookie.with_domain("not a domain"),
            Some("none.example") => {
                cookie.with_secure(Secure::Never).with_same_site(SameSite::None)
            }
            Some("admin.example") => cookie.with_path("/set"),
            Some(host) => cookie.with_domain(host).with_max_age(Duration::from_secs(60)),
            None => cookie,
        }
    });
    let client = Client::of(layer.build().unwrap());
    let ask = async |host: &str, path: &str| {
        let mut request = request(path);
        request.headers_mut().insert("host", host.parse().unwrap());
        client.forget_cookies();
        client.send(request).await
    };
    let reply = ask("a.example", "/set/a/1").await.ok();
    let cookie = reply.session_cookie().unwrap();
    assert!(cookie.contains("Domain=a.example; Path=/; Expires="), "{cookie}");
    let reply = ask("b.example", "/set/a/1").await.ok();
    assert!(reply.session_cookie().unwrap().contains("Domain=b.example"));
    assert!(ask("admin.example", "/set/a/1").await.ok().session_cookie().is_some());
    assert_eq!(ask("admin.example", "/read").await.status, 500, "outside its Path");
    for host in ["bad.example", "none.example"] {
        let reply = ask(host, "/set/a/1").await;
        assert_eq!((reply.status.as_u16(), reply.body.as_str()), (500, ""), "{host}");
        assert_eq!(reply.session_cookie(), None);
    }
    assert_eq!(stage.records().await.len(), 3);
}

#[tokio::test]
async fn each_layer_has_its_own_cookie_name() {
    let stage = Stage::memory();
    let layer = stage.layer().with_name("sid").build().unwrap();
    let client = Client::of(layer);
    let reply = client.get("/set/a/1").await.ok();
    assert_eq!(reply.session_cookie(), None);
    assert!(reply.set_cookies()[0].starts_with("sid=s%3A"));
    assert_eq!(client.get("/all").await.json()["a"], "1");
}
