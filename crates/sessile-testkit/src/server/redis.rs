//! redis-server, alone.

use std::io;
use std::process::Command;

use super::{Launch, Place, Server, program};

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
    let launch = Launch { name: "redis", command: Box::new(command), ready: Place::accepts };
    Server::start(launch, |place| format!("redis://{}", place.address()))
}

fn command(place: &Place) -> io::Result<Command> {
    let mut redis = Command::new(program("redis-server", &[])?);
    redis.current_dir(place.path());
    redis.args(["--bind", "127.0.0.1", "--port", &place.port.to_string()]);
    redis.args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
    Ok(redis)
}
