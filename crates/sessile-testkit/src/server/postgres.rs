//! PostgreSQL, a cluster of its own.

use std::io;
use std::process::{Command, Stdio};

use super::certificate::certify;
use super::user::{give, run_as};
use super::{Launch, Place, Server, program};

/// Where Debian keeps the server; the newest first.
const FOLDERS: &[&str] = &[
    "/usr/lib/postgresql/18/bin",
    "/usr/lib/postgresql/17/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/lib/postgresql/15/bin",
];
/// PostgreSQL refuses to run as root; its package makes this user.
const USER: &str = "postgres";

/// Starts a PostgreSQL with its own settings of durability: each commit is on the disk
/// before it is acknowledged (`fsync`, `synchronous_commit`), so that it survives
/// [`Server::kill`]. `pg_stat_statements` is loaded; `CREATE EXTENSION` makes it visible.
///
/// # Errors
///
/// If it is not installed or does not come up.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let postgres = sessile_testkit::server::postgres()?;
/// assert!(postgres.url().starts_with("postgres://sessile@127.0.0.1:"));
/// # Ok(()) }
/// ```
pub fn postgres() -> io::Result<Server> {
    let launch = Launch { name: "postgres", command: Box::new(command), ready };
    Server::start(launch, |place| format!("postgres://sessile@{}/postgres", place.address()))
}

/// Starts a PostgreSQL as [`postgres`] does, which speaks TLS too. The certificate of the
/// authority that vouches for it is `ca.crt` in its [`dir`](Server::dir).
///
/// # Errors
///
/// If it or openssl is not installed, or if it does not come up.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let server = sessile_testkit::server::postgres_tls()?;
/// assert!(server.url().starts_with("postgres://sessile@localhost:"));
/// assert!(std::fs::read_to_string(server.dir().join("ca.crt"))?.contains("BEGIN CERTIFICATE"));
/// # Ok(()) }
/// ```
pub fn postgres_tls() -> io::Result<Server> {
    let launch = Launch { name: "postgres-tls", command: Box::new(tls_command), ready };
    Server::start(launch, |place| {
        format!("postgres://sessile@localhost:{}/postgres?sslmode=require", place.port)
    })
}

fn tls_command(place: &Place) -> io::Result<Command> {
    certify(place.path())?;
    let mut postgres = command(place)?;
    let file = |name: &str| place.path().join(name).display().to_string();
    postgres.args(["-c", "ssl=on", "-c", &format!("ssl_cert_file={}", file("server.crt"))]);
    postgres.args(["-c", &format!("ssl_key_file={}", file("server.key"))]);
    Ok(postgres)
}

fn command(place: &Place) -> io::Result<Command> {
    let data = place.path().join("data");
    if !data.exists() {
        give(USER, place.path())?;
        let mut initdb = run_as(USER, program("initdb", FOLDERS)?);
        // Nothing of an empty cluster is worth waiting for the disk.
        initdb.args(["--no-sync", "--auth=trust", "--username=sessile"]);
        initdb.args(["--encoding=UTF8", "--locale=C.UTF-8", "--pgdata"]).arg(&data);
        let made = initdb.current_dir(place.path()).stdin(Stdio::null()).output()?;
        if !made.status.success() {
            let why = String::from_utf8_lossy(&made.stderr).into_owned();
            return Err(io::Error::other(format!("initdb: {why}")));
        }
    }
    let mut postgres = run_as(USER, program("postgres", FOLDERS)?);
    postgres.current_dir(place.path()).arg("-D").arg(data);
    postgres.args(["-h", "127.0.0.1", "-p", &place.port.to_string()]);
    postgres.arg("-k").arg(place.path());
    for setting in ["max_connections=300", "shared_preload_libraries=pg_stat_statements"] {
        postgres.args(["-c", setting]);
    }
    Ok(postgres)
}

/// It listens before it has recovered, and turns everybody away.
fn ready(place: &Place) -> bool {
    let Ok(mut pg_isready) = program("pg_isready", FOLDERS).map(Command::new) else { return false };
    pg_isready.args(["-q", "-h", "127.0.0.1", "-p", &place.port.to_string()]);
    pg_isready.stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}
