//! What the site promises its visitors.

use std::collections::HashSet;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use sessile::stores::SqliteStore;
use sessile_testkit::{FaultyStore, Op};

use crate::client::{Client, site, site_on};

#[tokio::test]
async fn a_stranger_is_invited_and_gets_no_cookie() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::new(&site(folder.path()).await);
    let home = client.get("/").await;
    assert_eq!(home.status, StatusCode::OK);
    assert!(home.body.contains("Hello, stranger.") && home.body.contains(r#"href="/login""#));
    assert_eq!(home.header("set-cookie"), "");
    assert!(client.get("/login").await.body.contains(r#"<label for="username">"#));
}

#[tokio::test]
async fn who_logs_in_is_greeted_on_every_page() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::new(&site(folder.path()).await);
    client.log_in("Ada").await;
    assert!(client.get("/").await.body.contains("Hello, <bdi>Ada</bdi>."));
    let missing = client.get("/nowhere").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(missing.body.contains("<bdi>Ada</bdi>"));
    assert_eq!(client.get("/login").await.header("location"), "/", "no second form");
}

#[tokio::test]
async fn views_are_counted_even_when_they_come_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(folder.path()).await;
    let mut client = Client::new(&site);
    client.log_in("Ada").await;
    let tabs: Vec<_> = (0..20)
        .map(|_| {
            let mut tab = Client::new(&site);
            tab.cookie.clone_from(&client.cookie);
            tokio::spawn(async move { tab.get("/").await.status })
        })
        .collect();
    for tab in tabs {
        assert_eq!(tab.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(client.get("/").await.detail("Views"), "21");
}

#[tokio::test]
async fn logging_out_destroys_the_session_and_clears_the_cookie() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::new(&site(folder.path()).await);
    client.log_in("Ada").await;
    let ticket = client.cookie.clone();
    let farewell = client.post("/logout", "").await;
    assert_eq!((farewell.status, farewell.header("location")), (StatusCode::SEE_OTHER, "/"));
    let cleared = "connect.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
    assert!(farewell.header("set-cookie").starts_with(cleared), "{farewell:?}");
    assert_eq!(client.cookie, None);

    client.cookie = ticket;
    assert!(client.get("/").await.body.contains("Hello, stranger."), "the ticket is worthless");
}

#[tokio::test]
async fn the_cookie_is_for_this_site_and_no_script() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::new(&site(folder.path()).await);
    let answer = client.post("/login", "username=Ada").await;
    let attributes: HashSet<_> = answer.header("set-cookie").split("; ").skip(1).collect();
    assert!(attributes.is_superset(&["Path=/", "HttpOnly", "SameSite=Lax"].into()));
    assert!(client.cookie.unwrap().starts_with("connect.sid=s%3A"));
}

#[tokio::test]
async fn who_asks_to_be_remembered_is_for_thirty_days() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::new(&site(folder.path()).await);
    client.log_in("Ada").await;
    assert_eq!(client.get("/").await.detail("Expires"), "in 1 hour");
    client.log_in("Ada&remember=yes").await;
    assert_eq!(client.get("/").await.detail("Expires"), "in 30 days");
}

