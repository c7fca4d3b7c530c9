//! A store that answers at once is a shortcut and nothing else: whatever a browser
//! does, it gets the same answers and leaves the same records as over one that waits.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use http::header::COOKIE;
use proptest::prelude::*;
use sessile::stores::MemoryStore;
use sessile::{
    AnyStore, Builder, Clock, Concurrency, CookieOptions, Precondition, Record, SameSite, Saved,
    Secure, Session, SessionCookie, SessionId, SessionLayer, SessionStore, StoreError, Stored,
    TrustProxy, Unset, Version,
};
use sessile_testkit::{CountingIds, FaultyStore, ReferenceStore, TestClock};

use crate::client::{Client, NAME, Reply, request, secrets, ticket};

/// What a handler does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Add(u8),
    Clear,
    Cycle,
    Destroy,
    Get(u8),
    Insert(u8, u8),
    MaxAge(Option<u64>),
    Regenerate,
    Reload,
    Remove(u8),
    Save,
    Touch,
    Unset,
}

#[derive(Clone, Debug)]
enum Step {
    Advance(u64),
    /// The handler never names its session.
    Asset(Sent),
    Plant(u64, usize),
    Visit(Sent, Vec<Act>),
}

/// What a request carries besides the browser's own cookie.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// A ticket for a session of this number, before or behind the own one.
    other: Option<(u64, bool)>,
    https: bool,
}

#[derive(Clone, Copy, Debug)]
struct Options {
    save_uninitialized: bool,
    resave: bool,
    rolling: bool,
    unset: Unset,
    concurrency: Concurrency,
    max_age: Option<u64>,
    touch_after: Option<u64>,
    absolute: Option<u64>,
    secure: Secure,
    per_request: bool,
    namespace: bool,
    small: bool,
}

/// Records that somebody else left under a living id. The first are all but the layer's own.
const PLANTED: [&str; 16] = [
    r#"{"cookie":{"originalMaxAge":60000,"expires":"2026-01-01T00:01:00.000Z","httpOnly":true,"path":"/","sameSite":"lax"},"k0":1}"#,
    r#"{"cookie":{"originalMaxAge":60000,"expires":"2026-01-01T00:01:00.000Z","httpOnly":true,"path":"/","sameSite":"lax" },"k0":1}"#,
    r#"{"cookie":{"originalMaxAge":60000,"expires":"2026-01-01T00:01:00.000Z","httpOnly":true,"path":"/","sameSite":"lax","x":1},"k0":1}"#,
    r#"{"cookie":{"originalMaxAge":60000.5,"expires":"2026-01-01T00:01:00.000Z","httpOnly":true,"path":"/","sameSite":"lax"},"k0":1}"#,
    r#"{"cookie":{"originalMaxAge":060000,"expires":null,"httpOnly":true,"path":"/","sameSite":"lax"},"k0":1}"#,
    r#"{"cookie":{"originalMaxAge":-1,"expires":"+275760-09-13T00:00:00.000Z","httpOnly":true,"path":"/","sameSite":"lax"},"k0":1}"#,
    r#"{"cookie":{"originalMaxAge":1e400,"expires":"2999-12-31T24:00:00.000Z","httpOnly":true,"path":"/","sameSite":"lax"},"k0":1}"#,
    r#"{"k0":7,"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/","sameSite":"lax"},"k0":8,"k1":1}"#,
    r#"{"cookie":{"originalMaxAge":null,"expires":null,"secure":true,"httpOnly":true,"path":"/","sameSite":"none"},"\u006b0":9,"k0":3}"#,
    r#"{"cookie":{"originalMaxAge":3600000,"expires":"2026-01-01T01:00:00.000Z","httpOnly":true,"path":"/admin"},"k0":"\ud800"}"#,
    r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/","sameSite":"lax"},"__proto__":{"k0":1},"id":"sid-1","\ud800":1}"#,
    r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/","sameSite":"lax"},"__createdAt":1767225600000,"k1":2}"#,
    r#"{"cookie":{"originalMaxAge":60000,"expires":"2026-01-01T00:01:00.000Z","httpOnly":true,"path":"/","sameSite":"lax"},"__createdAt":9223372036854775807,"k1":2}"#,
    r#"{"cookie":{"originalMaxAge":60000,"expires":"2026-01-01T00:01:00.000Z","httpOnly":true,"path":"/","sameSite":"lax"},"__createdAt":-9223372036854775808,"k1":2}"#,
    r#"{"cookie":{}}"#,
    r#"{"cookie":{"expires":"2026-01-01T00:00:30.000Z"},"10":1,"2":2,"k2":"é"}"#,
];

