//! The life of a request's session: ticket, load, commit. Every framework's layer calls these.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use http::request::Parts;
use http::{Extensions, HeaderMap, Request, header};

use crate::builder::Builder;
use crate::commit::Policy;
use crate::cookie::{Attributes, KnownCookie, cookies_named};
use crate::guard::Guard;
use crate::locks::Locks;
use crate::options::{ChooseCookie, CookieSource, Options};
use crate::path::path_matches;
use crate::share::Share;
use crate::tickets::Tickets;
use crate::touches::Touches;
use crate::verified::Verified;
use crate::visit::Visit;
use crate::{
    Clock, CookieOptions, Error, Https, IdGenerator, Secrets, SessionCookie, SessionHandle,
    TrustProxy, events,
};

/// Everything a layer knows: store, secrets and options. Cheap to clone.
///
/// Frameworks without a layer of their own call [`begin`](Self::begin) before
/// the handler and [`SessionHandle::commit`] after it.
///
/// ```
/// use sessile_core::{Builder, Error, Secrets, Sessions};
/// use http::{HeaderMap, Request};
/// # use sessile_testkit::ReferenceStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let store = ReferenceStore::new();
/// let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
/// let sessions: Sessions = Builder::new(store, secrets).build()?;
///
/// let (request, ()) = Request::new(()).into_parts();
/// let mut response = HeaderMap::new();
/// if let Some(handle) = sessions.begin(&request, request.uri.path())? {
///     handle.load().await?.insert("user", 7)?; // what the handler does
///     handle.commit(&mut response).await?;
/// }
/// assert!(response.contains_key("set-cookie"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Sessions(Share<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Guard,
    pub(crate) secrets: Secrets,
    pub(crate) options: Options,
    pub(crate) policy: Policy,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdGenerator>,
    verified: Verified,
    pub(crate) touches: Option<Touches>,
    /// A clone for each touch that goes on behind its response.
    pub(crate) touches_behind: Arc<()>,
    pub(crate) locks: Locks,
    cookie: Source,
    warned_undeliverable: AtomicBool,
}

/// Where cookies come from, with what can be computed once computed.
enum Source {
    Fixed(Box<Fixed>),
    PerRequest,
}

struct Fixed {
    baker: Baker,
    /// How its cookies are written, over a secure connection and over another.
    written: (KnownCookie, KnownCookie),
}

impl Fixed {
    fn new(options: CookieOptions) -> Self {
        let baker = Baker::new(options);
        let written = (KnownCookie::new(&baker.secure), KnownCookie::new(&baker.plain));
        Self { baker, written }
    }
}

/// Cookie options and the attributes they give.
pub(crate) struct Baker {
    options: CookieOptions,
    path: String,
    secure: Attributes,
    plain: Attributes,
}

impl Baker {
    fn new(options: CookieOptions) -> Self {
        let (secure, plain) = (options.resolve(true), options.resolve(false));
        Self { path: options.path(), options, secure, plain }
    }

    fn attributes(&self, connection_is_secure: bool) -> &Attributes {
        if connection_is_secure { &self.secure } else { &self.plain }
    }

    pub(crate) fn bake(
        &self,
        connection_is_secure: bool,
        now: impl FnOnce() -> SystemTime,
    ) -> SessionCookie {
        self.options.bake(self.attributes(connection_is_secure).clone(), now)
    }

    /// Gives `cookie` these attributes if its own are others, and this
    /// connection can carry them to the browser.
    pub(crate) fn refresh(&self, cookie: &mut SessionCookie, connection_is_secure: bool) -> bool {
        let wanted = self.attributes(connection_is_secure);
        if self.options.describes(cookie.attributes(), wanted) {
            return false;
        }
        if wanted.secure() && !connection_is_secure {
            return self.mend(cookie, connection_is_secure);
        }
        cookie.set_attributes(wanted.clone());
        true
    }

    /// Gives `cookie` these attributes if its own make no header.
    pub(crate) fn mend(&self, cookie: &mut SessionCookie, connection_is_secure: bool) -> bool {
        let wanted = self.attributes(connection_is_secure);
        let broken = !cookie.attributes().same_text(wanted)
            && cookie.write_header(&mut String::new(), "name", |_| (), None).is_err();
        if broken {
            cookie.set_attributes(wanted.clone());
        }
        broken
    }
}

impl Sessions {
    pub(crate) fn new<L>(builder: Builder<L>) -> Self {
        let Builder { store, secrets, options, clock, ids, .. } = builder;
        let cookie = match &options.cookie {
            CookieSource::Fixed(cookie) => Source::Fixed(Box::new(Fixed::new(cookie.clone()))),
            CookieSource::PerRequest(_) => Source::PerRequest,
        };
        Self(Share::new(Inner {
            store: Guard::new(store, options.namespace.clone(), options.store_timeout),
            secrets,
            policy: Policy {
                save_uninitialized: options.save_uninitialized,
                rolling: options.rolling,
                unset: options.unset,
            },
            verified: Verified::new(),
            touches: options.touch_after.map(Touches::new),
            touches_behind: Arc::default(),
            options,
            clock,
            ids,
            locks: Locks::default(),
            cookie,
            warned_undeliverable: AtomicBool::new(false),
        }))
    }

