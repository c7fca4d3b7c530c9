//! Choosing options, under Express's names.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;

use crate::options::{CookieSource, Options};
use crate::{
    AnyStore, Clock, Concurrency, CookieOptions, Error, IdGenerator, OnStoreError, RandomIds,
    Secrets, SessionStore, Sessions, SystemClock, TrustProxy, Unset,
};

/// Builds whatever a framework needs to have sessions: for tower and axum, `SessionLayer`.
///
/// Every option has a default; [`build`](Self::build) checks them together.
/// [`express`](Self::express) begins with Express's own defaults instead.
///
/// ```
/// # use sessile_testkit::{Browser, ReferenceStore, TestClock};
/// use sessile_core::{Builder, CookieOptions, Error, Secrets, Sessions};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let (clock, store) = (TestClock::new(), ReferenceStore::new());
/// let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
/// let sessions: Sessions = Builder::new(store, secrets)
///     .with_name("sid")
///     .with_cookie(CookieOptions::default().with_max_age(Duration::from_secs(3600)))
/// #   .with_clock(clock)
///     .build()?;
/// # let mut browser = Browser::new(sessions);
/// # browser.visit(async |session| session.insert("user", 7)).await?;
/// # let cookie = browser.set_cookie().unwrap();
/// # assert!(cookie.starts_with("sid=s%3A"));
/// # assert!(cookie.contains("Expires=Thu, 01 Jan 2026 01:00:00 GMT"));
/// # Ok(()) }
/// ```
pub struct Builder<L> {
    pub(crate) store: AnyStore,
    pub(crate) secrets: Secrets,
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdGenerator>,
    builds: PhantomData<fn() -> L>,
}

impl<L: From<Sessions>> Builder<L> {
    /// Begins with defaults that are safe and frugal: nothing is stored and no
    /// cookie is sent before a session holds data.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// let sessions: Sessions = Builder::new(store.clone(), secrets).build()?;
    /// let mut browser = Browser::new(sessions);
    /// browser.visit(async |_| Ok(())).await?;
    /// assert_eq!((browser.set_cookie(), store.length().await?), (None, 0));
    ///
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// assert!(browser.set_cookie().is_some());
    /// assert_eq!(store.length().await?, 1);
    /// # use sessile_core::SessionStore;
    /// # Ok(()) }
    /// ```
    pub fn new(store: impl SessionStore, secrets: Secrets) -> Self {
        Self {
            store: AnyStore::new(store),
            secrets,
            options: Options::default(),
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
            builds: PhantomData,
        }
    }

    /// Begins with the defaults of `express-session`: `resave` and
    /// `saveUninitialized` on, the cookie `Path=/; HttpOnly`.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// let sessions: Sessions = Builder::express(store.clone(), secrets).build()?;
    /// let mut browser = Browser::new(sessions);
    /// browser.visit(async |_| Ok(())).await?; // a session nobody put anything into
    /// assert_eq!(store.length().await?, 1);
    /// assert!(browser.set_cookie().unwrap().ends_with("; Path=/; HttpOnly"));
    /// # use sessile_core::SessionStore;
    /// # Ok(()) }
    /// ```
    pub fn express(store: impl SessionStore, secrets: Secrets) -> Self {
        Self { options: Options::express(), ..Self::new(store, secrets) }
    }

