//! Sessions in this process.
//!
//! Mirrors `session/memory.js`, and does what that file warns it does not: it
//! removes expired sessions unasked, and its memory can be bounded.

mod rank;
mod shard;
mod shards;
mod slot;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sessile_core::{
    Capability, Clock, Cursor, Page, Precondition, Record, Saved, SessionCookie, SessionId,
    SessionStore, StoreError, Stored, SystemClock, Version,
};

use self::rank::{Rank, in_millis, to_millis};
use self::shard::{Key, New, Row, Shard};
use self::shards::{Limits, Shards};
use self::slot::cost;

/// Stores sessions in the memory of this process.
///
/// It suits an application of one process that may forget its sessions when it
/// restarts, and tests. Clones share the sessions. Loads, saves and touches take as
/// many steps with a thousand sessions as with ten million.
///
/// # Setup
///
/// None. Set a bound, or a lifetime, for what strangers may create.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use sessile::stores::MemoryStore;
/// use sessile::{Precondition, Record, SessionId, SessionStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let store = MemoryStore::new()
///     .with_max_sessions(100_000)
///     .with_default_lifetime(Duration::from_secs(86_400));
///
/// let id = SessionId::new("Y7tQm0JcVb-1s_2dK9xWzR4hLpN6aGfE");
/// let record = Record::parse(r#"{"cookie":{"expires":null},"views":1}"#).unwrap();
/// store.save(&id, &record, Precondition::Absent).await?;
///
/// let stored = store.load(&id).await?.unwrap();
/// assert_eq!(stored.text, *record.text());
/// assert!(stored.expires.is_some());
/// # Ok::<(), sessile::StoreError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Expiry
///
/// A session is dead at the instant its cookie expires. Its memory comes back
/// soon after: each save removes a few dead sessions, and every few seconds a
/// background task removes all others, in batches so small that no request
/// waits for them. The first operation inside a Tokio runtime starts that task,
/// and it ends with the store.
///
/// A session whose cookie has no expiry lives until it is destroyed, as in
/// Express's `MemoryStore`; see [`with_default_lifetime`](Self::with_default_lifetime).
///
/// # Keys
///
/// The session's id, in this process alone: two stores never share one, whatever their names.
///
/// # Memory
///
/// A session costs about 130 bytes and its record's text. Nothing bounds
/// the number of sessions unless [`with_max_sessions`](Self::with_max_sessions) or
/// [`with_max_bytes`](Self::with_max_bytes) does. A store that is full evicts the session that
/// would have gone first anyway:
///
/// 1. expired ones,
/// 2. then the one that expires soonest,
/// 3. then, of those that never expire, the one saved or touched least recently.
///
/// The order is exact to about four seconds; where many sessions were touched since they
/// were last looked at it is approximate, so that one request never does the work of many. The
/// session just saved stays. [`evicted`](Self::evicted) counts, and a warning
/// in the log says so.
#[derive(Clone)]
pub struct MemoryStore {
    shards: Arc<Shards>,
    settings: Settings,
}

#[derive(Clone)]
struct Settings {
    clock: Arc<dyn Clock>,
    default_lifetime: Option<Duration>,
    limits: Limits,
}

/// How many dead sessions a save removes at most: more than it adds.
const PURGED_BY_SAVE: usize = 4;

/// How many sessions are removed under one lock, and without a pause: fifty
/// microseconds of work, and as long a wait for whoever comes meanwhile.
const BATCH: usize = 100;

/// How many steps an eviction takes without a pause.
const EVICTION_STEPS: usize = 64;

/// Where nothing is due a sweep reads one kilobyte, so it may come often.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

