//! A session as one value of the application's own type.

use std::fmt;
use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::session::decode;
use crate::{Error, ErrorKind, Session};

/// A session whose values are the fields of `T`.
///
/// Reading is as cheap as reading a field. Writing goes through
/// [`update`](Self::update), which stores only the fields that changed, so
/// that parallel requests that change different fields do not collide. Keys
/// that `T` has no field for stay as they are.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use sessile_core::{Error, Typed};
///
/// #[derive(Default, Serialize, Deserialize)]
/// #[serde(default)]
/// struct Shopper {
///     name: Option<String>,
///     items: Vec<u32>,
/// }
///
/// fn add(mut shopper: Typed<Shopper>, item: u32) -> Result<usize, Error> {
///     shopper.update(|shopper| shopper.items.push(item))?;
///     Ok(shopper.items.len())
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sessile_core::Error> {
/// # sessile_testkit::Browser::default().visit(async |session| {
/// assert_eq!(add(Typed::new(session.clone())?, 12)?, 1); // axum extracts it
/// assert_eq!(session.get("items")?, Some(vec![12]));
/// # Ok(()) }).await }
/// ```
pub struct Typed<T> {
    session: Session,
    value: T,
}

impl<T: Default + DeserializeOwned + Serialize> Typed<T> {
    /// Reads `T` out of a session; an empty session is `T::default()`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`] if the session holds something else. `#[serde(default)]`
    /// on `T` lets it read sessions that lack a field.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use sessile_core::{ErrorKind, Typed};
    /// #[derive(Default, Serialize, Deserialize)]
    /// struct Visitor {
    ///     user: u32,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # sessile_testkit::Browser::default().visit(async |session| {
    /// assert_eq!(Typed::<Visitor>::new(session.clone())?.user, 0);
    /// session.insert("user", "seven")?;
    /// let error = Typed::<Visitor>::new(session.clone()).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Decode);
    /// # Ok(()) }).await }
    /// ```
    pub fn new(session: Session) -> Result<Self, Error> {
        let text = session.to_json();
        let value =
            if text == "{}" { T::default() } else { decode(&text, || "the session".into())? };
        Ok(Self { session, value })
    }

    /// Changes the value and stores the fields that came out different.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`] if `T` does not serialise to an object; else as
    /// [`Session::insert`].
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use sessile_core::Typed;
    /// #[derive(Default, Serialize, Deserialize)]
    /// #[serde(default)]
    /// struct Visitor {
    ///     user: u32,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # sessile_testkit::Browser::default().visit(async |session| {
    /// session.insert("theme", "dark")?; // no field of Visitor's
    /// let mut visitor = Typed::<Visitor>::new(session.clone())?;
    /// visitor.update(|visitor| visitor.user = 7)?;
    /// assert_eq!(visitor.user, 7);
    /// assert_eq!(session.keys(), ["theme", "user"]);
    /// # Ok(()) }).await }
    /// ```
    pub fn update(&mut self, change: impl FnOnce(&mut T)) -> Result<(), Error> {
        let before = fields(&self.value)?;
        change(&mut self.value);
        let after = fields(&self.value)?;
        for (key, _) in
            before.iter().filter(|(key, _)| !after.iter().any(|(other, _)| other == key))
        {
            self.session.remove(key)?;
        }
        for (key, value) in &after {
            let same = before.iter().any(|(other, old)| other == key && old.get() == value.get());
            if !same {
                self.session.insert(key, value)?;
            } else if !self.session.contains_key(key) {
                // It makes the stored session complete, but is nothing this request did.
                let default = value.clone();
                let keep = move |old: Option<Box<RawValue>>| old.unwrap_or_else(|| default.clone());
                self.session.update(key, keep)?;
            }
        }
        Ok(())
    }

    /// Returns the session itself, for its cookie and its verbs.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use sessile_core::Typed;
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Visitor {}
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # sessile_testkit::Browser::default().visit(async |session| {
    /// let visitor = Typed::<Visitor>::new(session)?;
    /// visitor.session().destroy().await?;
    /// assert!(visitor.session().is_destroyed());
    /// # Ok(()) }).await }
    /// ```
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }
}

/// Splits a value into its fields, in their order.
fn fields(value: &impl Serialize) -> Result<Vec<(String, Box<RawValue>)>, Error> {
    let text = crate::json::to_text(value)?;
    let mut fields = Vec::new();
    let read = crate::json::members(&text, |member| {
        let key = crate::json::unescape(&text[member.key]).map(String::from);
        let value = RawValue::from_string(text[member.value].to_owned());
        if let (Some(key), Ok(value)) = (key, value) {
            fields.push((key, value));
        }
    });
    let not_object =
        || Error::new(ErrorKind::Encode, "a typed session must serialise to an object");
    read.map(|()| fields).ok_or_else(not_object)
}

impl<T> Deref for Typed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> fmt::Debug for Typed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Typed").field(&self.session).finish()
    }
}