fn key(n: u8) -> String {
    format!("k{n}")
}

async fn handle(session: Session, acts: Option<Extension<Arc<Vec<Act>>>>) -> String {
    let mut said = String::new();
    for act in acts.iter().flat_map(|Extension(acts)| acts.iter()) {
        let told = match *act {
            Act::Add(k) => session.update(&key(k), |n: Option<u64>| n.unwrap_or(0) + 1).map(drop),
            Act::Clear => session.clear(),
            Act::Cycle => session.cycle_id().await,
            Act::Destroy => session.destroy().await,
            Act::Get(k) => session.get::<serde_json::Value>(&key(k)).map(|value| {
                let _ = write!(said, "{value:?} {:?} ", session.cookie().max_age());
            }),
            Act::Insert(k, value) => session.insert(&key(k), value),
            Act::MaxAge(millis) => session.cookie().set_max_age(millis.map(Duration::from_millis)),
            Act::Regenerate => session.regenerate().await,
            Act::Reload => session.reload().await,
            Act::Remove(k) => session.remove(&key(k)).map(drop),
            Act::Save => session.save().await,
            Act::Touch => session.touch().await,
            Act::Unset => session.unset(),
        };
        let _ = write!(said, "{:?} ", told.map_err(|error| error.kind()));
    }
    let _ = write!(said, "{:?} {}", session.keys(), session.is_modified());
    said
}

/// One of the worlds in which the same things happen.
struct World {
    clock: TestClock,
    ids: CountingIds,
    store: AnyStore,
    client: Client,
}

impl World {
    fn new(options: Options, store: impl FnOnce(TestClock) -> AnyStore) -> Self {
        let (clock, ids) = (TestClock::new(), CountingIds::new());
        let store = store(clock.clone());
        let layer = options.layer(SessionLayer::builder(store.clone(), secrets()));
        let layer = layer.with_clock(clock.clone()).with_id_generator(ids.clone());
        let router = Router::new()
            .route("/", get(handle))
            .route("/asset", get(async || "an asset"))
            .layer(layer.build().unwrap());
        Self { clock, ids, store, client: Client::new(router) }
    }

    /// `made` is how many ids there may be so far: a client has no ticket for a later one.
    async fn play(&self, step: &Step, made: u64, namespaced: bool) -> Option<Reply> {
        // A request may use one up and show it to nobody.
        self.ids.set(made + 1);
        match step {
            Step::Advance(millis) => self.clock.advance(Duration::from_millis(*millis)),
            Step::Plant(n, text) => {
                let prefix = if namespaced { "space" } else { "" };
                let id = SessionId::new(format!("{prefix}sid-{}", n.min(&made)));
                if let Some(record) = Record::parse(PLANTED[*text]) {
                    let _ = self.store.save(&id, &record, Precondition::Exists).await.unwrap();
                }
            }
            Step::Asset(sent) => return Some(self.ask("/asset", *sent, made, &[]).await),
            Step::Visit(sent, acts) => return Some(self.ask("/", *sent, made, acts).await),
        }
        None
    }

