//! A few words with a Redis, in the protocol's form for people.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);
const ANSWER: Duration = Duration::from_secs(5);

/// Says one line to a server, and returns what it answers. An error of the server is one.
pub(super) fn say(server: SocketAddr, line: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&server, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(format!("{line}\r\n").as_bytes())?;
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    reader.read_line(&mut head)?;
    let head = head.trim_end();
    match head.split_at_checked(1) {
        Some(("$", length)) => {
            let length = length.parse().map_err(|_| io::Error::other(head.to_owned()))?;
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            String::from_utf8(body).map_err(io::Error::other)
        }
        Some(("+" | ":", word)) => Ok(word.to_owned()),
        _ => Err(io::Error::other(format!("{line}: {head}"))),
    }
}

/// Says something to a server that must agree.
pub(super) fn tell(server: SocketAddr, line: &str) -> io::Result<()> {
    say(server, line).map(drop)
}

/// Asks until it is so.
pub(super) fn wait_until(what: &str, is_so: impl Fn() -> io::Result<bool>) -> io::Result<()> {
    let started = Instant::now();
    loop {
        match is_so() {
            Ok(true) => return Ok(()),
            outcome if started.elapsed() > PATIENCE => {
                let why = outcome.err().map(|error| format!(": {error}")).unwrap_or_default();
                return Err(io::Error::other(format!("{what} after {PATIENCE:?}{why}")));
            }
            _ => {}
        }
        #[expect(clippy::disallowed_methods, reason = "servers come to terms in their own time")]
        thread::sleep(PAUSE);
    }
}
