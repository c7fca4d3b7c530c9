//! A browser, as far as a test needs one, and an application that does what its path says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use sessile::{Error, Secrets, Session, SessionId, SessionLayer};
use tokio::sync::Notify;
use tower::ServiceExt;

pub(crate) const NAME: &str = "connect.sid";
pub(crate) const SECRET: &str = "the secret of these tests: 32 bytes and more";

pub(crate) fn secrets() -> Secrets {
    Secrets::new([SECRET]).unwrap()
}

/// The cookie's value for `id`, as the layer would write it.
pub(crate) fn ticket(id: &str) -> String {
    let signed = format!("s:{}", secrets().sign(id));
    signed.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

type Jar = BTreeMap<String, String>;

/// A browser in front of an application. Clones are its tabs: they share the cookies.
#[derive(Clone)]
pub(crate) struct Client {
    app: Router,
    jar: Arc<Mutex<Jar>>,
}

impl Client {
    pub(crate) fn new(app: Router) -> Self {
        Self { app, jar: Arc::default() }
    }

    /// A browser in front of [`app`], behind `layer`.
    pub(crate) fn of(layer: SessionLayer) -> Self {
        Self::new(app().layer(layer))
    }

    /// Somebody who stole these cookies: they are no longer updated.
    pub(crate) fn with_a_copy_of_its_cookies(&self) -> Self {
        let jar = self.jar.lock().unwrap().clone();
        Self { app: self.app.clone(), jar: Arc::new(Mutex::new(jar)) }
    }

    /// The same cookies in front of another application.
    pub(crate) fn at(&self, app: Router) -> Self {
        Self { app, jar: Arc::clone(&self.jar) }
    }

    pub(crate) fn forget_cookies(&self) {
        self.jar.lock().unwrap().clear();
    }

    pub(crate) fn set_cookie(&self, name: &str, value: &str) {
        self.jar.lock().unwrap().insert(name.into(), value.into());
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.jar.lock().unwrap().get(name).cloned()
    }

    /// The id in the session cookie.
    pub(crate) fn id(&self) -> SessionId {
        let cookie = self.cookie(NAME).expect("the browser has a session cookie");
        id_in(&cookie)
    }

    pub(crate) fn get(&self, path: &str) -> impl Future<Output = Reply> + Send + use<> {
        self.send(request(path))
    }

    /// Sends a request whose handler stops at the pause when it has done its work.
    pub(crate) fn get_paused(
        &self,
        path: &str,
    ) -> (Pause, impl Future<Output = Reply> + Send + use<>) {
        let pause = Pause::default();
        let mut request = request(path);
        request.extensions_mut().insert(pause.clone());
        (pause, self.send(request))
    }

    /// Sends a request as it is, and leaves the response as it comes.
    pub(crate) async fn raw(&self, request: Request) -> Response {
        self.app.clone().oneshot(request).await.unwrap()
    }

    /// Sends a request with the cookies the browser has now.
    pub(crate) fn send(&self, mut request: Request) -> impl Future<Output = Reply> + Send + use<> {
        let jar = Arc::clone(&self.jar);
        let cookies: Vec<_> =
            jar.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request.headers_mut().append(COOKIE, cookies.join("; ").parse().unwrap());
        }
        let app = self.app.clone();
        async move {
            let response = app.oneshot(request).await.unwrap();
            keep(&mut jar.lock().unwrap(), response.headers());
            Reply::read(response).await
        }
    }
}

pub(crate) fn request(path: &str) -> Request {
    Request::builder().uri(path).body(Body::empty()).unwrap()
}

/// The id in a session cookie's value.
pub(crate) fn id_in(cookie: &str) -> SessionId {
    let header = format!("c={cookie}");
    let (_, ticket) = sessile::parse_cookies(&header).next().unwrap();
    let secrets = secrets();
    SessionId::new(secrets.unsign(ticket.strip_prefix("s:").unwrap()).expect("it is signed"))
}

fn keep(jar: &mut Jar, headers: &HeaderMap) {
    for cookie in headers.get_all(SET_COOKIE) {
        let cookie = cookie.to_str().unwrap();
        let Some((name, rest)) = cookie.split_once('=') else { continue };
        let value = rest.split(';').next().unwrap();
        if cookie.contains("Expires=Thu, 01 Jan 1970") {
            jar.remove(name);
        } else {
            jar.insert(name.into(), value.into());
        }
    }
}

