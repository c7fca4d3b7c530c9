//! What a store's URL says. No I/O.

use redis::{ConnectionInfo, IntoConnectionInfo, ProtocolVersion};
use sessile_core::StoreError;

use super::opener::tuned;

/// The servers that a URL names.
#[derive(Clone, Debug)]
pub(super) enum Address {
    /// One server, by TCP, TLS or a Unix socket.
    One(ConnectionInfo),
}

/// Reads a store's URL. An error never quotes it, as it may hold a password.
pub(super) fn parse(url: &str) -> Result<Address, StoreError> {
    let (scheme, _) = url.split_once("://").ok_or_else(wrong)?;
    match scheme {
        "redis" | "redis+unix" => one(url).map(Address::One),
        "rediss" => {
            needs_tls()?;
            one(url).map(Address::One)
        }
        _ => Err(wrong()),
    }
}

fn one(url: &str) -> Result<ConnectionInfo, StoreError> {
    let info = url.into_connection_info().map_err(|_| wrong())?;
    let settings = info.redis_settings().clone();
    // RESP3 lets us know at once when the server hangs up, and what others change.
    let chosen = url.split_once('?').is_some_and(|(_, query)| query.contains("protocol="));
    let protocol = if chosen { settings.protocol() } else { ProtocolVersion::RESP3 };
    Ok(tuned(info.set_redis_settings(settings.set_protocol(protocol))))
}

fn needs_tls() -> Result<(), StoreError> {
    if cfg!(feature = "redis-tls") {
        return Ok(());
    }
    let what = "`rediss:` takes the feature `redis-tls` of the crate sessile, which is not enabled";
    Err(StoreError::unsupported(what))
}

fn wrong() -> StoreError {
    StoreError::failed(
        "a redis url is redis://user:password@host:6379/0, or rediss:// for TLS, or \
         redis+unix:///path/to.sock?db=0",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> String {
        let Address::One(info) = parse(url).unwrap();
        format!("{} {}", info.addr(), info.redis_settings().db())
    }

    #[test]
    fn a_url_names_a_server_and_a_database() {
        for (url, address) in [
            ("redis://localhost", "localhost:6379 0"),
            ("redis://user:p%40ss@10.0.0.1:7000/3", "10.0.0.1:7000 3"),
            ("redis://:secret@[::1]:7000", "::1:7000 0"),
            ("redis+unix:///run/redis/redis.sock?db=2", "/run/redis/redis.sock 2"),
        ] {
            assert_eq!(at(url), address, "{url}");
        }
    }

    #[test]
    fn a_user_and_a_password_are_decoded() {
        let Address::One(info) = parse("redis://us%3Aer:p%40ss@host").unwrap();
        let settings = info.redis_settings();
        assert_eq!((settings.username(), settings.password()), (Some("us:er"), Some("p@ss")));
        assert_eq!(settings.protocol(), ProtocolVersion::RESP3);
        let Address::One(info) = parse("redis://host/0?protocol=resp2").unwrap();
        assert_eq!(info.redis_settings().protocol(), ProtocolVersion::RESP2);
    }

    #[test]
    fn a_wrong_url_says_what_a_right_one_is_and_keeps_what_it_was() {
        for url in ["", "redis:", "redis://", "host", "http://hunter2", "redis://h/hunter2"] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.starts_with("a redis url is"), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
