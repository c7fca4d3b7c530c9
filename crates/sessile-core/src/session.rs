//! What a handler holds: the session of its request.
//!
//! Mirrors `session/session.js`: the verbs are Express's.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::data::{Change, Quoted};
use crate::keys::is_reserved;
use crate::state::Phase;
use crate::visit::SharedVisit;
use crate::{CookieHandle, Error, ErrorKind, Key, SessionId, json};

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
