//! The routes under `/-/`, with which a scenario sets the stage.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post, put};
use serde::Deserialize;
use serde_json::{Value, json};
use sessile::stores::MemoryStore;
use sessile::{SessionId, SessionStore};
use sessile_testkit::{Fault, FaultyStore, Op, TestClock};
use tower::ServiceExt;

use crate::app;
use crate::gate::Gates;
use crate::options::Configuration;
use crate::planted::PlantedStore;
use crate::timeline::Timeline;
use crate::warnings::Warnings;

pub(crate) type Store = FaultyStore<PlantedStore<MemoryStore>>;

/// Where the clock stands at first: 2030-01-01, as Express's does.
const START: Duration = Duration::from_millis(1_893_456_000_000);

/// What is there from one `/-/configure` to the next.
#[derive(Clone, Debug)]
struct Stage {
    store: Store,
    gates: Gates,
    app: Router,
}

#[derive(Clone, Debug)]
struct Director {
    clock: TestClock,
    timeline: Timeline,
    warnings: Warnings,
    stage: Arc<Mutex<Option<Stage>>>,
}

pub(crate) fn router(warnings: Warnings) -> std::io::Result<Router> {
    let clock = TestClock::new();
    clock.set(SystemTime::UNIX_EPOCH + START);
    let router = Router::new()
        .route("/-/configure", post(configure))
        .route("/-/store", get(census).post(faults))
        .route("/-/record", put(plant))
        .route("/-/clock", post(advance))
        .route("/-/gate", get(arrived).post(open))
        .route("/-/warnings", get(told))
        .route("/-/work", get(async || Json(json!({}))))
        .layer(DefaultBodyLimit::disable())
        .fallback(perform)
        .with_state(Director {
            clock,
            timeline: Timeline::new()?,
            warnings,
            stage: Arc::default(),
        });
    Ok(router)
}

impl Director {
    fn stage(&self) -> MutexGuard<'_, Option<Stage>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Result<Stage, Trouble> {
        self.stage().clone().ok_or(Trouble("nothing is configured yet".to_owned()))
    }

    async fn new_store(&self) -> Store {
        let memory = MemoryStore::new().with_clock(Arc::new(self.clock.clone()));
        self.timeline.adopt(memory.clone()).await;
        FaultyStore::new(PlantedStore::new(memory))
    }
}

/// A request to the application.
async fn perform(State(director): State<Director>, request: Request<Body>) -> Response {
    match director.current() {
        Ok(stage) => stage.app.oneshot(request).await.into_response(),
        Err(trouble) => trouble.into_response(),
    }
}

async fn configure(State(director): State<Director>, text: String) -> Answer {
    let asked: Configuration = serde_json::from_str(&text)?;
    let kept = if asked.keep_records { director.stage().take() } else { None };
    let store = match kept {
        Some(stage) => stage.store,
        None => director.new_store().await,
    };
    store.recover();
    let gates = Gates::default();
    let app = app::router(&asked, &store, &director.clock, &gates)?;
    *director.stage() = Some(Stage { store, gates, app });
    director.warnings.take();
    done()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Faults {
    latency: HashMap<Operation, u64>,
    fail: Vec<Operation>,
    hang: Vec<Operation>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(rename_all = "camelCase")]
enum Operation {
    Destroy,
    Read,
    Touch,
    Write,
}

impl Operation {
    /// A rotation writes the new id and destroys the old one.
    fn ops(self) -> &'static [Op] {
        match self {
            Self::Destroy => &[Op::Destroy, Op::Rotate],
            Self::Read => &[Op::Load],
            Self::Touch => &[Op::Touch],
            Self::Write => &[Op::Save, Op::Rotate],
        }
    }

    fn inject(self, store: &Store, fault: Fault) {
        for op in self.ops() {
            store.inject(*op, fault);
        }
    }
}

async fn faults(State(director): State<Director>, text: String) -> Answer {
    let faults: Faults = serde_json::from_str(&text)?;
    let store = director.current()?.store;
    store.recover();
    for (operation, millis) in faults.latency {
        operation.inject(&store, Fault::Delay(Duration::from_millis(millis)));
    }
    for operation in faults.fail {
        operation.inject(&store, Fault::Fail);
    }
    for operation in faults.hang {
        operation.inject(&store, Fault::Hang);
    }
    done()
}

async fn census(State(director): State<Director>) -> Answer {
    let store = director.current()?.store;
    let memory = store.inner().inner();
    // What is dead and still there counts too: it takes a purge to know.
    let records = memory.purge_expired().await? + memory.length().await?;
    let started =
        |operation: Operation| -> u64 { operation.ops().iter().map(|op| store.calls(*op)).sum() };
    Ok(Json(json!({
        "records": records,
        "started": {
            "read": started(Operation::Read),
            "write": started(Operation::Write),
            "touch": started(Operation::Touch),
            "destroy": started(Operation::Destroy),
        },
    })))
}

#[derive(Debug, Deserialize)]
struct Planted {
    id: String,
    fill: usize,
}

async fn plant(
    State(director): State<Director>,
    Query(planted): Query<Planted>,
    text: String,
) -> Answer {
    let text = text.replacen("<fill>", &"x".repeat(planted.fill), 1);
    let store = director.current()?.store;
    store.inner().plant(SessionId::new(planted.id), text);
    done()
}

#[derive(Debug, Deserialize)]
struct Advance {
    advance: u64,
}

async fn advance(State(director): State<Director>, Query(by): Query<Advance>) -> Answer {
    let duration = Duration::from_millis(by.advance);
    director.clock.advance(duration);
    director.timeline.pass(duration).await;
    done()
}

#[derive(Debug, Deserialize)]
struct AtGate {
    name: String,
    #[serde(default)]
    waiting: usize,
}

async fn arrived(State(director): State<Director>, Query(at): Query<AtGate>) -> Answer {
    let gate = director.current()?.gates.named(&at.name);
    gate.arrived(at.waiting).await;
    done()
}

async fn open(State(director): State<Director>, Query(at): Query<AtGate>) -> Answer {
    director.current()?.gates.named(&at.name).open();
    done()
}

async fn told(State(director): State<Director>) -> Json<Vec<String>> {
    Json(director.warnings.all())
}

type Answer = Result<Json<Value>, Trouble>;

fn done() -> Answer {
    Ok(Json(json!({})))
}

/// Why the stage could not be set, for whoever wrote the scenario.
struct Trouble(String);

impl<E: std::error::Error> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, self.0).into_response()
    }
}
