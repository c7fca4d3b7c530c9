//! What can go wrong, for whoever has to act on it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use http::StatusCode;

type Source = Box<dyn StdError + Send + Sync>;

/// An error of Sessile: a [kind](ErrorKind) to act on, a sentence to read and,
/// where there is one, a source to dig into.
///
/// No error ever contains a session id, a secret or a value of a session.
///
/// ```
/// # use sessile_core::{Error, ErrorKind};
/// # use sessile_testkit::Browser;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let mut browser = Browser::default();
/// let error = browser.visit(async |session| {
///     session.insert("token", "s3cret")?;
///     session.get::<u32>("token")
/// });
/// let error = error.await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Decode);
/// assert!(error.to_string().starts_with(r#"the session's value under "token" is not what"#));
/// assert!(!format!("{error:?}").contains("s3cret"));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Source>,
}

/// What kind of thing went wrong.
///
/// ```
/// # use sessile_core::{Error, ErrorKind, Session};
/// /// The theme somebody chose; one that an old release stored in another form is none.
/// fn theme(session: &Session) -> Result<Option<u32>, Error> {
///     match session.get("theme") {
///         Err(error) if error.kind() == ErrorKind::Decode => Ok(None),
///         other => other,
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # sessile_testkit::Browser::default().visit(async |session| {
/// session.insert("theme", "dark")?;
/// assert_eq!(theme(&session)?, None);
/// # Ok(()) }).await }
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option has a value that cannot work; the message names it.
    Config,
    /// Another request changed the session first, under [`Concurrency::Reject`](crate::Concurrency::Reject).
    Conflict,
    /// A stored value is not what the caller asked for.
    Decode,
    /// The session was destroyed in this request, or is gone from its store.
    Gone,
    /// A value cannot be kept: it does not serialise, its key is reserved, or
    /// it makes the session larger than it may be.
    Encode,
    /// The request reached the handler without a session: the layer is missing.
    MissingLayer,
    /// The request's path lies outside the session cookie's `Path`.
    OutsidePath,
    /// The store was unreachable, and the session stands in for the real one.
    ReadOnly,
    /// The response has left, so its cookie can no longer change.
    ResponseSent,
    /// The store answered, and refused.
    Store,
    /// The store cannot be reached, or did not answer in time.
    Unavailable,
}

