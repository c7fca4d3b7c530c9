//! Whatever a handler does: what it saw last is what is stored, the browser
//! holds the id of it, and nothing else is left behind.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Extension;
use axum::{Router, routing::get};
use proptest::prelude::*;
use serde_json::{Map, Value};
use sessile::{Concurrency, CookieOptions, Session, SessionId, SessionStore, Unset};
use sessile_testkit::{FaultyStore, Op};

use crate::client::{Client, NAME, Reply, app, request};
use crate::stage::Stage;

#[derive(Clone, Debug)]
enum Verb {
    Add(u8),
    Clear,
    Cycle,
    Destroy,
    Insert(u8, u8),
    MaxAge(u64),
    Regenerate,
    Reload,
    Remove(u8),
    Save,
    Touch,
    Unset,
}

impl Verb {
    /// Errors are the handler's to see; here it goes on whatever happens.
    async fn perform(&self, session: &Session) {
        let _whatever = match self {
            Self::Add(k) => {
                session.update(&format!("k{k}"), |n: Option<u64>| n.unwrap_or(0) + 100).map(drop)
            }
            Self::Clear => session.clear(),
            Self::Cycle => session.cycle_id().await,
            Self::Destroy => session.destroy().await,
            Self::Insert(k, value) => session.insert(&format!("k{k}"), value),
            Self::MaxAge(secs) => session.cookie().set_max_age(Some(Duration::from_secs(*secs))),
            Self::Regenerate => session.regenerate().await,
            Self::Reload => session.reload().await,
            Self::Remove(k) => session.remove(&format!("k{k}")).map(drop),
            // Saving nothing is a case of its own, below.
            Self::Save if session.is_new() && !session.is_modified() => Ok(()),
            Self::Save => session.save().await,
            Self::Touch => session.touch().await,
            Self::Unset => session.unset(),
        };
    }
}

fn verbs() -> impl Strategy<Value = Vec<Verb>> {
    let verb = prop_oneof![
        4 => (0..3_u8, 0..3_u8).prop_map(|(key, value)| Verb::Insert(key, value)),
        2 => (0..3_u8).prop_map(Verb::Add),
        2 => (0..3_u8).prop_map(Verb::Remove),
        1 => Just(Verb::Clear),
        2 => Just(Verb::Cycle),
        1 => Just(Verb::Destroy),
        1 => (100..200_u64).prop_map(Verb::MaxAge),
        2 => Just(Verb::Regenerate),
        2 => Just(Verb::Reload),
        4 => Just(Verb::Save),
        1 => Just(Verb::Touch),
        1 => Just(Verb::Unset),
    ];
    proptest::collection::vec(verb, 0..7)
}

/// The choices of an application.
#[derive(Clone, Copy, Debug)]
struct Choices {
    resave: bool,
    save_uninitialized: bool,
    rolling: bool,
    expires: bool,
    absolute: bool,
    touch_after: bool,
    unset: Unset,
    concurrency: Concurrency,
}

fn choices() -> impl Strategy<Value = Choices> {
    let modes = prop_oneof![
        3 => Just(Concurrency::Merge),
        1 => Just(Concurrency::LastWriteWins),
        1 => Just(Concurrency::Lock),
        1 => Just(Concurrency::Reject),
    ];
    (proptest::array::uniform7(any::<bool>()), modes).prop_map(|(bits, concurrency)| Choices {
        resave: bits[0],
        save_uninitialized: bits[1],
        rolling: bits[2],
        expires: bits[3],
        absolute: bits[4],
        touch_after: bits[5],
        unset: if bits[6] { Unset::Destroy } else { Unset::Keep },
        concurrency,
    })
}

/// What the handler saw when it was done.
#[derive(Clone, Debug, Default)]
struct Seen {
    values: Map<String, Value>,
    id: Option<SessionId>,
    /// The handler called `save` on the session it has.
    saved: bool,
}

type Shelf = Arc<Mutex<Seen>>;