/// A response, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Self { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        let cookies = self.headers.get_all(SET_COOKIE).iter();
        cookies.map(|cookie| cookie.to_str().unwrap()).collect()
    }

    /// The session cookie in the response; there must not be two.
    pub(crate) fn session_cookie(&self) -> Option<&str> {
        let cookies = self.set_cookies();
        let mut ours = cookies.into_iter().filter(|cookie| cookie.starts_with("connect.sid="));
        let cookie = ours.next();
        assert_eq!(ours.next(), None, "one session cookie is enough");
        cookie
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The body of `/all`.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// Says that all went well.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        self
    }
}

/// Where a handler waits before its response is ready.
#[derive(Clone, Default)]
pub(crate) struct Pause(Arc<Gates>);

#[derive(Default)]
struct Gates {
    reached: Notify,
    go: Notify,
}

impl Pause {
    /// Waits until the handler has done its work.
    pub(crate) async fn reached(&self) {
        self.0.reached.notified().await;
    }

    /// Lets it answer.
    pub(crate) fn go(&self) {
        self.0.go.notify_one();
    }

    pub(crate) async fn here(&self) {
        self.0.reached.notify_one();
        self.0.go.notified().await;
    }
}

/// Lets requests with a pause wait there when their handler has done its work.
pub(crate) fn pausable(router: Router) -> Router {
    router.layer(from_fn(pause))
}

async fn pause(request: Request, next: Next) -> Response {
    let pause = request.extensions().get::<Pause>().cloned();
    let response = next.run(request).await;
    if let Some(pause) = pause {
        pause.here().await;
    }
    response
}

/// What a handler of these tests answers with.
pub(crate) type Answer = Result<String, Error>;

/// An application that does what its path says, and nothing else.
pub(crate) fn app() -> Router {
    let router = Router::new()
        .route("/all", get(all))
        .route("/asset/{name}", get(|| async { "an asset" }))
        .route("/clear", get(clear))
        .route("/count", get(count))
        .route("/cycle", get(cycle))
        .route("/cycle/{user}", get(cycle_as))
        .route("/destroy", get(destroy))
        .route("/id", get(id))
        .route("/login/{user}", get(login))
        .route("/max-age/{millis}", get(max_age))
        .route("/read", get(|_: Session| async { "read" }))
        .route("/remove/{key}", get(remove))
        .route("/reload", get(reload))
        .route("/set/{key}/{value}", get(set))
        .route("/touch", get(touch))
        .route("/unset", get(unset))
        .route("/user", get(user));
    pausable(router)
}

async fn all(session: Session) -> Answer {
    let mut all = serde_json::Map::new();
    for key in session.keys() {
        let value = session.get(&key)?.unwrap();
        all.insert(key, value);
    }
    Ok(Value::Object(all).to_string())
}

async fn clear(session: Session) -> Answer {
    session.clear().map(|()| "cleared".into())
}

async fn count(session: Session) -> Answer {
    session.update("count", |n: Option<u64>| n.unwrap_or(0) + 1).map(|n| n.to_string())
}

async fn cycle(session: Session) -> Answer {
    session.cycle_id().await.map(|()| "cycled".into())
}

async fn cycle_as(session: Session, Path(user): Path<String>) -> Answer {
    session.cycle_id().await?;
    session.insert("user", user)?;
    Ok("cycled".into())
}

async fn destroy(session: Session) -> Answer {
    session.destroy().await.map(|()| "destroyed".into())
}

async fn id(session: Session) -> Answer {
    session.id().map(|id| id.as_str().into())
}

async fn login(session: Session, Path(user): Path<String>) -> Answer {
    session.regenerate().await?;
    session.insert("user", &user)?;
    Ok(format!("hello {user}"))
}

async fn max_age(session: Session, Path(millis): Path<u64>) -> Answer {
    session.cookie().set_max_age(Some(Duration::from_millis(millis)))?;
    Ok("remembered".into())
}

async fn remove(session: Session, Path(key): Path<String>) -> Answer {
    session.remove(&key).map(|existed| existed.to_string())
}

async fn reload(session: Session) -> Answer {
    session.reload().await.map(|()| "reloaded".into())
}

async fn set(session: Session, Path((key, value)): Path<(String, String)>) -> Answer {
    session.insert(&key, value).map(|()| "set".into())
}

async fn touch(session: Session) -> Answer {
    session.touch().await.map(|()| "touched".into())
}

async fn unset(session: Session) -> Answer {
    session.unset().map(|()| "unset".into())
}

async fn user(session: Session) -> Answer {
    Ok(session.get::<String>("user")?.unwrap_or_else(|| "nobody".into()))
}