impl Error {
    /// Makes an error of `kind`, described in lower case without a full stop.
    ///
    /// ```
    /// # use sessile_core::{Error, ErrorKind};
    /// let error = Error::new(ErrorKind::Decode, "the cart is of an older release");
    /// assert_eq!(error.to_string(), "the cart is of an older release");
    /// ```
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Adds what caused it.
    ///
    /// ```
    /// # use sessile_core::{Error, ErrorKind};
    /// let cause = "ten".parse::<u32>().unwrap_err();
    /// let error = Error::new(ErrorKind::Decode, "the cart has no size").with_source(cause);
    /// let source = std::error::Error::source(&error).unwrap();
    /// assert_eq!(source.to_string(), "invalid digit found in string");
    /// ```
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns what kind of error it is.
    ///
    /// ```
    /// # use sessile_core::{ErrorKind, Secrets};
    /// let error = Secrets::new([""]).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// ```
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the status that tells a client about it.
    ///
    /// ```
    /// # use sessile_core::{Error, ErrorKind};
    /// assert_eq!(Error::new(ErrorKind::Unavailable, "the store is down").status(), 503);
    /// assert_eq!(Error::new(ErrorKind::Conflict, "somebody was first").status(), 409);
    /// assert_eq!(Error::new(ErrorKind::Decode, "no number").status(), 500);
    /// ```
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.kind {
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::ReadOnly | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Config
            | ErrorKind::Decode
            | ErrorKind::Encode
            | ErrorKind::Gone
            | ErrorKind::MissingLayer
            | ErrorKind::OutsidePath
            | ErrorKind::ResponseSent
            | ErrorKind::Store => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(crate) fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    pub(crate) fn gone() -> Self {
        Self::new(ErrorKind::Gone, "the session is gone: it was destroyed, rotated or expired")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// What a store says when its backend fails.
///
/// A missing, expired or malformed session is not an error; see
/// [`SessionStore`](crate::SessionStore).
///
/// ```
/// # use sessile_core::{Error, ErrorKind, StoreError};
/// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
/// let error = StoreError::unavailable("redis does not answer").with_source(refused);
/// let error = Error::from(error); // what a handler gets
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// assert_eq!(error.to_string(), "the session store cannot be reached");
/// ```
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    message: Cow<'static, str>,
    source: Option<Source>,
}

/// How a store failed.
///
/// ```
/// # use sessile_core::{SessionStore, StoreError, StoreErrorKind};
/// /// How many are here, where the store can tell.
/// async fn visitors(store: &impl SessionStore) -> Result<Option<u64>, StoreError> {
///     match store.length().await {
///         Err(error) if error.kind() == StoreErrorKind::Unsupported => Ok(None),
///         length => length.map(Some),
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), StoreError> {
/// assert_eq!(visitors(&sessile_testkit::ReferenceStore::new()).await?, Some(0));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The backend answered, and refused.
    Failed,
    /// No answer came within the store deadline.
    TimedOut,
    /// The backend cannot be reached.
    Unavailable,
    /// The store has no such operation; its capabilities say so.
    Unsupported,
}

impl StoreError {
    /// The backend answered, and refused.
    ///
    /// ```
    /// # use sessile_core::{StoreError, StoreErrorKind};
    /// let error = StoreError::failed("the table is read-only");
    /// assert_eq!(error.kind(), StoreErrorKind::Failed);
    /// ```
    pub fn failed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StoreErrorKind::Failed, message)
    }

    /// No answer came in time.
    ///
    /// ```
    /// # use sessile_core::{Error, StoreError, StoreErrorKind};
    /// let error = StoreError::timed_out("no answer in 5 seconds");
    /// assert_eq!(error.kind(), StoreErrorKind::TimedOut);
    /// assert_eq!(Error::from(error).status(), 503);
    /// ```
    pub fn timed_out(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StoreErrorKind::TimedOut, message)
    }

    /// The backend cannot be reached.
    ///
    /// ```
    /// # use sessile_core::{Error, StoreError, StoreErrorKind};
    /// let error = StoreError::unavailable("the connection was refused");
    /// assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    /// assert_eq!(Error::from(error).status(), 503);
    /// ```
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StoreErrorKind::Unavailable, message)
    }

    /// The store has no such operation.
    ///
    /// ```
    /// # use sessile_core::{StoreError, StoreErrorKind};
    /// let error = StoreError::unsupported("memcached cannot list its keys");
    /// assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    /// ```
    pub fn unsupported(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StoreErrorKind::Unsupported, message)
    }

    fn new(kind: StoreErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Adds what caused it.
    ///
    /// ```
    /// # use sessile_core::StoreError;
    /// let cause = std::io::Error::other("disk quota exceeded");
    /// let error = StoreError::failed("the session was not written").with_source(cause);
    /// assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "disk quota exceeded");
    /// ```
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns how the store failed.
    ///
    /// ```
    /// # use sessile_core::{SessionId, SessionStore, StoreErrorKind};
    /// # use sessile_testkit::{FaultyStore, Op, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let store = FaultyStore::new(ReferenceStore::new());
    /// store.fail(Op::Load);
    /// let error = store.load(&SessionId::new("a")).await.unwrap_err();
    /// assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    /// # }
    /// ```
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let (kind, message) = match error.kind() {
            StoreErrorKind::TimedOut => {
                (ErrorKind::Unavailable, "the session store did not answer in time")
            }
            StoreErrorKind::Unavailable => {
                (ErrorKind::Unavailable, "the session store cannot be reached")
            }
            StoreErrorKind::Failed | StoreErrorKind::Unsupported => {
                (ErrorKind::Store, "the session store failed")
            }
        };
        Self::new(kind, message).with_source(error)
    }
}
