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
/// use sessile_core::{Builder, CookieOptions, Secrets, Sessions};
/// use std::time::Duration;
///
/// # fn layer(store: impl sessile_core::SessionStore) -> Result<(), sessile_core::Error> {
/// let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
/// let sessions: Sessions = Builder::new(store, secrets)
///     .with_cookie(CookieOptions::default().with_max_age(Duration::from_secs(3600)))
///     .with_rolling(true)
///     .build()?;
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
    pub fn express(store: impl SessionStore, secrets: Secrets) -> Self {
        Self { options: Options::express(), ..Self::new(store, secrets) }
    }

    /// Builds with the default options, which need no check.
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
    pub fn build(self) -> Result<L, Error> {
        self.options.check()?;
        Ok(Sessions::new(self).into())
    }

    /// Names the cookie; `connect.sid` by default. Mirrors `name`.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.options.name = name.into();
        self
    }

    /// Sets the cookie's attributes. Mirrors `cookie`.
    #[must_use]
    pub fn with_cookie(mut self, cookie: CookieOptions) -> Self {
        self.options.cookie = CookieSource::Fixed(cookie);
        self
    }

    /// Decides the cookie's attributes for each request. Mirrors `cookie` as a function of the request.
    ///
    /// A combination that browsers refuse fails the request with 500.
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
    #[must_use]
    pub fn with_resave(mut self, resave: bool) -> Self {
        self.options.resave = resave;
        self
    }

    /// Sends the cookie with every response, so that its expiry moves along; off by default. Mirrors `rolling`.
    ///
    /// Without it an expiry that the browser knows stays where the last
    /// change of the session put it, while the store's moves with every request.
    #[must_use]
    pub fn with_rolling(mut self, rolling: bool) -> Self {
        self.options.rolling = rolling;
        self
    }

    /// Stores new sessions that hold nothing, and sends their cookie; off by default. Mirrors `saveUninitialized`.
    #[must_use]
    pub fn with_save_uninitialized(mut self, save_uninitialized: bool) -> Self {
        self.options.save_uninitialized = save_uninitialized;
        self
    }

    /// Decides what `unset` does; [`Unset::Keep`] by default. Mirrors `unset`.
    #[must_use]
    pub fn with_unset(mut self, unset: Unset) -> Self {
        self.options.unset = unset;
        self
    }

    /// Makes the ids of new sessions; [`RandomIds`] by default. Mirrors `genid`.
    #[must_use]
    pub fn with_id_generator(mut self, ids: impl IdGenerator) -> Self {
        self.ids = Arc::new(ids);
        self
    }

    /// Decides whose word counts on whether a connection is secure; nobody's by default. Mirrors `proxy`.
    #[must_use]
    pub fn with_trust_proxy(mut self, trust_proxy: TrustProxy) -> Self {
        self.options.trust_proxy = trust_proxy;
        self
    }

    /// Ends every session this long after its birth, however active it is; never by default.
    ///
    /// The birth is kept in the record under `__createdAt`. A session from
    /// before the option was set counts from its first request after.
    #[must_use]
    pub fn with_absolute_timeout(mut self, timeout: Duration) -> Self {
        self.options.absolute_timeout = Some(timeout);
        self
    }

    /// Moves a session's expiry in the store at most once per `window`; by
    /// default every request moves it. Mirrors `touchAfter` of connect-mongo.
    ///
    /// A session may expire up to `window` earlier after its last request than
    /// its max age says, but never by more than half of that.
    #[must_use]
    pub fn with_touch_after(mut self, window: Duration) -> Self {
        self.options.touch_after = Some(window);
        self
    }

    /// Keeps this layer's sessions apart from those of other layers on the same
    /// store: `namespace` stands before the id there. Empty by default.
    ///
    /// Without it two layers with one secret accept each other's tickets.
    #[must_use]
    pub fn with_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.options.namespace = namespace.into();
        self
    }

    /// Decides what happens when requests change one session at once; [`Concurrency::Merge`] by default.
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: Concurrency) -> Self {
        self.options.concurrency = concurrency;
        self
    }

    /// Decides what a request gets when the store fails; [`OnStoreError::Unavailable`] by default.
    #[must_use]
    pub fn with_on_store_error(mut self, on_store_error: OnStoreError) -> Self {
        self.options.on_store_error = on_store_error;
        self
    }

    /// Waits this long for each answer of the store; 5 seconds by default.
    #[must_use]
    pub fn with_store_timeout(mut self, timeout: Duration) -> Self {
        self.options.store_timeout = timeout;
        self
    }

    /// Refuses sessions whose record is larger; 1 MiB by default.
    #[must_use]
    pub fn with_max_record_bytes(mut self, bytes: usize) -> Self {
        self.options.max_record_bytes = bytes;
        self
    }

    /// Asks another clock; for tests.
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
