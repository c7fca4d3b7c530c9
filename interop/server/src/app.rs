//! The application: what each route does with its session.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sessile::{Error, Session};
use sessile_testkit::TestClock;

use crate::control::Store;
use crate::gate::{Gate, Gates};
use crate::options::Configuration;

/// Builds the application behind the layers that `asked` describes.
pub(crate) fn router(
    asked: &Configuration,
    store: &Store,
    clock: &TestClock,
    gates: &Gates,
) -> Result<Router, Error> {
    let mut router = Router::new();
    for layer in &asked.layers {
        let sessions = layer.build(store.clone(), clock)?;
        let routes = routes(asked.with_passport).with_state(gates.clone());
        router = match &layer.at {
            Some(at) => router.nest(at, routes.layer(sessions)),
            None => {
                let everywhere = Router::new().merge(routes.clone()).nest("/{prefix}", routes);
                router.merge(everywhere.layer(sessions))
            }
        };
    }
    Ok(router)
}

fn routes(with_passport: bool) -> Router<Gates> {
    let routes = Router::new()
        .route("/plain", get(async || Json(json!({}))))
        .route("/read", get(read))
        .route("/whoami", get(whoami))
        .route("/set", post(set))
        .route("/fill", post(fill))
        .route("/cart", post(cart))
        .route("/increment", post(increment))
        .route("/slow", post(slow))
        .route("/stream", post(streamed))
        .route("/unserialisable", post(unserialisable))
        .route("/logout", post(logout));
    if with_passport {
        routes.route("/login", post(passport_login))
    } else {
        routes.route("/login", post(login))
    }
}

type Answer = Result<Json<Value>, Error>;

fn done() -> Answer {
    Ok(Json(json!({})))
}

async fn read(session: Session, Query(keys): Query<Vec<(String, String)>>) -> Answer {
    let mut values = serde_json::Map::new();
    for (_, key) in keys {
        values.insert(key.clone(), session.get::<Value>(&key)?.into());
    }
    Ok(Json(values.into()))
}

#[derive(Debug, Deserialize)]
struct Login {
    user: String,
}

async fn login(session: Session, Query(login): Query<Login>) -> Result<Response, Error> {
    session.regenerate().await?;
    session.insert("user", login.user)?;
    Ok(see_other("/read?key=user"))
}

async fn logout(session: Session) -> Answer {
    session.destroy().await?;
    done()
}

/// What `passport.session()` keeps in a session.
#[derive(Debug, Deserialize, Serialize)]
struct Passport {
    user: Option<String>,
}

async fn passport_login(session: Session, Query(login): Query<Login>) -> Result<Response, Error> {
    session.regenerate().await?;
    session.insert("passport", Passport { user: Some(login.user) })?;
    Ok(see_other("/whoami"))
}

async fn whoami(session: Session) -> Answer {
    let passport: Option<Passport> = session.get("passport")?;
    Ok(Json(json!({ "user": passport.and_then(|passport| passport.user) })))
}

fn see_other(location: &'static str) -> Response {
    let text = format!("See Other. Redirecting to {location}");
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)], text).into_response()
}

#[derive(Debug, Deserialize)]
struct Change {
    key: String,
    value: String,
}

async fn set(session: Session, Query(change): Query<Change>) -> Answer {
    session.insert(&change.key, change.value)?;
    done()
}

#[derive(Debug, Deserialize)]
struct Fill {
    key: String,
    bytes: usize,
}

async fn fill(session: Session, Query(fill): Query<Fill>) -> Answer {
    session.insert(&fill.key, "x".repeat(fill.bytes))?;
    done()
}

#[derive(Debug, Deserialize)]
struct Cart {
    items: usize,
}

async fn cart(session: Session, Query(cart): Query<Cart>) -> Answer {
    let thing = |id| json!({ "id": id, "name": "a thing to buy", "price": 9.99 });
    session.insert("cart", (0..cart.items).map(thing).collect::<Vec<_>>())?;
    done()
}

#[derive(Debug, Deserialize)]
struct Named {
    key: String,
}

async fn increment(session: Session, Query(Named { key }): Query<Named>) -> Answer {
    session.update(&key, |n: Option<u64>| n.unwrap_or(0) + 1)?;
    done()
}

#[derive(Debug, Deserialize)]
struct Slow {
    gate: String,
    key: Option<String>,
    value: Option<String>,
}

async fn slow(State(gates): State<Gates>, session: Session, Query(slow): Query<Slow>) -> Answer {
    gates.named(&slow.gate).pass().await;
    if let Some(key) = slow.key {
        session.insert(&key, slow.value)?;
    }
    done()
}

#[derive(Debug, Deserialize)]
struct Streamed {
    gate: String,
    change: When,
    key: String,
    value: String,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
enum When {
    Early,
    Late,
}

/// Streams two chunks with a gate between them; the session changes before the first or before the second.
async fn streamed(
    State(gates): State<Gates>,
    session: Session,
    Query(asked): Query<Streamed>,
) -> Result<Response, Error> {
    if asked.change == When::Early {
        session.insert(&asked.key, &asked.value)?;
    }
    let gate = gates.named(&asked.gate);
    let first = stream::once(async { Ok::<_, Infallible>("first\n") });
    let last = stream::once(last_chunk(gate, session, asked));
    Ok(Body::from_stream(stream::StreamExt::chain(first, last)).into_response())
}

async fn last_chunk(
    gate: Arc<Gate>,
    session: Session,
    asked: Streamed,
) -> Result<&'static str, Infallible> {
    gate.pass().await;
    if asked.change == When::Late {
        // As in the Express application nobody saves it, and nobody looks.
        let _ = session.insert(&asked.key, asked.value);
    }
    Ok("last\n")
}

/// Puts in what JSON has no words for.
async fn unserialisable(session: Session) -> Json<Value> {
    let map = HashMap::from([([1_u8, 2], "an array is no key")]);
    Json(json!({ "refused": session.insert("value", map).is_err() }))
}
