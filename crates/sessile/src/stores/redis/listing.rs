//! What works on all sessions at once. It scans the whole database, so it is for
//! administrators.

use std::sync::Arc;

use redis::{Pipeline, RedisError, Value};
use sessile_core::{Cursor, Page, SessionId, StoreError, Stored};
use tokio::task::JoinSet;

use super::commands::{self, Wanted, destroy};
use super::failure::failure;
use super::inner::Inner;
use super::link::{Link, Packet, Repeat};
use super::position::{Position, Seen};
use super::servers::Every;

/// How many keys the server looks at in one step of a scan, during which it does nothing else.
const STEP: usize = 1000;
/// How many sessions are loaded at the same time.
const AT_ONCE: usize = 100;

impl Inner {
    pub(super) async fn all(
        self: &Arc<Self>,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let failed = |error| failure("list the sessions", error);
        let (mut position, mut seen) = self.resume(from)?;
        let Every { servers, fingerprint } = self.servers.every().await.map_err(failed)?;
        if from.is_some() && position.servers != fingerprint {
            return Err(StoreError::unavailable(
                "the cluster changed while its sessions were listed: begin again",
            ));
        }
        position.servers = fingerprint;
        let mut sessions = Vec::new();
        while sessions.len() < limit {
            let some = position.left.len().min(limit - sessions.len()).min(AT_ONCE);
            let ids: Vec<_> = position.left.drain(..some).collect();
            if !ids.is_empty() {
                sessions.extend(self.load_all(ids).await.map_err(failed)?);
                continue;
            }
            let Some(server) = servers.get(position.server) else { break };
            let count = limit.clamp(10, STEP);
            let keys = self.scan(server, &mut position, count).await.map_err(failed)?;
            let fresh = keys.iter().filter(|key| seen.is_new(key));
            position.left.extend(fresh.filter_map(|key| self.layout.id(key)));
        }
        let ended = position.left.is_empty() && position.server >= servers.len();
        if ended || limit == 0 {
            return Ok(Page::new(sessions, None));
        }
        self.listings.keep(seen);
        Ok(Page::new(sessions, Some(position.to_cursor())))
    }

    fn resume(&self, from: Option<&Cursor>) -> Result<(Position, Seen), StoreError> {
        let Some(from) = from else {
            let seen = self.listings.begin();
            return Ok((Position { listing: seen.listing(), ..Position::default() }, seen));
        };
        let position = Position::from_cursor(from)
            .ok_or_else(|| StoreError::failed("the cursor is not one of this store"))?;
        let seen = self.listings.resume(position.listing);
        Ok((position, seen))
    }

    async fn load_all(
        self: &Arc<Self>,
        ids: Vec<SessionId>,
    ) -> Result<Vec<(SessionId, Stored)>, RedisError> {
        let mut loads: JoinSet<Result<_, RedisError>> = JoinSet::new();
        for id in ids {
            let inner = Arc::clone(self);
            loads.spawn(async move {
                let stored = inner.load(&id, Wanted::RecordAndExpiry).await?;
                Ok(stored.map(|stored| (id, stored)))
            });
        }
        let mut sessions = Vec::with_capacity(loads.len());
        while let Some(loaded) = loads.join_next().await {
            // A task that its runtime took along leaves nobody who waits here.
            sessions.extend(loaded.unwrap_or(Ok(None))?);
        }
        Ok(sessions)
    }

    /// Takes one step of a scan, and says in `position` where the next one begins.
    async fn scan(
        &self,
        server: &Link,
        position: &mut Position,
        count: usize,
    ) -> Result<Vec<Vec<u8>>, RedisError> {
        let scan = commands::scan(position.scan, &self.layout.pattern(), count);
        let answers = server.ask(&scan.into(), Repeat::Harmless).await?;
        let scanned = answers.into_iter().next().and_then(commands::scanned);
        let (next, keys) = scanned.unwrap_or_default();
        position.scan = next;
        position.server += usize::from(next == 0);
        Ok(keys)
    }

    pub(super) async fn length(&self) -> Result<u64, StoreError> {
        self.count().await.map_err(|error| failure("count the sessions", error))
    }

    async fn count(&self) -> Result<u64, RedisError> {
        let mut seen = self.listings.begin();
        let (mut position, servers) = (Position::default(), self.servers.every().await?.servers);
        while let Some(server) = servers.get(position.server) {
            for key in self.scan(server, &mut position, STEP).await? {
                seen.is_new(&key);
            }
        }
        Ok(seen.len() as u64)
    }

    pub(super) async fn clear(&self) -> Result<(), StoreError> {
        let removed = self.remove_all().await;
        if let Some(cache) = &self.cache {
            cache.clear();
        }
        removed.map_err(|error| failure("remove all sessions", error))
    }

    async fn remove_all(&self) -> Result<(), RedisError> {
        let (mut position, servers) = (Position::default(), self.servers.every().await?.servers);
        while let Some(server) = servers.get(position.server) {
            let keys = self.scan(server, &mut position, STEP).await?;
            if keys.is_empty() {
                continue;
            }
            let mut removal = Pipeline::with_capacity(keys.len());
            for key in &keys {
                removal.add_command(destroy(key));
            }
            let removal = Packet::Several(removal);
            for answer in server.ask(&removal, Repeat::Harmless).await? {
                Value::extract_error(answer)?;
            }
        }
        Ok(())
    }
}
