//! Time that stands still until a test moves it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sessile_core::Clock;

/// 2026-01-01T00:00:00Z, in seconds since 1970.
const START: u64 = 1_767_225_600;

/// A clock that tests move. Clones tell the same time.
///
/// ```
/// use sessile_core::Clock;
/// use sessile_testkit::TestClock;
/// use std::time::Duration;
///
/// let clock = TestClock::new(); // 2026-01-01T00:00:00Z
/// let start = clock.now();
/// clock.clone().advance(Duration::from_secs(60));
/// assert_eq!(clock.now(), start + Duration::from_secs(60));
/// ```
#[derive(Clone, Debug)]
pub struct TestClock(Arc<Mutex<SystemTime>>);

impl TestClock {
    /// Makes a clock that stands at 2026-01-01T00:00:00Z.
    ///
    /// ```
    /// # use sessile_core::Clock;
    /// # use sessile_testkit::TestClock;
    /// # use std::time::{Duration, SystemTime};
    /// let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    /// assert_eq!(TestClock::new().now(), start); // 2026-01-01T00:00:00Z, at each run
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(START))))
    }

    /// Moves the clock forward.
    ///
    /// ```
    /// # use sessile_core::Clock;
    /// # use sessile_testkit::TestClock;
    /// # use std::time::Duration;
    /// let clock = TestClock::new();
    /// let before = clock.now();
    /// clock.advance(Duration::from_millis(1));
    /// assert_eq!(clock.now(), before + Duration::from_millis(1));
    /// ```
    pub fn advance(&self, by: Duration) {
        *self.time() += by;
    }

    /// Moves the clock to `time`, backwards too.
    ///
    /// ```
    /// # use sessile_core::Clock;
    /// # use sessile_testkit::TestClock;
    /// use std::time::SystemTime;
    ///
    /// let clock = TestClock::new();
    /// clock.set(SystemTime::UNIX_EPOCH); // long before it began
    /// assert_eq!(clock.now(), SystemTime::UNIX_EPOCH);
    /// ```
    pub fn set(&self, time: SystemTime) {
        *self.time() = time;
    }

    fn time(&self) -> MutexGuard<'_, SystemTime> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        *self.time()
    }
}
