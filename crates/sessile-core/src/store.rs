//! Where records live: the contract every store keeps, and the tools to keep it.
//!
//! Mirrors `session/store.js`. A store needs five operations; the rest is
//! declared by [`SessionStore::capabilities`]. `sessile-testkit` turns every
//! bullet below into a trial of the same name.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use crate::data::Data;
use crate::{Record, SessionCookie, SessionId, StoreError};

/// Keeps session records.
///
/// A record is JSON text that Express's stores understand. Loads give it back
/// with a [`Version`]; saves carry a [`Precondition`]. That is what makes lost
/// updates and resurrected sessions impossible.
///
/// # Behavior
///
/// `load`
/// - An unknown id is `None`. `load_unknown_is_none`
/// - What was saved comes back byte for byte. `load_returns_what_was_saved`
/// - An expired session is `None` at the very instant, swept or not. `load_expired_is_none`
/// - The expiry that comes back is the store's own, which a touch moves. `load_reports_the_expiry`
/// - Loading never changes anything. `load_twice_gives_the_same_version`
/// - Asked for the record alone it gives the same, and the expiry or none. `load_record_gives_what_load_gives`
///
/// `save`
/// - [`Precondition::Absent`] creates, and is `Conflict` if the id lives. `save_absent_creates_once`
/// - An id whose session expired counts as absent. `save_absent_replaces_the_expired`
/// - [`Precondition::Exists`] replaces, and is `Gone` if the id does not live. `save_exists_never_creates`
/// - [`Precondition::Unchanged`] is `Conflict` if anybody saved since. `save_unchanged_detects_a_change`
/// - … and `Gone` if the session was destroyed or expired since. `save_unchanged_never_resurrects`
/// - A touch does not count as a change. `touch_is_not_a_change`
/// - [`Precondition::None`] always stores. `save_unconditionally_stores`
/// - The version it returns is the one a load returns. `save_returns_the_version_to_save_with`
/// - Of many saves with one version, exactly one wins. `save_unchanged_lets_one_of_many_win`
/// - Saving what has already expired leaves no session, and counts as saved. `save_expired_leaves_nothing`
///
/// `touch`
/// - Moves the expiry to the cookie's and changes nothing else. `touch_moves_only_the_expiry`
/// - Is `false`, and creates nothing, if the session does not live. `touch_never_resurrects`
/// - Never takes back what another request saved. `touch_keeps_concurrent_saves`
/// - Leaves a session alone that was saved since the version it is given. `touch_leaves_a_changed_session_alone`
///
/// `destroy`
/// - Is `true` if the session lived, `false` if not. `destroy_says_whether_it_lived`
/// - Only ever removes that one session. `destroy_leaves_the_others`
///
/// `rotate`
/// - Afterwards the new id lives and the old one does not, in one step. `rotate_moves_the_session`
/// - With the old id gone nothing is created. `rotate_never_resurrects`
/// - If anybody saved since `version`, nothing moves. `rotate_detects_a_change`
/// - It never takes over an id that lives. `rotate_takes_nobody_over`
/// - Of parallel rotations of one session exactly one wins. `rotate_lets_one_of_many_win`
///
/// Everywhere
/// - Ids are compared exactly, whatever they contain. `ids_are_compared_exactly`
/// - Any JSON text survives, a megabyte of it too. `records_survive_byte_for_byte`
/// - Without an expiry the store's default lifetime holds. `no_expiry_means_the_default_lifetime`
/// - Nothing a store prints contains an id or a record. `debug_prints_no_secrets`
///
/// A version may be the record's text: then a save of the very same text is no
/// change, for nothing changed. A version never fits another session that was
/// given the same id later. An id that a backend cannot hold may fail to be saved;
/// for the other operations it is unknown.
///
/// Only a failing backend is an error. Whether a record makes sense is not the
/// store's business: the layer reads it, and takes a malformed one for none.
///
/// ```
/// use sessile_core::{Precondition, Record, Saved, SessionId, SessionStore, StoreError};
/// # use sessile_testkit::ReferenceStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), StoreError> {
/// # let store = ReferenceStore::new();
/// let (id, record) = (SessionId::new("a"), Record::parse(r#"{"cookie":{},"n":1}"#).unwrap());
/// store.save(&id, &record, Precondition::Absent).await?;
///
/// // Two requests load the session, and both change it.
/// let seen = store.load(&id).await?.unwrap();
/// let (one, two) = (r#"{"cookie":{},"n":2}"#, r#"{"cookie":{},"n":3}"#);
/// let (one, two) = (Record::parse(one).unwrap(), Record::parse(two).unwrap());
/// let first = store.save(&id, &one, Precondition::Unchanged(&seen.version)).await?;
/// assert!(matches!(first, Saved::Saved(_)));
/// let second = store.save(&id, &two, Precondition::Unchanged(&seen.version)).await?;
/// assert_eq!(second, Saved::Conflict); // the layer loads again, and merges
/// # Ok(()) }
/// ```
pub trait SessionStore: fmt::Debug + Send + Sync + 'static {
    /// Returns the live session stored under `id`.
    ///
    /// # Errors
    ///
    /// If the backend fails. An unknown or expired id is `None`, not an error.
    ///
    /// ```
    /// # use sessile_core::{Precondition, Record, SessionId, SessionStore, StoreError};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), StoreError> {
    /// # let (store, id) = (sessile_testkit::ReferenceStore::new(), SessionId::new("a"));
    /// # let record = Record::parse(r#"{"cookie":{},"user":7}"#).unwrap();
    /// assert!(store.load(&id).await?.is_none());
    /// store.save(&id, &record, Precondition::Absent).await?;
    /// assert_eq!(store.load(&id).await?.unwrap().text, *record.text());
    /// # Ok(()) }
    /// ```
    fn load(
        &self,
        id: &SessionId,
    ) -> impl Future<Output = Result<Option<Stored>, StoreError>> + Send;

    /// As [`load`](Self::load), for somebody who knows already for how long the session
    /// lives: `expires` may be `None` in the answer whenever that is. The layer asks so
    /// within `touch_after`. A session that has expired is `None` here too.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    ///
    /// ```
    /// # use sessile_core::{Precondition, Record, SessionId, SessionStore, StoreError};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), StoreError> {
    /// # let (store, id) = (sessile_testkit::ReferenceStore::new(), SessionId::new("a"));
    /// # let record = Record::parse(r#"{"cookie":{},"user":7}"#).unwrap();
    /// # store.save(&id, &record, Precondition::Absent).await?;
    /// let (one, other) = (store.load(&id).await?, store.load_record(&id).await?);
    /// assert_eq!(one.unwrap().version, other.unwrap().version);
    /// # Ok(()) }
    /// ```
    fn load_record(
        &self,
        id: &SessionId,
    ) -> impl Future<Output = Result<Option<Stored>, StoreError>> + Send {
        self.load(id)
    }

    /// Tells whether [`load_record`](Self::load_record) spares the backend work; always the
    /// same. By default it does not, as the expiry comes with the record.
    ///
    /// ```
    /// # use sessile_core::SessionStore;
    /// assert!(!sessile_testkit::ReferenceStore::new().asks_for_expiry());
    /// ```
    fn asks_for_expiry(&self) -> bool {
        false
    }

    /// Stores `record` under `id` if `when` holds, in one atomic step.
    ///
    /// # Errors
    ///
    /// If the backend fails. A precondition that does not hold is an answer, not an error.
    ///
    /// ```
    /// # use sessile_core::{Precondition, Record, Saved, SessionId, SessionStore, StoreError};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), StoreError> {
    /// # let (store, id) = (sessile_testkit::ReferenceStore::new(), SessionId::new("a"));
    /// # let record = Record::parse(r#"{"cookie":{},"user":7}"#).unwrap();
    /// assert_eq!(store.save(&id, &record, Precondition::Exists).await?, Saved::Gone);
    /// let saved = store.save(&id, &record, Precondition::Absent).await?;
    /// let Saved::Saved(version) = saved else { panic!("nobody has that id") };
    /// let again = store.save(&id, &record, Precondition::Unchanged(&version)).await?;
    /// assert!(matches!(again, Saved::Saved(_)));
    /// # Ok(()) }
    /// ```
    fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> impl Future<Output = Result<Saved, StoreError>> + Send;

    /// Moves the expiry of a live session to that of `cookie`; `false` if it does not live.
    ///
    /// With `since`, only if nobody saved it since that version: such a save has
    /// moved the expiry itself, perhaps to another lifetime.
    ///
    /// # Errors
    ///
    /// If the backend fails.
    ///
    /// ```
    /// # use sessile_core::{Clock, Precondition, Record, SessionId, SessionStore, StoreError};
    /// # use sessile_testkit::{ReferenceStore, TestClock};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), StoreError> {
    /// # let clock = TestClock::new();
    /// # let (store, id) = (ReferenceStore::with_clock(clock.clone()), SessionId::new("a"));
    /// # let record = Record::parse(r#"{"cookie":{"originalMaxAge":60000,"expires":null}}"#).unwrap();
    /// # let mut cookie = record.cookie().clone();
    /// store.save(&id, &record, Precondition::Absent).await?;
    /// cookie.set_max_age(Some(Duration::from_secs(60)), clock.now());
    /// assert!(store.touch(&id, &cookie, None).await?);
    /// assert_eq!(store.load(&id).await?.unwrap().expires, cookie.expires());
    ///
    /// clock.advance(Duration::from_secs(60));
    /// assert!(!store.touch(&id, &cookie, None).await?); // too late
    /// # Ok(()) }
    /// ```
    fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes the session; `true` if it lived.
    ///
    /// # Errors
    ///
    /// If the backend fails.
    ///
    /// ```
    /// # use sessile_core::{Precondition, Record, SessionId, SessionStore, StoreError};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), StoreError> {
    /// # let (store, id) = (sessile_testkit::ReferenceStore::new(), SessionId::new("a"));
    /// # let record = Record::parse(r#"{"cookie":{}}"#).unwrap();
    /// store.save(&id, &record, Precondition::Absent).await?;
    /// assert!(store.destroy(&id).await?);
    /// assert!(!store.destroy(&id).await?);
    /// # Ok(()) }
    /// ```
    fn destroy(&self, id: &SessionId) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Moves a session to a new id, stored as `record`, if nobody saved it
    /// since `version`: never both ids alive, never both dead.
    ///
    /// Is [`Saved::Conflict`] if it changed or `to` lives already, [`Saved::Gone`] if it no longer lives.
    ///
    /// # Errors
    ///
    /// If the backend fails.
    ///
    /// ```
    /// # use sessile_core::{Precondition, Record, Saved, SessionId, SessionStore, StoreError};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), StoreError> {
    /// # let store = sessile_testkit::ReferenceStore::new();
    /// # let record = Record::parse(r#"{"cookie":{}}"#).unwrap();
    /// let (old, new) = (SessionId::new("old"), SessionId::new("new"));
    /// let saved = store.save(&old, &record, Precondition::Absent).await?;
    /// let Saved::Saved(version) = saved else { panic!("nobody has that id") };
    /// assert!(matches!(store.rotate(&old, &new, &record, &version).await?, Saved::Saved(_)));
    /// assert!(store.load(&old).await?.is_none());
    /// assert_eq!(store.rotate(&old, &new, &record, &version).await?, Saved::Gone); // not twice
    /// # Ok(()) }
    /// ```
    fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> impl Future<Output = Result<Saved, StoreError>> + Send;

    /// Answers [`load`](Self::load) without waiting; `None` if that cannot be.
    ///
    /// A store in memory spares each request a future by this and the two
    /// methods below. The layer asks it first, and `load` if there is no answer or an error.
    ///
    /// ```
    /// # use sessile_core::{SessionId, SessionStore, StoreError, Stored};
    /// # use sessile_testkit::ReferenceStore;
    /// async fn load(store: &impl SessionStore, id: &SessionId) -> Result<Option<Stored>, StoreError> {
    ///     match store.load_at_once(id) {
    ///         Some(answer) => answer,
    ///         None => store.load(id).await,
    ///     }
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), StoreError> {
    /// let store = ReferenceStore::new(); // one that waits
    /// assert!(load(&store, &SessionId::new("nobody's")).await?.is_none());
    /// # Ok(()) }
    /// ```
    fn load_at_once(&self, id: &SessionId) -> Option<Result<Option<Stored>, StoreError>> {
        let _ = id;
        None
    }

    /// Answers [`save`](Self::save) without waiting; `None`, and nothing done, if that cannot be.
    ///
    /// ```
    /// # use sessile_core::{Precondition, Record, Saved, SessionId, SessionStore, StoreError};
    /// # use sessile_testkit::ReferenceStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), StoreError> {
    /// # let store = ReferenceStore::new();
    /// let (id, record) = (SessionId::new("a"), Record::parse(r#"{"cookie":{}}"#).unwrap());
    /// let saved = match store.save_at_once(&id, &record, Precondition::Absent) {
    ///     Some(answer) => answer?,
    ///     None => store.save(&id, &record, Precondition::Absent).await?,
    /// };
    /// assert!(matches!(saved, Saved::Saved(_)));
    /// # Ok(()) }
    /// ```
    fn save_at_once(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Option<Result<Saved, StoreError>> {
        let _ = (id, record, when);
        None
    }

    /// Answers [`touch`](Self::touch) without waiting; `None`, and nothing done, if that cannot be.
    ///
    /// ```
    /// # use sessile_core::{SessionCookie, SessionId, SessionStore, StoreError};
    /// # use sessile_testkit::ReferenceStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), StoreError> {
    /// # let store = ReferenceStore::new();
    /// let cookie = SessionCookie::from_json(r#"{"originalMaxAge":null,"expires":null}"#).unwrap();
    /// let id = SessionId::new("nobody's");
    /// let lived = match store.touch_at_once(&id, &cookie, None) {
    ///     Some(answer) => answer?,
    ///     None => store.touch(&id, &cookie, None).await?,
    /// };
    /// assert!(!lived);
    /// # Ok(()) }
    /// ```
    fn touch_at_once(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Option<Result<bool, StoreError>> {
        let _ = (id, cookie, since);
        None
    }

    /// Returns what the store can do beyond the operations above.
    ///
    /// ```
    /// use sessile_core::{Capability, SessionStore};
    ///
    /// let store = sessile_testkit::ReferenceStore::new();
    /// assert!(store.capabilities().contains(&Capability::All));
    /// assert!(!store.capabilities().contains(&Capability::Durable)); // it is a map in memory
    /// ```
    fn capabilities(&self) -> &'static [Capability] {
        &[]
    }

    /// Returns up to `limit` live sessions, from where an earlier page ended.
    ///
    /// # Errors
    ///
    /// If the backend fails, or the store has no [`Capability::All`].
    ///
    /// ```
    /// # use sessile_core::{Precondition, Record, SessionId, SessionStore, StoreError};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), StoreError> {
    /// # let store = sessile_testkit::ReferenceStore::new();
    /// # let record = Record::parse(r#"{"cookie":{}}"#).unwrap();
    /// for id in ["a", "b", "c"] {
    ///     store.save(&SessionId::new(id), &record, Precondition::Absent).await?;
    /// }
    /// let first = store.all(None, 2).await?;
    /// let rest = store.all(first.next.as_ref(), 2).await?;
    /// assert_eq!((first.sessions.len(), rest.sessions.len()), (2, 1));
    /// assert!(rest.next.is_none());
    /// # Ok(()) }
    /// ```
    fn all(
        &self,
        from: Option<&Cursor>,
        limit: usize,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send {
        let _ = (from, limit);
        async { Err(StoreError::unsupported("this store cannot list its sessions")) }
    }

    /// Counts the live sessions.
    ///
    /// # Errors
    ///
    /// If the backend fails, or the store has no [`Capability::Length`].
    ///
    /// ```
    /// # use sessile_core::{Precondition, Record, SessionId, SessionStore, StoreError};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), StoreError> {
    /// # let (store, id) = (sessile_testkit::ReferenceStore::new(), SessionId::new("a"));
    /// # let record = Record::parse(r#"{"cookie":{}}"#).unwrap();
    /// store.save(&id, &record, Precondition::Absent).await?;
    /// assert_eq!(store.length().await?, 1);
    /// # Ok(()) }
    /// ```
    fn length(&self) -> impl Future<Output = Result<u64, StoreError>> + Send {
        async { Err(StoreError::unsupported("this store cannot count its sessions")) }
    }

    /// Removes every session, logging everybody out.
    ///
    /// # Errors
    ///
    /// If the backend fails, or the store has no [`Capability::Clear`].
    ///
    /// ```
    /// # use sessile_core::{Precondition, Record, SessionId, SessionStore, StoreError};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), StoreError> {
    /// # let (store, id) = (sessile_testkit::ReferenceStore::new(), SessionId::new("a"));
    /// # let record = Record::parse(r#"{"cookie":{}}"#).unwrap();
    /// store.save(&id, &record, Precondition::Absent).await?;
    /// store.clear().await?;
    /// assert!(store.load(&id).await?.is_none());
    /// # Ok(()) }
    /// ```
    fn clear(&self) -> impl Future<Output = Result<(), StoreError>> + Send {
        async { Err(StoreError::unsupported("this store cannot remove all its sessions")) }
    }

    /// Removes expired sessions in small batches and returns how many. Stores
    /// call it themselves, so nobody else has to.
    ///
    /// # Errors
    ///
    /// If the backend fails.
    ///
    /// ```
    /// # use sessile_core::{Clock, Precondition, Record, SessionId, SessionStore, StoreError};
    /// # use sessile_testkit::{ReferenceStore, TestClock};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), StoreError> {
    /// # let clock = TestClock::new();
    /// # let store = ReferenceStore::with_clock(clock.clone());
    /// let short = r#"{"cookie":{"expires":"2026-01-01T00:01:00.000Z"}}"#;
    /// store.save(&SessionId::new("a"), &Record::parse(short).unwrap(), Precondition::Absent).await?;
    /// clock.advance(Duration::from_secs(60)); // from midnight
    /// assert_eq!(store.purge_expired().await?, 1);
    /// # Ok(()) }
    /// ```
    fn purge_expired(&self) -> impl Future<Output = Result<u64, StoreError>> + Send {
        async { Ok(0) }
    }

    /// Returns the live sessions whose value under `key` is `user`, for
    /// listing and revoking a user's sessions.
    ///
    /// The provided method reads every session; a store with an index does better.
    ///
    /// # Errors
    ///
    /// If the backend fails, or the store has no [`Capability::All`].
    ///
    /// ```
    /// use sessile_core::{SessionStore, StoreError};
    ///
    /// async fn log_out_everywhere(store: &impl SessionStore, user: u64) -> Result<(), StoreError> {
    ///     for id in store.find_by_user("userID", &user.into()).await? {
    ///         store.destroy(&id).await?;
    ///     }
    ///     Ok(())
    /// }
    /// # use sessile_core::{Precondition, Record, SessionId};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), StoreError> {
    /// # let store = sessile_testkit::ReferenceStore::new();
    /// # for (id, user) in [("a", 7), ("b", 8), ("c", 7)] {
    /// #     let record = Record::parse(format!(r#"{{"cookie":{{}},"userID":{user}}}"#)).unwrap();
    /// #     store.save(&SessionId::new(id), &record, Precondition::Absent).await?;
    /// # }
    /// log_out_everywhere(&store, 7).await?;
    /// assert_eq!(store.length().await?, 1); // somebody else's
    /// # Ok(()) }
    /// ```
    fn find_by_user(
        &self,
        key: &str,
        user: &serde_json::Value,
    ) -> impl Future<Output = Result<Vec<SessionId>, StoreError>> + Send {
        async move {
            let (mut found, mut from) = (Vec::new(), None);
            loop {
                let page = self.all(from.as_ref(), PAGE).await?;
                let theirs = page.sessions.into_iter().filter(|(_, stored)| stored.has(key, user));
                found.extend(theirs.map(|(id, _)| id));
                from = page.next;
                if from.is_none() {
                    return Ok(found);
                }
            }
        }
    }
}

const PAGE: usize = 500;

/// A session as its store keeps it.
///
/// ```
/// # use sessile_core::{Precondition, Record, SessionId, SessionStore, StoreError};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), StoreError> {
/// # let (store, id) = (sessile_testkit::ReferenceStore::new(), SessionId::new("a"));
/// let record = Record::parse(r#"{"cookie":{"expires":"2999-12-31T00:00:00.000Z"},"n":1}"#).unwrap();
/// store.save(&id, &record, Precondition::Absent).await?;
/// let stored = store.load(&id).await?.unwrap();
/// assert_eq!(stored.text, *record.text());
/// assert_eq!(stored.expires, record.cookie().expires());
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Stored {
    /// The record's JSON text.
    pub text: Arc<str>,
    /// Says which state of the session this is.
    pub version: Version,
    /// When the store will drop it; `None` if never.
    pub expires: Option<SystemTime>,
}

impl Stored {
    /// Puts together what a store read.
    ///
    /// ```
    /// use sessile_core::{Stored, Version};
    ///
    /// let stored = Stored::new(r#"{"cookie":{},"user":7}"#, Version::number(3), None); // read from a row
    /// assert_eq!(stored.version.as_number(), Some(3));
    /// assert!(!format!("{stored:?}").contains("user")); // records never print
    /// ```
    pub fn new(text: impl Into<Arc<str>>, version: Version, expires: Option<SystemTime>) -> Self {
        Self { text: text.into(), version, expires }
    }

    fn has(&self, key: &str, value: &serde_json::Value) -> bool {
        // Values that serde_json refuses may stand beside it: only this one is parsed.
        let mut data = Data::default();
        if data.read(Arc::clone(&self.text), None).is_err() {
            return false;
        }
        let text = data.get(key).unwrap_or_default();
        serde_json::from_str::<serde_json::Value>(text).is_ok_and(|stored| stored == *value)
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// A state of a stored session: the store's own token, never written into the record.
///
/// ```
/// use sessile_core::Version;
///
/// assert_eq!(Version::number(1), Version::number(1));
/// assert_ne!(Version::number(1), Version::text("1"));
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Version(Token);

#[derive(Clone)]
enum Token {
    /// Text, and by what number its store finds it sooner.
    Hinted(Arc<str>, u64),
    Number(u64),
    Text(Arc<str>),
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(number), Self::Number(other)) => number == other,
            (
                Self::Hinted(text, _) | Self::Text(text),
                Self::Hinted(other, _) | Self::Text(other),
            ) => text == other,
            (Self::Number(_), _) | (_, Self::Number(_)) => false,
        }
    }
}

impl Eq for Token {}

impl Version {
    /// A version that is a counter or a CAS number.
    ///
    /// ```
    /// # use sessile_core::Version;
    /// let version = Version::number(41);
    /// assert_eq!((version.as_number(), version.as_text()), (Some(41), None));
    /// ```
    #[must_use]
    pub fn number(number: u64) -> Self {
        Self(Token::Number(number))
    }

    /// A version that is a digest of the stored text, or that text itself.
    ///
    /// ```
    /// # use sessile_core::Version;
    /// let version = Version::text(r#"{"cookie":{}}"#);
    /// assert_eq!(version.as_text().unwrap().as_ref(), r#"{"cookie":{}}"#);
    /// assert_eq!(format!("{version:?}"), "Version(..)"); // it may be a record
    /// ```
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self(Token::Text(text.into()))
    }

    /// A version that is text, with a number by which its store may find it sooner,
    /// such as a CAS number that a touch changes too. The hint is no part of the version.
    ///
    /// ```
    /// use sessile_core::Version;
    ///
    /// let loaded = Version::hinted("the record", 7);
    /// assert_eq!(loaded.hint(), Some(7));
    /// assert!(loaded == Version::hinted("the record", 8));
    /// ```
    pub fn hinted(text: impl Into<Arc<str>>, hint: u64) -> Self {
        Self(Token::Hinted(text.into(), hint))
    }

    /// Returns the number, if it is one.
    ///
    /// ```
    /// # use sessile_core::Version;
    /// assert_eq!(Version::number(41).as_number(), Some(41));
    /// assert_eq!(Version::text("41").as_number(), None);
    /// ```
    #[must_use]
    pub fn as_number(&self) -> Option<u64> {
        match &self.0 {
            Token::Number(number) => Some(*number),
            Token::Hinted(..) | Token::Text(_) => None,
        }
    }

    /// Returns the text, if it is one.
    ///
    /// ```
    /// # use sessile_core::Version;
    /// assert_eq!(Version::text("9f86d081").as_text().map(AsRef::as_ref), Some("9f86d081"));
    /// assert!(Version::number(41).as_text().is_none());
    /// ```
    #[must_use]
    pub fn as_text(&self) -> Option<&Arc<str>> {
        match &self.0 {
            Token::Hinted(text, _) | Token::Text(text) => Some(text),
            Token::Number(_) => None,
        }
    }

    /// Returns what was [hinted](Self::hinted) at.
    ///
    /// ```
    /// use sessile_core::Version;
    ///
    /// assert_eq!(Version::hinted("the record", 7).hint(), Some(7));
    /// assert_eq!(Version::text("the record").hint(), None);
    /// ```
    #[must_use]
    pub fn hint(&self) -> Option<u64> {
        match &self.0 {
            Token::Hinted(_, hint) => Some(*hint),
            Token::Number(_) | Token::Text(_) => None,
        }
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Version(..)")
    }
}

