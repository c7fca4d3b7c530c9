//! What a handler holds: the session of its request.
//!
//! Mirrors `session/session.js`: the verbs are Express's.

use std::cell::LazyCell;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::data::{Change, Data, Quoted};
use crate::keys::is_reserved;
use crate::sessions::{Baker, Inner};
use crate::share::Share;
use crate::state::{Live, Phase, State};
use crate::tickets::Tickets;
use crate::{Error, ErrorKind, Key, SessionCookie, SessionId, events, json};

/// One request's dealings with its session.
pub(crate) struct Visit {
    pub(crate) visitor: Visitor,
    state: Mutex<State>,
}

/// Who asks: what the request said, and the layer that it came to.
pub(crate) struct Visitor {
    share: Share<Inner>,
    pub(crate) tickets: Tickets,
    pub(crate) connection_is_secure: bool,
    own_baker: Option<Box<Baker>>,
}

/// A visit in the hands of its layer, of middleware and of the handler.
pub(crate) type SharedVisit = triomphe::Arc<Visit>;

impl Visit {
    pub(crate) fn new(visitor: Visitor) -> Self {
        Self { visitor, state: Mutex::default() }
    }

    pub(crate) fn inner(&self) -> &Inner {
        self.visitor.inner()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`state`](Self::state), for the only one who has it: that takes no lock.
    pub(crate) fn parts(&mut self) -> (&Visitor, &mut State) {
        (&self.visitor, self.state.get_mut().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Visitor {
    pub(crate) fn new(
        share: Share<Inner>,
        tickets: Tickets,
        connection_is_secure: bool,
        own_baker: Option<Box<Baker>>,
    ) -> Self {
        Self { share, tickets, connection_is_secure, own_baker }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.share
    }

    /// Gives a loaded session's cookie the attributes of a redeployed layer.
    /// Attributes that depend on the request have no one right value; they are
    /// only mended.
    pub(crate) fn refresh(&self, cookie: &mut SessionCookie) -> bool {
        let (inner, secure) = (self.inner(), self.connection_is_secure);
        let Some(baker) = inner.baker(self.own_baker.as_deref()) else { return false };
        if inner.cookie_is_fixed() {
            baker.refresh(cookie, secure)
        } else {
            baker.mend(cookie, secure)
        }
    }

    pub(crate) fn generate_id(&self) -> Result<SessionId, Error> {
        let id = self.inner().ids.generate()?;
        if id.as_str().is_empty() {
            return Err(Error::config("the id generator gave an empty id, which names no session"));
        }
        Ok(id)
    }

    /// Makes a session that no store has yet.
    pub(crate) fn new_session(&self) -> Result<Box<Live>, Error> {
        let inner = self.inner();
        let clock = LazyCell::new(|| inner.now());
        let now = || *clock;
        let baker = inner.baker(self.own_baker.as_deref());
        let baker = baker.ok_or_else(|| Error::config("the request has no cookie options"))?;
        let cookie = baker.bake(self.connection_is_secure, now);
        let mut live = Box::new(Live::born(self.generate_id()?, cookie, Data::new()));
        if inner.options.absolute_timeout.is_some() {
            live.set_created_at(now());
            live.touch_cookie(now, inner.options.absolute_timeout);
        }
        Ok(live)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let (_, state) = self.parts();
        if let Phase::Live(live) = &state.phase
            && live.has_unsaved_changes()
        {
            events::unsaved(state.committed);
        }
    }
}

/// A request's session before anybody looked at it: what middleware finds in
/// the request's extensions.
///
/// ```
/// use sessile_core::{Error, SessionHandle};
///
/// async fn is_logged_in(request: &http::Request<()>) -> Result<bool, Error> {
///     let Some(handle) = request.extensions().get::<SessionHandle>() else { return Ok(false) };
///     Ok(handle.load().await?.contains_key("userID"))
/// }
/// # use sessile_core::{Builder, Secrets, Sessions};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
/// # let store = sessile_testkit::ReferenceStore::new();
/// # let sessions: Sessions = Builder::with_defaults(store, secrets);
/// # let (parts, ()) = http::Request::new(()).into_parts();
/// # let handle = sessions.begin(&parts, "/")?.unwrap();
///
/// let mut request = http::Request::new(());
/// assert!(!is_logged_in(&request).await?); // it passed no layer
/// # handle.load().await?.insert("userID", 7)?;
/// # request.extensions_mut().insert(handle);
/// # assert!(is_logged_in(&request).await?);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SessionHandle {
    visit: SharedVisit,
    outer: Option<Arc<Self>>,
}

impl SessionHandle {
    pub(crate) fn new(visitor: Visitor) -> Self {
        Self { visit: SharedVisit::new(Visit::new(visitor)), outer: None }
    }

    pub(crate) fn into_parts(self) -> (SharedVisit, Option<Arc<Self>>) {
        (self.visit, self.outer)
    }

    pub(crate) fn from_parts(visit: SharedVisit, outer: Option<Arc<Self>>) -> Self {
        Self { visit, outer }
    }

    pub(crate) fn visit(&self) -> &Visit {
        &self.visit
    }

    pub(crate) fn shared_visit(&self) -> &SharedVisit {
        &self.visit
    }

    /// Remembers the handle of a layer around this one.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::ReferenceStore;
    /// # fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let (request, ()) = http::Request::new(()).into_parts();
    /// # let sessions = |name: &str| -> Result<Sessions, Error> {
    /// #     Builder::new(ReferenceStore::new(), secrets.clone()).with_name(name).build()
    /// # };
    /// # let outer = sessions("site")?.begin(&request, "/")?;
    /// # let inner = sessions("admin")?.begin(&request, "/")?.unwrap();
    /// assert!(inner.named("site").is_none());
    /// assert!(inner.inside(outer).named("site").is_some());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn inside(mut self, outer: Option<Self>) -> Self {
        self.outer = outer.map(Arc::new);
        self
    }

    /// Returns the handle of the layer whose cookie is called `name`, of several around a handler.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = sessile_testkit::ReferenceStore::new();
    /// # let (request, ()) = http::Request::new(()).into_parts();
    /// let sessions: Sessions = Builder::new(store, secrets).with_name("admin").build()?;
    /// let handle = sessions.begin(&request, "/")?.unwrap();
    /// assert!(handle.named("admin").is_some());
    /// assert!(handle.named("connect.sid").is_none());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Self> {
        if self.visit.inner().options.name == name {
            return Some(self);
        }
        self.outer.as_deref().and_then(|outer| outer.named(name))
    }