    async fn ask(&self, path: &str, sent: Sent, made: u64, acts: &[Act]) -> Reply {
        let mut request = request(path);
        request.extensions_mut().insert(Arc::new(acts.to_vec()));
        let headers = request.headers_mut();
        if sent.https {
            headers.insert("x-forwarded-proto", "https".parse().unwrap());
        }
        let Some((n, in_front)) = sent.other else { return self.client.send(request).await };
        let mut cookies = vec![format!("{NAME}={}", ticket(&format!("sid-{}", n.min(made))))];
        let own = self.client.cookie(NAME).map(|own| format!("{NAME}={own}"));
        cookies.splice(if in_front { 1..1 } else { 0..0 }, own);
        // The browser's own header would come behind.
        let stranger = self.client.with_a_copy_of_its_cookies();
        stranger.forget_cookies();
        request.headers_mut().insert(COOKIE, cookies.join("; ").parse().unwrap());
        stranger.send(request).await
    }

    /// All that there is, and until when.
    async fn records(&self) -> Vec<String> {
        let page = self.store.all(None, 1000).await.unwrap();
        let mut records = Vec::new();
        for (id, _) in page.sessions {
            let stored = self.store.load(&id).await.unwrap().unwrap();
            records.push(format!("{} {} {:?}", id.as_str(), stored.text, stored.expires));
        }
        records.sort();
        records
    }
}

impl Options {
    fn layer(self, layer: Builder<SessionLayer>) -> Builder<SessionLayer> {
        let mut cookie = CookieOptions::default().with_secure(self.secure);
        if let Some(millis) = self.max_age {
            cookie = cookie.with_max_age(Duration::from_millis(millis));
        }
        let mut layer = layer
            .with_save_uninitialized(self.save_uninitialized)
            .with_resave(self.resave)
            .with_rolling(self.rolling)
            .with_unset(self.unset)
            .with_concurrency(self.concurrency)
            .with_trust_proxy(TrustProxy::XForwardedProto);
        if let Some(millis) = self.touch_after {
            layer = layer.with_touch_after(Duration::from_millis(millis));
        }
        if let Some(millis) = self.absolute {
            layer = layer.with_absolute_timeout(Duration::from_millis(millis));
        }
        if self.namespace {
            layer = layer.with_namespace("space");
        }
        if self.small {
            layer = layer.with_max_record_bytes(150);
        }
        if self.per_request {
            return layer.with_cookie_fn(move |parts| {
                let strict = parts.headers.contains_key("x-forwarded-proto");
                let same_site = if strict { SameSite::Strict } else { SameSite::Lax };
                cookie.clone().with_same_site(same_site)
            });
        }
        layer.with_cookie(cookie)
    }
}

const IDS_PER_STEP: usize = 4;

fn check(options: Options, steps: &[Step]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let memory = |clock| MemoryStore::new().with_clock(Arc::new(clock));
        let at_once = World::new(options, |clock| AnyStore::new(memory(clock)));
        let waiting = World::new(options, |clock| AnyStore::new(FaultyStore::new(memory(clock))));
        let plain = World::new(options, |clock| AnyStore::new(ReferenceStore::with_clock(clock)));
        let terse = World::new(options, |clock| {
            AnyStore::new(ReferenceStore::with_clock(clock).with_expiry_apart())
        });
        for (made, step) in (0..).step_by(IDS_PER_STEP).zip(steps) {
            let reply = at_once.play(step, made, options.namespace).await;
            let records = at_once.records().await;
            for other in [&waiting, &plain, &terse] {
                let theirs = other.play(step, made, options.namespace).await;
                let seen = |reply: &Option<Reply>| {
                    reply.clone().map(|reply| (reply.status, reply.headers, reply.body))
                };
                prop_assert_eq!(seen(&reply), seen(&theirs), "{:?}", step);
                prop_assert_eq!(&records, &other.records().await, "{:?}", step);
                prop_assert_eq!(at_once.clock.now(), other.clock.now());
            }
        }
        Ok(())
    })
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (0..3_u8).prop_map(Act::Add),
        4 => (0..3_u8).prop_map(Act::Get),
        4 => (0..3_u8, 0..3_u8).prop_map(|(key, value)| Act::Insert(key, value)),
        2 => (0..3_u8).prop_map(Act::Remove),
        2 => maybe([0, 1, 1000, 120_000, u64::MAX]).prop_map(Act::MaxAge),
        1 => proptest::sample::select(vec![
            Act::Clear, Act::Cycle, Act::Destroy, Act::Regenerate, Act::Reload, Act::Save,
            Act::Touch, Act::Unset,
        ]),
    ];
    proptest::collection::vec(act, 0..4)
}

