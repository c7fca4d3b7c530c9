//! A new id on another node of a Cluster, where no command reaches both keys.
//!
//! 1. The new key is taken by a reservation, which is no session: nobody loses an id.
//! 2. The old session is removed, if it is still the one that was loaded. From here on it
//!    is dead; of parallel rotations one gets as far as this.
//! 3. The reservation becomes the session.
//!
//! So the two ids are never both alive. Until the third step is done both are dead, for a
//! round trip; but nobody has the new id before all is done, as `rotate` returns after it.
//! The steps go on if the request is given up, and the third is repeated through a
//! failover. If this process, or the new key's node for longer than [`PATIENCE`], dies
//! after the second step, the session is lost and its user logs in again: rather so than
//! with two ids alive, one of which somebody else may know.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, RedisError, RedisResult, Value};
use sessile_core::{Record, Saved, Version};

use super::commands;
use super::inner::Inner;
use super::link::Repeat;

/// How long the last step is tried.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// A rotation between two nodes.
pub(super) struct Rotation {
    pub(super) from: Vec<u8>,
    pub(super) to: Vec<u8>,
    pub(super) record: Record,
    pub(super) seconds: i64,
    pub(super) version: Version,
}

impl Rotation {
    pub(super) async fn run(self, inner: Arc<Inner>) -> RedisResult<Saved> {
        // In a task of its own, which ends its work whatever becomes of the request.
        let steps = tokio::spawn(async move { self.steps(&inner).await });
        steps.await.unwrap_or_else(|_| {
            Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted).into())
        })
    }

    async fn steps(&self, inner: &Inner) -> RedisResult<Saved> {
        let reservation = commands::reservation(RandomState::new().hash_one(()));
        let reserve = commands::reserve(&self.to, &reservation);
        if inner.change(&self.to, reserve).await? == Value::Nil {
            return Ok(Saved::Conflict);
        }
        let taken = inner.change(&self.from, commands::take(&self.from, &self.version)).await;
        let taken = taken.map(|answer| commands::moved(&self.record, &answer));
        if !matches!(taken, Ok(Saved::Saved(_))) {
            // One that stays is no session, and expires soon.
            let _ = inner.change(&self.to, commands::release(&self.to, &reservation)).await;
            return taken;
        }
        let finish = commands::finish(&self.to, &reservation, &self.record, self.seconds);
        let answer = self.patiently(inner, finish).await?;
        Ok(commands::moved(&self.record, &answer))
    }

    /// Repeats what is the same if it is done twice.
    async fn patiently(&self, inner: &Inner, command: Cmd) -> Result<Value, RedisError> {
        let started = Instant::now();
        loop {
            match inner.send(&self.to, command.clone(), Repeat::Harmless).await {
                Err(error) if error.is_io_error() && started.elapsed() < PATIENCE => {
                    tokio::time::sleep(PAUSE).await;
                }
                answer => return answer,
            }
        }
    }
}