    /// Loads the session, the first time from the store; from then on it is at hand.
    /// If the store fails, this request does not ask it again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the store fails, unless the layer answers
    /// that with [`OnStoreError::Anonymous`](crate::OnStoreError::Anonymous).
    /// No session is not an error: it is a new, empty one.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, ErrorKind, Secrets, Sessions};
    /// # use sessile_testkit::{FaultyStore, Op, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = FaultyStore::new(ReferenceStore::new());
    /// # let (mut request, ()) = http::Request::new(()).into_parts();
    /// # let ticket = format!("connect.sid=s:{}", secrets.sign("sid-1"));
    /// # request.headers.insert("cookie", ticket.parse().unwrap());
    /// # let sessions: Sessions = Builder::with_defaults(store.clone(), secrets);
    /// let handle = sessions.begin(&request, "/")?.unwrap();
    /// assert!(handle.load().await?.is_new()); // the store does not know the ticket's session
    /// handle.load().await?;
    /// assert_eq!(store.calls(Op::Load), 1);
    ///
    /// store.fail(Op::Load);
    /// let another = sessions.begin(&request, "/")?.unwrap();
    /// assert_eq!(another.load().await.unwrap_err().kind(), ErrorKind::Unavailable);
    /// # Ok(()) }
    /// ```
    pub async fn load(&self) -> Result<Session, Error> {
        if let Some(loaded) = self.visit.load_at_once() {
            loaded?.named = true;
        } else {
            self.visit.load().await?;
            self.visit.state().named = true;
        }
        Ok(Session(SharedVisit::clone(&self.visit)))
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionHandle(..)")
    }
}

