//! The same requests, through the real layer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Extension;
use axum::{Router, routing::get};
use http::Request;
use http::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};
use sessile::stores::MemoryStore;
use sessile::{
    CookieOptions, Precondition, Record, Secrets, Session, SessionHandle, SessionId, SessionLayer,
    SessionStore, TrustProxy, Unset,
};
use sessile_testkit::{CountingIds, TestClock};
use tower::ServiceExt;

use crate::express::{Express, Insight, Records};
use crate::recording::{Expect, Op, Options, Sequence, Step};
use crate::{Rule, Tally};

type Outputs = Arc<Mutex<Vec<Value>>>;

pub(crate) async fn play(sequence: &Sequence, tally: &mut Tally) {
    let stage = Stage::new(&sequence.options);
    let mut express = Express::default();
    for (n, (step, expect)) in sequence.steps.iter().zip(&sequence.expect).enumerate() {
        tally.steps += 1;
        stage.clock.advance(Duration::from_millis(step.advance));
        let before = stage.records().await;
        stage.ids.set(express.ids + 1);
        let insight = express.follow(&sequence.options, &stage.secrets, step, expect);
        let happened = stage.request(step, expect).await;
        let wanted = wanted(sequence, step, expect, &insight, &express, before, tally);
        if happened != wanted {
            let (case, ops) = (&sequence.case, step.ops.iter().map(|op| json!(op.0).to_string()));
            let ops: Vec<_> = ops.collect();
            tally.failures.push(format!(
                "{case} step {n} [{}] sent {:?}\n   happened {happened:?}\n   expected {wanted:?}",
                ops.join(" "),
                expect.sent
            ));
            return;
        }
        if insight.path_differs {
            stage.adopt(&express.expected_records(expect.now)).await;
        }
    }
}

/// What can be seen of a step from outside.
#[derive(Debug, PartialEq)]
struct Happened {
    set_cookie: Vec<String>,
    outputs: Vec<Value>,
    records: Records,
}

/// What Express did, but for the rules.
fn wanted(
    sequence: &Sequence,
    step: &Step,
    expect: &Expect,
    insight: &Insight,
    express: &Express,
    before: Records,
    tally: &mut Tally,
) -> Happened {
    let mut differs = |rule, count| *tally.differences.entry(rule).or_default() += count;
    if insight.path_differs {
        differs(Rule::PathMatchesAsInRfc6265, 1);
        let outputs = step.ops.iter().map(|op| json!([op.name(), "no session"])).collect();
        return Happened { set_cookie: Vec::new(), outputs, records: before };
    }
    let mut set_cookie: Vec<_> = expect.set_cookie.iter().cloned().collect();
    if insight.left_without
        && let Some(removal) = removal(&sequence.options, step, insight, express, &before)
    {
        differs(Rule::DestroyedSessionClearsItsCookie, 1);
        set_cookie = vec![removal];
    }
    if insight.orphans > 0 {
        differs(Rule::NoOrphanIsStored, insight.orphans);
    }
    let records = express.expected_records(expect.now);
    Happened { set_cookie, outputs: expect.outputs.clone(), records: canonical(records) }
}

/// The header that clears the cookie, with the attributes the session had;
/// none where the browser would refuse it.
fn removal(
    options: &Options,
    step: &Step,
    insight: &Insight,
    express: &Express,
    before: &Records,
) -> Option<String> {
    let id = insight.sent.as_deref()?;
    let text = before.get(id).or_else(|| express.record(id))?;
    let mut cookie = serde_json::from_str::<Value>(text).unwrap()["cookie"].take();
    let https = options.proxy == Some(true)
        && step.forwarded_proto.as_deref().is_some_and(|list| {
            list.split(',').next().unwrap().trim().eq_ignore_ascii_case("https")
        });
    let reborn = step.ops.iter().any(|op| op.name() == "regenerate");
    if reborn && options.cookie["secure"] == "auto" {
        cookie["secure"] = https.into();
    }
    if reborn && options.cookie["sameSite"] == "auto" {
        cookie["sameSite"] = if https { "none" } else { "lax" }.into();
    }
    if cookie["secure"] == true && !https {
        return None;
    }
    let mut header = format!("{}=", options.name());
    for (key, label) in [("domain", "Domain"), ("path", "Path")] {
        if let Some(value) = cookie[key].as_str() {
            header += &format!("; {label}={value}");
        }
    }
    header += "; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
    for (key, label) in
        [("httpOnly", "HttpOnly"), ("secure", "Secure"), ("partitioned", "Partitioned")]
    {
        if cookie[key] == true {
            header += &format!("; {label}");
        }
    }
    if let Some(priority) = cookie["priority"].as_str() {
        header += &format!("; Priority={}", capitalized(priority));
    }
    match &cookie["sameSite"] {
        Value::Bool(true) => header += "; SameSite=Strict",
        Value::String(same_site) => header += &format!("; SameSite={}", capitalized(same_site)),
        _ => {}
    }
    Some(header)
}

