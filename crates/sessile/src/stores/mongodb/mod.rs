//! Sessions in MongoDB, shared with `connect-mongo`.
//!
//! See [`MongoStore`].

mod builder;
mod collection;
mod document;
mod error;
mod layout;
mod objects;
mod rotate;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sessile_core::{
    Capability, Cursor, Page, Precondition, Record, Saved, SessionCookie, SessionId, SessionStore,
    StoreError, Stored, Version,
};

pub use self::builder::{MongoAutoRemove, MongoBuilder};
use self::collection::Sessions;
pub use self::layout::MongoLayout;
use crate::stores::capabilities;
use crate::stores::sweep::Sweeper;

/// Stores sessions in MongoDB.
///
/// # Setup
///
/// A MongoDB 4.4 or later, tested with 4.4.10 and 8.2.0: a server alone, a replica set, a
/// sharded cluster (not tested). Nothing has to be created in it, and the user of the URL needs the role `readWrite` on its database.
/// TLS is built in (`?tls=true`). A `mongodb+srv://` URL takes the driver's feature that
/// asks DNS, which an application adds in its own `Cargo.toml`:
/// `mongodb = { version = "3.9", default-features = false, features = ["bson-3", "compat-3-3-0", "dns-resolver"] }`.
///
/// # Example
///
/// ```no_run
/// use sessile::stores::MongoStore;
/// use sessile::{Precondition, Record, SessionId, SessionStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MongoStore::connect("mongodb://localhost/shop").await?;
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
/// A session is dead from the very millisecond of its expiry, by this process' clock. The
/// server removes its document within a minute or so, through the index that
/// `connect-mongo` has too and that [`connect`](Self::connect) creates if it is missing;
/// [`MongoAutoRemove`] has the other ways. A session whose cookie has no expiry lives for
/// 14 days after each save or touch. A document without `expires` lives until somebody
/// destroys it, as in Node.
///
/// # Keys
///
/// A document of the collection `sessions`: `_id` is the session's id, `session` the JSON
/// text that Node writes ([`MongoLayout`] has the other form), `expires` the expiry, which is never the one inside the text.
/// What else a document has, such as `createdAt` and `updatedAt`, saves and touches leave
/// alone.
///
/// A document that nobody can have meant is no session, and an event says so: one whose
/// `session` is not of the layout, or whose `expires` is no date.
///
/// A document has at most 16 MB. A save sends the record that it replaces along, to
/// compare, so that the two together are held to that: a record of up to 8 MB is safe.
///
/// # Durability
///
/// A save is answered when it is in the server's journal, so it survives the end of the
/// server by whatever signal; `journal=false` in the URL turns that off, and the store does
/// not call itself durable. In a replica set
/// say `w=majority` in the URL, or an acknowledged save may be lost with a primary that
/// ends before a secondary has it. (From MongoDB 5.0 that is the default of most sets.)
/// Sessions are always read from the primary, whatever the URL's `readPreference`.
///
/// # Round trips
///
/// One for each operation; a save, touch or rotation that finds a changed session asks
/// once more. A session gets a new id by two statements of one command: the new document
/// comes first, the old one goes next. In the moment between them both are there, though
/// nobody was told the new id yet; a server that crashes then leaves the session where it
/// was, and the copy to its expiry.
#[derive(Clone)]
pub struct MongoStore {
    inner: Arc<Inner>,
}

struct Inner {
    durable: bool,
    sessions: Sessions,
    sweep_every: Option<Duration>,
    sweeper: Sweeper,
}

