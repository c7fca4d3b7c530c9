//! The servers that share the sessions among them.

use std::io;
use std::time::Duration;

use redis::{Cmd, Pipeline, RedisResult, Value};

use super::address::Address;
use super::cache::Cache;
use super::cluster::Cluster;
use super::link::{Answers, Link, Packet, Repeat};
use super::opener::Opener;
use super::slots::slot;

#[derive(Debug)]
pub(super) enum Servers {
    Cluster(Cluster),
    One(Link),
}

/// Every server that has sessions of its own.
pub(super) struct Every {
    pub(super) servers: Vec<Link>,
    /// Names them: another name means that others have the sessions now.
    pub(super) fingerprint: u64,
}

/// How saves reach the servers if replicas must have them before they are answered.
#[derive(Debug)]
pub(super) struct Replicated {
    pub(super) replicas: u32,
    /// Connections of their own: whoever waits on one lets all the others wait.
    pub(super) servers: Servers,
}

impl Replicated {
    /// Sends `command`, and returns its answer once the replicas have what it did.
    pub(super) async fn send(
        &self,
        key: &[u8],
        command: Cmd,
        repeat: Repeat,
    ) -> RedisResult<Value> {
        let mut both = Pipeline::with_capacity(2);
        both.add_command(command)
            .cmd("WAIT")
            .arg(self.replicas)
            .arg(REPLICATION.as_millis() as u64);
        let answers = self.servers.ask(key, &both.into(), repeat).await?;
        match <[Value; 2]>::try_from(answers.into_vec()) {
            Ok([answer, Value::Int(copies)]) if copies >= i64::from(self.replicas) => Ok(answer),
            _ => {
                let what = format!("fewer than {} replicas have it in time", self.replicas);
                Err(io::Error::new(io::ErrorKind::TimedOut, what).into())
            }
        }
    }
}

/// How long replicas may take.
const REPLICATION: Duration = Duration::from_secs(1);

impl Servers {
    /// Speaks with the servers of `address`. Only one server fills a cache.
    pub(super) fn new(address: &Address, cache: Option<&Cache>) -> Self {
        let link = |opener: Opener| Self::One(Link::new(opener.with_cache(cache.cloned())));
        match address.clone() {
            Address::Cluster(nodes) => Self::Cluster(Cluster::new(nodes)),
            Address::One(info) => link(Opener::one(info)),
            Address::Sentinel(watched) => link(Opener::sentinel(watched)),
        }
    }

    pub(super) async fn ask(
        &self,
        key: &[u8],
        packet: &Packet<'_>,
        repeat: Repeat,
    ) -> RedisResult<Answers> {
        match self {
            // Boxed, so that a single server's requests do not carry what it takes.
            Self::Cluster(cluster) => Box::pin(cluster.ask(key, packet, repeat)).await,
            Self::One(link) => link.ask(packet, repeat).await,
        }
    }

    pub(super) async fn every(&self) -> RedisResult<Every> {
        let (servers, fingerprint) = match self {
            Self::Cluster(cluster) => cluster.masters().await?,
            Self::One(link) => (vec![link.clone()], 0),
        };
        Ok(Every { servers, fingerprint })
    }

    /// Tells whether one command may name both keys.
    pub(super) fn together(&self, one: &[u8], other: &[u8]) -> bool {
        matches!(self, Self::One(_)) || slot(one) == slot(other)
    }
}
