//! Time, as the rest of the crate sees it: one clock that tests can move.

use std::fmt::Debug;
use std::time::{Duration, SystemTime};

#[cfg(target_os = "linux")]
use nix::{
    sys::time::TimeValLike,
    time::{ClockId, clock_gettime},
};

use crate::date::LIMIT;

/// Tells the time.
///
/// Everything that expires asks a clock, never the system, so that a test can
/// stand at the very instant a session dies. Applications use [`SystemClock`].
///
/// ```
/// use sessile_core::Clock;
/// use std::time::{Duration, SystemTime};
///
/// /// One that goes ten minutes fast.
/// #[derive(Debug)]
/// struct Fast<C>(C);
///
/// impl<C: Clock> Clock for Fast<C> {
///     fn now(&self) -> SystemTime {
///         self.0.now() + Duration::from_secs(600)
///     }
/// }
///
/// let clock = sessile_testkit::TestClock::new();
/// assert_eq!(Fast(clock.clone()).now(), clock.now() + Duration::from_secs(600));
/// ```
pub trait Clock: Debug + Send + Sync + 'static {
    /// Returns the current time.
    ///
    /// ```
    /// use sessile_core::{Clock, SystemClock};
    /// use std::time::SystemTime;
    ///
    /// assert!(SystemClock.now() > SystemTime::UNIX_EPOCH);
    /// ```
    fn now(&self) -> SystemTime;

    /// Returns the milliseconds since 1970, as of now or of up to a second ago: for
    /// decisions that are the same either way, where the system has a clock that
    /// is quicker to ask. By default that of [`now`](Self::now).
    ///
    /// ```
    /// use sessile_core::{Clock, SystemClock};
    /// use std::time::{Duration, SystemTime};
    ///
    /// let about = Duration::from_millis(SystemClock.about_now().unsigned_abs());
    /// let behind = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH + about).unwrap();
    /// assert!(behind < Duration::from_secs(1));
    /// ```
    fn about_now(&self) -> i64 {
        to_millis(self.now())
    }
}

/// The system's clock.
///
/// ```
/// use sessile_core::{Clock, SystemClock};
/// use std::time::{Duration, SystemTime};
///
/// let years = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
/// assert!(years > Duration::from_secs(56 * 365 * 24 * 3600)); // since 1970
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else asks")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    #[cfg(target_os = "linux")]
    fn about_now(&self) -> i64 {
        // The time of the last tick, a few milliseconds ago.
        clock_gettime(ClockId::CLOCK_REALTIME_COARSE)
            .map_or_else(|_| to_millis(self.now()), |time| time.num_milliseconds())
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> SystemTime {
        (**self).now()
    }

    fn about_now(&self) -> i64 {
        (**self).about_now()
    }
}

/// Milliseconds since 1970, rounded down as `Date.now()` does.
pub(crate) fn to_millis(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs())
            .unwrap_or(i64::MAX)
            .saturating_mul(1000)
            .saturating_add(after.subsec_millis().into()),
        Err(before) => {
            let before = before.duration();
            let whole = i64::try_from(before.as_millis()).unwrap_or(i64::MAX);
            -whole - i64::from(before.subsec_nanos() % 1_000_000 != 0)
        }
    }
}

pub(crate) fn from_millis(millis: i64) -> SystemTime {
    let millis = millis.clamp(-LIMIT, LIMIT);
    let distance = Duration::from_millis(millis.unsigned_abs());
    let time = if millis < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_round_down_on_both_sides_of_1970() {
        let nano = Duration::from_nanos(1);
        assert_eq!(to_millis(SystemTime::UNIX_EPOCH + nano), 0);
        assert_eq!(to_millis(SystemTime::UNIX_EPOCH - nano), -1);
        for millis in [-62_135_596_800_000, -1, 0, 1, 1_893_553_445_678] {
            assert_eq!(to_millis(from_millis(millis)), millis);
        }
    }
}
