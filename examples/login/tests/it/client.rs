//! A browser in a few lines: it keeps one cookie.

use std::path::Path;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use sessile::stores::SqliteStore;
use sessile::{Secrets, SessionStore};
use tower::ServiceExt;

/// The site on the database in `folder`, as after each start of the server.
pub(crate) async fn site(folder: &Path) -> Router {
    let url = format!("sqlite://{}", folder.join("sessions.db").display());
    site_on(SqliteStore::connect(&url).await.unwrap())
}

pub(crate) fn site_on(store: impl SessionStore) -> Router {
    login::app(store, Secrets::new(["a secret of the tests: thirty-two bytes"]).unwrap()).unwrap()
}

pub(crate) struct Client {
    site: Router,
    pub(crate) cookie: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn new(site: &Router) -> Self {
        Self { site: site.clone(), cookie: None }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&mut self, path: &str, form: impl Into<Body>) -> Answer {
        let form_type = (header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = Request::builder().method(Method::POST).uri(path);
        self.send(request.header(form_type.0, form_type.1).body(form.into()).unwrap()).await
    }

    pub(crate) async fn log_in(&mut self, username: &str) {
        let answer = self.post("/login", format!("username={username}")).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/"));
    }

    pub(crate) async fn send(&mut self, mut request: Request<Body>) -> Answer {
        if let Some(cookie) = &self.cookie {
            request.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
        }
        let response = self.site.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = String::from_utf8(body.into()).unwrap();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        self.keep(answer.header("set-cookie"));
        answer
    }

    fn keep(&mut self, set_cookie: &str) {
        let Some((cookie, attributes)) = set_cookie.split_once(';') else { return };
        let cleared = attributes.contains("Expires=Thu, 01 Jan 1970 00:00:00 GMT");
        self.cookie = (!cleared).then(|| cookie.to_owned());
    }
}

impl Answer {
    /// The header's value; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What the home page says under `term`.
    pub(crate) fn detail(&self, term: &str) -> &str {
        let (_, rest) = self.body.split_once(&format!("<dt>{term}</dt><dd>")).unwrap();
        rest.split_once("</dd>").unwrap().0
    }
}
