//! What the driver's errors mean to a store, without what they quote.

use std::fmt;
use std::io;

use mongodb::error::{Error, ErrorKind, RETRYABLE_WRITE_ERROR, WriteFailure};
use sessile_core::StoreError;

const UNAUTHORIZED: i32 = 13;
const AUTHENTICATION_FAILED: i32 = 18;
const TIME_LIMIT: i32 = 50;
const DOLLAR_IN_KEY: i32 = 52;
const WRITE_CONCERN_TIMEOUT: i32 = 64;
const INDEX_DIFFERS: [i32; 2] = [85, 86];
const DUPLICATE_KEY: i32 = 11_000;
/// The server shuts down, or is not the primary any more.
const NOT_NOW: [i32; 9] = [91, 189, 10_058, 10_107, 11_600, 11_602, 13_435, 13_436, 17_276];

/// What the server said, but for its words: those quote ids and records.
#[derive(Debug)]
struct Refusal {
    code: i32,
    name: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {}", self.code)?;
        if self.name.is_empty() { Ok(()) } else { write!(f, " ({})", self.name) }
    }
}

impl std::error::Error for Refusal {}

/// Turns the driver's error into the store's. `what` says what was tried.
pub(super) fn failure(what: &str, error: Error) -> StoreError {
    let message = format!("mongodb could not {what}");
    if let Some(refusal) = refusal(&error) {
        let retryable = error.contains_label(RETRYABLE_WRITE_ERROR);
        return refused(&message, refusal, retryable);
    }
    match error.kind.as_ref() {
        ErrorKind::Io(cause) if cause.kind() == io::ErrorKind::TimedOut => {
            StoreError::timed_out(message).with_source(error)
        }
        ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::Io(_)
        | ErrorKind::ServerSelection { .. }
        | ErrorKind::Shutdown => StoreError::unavailable(message).with_source(error),
        ErrorKind::Authentication { .. } => {
            StoreError::failed(format!("{message}: it does not accept the url's user or password"))
        }
        ErrorKind::IncompatibleServer { .. }
        | ErrorKind::InvalidTlsConfig { .. }
        | ErrorKind::SessionsNotSupported => StoreError::failed(message).with_source(error),
        // The rest may quote what was sent or received.
        _ => StoreError::failed(message),
    }
}

fn refused(message: &str, refusal: Refusal, retryable: bool) -> StoreError {
    let hint = match refusal.code {
        UNAUTHORIZED => ": its user needs the role readWrite on the database",
        AUTHENTICATION_FAILED => ": it does not accept the url's user or password",
        DOLLAR_IN_KEY => ": it takes no key that begins with a dollar sign",
        _ => "",
    };
    let message = format!("{message}{hint}");
    let made = match refusal.code {
        TIME_LIMIT | WRITE_CONCERN_TIMEOUT => StoreError::timed_out(message),
        code if retryable || NOT_NOW.contains(&code) => StoreError::unavailable(message),
        _ => StoreError::failed(message),
    };
    made.with_source(refusal)
}

fn refusal(error: &Error) -> Option<Refusal> {
    let (code, name) = match error.kind.as_ref() {
        ErrorKind::Command(error) => (error.code, error.code_name.clone()),
        ErrorKind::Write(WriteFailure::WriteError(error)) => {
            (error.code, error.code_name.clone().unwrap_or_default())
        }
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => {
            (error.code, error.code_name.clone())
        }
        _ => return None,
    };
    Some(Refusal { code, name })
}

/// Makes the error of a statement that the server refused with `code`.
pub(super) fn refused_code(what: &str, code: i32) -> StoreError {
    let refusal = Refusal { code, name: String::new() };
    refused(&format!("mongodb could not {what}"), refusal, false)
}

/// Tells whether a document with this `_id` was there already.
pub(super) fn is_duplicate(error: &Error) -> bool {
    refusal(error).is_some_and(|refusal| is_duplicate_code(refusal.code))
}

pub(super) fn is_duplicate_code(code: i32) -> bool {
    code == DUPLICATE_KEY
}

/// Tells whether the collection has an index of that name or key that is another one.
pub(super) fn is_other_index(error: &Error) -> bool {
    refusal(error).is_some_and(|refusal| INDEX_DIFFERS.contains(&refusal.code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sessile_core::StoreErrorKind;
    use std::error::Error as _;

    fn of_code(code: i32) -> StoreError {
        refused("mongodb could not try", Refusal { code, name: "Name".into() }, false)
    }

    #[test]
    fn an_error_says_whether_to_come_back_later() {
        for (code, kind) in [
            (UNAUTHORIZED, StoreErrorKind::Failed),
            (DUPLICATE_KEY, StoreErrorKind::Failed),
            (TIME_LIMIT, StoreErrorKind::TimedOut),
            (10_107, StoreErrorKind::Unavailable),
        ] {
            assert_eq!(of_code(code).kind(), kind, "{code}");
        }
        let source = of_code(UNAUTHORIZED);
        assert_eq!(source.source().unwrap().to_string(), "error 13 (Name)");
    }
}
