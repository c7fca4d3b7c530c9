//! Durable before visible, as a client on a socket sees it.

use std::io;
use std::time::Duration;

use axum::response::Redirect;
use axum::{Router, routing::get};
use sessile::{Error, Session};
use sessile_testkit::Op;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::app;
use crate::stage::Stage;

/// Serves `app` on a port of its own, and returns the port.
async fn serve(app: Router) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

/// One connection, kept alive.
struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    async fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    async fn ask(&mut self, path: &str, cookie: Option<&str>) {
        let cookie = cookie.map(|cookie| format!("cookie: {cookie}\r\n")).unwrap_or_default();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{cookie}\r\n");
        self.stream.write_all(request.as_bytes()).await.unwrap();
    }

    /// Returns the head as soon as it is there, however much of the body is not.
    async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.read.drain(..end + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            self.more().await;
        }
    }

    async fn body(&mut self, head: &str) -> String {
        let length = value(head, "content-length").unwrap_or("0").parse().unwrap();
        while self.read.len() < length {
            self.more().await;
        }
        String::from_utf8(self.read.drain(..length).collect()).unwrap()
    }

    async fn more(&mut self) {
        let read = self.stream.read_buf(&mut self.read).await.unwrap();
        assert_ne!(read, 0, "the server closed the connection");
    }
}

fn value<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// A login as everybody writes it: Post/Redirect/Get.
fn login() -> Router {
    let log_in = async |session: Session| {
        session.regenerate().await?;
        session.insert("user", "7")?;
        Ok::<_, Error>(Redirect::to("/user"))
    };
    Router::new().route("/log-in", get(log_in)).merge(app())
}

/// Express loses 43 of 100 at no latency, 94 at 5 ms and all of them at 20 ms.
#[tokio::test(start_paused = true)]
async fn of_a_thousand_logins_that_follow_the_redirect_none_is_lost() {
    let (stage, faults) = Stage::memory().faulty();
    let port = serve(login().layer(stage.layer().build().unwrap())).await;
    let (mut first, mut second) = (Connection::open(port).await, Connection::open(port).await);
    let mut lost = 0;
    for millis in [0, 2, 5, 20] {
        if millis > 0 {
            faults.delay(Op::Save, Duration::from_millis(millis));
        }
        for _ in 0..250 {
            first.ask("/log-in", None).await;
            let head = first.head().await;
            assert!(head.starts_with("HTTP/1.1 303"), "{head}");
            let cookie = value(&head, "set-cookie").unwrap().split(';').next().unwrap();
            second.ask(value(&head, "location").unwrap(), Some(cookie)).await;
            let answer = second.head().await;
            lost += usize::from(second.body(&answer).await != "7");
            first.body(&head).await;
        }
    }
    assert_eq!(lost, 0);
}

#[tokio::test]
async fn no_byte_leaves_before_the_store_acknowledged_the_session() {
    let (stage, gates) = Stage::memory().gated();
    let port = serve(app().layer(stage.layer().build().unwrap())).await;
    let mut connection = Connection::open(port).await;
    let mut other = Connection::open(port).await;
    for gate in [gates.hold(Op::Save), gates.hold_answer(Op::Save)] {
        connection.ask("/set/a/1", None).await;
        gate.arrived().await;
        // A whole request on another connection shows that the server had its time.
        other.ask("/asset/1", None).await;
        let head = other.head().await;
        other.body(&head).await;
        let nothing = connection.stream.try_read(&mut [0; 1]).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        gate.open();
        let head = connection.head().await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(value(&head, "set-cookie").is_some());
        assert_eq!(connection.body(&head).await, "set");
    }
}

/// Shutting down waits for commits on their way: who asked is answered.
#[tokio::test]
async fn a_graceful_shutdown_finishes_its_commits() {
    let (stage, gates) = Stage::memory().gated();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = app().layer(stage.layer().build().unwrap());
    let stop = std::sync::Arc::new(tokio::sync::Notify::new());
    let stopped = std::sync::Arc::clone(&stop);
    let server =
        axum::serve(listener, app).with_graceful_shutdown(async move { stopped.notified().await });
    let server = tokio::spawn(server.into_future());
    let gate = gates.hold(Op::Save);
    let mut connection = Connection::open(port).await;
    connection.ask("/set/a/1", None).await;
    gate.arrived().await;
    stop.notify_one();
    tokio::task::yield_now().await;
    assert!(!server.is_finished());
    gate.open();
    let head = connection.head().await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(value(&head, "set-cookie").is_some());
    drop(connection);
    server.await.unwrap().unwrap();
    assert_eq!(stage.records().await.len(), 1);
}

#[tokio::test]
async fn a_client_that_hangs_up_corrupts_nothing() {
    let (stage, gates) = Stage::memory().gated();
    let port = serve(app().layer(stage.layer().build().unwrap())).await;
    let mut connection = Connection::open(port).await;
    connection.ask("/set/a/1", None).await;
    let head = connection.head().await;
    let cookie = value(&head, "set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let gate = gates.hold(Op::Save);
    let mut hurried = Connection::open(port).await;
    hurried.ask("/set/a/2", Some(&cookie)).await;
    gate.arrived().await;
    drop(hurried);
    connection.body(&head).await;
    for path in ["/set/b/3", "/all"] {
        connection.ask(path, Some(&cookie)).await;
        let head = connection.head().await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        connection.body(&head).await;
    }
    gate.open();
    let record = stage.records().await.into_values().next().unwrap();
    assert_eq!(record["b"], "3");
}
