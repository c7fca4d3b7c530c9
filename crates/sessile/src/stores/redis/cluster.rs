//! A Cluster: each key has a node, and nodes take each other's place.
//!
//! The redis crate has a client for Clusters too. It sends again whatever got no answer,
//! conditional saves included, and nobody could tell what the first one did.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, RedisResult, ServerErrorKind};

use super::address::at;
use super::link::{Answers, Link, Packet, Repeat, Unanswered, after_asking};
use super::opener::{Opener, not_ready};
use super::slots::{Node, Slots, slot};

/// How long a request waits for a Cluster to come to terms with itself.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(100);
/// How long a node may take to tell who has which slots.
const LESSON: Duration = Duration::from_secs(1);

/// The nodes of a Cluster, a connection to each, and who has which slots.
pub(super) struct Cluster {
    seeds: Vec<ConnectionInfo>,
    slots: RwLock<Arc<Slots>>,
    links: Mutex<HashMap<Node, Link>>,
    learning: tokio::sync::Mutex<()>,
}

impl Cluster {
    pub(super) fn new(seeds: Vec<ConnectionInfo>) -> Self {
        Self {
            seeds,
            slots: RwLock::default(),
            links: Mutex::default(),
            learning: tokio::sync::Mutex::default(),
        }
    }

    /// Sends `packet` to the node that has `key`, and again where it is sure that nothing
    /// was done, until the Cluster has come to terms.
    pub(super) async fn ask(
        &self,
        key: &[u8],
        packet: &Packet<'_>,
        repeat: Repeat,
    ) -> RedisResult<Answers> {
        let started = Instant::now();
        let slot = slot(key);
        let mut turn = Turn::Owner;
        loop {
            let slots = self.slots();
            let (error, next) = match self.try_once(&slots, slot, &turn, packet, repeat).await {
                Ok(answers) => return Ok(answers),
                Err((node, unanswered)) => {
                    let next = Next::after(&unanswered, node.as_ref());
                    (unanswered.error, next)
                }
            };
            if started.elapsed() > PATIENCE {
                return Err(error);
            }
            turn = match next {
                Next::GiveUp => return Err(error),
                Next::Go(turn) => {
                    if matches!(turn, Turn::Moved(_)) {
                        self.learn(slots.edition, None).await;
                    }
                    turn
                }
                Next::Wait { not } => {
                    let learnt = self.learn(slots.edition, not.as_ref()).await;
                    if !learnt || self.slots().owner(slot) == slots.owner(slot) {
                        tokio::time::sleep(PAUSE).await;
                    }
                    Turn::Owner
                }
            };
        }
    }

    async fn try_once(
        &self,
        slots: &Slots,
        slot: u16,
        turn: &Turn,
        packet: &Packet<'_>,
        repeat: Repeat,
    ) -> Result<Answers, (Option<Node>, Unanswered)> {
        let node = match turn {
            Turn::Owner => slots.owner(slot),
            Turn::Moved(node) | Turn::Asking(node) => Some(node),
        };
        let Some(node) = node else {
            let error = not_ready("nobody serves the slot");
            return Err((None, Unanswered { error, perhaps_done: false }));
        };
        let link = self.link(node);
        let answers = match turn {
            Turn::Asking(_) => link.try_ask(&packet.asking(), repeat).await.and_then(|answers| {
                after_asking(answers).map_err(|error| Unanswered { error, perhaps_done: false })
            }),
            Turn::Owner | Turn::Moved(_) => link.try_ask(packet, repeat).await,
        };
        answers.map_err(|unanswered| (Some(node.clone()), unanswered))
    }

    /// Returns every master, and what names their division of the slots.
    pub(super) async fn masters(&self) -> RedisResult<(Vec<Link>, u64)> {
        if !self.learn(self.slots().edition, None).await {
            return Err(not_ready("no node of the cluster tells who serves"));
        }
        let slots = self.slots();
        let links = slots.masters().iter().map(|node| self.link(node)).collect();
        Ok((links, slots.fingerprint()))
    }

    /// Asks one node after the other who has which slots, unless somebody has learnt it
    /// since `edition`. The one that is `not` to be trusted comes last.
    async fn learn(&self, edition: u64, not: Option<&Node>) -> bool {
        let _turn = self.learning.lock().await;
        let known = self.slots();
        if known.edition > edition {
            return true;
        }
        let mut nodes = known.masters();
        nodes.extend(self.seeds.iter().filter_map(node_of));
        nodes.sort_by_key(|node| Some(node) == not);
        for node in nodes {
            if let Some(slots) = self.ask_for_slots(&node, known.edition + 1).await {
                let masters = slots.masters();
                self.lock_links().retain(|node, _| masters.contains(node));
                *self.slots.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(slots);
                return true;
            }
        }
        false
    }

