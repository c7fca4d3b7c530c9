//! A Redis behind TLS, with a certificate of an authority that lives as long as it does.

use std::io;
use std::process::Command;

use super::durable;
use crate::server::certificate::certify;
use crate::server::{Launch, Place, Server};

/// Starts a Redis as [`redis`](super::redis) does, which speaks TLS only. The certificate
/// of the authority that vouches for it is `ca.crt` in its [`dir`](Server::dir).
///
/// # Errors
///
/// If redis-server or openssl is not installed, or if it does not come up.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let redis = sessile_testkit::server::redis_tls()?;
/// assert!(redis.url().starts_with("rediss://localhost:"));
/// assert!(std::fs::read_to_string(redis.dir().join("ca.crt"))?.contains("BEGIN CERTIFICATE"));
/// # Ok(()) }
/// ```
pub fn redis_tls() -> io::Result<Server> {
    let launch = Launch { name: "redis-tls", command: Box::new(command), ready: Place::accepts };
    Server::start(launch, |place| format!("rediss://localhost:{}", place.port))
}

fn command(place: &Place) -> io::Result<Command> {
    certify(place.path())?;
    let mut redis = durable(place)?;
    redis.args(["--bind", "127.0.0.1", "--port", "0", "--tls-port", &place.port.to_string()]);
    redis.args(["--tls-cert-file", "server.crt", "--tls-key-file", "server.key"]);
    redis.args(["--tls-ca-cert-file", "ca.crt", "--tls-auth-clients", "no"]);
    Ok(redis)
}
