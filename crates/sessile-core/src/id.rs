//! Session ids: what they are, and where new ones come from.
//!
//! Mirrors `generateSessionId` of `express-session/index.js` (`uid-safe(24)`).

use std::cell::RefCell;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrayvec::ArrayString;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use crate::StoreError;

/// Names a session. Whoever holds it holds the session, so it never prints.
///
/// ```
/// use sessile_core::SessionId;
///
/// let id = SessionId::new("Y7tQm0JcVb-1s_2dK9xWzR4hLpN6aGfE");
/// assert_eq!(format!("{id:?}"), "SessionId(..)");
/// assert_eq!(id.digest().len(), 16); // what logs name it by
/// ```
#[derive(Clone)]
pub struct SessionId(Text);

#[derive(Clone)]
enum Text {
    /// As Express's ids and UUIDs are.
    Short(ArrayString<40>),
    Long(Arc<str>),
}

impl SessionId {
    /// Wraps an id that a store or a generator gave.
    ///
    /// ```
    /// # use sessile_core::SessionId;
    /// assert_eq!(SessionId::new("a"), SessionId::new(String::from("a")));
    /// assert_ne!(SessionId::new("a"), SessionId::new("A"));
    /// ```
    pub fn new(id: impl AsRef<str>) -> Self {
        let id = id.as_ref();
        Self(ArrayString::from(id).map_or_else(|_| Text::Long(id.into()), Text::Short))
    }

    /// Returns the id itself: for stores and cookies, not for logs.
    ///
    /// ```
    /// # use sessile_core::SessionId;
    /// let id = SessionId::new("Y7tQm0Jc");
    /// assert_eq!(format!("sess:{}", id.as_str()), "sess:Y7tQm0Jc"); // a key in Redis
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Short(id) => id,
            Text::Long(id) => id,
        }
    }

    /// Returns sixteen hex digits of the id's SHA-256, by which logs name the session.
    ///
    /// ```
    /// # use sessile_core::SessionId;
    /// assert_eq!(SessionId::new("a").digest(), "ca978112ca1bbdca");
    /// ```
    #[must_use]
    pub fn digest(&self) -> String {
        Sha256::digest(self.as_str().as_bytes())
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    pub(crate) fn within(&self, namespace: &str) -> Self {
        Self::new([namespace, self.as_str()].concat())
    }
}

impl PartialEq for SessionId {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for SessionId {}

impl PartialOrd for SessionId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SessionId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for SessionId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// Makes the ids of new sessions. Mirrors the option `genid`.
///
/// Ids must be unguessable: whoever guesses one is logged in. A closure is a
/// generator too:
///
/// ```
/// use sessile_core::{IdGenerator, RandomIds, SessionId};
///
/// let tagged = || SessionId::new(format!("eu1-{}", RandomIds.generate().unwrap().as_str()));
/// assert_eq!(IdGenerator::generate(&tagged).unwrap().as_str().len(), 36);
/// ```
pub trait IdGenerator: Send + Sync + 'static {
    /// Returns an id that was never given before.
    ///
    /// # Errors
    ///
    /// If the system has no randomness to give.
    ///
    /// ```
    /// # use sessile_core::{IdGenerator, RandomIds, StoreError};
    /// assert_ne!(RandomIds.generate()?, RandomIds.generate()?);
    /// # Ok::<(), StoreError>(())
    /// ```
    fn generate(&self) -> Result<SessionId, StoreError>;
}

impl<F: Fn() -> SessionId + Send + Sync + 'static> IdGenerator for F {
    fn generate(&self) -> Result<SessionId, StoreError> {
        Ok(self())
    }
}

/// Ids as Express makes them: 24 random bytes in base64url, 32 characters.
///
/// ```
/// use sessile_core::{IdGenerator, RandomIds};
///
/// let id = RandomIds.generate()?;
/// assert_eq!(id.as_str().len(), 32);
/// assert!(id.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
/// # Ok::<(), sessile_core::StoreError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomIds;

const ID_BYTES: usize = 24;
const IDS_PER_SEED: usize = 32;

/// Randomness for a few ids at once, from one seed of the system: a system call for
/// each would cost more than most of a new session. Neither the seed nor what was
/// given is kept.
///
/// A process forked meanwhile would give some of the same ids. In a store they
/// share, the second of two equal ids is refused and exchanged.
struct Pool {
    bytes: [u8; ID_BYTES * IDS_PER_SEED],
    used: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const {
        RefCell::new(Pool { bytes: [0; ID_BYTES * IDS_PER_SEED], used: ID_BYTES * IDS_PER_SEED })
    };
}

impl Pool {
    fn take(&mut self) -> Result<[u8; ID_BYTES], getrandom::Error> {
        if self.used == self.bytes.len() {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed)?;
            ChaCha20Rng::from_seed(seed).fill_bytes(&mut self.bytes);
            self.used = 0;
        }
        let fresh = &mut self.bytes[self.used..self.used + ID_BYTES];
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(fresh);
        fresh.fill(0);
        self.used += ID_BYTES;
        Ok(id)
    }
}

impl IdGenerator for RandomIds {
    fn generate(&self) -> Result<SessionId, StoreError> {
        let bytes = POOL.with_borrow_mut(Pool::take).map_err(|error| {
            StoreError::unavailable("the system gave no randomness for a session id")
                .with_source(error)
        })?;
        let mut text = [0; ID_BYTES / 3 * 4];
        URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).map_err(|error| {
            StoreError::failed("a session id did not encode").with_source(error)
        })?;
        std::str::from_utf8(&text)
            .map(SessionId::new)
            .map_err(|error| StoreError::failed("a session id did not encode").with_source(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn new_ids_carry_192_bits_as_uid_safe_does() {
        let ids: HashSet<_> = (0..10_000).map(|_| RandomIds.generate().unwrap()).collect();
        assert_eq!(ids.len(), 10_000);
        for id in &ids {
            let id = id.as_str();
            assert_eq!(id.len(), 32);
            assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        }
    }

    #[test]
    fn a_thread_that_ends_still_has_ids_to_give() {
        struct AtTheEnd;
        impl Drop for AtTheEnd {
            fn drop(&mut self) {
                RandomIds.generate().unwrap();
            }
        }
        thread_local!(static LAST: AtTheEnd = const { AtTheEnd });
        let thread = std::thread::spawn(|| {
            LAST.with(|_| ());
            RandomIds.generate().unwrap();
        });
        thread.join().unwrap();
    }

    #[test]
    fn ids_of_two_threads_differ() {
        let ids = || (0..100).map(|_| RandomIds.generate().unwrap()).collect::<HashSet<_>>();
        let there = std::thread::spawn(ids).join().unwrap();
        assert!(ids().is_disjoint(&there));
    }

    #[test]
    fn an_id_never_prints() {
        let id = SessionId::new("secret-id");
        assert!(!format!("{id:?} {}", id.digest()).contains("secret"));
    }
}
