//! Connections to one server.
//!
//! A connection carries one command at a time. One whose command was given up, for a
//! deadline say, is closed: the answer that is still to come must not be taken for another's.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sessile_core::StoreError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::reply::{Malformed, Reply, parse};

/// How long a start waits for a server. Later ones wait as long as the layer lets them.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much is read at once.
const CHUNK: usize = 4 << 10;
/// How much room an idle connection keeps.
const MOST_KEPT: usize = 64 << 10;

/// A server, and the connections to it that nobody uses now.
pub(super) struct Server {
    address: String,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// What the server said instead of an answer.
#[derive(Debug)]
struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Refusal {}

impl Server {
    /// A server at `address`, a host and a port, with up to so many connections.
    pub(super) fn new(address: String, connections: usize) -> Self {
        Self {
            address,
            idle: Mutex::default(),
            permits: Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)),
        }
    }

    /// Sends a command and returns the answer.
    pub(super) async fn ask(&self, command: &[u8]) -> Result<Reply, StoreError> {
        let _permit = self.permits.acquire().await.map_err(|error| self.unreachable(error))?;
        let mut connection = match self.take_idle() {
            Some(connection) => connection,
            None => {
                Connection::open(&self.address).await.map_err(|error| self.unreachable(error))?
            }
        };
        // From here until the answer is complete the connection is nobody else's, and
        // closed if this future is dropped.
        let reply = connection.ask(command).await.map_err(|error| self.failure(error))?;
        match reply {
            Reply::Refused(why) => Err(self.refused(why)),
            reply => {
                if connection.received.is_empty() {
                    self.idle().push(connection);
                }
                Ok(reply)
            }
        }
    }

    /// Returns an error for an answer that the command cannot have.
    pub(super) fn unexpected(&self) -> StoreError {
        StoreError::failed(format!(
            "memcached at {} gave the answer to another question",
            self.address
        ))
    }

    /// Makes sure that the server is there and knows the meta commands.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        let asked = timeout(PATIENCE, self.ask(b"version\r\n")).await;
        let Reply::Version(version) = asked.map_err(|error| self.silent(error))?? else {
            return Err(self.unexpected());
        };
        let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
        if (numbers.next(), numbers.next()) >= (Some(1), Some(6)) {
            return Ok(());
        }
        let address = &self.address;
        Err(StoreError::failed(format!(
            "memcached at {address} is version {version}; sessions take 1.6 or newer"
        )))
    }

    fn take_idle(&self) -> Option<Connection> {
        // The latest is the likeliest to live still.
        std::iter::from_fn(|| self.idle().pop()).find(Connection::is_open)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn silent(&self, error: Elapsed) -> StoreError {
        let what = format!("memcached at {} does not answer", self.address);
        StoreError::timed_out(what).with_source(error)
    }

    fn unreachable(&self, error: impl Error + Send + Sync + 'static) -> StoreError {
        let what = format!("memcached at {} cannot be reached", self.address);
        StoreError::unavailable(what).with_source(error)
    }

    fn failure(&self, error: io::Error) -> StoreError {
        match error.kind() {
            io::ErrorKind::InvalidData => {
                let what = format!("what answers at {} is no memcached", self.address);
                StoreError::failed(what).with_source(error)
            }
            _ => self.unreachable(error),
        }
    }

    fn refused(&self, why: String) -> StoreError {
        let what = format!("memcached at {} refused", self.address);
        StoreError::failed(what).with_source(Refusal(why))
    }
}

/// Tells whether a reply was too large to be read.
pub(super) fn is_too_large(error: &StoreError) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let malformed = source.and_then(io::Error::get_ref).and_then(|why| why.downcast_ref());
    malformed == Some(&Malformed::TooLarge)
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Connection {
    async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// Tells whether the server has neither closed it nor said anything unasked.
    fn is_open(&self) -> bool {
        let nothing = self.stream.try_read(&mut [0]);
        nothing.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    async fn ask(&mut self, command: &[u8]) -> io::Result<Reply> {
        self.stream.write_all(command).await?;
        loop {
            match parse(&self.received) {
                Ok(Some((reply, length))) => {
                    self.received.drain(..length);
                    self.received.shrink_to(MOST_KEPT);
                    return Ok(reply);
                }
                Ok(None) => {}
                Err(malformed) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, malformed));
                }
            }
            self.received.reserve(CHUNK);
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sessile_core::StoreErrorKind;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    /// A server that answers each connection in turn by `answers`.
    async fn scripted(answers: &'static [&'static str]) -> (Arc<Server>, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut open = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.read_buf(&mut Vec::with_capacity(CHUNK)).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                open.push(stream);
            }
            std::future::pending::<()>().await;
        });
        (Arc::new(Server::new(address, 4)), running)
    }

    #[tokio::test]
    async fn a_connection_that_says_more_than_it_was_asked_is_used_no_more() {
        let (server, _running) = scripted(&["EN\r\nHD c1\r\n", "NS\r\n"]).await;
        assert_eq!(server.ask(b"mg a\r\n").await.unwrap(), Reply::Missing);
        assert_eq!(server.ask(b"mg b\r\n").await.unwrap(), Reply::NotStored);
    }

    #[tokio::test]
    async fn after_a_refusal_the_connection_is_used_no_more() {
        let (server, _running) = scripted(&["SERVER_ERROR busy\r\n", "EN\r\n"]).await;
        let error = server.ask(b"mg a\r\n").await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Failed);
        assert_eq!(error.source().unwrap().to_string(), "SERVER_ERROR busy");
        assert_eq!(server.ask(b"mg b\r\n").await.unwrap(), Reply::Missing);
    }

    #[tokio::test]
    async fn the_answer_to_a_command_that_was_given_up_reaches_nobody() {
        let (server, _running) = scripted(&[""]).await;
        let given_up = tokio::spawn({
            let server = Arc::clone(&server);
            async move { server.ask(b"mg a\r\n").await }
        });
        while server.permits.available_permits() == 4 {
            tokio::task::yield_now().await;
        }
        given_up.abort();
        assert!(given_up.await.unwrap_err().is_cancelled());
        assert_eq!(server.permits.available_permits(), 4);
        assert!(server.idle().is_empty(), "its connection is closed");
    }

    #[tokio::test]
    async fn what_is_no_memcached_says_so() {
        for answer in [&["HTTP/1.1 400 Bad Request\r\n"], &["220 mail ready\r\n"]] {
            let (server, _running) = scripted(answer).await;
            let error = server.check().await.unwrap_err();
            assert!(error.to_string().ends_with("is no memcached"), "{error}");
        }
        let (server, _running) = scripted(&["VERSION 1.5.22\r\n"]).await;
        let error = server.check().await.unwrap_err();
        assert!(error.to_string().ends_with("is version 1.5.22; sessions take 1.6 or newer"));
    }

    #[tokio::test]
    async fn a_value_too_large_to_read_is_told_apart() {
        let (server, _running) = scripted(&["VA 99999999 f2\r\n", "HELLO\r\n"]).await;
        assert!(is_too_large(&server.ask(b"mg a v\r\n").await.unwrap_err()));
        assert!(!is_too_large(&server.ask(b"mg a v\r\n").await.unwrap_err()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_does_not_wait_for_ever() {
        let (server, _running) = scripted(&[""]).await;
        let error = server.check().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::TimedOut);
    }
}
