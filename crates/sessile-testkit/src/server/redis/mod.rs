//! redis-server: alone by TCP, TLS or a Unix socket, watched by Sentinels, or as a Cluster.

mod cluster;
mod sentinel;
mod tls;
mod words;

use std::io;
use std::os::unix::net::UnixStream;
use std::process::Command;

use super::{Launch, Place, Server, program};

pub use self::cluster::{RedisCluster, redis_cluster};
pub use self::sentinel::{RedisSentinel, redis_sentinel};
pub use self::tls::redis_tls;

/// Starts a Redis that writes each command to its append-only file before it answers,
/// so that what it acknowledged survives [`Server::kill`].
///
/// # Errors
///
/// If redis-server is not installed or does not come up.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let redis = sessile_testkit::server::redis()?;
/// assert!(redis.url().starts_with("redis://127.0.0.1:"));
/// # Ok(()) }
/// ```
pub fn redis() -> io::Result<Server> {
    let launch = Launch { name: "redis", command: Box::new(by_tcp), ready: serves };
    Server::start(launch, |place| format!("redis://{}", place.address()))
}

/// Starts a Redis as [`redis`] does, which listens to a Unix socket only.
///
/// # Errors
///
/// If redis-server is not installed or does not come up.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let redis = sessile_testkit::server::redis_unix()?;
/// assert!(redis.url().starts_with("redis+unix:///"));
/// # Ok(()) }
/// ```
pub fn redis_unix() -> io::Result<Server> {
    let command = |place: &Place| {
        let mut redis = durable(place)?;
        redis.args(["--port", "0", "--unixsocket", SOCKET]);
        Ok(redis)
    };
    let ready = |place: &Place| UnixStream::connect(place.path().join(SOCKET)).is_ok();
    let launch = Launch { name: "redis-unix", command: Box::new(command), ready };
    Server::start(launch, |place| format!("redis+unix://{}", place.path().join(SOCKET).display()))
}

/// It listens before it has read its append-only file, and turns everybody away.
fn serves(place: &Place) -> bool {
    words::say(place.address(), "PING").is_ok()
}

const SOCKET: &str = "redis.sock";

fn by_tcp(place: &Place) -> io::Result<Command> {
    let mut redis = durable(place)?;
    redis.args(["--bind", "127.0.0.1", "--port", &place.port.to_string()]);
    Ok(redis)
}

fn durable(place: &Place) -> io::Result<Command> {
    let mut redis = Command::new(program("redis-server", &[])?);
    redis.current_dir(place.path());
    redis.args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
    Ok(redis)
}