#[tokio::test]
async fn a_name_that_cannot_be_is_refused_beside_its_field() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::new(&site(folder.path()).await);
    let long = "x".repeat(65);
    for (form, complaint) in [
        (String::new(), "Enter a name."),
        ("username=".into(), "Enter a name."),
        ("username=%20%09%20&remember=yes".into(), "Enter a name."),
        (format!("username={long}"), "Enter a name of at most 64 characters."),
    ] {
        let page = client.post("/login", form).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(page.body.contains(&format!(r#"id="complaint">{complaint}<"#)), "{}", page.body);
        assert!(page.body.contains(r#"aria-invalid="true" aria-describedby="complaint""#));
        assert_eq!(page.header("set-cookie"), "");
    }
    let page = client.post("/login", format!("username={long}&remember=yes")).await;
    assert!(page.body.contains(&long) && page.body.contains(" checked"), "what was typed stays");
    client.log_in(&"é".repeat(64)).await;
}

#[tokio::test]
async fn what_visitors_type_is_never_html() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::new(&site(folder.path()).await);
    client.log_in("%3Cscript%3E%22'%26").await;
    let home = client.get("/").await;
    assert!(!home.body.contains("<script") && home.body.contains("&lt;script&gt;&quot;"));
    let refused = client.post("/login", format!("username=%22%3E%3Cb%3E{}", "x".repeat(64))).await;
    assert!(refused.body.contains(r#"value="&quot;&gt;&lt;b&gt;x"#), "{}", refused.body);
    assert!(client.get("/a\"b").await.body.contains("<code>/a&quot;b</code>"));
}

#[tokio::test]
async fn a_planted_ticket_does_not_survive_a_login() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(folder.path()).await;
    let (mut mallory, mut ada) = (Client::new(&site), Client::new(&site));
    mallory.log_in("Mallory").await;
    ada.cookie.clone_from(&mallory.cookie);
    ada.log_in("Ada").await;
    assert_ne!(ada.cookie, mallory.cookie);
    assert!(mallory.get("/").await.body.contains("Hello, stranger."));
    let home = ada.get("/").await;
    assert!(home.body.contains("Hello, <bdi>Ada</bdi>."));
    assert_eq!(home.detail("Views"), "1", "nothing of the planted session came along");
}

#[tokio::test]
async fn a_restart_logs_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::new(&site(folder.path()).await);
    client.log_in("Ada").await;
    client.get("/").await;
    let mut later = Client::new(&site(folder.path()).await);
    later.cookie = client.cookie;
    let home = later.get("/").await;
    assert!(home.body.contains("Hello, <bdi>Ada</bdi>."));
    assert_eq!(home.detail("Views"), "2");
}

#[tokio::test]
async fn another_site_can_neither_log_in_nor_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::new(&site(folder.path()).await);
    client.log_in("Ada").await;
    for (path, header, value) in [
        ("/login", "sec-fetch-site", "cross-site"),
        ("/logout", "sec-fetch-site", "same-site"),
        ("/logout", "origin", "http://evil.example"),
    ] {
        let request = Request::post(path).header("host", "localhost:8080").header(header, value);
        let refused = client.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert!(refused.body.contains("another site"));
    }
    assert!(client.get("/").await.body.contains("Hello, <bdi>Ada</bdi>."));
}

#[tokio::test]
async fn every_answer_is_kept_from_caches_and_frames() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::new(&site(folder.path()).await);
    client.log_in("Ada").await;
    for path in ["/", "/login", "/logout", "/nowhere"] {
        let answer = client.get(path).await;
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
    }
    assert_eq!(client.get("/style.css").await.header("content-type"), "text/css; charset=utf-8");
}

#[tokio::test]
async fn every_error_is_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::new(&site(folder.path()).await);
    let errors = [
        client.get("/nowhere").await,
        client.get("/logout").await,
        client.post("/login", "x".repeat(5000)).await,
        client.send(Request::post("/login").body(Body::from("username=Ada")).unwrap()).await,
    ];
    for (answer, status) in errors.iter().zip([404, 405, 413, 415]) {
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert!(answer.body.contains("<h1>"));
    }
    assert_eq!(client.get("/user/login").await.header("location"), "/login", "the tutorial's path");
}

#[tokio::test]
async fn an_outage_of_the_store_is_a_page_and_logs_nobody_out() {
    let store = FaultyStore::new(SqliteStore::connect("sqlite::memory:").await.unwrap());
    let site = site_on(store.clone());
    let mut client = Client::new(&site);
    client.log_in("Ada").await;

    store.fail(Op::Load);
    store.fail(Op::Save);
    let mut stranger = Client::new(&site);
    for answer in [client.get("/").await, stranger.post("/login", "username=Eve").await] {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.body.contains("try again in a moment"));
        assert_eq!((answer.header("retry-after"), answer.header("set-cookie")), ("5", ""));
    }
    store.recover();
    assert!(client.get("/").await.body.contains("Hello, <bdi>Ada</bdi>."));
}
