//! What all clones of a store share, and how it asks and remembers.

use std::sync::Arc;
use std::time::Instant;

use redis::{Cmd, ErrorKind, RedisError, Value};
use sessile_core::{Clock, SessionId, Stored, SystemClock, Version};

use super::cache::{Cache, Held};
use super::commands::{self, Loaded, Wanted};
use super::layout::Layout;
use super::link::{Packet, Repeat};
use super::position::Listings;
use super::servers::{Replicated, Servers};
use crate::stores::malformed::malformed;

/// A store's servers and settings.
pub(super) struct Inner {
    pub(super) servers: Servers,
    pub(super) cache: Option<Cache>,
    pub(super) replicated: Option<Replicated>,
    pub(super) durable: bool,
    pub(super) place: String,
    pub(super) layout: Layout,
    pub(super) listings: Listings,
}

impl Inner {
    pub(super) async fn ping(&self) -> Result<(), RedisError> {
        let ping = Packet::One(redis::cmd("PING"));
        for server in self.servers.every().await?.servers {
            server.ask(&ping, Repeat::Harmless).await?;
        }
        Ok(())
    }

    /// Returns what the servers say of their durability, if they do.
    pub(super) async fn durability(&self) -> Result<Vec<(String, String)>, RedisError> {
        let question = Packet::One(commands::durability());
        let mut settings = Vec::new();
        for server in self.servers.every().await?.servers {
            match server.ask(&question, Repeat::Harmless).await {
                Ok(answers) => settings.extend(answers.into_iter().flat_map(commands::settings)),
                Err(error) if matches!(error.kind(), ErrorKind::Server(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(settings)
    }

    pub(super) fn key(&self, id: &SessionId) -> Vec<u8> {
        self.layout.key(id)
    }

    pub(super) async fn load(
        &self,
        id: &SessionId,
        wanted: Wanted,
    ) -> Result<Option<Stored>, RedisError> {
        let key = self.key(id);
        let Some(cache) = &self.cache else {
            return Ok(self.load_at(&key, id, wanted).await?.map(Held::into_stored));
        };
        let asked = Instant::now();
        if let Some(held) = cache.get(&key, asked, SystemClock.now()) {
            return Ok(Some(held.into_stored()));
        }
        let ticket = cache.expect(&key);
        let held = self.load_at(&key, id, Wanted::RecordAndExpiry).await?;
        cache.fill(&key, ticket, held.clone(), asked);
        Ok(held.map(Held::into_stored))
    }

    async fn load_at(
        &self,
        key: &[u8],
        id: &SessionId,
        wanted: Wanted,
    ) -> Result<Option<Held>, RedisError> {
        let load = Packet::Load(key, wanted);
        let loaded = match self.servers.ask(key, &load, Repeat::Harmless).await {
            Ok(answers) => commands::loaded(&answers, wanted),
            Err(error) if error.code() == Some("WRONGTYPE") => {
                Loaded::Malformed("its record is no string")
            }
            Err(error) => return Err(error),
        };
        Ok(match loaded {
            Loaded::Nothing => None,
            Loaded::Malformed(why) => malformed(id, why),
            Loaded::Record { text, left } => {
                let expires = left.and_then(|left| SystemClock.now().checked_add(left));
                Some(Held { text, expires })
            }
        })
    }

    /// Forgets a session that this process is about to change, or has changed: the
    /// server's word of it comes after its answer.
    pub(super) fn forget(&self, key: &[u8]) {
        if let Some(cache) = &self.cache {
            cache.forget(key);
        }
    }

    /// Sends a command that must not go twice, and returns its answer.
    pub(super) async fn change(&self, key: &[u8], command: Cmd) -> Result<Value, RedisError> {
        self.send(key, command, Repeat::Never).await
    }

    pub(super) async fn send(
        &self,
        key: &[u8],
        command: Cmd,
        repeat: Repeat,
    ) -> Result<Value, RedisError> {
        self.forget(key);
        let answer = match &self.replicated {
            Some(replicated) => replicated.send(key, command, repeat).await,
            None => {
                let answers = self.servers.ask(key, &command.into(), repeat).await;
                answers.map(|answers| answers.into_iter().next().unwrap_or(Value::Nil))
            }
        };
        self.forget(key);
        answer
    }
}

impl Held {
    fn into_stored(self) -> Stored {
        Stored::new(Arc::clone(&self.text), Version::text(self.text), self.expires)
    }
}
