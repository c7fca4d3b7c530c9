//! The memcached store on a real server.

use std::io;

use sessile_testkit::server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::trips::each_request_keeps_to_its_budget_but;

mod outages {
    use crate::outage::{Backend, outages};

    outages!(Backend { start: sessile_testkit::server::memcached, durable: false });
}

/// Returns how many commands the server has done.
async fn commands(address: std::net::SocketAddr) -> io::Result<u64> {
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(b"stats\r\nquit\r\n").await?;
    let mut stats = String::new();
    connection.read_to_string(&mut stats).await?;
    let lines = stats.lines().filter_map(|line| line.strip_prefix("STAT ")?.split_once(' '));
    let counted = ["cmd_get", "cmd_set", "cmd_touch", "delete_hits", "delete_misses"];
    Ok(lines
        .filter(|(name, _)| counted.contains(name))
        .filter_map(|(_, count)| count.parse::<u64>().ok())
        .sum())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_keeps_to_its_budget() {
    let server = server::memcached().expect("memcached starts");
    let count = async || commands(server.address()).await.unwrap();
    // A new id is another key, perhaps on another server: it takes a command more.
    each_request_keeps_to_its_budget_but(&[("/cycle", 3)], server.url(), count).await;
}
