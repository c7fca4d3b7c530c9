//! The contract of a store, written in the plainest way.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sessile_core::{
    Capability, Clock, Cursor, Page, Precondition, Record, Saved, SessionCookie, SessionId,
    SessionStore, StoreError, Stored, SystemClock, Version,
};

/// A store to read before writing one, and to compare one with: a map behind a lock.
///
/// It is no store for an application: nobody removes what has expired unless
/// [`SessionStore::purge_expired`] is called, and every request waits for every other.
///
/// ```
/// # use sessile_core::{Precondition, Record, Saved, SessionId, SessionStore};
/// # use sessile_testkit::ReferenceStore;
/// # let (id, record) = (SessionId::new("a"), Record::parse(r#"{"cookie":{}}"#).unwrap());
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let store = ReferenceStore::new();
/// let clone = store.clone(); // the same sessions
/// store.save(&id, &record, Precondition::Absent).await.unwrap();
/// assert!(clone.destroy(&id).await.unwrap());
/// let late = store.save(&id, &record, Precondition::Exists).await.unwrap();
/// assert_eq!(late, Saved::Gone);
/// # });
/// ```
#[derive(Clone)]
pub struct ReferenceStore {
    clock: Arc<dyn Clock>,
    default_lifetime: Option<Duration>,
    asks_for_expiry: bool,
    sessions: Arc<Mutex<Sessions>>,
}

#[derive(Default)]
struct Sessions {
    rows: BTreeMap<SessionId, Row>,
    /// Versions are never given twice, not even to a session that takes a dead one's id.
    versions: u64,
}

struct Row {
    text: Arc<str>,
    version: u64,
    expires: Option<SystemTime>,
}

impl ReferenceStore {
    /// Makes an empty store that keeps the system's time.
    ///
    /// ```
    /// # use sessile_core::SessionStore;
    /// # use sessile_testkit::ReferenceStore;
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// assert_eq!(ReferenceStore::new().length().await.unwrap(), 0);
    /// # });
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(SystemClock)
    }

    /// Makes an empty store that asks `clock` for the time.
    ///
    /// ```
    /// # use sessile_core::{Precondition, Record, SessionId, SessionStore};
    /// # use sessile_testkit::{ReferenceStore, TestClock};
    /// # use std::time::Duration;
    /// # let id = SessionId::new("a");
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let clock = TestClock::new(); // 2026-01-01T00:00:00Z
    /// let store = ReferenceStore::with_clock(clock.clone());
    /// let record = Record::parse(r#"{"cookie":{"expires":"2026-01-01T00:01:00.000Z"}}"#).unwrap();
    /// store.save(&id, &record, Precondition::Absent).await.unwrap();
    /// clock.advance(Duration::from_millis(59_999));
    /// assert!(store.load(&id).await.unwrap().is_some());
    /// clock.advance(Duration::from_millis(1));
    /// assert!(store.load(&id).await.unwrap().is_none());
    /// # });
    /// ```
    pub fn with_clock(clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            default_lifetime: None,
            asks_for_expiry: false,
            sessions: Arc::default(),
        }
    }

    /// Keeps sessions whose cookie has no expiry for so long after the last save or
    /// touch, and not for ever.
    ///
    /// ```
    /// # use sessile_core::{Precondition, Record, SessionId, SessionStore};
    /// # use sessile_testkit::{ReferenceStore, TestClock};
    /// # use std::time::Duration;
    /// # let id = SessionId::new("a");
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let clock = TestClock::new();
    /// let day = Duration::from_secs(24 * 3600);
    /// let store = ReferenceStore::with_clock(clock.clone()).with_default_lifetime(day);
    /// let record = Record::parse(r#"{"cookie":{"expires":null}}"#).unwrap();
    /// store.save(&id, &record, Precondition::Absent).await.unwrap();
    /// clock.advance(day);
    /// assert!(store.load(&id).await.unwrap().is_none());
    /// # });
    /// ```
    #[must_use]
    pub fn with_default_lifetime(mut self, lifetime: Duration) -> Self {
        self.default_lifetime = Some(lifetime);
        self
    }

    /// Tells a session's expiry to those only who do not know it, like a store for which that
    /// is a question of its own.
    ///
    /// ```
    /// # use sessile_core::{Precondition, Record, SessionId, SessionStore};
    /// # use sessile_testkit::{ReferenceStore, TestClock};
    /// # let id = SessionId::new("a");
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = ReferenceStore::with_clock(TestClock::new()).with_expiry_apart();
    /// let record = Record::parse(r#"{"cookie":{"expires":"2026-01-01T00:01:00.000Z"}}"#).unwrap();
    /// store.save(&id, &record, Precondition::Absent).await.unwrap();
    /// assert!(store.load(&id).await.unwrap().unwrap().expires.is_some());
    /// assert!(store.load_record(&id).await.unwrap().unwrap().expires.is_none());
    /// # });
    /// ```
    #[must_use]
    pub fn with_expiry_apart(mut self) -> Self {
        self.asks_for_expiry = true;
        self
    }

    fn expiry(&self, cookie: &SessionCookie, now: SystemTime) -> Option<SystemTime> {
        cookie.expires().or_else(|| self.default_lifetime.map(|lifetime| now + lifetime))
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ReferenceStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ReferenceStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReferenceStore").finish_non_exhaustive()
    }
}

