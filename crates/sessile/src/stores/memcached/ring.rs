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
