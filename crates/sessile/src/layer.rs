//! Sessions for any tower stack.

use tower_layer::Layer;

use sessile_core::{Builder, Secrets, SessionStore, Sessions};

use crate::SessionService;

/// Gives every request a session.
///
/// # When is the session saved?
///
/// 1. Nothing happens before somebody asks: a request without a cookie, or a
///    route that never names the session, costs no store operation (but for
///    keeping the session alive; see [`Builder::with_touch_after`]). A response
///    that leaves session and cookie as they are does not wait for that.
/// 2. The handler's changes are saved when its response is ready and before
///    the first byte of it leaves. A client that has the response has the data.
/// 3. If the store refuses or does not answer in time, the client gets 500 or
///    503 instead of the response, and no cookie.
/// 4. A session that another request changed meanwhile is merged; one that
///    another request destroyed stays destroyed.
/// 5. After the response a kept [`Session`](crate::Session) saves only when told to.
///
/// The error of rule 3 has an empty body, for a layer knows no page of yours:
/// `axum::middleware::map_response` around this layer can give it one.
///
/// It needs a Tokio runtime with timers, for the store's deadline.
///
/// A page with somebody's name on it should say `Cache-Control: no-store`
/// itself, or the back button shows it after a logout.
///
/// # Example
///
/// ```
/// # #[cfg(all(feature = "axum", feature = "memory"))]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::{Router, routing::get};
/// use sessile::{Error, Secrets, Session, SessionLayer, stores::MemoryStore};
///
/// async fn views(session: Session) -> Result<String, Error> {
///     let views = session.update("views", |n: Option<u64>| n.unwrap_or(0) + 1)?;
///     Ok(format!("you were here {views} times"))
/// }
///
/// let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
/// let sessions = SessionLayer::new(MemoryStore::new(), secrets);
/// let app: Router = Router::new().route("/", get(views)).layer(sessions);
/// # use axum::{body::Body, extract::Request};
/// # use tower::ServiceExt;
/// # let first = app.clone().oneshot(Request::new(Body::empty())).await?;
/// # let cookie = first.headers()["set-cookie"].to_str()?.split(';').next().unwrap();
/// # let again = Request::builder().header("cookie", cookie).body(Body::empty())?;
/// # let body = axum::body::to_bytes(app.oneshot(again).await?.into_body(), 100).await?;
/// # assert_eq!(body, "you were here 2 times");
/// # Ok(()) }
/// # #[cfg(not(all(feature = "axum", feature = "memory")))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct SessionLayer {
    sessions: Sessions,
}

impl SessionLayer {
    /// A layer with the default options; [`builder`](Self::builder) has others.
    ///
    /// ```
    /// # #[cfg(all(feature = "axum", feature = "memory"))]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use axum::{Router, body::Body, extract::Request, routing::get};
    /// # use sessile::{Secrets, Session, SessionLayer, stores::MemoryStore};
    /// # use tower::ServiceExt;
    /// let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// let app = Router::new()
    ///     .route("/", get(async |session: Session| session.insert("user", 7)))
    ///     .layer(SessionLayer::new(MemoryStore::new(), secrets));
    /// let response = app.oneshot(Request::new(Body::empty())).await?;
    /// assert!(response.headers()["set-cookie"].to_str()?.ends_with("; HttpOnly; SameSite=Lax"));
    /// # Ok(()) }
    /// # #[cfg(not(all(feature = "axum", feature = "memory")))]
    /// # fn main() {}
    /// ```
    pub fn new(store: impl SessionStore, secrets: Secrets) -> Self {
        Self { sessions: Builder::with_defaults(store, secrets) }
    }

    /// Begins a layer with options, to end with [`build`](Builder::build).
    ///
    /// ```
    /// # #[cfg(all(feature = "axum", feature = "memory"))]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sessile::{CookieOptions, Secrets, SessionLayer, stores::MemoryStore};
    /// use std::time::Duration;
    /// # use axum::{Router, body::Body, extract::Request, routing::get};
    /// # use sessile::Session;
    /// # use tower::ServiceExt;
    ///
    /// let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// let sessions = SessionLayer::builder(MemoryStore::new(), secrets)
    ///     .with_cookie(CookieOptions::default().with_max_age(Duration::from_secs(3600)))
    ///     .with_rolling(true)
    ///     .build()?;
    /// # let app = Router::new()
    /// #     .route("/", get(async |session: Session| session.insert("user", 7)))
    /// #     .layer(sessions);
    /// # let response = app.oneshot(Request::new(Body::empty())).await?;
    /// # assert!(response.headers()["set-cookie"].to_str()?.contains("; Expires="));
    /// # Ok(()) }
    /// # #[cfg(not(all(feature = "axum", feature = "memory")))]
    /// # fn main() {}
    /// ```
    pub fn builder(store: impl SessionStore, secrets: Secrets) -> Builder<Self> {
        Builder::new(store, secrets)
    }

    /// Begins a layer with Express's own defaults.
    ///
    /// ```
    /// # #[cfg(all(feature = "axum", feature = "memory"))]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use axum::{Router, body::Body, extract::Request, routing::get};
    /// # use sessile::{Secrets, Session, SessionLayer, stores::MemoryStore};
    /// # use tower::ServiceExt;
    /// let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// let app = Router::new()
    ///     .route("/", get(async |_: Session| "hello"))
    ///     .layer(SessionLayer::express(MemoryStore::new(), secrets).build()?);
    /// let response = app.oneshot(Request::new(Body::empty())).await?;
    /// assert!(response.headers().contains_key("set-cookie")); // `saveUninitialized` is on
    /// # Ok(()) }
    /// # #[cfg(not(all(feature = "axum", feature = "memory")))]
    /// # fn main() {}
    /// ```
    pub fn express(store: impl SessionStore, secrets: Secrets) -> Builder<Self> {
        Builder::express(store, secrets)
    }
}

impl From<Sessions> for SessionLayer {
    fn from(sessions: Sessions) -> Self {
        Self { sessions }
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> SessionService<S> {
        SessionService::new(inner, self.sessions.clone())
    }
}