/// The session of a request. Mirrors `req.session`.
///
/// Cheap to clone, and loaded: reading and writing values never waits. What
/// was changed is saved before the first byte of the response leaves. A clone
/// kept after that still works; it must call [`save`](Self::save) itself.
///
/// Values are JSON, under keys that are text:
///
/// ```
/// use sessile_core::{Error, Session};
///
/// async fn buy(session: Session) -> Result<String, Error> {
///     session.insert("address", "12 Shell Road")?;
///     let items = session.update("items", |n: Option<u32>| n.unwrap_or(0) + 1)?;
///     let address: Option<String> = session.get("address")?;
///     Ok(format!("{items} to {}", address.unwrap_or_default()))
/// }
/// # use sessile_testkit::Browser;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sessile_core::Error> {
/// let mut browser = Browser::default();
/// assert_eq!(browser.visit(buy).await?, "1 to 12 Shell Road");
/// assert_eq!(browser.visit(buy).await?, "2 to 12 Shell Road");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Session(pub(crate) SharedVisit);

#[expect(clippy::needless_pass_by_value, reason = "keys are borrowed text, or copied")]
impl Session {
    /// Returns the value under `key`, `None` if there is none. Mirrors `req.session.key`.
    ///
    /// A destroyed session has no values.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`] if the value is not a `T`.
    ///
    /// ```
    /// # use sessile_core::ErrorKind;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # sessile_testkit::Browser::default().visit(async |session| {
    /// session.insert("cart", ["pen", "ink"])?;
    /// let cart: Option<Vec<String>> = session.get("cart")?;
    /// assert_eq!(cart.unwrap(), ["pen", "ink"]);
    /// assert_eq!(session.get::<u32>("nothing")?, None);
    /// assert_eq!(session.get::<u32>("cart").unwrap_err().kind(), ErrorKind::Decode);
    /// # Ok(()) }).await }
    /// ```
    pub fn get<T: DeserializeOwned>(&self, key: impl Key<T>) -> Result<Option<T>, Error> {
        let key = key.name();
        let state = self.0.state();
        let Some(text) = state.readable().and_then(|live| live.data.get(key)) else {
            return Ok(None);
        };
        decode_value(key, text).map(Some)
    }

    /// Sets the value under `key`. Mirrors `req.session.key = value`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`] if the value does not serialise or the key is one
    /// that Express keeps for itself (`cookie`, `id`, `save`, …);
    /// [`ErrorKind::Gone`] if the session was destroyed.
    ///
    /// ```
    /// # use sessile_core::ErrorKind;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # sessile_testkit::Browser::default().visit(async |session| {
    /// session.insert("theme", "dark")?;
    /// session.insert("theme", "light")?;
    /// assert_eq!(session.get("theme")?, Some("light".to_owned()));
    /// assert_eq!(session.insert("cookie", 1).unwrap_err().kind(), ErrorKind::Encode);
    /// # Ok(()) }).await }
    /// ```
    pub fn insert<T: Serialize>(&self, key: impl Key<T>, value: T) -> Result<(), Error> {
        let key = key.name();
        check_key(key)?;
        let text = json::to_text(&value)?;
        let mut state = self.0.state();
        let live = state.live()?;
        let is_there = live.data.get(key) == Some(&*text);
        let change = Change::Insert(Quoted::new(key)?, text);
        if is_there {
            live.restate(change);
            return Ok(());
        }
        live.change(change)
    }

