//! A Redis behind TLS, with a certificate of an authority that lives as long as it does.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::durable;
use crate::server::{Launch, Place, Server, program};

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
    if !place.path().join("server.crt").exists() {
        certify(place.path())?;
    }
    let mut redis = durable(place)?;
    redis.args(["--bind", "127.0.0.1", "--port", "0", "--tls-port", &place.port.to_string()]);
    redis.args(["--tls-cert-file", "server.crt", "--tls-key-file", "server.key"]);
    redis.args(["--tls-ca-cert-file", "ca.crt", "--tls-auth-clients", "no"]);
    Ok(redis)
}

const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
const NAMES: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1";

/// Makes an authority, and has it vouch for this machine.
fn certify(dir: &Path) -> io::Result<()> {
    let authority = ["-x509", "-days", "2", "-subj", "/CN=Sessile tests", "-keyout", "ca.key"];
    openssl(dir, "req", &[&KEY, &authority, &["-out", "ca.crt"]])?;
    let vouched = ["-x509", "-days", "2", "-subj", "/CN=localhost", "-CA", "ca.crt"];
    let vouched = [&vouched[..], &["-CAkey", "ca.key", "-addext", NAMES]].concat();
    let end = ["-addext", "basicConstraints=critical,CA:FALSE"];
    let out = ["-keyout", "server.key", "-out", "server.crt"];
    openssl(dir, "req", &[&KEY, &vouched, &end, &out])
}

fn openssl(dir: &Path, what: &str, arguments: &[&[&str]]) -> io::Result<()> {
    let mut openssl = Command::new(program("openssl", &[])?);
    openssl.current_dir(dir).arg(what).args(arguments.concat()).stdin(Stdio::null());
    let done = openssl.output()?;
    if done.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("openssl: {}", String::from_utf8_lossy(&done.stderr))))
}
