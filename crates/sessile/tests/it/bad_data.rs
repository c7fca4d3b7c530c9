//! Bad data: a fresh session and an event, never an error for ever.

use std::collections::{BTreeMap, HashMap};

use axum::{Router, routing::get};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use sessile::{
    AnyStore, CookieOptions, Error, ErrorKind, Precondition, Record, Saved, Session, SessionCookie,
    SessionId, SessionStore, StoreError, Stored, Version,
};
use sessile_testkit::Op;

use crate::client::{Answer, Client, NAME, app, pausable, ticket};
use crate::stage::Stage;
use crate::watch::Watch;

over_every_store! {
    reserved_keys_are_dropped_and_reported,
    of_duplicate_keys_the_last_counts,
    a_record_over_the_limit_is_an_error_at_commit,
    values_that_do_not_serialise_are_errors_at_insert,
    odd_cookies_are_no_error_for_ever,
}

const BAD: &str = "bad";

/// A store in which one session is what somebody made of it.
#[derive(Debug)]
struct Doctored {
    inner: AnyStore,
    text: String,
}

impl SessionStore for Doctored {
    async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        if id.as_str() == BAD {
            let stored = Stored::new(self.text.as_str(), Version::number(1), None);
            return Ok(Some(stored));
        }
        self.inner.load(id).await
    }

    async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        assert_ne!(id.as_str(), BAD, "what makes no sense is not written over");
        self.inner.save(id, record, when).await
    }

    async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool, StoreError> {
        self.inner.touch(id, cookie, since).await
    }

    async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
        self.inner.destroy(id).await
    }

    async fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved, StoreError> {
        self.inner.rotate(from, to, record, version).await
    }
}

