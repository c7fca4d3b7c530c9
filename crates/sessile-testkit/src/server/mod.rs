//! Real servers, started for a test and ended with it.
//!
//! Each runs on a free loopback port in a temporary directory of its own:
//!
//! ```
//! use sessile_testkit::server;
//!
//! # fn main() -> std::io::Result<()> {
//! let redis = server::redis()?;
//! assert!(redis.url().starts_with("redis://127.0.0.1:"));
//! redis.pause()?; // it hangs
//! redis.resume()?;
//! redis.kill()?; // it is gone, and has answered nothing since
//! redis.restart()?; // it is back on its port, with what its disk kept
//! # Ok(())
//! # }
//! ```
//!
//! They end with the value that stands for them, and with this process at the latest,
//! however that ends.

mod certificate;
mod mariadb;
mod memcached;
mod mongodb;
mod postgres;
mod process;
mod redis;
mod user;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use self::mariadb::{mariadb, mariadb_tls};
pub use self::memcached::memcached;
pub use self::mongodb::{mongodb, mongodb_replica_set};
pub use self::postgres::{postgres, postgres_tls};
pub use self::redis::{
    RedisCluster, RedisSentinel, redis, redis_cluster, redis_sentinel, redis_tls, redis_unix,
};
use process::Process;

/// How often a server is started that found its port taken meanwhile.
const STARTS: usize = 3;
const PROBE: Duration = Duration::from_millis(200);

/// A server of this test alone.
///
/// ```
/// use sessile_testkit::server;
/// use std::net::TcpStream;
///
/// # fn main() -> std::io::Result<()> {
/// let redis = server::redis()?;
/// let address = redis.address();
/// assert!(TcpStream::connect(address).is_ok());
/// drop(redis); // it ends
/// assert!(TcpStream::connect(address).is_err());
/// # Ok(()) }
/// ```
pub struct Server {
    url: String,
    launch: Launch,
    process: Mutex<Option<Process>>,
    // Last, so that it goes after the process that uses it.
    place: Place,
}

/// How a server is started.
struct Launch {
    name: &'static str,
    /// Gives the command that runs it in the foreground, with its directory prepared.
    command: Box<Prepare>,
    /// Tells whether it serves; a connection alone is not always enough.
    ready: fn(&Place) -> bool,
}

type Prepare = dyn Fn(&Place) -> io::Result<Command> + Send + Sync;

/// Where a server lives.
struct Place {
    dir: tempfile::TempDir,
    port: u16,
}

impl Place {
    fn new(name: &str) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix(&format!("sessile-{name}-")).tempdir()?;
        Ok(Self { dir, port: free_port()? })
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    fn accepts(&self) -> bool {
        TcpStream::connect_timeout(&self.address(), PROBE).is_ok()
    }
}

impl Server {
    /// Starts it and waits until it serves. `url` tells how to reach it.
    fn start(launch: Launch, url: impl Fn(&Place) -> String) -> io::Result<Self> {
        let mut tries = 0;
        loop {
            tries += 1;
            let place = Place::new(launch.name)?;
            match Process::start(&launch, &place) {
                Ok(process) => {
                    let (url, process) = (url(&place), Mutex::new(Some(process)));
                    return Ok(Self { url, launch, process, place });
                }
                Err(error) if tries == STARTS => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Returns the URL that `sessile::stores::connect` takes.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let redis = sessile_testkit::server::redis()?;
    /// assert_eq!(redis.url(), format!("redis://{}", redis.address()));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns where it listens.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let redis = sessile_testkit::server::redis()?;
    /// assert!(redis.address().ip().is_loopback());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.place.address()
    }

    /// Returns the directory it keeps its data in.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let redis = sessile_testkit::server::redis()?;
    /// let dir = redis.dir().to_owned();
    /// assert!(dir.is_dir());
    /// drop(redis);
    /// assert!(!dir.exists());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.place.path()
    }

    /// Returns its process id while it runs.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let redis = sessile_testkit::server::redis()?;
    /// assert!(redis.id().is_some());
    /// redis.kill()?;
    /// assert_eq!(redis.id(), None);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process().as_ref().map(Process::id)
    }

