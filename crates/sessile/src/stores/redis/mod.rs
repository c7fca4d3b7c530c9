//! Sessions in Redis or Valkey, shared with `connect-redis`.
//!
//! See [`RedisStore`].

mod address;
mod builder;
mod cache;
mod cluster;
mod commands;
mod failure;
mod inner;
mod layout;
mod link;
mod listing;
mod live;
mod opener;
mod position;
mod rotation;
mod scripts;
mod servers;
mod slots;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use sessile_core::{
    Capability, Clock, Cursor, Page, Precondition, Record, Saved, SessionCookie, SessionId,
    SessionStore, StoreError, Stored, SystemClock, Version,
};

pub use self::builder::RedisBuilder;
use self::commands::Wanted;
use self::failure::failure;
use self::inner::Inner;
use self::rotation::Rotation;
use crate::stores::capabilities;

/// Stores sessions in Redis.
///
/// # Setup
///
/// A Redis 6.0 or later (tested with 7.0), or a Valkey; nothing has to be created in it. (An
/// older Redis works with `?protocol=resp2` at the end of the URL.) The user of the URL needs
/// `+get +set +del +exists +expire +pttl +scan +eval +evalsha +hello +ping` on the keys
/// `~sess:*`; and as the case may be `+select` for another database than 0, `+cluster +asking`
/// for a Cluster, `+role` behind Sentinels, `+client` for `with_client_cache`, `+wait` for
/// `with_replicas`, `+config|get` for `with_durable_server`.
///
/// Give Redis a `maxmemory-policy` of `noeviction` or `volatile-ttl`: with another one it
/// may drop sessions that are in use when its memory is full.
///
/// # Example
///
/// ```no_run
/// use sessile::stores::RedisStore;
/// use sessile::{Precondition, Record, SessionId, SessionStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::connect("redis://localhost").await?;
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
/// By Redis itself, in whole seconds rounded up, as connect-redis counts them: a session
/// may live up to a second longer than its cookie says, and never shorter. A session whose
/// cookie has no expiry lives for a day after each save or touch. The expiry is the key's,
/// never the one inside the JSON: a touch, here and in Node, moves only the former.
///
/// # Keys
///
/// The key is `sess:` and the session's id, the value the JSON text that Node writes. Give
/// a prefix of its own to each application that shares a Redis. What stands under such a
/// key and is no session is taken for none, and an event says so: another type than a
/// string, text that is not UTF-8, more than 64 MiB.
///
/// [`all`](SessionStore::all), [`length`](SessionStore::length) and
/// [`clear`](SessionStore::clear) scan the whole database, a thousand keys at a time:
/// they are for administrators. Sessions that come or go meanwhile may be listed or not.
///
/// # Durability
///
/// That of the Redis server: with `appendonly yes` and `appendfsync always` an
/// acknowledged save survives a power cut, with `everysec` the last second of them may be
/// lost, with snapshots alone some minutes. Say `with_durable_server` if it is the first.
///
/// When a Sentinel or a Cluster puts a replica in a master's place, it has what it had
/// received: the last moments before may be missing. `with_replicas(1)` answers a save
/// only once a replica has it. A logout can be lost as well as a login then, so use it
/// where that matters; replication alone never makes a promise.
///
/// # Round trips
///
/// One for every operation, and none to read a session that `with_client_cache` keeps. A load is
/// `GET` and `PTTL` in one write; `GET` alone within `touch_after`, as the layer knows then for how
/// long the session lives.
/// Conditional saves are scripts that compare the record with the one that was loaded, so that
/// a save by Node counts as a change too.
///
/// # Connection
///
/// All requests share one connection, and none waits for another's answer before it
/// asks. What many ask at once leaves in one write. When Redis goes away, requests fail with
/// [`Unavailable`](sessile_core::StoreErrorKind::Unavailable), and the next one connects
/// again. A request whose answer was lost is not sent twice, as nobody can tell whether
/// it was carried out; a load is.
///
/// # Sentinel and Cluster
///
/// The master is asked for whenever a connection is opened. Nodes of a Cluster tell who has
/// a key; requests wait up to fifteen seconds for a Cluster to settle, or as long as the
/// layer lets them. Replicas are never read from, as they may be behind.
///
/// A new id of a session (`cycle_id`) usually belongs to another node, and no command
/// reaches both. There it takes three round trips: the new key is reserved by a value that
/// is no session, here or in Node; the old session is removed; the reservation becomes the
/// session. The two are never both alive, and nobody has the new id before all is done. If
/// this process dies just between the last two steps, that user has to log in again.
#[derive(Clone)]
pub struct RedisStore {
    inner: Arc<Inner>,
}