    async fn ask_for_slots(&self, node: &Node, edition: u64) -> Option<Slots> {
        let mut question = redis::cmd("CLUSTER");
        question.arg("SLOTS");
        let (link, question) = (self.link(node), Packet::One(question));
        let asking = link.ask(&question, Repeat::Harmless);
        let answers = tokio::time::timeout(LESSON, asking).await.ok()?.ok()?;
        Slots::read(answers.first()?, node, edition)
    }

    fn link(&self, node: &Node) -> Link {
        let info = || at(&self.seeds[0], node.host.clone(), node.port);
        let mut links = self.lock_links();
        links.entry(node.clone()).or_insert_with(|| Link::new(Opener::one(info()))).clone()
    }

    fn slots(&self) -> Arc<Slots> {
        Arc::clone(&self.slots.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock_links(&self) -> std::sync::MutexGuard<'_, HashMap<Node, Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

fn node_of(info: &ConnectionInfo) -> Option<Node> {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            Some(Node { host: host.clone(), port: *port })
        }
        _ => None,
    }
}

/// Whom to ask.
#[derive(Debug, Eq, PartialEq)]
enum Turn {
    /// The node that is about to get the slot.
    Asking(Node),
    /// The node that another one named.
    Moved(Node),
    /// The node that has the slot, as far as is known.
    Owner,
}

/// What to do without an answer.
#[derive(Debug, Eq, PartialEq)]
enum Next {
    GiveUp,
    Go(Turn),
    /// Things are in motion. They may have settled in a moment, without that node.
    Wait {
        not: Option<Node>,
    },
}

impl Next {
    fn after(unanswered: &Unanswered, asked: Option<&Node>) -> Self {
        let error = &unanswered.error;
        if unanswered.perhaps_done {
            return Self::GiveUp;
        }
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::Moved) => {
                redirection(error, asked).map_or(Self::GiveUp, |node| Self::Go(Turn::Moved(node)))
            }
            ErrorKind::Server(ServerErrorKind::Ask) => {
                redirection(error, asked).map_or(Self::GiveUp, |node| Self::Go(Turn::Asking(node)))
            }
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::TryAgain,
            )
            | ErrorKind::Io => Self::Wait { not: asked.cloned() },
            _ => Self::GiveUp,
        }
    }
}

fn redirection(error: &RedisError, asked: Option<&Node>) -> Option<Node> {
    let (address, _) = error.redirect_node()?;
    Node::parse(address, asked?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(port: u16) -> Node {
        Node { host: "10.0.0.1".to_owned(), port }
    }

    fn said(line: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    fn next(error: RedisError, perhaps_done: bool) -> Next {
        Next::after(&Unanswered { error, perhaps_done }, Some(&node(1)))
    }

    #[test]
    fn what_was_not_done_is_asked_again_where_it_belongs() {
        let wait = || Next::Wait { not: Some(node(1)) };
        let io = |kind: std::io::ErrorKind| RedisError::from(std::io::Error::from(kind));
        for (error, expected) in [
            (said("MOVED 7 10.0.0.1:2"), Next::Go(Turn::Moved(node(2)))),
            (said("MOVED 7 :2"), Next::Go(Turn::Moved(node(2)))),
            (said("ASK 7 10.0.0.1:2"), Next::Go(Turn::Asking(node(2)))),
            (said("TRYAGAIN multiple keys"), wait()),
            (said("CLUSTERDOWN Hash slot not served"), wait()),
            (said("READONLY You can't write"), wait()),
            (said("LOADING Redis is loading"), wait()),
            (io(std::io::ErrorKind::ConnectionRefused), wait()),
            (io(std::io::ErrorKind::TimedOut), wait()),
            (said("ERR no"), Next::GiveUp),
            (said("NOPERM no"), Next::GiveUp),
            (said("OOM no"), Next::GiveUp),
        ] {
            let what = error.to_string();
            assert_eq!(next(error, false), expected, "{what}");
        }
    }

    #[test]
    fn what_may_have_been_done_is_never_asked_again() {
        let broken = RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(next(broken, true), Next::GiveUp);
    }
}