    /// Ends it at once with SIGKILL, as a crash does; its directory stays.
    ///
    /// # Errors
    ///
    /// If the signal cannot be sent.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let redis = sessile_testkit::server::redis()?;
    /// redis.kill()?;
    /// assert!(std::net::TcpStream::connect(redis.address()).is_err());
    /// assert!(redis.dir().is_dir());
    /// # Ok(()) }
    /// ```
    pub fn kill(&self) -> io::Result<()> {
        self.process().take().map_or(Ok(()), Process::kill)
    }

    /// Starts it again after [`kill`](Self::kill), on its port and with its directory.
    ///
    /// # Errors
    ///
    /// If it does not come up; the end of its log is in the message.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let redis = sessile_testkit::server::redis()?;
    /// let url = redis.url().to_owned();
    /// redis.kill()?;
    /// redis.restart()?;
    /// assert_eq!(redis.url(), url);
    /// assert!(std::net::TcpStream::connect(redis.address()).is_ok());
    /// # Ok(()) }
    /// ```
    pub fn restart(&self) -> io::Result<()> {
        let mut process = self.process();
        if process.is_none() {
            *process = Some(Process::start(&self.launch, &self.place)?);
        }
        Ok(())
    }

    /// Stops it with SIGSTOP: its connections stay open and nothing answers.
    ///
    /// # Errors
    ///
    /// If the signal cannot be sent.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use std::net::TcpStream;
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let redis = sessile_testkit::server::redis()?;
    /// redis.pause()?;
    /// let mut connection = TcpStream::connect(redis.address())?; // the kernel accepts
    /// connection.write_all(b"PING\r\n")?;
    /// connection.set_read_timeout(Some(Duration::from_millis(50)))?;
    /// assert!(connection.read(&mut [0; 16]).is_err());
    /// # Ok(()) }
    /// ```
    pub fn pause(&self) -> io::Result<()> {
        self.process().as_ref().map_or(Ok(()), Process::pause)
    }

    /// Lets it go on after [`pause`](Self::pause).
    ///
    /// # Errors
    ///
    /// If the signal cannot be sent.
    ///
    /// ```
    /// # use std::io::{Read, Write};
    /// # use std::net::TcpStream;
    /// # fn main() -> std::io::Result<()> {
    /// let redis = sessile_testkit::server::redis()?;
    /// let mut connection = TcpStream::connect(redis.address())?;
    /// redis.pause()?;
    /// connection.write_all(b"PING\r\n")?;
    /// redis.resume()?;
    /// let mut answer = [0; 7];
    /// connection.read_exact(&mut answer)?;
    /// assert_eq!(&answer, b"+PONG\r\n");
    /// # Ok(()) }
    /// ```
    pub fn resume(&self) -> io::Result<()> {
        self.process().as_ref().map_or(Ok(()), Process::resume)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Returns the URL of a server that runs already, if the environment names one.
///
/// `SESSILE_REDIS_URL`, `SESSILE_POSTGRES_URL` and so on: trials that only need a
/// server use it; those that kill one start their own.
///
/// ```
/// # use sessile_testkit::server;
/// assert_eq!(server::existing("nothing"), None); // SESSILE_NOTHING_URL is not set
/// ```
#[must_use]
pub fn existing(name: &str) -> Option<String> {
    std::env::var(format!("SESSILE_{}_URL", name.to_uppercase())).ok()
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Finds `program` in the `PATH` and where Debian keeps servers.
fn program(name: &str, also: &[&str]) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(also.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|path| path.is_file()).ok_or_else(|| {
        let what =
            format!("{name} is not installed; `cargo xtask test stores` installs what it needs");
        io::Error::new(io::ErrorKind::NotFound, what)
    })
}
