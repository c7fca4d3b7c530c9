//! Which of several servers keeps a session: the one that Node would ask.
//!
//! Mirrors `continuum` and `find` of the npm package `hashring` (3.2.0), as `memcached`
//! (2.2.2) sets it up: ketama, MD5, 40 × 4 points a server.

use md5::{Digest as _, Md5};

const POINTS_PER_HASH: usize = 4;
const HASHES_PER_SERVER: f64 = 40.0;
/// Left out of what is hashed, as libketama does.
const DEFAULT_PORT: &str = ":11211";

/// A server and its share of the sessions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Share {
    /// As the user wrote it, for that is what is hashed.
    pub(super) server: String,
    pub(super) weight: u32,
}

/// The circle on which servers and keys have their places.
#[derive(Debug)]
pub(super) struct Ring(Vec<(u32, usize)>);

impl Ring {
    pub(super) fn new(shares: &[Share]) -> Self {
        if shares.len() == 1 {
            return Self(Vec::new());
        }
        let total: u32 = shares.iter().map(|share| share.weight).sum();
        let mut points = Vec::new();
        for (index, share) in shares.iter().enumerate() {
            let part = f64::from(share.weight) / f64::from(total);
            let hashes = (part * HASHES_PER_SERVER * shares.len() as f64).floor() as usize;
            let name = share.server.strip_suffix(DEFAULT_PORT).unwrap_or(&share.server);
            for n in 0..hashes {
                let hash = Md5::digest(format!("{name}-{n}"));
                points.extend((0..POINTS_PER_HASH).map(|point| (number(&hash, point), index)));
            }
        }
        points.sort_by_key(|(point, _)| *point);
        Self(points)
    }

    /// Returns which server has `name`, a prefix and an id.
    pub(super) fn place(&self, name: &str) -> usize {
        if self.0.is_empty() {
            return 0;
        }
        let hash = number(&Md5::digest(name), 0);
        let next = self.0.partition_point(|(point, _)| *point < hash);
        self.0[next % self.0.len()].1
    }
}

fn number(hash: &[u8], index: usize) -> u32 {
    hash[index * 4..][..4].iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Recorded by `interop/record-ring.mjs` from `memcached` 2.2.2 and `hashring` 3.2.0.
    const RECORDED: &str = include_str!("../../../../../fixtures/memcached/ring.json");

    fn share(server: &Value) -> Share {
        let weight = u32::try_from(server[1].as_u64().unwrap()).unwrap();
        Share { server: server[0].as_str().unwrap().to_owned(), weight }
    }

    #[test]
    fn each_key_is_where_node_keeps_it() {
        let recorded: Value = serde_json::from_str(RECORDED).unwrap();
        let keys = recorded["keys"].as_array().unwrap();
        let mut compared = 0;
        for recorded in recorded["rings"].as_array().unwrap() {
            let shares = recorded["servers"].as_array().unwrap().iter().map(share);
            let ring = Ring::new(&shares.collect::<Vec<_>>());
            for (key, place) in keys.iter().zip(recorded["places"].as_array().unwrap()) {
                let key = key.as_str().unwrap();
                assert_eq!(ring.place(key) as u64, place.as_u64().unwrap(), "{key}");
                compared += 1;
            }
        }
        assert_eq!(compared, 336);
    }

    #[test]
    fn what_hashes_beyond_the_last_point_is_at_the_first() {
        let ring = Ring(vec![(5, 1), (9, 0)]);
        assert_eq!(ring.place("a"), 1, "its hash is 0xb975c10c");
    }

    #[test]
    fn a_server_alone_has_every_key() {
        let alone = Share { server: "localhost".to_owned(), weight: 1 };
        assert_eq!(Ring::new(&[alone]).place("a"), 0);
    }
}
