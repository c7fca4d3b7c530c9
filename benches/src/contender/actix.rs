//! actix-session over actix-web, each called by actix-web's own test service.
//!
//! It has no store in memory; [`Memory`] is the least that is one.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, Mutex};

use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_session::{Session, SessionMiddleware};
use actix_web::body::MessageBody;
use actix_web::cookie::{Key, time::Duration};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header;
use actix_web::test::{TestRequest, init_service};
use actix_web::{App as Actix, Error, web};

use super::{App, Work};
use crate::scenario::Ask;
use bench_report::record;

pub(super) fn bare() -> Work<'static, Box<dyn App>> {
    Box::pin(async {
        let page = || async { "ok" };
        let app = Actix::new()
            .route("/page", web::get().to(page))
            .route("/read", web::get().to(page))
            .route("/count", web::get().to(page))
            .route("/create", web::get().to(page))
            .route("/seed", web::get().to(page));
        Box::new(ActixApp(init_service(app).await)) as Box<dyn App>
    })
}

pub(super) fn sessions() -> Work<'static, Box<dyn App>> {
    Box::pin(async {
        // Its default encrypts the cookie; signed is what the others do.
        let sessions = SessionMiddleware::builder(Memory::default(), Key::from(&[7; 64]))
            .cookie_content_security(actix_session::config::CookieContentSecurity::Signed)
            .build();
        let app = Actix::new()
            .wrap(sessions)
            .route("/page", web::get().to(|| async { "ok" }))
            .route("/read", web::get().to(read))
            .route("/count", web::get().to(count))
            .route("/create", web::get().to(create))
            .route("/seed", web::get().to(seed));
        Box::new(ActixApp(init_service(app).await)) as Box<dyn App>
    })
}

async fn read(session: Session) -> Result<&'static str, Error> {
    let name: Option<String> = session.get("username")?;
    black_box(name.expect("it was seeded"));
    Ok("ok")
}

async fn count(session: Session) -> Result<&'static str, Error> {
    let views = session.get::<u64>("views")?.expect("it was seeded") + 1;
    session.insert("views", views)?;
    black_box(views);
    Ok("ok")
}

async fn create(session: Session) -> Result<&'static str, Error> {
    session.insert("userID", 471_100)?;
    Ok("ok")
}

async fn seed(session: Session) -> Result<&'static str, Error> {
    for (key, value) in record::values() {
        session.insert(key, value)?;
    }
    Ok("ok")
}

struct ActixApp<S>(S);

impl<S, B> ActixApp<S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    async fn answer(&self, ask: &Ask) -> ServiceResponse<B> {
        let mut request = TestRequest::get().uri(ask.uri.path());
        if let Some(cookie) = &ask.cookie {
            request = request.insert_header((header::COOKIE, cookie.as_bytes()));
        }
        let response = self.0.call(request.to_request()).await.expect("no route fails");
        assert!(response.status().is_success(), "{} from {}", response.status(), ask.uri);
        response
    }
}

impl<S, B> App for ActixApp<S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    fn first(&mut self, ask: Ask) -> Work<'_, Option<String>> {
        Box::pin(async move {
            let response = self.answer(&ask).await;
            let cookie = response.headers().get(header::SET_COOKIE)?.to_str().ok()?;
            cookie.split(';').next().map(Into::into)
        })
    }

    fn repeat<'a>(&'a mut self, ask: &'a Ask, times: usize) -> Work<'a, ()> {
        Box::pin(async move {
            for _ in 0..times {
                self.answer(ask).await;
            }
        })
    }
}

type State = HashMap<String, String>;

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<HashMap<String, State>>>);

impl Memory {
    fn put(&self, key: &str, state: State) {
        self.0.lock().expect("nobody panics here").insert(key.into(), state);
    }
}

impl SessionStore for Memory {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        Ok(self.0.lock().expect("nobody panics here").get(key.as_ref()).cloned())
    }

    async fn save(&self, state: State, _: &Duration) -> Result<SessionKey, SaveError> {
        // Its own generator is private; this one draws from the same source.
        let key = tower_sessions::session::Id::default().to_string();
        self.put(&key, state);
        SessionKey::try_from(key).map_err(|error| SaveError::Other(anyhow::anyhow!("{error}")))
    }

    async fn update(
        &self,
        key: SessionKey,
        state: State,
        _: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        self.put(key.as_ref(), state);
        Ok(key)
    }

    async fn update_ttl(&self, _: &SessionKey, _: &Duration) -> Result<(), anyhow::Error> {
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        self.0.lock().expect("nobody panics here").remove(key.as_ref());
        Ok(())
    }
}
