//! The memcached store on a real server.

mod items;

use std::net::SocketAddr;

use sessile_testkit::server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::trips::each_request_keeps_to_its_budget_but;

mod outages {
    use crate::outage::{Backend, outages};

    outages!(Backend { start: sessile_testkit::server::memcached, durable: false });
}

/// Says something to the server as it is, and returns all it answers.
async fn say(address: SocketAddr, what: &[u8]) -> String {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(&[what, b"\r\nquit\r\n"].concat()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Returns how many commands about items the server has done.
async fn commands(address: SocketAddr) -> u64 {
    let stats = say(address, b"stats").await;
    let lines = stats.lines().filter_map(|line| line.strip_prefix("STAT ")?.split_once(' '));
    let counted = ["cmd_get", "cmd_set", "cmd_touch", "delete_hits", "delete_misses"];
    let counts = lines.filter(|(name, _)| counted.contains(name));
    counts.map(|(_, count)| count.parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_keeps_to_its_budget() {
    let server = server::memcached().expect("memcached starts");
    let count = async || commands(server.address()).await;
    // A new id is another key, perhaps on another server: it takes a command more.
    each_request_keeps_to_its_budget_but(&[("/cycle", 3)], server.url(), count).await;
    assert!(count().await >= 20, "the commands are counted");
}
