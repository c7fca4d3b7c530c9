//! Browsers that come again and again, over connections that stay open, and read what
//! they are told.

use std::io;
use std::time::{Duration, Instant};

use bench_report::record;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::contender::Contender;

/// Connections, each with visitors of its own, so that no two write to one session at once.
const CONNECTIONS: usize = 16;
const VISITORS: usize = 64;
/// No round takes this long; one that does hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a visitor asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scenario {
    Read,
    Increment,
}

/// In the order of the table.
pub const SCENARIOS: [Scenario; 2] = [Scenario::Read, Scenario::Increment];

impl Scenario {
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read one value",
            Self::Increment => "increment a counter",
        }
    }
}

/// Everybody who visits one application.
pub struct Load {
    browsers: Vec<Browser>,
}

impl Load {
    /// Connects, and gives every visitor a session.
    pub async fn open(port: u16, contender: &Contender) -> Outcome<Self> {
        let mut browsers = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut browser = Browser::open(port, contender.has_sessions).await?;
            for _ in 0..VISITORS {
                browser.welcome().await?;
            }
            browsers.push(browser);
        }
        Ok(Self { browsers })
    }

    /// Sends so many requests, and returns how long that took.
    pub async fn send(&mut self, scenario: Scenario, requests: usize) -> Outcome<Duration> {
        let started = Instant::now();
        let mut all = JoinSet::new();
        for mut browser in self.browsers.drain(..) {
            all.spawn(async move {
                browser.visit(scenario, requests / CONNECTIONS).await?;
                io::Result::Ok(browser)
            });
        }
        while let Some(browser) = tokio::time::timeout(PATIENCE, all.join_next()).await? {
            self.browsers.push(browser??);
        }
        Ok(started.elapsed())
    }

    /// How many requests [`send`](Self::send) truly sends when asked for `requests`.
    pub fn sent(requests: usize) -> usize {
        requests / CONNECTIONS * CONNECTIONS
    }
}

/// One connection.
struct Browser {
    stream: TcpStream,
    received: Vec<u8>,
    visitors: Vec<Visitor>,
    /// Who is next.
    next: usize,
    /// Answers hold what the session holds.
    checks: bool,
    name: String,
}

/// One session.
struct Visitor {
    read: Vec<u8>,
    count: Vec<u8>,
    views: u64,
}

impl Browser {
    async fn open(port: u16, checks: bool) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let name = value_of("username").as_str().unwrap_or_default().to_owned();
        let (received, visitors) = (Vec::with_capacity(4096), Vec::new());
        Ok(Self { stream, received, visitors, next: 0, checks, name })
    }

    /// Has a session made for one more visitor.
    async fn welcome(&mut self) -> io::Result<()> {
        self.stream.write_all(&request("/seed", None)).await?;
        let cookie = self.answer().await?.cookie.ok_or_else(|| wrong("it sets no cookie"))?;
        let [read, count] = ["/read", "/count"].map(|path| request(path, Some(&cookie)));
        let views = value_of("views").as_u64().unwrap_or_default();
        self.visitors.push(Visitor { read, count, views });
        Ok(())
    }

    async fn visit(&mut self, scenario: Scenario, requests: usize) -> io::Result<()> {
        for _ in 0..requests {
            self.next = (self.next + 1) % self.visitors.len();
            let visitor = &mut self.visitors[self.next];
            let (request, expected) = match scenario {
                Scenario::Read => (&visitor.read, self.name.clone()),
                Scenario::Increment => {
                    visitor.views += 1;
                    (&visitor.count, visitor.views.to_string())
                }
            };
            self.stream.write_all(request).await?;
            let body = self.answer().await?.body;
            if self.checks && body != expected {
                return Err(wrong(&format!("`{body}` instead of `{expected}`")));
            }
        }
        Ok(())
    }

    async fn answer(&mut self) -> io::Result<Answer> {
        loop {
            if let Some((answer, length)) = Answer::parse(&self.received)? {
                self.received.drain(..length);
                return Ok(answer);
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// What is looked at of a response.
struct Answer {
    body: String,
    cookie: Option<String>,
}

impl Answer {
    /// Reads a response and how long it is, once all of it is there.
    fn parse(received: &[u8]) -> io::Result<Option<(Self, usize)>> {
        let text = std::str::from_utf8(received).map_err(|_| wrong("it is no text"))?;
        let Some((head, rest)) = text.split_once("\r\n\r\n") else { return Ok(None) };
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default();
        if !status.starts_with("HTTP/1.1 200") {
            return Err(wrong(status));
        }
        let (mut length, mut cookie) = (None, None);
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse::<usize>().ok();
            } else if name.eq_ignore_ascii_case("set-cookie") {
                cookie = value.split(';').next().map(str::to_owned);
            }
        }
        let length = length.ok_or_else(|| wrong("it does not say how long it is"))?;
        let body = rest.get(..length).map(str::to_owned);
        Ok(body.map(|body| (Self { body, cookie }, head.len() + 4 + length)))
    }
}

fn request(path: &str, cookie: Option<&str>) -> Vec<u8> {
    let cookie = cookie.map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n{cookie}\r\n").into()
}

fn value_of(key: &str) -> serde_json::Value {
    let mut values = record::values_beside_expiry().into_iter();
    values.find(|(name, _)| *name == key).map(|(_, value)| value).unwrap_or_default()
}

fn wrong(what: &str) -> io::Error {
    io::Error::other(format!("the wrong answer: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_once_it_is_complete() {
        let text = b"HTTP/1.1 200 OK\r\nset-cookie: a=b; Path=/\r\nContent-Length: 2\r\n\r\nokHTTP";
        for cut in 0..text.len() - 4 {
            assert!(Answer::parse(&text[..cut]).unwrap().is_none(), "{cut}");
        }
        let (answer, length) = Answer::parse(text).unwrap().unwrap();
        assert_eq!((answer.body.as_str(), answer.cookie.as_deref()), ("ok", Some("a=b")));
        assert_eq!(length, text.len() - 4);
        assert!(Answer::parse(b"HTTP/1.1 500 no\r\n\r\n").is_err());
    }
}