impl MongoStore {
    /// Reaches the server at `url`: `mongodb://localhost/shop`,
    /// `mongodb://user:password@a.example.com,b.example.com/shop?replicaSet=rs0&w=majority`,
    /// with every option of MongoDB's URLs. Without a database it is `test`, as in Node.
    ///
    /// # Errors
    ///
    /// If the URL is none of these, if no server answers within five seconds (or the URL's
    /// `serverSelectionTimeoutMS`), or if the collection has another index on `expires`.
    ///
    /// ```
    /// # use sessile::stores::MongoStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = MongoStore::connect("mongodb://user:p@ss@host").await.unwrap_err();
    /// assert!(error.to_string().contains("percent-encoded") && !error.to_string().contains("p@ss"));
    /// # }
    /// ```
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder(url).connect().await
    }

    /// Starts to reach the server at `url` with other options than the default.
    ///
    /// | option | what it sets | default |
    /// |---|---|---|
    /// | `with_auto_remove` | who removes expired sessions | [the server](MongoAutoRemove::Native) |
    /// | `with_clock` | the clock that decides what has expired | the system's |
    /// | `with_collection` | the collection's name | `sessions` |
    /// | `with_database` | the database's name | the URL's, or `test` |
    /// | `with_default_lifetime` | how long a session lives whose cookie has no expiry | 14 days |
    /// | `with_layout` | whether a record is text or a BSON object | [text](MongoLayout::Text) |
    /// | `with_last_modified` | that documents have the field of Node's `touchAfter` | they do not |
    ///
    /// ```
    /// use sessile::stores::{MongoAutoRemove, MongoStore};
    /// use std::time::Duration;
    ///
    /// let builder = MongoStore::builder("mongodb://localhost/shop")
    ///     .with_collection("logins")
    ///     .with_auto_remove(MongoAutoRemove::Interval(Duration::from_secs(600)));
    /// assert!(format!("{builder:?}").contains("600s"));
    /// ```
    pub fn builder(url: &str) -> MongoBuilder {
        MongoBuilder::from_url(url)
    }

    /// Starts to use a client that the application has already, with the options it has:
    /// for certificates of its own, say. Its pool opens ten connections at most unless told
    /// otherwise; each request that waits for the disk holds one.
    ///
    /// ```no_run
    /// # use sessile::stores::MongoStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = mongodb::Client::with_uri_str("mongodb://localhost").await?;
    /// let store = MongoStore::from_client(client).with_database("shop").connect().await?;
    /// # drop(store);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_client(client: mongodb::Client) -> MongoBuilder {
        MongoBuilder::from_client(client)
    }

    fn new(sessions: Sessions, auto_remove: MongoAutoRemove, durable: bool) -> Self {
        let sweep_every = match auto_remove {
            MongoAutoRemove::Interval(every) => Some(every),
            MongoAutoRemove::Disabled | MongoAutoRemove::Native => None,
        };
        let inner = Inner { durable, sessions, sweep_every, sweeper: Sweeper::default() };
        let this = Self { inner: Arc::new(inner) };
        this.sweep();
        this
    }

    /// Starts the sweeper, or starts it again if its runtime is gone.
    fn sweep(&self) {
        let Some(every) = self.inner.sweep_every else { return };
        if !self.inner.sweeper.is_running() {
            let purge = |inner: Arc<Inner>| async move { inner.sessions.purge_expired().await };
            self.inner.sweeper.start(&self.inner, every, purge);
        }
    }
}

impl SessionStore for MongoStore {
    async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        self.inner.sessions.load(id).await
    }

    async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        self.sweep();
        self.inner.sessions.save(id, record, when).await
    }

    async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool, StoreError> {
        self.inner.sessions.touch(id, cookie, since).await
    }

    async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
        self.inner.sessions.destroy(id).await
    }

    async fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved, StoreError> {
        self.inner.sessions.rotate(from, to, record, version).await
    }

    fn capabilities(&self) -> &'static [Capability] {
        capabilities::of_a_shared_store(self.inner.durable)
    }

    async fn all(&self, from: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        self.inner.sessions.all(from, limit).await
    }

    async fn length(&self) -> Result<u64, StoreError> {
        self.inner.sessions.length().await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.inner.sessions.clear().await
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        self.inner.sessions.purge_expired().await
    }
}

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let documents = &self.inner.sessions.documents;
        f.debug_struct("MongoStore")
            .field("collection", &documents.namespace().to_string())
            .finish_non_exhaustive()
    }
}