    /// Replaces the value under `key` by what `change` makes of it, and returns that.
    ///
    /// If another request saved the session in the meantime, `change` runs
    /// again on what it left, so that a counter is exact under parallel
    /// requests. It must therefore depend on nothing but its argument.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`] if the value is not a `T`; else as [`insert`](Self::insert).
    ///
    /// ```
    /// # use sessile_testkit::Browser;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// let mut browser = Browser::default();
    /// let add = |n: Option<u32>| n.unwrap_or(0) + 1;
    /// browser.visit(async |session| session.update("views", add)).await?;
    ///
    /// let mut other = browser.clone(); // both tabs load at once
    /// browser.visit(async |session| {
    ///     other.visit(async |session| session.update("views", add)).await?;
    ///     session.update("views", add)
    /// }).await?;
    /// assert_eq!(browser.visit(async |session| session.get("views")).await?, Some(3));
    /// # Ok(()) }
    /// ```
    pub fn update<T: Serialize + DeserializeOwned>(
        &self,
        key: impl Key<T>,
        change: impl Fn(Option<T>) -> T + Send + Sync + 'static,
    ) -> Result<T, Error> {
        let key = key.name();
        check_key(key)?;
        let mut state = self.0.state();
        let live = state.live()?;
        let old = live.data.get(key).map(|text| decode_value(key, text)).transpose()?;
        let value = change(old);
        let text = json::to_text(&value)?;
        let quoted = Quoted::new(key)?;
        let again = {
            let name: Box<str> = key.into();
            move |old: Option<&str>| -> Result<Arc<str>, Error> {
                let old = old.map(|text| decode_value(&name, text)).transpose()?;
                json::to_text(&change(old))
            }
        };
        live.change_to(Change::Update(quoted.clone(), Arc::new(again)), &quoted, text);
        Ok(value)
    }

    /// Removes the value under `key`; `true` if there was one. Mirrors `delete req.session.key`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the session was destroyed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # sessile_testkit::Browser::default().visit(async |session| {
    /// session.insert("theme", "dark")?;
    /// assert!(session.remove("theme")?);
    /// assert!(!session.remove("theme")?); // there is none any more
    /// # Ok(()) }).await }
    /// ```
    pub fn remove(&self, key: &str) -> Result<bool, Error> {
        let mut state = self.0.state();
        let live = state.live()?;
        if is_reserved(key) {
            return Ok(false);
        }
        let (is_there, change) = (live.data.get(key).is_some(), Change::Remove(key.into()));
        if is_there {
            live.change(change)?;
        } else {
            live.restate(change);
        }
        Ok(is_there)
    }