/// What must hold for a save to happen.
///
/// ```
/// # use sessile_core::{Precondition, Record, Saved, SessionId, SessionStore, StoreError};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), StoreError> {
/// # let (store, id) = (sessile_testkit::ReferenceStore::new(), SessionId::new("a"));
/// # let record = Record::parse(r#"{"cookie":{}}"#).unwrap();
/// assert_eq!(store.save(&id, &record, Precondition::Exists).await?, Saved::Gone);
/// assert!(matches!(store.save(&id, &record, Precondition::Absent).await?, Saved::Saved(_)));
/// assert_eq!(store.save(&id, &record, Precondition::Absent).await?, Saved::Conflict);
/// assert!(matches!(store.save(&id, &record, Precondition::None).await?, Saved::Saved(_)));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "every store must know every precondition")]
pub enum Precondition<'v> {
    /// No live session has the id.
    Absent,
    /// A live session has the id.
    Exists,
    /// Nothing: for imports and repairs. The layer never uses it.
    None,
    /// The live session is still the one that was loaded with this version.
    Unchanged(&'v Version),
}

/// What became of a save.
///
/// ```
/// # use sessile_core::{Precondition, Record, Saved, SessionId, SessionStore, StoreError};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), StoreError> {
/// # let (store, id) = (sessile_testkit::ReferenceStore::new(), SessionId::new("a"));
/// # let record = Record::parse(r#"{"cookie":{}}"#).unwrap();
/// # store.save(&id, &record, Precondition::Absent).await?;
/// let version = store.load(&id).await?.unwrap().version;
/// store.destroy(&id).await?; // a logout, while a slow request still works
/// match store.save(&id, &record, Precondition::Unchanged(&version)).await? {
///     Saved::Gone => {} // so be it
///     Saved::Conflict | Saved::Saved(_) => panic!("the dead stay dead"),
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "every caller must handle every outcome")]
pub enum Saved {
    /// The id lives and is somebody else's work: another save came first.
    Conflict,
    /// The session does not live any more. It must stay dead.
    Gone,
    /// It is stored, as this version.
    Saved(Version),
}

