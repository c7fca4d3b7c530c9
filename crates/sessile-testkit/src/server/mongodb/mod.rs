//! mongod, alone or as a replica set of one.

mod wire;

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Launch, Place, Server, program};
use wire::{Doc, ask};

/// The release that `cargo xtask test` fetches where there is none: the oldest that the
/// Rust driver talks to.
const FETCHED: &str = "mongod-4.4.10";
const SET: &str = "sessile";

/// Starts a MongoDB alone, as most developers have one. Whoever asks it to (`j: true`, as
/// `MongoStore` does) gets an answer once the write is in its journal, so that what it
/// acknowledged survives [`Server::kill`].
///
/// It is `SESSILE_MONGOD`, or the `mongod` in the `PATH`, or the one that
/// `cargo xtask test stores` fetched. Its TTL monitor looks every second.
///
/// # Errors
///
/// If mongod is not installed or does not come up.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let mongodb = sessile_testkit::server::mongodb()?;
/// assert!(mongodb.url().ends_with("/sessile"));
/// # Ok(()) }
/// ```
pub fn mongodb() -> io::Result<Server> {
    let launch = Launch { name: "mongodb", command: Box::new(command), ready: Place::accepts };
    Server::start(launch, |place| format!("mongodb://{}/sessile", place.address()))
}

/// Starts a MongoDB as a replica set with one member, which has majorities
/// and retries writes.
///
/// # Errors
///
/// If mongod is not installed or does not come up.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let mongodb = sessile_testkit::server::mongodb_replica_set()?;
/// assert!(mongodb.url().contains("replicaSet="));
/// # Ok(()) }
/// ```
pub fn mongodb_replica_set() -> io::Result<Server> {
    let member = |place: &Place| {
        let mut mongod = command(place)?;
        mongod.args(["--replSet", SET, "--oplogSize", "64"]);
        Ok(mongod)
    };
    let launch = Launch { name: "mongodb", command: Box::new(member), ready: is_primary };
    Server::start(launch, |place| {
        format!("mongodb://{}/sessile?replicaSet={SET}&w=majority", place.address())
    })
}

fn command(place: &Place) -> io::Result<Command> {
    let binary = mongod()?;
    let mut mongod = Command::new(&binary);
    // A release that is older than this system's libraries brings them along.
    if let Some(libraries) = libraries_beside(&binary) {
        mongod.env("LD_LIBRARY_PATH", libraries);
    }
    mongod.current_dir(place.path()).arg("--dbpath").arg(place.path());
    mongod.args(["--bind_ip", "127.0.0.1", "--port", &place.port.to_string()]);
    mongod.args(["--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]);
    mongod.args(["--setParameter", "ttlMonitorSleepSecs=1"]);
    mongod.args(["--setParameter", "diagnosticDataCollectionEnabled=false"]);
    Ok(mongod)
}

fn mongod() -> io::Result<PathBuf> {
    if let Some(named) = env::var_os("SESSILE_MONGOD") {
        return Ok(named.into());
    }
    let fetched = cache().map(|cache| cache.join("sessile").join(FETCHED));
    let fetched = fetched.unwrap_or_default();
    program("mongod", &[&fetched.to_string_lossy()])
}

/// Returns where programs keep what they can fetch again.
fn cache() -> Option<PathBuf> {
    let named = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    named.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))
}

fn libraries_beside(binary: &Path) -> Option<PathBuf> {
    Some(binary.parent()?.join("lib")).filter(|libraries| libraries.is_dir())
}

/// Tells whether the member is its set's primary; founds the set if there is none.
fn is_primary(place: &Place) -> bool {
    place.accepts() && founded(place).unwrap_or(false)
}

fn founded(place: &Place) -> io::Result<bool> {
    let hello = ask(place.address(), &Doc::new().int("hello", 1))?;
    if hello.has_true("isWritablePrimary") {
        // Killed before its first checkpoint, it would not start again.
        ask(place.address(), &Doc::new().int("fsync", 1))?;
        return Ok(true);
    }
    let address = place.address().to_string();
    let member = Doc::new().int("_id", 0).text("host", &address);
    let set = Doc::new().text("_id", SET).array("members", &[member]);
    // Once it is founded it says so, and soon elects itself.
    ask(place.address(), &Doc::new().document("replSetInitiate", &set))?;
    Ok(false)
}
