//! The servers that share the sessions among them.

use redis::{RedisResult, Value};

use super::cluster::Cluster;
use super::link::{Link, Packet, Repeat};
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

impl Servers {
    pub(super) async fn ask(
        &self,
        key: &[u8],
        packet: &Packet,
        repeat: Repeat,
    ) -> RedisResult<Vec<Value>> {
        match self {
            Self::Cluster(cluster) => cluster.ask(key, packet, repeat).await,
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