impl MemoryStore {
    /// Makes an empty store that nothing bounds.
    ///
    /// ```
    /// use sessile::{SessionStore, stores::MemoryStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile::StoreError> {
    /// let store = MemoryStore::new();
    /// assert_eq!(store.length().await?, 0);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn new() -> Self {
        let settings =
            Settings { clock: Arc::new(SystemClock), default_lifetime: None, limits: Limits::NONE };
        Self { shards: Arc::default(), settings }
    }

    /// Tells the time by `clock`: for tests. Clones made before keep their settings.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use sessile::SystemClock;
    /// use sessile::stores::MemoryStore;
    ///
    /// let store = MemoryStore::new().with_clock(Arc::new(SystemClock));
    /// # let _ = store;
    /// ```
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Lets sessions whose cookie has no expiry live for `lifetime` after each
    /// save and touch. By default they live until they are destroyed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sessile::stores::MemoryStore;
    ///
    /// let store = MemoryStore::new().with_default_lifetime(Duration::from_secs(86_400));
    /// # let _ = store;
    /// ```
    #[must_use]
    pub fn with_default_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.default_lifetime = Some(lifetime);
        self
    }

    /// Keeps at most this many sessions, and at least one; the default is no limit.
    ///
    /// See [what goes first](Self#memory).
    ///
    /// ```
    /// use sessile::stores::MemoryStore;
    ///
    /// let store = MemoryStore::new().with_max_sessions(100_000);
    /// assert_eq!(store.evicted(), 0);
    /// ```
    #[must_use]
    pub fn with_max_sessions(mut self, sessions: usize) -> Self {
        self.settings.limits.sessions = sessions.max(1);
        self
    }

    /// Uses at most about this much memory, as [`bytes`](Self::bytes) counts it;
    /// the default is no limit.
    ///
    /// A save of a record that alone is larger fails. See [what goes first](Self#memory).
    ///
    /// ```
    /// use sessile::stores::MemoryStore;
    ///
    /// let store = MemoryStore::new().with_max_bytes(512 * 1024 * 1024);
    /// assert_eq!(store.bytes(), 0);
    /// ```
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.settings.limits.bytes = bytes;
        self
    }

    /// Returns how much memory the sessions use, about: their ids, their texts and 128 bytes each.
    ///
    /// ```
    /// # use sessile::stores::MemoryStore;
    /// assert_eq!(MemoryStore::new().bytes(), 0);
    /// ```
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shards.bytes()
    }

    /// Returns how many sessions had to go for want of room.
    ///
    /// ```
    /// # use sessile::stores::MemoryStore;
    /// assert_eq!(MemoryStore::new().evicted(), 0);
    /// ```
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.shards.evicted()
    }

    fn now(&self) -> u64 {
        to_millis(self.settings.clock.now())
    }

    fn rank(&self, cookie: &SessionCookie, now: u64) -> Rank {
        match (cookie.expires(), self.settings.default_lifetime) {
            (Some(expires), _) => Rank::expires_at(to_millis(expires)),
            (None, Some(lifetime)) => Rank::expires_at(now.saturating_add(in_millis(lifetime))),
            (None, None) => Rank::never(now),
        }
    }

    fn new_record(&self, record: &Record, now: u64) -> New {
        let rank = self.rank(record.cookie(), now);
        New { text: Arc::clone(record.text()), rank, is_over: rank.is_over(now) }
    }

    /// Begins an operation: starts the background task, unless it runs, and now
    /// and then lets others go first. A caller in a loop would keep its worker
    /// to itself otherwise, for nothing here ever waits.
    async fn begin(&self) {
        self.keep_swept();
        tokio::task::coop::consume_budget().await;
    }

    fn keep_swept(&self) {
        if !self.shards.sweeper.is_running() {
            let settings = self.settings.clone();
            self.shards.sweeper.start(&self.shards, SWEEP_EVERY, move |shards| {
                let store = Self { shards, settings: settings.clone() };
                async move { store.purge_expired().await }
            });
        }
    }

    fn check_size(&self, id: &SessionId, record: &Record) -> Result<(), StoreError> {
        if cost(id.as_str().len(), record.text().len()) <= self.settings.limits.bytes {
            return Ok(());
        }
        Err(StoreError::failed("the record alone is larger than the memory store may be"))
    }

    async fn make_room(&self, keep: &SessionId) {
        let limits = self.settings.limits;
        if self.shards.is_over(limits) {
            while self.shards.evict(limits, keep, EVICTION_STEPS) {
                tokio::task::yield_now().await;
            }
        }
    }

    fn find(&self, id: &SessionId) -> Option<Stored> {
        let key = self.shards.key(id.as_str());
        let shard = self.shards.read(key.shard);
        let slot = shard.slot(shard.find(key)?);
        // A session that never ends spares the clock.
        if slot.rank.ends() && slot.rank.is_over(self.now()) {
            return None;
        }
        let version = Version::number(slot.version);
        Some(Stored::new(Arc::clone(&slot.text), version, slot.rank.expires()))
    }

    fn prolong(&self, id: &SessionId, cookie: &SessionCookie, since: Option<&Version>) -> bool {
        let (now, key) = (self.now(), self.shards.key(id.as_str()));
        let mut shard = self.shards.write(key.shard);
        let Some(at) = shard.find_live(key, now) else { return false };
        if since.is_none_or(|since| since.as_number() == Some(shard.slot(at).version)) {
            shard.touch(at, self.rank(cookie, now));
        }
        true
    }

    /// Saves in one step, under one lock.
    fn put(&self, key: Key<'_>, record: &Record, when: Precondition<'_>) -> Saved {
        let (now, mut dead) = (self.now(), Vec::new());
        let mut shard = self.shards.write(key.shard);
        shard.purge_past_pages(now, PURGED_BY_SAVE, &mut dead);
        if let Some(refusal) = refuse(&shard, key, when, now) {
            return refusal;
        }
        Saved::Saved(Version::number(shard.put(key, self.new_record(record, now), &mut dead)))
    }

    /// Moves a session in one step, under both locks.
    fn rotate_at_once(
        &self,
        from: Key<'_>,
        to: Key<'_>,
        record: &Record,
        version: &Version,
    ) -> Saved {
        let (now, mut dead) = (self.now(), Vec::new());
        let mut shards = self.shards.write_both(from.shard, to.shard);
        let unchanged = Precondition::Unchanged(version);
        let refusal = refuse(shards.of(from), from, unchanged, now)
            .or_else(|| refuse(shards.of(to), to, Precondition::Absent, now));
        if let Some(refusal) = refusal {
            return refusal;
        }
        let source = shards.of(from);
        if let Some(at) = source.find(from) {
            dead.extend(source.remove(at));
        }
        let version = shards.of(to).put(to, self.new_record(record, now), &mut dead);
        Saved::Saved(Version::number(version))
    }
}

