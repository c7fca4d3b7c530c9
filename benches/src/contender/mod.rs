//! Who is measured: one module per crate, each the same five routes.
//!
//! `/page` never names the session, `/read` reads `username`, `/count` adds one
//! to `views`, `/create` inserts `userID`, `/seed` inserts the whole [record](crate::record).

mod actix;
mod bare;
pub mod ours;
mod ruts;
pub mod tower_sessions;

use std::future::Future;
use std::pin::Pin;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use axum::response::Response;
use tower::Service;

use crate::scenario::Ask;

/// An application in this process, called without a socket.
pub trait App {
    /// Answers one request; gives the cookie that it sets, as a browser sends it.
    fn first(&mut self, ask: Ask) -> Work<'_, Option<String>>;

    /// Answers the same request many times.
    fn repeat<'a>(&'a mut self, ask: &'a Ask, times: usize) -> Work<'a, ()>;
}

pub type Work<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// One way to have sessions.
pub struct Contender {
    pub name: &'static str,
    /// What its version is looked up by.
    pub package: &'static str,
    /// Whose cost is not its own: the same framework without sessions.
    pub over: usize,
    build: Build,
}

enum Build {
    Axum(fn() -> Router),
    Actix(fn() -> Work<'static, Box<dyn App>>),
}

pub const NO_OP: usize = 1;
pub const OURS: usize = 2;
pub const OURS_TOUCHED: usize = 3;
pub const OURS_SPARED: usize = 4;
pub const TOWER_SESSIONS: usize = 5;
pub const TOWER_SESSIONS_SIGNED: usize = 6;
pub const RUTS: usize = 7;
const ACTIX: usize = 8;

/// In the order of the table.
pub const CONTENDERS: [Contender; 10] = [
    axum("bare router", "axum", bare::router),
    axum("router, no-op layer", "axum", bare::router_with_layer),
    axum("sessile", "sessile", ours::router),
    axum("sessile, touched each time", "sessile", ours::touched_router),
    axum("sessile, touch_after", "sessile", ours::spared_router),
    axum("tower-sessions", "tower-sessions", tower_sessions::router),
    axum("tower-sessions signed", "tower-sessions", tower_sessions::signed_router),
    axum("ruts", "ruts", ruts::router),
    actix("actix-web bare", "actix-web", actix::bare),
    actix("actix-session", "actix-session", actix::sessions),
];

const fn axum(name: &'static str, package: &'static str, router: fn() -> Router) -> Contender {
    Contender { name, package, over: NO_OP, build: Build::Axum(router) }
}

const fn actix(
    name: &'static str,
    package: &'static str,
    app: fn() -> Work<'static, Box<dyn App>>,
) -> Contender {
    Contender { name, package, over: ACTIX, build: Build::Actix(app) }
}

impl Contender {
    pub async fn open(&self) -> Box<dyn App> {
        match self.build {
            Build::Axum(_) => Box::new(AxumApp(self.router())),
            Build::Actix(app) => app().await,
        }
    }

    /// Returns its router, if it is an axum application, as `axum::serve` uses it:
    /// with a state, or each request would wrap its handler in the layer anew.
    pub fn router(&self) -> Router {
        match self.build {
            Build::Axum(router) => router().with_state(()),
            Build::Actix(_) => Router::new(),
        }
    }

    /// Tells whether it is there to be subtracted from others.
    pub fn is_baseline(&self) -> bool {
        self.package == "axum" || self.package == "actix-web"
    }
}

/// A router, called as a server calls it: not cloned per request.
pub struct AxumApp(pub Router);

impl AxumApp {
    pub async fn answer(&mut self, ask: &Ask) -> Response {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = ask.uri.clone();
        if let Some(cookie) = &ask.cookie {
            request.headers_mut().insert(header::COOKIE, cookie.clone());
        }
        let Ok(response) = self.0.call(request).await;
        assert!(response.status().is_success(), "{} from {}", response.status(), ask.uri);
        response
    }
}

impl App for AxumApp {
    fn first(&mut self, ask: Ask) -> Work<'_, Option<String>> {
        Box::pin(async move { new_cookie(self.answer(&ask).await.headers()) })
    }

    fn repeat<'a>(&'a mut self, ask: &'a Ask, times: usize) -> Work<'a, ()> {
        Box::pin(async move {
            for _ in 0..times {
                self.answer(ask).await;
            }
        })
    }
}

fn new_cookie(headers: &HeaderMap) -> Option<String> {
    let cookie = headers.get(header::SET_COOKIE)?.to_str().ok()?;
    cookie.split(';').next().map(Into::into)
}
