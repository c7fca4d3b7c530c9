//! The golden vectors that take a whole request: cookie options, odd `Cookie`
//! headers and session options, each against the real layer.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::{Router, routing::get};
use http::Request;
use http::header::{COOKIE, SET_COOKIE};
use serde_json::Value;
use sessile::stores::MemoryStore;
use sessile::{
    Builder, CookieOptions, Https, Precondition, Record, Secrets, Session, SessionId, SessionLayer,
    SessionStore, TrustProxy,
};
use sessile_testkit::TestClock;
use tower::ServiceExt;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/express/vectors.json");
const ID: &str = "Y7tQm0JcVb-1s_2dK9xWzR4hLpN6aGfE";
const SECRET: &str = "keyboard cat";

/// Replays them all and returns how many, or what went wrong.
pub(crate) async fn replay() -> Result<usize, Vec<String>> {
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(VECTORS).unwrap()).unwrap();
    let (mut count, mut failures) = (0, Vec::new());
    for (group, expected_count) in [
        ("express_session_cookie_options", 33),
        ("express_session_incoming", 19),
        ("express_session_options", 14),
    ] {
        let group_vectors = vectors[group].as_array().unwrap();
        assert_eq!(group_vectors.len(), expected_count);
        for vector in group_vectors {
            let outcome = match group {
                "express_session_cookie_options" => cookie_options(vector).await,
                "express_session_incoming" => incoming(vector).await,
                _ => session_options(vector).await,
            };
            count += 1;
            if let Err(what) = outcome {
                failures.push(format!("{group}: {what}\n   {vector}"));
            }
        }
    }
    if failures.is_empty() { Ok(count) } else { Err(failures) }
}

/// An application over one option set, at the vectors' instant.
struct App {
    store: MemoryStore,
    builder: Builder<SessionLayer>,
}

struct Answer {
    set_cookie: Option<String>,
    record: Option<String>,
}

fn app(id: &str) -> App {
    let clock = TestClock::new();
    clock.set(SystemTime::UNIX_EPOCH + Duration::from_millis(1_893_553_445_678));
    let store = MemoryStore::new().with_clock(std::sync::Arc::new(clock.clone()));
    let id = id.to_owned();
    let builder = SessionLayer::express(store.clone(), Secrets::new([SECRET]).unwrap())
        .with_id_generator(move || SessionId::new(id.as_str()))
        .with_clock(clock);
    App { store, builder }
}

impl App {
    fn with(self, choose: impl FnOnce(Builder<SessionLayer>) -> Builder<SessionLayer>) -> Self {
        Self { store: self.store, builder: choose(self.builder) }
    }

    async fn answer(self, request: Request<Body>) -> Result<Answer, String> {
        let layer = self.builder.build().map_err(|error| error.to_string())?;
        let app: Router = Router::new().fallback(get(|_: Option<Session>| async {})).layer(layer);
        let response = app.oneshot(request).await.unwrap();
        let cookie = response.headers().get(SET_COOKIE).map(|value| value.to_str().unwrap().into());
        let mut page = self.store.all(None, 10).await.unwrap();
        let record = page.sessions.pop().map(|(_, stored)| stored.text.to_string());
        Ok(Answer { set_cookie: cookie, record })
    }
}

fn request(https: bool) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    if https {
        request.extensions_mut().insert(Https);
    }
    request
}

fn first(cookies: &Value) -> Option<&str> {
    cookies.get(0).and_then(Value::as_str)
}

#[expect(clippy::needless_pass_by_value, reason = "callers compare values they just made")]
fn equal<T: PartialEq + std::fmt::Debug>(ours: T, theirs: T) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("ours {ours:?}, theirs {theirs:?}")) }
}

async fn cookie_options(vector: &Value) -> Result<(), String> {
    let options = vector["cookie_options"].to_string().replace("\"Date:", "\"");
    let needs_secure = vector["cookie_options"]["sameSite"] == "auto";
    let negative = vector["cookie_options"]["maxAge"].as_i64().is_some_and(|millis| millis < 0);
    let cookie = match CookieOptions::from_express(&options) {
        Ok(_) if negative => return Err("a negative maxAge must be refused".into()),
        Err(_) if negative => return Ok(()),
        cookie => cookie.map_err(|error| error.to_string())?,
    };
    for (https, cookies, json) in [
        (true, "set_cookie_https", "session_json_https"),
        (false, "set_cookie_http", "session_json_http"),
    ] {
        let answer =
            app(ID).with(|layer| layer.with_cookie(cookie.clone())).answer(request(https)).await;
        if needs_secure {
            // Browsers refuse SameSite=None without Secure, so the layer does.
            answer.err().ok_or("sameSite `auto` without secure must be refused")?;
            continue;
        }
        let answer = answer?;
        equal(answer.set_cookie.as_deref(), first(&vector[cookies]))?;
        let json = if vector[json] == "(same)" { "session_json_https" } else { json };
        if let Some(record) = &answer.record {
            let written = vector[json].as_str().map(str::to_owned);
            equal(Some(record), written.as_ref())?;
        }
    }
    Ok(())
}