    /// Reads the request's ticket; asks no store. `None` if the request's path
    /// lies outside the cookie's.
    ///
    /// `path` is the path that the client asked for, which a router may have cut.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the cookie options
    /// made for this request are ones that browsers refuse.
    ///
    /// ```
    /// # use sessile_core::{Builder, CookieOptions, Error, Secrets, Sessions};
    /// # use sessile_testkit::{FaultyStore, ReferenceStore};
    /// # fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = FaultyStore::new(ReferenceStore::new());
    /// let sessions: Sessions = Builder::new(store.clone(), secrets)
    ///     .with_cookie(CookieOptions::default().with_path("/shop"))
    ///     .build()?;
    /// let (request, ()) = http::Request::new(()).into_parts();
    /// assert!(sessions.begin(&request, "/shop/cart")?.is_some());
    /// assert!(sessions.begin(&request, "/about")?.is_none());
    /// assert_eq!(store.round_trips(), 0);
    /// # Ok(()) }
    /// ```
    pub fn begin(&self, request: &Parts, path: &str) -> Result<Option<SessionHandle>, Error> {
        self.begin_with(&request.headers, &request.extensions, path, |choose| choose(request))
    }

    /// As [`begin`](Self::begin), for a request in one piece. It is copied, but for
    /// its body, if the cookie options are a function of it.
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin).
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::ReferenceStore;
    /// # fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// let sessions: Sessions = Builder::new(ReferenceStore::new(), secrets).build()?;
    /// let request = http::Request::new("a body");
    /// assert!(sessions.begin_whole(&request, request.uri().path())?.is_some());
    /// # Ok(()) }
    /// ```
    pub fn begin_whole<B>(
        &self,
        request: &Request<B>,
        path: &str,
    ) -> Result<Option<SessionHandle>, Error> {
        let (headers, extensions) = (request.headers(), request.extensions());
        self.begin_with(headers, extensions, path, |choose| choose(&head_of(request)))
    }

    fn begin_with(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
        path: &str,
        ask: impl FnOnce(&ChooseCookie) -> CookieOptions,
    ) -> Result<Option<SessionHandle>, Error> {
        let inner = &*self.0;
        let own_baker = match &inner.options.cookie {
            CookieSource::Fixed(_) => None,
            CookieSource::PerRequest(choose) => {
                let options = ask(&**choose);
                options.check(&inner.options.name)?;
                Some(Box::new(Baker::new(options)))
            }
        };
        let cookie_path = match (&own_baker, &inner.cookie) {
            (Some(baker), _) => baker.path.as_str(),
            (None, Source::Fixed(fixed)) => fixed.baker.path.as_str(),
            (None, Source::PerRequest) => "/",
        };
        if !path_matches(path, cookie_path) {
            return Ok(None);
        }
        let secure = inner.options.trust_proxy.is_secure(headers, extensions);
        let mut visit = Visit::begin(self.0.clone(), secure, own_baker);
        inner.find_tickets(headers, &mut visit.visitor.tickets);
        Ok(Some(SessionHandle::new(visit.shareable())))
    }
}

/// Copies all of a request but its body, for options that are made of it.
fn head_of<B>(request: &Request<B>) -> Parts {
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = request.method().clone();
    head.uri = request.uri().clone();
    head.version = request.version();
    head.headers = request.headers().clone();
    head.extensions = request.extensions().clone();
    head
}

impl Inner {
    /// Tries every cookie of our name: a stale one from another path must not hide the valid one.
    fn find_tickets(&self, headers: &HeaderMap, tickets: &mut Tickets) {
        let mut seen = false;
        for header in headers.get_all(header::COOKIE) {
            for raw in cookies_named(header.as_bytes(), &self.options.name) {
                seen = true;
                if tickets.is_full() {
                    return;
                }
                if let Some(id) = self.verified.find(raw) {
                    tickets.push(id);
                } else if let Some(id) = self.secrets.verify(raw) {
                    self.verified.keep(raw, &id);
                    tickets.push(id.as_str());
                }
            }
        }
        if seen && tickets.is_empty() {
            events::bad_signature();
        }
    }

    pub(crate) fn baker<'b>(&'b self, own: Option<&'b Baker>) -> Option<&'b Baker> {
        match (own, &self.cookie) {
            (Some(baker), _) => Some(baker),
            (None, Source::Fixed(fixed)) => Some(&fixed.baker),
            (None, Source::PerRequest) => None,
        }
    }

    /// How a cookie is written that has the attributes of this layer.
    pub(crate) fn written_cookie(&self, connection_is_secure: bool) -> Option<&KnownCookie> {
        let Source::Fixed(fixed) = &self.cookie else { return None };
        let (secure, plain) = &fixed.written;
        Some(if connection_is_secure { secure } else { plain })
    }

    pub(crate) fn cookie_is_fixed(&self) -> bool {
        matches!(self.cookie, Source::Fixed(_))
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    pub(crate) fn report_undeliverable(&self) {
        events::undeliverable(!self.warned_undeliverable.swap(true, Ordering::Relaxed));
    }
}

impl TrustProxy {
    fn is_secure(self, headers: &HeaderMap, extensions: &Extensions) -> bool {
        extensions.get::<Https>().is_some()
            || match self {
                Self::AssumeHttps => true,
                Self::Forwarded => first_value(headers, "forwarded").is_some_and(|element| {
                    element.split(';').any(|pair| {
                        pair.split_once('=').is_some_and(|(name, value)| {
                            name.trim().eq_ignore_ascii_case("proto")
                                && value.trim().trim_matches('"').eq_ignore_ascii_case("https")
                        })
                    })
                }),
                Self::Never => false,
                Self::XForwardedProto => first_value(headers, "x-forwarded-proto")
                    .is_some_and(|proto| proto.eq_ignore_ascii_case("https")),
            }
    }
}

/// The first of a list that each proxy on the way adds to: the browser's own connection.
fn first_value<'r>(headers: &'r HeaderMap, name: &str) -> Option<&'r str> {
    let list = headers.get(name)?.to_str().ok()?;
    list.split(',').next().map(str::trim)
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("options", &self.0.options)
            .field("secrets", &self.0.secrets)
            .finish_non_exhaustive()
    }
}