impl RedisStore {
    /// Connects to the Redis at `url`.
    ///
    /// | URL | what it names |
    /// |---|---|
    /// | `redis://host`, `redis://user:password@host:6379/0` | one server, and the number of a database |
    /// | `rediss://…` | the same over TLS; takes the feature `redis-tls` |
    /// | `redis+unix:///run/redis.sock?db=0&user=…&pass=…` | one server on this machine |
    /// | `redis+sentinel://user:password@host:26379,host/master/0` | some Sentinels, what they call the master, and the number of a database; `?sentinel_username=…&sentinel_password=…` if they want to know |
    /// | `redis+cluster://user:password@host:6379,host` | some nodes of a Cluster |
    /// | `rediss+sentinel://…`, `rediss+cluster://…` | the same over TLS |
    ///
    /// What is special in a user name or password is percent-encoded.
    ///
    /// # Errors
    ///
    /// If the URL is none of these, or if Redis cannot be reached or refuses the password.
    ///
    /// ```
    /// # use sessile::stores::RedisStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = RedisStore::connect("redis://127.0.0.1:1").await.unwrap_err();
    /// assert_eq!(error.to_string(), "redis could not be reached to connect");
    /// # }
    /// ```
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder(url).connect().await
    }

    /// Starts to connect to the Redis at `url` with other options than the default.
    ///
    /// | option | what it sets | default | connect-redis |
    /// |---|---|---|---|
    /// | `with_client_cache` | how many sessions this process keeps until they change | 0 | – |
    /// | `with_default_lifetime` | how long a session lives whose cookie has no expiry | a day | `ttl` |
    /// | `with_durable_server` | that Redis has on its disk what it acknowledges | it need not | – |
    /// | `with_prefix` | what the keys begin with | `sess:` | `prefix` |
    /// | `with_replicas` | how many replicas have a save before it is answered | 0 | – |
    /// | `with_root_certificate`, `with_client_certificate` | whom to trust over TLS, and how to be trusted | the system's authorities, none | – |
    ///
    /// ```no_run
    /// use sessile::stores::RedisStore;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile::StoreError> {
    /// let store = RedisStore::builder("redis://localhost")
    ///     .with_prefix("shop:")
    ///     .with_default_lifetime(Duration::from_secs(3600))
    ///     .connect()
    ///     .await?;
    /// # drop(store);
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(url: &str) -> RedisBuilder {
        RedisBuilder::from_url(url)
    }

    /// Starts to use the server, user and database of a client that the application has.
    /// The store opens a connection of its own.
    ///
    /// ```
    /// # use sessile::stores::RedisStore;
    /// let client = redis::Client::open("redis://localhost/1?protocol=resp3").unwrap();
    /// let store = RedisStore::from_client(&client).with_prefix("shop:").connect_lazily();
    /// assert!(store.is_ok());
    /// ```
    pub fn from_client(client: &redis::Client) -> RedisBuilder {
        RedisBuilder::from_client(client)
    }

    fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    async fn check_durability(&self) -> Result<(), StoreError> {
        let settings = self.inner.durability().await;
        let settings = settings.map_err(|error| failure("tell its settings", error))?;
        match settings.iter().find(|(name, value)| !commands::is_durable(name, value)) {
            None => Ok(()),
            Some((name, value)) => Err(StoreError::failed(format!(
                "redis is not durable as said: its {name} is {value}"
            ))),
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await.map_err(|error| failure("connect", error))
    }
}

impl SessionStore for RedisStore {
    async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        self.inner
            .load(id, Wanted::RecordAndExpiry)
            .await
            .map_err(|error| failure("load a session", error))
    }

    async fn load_record(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        self.inner.load(id, Wanted::Record).await.map_err(|error| failure("load a session", error))
    }

    fn asks_for_expiry(&self) -> bool {
        self.inner.cache.is_none()
    }

    async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        let key = self.inner.key(id);
        let seconds = self.inner.layout.seconds(record.cookie(), SystemClock.now());
        let save = commands::save(&key, record, seconds, when);
        let answer = self.inner.change(&key, save).await;
        let answer = answer.map_err(|error| failure("save a session", error))?;
        Ok(commands::saved(record, when, &answer))
    }

    async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool, StoreError> {
        let key = self.inner.key(id);
        let seconds = self.inner.layout.seconds(cookie, SystemClock.now());
        let answer = self.inner.change(&key, commands::touch(&key, seconds, since)).await;
        let answer = answer.map_err(|error| failure("touch a session", error))?;
        Ok(commands::found(&answer))
    }

    async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
        let key = self.inner.key(id);
        let answer = self.inner.change(&key, commands::destroy(&key)).await;
        let answer = answer.map_err(|error| failure("destroy a session", error))?;
        Ok(commands::found(&answer))
    }

    async fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved, StoreError> {
        let keys = [self.inner.key(from), self.inner.key(to)];
        let seconds = self.inner.layout.seconds(record.cookie(), SystemClock.now());
        let saved = if self.inner.servers.together(&keys[0], &keys[1]) {
            let rotate = commands::rotate([&keys[0], &keys[1]], record, seconds, version);
            let answer = self.inner.change(&keys[0], rotate).await;
            self.inner.forget(&keys[1]);
            answer.map(|answer| commands::moved(record, &answer))
        } else {
            let [from, to] = keys;
            let (record, version) = (record.clone(), version.clone());
            let rotation = Rotation { from, to, record, seconds, version };
            rotation.run(Arc::clone(&self.inner)).await
        };
        saved.map_err(|error| failure("give a session a new id", error))
    }

    fn capabilities(&self) -> &'static [Capability] {
        capabilities::of_a_shared_store(self.inner.durable)
    }

    async fn all(&self, from: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        self.inner.all(from, limit).await
    }

    async fn length(&self) -> Result<u64, StoreError> {
        self.inner.length().await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.inner.clear().await
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("place", &self.inner.place).finish_non_exhaustive()
    }
}