impl Row {
    /// A session is dead at the very instant it expires, removed or not.
    fn lives(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    fn stored(&self) -> Stored {
        Stored::new(Arc::clone(&self.text), Version::number(self.version), self.expires)
    }
}

impl Sessions {
    fn live(&mut self, id: &SessionId, now: SystemTime) -> Option<&mut Row> {
        self.rows.get_mut(id).filter(|row| row.lives(now))
    }

    fn put(&mut self, id: &SessionId, record: &Record, expires: Option<SystemTime>) -> Saved {
        self.versions += 1;
        let row = Row { text: Arc::clone(record.text()), version: self.versions, expires };
        self.rows.insert(id.clone(), row);
        Saved::Saved(Version::number(self.versions))
    }
}

impl SessionStore for ReferenceStore {
    async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        let now = self.clock.now();
        Ok(self.sessions().live(id, now).map(|row| row.stored()))
    }

    async fn load_record(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        let stored = self.load(id).await?;
        Ok(stored.map(|stored| match self.asks_for_expiry {
            true => Stored::new(stored.text, stored.version, None),
            false => stored,
        }))
    }

    fn asks_for_expiry(&self) -> bool {
        self.asks_for_expiry
    }

    async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        let now = self.clock.now();
        let mut sessions = self.sessions();
        let current = sessions.live(id, now).map(|row| Version::number(row.version));
        Ok(match (when, current) {
            (Precondition::Absent, Some(_)) => Saved::Conflict,
            (Precondition::Exists | Precondition::Unchanged(_), None) => Saved::Gone,
            (Precondition::Unchanged(version), Some(current)) if *version != current => {
                Saved::Conflict
            }
            _ => sessions.put(id, record, self.expiry(record.cookie(), now)),
        })
    }

    async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let mut sessions = self.sessions();
        let Some(row) = sessions.live(id, now) else { return Ok(false) };
        if since.is_none_or(|since| *since == Version::number(row.version)) {
            row.expires = self.expiry(cookie, now);
        }
        Ok(true)
    }

    async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
        let now = self.clock.now();
        Ok(self.sessions().rows.remove(id).is_some_and(|row| row.lives(now)))
    }

    async fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved, StoreError> {
        let now = self.clock.now();
        let mut sessions = self.sessions();
        let Some(row) = sessions.live(from, now) else { return Ok(Saved::Gone) };
        if Version::number(row.version) != *version || sessions.live(to, now).is_some() {
            return Ok(Saved::Conflict);
        }
        sessions.rows.remove(from);
        Ok(sessions.put(to, record, self.expiry(record.cookie(), now)))
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[Capability::All, Capability::Clear, Capability::Length]
    }

    async fn all(&self, from: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let now = self.clock.now();
        let from = from.map(|cursor| SessionId::new(cursor.as_str()));
        let after = from.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let sessions = self.sessions();
        let mut live = sessions
            .rows
            .range::<SessionId, _>((after, Bound::Unbounded))
            .filter(|(_, row)| row.lives(now))
            .map(|(id, row)| (id.clone(), row.stored()));
        let page: Vec<_> = live.by_ref().take(limit).collect();
        let next = live.next().and(page.last()).map(|(id, _)| Cursor::new(id.as_str()));
        Ok(Page::new(page, next))
    }

    async fn length(&self) -> Result<u64, StoreError> {
        let now = self.clock.now();
        Ok(self.sessions().rows.values().filter(|row| row.lives(now)).count() as u64)
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.sessions().rows.clear();
        Ok(())
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let rows = &mut self.sessions().rows;
        let before = rows.len();
        rows.retain(|_, row| row.lives(now));
        Ok((before - rows.len()) as u64)
    }
}
