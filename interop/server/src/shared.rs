//! The application that Express and Sessile serve together, each on its own port and
//! both on one store: `interop/stores/express.mjs` is its twin.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sessile::stores::{
    MongoLayout, MongoStore, MysqlLayout, MysqlStore, PostgresLayout, PostgresStore, connect,
};
use sessile::{
    AnyStore, Clock, CookieOptions, Error, Precondition, Record, Secrets, Session, SessionCookie,
    SessionId, SessionLayer, SessionStore, StoreError, SystemClock,
};

const SECRET: &str = "what Express and Sessile both sign with";
/// Its default is that of `express-mysql-session`, which is on the same database.
const KNEX_TABLE: &str = "knex_sessions";
/// With columns of other names, as `counterparts.mjs` gives them.
const RENAMED_KNEX_TABLE: &str = "renamed_knex_sessions";
const RENAMED_TABLE: &str = "renamed_sessions";
const MAX_AGE: Duration = Duration::from_secs(3600);

/// Opens the store at `url` and builds the application on it; `layout` says which Node
/// package's table it is, where that is not the default.
pub(crate) async fn router(
    url: &str,
    layout: Option<&&str>,
) -> Result<Router, Box<dyn std::error::Error>> {
    let store = open(url, layout).await?;
    let cookie = CookieOptions::express().with_max_age(MAX_AGE);
    let sessions = SessionLayer::builder(store.clone(), Secrets::new([SECRET])?)
        .with_cookie(cookie)
        .build()?;
    let application = Router::new()
        .route("/value/{key}", get(value).put(set))
        .route("/whoami", get(whoami))
        .route("/login/{name}", post(login))
        .route("/logout", post(logout))
        .layer(sessions);
    let behind = Router::new()
        .route("/-/record/{id}", get(record).put(plant))
        .route("/-/touch/{id}/{seconds}", post(touch))
        .with_state(store);
    Ok(application.merge(behind))
}

async fn open(url: &str, layout: Option<&&str>) -> Result<AnyStore, StoreError> {
    let scheme = url.split(':').next().unwrap_or_default();
    match (layout, scheme) {
        (None, _) => connect(url).await,
        (Some(&"knex"), "postgres") => {
            let store = PostgresStore::builder(url).with_layout(PostgresLayout::ConnectSessionKnex);
            store.with_table(KNEX_TABLE).connect().await.map(AnyStore::new)
        }
        (Some(&"knex"), "mysql") => {
            let store = MysqlStore::builder(url).with_layout(MysqlLayout::ConnectSessionKnex);
            store.with_table(KNEX_TABLE).connect().await.map(AnyStore::new)
        }
        (Some(&"knex-renamed"), "postgres") => {
            let store = PostgresStore::builder(url).with_layout(PostgresLayout::ConnectSessionKnex);
            let store = store.with_table(RENAMED_KNEX_TABLE).with_id_column("token");
            store.connect().await.map(AnyStore::new)
        }
        (Some(&"knex-renamed"), "mysql") => {
            let store = MysqlStore::builder(url).with_layout(MysqlLayout::ConnectSessionKnex);
            let store = store.with_table(RENAMED_KNEX_TABLE).with_id_column("token");
            store.connect().await.map(AnyStore::new)
        }
        (Some(&"renamed"), "mysql") => {
            let store = MysqlStore::builder(url).with_table(RENAMED_TABLE).with_id_column("key");
            let store = store.with_expiry_column("valid until").with_record_column("it`s body");
            store.connect().await.map(AnyStore::new)
        }
        (Some(&"objects"), "mongodb") => {
            let store = MongoStore::builder(url).with_layout(MongoLayout::Objects);
            store.connect().await.map(AnyStore::new)
        }
        (Some(layout), _) => {
            Err(StoreError::unsupported(format!("{scheme} has no layout called {layout}")))
        }
    }
}

async fn value(session: Session, Path(key): Path<String>) -> Result<Response, Error> {
    let value: Option<Box<RawValue>> = session.get(&key)?;
    Ok(value.map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        |value| value.get().to_owned().into_response(),
    ))
}

/// Keeps the body, which is JSON, as it is.
async fn set(session: Session, Path(key): Path<String>, body: String) -> Result<StatusCode, Error> {
    let value = RawValue::from_string(body).map_err(|error| {
        Error::new(sessile::ErrorKind::Encode, "the body is not JSON").with_source(error)
    })?;
    session.insert(&key, value)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn whoami(session: Session) -> Result<Json<Option<String>>, Error> {
    session.get("user").map(Json)
}

async fn login(session: Session, Path(name): Path<String>) -> Result<StatusCode, Error> {
    session.regenerate().await?;
    session.insert("user", name)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn logout(session: Session) -> Result<StatusCode, Error> {
    session.destroy().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A session as the store has it.
#[derive(Deserialize, Serialize)]
struct Stored {
    text: String,
    /// Milliseconds since 1970; `null` if it stays for ever.
    expires: Option<u64>,
}

async fn record(
    State(store): State<AnyStore>,
    Path(id): Path<String>,
) -> Result<Json<Option<Stored>>, Failed> {
    let stored = store.load(&SessionId::new(id)).await?;
    Ok(Json(stored.map(|stored| Stored {
        text: stored.text.to_string(),
        expires: stored.expires.map(millis),
    })))
}

/// Stores the body under `id`, whatever was there.
async fn plant(
    State(store): State<AnyStore>,
    Path(id): Path<String>,
    body: String,
) -> Result<StatusCode, Failed> {
    let Some(record) = Record::parse(body) else { return Ok(StatusCode::BAD_REQUEST) };
    store.save(&SessionId::new(id), &record, Precondition::None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Moves the outer expiry alone, as Node's stores do when they touch.
async fn touch(
    State(store): State<AnyStore>,
    Path((id, seconds)): Path<(String, u64)>,
) -> Result<StatusCode, Failed> {
    let mut cookie = SessionCookie::from_json("{}").expect("an object is a cookie");
    cookie.set_max_age(Some(Duration::from_secs(seconds)), SystemClock.now());
    let lived = store.touch(&SessionId::new(id), &cookie, None).await?;
    Ok(if lived { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND })
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The store failed: said in the answer, for whoever reads the test.
struct Failed(StoreError);

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("{:?}", self.0)).into_response()
    }
}