/// What a store can do beyond the operations every store has.
///
/// ```
/// use sessile_core::{Capability, SessionStore};
///
/// fn survives_a_crash(store: &impl SessionStore) -> bool {
///     store.capabilities().contains(&Capability::Durable)
/// }
/// assert!(!survives_a_crash(&sessile_testkit::ReferenceStore::new()));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Capability {
    /// Lists its sessions.
    All,
    /// Removes all its sessions at once.
    Clear,
    /// Acknowledged saves survive `kill -9` of the store.
    Durable,
    /// Counts its sessions.
    Length,
    /// Serves several processes at once.
    Shared,
}

/// A part of all sessions, and where the next part begins.
///
/// ```
/// # use sessile_core::{Precondition, Record, SessionId, SessionStore, StoreError};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), StoreError> {
/// # let store = sessile_testkit::ReferenceStore::new();
/// # let record = Record::parse(r#"{"cookie":{}}"#).unwrap();
/// # for n in 0..5 {
/// #     store.save(&SessionId::new(n.to_string()), &record, Precondition::Absent).await?;
/// # }
/// let (mut seen, mut from) = (0, None);
/// loop {
///     let page = store.all(from.as_ref(), 2).await?;
///     seen += page.sessions.len();
///     from = page.next;
///     if from.is_none() {
///         break;
///     }
/// }
/// assert_eq!(seen, 5);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Page {
    /// Live sessions, each once over all pages.
    pub sessions: Vec<(SessionId, Stored)>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

