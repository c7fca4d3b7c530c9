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
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sessile_core::Error> {
/// # sessile_testkit::Browser::default().visit(async |session| {
/// log_in(&session)?;
/// assert_eq!(session.get(USER)?, Some(7));
/// # Ok(()) }).await }
/// ```
pub struct SessionKey<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> SessionKey<T> {
    /// Names a key. Express sees the value under the same name.
    ///
    /// ```
    /// # use sessile_core::SessionKey;
    /// const CART: SessionKey<Vec<String>> = SessionKey::new("cart");
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # sessile_testkit::Browser::default().visit(async |session| {
    /// session.insert(CART, vec!["pen".to_owned()])?;
    /// assert_eq!(session.keys(), ["cart"]);
    /// # Ok(()) }).await }
    /// ```
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
///
/// ```
/// use sessile_core::Key;
///
/// /// Values of one shop among several.
/// struct InShop(String);
///
/// impl InShop {
///     fn new(shop: u32, key: &str) -> Self {
///         Self(format!("shop-{shop}-{key}"))
///     }
/// }
///
/// impl<T> Key<T> for InShop {
///     fn name(&self) -> &str {
///         &self.0
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sessile_core::Error> {
/// # sessile_testkit::Browser::default().visit(async |session| {
/// session.insert(InShop::new(3, "items"), 2)?;
/// assert_eq!(session.get("shop-3-items")?, Some(2));
/// # Ok(()) }).await }
/// ```
pub trait Key<T> {
    /// Returns the name.
    ///
    /// ```
    /// # use sessile_core::{Key, SessionKey};
    /// const USER: SessionKey<u64> = SessionKey::new("userID");
    /// assert_eq!(USER.name(), "userID");
    /// assert_eq!(Key::<u64>::name(&"userID"), "userID");
    /// ```
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
