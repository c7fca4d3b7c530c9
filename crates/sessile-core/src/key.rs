//! Keys that know what stands under them.

use std::fmt;
use std::marker::PhantomData;

/// A key with the type of its value, so that no two places disagree on it.
///
/// ```
/// use sessile_core::{Error, Session, SessionKey};
///
/// const USER: SessionKey<u64> = SessionKey::new("userID");
///
/// fn log_in(session: &Session) -> Result<(), Error> {
///     session.insert(USER, 7) // a string would not compile
/// }
/// ```
pub struct SessionKey<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> SessionKey<T> {
    /// Names a key. Express sees the value under the same name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, value: PhantomData }
    }
}

impl<T> Clone for SessionKey<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SessionKey<T> {}

/// What names a value of type `T` in a session: text, for any type, or a
/// [`SessionKey`], for its own.
pub trait Key<T> {
    /// Returns the name.
    fn name(&self) -> &str;
}

impl<T> Key<T> for &str {
    fn name(&self) -> &str {
        self
    }
}

impl<T> Key<T> for &String {
    fn name(&self) -> &str {
        self
    }
}

impl<T> Key<T> for SessionKey<T> {
    fn name(&self) -> &str {
        self.name
    }
}

impl<T> fmt::Debug for SessionKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionKey").field(&self.name).finish()
    }
}