impl Page {
    /// Puts together a page.
    ///
    /// ```
    /// use sessile_core::{Cursor, Page, SessionId, Stored, Version};
    ///
    /// let stored = Stored::new(r#"{"cookie":{}}"#, Version::number(1), None);
    /// let page = Page::new(vec![(SessionId::new("a"), stored)], Some(Cursor::new("a")));
    /// assert_eq!(page.next.unwrap().as_str(), "a"); // go on after it
    /// ```
    #[must_use]
    pub fn new(sessions: Vec<(SessionId, Stored)>, next: Option<Cursor>) -> Self {
        Self { sessions, next }
    }
}

/// Where a page ended, in words only its store understands. It may be a session's
/// id, so it never prints.
///
/// ```
/// use sessile_core::Cursor;
///
/// let cursor = Cursor::new("row 500");
/// assert_eq!(cursor.as_str(), "row 500");
/// assert_eq!(format!("{cursor:?}"), "Cursor(..)");
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Cursor(String);

impl Cursor {
    /// Wraps what a store wants to be told when asked for the next page.
    ///
    /// ```
    /// # use sessile_core::Cursor;
    /// assert_eq!(Cursor::new("42"), Cursor::new(42.to_string()));
    /// ```
    pub fn new(position: impl Into<String>) -> Self {
        Self(position.into())
    }

    /// Returns what the store said.
    ///
    /// ```
    /// # use sessile_core::Cursor;
    /// let offset: u64 = Cursor::new("500").as_str().parse()?;
    /// assert_eq!(offset, 500);
    /// # Ok::<(), std::num::ParseIntError>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cursor(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_beside_values_that_no_parser_takes() {
        let text = r#"{"cookie":{},"odd":"\ud800","big":1e400,"userID":7}"#;
        let stored = Stored::new(text, Version::number(1), None);
        assert!(stored.has("userID", &7.into()));
        assert!(!stored.has("userID", &8.into()) && !stored.has("odd", &7.into()));
    }
}
