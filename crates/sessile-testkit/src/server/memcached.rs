//! memcached.

use std::io;
use std::process::Command;

use super::{Launch, Place, Server, program};

/// Whom it becomes if we are root: somebody who owns nothing, for it needs nothing.
const USER: &str = "nobody";

/// Starts a memcached that takes items of up to 8 MiB. What it had is gone after
/// [`Server::kill`].
///
/// # Errors
///
/// If it is not installed or does not come up.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let memcached = sessile_testkit::server::memcached()?;
/// assert!(memcached.url().starts_with("memcached://127.0.0.1:"));
/// # Ok(()) }
/// ```
pub fn memcached() -> io::Result<Server> {
    let launch = Launch { name: "memcached", command: Box::new(command), ready: Place::accepts };
    Server::start(launch, |place| format!("memcached://{}", place.address()))
}

fn command(place: &Place) -> io::Result<Command> {
    let mut memcached = Command::new(program("memcached", &[])?);
    memcached.args(["-l", "127.0.0.1", "-p", &place.port.to_string(), "-U", "0"]);
    memcached.args(["-I", "8m", "-m", "256", "-u", USER]);
    Ok(memcached)
}
