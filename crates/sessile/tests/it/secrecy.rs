//! Ids, secrets, cookie values and session values never print: everything that
//! a busy scenario prints is searched for them.

use std::error::Error as StdError;
use std::fmt::Debug;
use std::time::Duration;

use axum::{Router, routing::get};
use sessile::{
    CookieOptions, Error, Precondition, Record, Secrets, Session, SessionHandle, SessionKey,
    SessionLayer, SessionStore, SetCookie, Typed,
};
use sessile_testkit::{Fault, Op};
use tower::Layer;

use crate::client::{Client, NAME, SECRET, app, request};
use crate::stage::Stage;
use crate::watch::{Lines, subscriber};

const VALUE: &str = "the-value-nobody-may-print";
const NUMBER: u64 = 7_305_918_264;

over_every_store! { nothing_printed_contains_an_id_a_secret_or_a_value }

/// An error as a log would show it, with all its causes, in both notations.
fn told(error: &(dyn StdError + 'static)) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(" <- {error} {error:?}");
        cause = error.source();
    }
    text
}

fn shown(value: &impl Debug) -> String {
    format!("{value:?} {value:#?}")
}

type Printed = std::sync::Arc<std::sync::Mutex<String>>;

#[derive(Default, serde::Deserialize, serde::Serialize)]
#[serde(default)]
struct Wrong {
    user: u8,
    pin: bool,
}

/// Prints everything a handler can get hold of.
fn printing(printed: Printed) -> Router {
    let handler = async move |session: Session, handle: SessionHandle| -> Result<(), Error> {
        session.insert("user", VALUE)?;
        session.insert("pin", NUMBER)?;
        let mut text = String::new();
        text += &shown(&session);
        text += &shown(&handle);
        text += &shown(&session.cookie());
        text += &shown(&session.id()?);
        text += &shown(&session.keys().len());
        for error in [
            session.get::<u8>("user").map(drop).unwrap_err(),
            session.get::<bool>("pin").map(drop).unwrap_err(),
            session.get::<Vec<String>>("user").map(drop).unwrap_err(),
            session.get::<Wrong>("user").map(drop).unwrap_err(),
            session.update("pin", |_: Option<String>| String::new()).map(drop).unwrap_err(),
            session.update("user", |_: Option<u8>| 0).map(drop).unwrap_err(),
            Typed::<Wrong>::new(session.clone()).map(drop).unwrap_err(),
            session.insert("__proto__", VALUE).unwrap_err(),
            session.insert("map", std::collections::HashMap::from([((1, VALUE), 2)])).unwrap_err(),
        ] {
            text += &told(&error);
        }
        printed.lock().unwrap().push_str(&text);
        Ok(())
    };
    let fails = async |session: Session| session.get::<u8>("user").map(drop);
    let typed = async |_: Typed<Wrong>| {};
    Router::new()
        .route("/print", get(handler))
        .route("/decode", get(fails))
        .route("/typed", get(typed))
        .merge(app())
}