fn capitalized(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}

/// The same values with the same order of keys, whatever the spelling.
fn canonical(records: Records) -> Records {
    let canonical = |text: String| serde_json::from_str::<Value>(&text).unwrap().to_string();
    records.into_iter().map(|(id, text)| (id, canonical(text))).collect()
}

/// The application under test.
struct Stage {
    app: Router,
    clock: TestClock,
    ids: CountingIds,
    secrets: Secrets,
    store: MemoryStore,
}

impl Stage {
    fn new(options: &Options) -> Self {
        let (clock, ids) = (TestClock::new(), CountingIds::new());
        let store = MemoryStore::new().with_clock(Arc::new(clock.clone()));
        let secrets = Secrets::new(&options.secret).unwrap();
        let cookie = match &options.cookie {
            Value::Null => CookieOptions::express(),
            cookie => CookieOptions::from_express(&cookie.to_string()).unwrap(),
        };
        let proxy = if options.proxy == Some(true) {
            TrustProxy::XForwardedProto
        } else {
            TrustProxy::Never
        };
        let sessions = SessionLayer::express(store.clone(), secrets.clone())
            .with_name(options.name())
            .with_cookie(cookie)
            .with_resave(options.resave)
            .with_save_uninitialized(options.save_uninitialized)
            .with_rolling(options.rolling)
            .with_unset(if options.unset_destroys() { Unset::Destroy } else { Unset::Keep })
            .with_trust_proxy(proxy)
            .with_id_generator(ids.clone())
            .with_clock(clock.clone())
            .build()
            .unwrap();
        let app = Router::new().fallback(get(handler)).layer(sessions);
        Self { app, clock, ids, secrets, store }
    }

    async fn request(&self, step: &Step, expect: &Expect) -> Happened {
        let outputs = Outputs::default();
        let mut request = Request::builder().uri(&step.path);
        if let Some(cookie) = &expect.sent {
            request = request.header(COOKIE, cookie);
        }
        if let Some(proto) = &step.forwarded_proto {
            request = request.header("x-forwarded-proto", proto);
        }
        let request = request
            .extension(Arc::new(step.ops.clone()))
            .extension(Arc::clone(&outputs))
            .body(Body::empty())
            .unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let cookies = response.headers().get_all(SET_COOKIE).iter();
        let set_cookie = cookies.map(|value| value.to_str().unwrap().to_owned()).collect();
        let outputs = outputs.lock().unwrap().clone();
        Happened { set_cookie, outputs, records: self.records().await }
    }

    async fn records(&self) -> Records {
        let page = self.store.all(None, usize::MAX).await.unwrap();
        assert!(page.next.is_none());
        canonical(
            page.sessions
                .into_iter()
                .map(|(id, stored)| (id.as_str().to_owned(), stored.text.to_string()))
                .collect(),
        )
    }

    /// Takes over what Express has, after a step in which they differ on purpose.
    async fn adopt(&self, records: &Records) {
        self.store.clear().await.unwrap();
        for (id, text) in records {
            let record = Record::parse(text.as_str()).unwrap();
            self.store
                .save(&SessionId::new(id.as_str()), &record, Precondition::None)
                .await
                .unwrap();
        }
    }
}

/// Does what the step's handler did. One without operations does not even
/// name its session.
async fn handler(
    Extension(ops): Extension<Arc<Vec<Op>>>,
    Extension(outputs): Extension<Outputs>,
    handle: Option<Extension<SessionHandle>>,
) {
    if ops.is_empty() {
        return;
    }
    let session = match handle {
        Some(Extension(handle)) => Some(handle.load().await.unwrap()),
        None => None,
    };
    for op in ops.iter() {
        if let Some(output) = perform(op, session.as_ref()).await {
            outputs.lock().unwrap().push(output);
        }
    }
}

async fn perform(op: &Op, session: Option<&Session>) -> Option<Value> {
    let name = op.name();
    let Some(session) = session.filter(|session| !session.is_destroyed()) else {
        return Some(json!([name, "no session"]));
    };
    let outcome = match name {
        "get" => {
            let value: Option<Value> = session.get(op.key()).unwrap();
            return Some(value.unwrap_or_else(|| json!({ "undefined": true })));
        }
        "set" => session.insert(op.key(), &op.0[2]),
        "remove" => session.remove(op.key()).map(drop),
        "maxAge" => session.cookie().set_max_age(op.0[1].as_u64().map(Duration::from_millis)),
        "unset" => session.unset(),
        "regenerate" => session.regenerate().await,
        "save" => session.save().await,
        "touch" => session.touch().await,
        "reload" => session.reload().await,
        "destroy" => session.destroy().await,
        other => panic!("the recording has an operation {other:?} that this replay does not know"),
    };
    outcome.err().map(|error| json!([name, error.to_string()]))
}
