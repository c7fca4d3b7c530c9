//! Three masters that share the sessions, each with a replica.

use std::io;
use std::net::SocketAddr;

use super::words::{say, tell, wait_until};
use super::{by_tcp, serves};
use crate::server::{Launch, Place, Server};

/// A Redis Cluster. A master that is silent for two seconds is replaced by its replica.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let redis = sessile_testkit::server::redis_cluster()?;
/// assert!(redis.url().starts_with("redis+cluster://127.0.0.1:"));
/// redis.nodes()[0].kill()?; // soon `redis.nodes()[3]` is a master
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Server>,
}

const MASTERS: usize = 3;
const NODES: usize = 2 * MASTERS;
const SLOTS: usize = 16_384;
/// The nodes talk to each other so many ports below the one for clients: above it there
/// may be no port any more.
const BUS: u16 = 10_000;

/// Starts six nodes, makes a Cluster of them, and waits until it serves.
///
/// # Errors
///
/// If redis-server 7.0 or later is not installed, or if they do not come up.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let redis = sessile_testkit::server::redis_cluster()?;
/// assert_eq!(redis.nodes().len(), 6);
/// # Ok(()) }
/// ```
pub fn redis_cluster() -> io::Result<RedisCluster> {
    let nodes: Vec<_> = (0..NODES).map(|_| start()).collect::<io::Result<_>>()?;
    let this = RedisCluster { nodes };
    this.found()?;
    Ok(this)
}

fn start() -> io::Result<Server> {
    let command = |place: &Place| {
        let mut redis = by_tcp(place)?;
        redis.args(["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]);
        redis.args(["--cluster-port", &(place.port - BUS).to_string()]);
        // A replica that had little time to catch up may take over, too.
        redis.args(["--cluster-replica-validity-factor", "0"]);
        // Replicas follow at once, and not for the sake of snapshots.
        redis.args(["--repl-diskless-sync-delay", "0"]);
        Ok(redis)
    };
    let launch = Launch { name: "redis-cluster", command: Box::new(command), ready: serves };
    Server::start(launch, |place| format!("redis://{}", place.address()))
}

impl RedisCluster {
    fn found(&self) -> io::Result<()> {
        let (masters, replicas) = self.nodes.split_at(MASTERS);
        for (index, node) in self.nodes.iter().enumerate() {
            tell(node.address(), &format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1))?;
        }
        for (index, master) in masters.iter().enumerate() {
            let (first, next) = (index * SLOTS / MASTERS, (index + 1) * SLOTS / MASTERS);
            tell(master.address(), &format!("CLUSTER ADDSLOTSRANGE {first} {}", next - 1))?;
        }
        for node in &self.nodes[1..] {
            let (ip, port) = (node.address().ip(), node.address().port());
            let meet = format!("CLUSTER MEET {ip} {port} {}", port - BUS);
            tell(self.nodes[0].address(), &meet)?;
        }
        self.wait_until("the nodes do not know each other", |node| {
            let known = say(node, "CLUSTER NODES")?;
            Ok(known.lines().count() == NODES && !known.contains("handshake"))
        })?;
        for (master, replica) in masters.iter().zip(replicas) {
            let id = say(master.address(), "CLUSTER MYID")?;
            tell(replica.address(), &format!("CLUSTER REPLICATE {id}"))?;
        }
        self.wait_until("the cluster does not serve", |node| {
            let replicas = say(node, "CLUSTER NODES")?.matches("slave").count();
            let caught_up = say(node, "INFO replication")?;
            Ok(replicas == NODES - MASTERS
                && !caught_up.contains("master_link_status:down")
                && say(node, "CLUSTER INFO")?.contains("cluster_state:ok"))
        })
    }

    fn wait_until(
        &self,
        what: &str,
        is_so: impl Fn(SocketAddr) -> io::Result<bool>,
    ) -> io::Result<()> {
        wait_until(what, || {
            for node in &self.nodes {
                if !is_so(node.address())? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Returns the URL that `sessile::stores::connect` takes. It names some of the nodes;
    /// they know the others.
    ///
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// # let redis = sessile_testkit::server::redis_cluster()?;
    /// assert!(redis.url().starts_with("redis+cluster://"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.nodes[1..4].iter().map(|it| it.address().to_string()).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// Returns the nodes: the masters at first, then a replica of each, in the same order.
    ///
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// # let redis = sessile_testkit::server::redis_cluster()?;
    /// assert_eq!(redis.nodes().len(), 6);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }
}