async fn handler(
    session: Session,
    Extension(verbs): Extension<Arc<Vec<Verb>>>,
    Extension(seen): Extension<Shelf>,
) {
    let mut saved = false;
    for verb in verbs.iter() {
        match verb {
            Verb::Save => saved = true,
            Verb::Regenerate => saved = false,
            // As in Express: see `a_lifetime_set_after_an_early_save_needs_another_save`.
            Verb::MaxAge(_) if saved && session.is_new() => continue,
            _ => {}
        }
        verb.perform(&session).await;
    }
    let value = |key: &String| session.get::<Value>(key).unwrap().unwrap();
    let values = session.keys().into_iter().map(|key| (key.clone(), value(&key))).collect();
    *seen.lock().unwrap() = Seen { values, id: session.id().ok(), saved };
}

struct Play {
    stage: Stage,
    faults: FaultyStore<sessile::AnyStore>,
    client: Client,
    seen: Shelf,
    touch_after: bool,
}

impl Play {
    fn new(choices: Choices) -> Self {
        let (stage, faults) = Stage::reference().faulty();
        let cookie = CookieOptions::default();
        let cookie =
            if choices.expires { cookie.with_max_age(Duration::from_secs(60)) } else { cookie };
        let mut layer = stage
            .layer()
            .with_resave(choices.resave)
            .with_save_uninitialized(choices.save_uninitialized)
            .with_rolling(choices.rolling)
            .with_cookie(cookie)
            .with_unset(choices.unset)
            .with_concurrency(choices.concurrency);
        if choices.absolute {
            layer = layer.with_absolute_timeout(Duration::from_secs(10_000));
        }
        if choices.touch_after {
            layer = layer.with_touch_after(Duration::from_secs(5));
        }
        let router = Router::new().route("/verbs", get(handler)).merge(app());
        let client = Client::new(router.layer(layer.build().unwrap()));
        Self { stage, faults, client, seen: Shelf::default(), touch_after: choices.touch_after }
    }