    /// Tells whether there is a value under `key`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # sessile_testkit::Browser::default().visit(async |session| {
    /// session.insert("user", 7)?;
    /// assert!(session.contains_key("user"));
    /// assert!(!session.contains_key("cookie")); // that is no value of the session's
    /// # Ok(()) }).await }
    /// ```
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.0.state().readable().is_some_and(|live| live.data.get(key).is_some())
    }

    /// Returns the keys, in the order in which JavaScript lists them.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # sessile_testkit::Browser::default().visit(async |session| {
    /// for key in ["user", "cart", "2", "1"] {
    ///     session.insert(key, 0)?;
    /// }
    /// assert_eq!(session.keys(), ["1", "2", "user", "cart"]); // whole numbers first
    /// # Ok(()) }).await }
    /// ```
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let state = self.0.state();
        let keys = state.readable().map(|live| live.data.keys().map(Into::into).collect());
        keys.unwrap_or_default()
    }

    /// Removes all values; the session itself lives on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the session was destroyed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # sessile_testkit::Browser::default().visit(async |session| {
    /// session.insert("user", 7)?;
    /// let id = session.id()?;
    /// session.clear()?;
    /// assert!(session.keys().is_empty());
    /// assert_eq!(session.id()?, id); // to give it a new one, see `regenerate`
    /// # Ok(()) }).await }
    /// ```
    pub fn clear(&self) -> Result<(), Error> {
        let mut state = self.0.state();
        let live = state.live()?;
        if live.data.is_empty() {
            live.restate(Change::Clear);
            return Ok(());
        }
        live.change(Change::Clear)
    }

    /// Returns the session's id. Mirrors `req.session.id`, `req.sessionID`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the session was destroyed.
    ///
    /// ```
    /// # use sessile_core::ErrorKind;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # sessile_testkit::Browser::default().visit(async |session| {
    /// assert_eq!(session.id()?.as_str().len(), 32);
    /// session.destroy().await?;
    /// assert_eq!(session.id().unwrap_err().kind(), ErrorKind::Gone);
    /// # Ok(()) }).await }
    /// ```
    pub fn id(&self) -> Result<SessionId, Error> {
        self.0.state().live().map(|live| live.id.clone())
    }

    /// Tells whether the session began with this request.
    ///
    /// ```
    /// # use sessile_testkit::Browser;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// let mut browser = Browser::default();
    /// let is_new = browser.visit(async |session| session.insert("user", 7).map(|()| session.is_new()));
    /// assert!(is_new.await?);
    /// assert!(!browser.visit(async |session| Ok(session.is_new())).await?);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.0.state().readable().is_none_or(|live| live.is_new)
    }

    /// Tells whether its values differ from those the request began with, or its id does.
    ///
    /// ```
    /// # use sessile_testkit::Browser;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # let mut browser = Browser::default();
    /// # browser.visit(async |session| session.insert("user", 7)).await?;
    /// # browser.visit(async |session| {
    /// assert!(!session.is_modified());
    /// session.insert("user", 8)?;
    /// assert!(session.is_modified());
    /// session.insert("user", 7)?; // as it was
    /// assert!(!session.is_modified());
    /// # Ok(()) }).await }
    /// ```
    #[must_use]
    pub fn is_modified(&self) -> bool {
        let state = self.0.state();
        state.readable().is_some_and(|live| live.has_new_id || live.is_changed())
    }

    /// Tells whether it was destroyed, unset, or found to be gone.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # sessile_testkit::Browser::default().visit(async |session| {
    /// assert!(!session.is_destroyed());
    /// session.destroy().await?;
    /// assert!(session.is_destroyed());
    /// # Ok(()) }).await }
    /// ```
    #[must_use]
    pub fn is_destroyed(&self) -> bool {
        matches!(self.0.state().phase, Phase::Destroyed(_) | Phase::Unset(_))
    }

    /// Tells whether it only stands in for one that the store cannot give.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, ErrorKind, OnStoreError, Secrets, Sessions};
    /// # use sessile_testkit::{Browser, FaultyStore, Op, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = FaultyStore::new(ReferenceStore::new());
    /// # let sessions = Builder::<Sessions>::new(store.clone(), secrets);
    /// # let sessions = sessions.with_on_store_error(OnStoreError::Anonymous).build()?;
    /// # let mut browser = Browser::new(sessions);
    /// # browser.visit(async |session| session.insert("user", 7)).await?;
    /// store.fail(Op::Load); // under OnStoreError::Anonymous
    /// # browser.visit(async |session| {
    /// assert!(session.is_read_only());
    /// assert_eq!(session.insert("user", 8).unwrap_err().kind(), ErrorKind::ReadOnly);
    /// # Ok(()) }).await }
    /// ```
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        matches!(self.0.state().phase, Phase::Down)
    }

    /// Returns the session's cookie. Mirrors `req.session.cookie`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # sessile_testkit::Browser::default().visit(async |session| {
    /// assert_eq!(session.cookie().max_age(), None); // as long as the browser
    /// session.cookie().set_max_age(Some(Duration::from_secs(3600)))?;
    /// assert!(session.cookie().max_age() <= Some(Duration::from_secs(3600)));
    /// # Ok(()) }).await }
    /// ```
    #[must_use]
    pub fn cookie(&self) -> CookieHandle<'_> {
        CookieHandle(self)
    }

    /// Drops the session from this request: its changes are not saved. What
    /// becomes of the stored one, the option [`Unset`](crate::Unset) says. Mirrors `req.session = null`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the session was destroyed.
    ///
    /// ```
    /// # use sessile_testkit::Browser;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// let mut browser = Browser::default();
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// browser.visit(async |session| {
    ///     session.insert("user", 8)?;
    ///     session.unset()
    /// }).await?;
    /// assert_eq!(browser.visit(async |session| session.get("user")).await?, Some(7));
    /// # Ok(()) }
    /// ```
    pub fn unset(&self) -> Result<(), Error> {
        let mut state = self.0.state();
        state.refuse_after_response()?;
        state.live()?;
        if let Phase::Live(live) = std::mem::take(&mut state.phase) {
            state.phase = Phase::Unset(live);
        }
        Ok(())
    }

    /// Returns the values as one JSON object, the cookie left out.
    pub(crate) fn to_json(&self) -> String {
        let state = self.0.state();
        state.readable().map_or_else(|| "{}".into(), |live| live.data.to_json())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("keys", &self.keys().len()).finish_non_exhaustive()
    }
}