fn malformed() -> Vec<String> {
    let cookie = r#""cookie":{"originalMaxAge":null,"expires":null}"#;
    let with = |rest: &str| format!("{{{cookie},{rest}}}");
    let mut texts: Vec<String> = [
        "",
        " ",
        "null",
        "true",
        "42",
        "[]",
        r#""text""#,
        "{",
        "}",
        "{}",
        "[{}]",
        "NaN",
        "undefined",
        "[object Object]",
        r#"{"user":"7"}"#,
        r#"{"cookie":null}"#,
        r#"{"cookie":"x"}"#,
        r#"{"cookie":7}"#,
        r#"{"cookie":[]}"#,
        r#"{"cookie":true}"#,
        r#"{"cookie":{}"#,
        r#"{"cookie":{}}}"#,
        r#"{"cookie":{}} {}"#,
        r#"{"cookie":{},}"#,
        r#"{cookie:{}}"#,
        r#"{'cookie':{}}"#,
        "\u{feff}{\"cookie\":{}}",
        "{\"cookie\":{}}\0",
        r#"{"Cookie":{}}"#,
        r#"{"cookie":{"a":}}"#,
        r#"{"cookie":{,}}"#,
    ]
    .map(String::from)
    .into();
    texts.extend([
        with(r#""a":01"#),
        with(r#""a":+1"#),
        with(r#""a":.5"#),
        with(r#""a":1."#),
        with(r#""a":NaN"#),
        with(r#""a":"\x""#),
        with(r#""a":"\u12""#),
        with("\"a\":\"line\nbreak\""),
        with("\"a\":\"tab\tstop\""),
        with(r#""a""#),
        with(r#""a":"#),
        with(r#""a":tru"#),
        with(r#""user":"7"#),
        with(&format!(r#""a":{}1{}"#, "[".repeat(100_000), "]".repeat(100_000))),
        with(&format!(r#""a":{}1{}"#, r#"{"a":"#.repeat(100_000), "}".repeat(100_000))),
        with(&format!(r#""a":{}"#, "[".repeat(100_000))),
        "[".repeat(100_000),
        r#"{"a":"#.repeat(100_000),
        with(&format!(r#""a":"{}""#, "x".repeat(1024 * 1024))),
        with(&format!(r#""a":"{}""#, "x".repeat(100 * 1024 * 1024))),
    ]);
    texts
}

#[tokio::test]
async fn a_record_that_makes_no_sense_is_a_fresh_session_and_an_event() {
    for text in malformed() {
        let watch = Watch::new();
        let stage = Stage::memory();
        let shown: String = text.chars().take(80).collect();
        let inner = stage.store.clone();
        let stage = stage.with_store(Doctored { inner, text });
        let client = stage.client();
        client.set_cookie(NAME, &ticket(BAD));
        assert_eq!(client.get("/user").await.ok().body, "nobody", "{shown}");
        assert_eq!(client.get("/all").await.json(), json!({}), "{shown}");
        assert_eq!(watch.events("WARN", "makes no sense"), 2, "{shown}");
        watch.counted("sessile_malformed_records", 2);
        client.get("/asset/1").await.ok();
        assert_eq!(client.get("/count").await.ok().body, "1", "{shown}");
        assert_ne!(client.id().as_str(), BAD);
        assert_eq!(client.get("/count").await.ok().body, "2", "{shown}");
    }
}

#[tokio::test]
async fn a_record_that_turns_bad_while_a_request_runs_is_no_panic() {
    let stage = Stage::memory();
    let client = stage.client();
    client.get("/set/a/1").await.ok();
    let (pause, late) = client.get_paused("/set/b/2");
    let late = tokio::spawn(late);
    pause.reached().await;
    let deep = format!(r#"{{"cookie":{{}},"x":{}{}}}"#, "[".repeat(400), "]".repeat(400));
    stage.plant(client.id().as_str(), &deep).await;
    pause.go();
    assert_eq!(late.await.unwrap().ok().body, "set");
    assert_eq!(client.get("/user").await.ok().body, "nobody");
}

const COOKIE: &str = r#""cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/","sameSite":"lax","secure":false}"#;

async fn reserved_keys_are_dropped_and_reported(stage: Stage) {
    let watch = Watch::new();
    let reserved = [
        "id",
        "req",
        "save",
        "touch",
        "reload",
        "destroy",
        "regenerate",
        "resetMaxAge",
        "__proto__",
        "constructor",
        "toString",
        "hasOwnProperty",
    ];
    let members: Vec<_> =
        reserved.iter().map(|key| format!(r#""{key}":{{"polluted":true}}"#)).collect();
    let text = format!(r#"{{"user":"7",{COOKIE},{}}}"#, members.join(","));
    stage.plant("planted", &text).await;
    let client = stage.client();
    client.set_cookie(NAME, &ticket("planted"));
    assert_eq!(client.get("/all").await.json(), json!({ "user": "7" }));
    assert_eq!(watch.events("WARN", "express-session reserves"), 1, "{}", watch.text());
    assert_eq!(client.get("/count").await.ok().body, "1");
    assert_eq!(client.id().as_str(), "planted");
    let record = stage.records().await.remove("planted").unwrap();
    assert_eq!(record, json!({ "user": "7", "count": 1 }));
}

async fn of_duplicate_keys_the_last_counts(stage: Stage) {
    for (members, expected) in [
        (r#""a":1,"b":2,"a":3"#.to_owned(), json!({ "a": 3, "b": 2 })),
        (r#""a":1,"\u0061":2"#.to_owned(), json!({ "a": 2 })),
        (r#""\u0061":1,"b":0,"a":2"#.to_owned(), json!({ "a": 2, "b": 0 })),
        (format!(r#"{}"z":0"#, r#""a":1,"a":2,"#.repeat(100)), json!({ "a": 2, "z": 0 })),
        (format!(r#""x":{{"cookie":1}},{COOKIE},"x":5"#), json!({ "x": 5 })),
    ] {
        stage.plant("planted", &format!("{{{COOKIE},{members}}}")).await;
        let client = stage.client();
        client.set_cookie(NAME, &ticket("planted"));
        assert_eq!(client.get("/all").await.json(), expected, "{members}");
        client.get("/set/new/1").await.ok();
        let text = &stage.store.load(&SessionId::new("planted")).await.unwrap().unwrap().text;
        let mut keys = BTreeMap::<String, Value>::new();
        keys.extend(serde_json::from_str::<BTreeMap<String, Value>>(text).unwrap());
        assert_eq!(keys.len(), expected.as_object().unwrap().len() + 2, "{text}");
        assert_eq!(text.matches("originalMaxAge").count(), 1, "{text}");
    }
}

/// Everything that is in a session's cookie comes from outside this program, too.
async fn odd_cookies_are_no_error_for_ever(stage: Stage) {
    let odd = [
        r#"{}"#,
        r#"{"expires":"junk","originalMaxAge":"x"}"#,
        r#"{"expires":false,"originalMaxAge":false}"#,
        r#"{"originalMaxAge":1e300,"expires":"2026-01-02T00:00:00.000Z"}"#,
        r#"{"originalMaxAge":-0,"expires":null}"#,
        r#"{"originalMaxAge":12345678901234567890,"expires":"+275760-09-13T00:00:00.000Z"}"#,
        r#"{"originalMaxAge":null,"expires":null,"path":"/a\r\nset-cookie: x=y"}"#,
        r#"{"originalMaxAge":null,"expires":null,"domain":"not a domain"}"#,
        r#"{"originalMaxAge":null,"expires":null,"path":7,"httpOnly":"x","secure":"auto"}"#,
        r#"{"originalMaxAge":null,"expires":null,"sameSite":"sometimes","priority":[]}"#,
        r#"{"originalMaxAge":null,"expires":null,"sameSite":"auto"}"#,
        r#"{"originalMaxAge":null,"expires":null,"extra":{"nested":[1,2,3]}}"#,
    ];
    let layers = [
        stage.layer().with_rolling(true),
        stage.layer().with_rolling(true).with_cookie_fn(|_| CookieOptions::default()),
    ];
    for (n, layer) in layers.into_iter().enumerate() {
        let layer = layer.build().unwrap();
        for cookie in odd {
            stage.plant("planted", &format!(r#"{{"cookie":{cookie},"user":"7"}}"#)).await;
            let client = Client::of(layer.clone());
            client.set_cookie(NAME, &ticket("planted"));
            for path in ["/user", "/count", "/touch", "/cycle", "/max-age/60000", "/destroy"] {
                let reply = client.get(path).await;
                assert_eq!(reply.status, 200, "{path} with {cookie}, layer {n}");
                for line in reply.set_cookies() {
                    assert!(line.starts_with("connect.sid="), "{line}");
                }
            }
        }
    }
}

struct Refuses;

impl Serialize for Refuses {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it refuses"))
    }
}

async fn values_that_do_not_serialise_are_errors_at_insert(stage: Stage) {
    let handler = async |session: Session| {
        let pairs = HashMap::from([((1, 2), 3)]);
        for error in [
            session.insert("pairs", &pairs).unwrap_err(),
            session.insert("refuses", Refuses).unwrap_err(),
            session.insert("nested", [Some(Refuses)]).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Encode);
        }
        assert!(!session.is_modified());
        session.insert("nan", f64::NAN)?;
        session.insert("infinite", [f64::INFINITY, f64::NEG_INFINITY])?;
        session.insert("numbers", HashMap::from([(7, 1)]))?;
        assert_eq!(session.get::<Option<f64>>("nan")?, Some(None), "as JSON.stringify writes it");
        session.get::<Value>("nan").map(drop)
    };
    let app = Router::new().route("/odd", get(handler)).merge(app());
    let client = Client::new(app.layer(stage.layer().build().unwrap()));
    client.get("/odd").await.ok();
    assert_eq!(
        client.get("/all").await.json(),
        json!({ "nan": null, "infinite": [null, null], "numbers": { "7": 1 } })
    );
}

#[tokio::test]
async fn a_closure_that_fails_leaves_the_value_as_it_was() {
    let stage = Stage::memory();
    let handler = async |session: Session| {
        session.insert("n", 1)?;
        let error = session.update("n", |text: Option<String>| text.unwrap_or_default());
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Decode);
        assert_eq!(session.get::<u8>("n")?, Some(1));
        assert!(session.update("nan", |_: Option<f64>| f64::NAN)?.is_nan());
        Ok::<_, Error>(())
    };
    let app = Router::new().route("/", get(handler)).merge(app());
    let client = Client::new(app.layer(stage.layer().build().unwrap()));
    client.get("/").await.ok();
    assert_eq!(client.get("/all").await.json(), json!({ "n": 1, "nan": null }));
}

#[tokio::test]
async fn reserved_keys_are_errors_at_insert() {
    let stage = Stage::memory();
    let handler = async |session: Session| {
        for key in ["cookie", "id", "save", "__proto__", "constructor", "__createdAt", "req"] {
            assert_eq!(session.insert(key, 1).unwrap_err().kind(), ErrorKind::Encode, "{key}");
            let updated = session.update(key, |n: Option<u8>| n.unwrap_or(0));
            assert_eq!(updated.unwrap_err().kind(), ErrorKind::Encode, "{key}");
            assert!(!session.remove(key).unwrap());
            assert!(!session.contains_key(key));
        }
        assert!(!session.is_modified());
        for key in ["", "Cookie", "ID", "proto", "a.b", "a b", "\u{2603}", "\"", "\\", "\n"] {
            session.insert(key, 1).unwrap();
            assert_eq!(session.get::<u8>(key).unwrap(), Some(1), "{key:?}");
        }
    };
    let app = Router::new().route("/keys", get(handler)).merge(app());
    let client = Client::new(app.layer(stage.layer().build().unwrap()));
    client.get("/keys").await.ok();
    assert_eq!(client.get("/all").await.json().as_object().unwrap().len(), 10);
}

async fn a_record_over_the_limit_is_an_error_at_commit(stage: Stage) {
    let layer = || stage.layer().with_max_record_bytes(500).build().unwrap();
    let fill = async |session: Session, path: axum::extract::Path<usize>| -> Answer {
        session.insert("fill", "x".repeat(path.0))?;
        Ok("your data is kept".into())
    };
    let app = pausable(Router::new().route("/fill/{bytes}", get(fill))).merge(app());
    let client = Client::new(app.layer(layer()));
    client.get("/set/a/1").await.ok();
    let size = {
        let stored = stage.store.load(&client.id()).await.unwrap().unwrap();
        stored.text.len()
    };
    let room = 500 - size - r#","fill":"""#.len();
    let reply = client.get(&format!("/fill/{}", room + 1)).await;
    assert_eq!((reply.status.as_u16(), reply.body.as_str()), (500, ""));
    assert_eq!(reply.session_cookie(), None);
    assert_eq!(client.get("/all").await.json(), json!({ "a": "1" }));
    client.get(&format!("/fill/{room}")).await.ok();
    assert_eq!(client.get("/all").await.json()["fill"], "x".repeat(room));

    // Two that fit alone and not together: the later is refused, not cut.
    client.get("/remove/fill").await.ok();
    let (pause, late) = client.get_paused(&format!("/fill/{}", room / 2 + 1));
    let late = tokio::spawn(late);
    pause.reached().await;
    client.get(&format!("/set/other/{}", "y".repeat(room / 2))).await.ok();
    pause.go();
    assert_eq!(late.await.unwrap().status, 500);
    assert_eq!(client.get("/all").await.json()["other"], "y".repeat(room / 2));
}

/// What cannot be loaded again must not be saved: it would take the whole session with it.
#[tokio::test]
async fn a_value_too_deep_to_be_loaded_again_is_an_error_before_it_is_saved() {
    let stage = Stage::memory();
    let handler = async |session: Session| -> Result<(), Error> {
        let mut deep = json!(1);
        for _ in 0..600 {
            deep = Value::Array(vec![deep]);
        }
        session.insert("deep", &deep)
    };
    let app = Router::new().route("/deep", get(handler)).merge(app());
    let client = Client::new(app.layer(stage.layer().build().unwrap()));
    client.get("/login/7").await.ok();
    let reply = client.get("/deep").await;
    assert_eq!(reply.status, 500);
    assert_eq!(client.get("/user").await.ok().body, "7");
}

#[tokio::test]
async fn values_nobody_touched_survive_as_they_are() {
    let stage = Stage::memory();
    let odd = r#""big":123456789012345678901234567890,"float":1.10,"exp":1E5,"half":"\ud800","sp" : [ 1 , 2 ]"#;
    stage.plant("planted", &format!("{{{COOKIE},{odd}}}")).await;
    let client = stage.client();
    client.set_cookie(NAME, &ticket("planted"));
    client.get("/count").await.ok();
    let text = stage.store.load(&SessionId::new("planted")).await.unwrap().unwrap().text;
    for part in ["123456789012345678901234567890", "1.10", "1E5", r#""\ud800""#, "[ 1 , 2 ]"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn what_was_merged_stays_though_the_next_record_makes_no_sense() {
    let (stage, gates) = Stage::memory().gated();
    let client = Client::of(stage.layer().with_max_record_bytes(300).build().unwrap());
    client.get("/set/a/1").await.ok();
    let write = async |value: &str| {
        let text = format!(r#"{{"cookie":{{"originalMaxAge":null,"expires":null}},{value}}}"#);
        let record = Record::parse(text).unwrap();
        gates.inner().save(&client.id(), &record, Precondition::None).await.unwrap();
    };
    let first = gates.hold(Op::Save);
    let second = gates.hold_nth(Op::Save, 2);
    let request = tokio::spawn(client.get("/set/a/2"));
    first.arrived().await;
    write(r#""other":"1""#).await;
    first.open();
    second.arrived().await;
    write(&format!(r#""large":"{}""#, "x".repeat(300))).await;
    second.open();
    request.await.unwrap().ok();
    assert_eq!(client.get("/all").await.json(), json!({ "a": "2", "other": "1" }));
}