    async fn request(&self, verbs: &[Verb]) -> Reply {
        self.stage.clock.advance(Duration::from_secs(1));
        let mut request = request("/verbs");
        request.extensions_mut().insert(Arc::new(verbs.to_vec()));
        request.extensions_mut().insert(Shelf::clone(&self.seen));
        self.client.send(request).await
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// What the next request finds.
    async fn found(&self) -> Value {
        self.client.get("/all").await.json()
    }
}

/// Nothing is in the store but the session that the browser's cookie names.
async fn no_orphan(play: &Play) -> Result<(), TestCaseError> {
    let records = play.stage.records().await;
    let held = play.client.cookie(NAME).map(|_| play.client.id());
    for id in records.keys() {
        prop_assert_eq!(Some(id.as_str()), held.as_ref().map(SessionId::as_str), "an orphan");
    }
    Ok(())
}

async fn cookie_and_store_agree(play: &Play, reply: &Reply) -> Result<(), TestCaseError> {
    let Some(cookie) = reply.session_cookie().filter(|_| play.client.cookie(NAME).is_some()) else {
        return Ok(());
    };
    let stored = play.stage.store.load(&play.client.id()).await.unwrap();
    prop_assert!(stored.is_some(), "the browser was told of a session that is not stored");
    let Some(expires) = stored.unwrap().expires else {
        prop_assert!(!cookie.contains("Expires="), "{}", cookie);
        return Ok(());
    };
    // Within `touch_after` the store's expiry may lag behind the browser's.
    let said = (0..5).any(|lag| {
        let time = expires + Duration::from_secs(lag);
        let time = sessile::SetCookie::new("x", "").expires(time).serialize().unwrap();
        (lag == 0 || play.touch_after) && cookie.contains(time.split("; ").nth(1).unwrap())
    });
    prop_assert!(said, "{} and the store has {:?}", cookie, expires);
    Ok(())
}

async fn without_faults(choices: Choices, requests: &[Vec<Verb>]) -> Result<(), TestCaseError> {
    let play = Play::new(choices);
    for verbs in requests {
        let reply = play.request(verbs).await;
        prop_assert_eq!(reply.status, 200);
        let seen = play.seen();
        let unset = verbs.iter().any(|verb| matches!(verb, Verb::Unset));
        if unset && choices.unset == Unset::Keep {
            // A handler that saves and then disowns its session has said what it wants.
            play.client.forget_cookies();
            play.stage.store.clear().await.unwrap();
            continue;
        }
        if seen.saved && play.client.cookie(NAME).is_none() {
            // See `a_handler_that_saves_an_empty_session_is_taken_at_its_word`.
            play.stage.store.clear().await.unwrap();
            continue;
        }
        no_orphan(&play).await?;
        cookie_and_store_agree(&play, &reply).await?;
        if !seen.values.is_empty() {
            prop_assert_eq!(seen.id, Some(play.client.id()));
        }
        prop_assert_eq!(play.found().await, Value::Object(seen.values));
        no_orphan(&play).await?;
    }
    Ok(())
}

const OPS: [Op; 5] = [Op::Load, Op::Save, Op::Touch, Op::Destroy, Op::Rotate];

async fn with_faults(
    choices: Choices,
    requests: &[(Vec<Verb>, usize, u64)],
) -> Result<(), TestCaseError> {
    let play = Play::new(choices);
    for (verbs, op, nth) in requests {
        play.faults.inject_nth(OPS[*op], *nth, sessile_testkit::Fault::Fail);
        let before = play.client.cookie(NAME);
        let reply = play.request(verbs).await;
        play.faults.recover();
        let seen = play.seen();
        if reply.status != 200 {
            prop_assert_eq!(reply.status, 503);
            prop_assert_eq!(reply.session_cookie(), None);
            prop_assert_eq!(play.client.cookie(NAME), before);
            continue;
        }
        cookie_and_store_agree(&play, &reply).await?;
        if !verbs.iter().any(|verb| matches!(verb, Verb::Unset)) {
            prop_assert_eq!(play.found().await, Value::Object(seen.values));
        }
    }
    Ok(())
}

/// As in Express, whose recording stores what `save` stores and sends no cookie for it.
#[tokio::test]
async fn a_handler_that_saves_an_empty_session_is_taken_at_its_word() {
    let stage = Stage::memory();
    let handler = async |session: Session| session.save().await;
    let client =
        Client::new(Router::new().route("/", get(handler)).layer(stage.layer().build().unwrap()));
    let reply = client.get("/").await.ok();
    assert_eq!((stage.records().await.len(), reply.set_cookies().len()), (1, 0));
}

/// The recording of express-session has it so (sequence 1-712): the browser is
/// told of a lifetime that the store hears of with the next save only.
#[tokio::test]
async fn a_lifetime_set_after_an_early_save_needs_another_save() {
    const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);
    for save_again in [false, true] {
        let stage = Stage::memory();
        let handler = async move |session: Session| {
            session.insert("user", 7)?;
            session.save().await?;
            session.cookie().set_max_age(Some(MONTH))?;
            if save_again { session.save().await } else { Ok(()) }
        };
        let app = Router::new().route("/", get(handler)).merge(app());
        let cookie = CookieOptions::default().with_max_age(Duration::from_secs(60));
        let client = Client::new(app.layer(stage.layer().with_cookie(cookie).build().unwrap()));
        let reply = client.get("/").await.ok();
        assert!(reply.session_cookie().unwrap().contains("Expires=Sat, 31 Jan 2026"), "{reply:?}");
        stage.clock.advance(MONTH / 2);
        assert_eq!(stage.lives(&client.id()).await, save_again);
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_handler_saw_last_is_what_is_stored(
        choices in choices(),
        requests in proptest::collection::vec(verbs(), 1..5),
    ) {
        block_on(without_faults(choices, &requests))?;
    }

    #[test]
    fn a_response_that_is_no_error_is_true_whatever_failed(
        choices in choices(),
        requests in proptest::collection::vec((verbs(), 0..OPS.len(), 1..4_u64), 1..5),
    ) {
        block_on(with_faults(choices, &requests))?;
    }
}