/// The parser's own words would quote the value; where and why is all that may be told.
pub(crate) fn decode<T: DeserializeOwned>(
    text: &str,
    what: impl FnOnce() -> String,
) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| {
        let (what, why, column) = (what(), error.classify(), error.column());
        let message =
            format!("{what} is not what was asked for ({why:?} error at column {column})");
        Error::new(ErrorKind::Decode, message)
    })
}

fn decode_value<T: DeserializeOwned>(key: &str, text: &str) -> Result<T, Error> {
    decode(text, || format!("the session's value under {key:?}"))
}

fn check_key(key: &str) -> Result<(), Error> {
    if is_reserved(key) {
        let message = format!("the session key {key:?} is reserved; Express would not keep it");
        return Err(Error::new(ErrorKind::Encode, message));
    }
    Ok(())
}

/// The cookie of a session. Mirrors `req.session.cookie`.
///
/// ```
/// use sessile_core::{Error, Session};
/// use std::time::Duration;
///
/// fn remember_me(session: &Session) -> Result<(), Error> {
///     session.cookie().set_max_age(Some(Duration::from_secs(30 * 24 * 3600)))
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sessile_core::Error> {
/// # sessile_testkit::Browser::default().visit(async |session| {
/// remember_me(&session)?;
/// assert_eq!(session.cookie().original_max_age(), Some(Duration::from_secs(30 * 24 * 3600)));
/// # Ok(()) }).await }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CookieHandle<'s>(&'s Session);

impl CookieHandle<'_> {
    /// Returns what is left of the session's life, to the millisecond;
    /// `None` if it lives as long as the browser. Mirrors `cookie.maxAge`.
    ///
    /// The end of the request starts it anew: what a page says about the time
    /// after it is [`original_max_age`](Self::original_max_age).
    ///
    /// ```
    /// # use sessile_core::CookieOptions;
    /// # use sessile_testkit::{Browser, TestClock};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// let (clock, minute) = (TestClock::new(), Duration::from_secs(60));
    /// # let cookie = CookieOptions::default().with_max_age(minute);
    /// # let sessions = |sessions: sessile_core::Builder<_>| sessions.with_cookie(cookie).with_clock(clock.clone());
    /// # let mut browser = Browser::with_options(sessions)?;
    /// # browser.visit(async |session| {
    /// assert_eq!(session.cookie().max_age(), Some(minute));
    /// clock.advance(minute / 4);
    /// assert_eq!(session.cookie().max_age(), Some(minute * 3 / 4));
    /// # Ok(()) }).await }
    /// ```
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        let now = self.0.0.inner().now();
        self.0.0.state().readable()?.cookie.max_age(now)
    }

    /// Lets this session live so long after each response, whatever the layer's
    /// options say; `None` for as long as the browser. Mirrors `cookie.maxAge = …`.
    ///
    /// As in Express the browser hears of it when the session changes too, or
    /// under `rolling`; and after an early `save` of a new session the store
    /// hears of it with the next one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the session was destroyed.
    ///
    /// ```
    /// # use sessile_testkit::{Browser, TestClock};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # let clock = TestClock::new();
    /// # let mut browser = Browser::with_options(|sessions| sessions.with_clock(clock))?;
    /// browser.visit(async |session| {
    ///     session.insert("user", 7)?;
    ///     session.cookie().set_max_age(Some(Duration::from_secs(24 * 3600))) // at midnight
    /// }).await?;
    /// assert!(browser.set_cookie().unwrap().contains("; Expires=Fri, 02 Jan 2026 00:00:00 GMT;"));
    /// # Ok(()) }
    /// ```
    pub fn set_max_age(&self, max_age: Option<Duration>) -> Result<(), Error> {
        self.change(|live, now| live.cookie.set_max_age(max_age, now))
    }

    /// Returns when the session expires; `None` if it lives as long as the browser. Mirrors `cookie.expires`.
    ///
    /// ```
    /// # use sessile_core::{Clock, CookieOptions};
    /// # use sessile_testkit::{Browser, TestClock};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # let (clock, minute) = (TestClock::new(), Duration::from_secs(60));
    /// # let cookie = CookieOptions::default().with_max_age(minute);
    /// # let sessions = |sessions: sessile_core::Builder<_>| sessions.with_cookie(cookie).with_clock(clock.clone());
    /// # let mut browser = Browser::with_options(sessions)?;
    /// # browser.visit(async |session| {
    /// assert_eq!(session.cookie().expires(), Some(clock.now() + minute));
    /// session.cookie().set_max_age(None)?;
    /// assert_eq!(session.cookie().expires(), None);
    /// # Ok(()) }).await }
    /// ```
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.0.0.state().readable()?.cookie.expires()
    }

    /// Lets this session expire then, and as much later after each later response. Mirrors `cookie.expires = …`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the session was destroyed.
    ///
    /// ```
    /// # use sessile_core::Clock;
    /// # use sessile_testkit::{Browser, TestClock};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # let clock = TestClock::new();
    /// # let mut browser = Browser::with_options(|sessions| sessions.with_clock(clock.clone()))?;
    /// # browser.visit(async |session| {
    /// let noon = clock.now() + Duration::from_secs(12 * 3600);
    /// session.cookie().set_expires(Some(noon))?;
    /// assert_eq!(session.cookie().expires(), Some(noon));
    /// assert_eq!(session.cookie().original_max_age(), Some(Duration::from_secs(12 * 3600)));
    /// # Ok(()) }).await }
    /// ```
    pub fn set_expires(&self, expires: Option<SystemTime>) -> Result<(), Error> {
        self.change(|live, now| live.cookie.set_expires(expires, now))
    }

    /// Returns how long the session lives after each response. Mirrors `cookie.originalMaxAge`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # sessile_testkit::Browser::default().visit(async |session| {
    /// session.cookie().set_max_age(Some(Duration::from_secs(60)))?;
    /// assert_eq!(session.cookie().original_max_age(), Some(Duration::from_secs(60))); // however late
    /// # Ok(()) }).await }
    /// ```
    #[must_use]
    pub fn original_max_age(&self) -> Option<Duration> {
        self.0.0.state().readable()?.cookie.original_max_age()
    }

    fn change(&self, change: impl FnOnce(&mut Live, SystemTime)) -> Result<(), Error> {
        let now = self.0.0.inner().now();
        let mut state = self.0.0.state();
        let live = state.live()?;
        change(live, now);
        live.lifetime_changed = true;
        Ok(())
    }
}