/// Says why a save must not happen; `None` if it may.
fn refuse(shard: &Shard, key: Key<'_>, when: Precondition<'_>, now: u64) -> Option<Saved> {
    match (when, shard.find_live(key, now)) {
        (Precondition::None, _)
        | (Precondition::Absent, None)
        | (Precondition::Exists, Some(_)) => None,
        (Precondition::Absent, Some(_)) => Some(Saved::Conflict),
        (Precondition::Exists | Precondition::Unchanged(_), None) => Some(Saved::Gone),
        (Precondition::Unchanged(version), Some(at)) => {
            let is_current = version.as_number() == Some(shard.slot(at).version);
            (!is_current).then_some(Saved::Conflict)
        }
    }
}

impl SessionStore for MemoryStore {
    async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        self.begin().await;
        Ok(self.find(id))
    }

    fn load_at_once(&self, id: &SessionId) -> Option<Result<Option<Stored>, StoreError>> {
        self.keep_swept();
        Some(Ok(self.find(id)))
    }

    async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        self.begin().await;
        self.check_size(id, record)?;
        let saved = self.put(self.shards.key(id.as_str()), record, when);
        self.make_room(id).await;
        Ok(saved)
    }

    /// A store with limits may have to make room, which takes its time.
    fn save_at_once(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Option<Result<Saved, StoreError>> {
        if self.settings.limits.is_any() {
            return None;
        }
        self.keep_swept();
        Some(Ok(self.put(self.shards.key(id.as_str()), record, when)))
    }

    async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool, StoreError> {
        self.begin().await;
        Ok(self.prolong(id, cookie, since))
    }

    fn touch_at_once(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Option<Result<bool, StoreError>> {
        self.keep_swept();
        Some(Ok(self.prolong(id, cookie, since)))
    }

    async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
        self.begin().await;
        let (now, key) = (self.now(), self.shards.key(id.as_str()));
        let mut shard = self.shards.write(key.shard);
        let lived = shard.find_live(key, now).is_some();
        let text = shard.find(key).and_then(|at| shard.remove(at));
        drop(shard);
        drop(text);
        Ok(lived)
    }

    async fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved, StoreError> {
        self.begin().await;
        self.check_size(to, record)?;
        let keys = (self.shards.key(from.as_str()), self.shards.key(to.as_str()));
        let saved = self.rotate_at_once(keys.0, keys.1, record, version);
        self.make_room(to).await;
        Ok(saved)
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[Capability::All, Capability::Clear, Capability::Length]
    }

    async fn all(&self, from: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        self.begin().await;
        let now = self.now();
        let mut sessions = Vec::new();
        let mut last = from.map(|from| SessionId::new(from.as_str()));
        let first = last.as_ref().map_or(0, |last| self.shards.key(last.as_str()).shard);
        for shard in Shards::all().skip(first) {
            while sessions.len() < limit {
                let after = last.as_ref().map(|last| self.shards.key(last.as_str()));
                let rows = self.shards.read(shard).rows_after(after, limit - sessions.len());
                let Some(row) = rows.last() else { break };
                last = Some(row.id.clone());
                sessions.extend(rows.into_iter().filter(|row| !row.rank.is_over(now)).map(listed));
                tokio::task::yield_now().await;
            }
            if sessions.len() == limit {
                return Ok(Page::new(sessions, last.map(|last| Cursor::new(last.as_str()))));
            }
            last = None;
        }
        Ok(Page::new(sessions, None))
    }

    async fn length(&self) -> Result<u64, StoreError> {
        self.begin().await;
        let (now, mut length) = (self.now(), 0);
        for shard in Shards::all() {
            length += self.shards.read(shard).count_live(now) as u64;
            if self.is_due(shard, now) {
                tokio::task::yield_now().await;
            }
        }
        Ok(length)
    }

    async fn clear(&self) -> Result<(), StoreError> {
        for shard in Shards::all() {
            let sessions = self.shards.write(shard).take();
            for piece in sessions.into_slots().into_pieces() {
                drop(piece);
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        let (now, mut purged) = (self.now(), 0);
        for shard in Shards::all().filter(|shard| self.is_due(*shard, now)) {
            loop {
                let mut dead = Vec::with_capacity(BATCH);
                let seen = self.shards.write(shard).purge(now, BATCH, &mut dead);
                purged += dead.len() as u64;
                drop(dead);
                tokio::task::yield_now().await;
                if seen < BATCH {
                    break;
                }
            }
        }
        Ok(purged)
    }
}

impl MemoryStore {
    /// Tells whether sessions of the shard may be over, without waiting for its lock.
    fn is_due(&self, shard: usize, now: u64) -> bool {
        self.shards.first_page(shard) <= Rank::expires_at(now).page()
    }
}

/// A session as [`SessionStore::all`] gives it: Express's touch rewrites the
/// cookie in the record, so whoever reads the record finds the current expiry there.
fn listed(row: Row) -> (SessionId, Stored) {
    let expires = row.rank.expires();
    let text = expires.and_then(|_| touched(&row)).unwrap_or(row.text);
    (row.id, Stored::new(text, Version::number(row.version), expires))
}

/// Returns the record's text with its cookie's expiry moved to the session's;
/// `None` if it says so already, or says nothing of when it expires.
fn touched(row: &Row) -> Option<Arc<str>> {
    let record = Record::parse(Arc::clone(&row.text))?;
    let (written, expires) = (record.cookie().expires()?, row.rank.expires()?);
    if written == expires {
        return None;
    }
    let mut cookie = record.cookie().clone();
    // A microsecond more, for the seconds that a floating point number cannot hold.
    let max_age = cookie.original_max_age()?.saturating_add(Duration::from_micros(1));
    cookie.touch(expires.checked_sub(Duration::from_millis(in_millis(max_age)))?);
    Record::with_cookie(&row.text, &cookie).map(Into::into)
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("sessions", &self.shards.len())
            .field("bytes", &self.bytes())
            .field("limits", &self.settings.limits)
            .finish_non_exhaustive()
    }
}
