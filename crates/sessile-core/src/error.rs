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
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Source>,
}

/// What kind of thing went wrong.
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
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Adds what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns what kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the status that tells a client about it.
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
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    message: Cow<'static, str>,
    source: Option<Source>,
}

/// How a store failed.
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
    pub fn failed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StoreErrorKind::Failed, message)
    }

    /// No answer came in time.
    pub fn timed_out(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StoreErrorKind::TimedOut, message)
    }

    /// The backend cannot be reached.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StoreErrorKind::Unavailable, message)
    }

    /// The store has no such operation.
    pub fn unsupported(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StoreErrorKind::Unsupported, message)
    }

    fn new(kind: StoreErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Adds what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns how the store failed.
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