fn maybe<const N: usize>(values: [u64; N]) -> impl Strategy<Value = Option<u64>> {
    proptest::option::of(proptest::sample::select(values.to_vec()))
}

fn step() -> impl Strategy<Value = Step> {
    let other = proptest::option::weighted(0.15, (0..32_u64, any::<bool>()));
    let sent = (other, any::<bool>()).prop_map(|(other, https)| Sent { other, https }).boxed();
    let times = vec![1, 500, 999, 1000, 30_000, 59_999, 60_000, 3_600_000];
    prop_oneof![
        6 => (sent.clone(), acts()).prop_map(|(sent, acts)| Step::Visit(sent, acts)),
        2 => sent.prop_map(Step::Asset),
        2 => proptest::sample::select(times).prop_map(Step::Advance),
        3 => (0..32_u64, 0..PLANTED.len()).prop_map(|(n, text)| Step::Plant(n, text)),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    let modes =
        [Concurrency::LastWriteWins, Concurrency::Lock, Concurrency::Merge, Concurrency::Reject];
    let flags = proptest::array::uniform5(any::<bool>());
    let rare = proptest::array::uniform2(proptest::bool::weighted(0.2));
    let modes = proptest::sample::select(modes.to_vec());
    let secure = proptest::sample::select(vec![Secure::Never, Secure::Auto, Secure::Always]);
    let times = (
        maybe([0, 1, 1000, 60_000, 3_600_000, u64::MAX]),
        maybe([0, 1000, 30_000, u64::MAX]),
        proptest::option::weighted(0.3, proptest::sample::select(vec![1000, 90_000, u64::MAX])),
    );
    (flags, rare, modes, secure, times).prop_map(|(flags, rare, concurrency, secure, times)| {
        let [save_uninitialized, resave, rolling, destroy, namespace] = flags;
        let [per_request, small] = rare;
        let unset = if destroy { Unset::Destroy } else { Unset::Keep };
        let (max_age, touch_after, absolute) = times;
        Options {
            save_uninitialized,
            resave,
            rolling,
            unset,
            concurrency,
            max_age,
            touch_after,
            absolute,
            secure,
            per_request,
            namespace,
            small,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_answered_at_once_is_what_others_wait_for(
        options in options(),
        steps in proptest::collection::vec(step(), 1..14),
    ) {
        check(options, &steps)?;
    }
}

/// Saves at once, and then says that it failed.
#[derive(Debug)]
struct Doubtful(MemoryStore);

impl SessionStore for Doubtful {
    async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        self.0.load(id).await
    }

    async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        self.0.save(id, record, when).await
    }

    async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool, StoreError> {
        self.0.touch(id, cookie, since).await
    }

    async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
        self.0.destroy(id).await
    }

    async fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved, StoreError> {
        self.0.rotate(from, to, record, version).await
    }

    fn save_at_once(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Option<Result<Saved, StoreError>> {
        self.0.save_at_once(id, record, when)?.ok();
        Some(Err(StoreError::unavailable("nobody knows whether it was saved")))
    }
}

#[tokio::test]
async fn what_an_error_at_once_saved_is_not_done_twice() {
    let store = MemoryStore::new();
    let layer = SessionLayer::new(Doubtful(store.clone()), secrets());
    let client = Client::of(layer);
    for n in 1..4 {
        assert_eq!(client.get("/count").await.ok().body, n.to_string());
        assert_eq!(store.length().await.unwrap(), 1);
    }
}
