//! A master and its replica, watched by three Sentinels that put the one in the other's place.

use std::fs;
use std::io;
use std::process::Command;

use super::words::{say, tell, wait_until};
use super::{by_tcp, program, serves};
use crate::server::{Launch, Place, Server};

/// A Redis that another one stands in for when it dies.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let redis = sessile_testkit::server::redis_sentinel()?;
/// assert!(redis.url().starts_with("redis+sentinel://127.0.0.1:"));
/// assert_eq!(redis.sentinels().len(), 3);
/// redis.master().kill()?; // soon `redis.replica()` is the master
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct RedisSentinel {
    master: Server,
    replica: Server,
    sentinels: Vec<Server>,
}

/// What the Sentinels call the master.
const NAME: &str = "sessions";
const SENTINELS: usize = 3;

/// Starts a master, its replica and three Sentinels, and waits until they know each other.
/// A master that is silent for a second is replaced.
///
/// # Errors
///
/// If redis-server is not installed, or if they do not come up.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let redis = sessile_testkit::server::redis_sentinel()?;
/// assert!(redis.url().ends_with("/sessions"));
/// # Ok(()) }
/// ```
pub fn redis_sentinel() -> io::Result<RedisSentinel> {
    let master = start(Box::new(by_tcp))?;
    let port = master.address().port().to_string();
    let of = port.clone();
    let replica = start(Box::new(move |place| {
        let mut replica = by_tcp(place)?;
        replica.args(["--replicaof", "127.0.0.1", &of]);
        Ok(replica)
    }))?;
    wait_until("the replica has not caught up", || {
        Ok(say(replica.address(), "INFO replication")?.contains("master_link_status:up"))
    })?;
    let watch = |_| {
        let port = port.clone();
        start(Box::new(move |place| sentinel(place, &port)))
    };
    let sentinels: Vec<_> = (0..SENTINELS).map(watch).collect::<io::Result<_>>()?;
    let this = RedisSentinel { master, replica, sentinels };
    this.introduce()?;
    Ok(this)
}

fn start(command: Box<crate::server::Prepare>) -> io::Result<Server> {
    let launch = Launch { name: "redis-sentinel", command, ready: serves };
    Server::start(launch, |place| format!("redis://{}", place.address()))
}

fn sentinel(place: &Place, master: &str) -> io::Result<Command> {
    let settings = place.path().join("sentinel.conf");
    if !settings.exists() {
        let port = place.port;
        let text = format!(
            "bind 127.0.0.1\nport {port}\nsentinel monitor {NAME} 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds {NAME} 1000\n\
             sentinel failover-timeout {NAME} 3000\n"
        );
        fs::write(&settings, text)?;
    }
    let mut redis = Command::new(program("redis-server", &[])?);
    redis.current_dir(place.path()).arg(settings).arg("--sentinel");
    Ok(redis)
}

impl RedisSentinel {
    fn introduce(&self) -> io::Result<()> {
        for sentinel in &self.sentinels {
            // They introduce themselves every two seconds otherwise. Not all versions can.
            let quick = "SENTINEL DEBUG publish-period 200 info-period 500 ask-period 200";
            let _ = tell(sentinel.address(), quick);
        }
        let others = format!("num-other-sentinels {}", SENTINELS - 1);
        wait_until("the sentinels do not know each other", || {
            for sentinel in &self.sentinels {
                let masters = say(sentinel.address(), "INFO sentinel")?;
                let known = format!("slaves=1,sentinels={SENTINELS}");
                if !masters.contains(&known) {
                    return Err(io::Error::other(format!("{masters}, not {others}")));
                }
            }
            Ok(true)
        })
    }

    /// Returns the URL that `sessile::stores::connect` takes.
    ///
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// # let redis = sessile_testkit::server::redis_sentinel()?;
    /// assert!(redis.url().starts_with("redis+sentinel://"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(|it| it.address().to_string()).collect();
        format!("redis+sentinel://{}/{NAME}", hosts.join(","))
    }

    /// Returns the one that was the master at first.
    ///
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// # let redis = sessile_testkit::server::redis_sentinel()?;
    /// redis.master().pause()?; // the sentinels replace it
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn master(&self) -> &Server {
        &self.master
    }

    /// Returns the one that takes the master's place.
    ///
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// # let redis = sessile_testkit::server::redis_sentinel()?;
    /// assert!(redis.replica().id().is_some());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn replica(&self) -> &Server {
        &self.replica
    }

    /// Returns the Sentinels.
    ///
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// # let redis = sessile_testkit::server::redis_sentinel()?;
    /// redis.sentinels()[0].kill()?; // two are enough
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn sentinels(&self) -> &[Server] {
        &self.sentinels
    }
}
