//! Ids that a test knows beforehand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sessile_core::{IdGenerator, SessionId, StoreError};

/// Gives `sid-1`, `sid-2`, and so on; turned back, it gives an id twice.
///
/// Clones share the counter, so a test can keep one and force a collision:
///
/// ```
/// use sessile_core::IdGenerator;
/// use sessile_testkit::CountingIds;
///
/// let ids = CountingIds::new();
/// assert_eq!(ids.generate().unwrap().as_str(), "sid-1");
/// ids.set(1);
/// assert_eq!(ids.generate().unwrap().as_str(), "sid-1");
/// assert_eq!(ids.generate().unwrap().as_str(), "sid-2");
/// ```
#[derive(Clone, Debug)]
pub struct CountingIds(Arc<AtomicU64>);

impl CountingIds {
    /// Makes a generator whose first id is `sid-1`.
    ///
    /// ```
    /// # use sessile_core::IdGenerator;
    /// # use sessile_testkit::CountingIds;
    /// assert_eq!(CountingIds::new().generate().unwrap().as_str(), "sid-1");
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1)))
    }

    /// Lets the next id be `sid-` and `next`.
    ///
    /// ```
    /// # use sessile_core::IdGenerator;
    /// # use sessile_testkit::CountingIds;
    /// let ids = CountingIds::new();
    /// ids.set(41);
    /// assert_eq!(ids.generate().unwrap().as_str(), "sid-41");
    /// ```
    pub fn set(&self, next: u64) {
        self.0.store(next, Ordering::SeqCst);
    }
}

impl Default for CountingIds {
    fn default() -> Self {
        Self::new()
    }
}

impl IdGenerator for CountingIds {
    fn generate(&self) -> Result<SessionId, StoreError> {
        Ok(SessionId::new(format!("sid-{}", self.0.fetch_add(1, Ordering::SeqCst))))
    }
}