async fn incoming(vector: &Value) -> Result<(), String> {
    let app = app(ID).with(|layer| layer.with_save_uninitialized(false).with_resave(false));
    let record =
        Record::parse(r#"{"cookie":{"originalMaxAge":null,"expires":null},"user":1}"#).unwrap();
    app.store.save(&SessionId::new("known"), &record, Precondition::Absent).await.unwrap();
    let layer = app.builder.build().unwrap();
    let seen = get(|session: Session| async move {
        format!("{} {}", session.id().unwrap().as_str(), session.contains_key("user"))
    });
    let router: Router = Router::new().fallback(seen).layer(layer);
    let mut request = request(false);
    let header = vector["cookie_header"].as_str().unwrap().try_into().unwrap();
    request.headers_mut().insert(COOKIE, header);
    let response = router.oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
    let seen = String::from_utf8(body.to_vec()).unwrap();
    // The valid one of several cookies is found, where Express takes the first for the only one.
    if vector["case"] == "two cookies, first bad" {
        return equal(seen.as_str(), "known true");
    }
    equal(seen, format!("{} {}", vector["session_id_used"].as_str().unwrap(), vector["loaded"]))
}

async fn session_options(vector: &Value) -> Result<(), String> {
    let express = CookieOptions::from_express;
    let with_cookie = |json: &str| app(ID).with(|layer| layer.with_cookie(express(json).unwrap()));
    let secure = || with_cookie(r#"{"secure":true}"#);
    let mut request = request(false);
    let app = match vector["case"].as_str().unwrap() {
        "name option" => app(ID).with(|layer| layer.with_name("sid")),
        "key option (legacy)" => app(ID).with(|layer| layer.with_name("k.sid")),
        "secret array" => {
            let App { store, .. } = app(ID);
            let builder =
                SessionLayer::express(store.clone(), Secrets::new(["new", "old"]).unwrap());
            App { store, builder: builder.with_id_generator(|| SessionId::new(ID)) }
        }
        "path mismatch" => with_cookie(r#"{"path":"/admin"}"#),
        // A difference on purpose: /adminx is not below /admin.
        "path match prefix (/adminx)" => {
            *request.uri_mut() = "/adminx".parse().unwrap();
            let answer = with_cookie(r#"{"path":"/admin"}"#).answer(request).await?;
            return equal(answer.set_cookie, None);
        }
        "saveUninitialized false" => app(ID).with(|layer| layer.with_save_uninitialized(false)),
        "rolling true + saveUninitialized false" => with_cookie(r#"{"maxAge":1000}"#)
            .with(|layer| layer.with_rolling(true).with_save_uninitialized(false)),
        "secure without https" => secure(),
        "secure, xfp list" => {
            request.headers_mut().insert("x-forwarded-proto", "https, http".parse().unwrap());
            secure().with(|layer| layer.with_trust_proxy(TrustProxy::XForwardedProto))
        }
        "proxy false" => {
            request.headers_mut().insert("x-forwarded-proto", "https".parse().unwrap());
            secure().with(|layer| layer.with_trust_proxy(TrustProxy::Never))
        }
        "sid with special chars" => app(vector["sid"].as_str().unwrap()),
        "cookie fn" => app(ID).with(|layer| {
            layer.with_cookie_fn(|_| CookieOptions::express().with_max_age(Duration::from_secs(5)))
        }),
        // An id is text by its type, and an empty one names no session: Express
        // signs a cookie for it that it then ignores.
        "genid non-string" | "genid empty" => return Ok(()),
        other => return Err(format!("nobody replays {other:?}")),
    };
    let answer = app.answer(request).await?;
    equal(answer.set_cookie.as_deref(), first(&vector["set_cookie"]))?;
    match (&answer.record, vector["session_json"].as_str()) {
        (Some(ours), Some(theirs)) => equal(ours.as_str(), theirs),
        _ => Ok(()),
    }
}
