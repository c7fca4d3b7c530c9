//! actix-session with its store for Redis, on actix-web.

use actix_session::config::{CookieContentSecurity, PersistentSession};
use actix_session::storage::RedisSessionStore;
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::{Key, time::Duration};
use actix_web::http::KeepAlive;
use actix_web::rt::System;
use actix_web::{App, Error, HttpServer, web};
use bench_report::record;

use super::{DAY_SECONDS, SECRET, announced};
use crate::Outcome;

pub(super) fn redis(url: &str) -> Outcome<()> {
    System::new().block_on(async {
        let store = RedisSessionStore::new(url).await.map_err(|error| error.to_string())?;
        let day = Duration::seconds(DAY_SECONDS.into());
        let app = move || {
            // Its default encrypts the cookie; signed is what the others do.
            let sessions = SessionMiddleware::builder(store.clone(), Key::from(SECRET.as_bytes()))
                .cookie_secure(false)
                .cookie_content_security(CookieContentSecurity::Signed)
                .session_lifecycle(PersistentSession::default().session_ttl(day))
                .build();
            App::new()
                .wrap(sessions)
                .route("/seed", web::get().to(seed))
                .route("/read", web::get().to(read))
                .route("/count", web::get().to(count))
        };
        // Its turn may be long in coming.
        let server = HttpServer::new(app).workers(1).keep_alive(KeepAlive::Os);
        Ok(server.listen(announced()?)?.run().await?)
    })
}

async fn read(session: Session) -> Result<String, Error> {
    Ok(session.get("username")?.expect("it was seeded"))
}

async fn count(session: Session) -> Result<String, Error> {
    let views = session.get::<u64>("views")?.expect("it was seeded") + 1;
    session.insert("views", views)?;
    Ok(views.to_string())
}

async fn seed(session: Session) -> Result<&'static str, Error> {
    for (key, value) in record::values_beside_expiry() {
        session.insert(key, value)?;
    }
    Ok("ok")
}
