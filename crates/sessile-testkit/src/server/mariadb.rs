//! MariaDB, a server of its own.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::certificate::certify;
use super::user::{give, run_as};
use super::{Launch, Place, Server, program};

/// Where Debian keeps the server.
const FOLDERS: &[&str] = &["/usr/sbin", "/usr/bin"];
/// MariaDB does not like to run as root; its package makes this user.
const USER: &str = "mysql";

/// Starts a MariaDB with its own settings of durability: each commit is on the disk before
/// it is acknowledged (`innodb_flush_log_at_trx_commit = 1`), so that it survives
/// [`Server::kill`].
///
/// # Errors
///
/// If it is not installed or does not come up.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let mariadb = sessile_testkit::server::mariadb()?;
/// assert!(mariadb.url().starts_with("mysql://"));
/// # Ok(()) }
/// ```
pub fn mariadb() -> io::Result<Server> {
    let launch = Launch { name: "mariadb", command: Box::new(command), ready: Place::accepts };
    Server::start(launch, |place| format!("mysql://root@{}/test", place.address()))
}

/// Starts a MariaDB as [`mariadb`] does, which speaks TLS too. The certificate of the
/// authority that vouches for it is `ca.crt` in its [`dir`](Server::dir).
///
/// # Errors
///
/// If it or openssl is not installed, or if it does not come up.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let server = sessile_testkit::server::mariadb_tls()?;
/// assert!(server.url().starts_with("mysql://root@localhost:"));
/// assert!(std::fs::read_to_string(server.dir().join("ca.crt"))?.contains("BEGIN CERTIFICATE"));
/// # Ok(()) }
/// ```
pub fn mariadb_tls() -> io::Result<Server> {
    let launch =
        Launch { name: "mariadb-tls", command: Box::new(tls_command), ready: Place::accepts };
    Server::start(launch, |place| {
        format!("mysql://root@localhost:{}/test?require_ssl=true", place.port)
    })
}

fn tls_command(place: &Place) -> io::Result<Command> {
    certify(place.path())?;
    let mut server = command(place)?;
    for (name, file) in
        [("ssl-ca", "ca.crt"), ("ssl-cert", "server.crt"), ("ssl-key", "server.key")]
    {
        server.arg(option(name, &place.path().join(file)));
    }
    Ok(server)
}

fn command(place: &Place) -> io::Result<Command> {
    let data = place.path().join("data");
    if !data.exists() {
        install(place)?;
    }
    let mut server = run_as(USER, program("mariadbd", FOLDERS)?);
    server.current_dir(place.path()).args([OsStr::new("--no-defaults"), &option("datadir", &data)]);
    server.args(["--bind-address=127.0.0.1", "--port", &place.port.to_string()]);
    server.arg(option("socket", &place.path().join("socket")));
    server.arg(option("pid-file", &place.path().join("pid")));
    server.arg(temporary(place));
    server.args(["--skip-name-resolve", "--max-connections=300"]);
    server.args(["--innodb-buffer-pool-size=256M"]);
    Ok(server)
}

fn install(place: &Place) -> io::Result<()> {
    give(USER, place.path())?;
    let mut install = run_as(USER, program("mariadb-install-db", FOLDERS)?);
    install.args(["--no-defaults", "--auth-root-authentication-method=normal"]);
    install.arg(option("datadir", &place.path().join("data"))).current_dir(place.path());
    install.arg(temporary(place));
    let made = install.stdin(Stdio::null()).output()?;
    if made.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&made.stdout).into_owned();
    Err(io::Error::other(format!("mariadb-install-db: {why}")))
}

/// Where temporary tables go. In a folder that servers share, one that starts removes everybody's.
fn temporary(place: &Place) -> OsString {
    option("tmpdir", place.path())
}

/// These programs take no value but behind a `=`.
fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(format!("--{name}="));
    option.push(path);
    option
}
