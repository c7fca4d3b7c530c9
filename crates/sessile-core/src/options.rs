//! What an application can choose, under Express's names.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;

use crate::{CookieOptions, Error};

/// The options of a session layer. Mirrors the argument of `session({…})`.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) name: String,
    pub(crate) cookie: CookieSource,
    pub(crate) resave: bool,
    pub(crate) rolling: bool,
    pub(crate) save_uninitialized: bool,
    pub(crate) unset: Unset,
    pub(crate) trust_proxy: TrustProxy,
    pub(crate) absolute_timeout: Option<Duration>,
    pub(crate) touch_after: Option<Duration>,
    pub(crate) namespace: String,
    pub(crate) concurrency: Concurrency,
    pub(crate) on_store_error: OnStoreError,
    pub(crate) max_record_bytes: usize,
    pub(crate) store_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "connect.sid".into(),
            cookie: CookieSource::Fixed(CookieOptions::default()),
            resave: false,
            rolling: false,
            save_uninitialized: false,
            unset: Unset::Keep,
            trust_proxy: TrustProxy::Never,
            absolute_timeout: None,
            touch_after: None,
            namespace: String::new(),
            concurrency: Concurrency::Merge,
            on_store_error: OnStoreError::Unavailable,
            max_record_bytes: 1024 * 1024,
            store_timeout: Duration::from_secs(5),
        }
    }
}

impl Options {
    /// What Express does when told nothing.
    pub(crate) fn express() -> Self {
        Self {
            cookie: CookieSource::Fixed(CookieOptions::express()),
            resave: true,
            save_uninitialized: true,
            ..Self::default()
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.max_record_bytes == 0 {
            return Err(Error::config("a record limit of 0 bytes would refuse every session"));
        }
        if self.store_timeout.is_zero() {
            return Err(Error::config("a store deadline of zero would fail every request"));
        }
        match &self.cookie {
            CookieSource::Fixed(cookie) => cookie.check(&self.name),
            CookieSource::PerRequest(_) => {
                CookieOptions::express().with_secure(crate::Secure::Always).check(&self.name)
            }
        }
    }
}

/// Where the cookie's attributes come from.
#[derive(Clone)]
pub(crate) enum CookieSource {
    Fixed(CookieOptions),
    PerRequest(Arc<ChooseCookie>),
}

pub(crate) type ChooseCookie = dyn Fn(&Parts) -> CookieOptions + Send + Sync;

impl fmt::Debug for CookieSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(options) => options.fmt(f),
            Self::PerRequest(_) => f.write_str("PerRequest(..)"),
        }
    }
}

/// What becomes of the stored session when a handler calls [`Session::unset`](crate::Session::unset). Mirrors `unset`.
///
/// ```
/// use sessile_core::Unset;
/// # use sessile_testkit::Browser;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sessile_core::Error> {
/// for (unset, is_known) in [(Unset::Keep, true), (Unset::Destroy, false)] {
///     let mut browser = Browser::with_options(|sessions| sessions.with_unset(unset))?;
///     browser.visit(async |session| session.insert("user", 7)).await?;
///     browser.visit(async |session| session.unset()).await?;
///     let user: Option<u32> = browser.visit(async |session| session.get("user")).await?;
///     assert_eq!(user.is_some(), is_known);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "Express knows these two")]
pub enum Unset {
    /// It is destroyed.
    Destroy,
    /// It stays as it was; the request's changes are dropped.
    #[default]
    Keep,
}

/// Whose word counts on whether the browser's connection is secure. Mirrors `proxy`.
///
/// A connection that ended TLS in this process is secure whatever this says;
/// see [`Https`].
///
/// ```
/// use sessile_core::TrustProxy;
/// # use http::{HeaderName, HeaderValue};
/// # use sessile_testkit::Browser;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sessile_core::Error> {
/// # let header = HeaderName::from_static("x-forwarded-proto");
/// # let https = HeaderValue::from_static("https");
/// for (trust_proxy, is_secure) in [
///     (TrustProxy::Never, false), // anybody can send a header
///     (TrustProxy::XForwardedProto, true),
///     (TrustProxy::Forwarded, false), // this request has only the other header
///     (TrustProxy::AssumeHttps, true),
/// ] {
///     let mut browser = Browser::with_options(|sessions| sessions.with_trust_proxy(trust_proxy))?;
/// #   browser = browser.with_header(header.clone(), https.clone());
///     browser.visit(async |session| session.insert("user", 7)).await?;
///     assert_eq!(browser.set_cookie().unwrap().contains("; Secure"), is_secure);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum TrustProxy {
    /// Every request came over HTTPS: a proxy that adds no header lets nothing else through.
    AssumeHttps,
    /// The first `proto` of the header `Forwarded` (RFC 7239).
    Forwarded,
    /// Nobody's: headers prove nothing.
    #[default]
    Never,
    /// The first value of the header `X-Forwarded-Proto`. Express's `proxy: true`.
    /// The proxy must overwrite the header: what it appends to, the client wrote.
    XForwardedProto,
}

