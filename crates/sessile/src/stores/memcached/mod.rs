//! Sessions in memcached, shared with `connect-memcached`.
//!
//! See [`MemcachedStore`].

mod builder;
mod client;
mod expiry;
mod items;
mod key;
mod reply;
mod ring;

use std::fmt;
use std::sync::Arc;

use sessile_core::{
    Capability, Precondition, Record, Saved, SessionCookie, SessionId, SessionStore, StoreError,
    Stored, Version,
};

pub use self::builder::MemcachedBuilder;
use self::items::Items;

/// Stores sessions in memcached, on one server or several.
///
/// Memcached forgets: all sessions when it ends, and those that were used least when its
/// memory is full. Whoever must stay logged in needs another store.
///
/// # Setup
///
/// A memcached of version 1.6 or newer, for the meta commands of its text protocol. It asks
/// for no password: let nobody else reach it. This was tried with 1.6.18.
///
/// With several servers each session is on one of them, the same one that Node's client
/// (`memcached` 2.2, ketama) asks. For that the servers must be written as they are in Node:
/// `localhost` and `127.0.0.1` are two places. While a server is down its sessions are
/// unavailable; they do not move to another one, where old ones would be found later.
///
/// # Example
///
/// ```no_run
/// use sessile::stores::MemcachedStore;
/// use sessile::{Precondition, Record, SessionId, SessionStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemcachedStore::connect("memcached://127.0.0.1:11211").await?;
///
/// let id = SessionId::new("Y7tQm0JcVb-1s_2dK9xWzR4hLpN6aGfE");
/// let record = Record::parse(r#"{"cookie":{"expires":null},"views":1}"#).unwrap();
/// store.save(&id, &record, Precondition::Absent).await?;
/// assert_eq!(store.load(&id).await?.unwrap().text, *record.text());
/// # Ok(())
/// # }
/// ```
///
/// # Expiry
///
/// Memcached drops what has expired, up to two seconds late: it counts whole seconds, by a clock
/// that ticks once a second. A load goes by the millisecond in the record, as long as
/// that and memcached agree to three seconds; else by memcached. A session whose cookie has no
/// expiry lives for a day after each save or touch.
///
/// Node rounds down, so that memcached may drop its sessions up to two seconds early; takes
/// less than a second for ever; and loses a session of more than 30 days at once. Here a second
/// is added, less than a second is a second, and more than 30 days are kept.
///
/// # Keys
///
/// The key is the prefix, by default none, and the id. As in Node, a key of more than 250 characters
/// is replaced by its MD5, in hexadecimal digits; so is one with white space or a NUL in it, which
/// Node refuses. The value is the JSON text with the flags 2. Node's option `secret` is not supported.
///
/// A record may have 1 MiB less one KiB; a larger one is an error before it is sent. A value with
/// other flags, of more than 64 MiB, or that is no record, is no session, and an event says so.
///
/// Memcached cannot list what it has: this store neither lists nor counts sessions, and
/// so cannot find those of a user. It cannot remove its own either: `clear` in Node is
/// `flush_all`, which empties the whole server.
///
/// # Round trips
///
/// A load, a save, a touch and a destroy are one command each; a save or a touch is three if
/// another request touched the session meanwhile. A touch stores the whole record, as Node's does. A new id
/// takes two commands: the session is stored under the new id, which nobody knows yet, and then the
/// old one is removed, or the new one if somebody saved the old one meanwhile. If this process or
/// its network dies between the two, the old id lives on, and the new one is an orphan that
/// nobody has a cookie for, until it expires.
#[derive(Clone)]
pub struct MemcachedStore(Arc<Items>);

impl MemcachedStore {
    /// Opens the servers in `url`: `memcached://127.0.0.1:11211`, or
    /// `memcached://10.0.0.1,10.0.0.2:11212*3` with a port and a weight where they differ
    /// from 11211 and 1.
    ///
    /// # Errors
    ///
    /// If the URL is none of these, if a server cannot be reached, or if it is older than 1.6.
    ///
    /// ```
    /// # use sessile::stores::MemcachedStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = MemcachedStore::connect("memcached://127.0.0.1:1").await.unwrap_err();
    /// assert_eq!(error.to_string(), "memcached at 127.0.0.1:1 cannot be reached");
    /// # }
    /// ```
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder(url).connect().await
    }

    /// Starts to open the servers in `url` with other options than the default.
    ///
    /// | option | what it sets | default |
    /// |---|---|---|
    /// | `with_default_lifetime` | how long a session lives whose cookie has no max age | a day |
    /// | `with_max_bytes` | how many bytes a record may have | 1 MiB less one KiB |
    /// | `with_max_connections` | how many connections each server gets at most | 16 |
    /// | `with_prefix` | what stands before the id in each key | nothing |
    ///
    /// ```no_run
    /// use sessile::stores::MemcachedStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile::StoreError> {
    /// let builder = MemcachedStore::builder("memcached://10.0.0.1:11211,10.0.0.2:11211");
    /// let store = builder.with_prefix("sess:").connect().await?;
    /// # drop(store);
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(url: &str) -> MemcachedBuilder {
        MemcachedBuilder::from_url(url)
    }
}

impl SessionStore for MemcachedStore {
    async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        self.0.load(id).await
    }

    async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        self.0.save(id, record, when).await
    }

    async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool, StoreError> {
        self.0.touch(id, cookie, since).await
    }

    async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
        self.0.destroy(id).await
    }

    async fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved, StoreError> {
        self.0.rotate([from, to], record, version).await
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[Capability::Shared]
    }
}

impl fmt::Debug for MemcachedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemcachedStore").field("servers", &self.0.servers).finish_non_exhaustive()
    }
}