    /// Builds with the default options, which need no check.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// let sessions: Sessions = Builder::with_defaults(store, secrets); // nothing to refuse, no `?`
    /// let mut browser = Browser::new(sessions);
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// assert!(browser.set_cookie().unwrap().ends_with("; Path=/; HttpOnly; SameSite=Lax"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_defaults(store: impl SessionStore, secrets: Secrets) -> L {
        Sessions::new(Self::new(store, secrets)).into()
    }

    /// Checks the options and builds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if browsers would refuse
    /// the cookie (a `__Host-` name with a `Domain`, `SameSite=None` without
    /// `Secure`, a space in the name, …), or an option cannot work.
    ///
    /// ```
    /// # use sessile_core::{Builder, CookieOptions, Error, ErrorKind, Secrets, Secure, Sessions};
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = sessile_testkit::ReferenceStore::new();
    /// let sessions: Result<Sessions, Error> = Builder::new(store, secrets)
    ///     .with_name("__Host-sid")
    ///     .with_cookie(CookieOptions::default().with_secure(Secure::Always).with_domain("example.com"))
    ///     .build();
    /// let error = sessions.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// assert_eq!(error.to_string(), "browsers refuse a cookie named `__Host-…` with a Domain");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn build(self) -> Result<L, Error> {
        self.options.check()?;
        Ok(Sessions::new(self).into())
    }

    /// Names the cookie; `connect.sid` by default. Mirrors `name`.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// let sessions: Sessions = Builder::new(store, secrets).with_name("shop").build()?;
    /// let mut browser = Browser::new(sessions);
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// assert!(browser.set_cookie().unwrap().starts_with("shop=s%3A"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.options.name = name.into();
        self
    }

    /// Sets the cookie's attributes; `Path=/; HttpOnly; SameSite=Lax`, and `Secure` on
    /// secure connections, by default. Mirrors `cookie`.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// let cookie = CookieOptions::default().with_same_site(SameSite::Strict);
    /// let sessions: Sessions = Builder::new(store, secrets).with_cookie(cookie).build()?;
    /// let mut browser = Browser::new(sessions);
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// assert!(browser.set_cookie().unwrap().ends_with("; Path=/; HttpOnly; SameSite=Strict"));
    /// # use sessile_core::{CookieOptions, SameSite};
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_cookie(mut self, cookie: CookieOptions) -> Self {
        self.options.cookie = CookieSource::Fixed(cookie);
        self
    }

    /// Decides the cookie's attributes for each request, instead of
    /// [`with_cookie`](Self::with_cookie). Mirrors `cookie` as a function of the request.
    ///
    /// A combination that browsers refuse fails the request with 500.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// # use http::HeaderValue;
    /// # use http::header::HOST;
    /// # use sessile_core::{CookieOptions, SameSite};
    /// let sessions: Sessions = Builder::new(store, secrets)
    ///     .with_cookie_fn(|request| match request.headers.get(HOST) {
    ///         Some(host) if host == "admin.example.com" => {
    ///             CookieOptions::default().with_same_site(SameSite::Strict)
    ///         }
    ///         _ => CookieOptions::default(),
    ///     })
    ///     .build()?;
    /// let host = HeaderValue::from_static("admin.example.com");
    /// let mut browser = Browser::new(sessions).with_header(HOST, host);
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// assert!(browser.set_cookie().unwrap().ends_with("SameSite=Strict"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_cookie_fn(
        mut self,
        cookie: impl Fn(&Parts) -> CookieOptions + Send + Sync + 'static,
    ) -> Self {
        self.options.cookie = CookieSource::PerRequest(Arc::new(cookie));
        self
    }

    /// Saves existing sessions even if nothing changed; off by default. Mirrors `resave`.
    ///
    /// Unlike in Express such a save never takes back what a parallel request
    /// saved. It costs a write per request; what it is for, `touch` does better.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// # use sessile_testkit::{FaultyStore, Op};
    /// # let store = FaultyStore::new(store);
    /// let sessions: Sessions = Builder::new(store.clone(), secrets).with_resave(true).build()?;
    /// let mut browser = Browser::new(sessions);
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// browser.visit(async |_| Ok(())).await?;
    /// assert_eq!(store.calls(Op::Save), 2); // without the option: 1
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_resave(mut self, resave: bool) -> Self {
        self.options.resave = resave;
        self
    }

    /// Sends the cookie with every response, so that its expiry moves along; off by default. Mirrors `rolling`.
    ///
    /// Without it an expiry that the browser knows stays where the last
    /// change of the session put it, while the store's moves with every request.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// # use sessile_core::CookieOptions;
    /// # let cookie = CookieOptions::default().with_max_age(std::time::Duration::from_secs(3600));
    /// let sessions: Sessions =
    ///     Builder::new(store, secrets).with_cookie(cookie).with_rolling(true).build()?;
    /// let mut browser = Browser::new(sessions);
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// browser.visit(async |_| Ok(())).await?;
    /// assert!(browser.set_cookie().unwrap().contains("; Expires=")); // without the option: None
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_rolling(mut self, rolling: bool) -> Self {
        self.options.rolling = rolling;
        self
    }

    /// Stores new sessions that hold nothing, and sends their cookie; off by default. Mirrors `saveUninitialized`.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// # use sessile_core::SessionStore;
    /// let sessions: Sessions =
    ///     Builder::new(store.clone(), secrets).with_save_uninitialized(true).build()?;
    /// let mut browser = Browser::new(sessions);
    /// browser.visit(async |_| Ok(())).await?;
    /// assert!(browser.set_cookie().is_some());
    /// assert_eq!(store.length().await?, 1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_save_uninitialized(mut self, save_uninitialized: bool) -> Self {
        self.options.save_uninitialized = save_uninitialized;
        self
    }

    /// Decides what `unset` does; [`Unset::Keep`] by default. Mirrors `unset`.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// # use sessile_core::{SessionStore, Unset};
    /// let sessions: Sessions =
    ///     Builder::new(store.clone(), secrets).with_unset(Unset::Destroy).build()?;
    /// let mut browser = Browser::new(sessions);
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// browser.visit(async |session| session.unset()).await?;
    /// assert_eq!(store.length().await?, 0); // with Unset::Keep: 1
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_unset(mut self, unset: Unset) -> Self {
        self.options.unset = unset;
        self
    }

    /// Makes the ids of new sessions; [`RandomIds`] by default. Mirrors `genid`.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// use sessile_core::{IdGenerator, RandomIds, SessionId};
    ///
    /// let tagged = || SessionId::new(format!("eu1-{}", RandomIds.generate().unwrap().as_str()));
    /// let sessions: Sessions = Builder::new(store, secrets).with_id_generator(tagged).build()?;
    /// let id = Browser::new(sessions).visit(async |session| session.id()).await?;
    /// assert!(id.as_str().starts_with("eu1-"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_id_generator(mut self, ids: impl IdGenerator) -> Self {
        self.ids = Arc::new(ids);
        self
    }

    /// Decides whose word counts on whether a connection is secure; nobody's by default. Mirrors `proxy`.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// # use http::{HeaderName, HeaderValue};
    /// # use sessile_core::TrustProxy;
    /// let sessions: Sessions =
    ///     Builder::new(store, secrets).with_trust_proxy(TrustProxy::XForwardedProto).build()?;
    /// let header = HeaderName::from_static("x-forwarded-proto");
    /// let mut browser = Browser::new(sessions).with_header(header, HeaderValue::from_static("https"));
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// assert!(browser.set_cookie().unwrap().contains("; Secure"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_trust_proxy(mut self, trust_proxy: TrustProxy) -> Self {
        self.options.trust_proxy = trust_proxy;
        self
    }

    /// Ends every session this long after its birth, however active it is; never by default.
    /// Express has no such option.
    ///
    /// The birth is kept in the record under `__createdAt`. A session from
    /// before the option was set counts from its first request after.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// # use sessile_testkit::TestClock;
    /// # use std::time::Duration;
    /// # let clock = TestClock::new();
    /// let hours = |n: u64| Duration::from_secs(n * 3600);
    /// let sessions: Sessions = Builder::new(store, secrets)
    ///     .with_absolute_timeout(hours(8))
    /// #   .with_clock(clock.clone())
    ///     .build()?;
    /// let mut browser = Browser::new(sessions);
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// clock.advance(hours(7));
    /// assert!(browser.visit(async |session| Ok(session.contains_key("user"))).await?);
    /// clock.advance(hours(1)); // just active, and over all the same
    /// assert!(!browser.visit(async |session| Ok(session.contains_key("user"))).await?);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_absolute_timeout(mut self, timeout: Duration) -> Self {
        self.options.absolute_timeout = Some(timeout);
        self
    }

    /// Moves a session's expiry in the store at most once per `window`; by
    /// default every request moves it. Mirrors `touchAfter` of connect-mongo.
    ///
    /// A session may expire up to `window` earlier after its last request than
    /// its max age says, but never by more than half of that. Within `window` the layer goes by
    /// what it knows: if another process has shortened a session's life in the store without
    /// saving it, as Express does where a handler changes nothing but `maxAge`, that may be noticed
    /// when the window ends.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// # use sessile_core::CookieOptions;
    /// # use sessile_testkit::{FaultyStore, Op, TestClock};
    /// # use std::time::Duration;
    /// # let clock = TestClock::new();
    /// # let store = FaultyStore::new(ReferenceStore::with_clock(clock.clone()));
    /// let minutes = |n: u64| Duration::from_secs(n * 60);
    /// let sessions: Sessions = Builder::new(store.clone(), secrets)
    ///     .with_cookie(CookieOptions::default().with_max_age(minutes(60)))
    ///     .with_touch_after(minutes(5))
    /// #   .with_clock(clock.clone())
    ///     .build()?;
    /// let mut browser = Browser::new(sessions);
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// for _ in 0..30 {
    ///     clock.advance(minutes(1));
    ///     browser.visit(async |_| Ok(())).await?;
    /// }
    /// assert_eq!(store.calls(Op::Touch), 6); // without the option: 30
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_touch_after(mut self, window: Duration) -> Self {
        self.options.touch_after = Some(window);
        self
    }

    /// Keeps this layer's sessions apart from those of other layers on the same
    /// store: `namespace` stands before the id there. Empty by default. In Express the store's own
    /// prefix does this.
    ///
    /// Without it two layers with one secret accept each other's tickets.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// # use sessile_core::{SessionId, SessionStore};
    /// # use sessile_testkit::CountingIds;
    /// let sessions: Sessions = Builder::new(store.clone(), secrets)
    ///     .with_namespace("shop:")
    /// #   .with_id_generator(CountingIds::new())
    ///     .build()?;
    /// let mut browser = Browser::new(sessions);
    /// let id = browser.visit(async |session| session.insert("user", 7).and(session.id())).await?;
    /// assert_eq!(id.as_str(), "sid-1");
    /// assert!(store.load(&SessionId::new("shop:sid-1")).await?.is_some());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.options.namespace = namespace.into();
        self
    }

    /// Decides what happens when requests change one session at once; [`Concurrency::Merge`] by
    /// default. Express always does what [`Concurrency::LastWriteWins`] does, and revives the dead too.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// # use sessile_core::{Concurrency, ErrorKind};
    /// let sessions: Sessions =
    ///     Builder::new(store, secrets).with_concurrency(Concurrency::Reject).build()?;
    /// let mut browser = Browser::new(sessions);
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    ///
    /// let mut other = browser.clone(); // another tab
    /// let late = browser.visit(async |session| {
    ///     other.visit(async |session| session.insert("theme", "dark")).await?;
    ///     session.insert("theme", "light")
    /// });
    /// assert_eq!(late.await.unwrap_err().kind(), ErrorKind::Conflict);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: Concurrency) -> Self {
        self.options.concurrency = concurrency;
        self
    }

    /// Decides what a request gets when the store fails; [`OnStoreError::Unavailable`] by default.
    /// Express hands a failed load to `next(error)`, and hides a failed save behind the response.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// # use sessile_core::OnStoreError;
    /// # use sessile_testkit::{FaultyStore, Op};
    /// # let store = FaultyStore::new(store);
    /// let sessions: Sessions = Builder::new(store.clone(), secrets)
    ///     .with_on_store_error(OnStoreError::Anonymous)
    ///     .build()?;
    /// let mut browser = Browser::new(sessions);
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    ///
    /// store.fail(Op::Load);
    /// assert!(browser.visit(async |session| Ok(session.is_read_only())).await?);
    /// store.recover();
    /// assert_eq!(browser.visit(async |session| session.get("user")).await?, Some(7));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_on_store_error(mut self, on_store_error: OnStoreError) -> Self {
        self.options.on_store_error = on_store_error;
        self
    }

    /// Waits this long for each answer of the store; 5 seconds by default. Express waits for ever.
    ///
    /// [`build`](Self::build) refuses zero.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// # use sessile_core::ErrorKind;
    /// # use sessile_testkit::{FaultyStore, Op};
    /// # use std::time::Duration;
    /// # let store = FaultyStore::new(store);
    /// let sessions: Sessions = Builder::new(store.clone(), secrets)
    ///     .with_store_timeout(Duration::from_millis(20))
    ///     .build()?;
    /// store.hang(Op::Save);
    /// let outcome = Browser::new(sessions).visit(async |session| session.insert("user", 7)).await;
    /// assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_store_timeout(mut self, timeout: Duration) -> Self {
        self.options.store_timeout = timeout;
        self
    }

    /// Refuses sessions whose record, as JSON text, is longer than so many bytes; 1 MiB by default.
    ///
    /// A stored record that is longer already is no session. [`build`](Self::build) refuses zero.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// # use sessile_core::ErrorKind;
    /// let sessions: Sessions = Builder::new(store, secrets).with_max_record_bytes(4096).build()?;
    /// let mut browser = Browser::new(sessions);
    /// let outcome = browser.visit(async |session| session.insert("note", "x".repeat(5000))).await;
    /// assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Encode);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_max_record_bytes(mut self, bytes: usize) -> Self {
        self.options.max_record_bytes = bytes;
        self
    }

    /// Asks another clock; [`SystemClock`] by default. For tests.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = ReferenceStore::new();
    /// # use sessile_core::CookieOptions;
    /// use sessile_testkit::TestClock;
    /// use std::time::Duration;
    ///
    /// let (clock, hour) = (TestClock::new(), Duration::from_secs(3600));
    /// let sessions: Sessions = Builder::new(ReferenceStore::with_clock(clock.clone()), secrets)
    ///     .with_cookie(CookieOptions::default().with_max_age(hour))
    ///     .with_clock(clock.clone())
    ///     .build()?;
    /// let mut browser = Browser::new(sessions);
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// clock.advance(hour); // no test waits for it
    /// assert!(browser.visit(async |session| Ok(session.is_new())).await?);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }
}

impl<L> fmt::Debug for Builder<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("store", &self.store)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