async fn nothing_printed_contains_an_id_a_secret_or_a_value(stage: Stage) {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(subscriber(lines.clone()));
    let printed = Printed::default();
    let (stage, faults) = stage.faulty();
    let cookie = CookieOptions::default().with_max_age(Duration::from_secs(3600));
    let builder = stage
        .layer()
        .with_cookie(cookie)
        .with_max_record_bytes(2000)
        .with_store_timeout(Duration::from_secs(2));
    let mut text = shown(&builder);
    let layer = builder.build().unwrap();
    let client = Client::new(printing(Printed::clone(&printed)).layer(layer.clone()));
    let mut secret = vec![SECRET.to_owned(), VALUE.to_owned(), NUMBER.to_string()];
    let mut learn = |client: &Client| {
        if let Some(cookie) = client.cookie(NAME) {
            secret.push(client.id().as_str().to_owned());
            let mac = cookie.rsplit_once('.').unwrap().1;
            secret.push(mac.to_owned());
            secret.push(mac.replace("%2F", "/").replace("%2B", "+"));
            secret.push(cookie);
        }
    };

    // A good day.
    client.get("/print").await.ok();
    learn(&client);
    for path in ["/all", "/count", "/touch", "/cycle", "/login/the-value-nobody-may-print"] {
        client.get(path).await.ok();
        learn(&client);
    }
    // A bad one.
    let thief = client.with_a_copy_of_its_cookies();
    for end in ["/destroy", "/count"] {
        let (pause, late) = thief.get_paused("/count");
        let late = tokio::spawn(late);
        pause.reached().await;
        client.get(end).await.ok();
        pause.go();
        late.await.unwrap().ok();
        client.get("/print").await.ok();
        learn(&client);
        thief.set_cookie(NAME, &client.cookie(NAME).unwrap());
    }
    for (op, path) in [
        (Op::Load, "/all"),
        (Op::Save, "/count"),
        (Op::Rotate, "/cycle"),
        (Op::Destroy, "/destroy"),
        (Op::Touch, "/all"),
    ] {
        for fault in [Fault::Fail, Fault::LoseAnswer] {
            faults.inject(op, fault);
            client.get(path).await;
            faults.recover();
            learn(&client);
            client.get("/print").await.ok();
            learn(&client);
        }
    }
    assert_eq!(client.get("/decode").await.status, 500);
    assert_eq!(client.get("/typed").await.status, 500);
    assert_eq!(client.get(&format!("/set/large/{}", "x".repeat(3000))).await.status, 500);
    let id = client.id();
    let stored = stage.store.load(&id).await.unwrap().unwrap();
    let large = format!(r#"{{"cookie":{{}},"large":"{}"}}"#, VALUE.repeat(100));
    let reserved = format!(r#"{{"cookie":{{}},"id":"{VALUE}","user":"{VALUE}"}}"#);
    for junk in [large, reserved, r#"{"cookie":{}}"#.into()] {
        stage.plant(id.as_str(), &junk).await;
        client.get("/user").await;
    }
    // An id that is taken.
    let taken = id.clone();
    let collides = stage.layer().with_id_generator(move || taken.clone()).build().unwrap();
    assert_eq!(Client::of(collides).get("/count").await.status, 500);
    let good = client.cookie(NAME).unwrap();
    for forged in [good.replace("s%3A", "s%3Ax"), good.replace('.', ".x"), good.replace("s%3A", "")]
    {
        client.set_cookie(NAME, &forged);
        client.get("/user").await.ok();
    }

    // Everything public that has a Debug.
    let version = stored.version.clone();
    let record = Record::parse(&*stored.text).unwrap();
    let secrets = Secrets::new([SECRET]).unwrap();
    let page = stage.store.all(None, 1).await.unwrap();
    for shown in [
        shown(&layer),
        shown(&layer.layer(tower::service_fn(async |_: ()| Ok::<_, ()>(())))),
        shown(&secrets),
        shown(&id),
        shown(&record),
        shown(&record.cookie()),
        shown(&stored),
        shown(&version),
        shown(&Precondition::Unchanged(&version)),
        shown(&sessile::Saved::Saved(version.clone())),
        shown(&sessile::Version::text(&*stored.text)),
        shown(&page),
        shown(&sessile::Cursor::new(id.as_str())),
        shown(&SetCookie::new(NAME, &good)),
        shown(&stage.store),
        shown(&SessionKey::<u8>::new("pin")),
        shown(&sessile::RandomIds),
        shown(&SessionLayer::express(stage.store.clone(), secrets.clone())),
        told(&Secrets::new([SECRET, ""]).unwrap_err()),
    ] {
        text += &shown;
    }
    let mut service = layer.layer(printing(Printed::clone(&printed)));
    let mut with_cookie = request("/print");
    with_cookie.headers_mut().insert("cookie", format!("{NAME}={good}").parse().unwrap());
    let future = tower::Service::call(&mut service, with_cookie);
    text += &shown(&future);
    let response = future.await.unwrap();
    text += &shown(&response.extensions());

    text += &printed.lock().unwrap();
    let logged = lines.text();
    for event in [
        "a session cookie is not signed by us",
        "makes no sense",
        "express-session reserves",
        "another request saved the session first",
        "its late write is dropped",
        "the session store failed",
        "the session was not saved",
        "a handler failed on its session",
        "gave an id that is taken",
    ] {
        assert!(logged.contains(event), "the scenario is not as busy as it was: {event}");
    }
    for what in secret {
        assert!(!logged.contains(&what), "{what:?} in the log: {}", around(&logged, &what));
        assert!(!text.contains(&what), "{what:?} in Debug or errors: {}", around(&text, &what));
    }
}

/// The place where `what` stands in `text`.
fn around(text: &str, what: &str) -> String {
    let at = text.find(what).unwrap_or_default();
    let start = text[..at].char_indices().rev().nth(150).map_or(0, |(at, _)| at);
    text[start..].chars().take(300).collect()
}