/// Marks a request whose TLS ended in this process; put it into the request's extensions.
///
/// ```
/// # use sessile_core::{Builder, Error, Secrets, Sessions};
/// # use sessile_testkit::ReferenceStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
/// # let sessions: Sessions = Builder::with_defaults(ReferenceStore::new(), secrets);
/// use sessile_core::Https;
///
/// let (mut request, ()) = http::Request::new(()).into_parts();
/// request.extensions.insert(Https); // the acceptor knows
/// # let handle = sessions.begin(&request, "/")?.unwrap();
/// # handle.load().await?.insert("user", 7)?;
/// # let mut headers = http::HeaderMap::new();
/// # handle.commit(&mut headers).await?;
/// assert!(headers["set-cookie"].to_str().unwrap().contains("; Secure"));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "it is a mark, and says all by being there")]
pub struct Https;

/// What happens when two requests change one session at the same time.
///
/// ```
/// use sessile_core::Concurrency;
/// # use sessile_core::ErrorKind;
/// # use sessile_testkit::Browser;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sessile_core::Error> {
/// for (concurrency, kept) in [
///     (Concurrency::Merge, &["user", "a", "b"][..]),
///     (Concurrency::LastWriteWins, &["user", "b"]),
///     (Concurrency::Reject, &["user", "a"]),
/// ] {
///     let mut browser = Browser::with_options(|sessions| sessions.with_concurrency(concurrency))?;
///     browser.visit(async |session| session.insert("user", 7)).await?;
///     let mut other = browser.clone();
///     let late = browser.visit(async |session| {
///         other.visit(async |session| session.insert("a", 1)).await?; // meanwhile
///         session.insert("b", 2)
///     });
///     assert_eq!(late.await.is_err(), concurrency == Concurrency::Reject);
///     assert_eq!(browser.visit(async |session| Ok(session.keys())).await?, kept);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Concurrency {
    /// The later save overwrites the earlier one, as in Express. A destroyed session stays gone all the same.
    LastWriteWins,
    /// Requests of one session wait for each other, within this process.
    /// Between processes changes are merged.
    Lock,
    /// The later save applies its changes to what the earlier one left:
    /// different keys never collide, and `update` closures run again.
    #[default]
    Merge,
    /// The later request fails with 409.
    Reject,
}

/// What a request gets when the store fails.
///
/// ```
/// use sessile_core::OnStoreError;
/// # use sessile_core::{Builder, Error, Secrets, Sessions};
/// # use sessile_testkit::{Browser, FaultyStore, Op, ReferenceStore};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
/// for (on_store_error, status) in
///     [(OnStoreError::Unavailable, Some(503)), (OnStoreError::Anonymous, None)]
/// {
///     let store = FaultyStore::new(ReferenceStore::new());
///     let sessions = Builder::<Sessions>::new(store.clone(), secrets.clone());
///     let mut browser = Browser::new(sessions.with_on_store_error(on_store_error).build()?);
///     browser.visit(async |session| session.insert("user", 7)).await?;
///
///     store.fail(Op::Load);
///     let user = browser.visit(async |session| session.get::<u32>("user")).await;
///     assert_eq!(user.as_ref().err().map(|error| error.status().as_u16()), status);
///     assert_eq!(user.unwrap_or_default(), None);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum OnStoreError {
    /// An empty session that cannot be changed. None is created and none is
    /// erased; who was logged in is again when the store is back.
    Anonymous,
    /// 503 with `Retry-After`.
    #[default]
    Unavailable,
}
