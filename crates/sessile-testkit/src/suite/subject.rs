//! What a trial is about: a store, and what it says about itself.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sessile_core::{AnyStore, Clock, Record, SessionCookie, SessionId, SessionStore, SystemClock};

use crate::TestClock;

/// Real stores and this process read different clocks, and answers take their time.
const REAL_TOLERANCE: Duration = Duration::from_millis(100);

/// A store under trial, its clock, and what it promises beyond the contract.
///
/// ```
/// use sessile_testkit::{ReferenceStore, Subject, TestClock, suite};
///
/// let trials = suite("reference", async || {
///     let clock = TestClock::new();
///     Subject::new(ReferenceStore::with_clock(clock.clone())).with_clock(clock)
/// });
/// assert_eq!(trials.len(), 49);
/// ```
#[derive(Clone)]
pub struct Subject {
    store: AnyStore,
    other: AnyStore,
    clock: Option<TestClock>,
    default_lifetime: Option<Duration>,
    precision: Duration,
    ids: Arc<str>,
    // Last, so that it goes after the stores that use it.
    guards: Vec<Arc<dyn Any + Send + Sync>>,
}

impl Subject {
    /// Puts `store` under trial. Unless told otherwise it lives in real time, keeps
    /// sessions without an expiry for ever, and is exact to the millisecond.
    ///
    /// ```
    /// # use sessile_testkit::{ReferenceStore, Subject};
    /// let subject = Subject::new(ReferenceStore::new());
    /// assert!(format!("{subject:?}").contains("ReferenceStore"));
    /// ```
    pub fn new(store: impl SessionStore) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let store = AnyStore::new(store);
        Self {
            other: store.clone(),
            store,
            clock: None,
            default_lifetime: None,
            precision: Duration::ZERO,
            ids: format!("kit-{}-{made}-", std::process::id()).into(),
            guards: Vec::new(),
        }
    }

    /// Says that the store asks `clock` for the time: then no trial waits, and expiry is
    /// tried at the very instant.
    ///
    /// Such a store removes what has expired itself, so that its
    /// [`purge_expired`](SessionStore::purge_expired) must count exactly.
    ///
    /// ```
    /// # use sessile_testkit::{ReferenceStore, Subject, TestClock, suite};
    /// use libtest_mimic::Arguments;
    ///
    /// let trials = suite("reference", async || {
    ///     let clock = TestClock::new();
    ///     Subject::new(ReferenceStore::with_clock(clock.clone())).with_clock(clock)
    /// });
    /// let arguments = Arguments::from_iter(["stores", "--quiet", "load_expired_is_none"]);
    /// let conclusion = libtest_mimic::run(&arguments, trials); // a minute, in no time
    /// assert_eq!((conclusion.num_passed, conclusion.num_failed), (1, 0));
    /// ```
    #[must_use]
    pub fn with_clock(mut self, clock: TestClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Adds another handle on the same sessions, such as another process has: every
    /// trial then works through both.
    ///
    /// ```
    /// # use libtest_mimic::Arguments;
    /// # use sessile_testkit::{ReferenceStore, Subject, suite};
    /// let trials = suite("reference", async || {
    ///     let store = ReferenceStore::new(); // of which each clone is a handle
    ///     Subject::new(store.clone()).with_other_handle(store)
    /// });
    /// # let arguments = Arguments::from_iter(["stores", "--quiet", "save_unchanged_lets_one_of_many_win"]);
    /// # let conclusion = libtest_mimic::run(&arguments, trials);
    /// # assert_eq!((conclusion.num_passed, conclusion.num_failed), (1, 0));
    /// ```
    #[must_use]
    pub fn with_other_handle(mut self, store: impl SessionStore) -> Self {
        self.other = AnyStore::new(store);
        self
    }

    /// Says how long the store keeps a session whose cookie has no expiry.
    ///
    /// ```
    /// # use libtest_mimic::Arguments;
    /// # use sessile_testkit::{ReferenceStore, Subject, TestClock, suite};
    /// use std::time::Duration;
    ///
    /// let trials = suite("reference", async || {
    ///     let (clock, day) = (TestClock::new(), Duration::from_secs(24 * 3600));
    ///     let store = ReferenceStore::with_clock(clock.clone()).with_default_lifetime(day);
    ///     Subject::new(store).with_clock(clock).with_default_lifetime(day)
    /// });
    /// # let arguments = Arguments::from_iter(["stores", "--quiet", "no_expiry_means_the_default_lifetime"]);
    /// # let conclusion = libtest_mimic::run(&arguments, trials);
    /// # assert_eq!((conclusion.num_passed, conclusion.num_failed), (1, 0));
    /// ```
    #[must_use]
    pub fn with_default_lifetime(mut self, lifetime: Duration) -> Self {
        self.default_lifetime = Some(lifetime);
        self
    }

    /// Says how much longer than asked the store may keep a session: a second, if it
    /// counts whole ones. It may never drop one early.
    ///
    /// ```
    /// # use libtest_mimic::Arguments;
    /// # use sessile_testkit::{ReferenceStore, Subject, suite};
    /// use std::time::Duration;
    ///
    /// let trials = suite("reference", async || {
    ///     Subject::new(ReferenceStore::new()).with_precision(Duration::from_secs(1))
    /// });
    /// # let arguments = Arguments::from_iter(["stores", "--quiet", "load_reports_the_expiry"]);
    /// # let conclusion = libtest_mimic::run(&arguments, trials);
    /// # assert_eq!((conclusion.num_passed, conclusion.num_failed), (1, 0));
    /// ```
    #[must_use]
    pub fn with_precision(mut self, precision: Duration) -> Self {
        self.precision = precision;
        self
    }

    /// Keeps `guard` until the trial is over: a temporary directory, a server.
    ///
    /// ```
    /// # use sessile_testkit::{ReferenceStore, Subject};
    /// use std::sync::Arc;
    ///
    /// let server = Arc::new("some server");
    /// let subject = Subject::new(ReferenceStore::new()).with_guard(Arc::clone(&server));
    /// assert_eq!(Arc::strong_count(&server), 2);
    /// drop(subject);
    /// assert_eq!(Arc::strong_count(&server), 1);
    /// ```
    #[must_use]
    pub fn with_guard(mut self, guard: impl Any + Send + Sync) -> Self {
        self.guards.push(Arc::new(guard));
        self
    }

    pub(super) fn store(&self) -> &AnyStore {
        &self.store
    }

    /// Returns the other handle; the same one if there is no other.
    pub(super) fn other(&self) -> &AnyStore {
        &self.other
    }

    /// Returns one handle or the other, for a crowd to use both.
    pub(super) fn handle(&self, n: u64) -> AnyStore {
        if n.is_multiple_of(2) { self.store.clone() } else { self.other.clone() }
    }

    /// Returns an id of this trial alone.
    pub(super) fn id(&self, name: impl fmt::Display) -> SessionId {
        SessionId::new(format!("{}{name}", self.ids))
    }

    pub(super) fn now(&self) -> SystemTime {
        self.clock.as_ref().map_or_else(|| SystemClock.now(), Clock::now)
    }

    pub(super) fn moves_time(&self) -> bool {
        self.clock.is_some()
    }

    pub(super) fn default_lifetime(&self) -> Option<Duration> {
        self.default_lifetime
    }

    /// Returns a lifetime that a trial can wait for.
    pub(super) fn short(&self) -> Duration {
        if self.moves_time() { Duration::from_secs(60) } else { Duration::from_secs(2) }
    }

    /// Moves to the last instant at which a session lives that expires at `expires`.
    /// In real time nobody could say that it is the last one, and nothing happens.
    pub(super) fn eve_of(&self, expires: SystemTime) {
        if let Some(clock) = &self.clock {
            clock.set(expires - Duration::from_millis(1));
        }
    }

    /// Moves, or waits, until a session is dead that expires at `expires`.
    pub(super) async fn reach(&self, expires: SystemTime) {
        let dead = expires + self.precision;
        match &self.clock {
            Some(clock) => clock.set(dead),
            None => {
                let left = (dead + REAL_TOLERANCE).duration_since(self.now());
                tokio::time::sleep(left.unwrap_or_default()).await;
            }
        }
    }

    /// Asserts that a store reports an expiry as exactly as it promised.
    #[track_caller]
    pub(super) fn assert_expiry(&self, reported: Option<SystemTime>, meant: Option<SystemTime>) {
        let (Some(at), Some(due)) = (reported, meant) else {
            assert_eq!(reported, meant, "the expiry");
            return;
        };
        let late = at.duration_since(due).unwrap_or_default();
        let early = due.duration_since(at).unwrap_or_default();
        let tolerance = if self.moves_time() { Duration::ZERO } else { REAL_TOLERANCE };
        assert!(early <= tolerance, "the expiry is {early:?} early");
        assert!(late <= tolerance + self.precision, "the expiry is {late:?} late");
    }

    /// Returns the cookie of a session that expires at `expires`.
    pub(super) fn cookie(&self, expires: Option<SystemTime>) -> SessionCookie {
        let json = r#"{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#;
        let mut cookie = SessionCookie::from_json(json).expect("a cookie as Express writes it");
        cookie.set_expires(expires, self.now());
        cookie
    }

    /// Returns a record with `members` beside its cookie, which expires at `expires`.
    pub(super) fn record_of(&self, members: &str, expires: Option<SystemTime>) -> Record {
        let cookie = self.cookie(expires).to_json();
        let text = format!(r#"{{"cookie":{cookie},{members}}}"#);
        Record::parse(text).expect("a record as Express writes it")
    }

    /// Returns a record that outlives its trial and says `n`.
    pub(super) fn record(&self, n: u64) -> Record {
        self.record_until(n, self.now() + Duration::from_secs(24 * 3600))
    }

    /// Returns a record that expires at `expires` and says `n`.
    pub(super) fn record_until(&self, n: u64, expires: SystemTime) -> Record {
        self.record_of(&format!(r#""n":{n}"#), Some(expires))
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("store", &self.store).finish_non_exhaustive()
    }
}
