//! What an application is told when Redis fails.

use std::error::Error;
use std::fmt;

use redis::{ErrorKind, RedisError, ServerErrorKind};
use sessile_core::StoreError;

/// Says that Redis could not do `what`, in words that contain no id, record or password.
pub(super) fn failure(what: &str, error: RedisError) -> StoreError {
    if error.is_timeout() {
        return StoreError::timed_out(format!("redis did not answer in time to {what}"))
            .with_source(error);
    }
    match error.kind() {
        ErrorKind::Io => StoreError::unavailable(format!("redis could not be reached to {what}"))
            .with_source(error),
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly
            | ServerErrorKind::TryAgain
            | ServerErrorKind::Moved
            | ServerErrorKind::Ask,
        ) => StoreError::unavailable(format!("redis is not ready to {what}"))
            .with_source(Said::by(&error)),
        _ => StoreError::failed(refusal(what, &error)).with_source(Said::by(&error)),
    }
}

fn refusal(what: &str, error: &RedisError) -> String {
    match (error.kind(), error.code().unwrap_or_default()) {
        (ErrorKind::AuthenticationFailed, _) | (_, "NOAUTH" | "WRONGPASS") => format!(
            "redis refused to {what}: put the right user name and password into the store's url"
        ),
        (_, "NOPERM") => format!(
            "redis does not let this user {what}: allow the commands that `RedisStore` lists"
        ),
        (_, "OOM") => {
            format!("redis has no memory left to {what}: raise its maxmemory, or clear some")
        }
        (_, "MISCONF") => format!("redis cannot write to its disk, and refused to {what}"),
        (ErrorKind::RESP3NotSupported, _) => format!(
            "this redis is too old to {what} over RESP3: use 6.0 or later, or end the url in \
             ?protocol=resp2"
        ),
        _ => format!("redis failed to {what}"),
    }
}

/// The code of an error that the server sent. What it says beyond the code may quote the
/// command, and so a session's id.
#[derive(Debug)]
struct Said(String);

impl Said {
    fn by(error: &RedisError) -> Self {
        let code = error.code().unwrap_or_else(|| error.category());
        Self(code.to_owned())
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "redis said {}", self.0)
    }
}

impl Error for Said {}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::parse_redis_value;
    use sessile_core::StoreErrorKind;

    fn said(line: &str) -> StoreError {
        let value = parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        failure("load a session", value.extract_error().unwrap_err())
    }

    #[test]
    fn what_the_server_says_becomes_a_kind_to_act_on() {
        for (line, kind, says) in [
            ("LOADING Redis is loading", StoreErrorKind::Unavailable, "is not ready to load"),
            ("CLUSTERDOWN Hash slot not served", StoreErrorKind::Unavailable, "is not ready"),
            ("READONLY You can't write", StoreErrorKind::Unavailable, "is not ready"),
            ("NOAUTH Authentication required.", StoreErrorKind::Failed, "the right user name"),
            ("WRONGPASS invalid", StoreErrorKind::Failed, "the right user name"),
            ("NOPERM no permissions", StoreErrorKind::Failed, "allow the commands"),
            ("OOM command not allowed", StoreErrorKind::Failed, "no memory left"),
            ("MISCONF errors writing", StoreErrorKind::Failed, "cannot write to its disk"),
            ("ERR whatever", StoreErrorKind::Failed, "failed to load a session"),
        ] {
            let error = said(line);
            assert_eq!(error.kind(), kind, "{line}");
            assert!(error.to_string().contains(says), "{line}: {error}");
        }
    }

    #[test]
    fn an_id_that_the_server_quotes_is_not_told() {
        let error = said("ERR unknown command 'GET', with args beginning with: 'sess:secret-id'");
        let told = format!("{error}{error:?}{}", error.source().unwrap());
        assert!(told.contains("redis said ERR") && !told.contains("secret"), "{told}");
    }
}
