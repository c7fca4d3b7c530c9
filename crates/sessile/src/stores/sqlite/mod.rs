//! Sessions in an SQLite file, shared with `connect-sqlite3` and
//! `better-sqlite3-session-store`.
//!
//! See [`SqliteStore`].

mod builder;
mod layout;
mod table;
#[cfg(test)]
mod tests;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sessile_core::{
    Capability, Cursor, Page, Precondition, Record, Saved, SessionCookie, SessionId, SessionStore,
    StoreError, Stored, Version,
};

pub use self::builder::SqliteBuilder;
pub use self::layout::SqliteLayout;
use self::table::PURGE_BATCH;
use self::worker::Workers;
use crate::stores::capabilities;
use crate::stores::sweep::Sweeper;
use crate::stores::when::When;

/// Stores sessions in an SQLite file.
///
/// # Setup
///
/// None: SQLite is built in, and [`connect`](Self::connect) creates the file (for its
/// owner alone), the table and its index. Several processes of one machine can use
/// one file. Not so machines over a network file system: its locks do not hold.
///
/// # Example
///
/// ```
/// use sessile::stores::SqliteStore;
/// use sessile::{Precondition, Record, SessionId, SessionStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = SqliteStore::connect("sqlite::memory:").await?; // or "sqlite://sessions.db"
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
/// A session is dead from the very millisecond of its expiry, by this process' clock.
/// Rows are removed about every five minutes, 500 at a time, through an index.
/// A session whose cookie has no expiry lives for a day after each save or touch.
/// (`connect-sqlite3` does not move the expiry of such a session when it touches it.)
///
/// # Keys
///
/// The column `sid` is the session's id. [`SqliteLayout`] names the two tables that
/// Node's stores keep; `sess` is the JSON text that they write, and the expiry is the
/// column's, never the one inside the JSON.
///
/// A row that nobody can have meant is no session, and an event says so: a `sess`
/// that is not UTF-8 text or is larger than 64 MiB, and, in `connect-sqlite3`'s table,
/// an `expired` that is no number. (Text there never expires in Node.) Such rows stay
/// for whoever wants to look at them.
///
/// # Durability
///
/// A save is answered after its commit, so it survives the end of the process by
/// whatever signal. After a power cut the last commits may be missing, though
/// the file is intact; the option `with_full_sync` waits for the disk each time.
///
/// Recent commits are in the file `….db-wal` beside the database until SQLite moves them,
/// at the latest when the store is [closed](Self::close). Copy both, or let
/// `sqlite3 sessions.db ".backup copy.db"` do it.
///
/// # Threads
///
/// One thread writes, and commits everything that waits for it at once; a few more
/// read meanwhile. Once the last clone of the store drops they finish and end.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

struct Inner {
    place: String,
    sweep_every: Duration,
    sweeper: Sweeper,
    workers: Workers,
}

impl SqliteStore {
    /// Opens the database at `url`: `sqlite://sessions.db`, `sqlite:///var/lib/app/sessions.db`
    /// or `sqlite::memory:`. The path is taken as it is, without percent-decoding.
    ///
    /// # Errors
    ///
    /// If the URL is none of these, if the file cannot be opened or is no database, or if
    /// it has a table `sessions` with other columns.
    ///
    /// ```
    /// # use sessile::stores::SqliteStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = SqliteStore::connect("sqlite:///no/such/folder/sessions.db").await.unwrap_err();
    /// assert_eq!(error.to_string(), "sqlite could not create /no/such/folder/sessions.db");
    /// # }
    /// ```
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder(url).connect().await
    }

    /// Starts to open the database at `url` with other options than the default.
    ///
    /// | option | what it sets | default |
    /// |---|---|---|
    /// | `with_clock` | the clock that decides what has expired | the system's |
    /// | `with_default_lifetime` | how long a session lives whose cookie has no expiry | a day |
    /// | `with_full_sync` | that a save waits for the disk, and survives a power cut | it survives the process |
    /// | `with_layout` | which Node package's table it is | [`SqliteLayout::ConnectSqlite3`] |
    /// | `with_sweep_every` | about how often expired rows are removed | five minutes |
    /// | `with_table` | the table's name | `sessions` |
    ///
    /// ```
    /// use sessile::stores::{SqliteLayout, SqliteStore};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile::StoreError> {
    /// let store = SqliteStore::builder("sqlite::memory:")
    ///     .with_table("logins")
    ///     .with_layout(SqliteLayout::BetterSqlite3)
    ///     .with_default_lifetime(Duration::from_secs(3600))
    ///     .connect()
    ///     .await?;
    /// # drop(store);
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(url: &str) -> SqliteBuilder {
        SqliteBuilder::from_url(url)
    }

    /// Starts to use a connection that is open already, with the settings it has: for an
    /// encrypted file, say. It is the only one, so reads wait for writes.
    ///
    /// ```
    /// # use sessile::stores::SqliteStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let connection = rusqlite::Connection::open_in_memory()?;
    /// let store = SqliteStore::from_connection(connection).connect().await?;
    /// # drop(store);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_connection(connection: rusqlite::Connection) -> SqliteBuilder {
        SqliteBuilder::from_connection(connection)
    }

    /// Finishes what waits, closes the database, and moves what is in the `-wal` file into it
    /// if nobody else has it open. Every clone of the store then fails with
    /// [`StoreErrorKind::Unavailable`](crate::StoreErrorKind::Unavailable).
    ///
    /// A store that is dropped does the same, but nobody can wait for that.
    ///
    /// ```
    /// # use sessile::{SessionStore, stores::SqliteStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile::StoreError> {
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let url = format!("sqlite://{}", directory.path().join("sessions.db").display());
    /// let store = SqliteStore::connect(&url).await?;
    /// // … serve until you are asked to stop …
    /// store.close().await;
    /// assert!(store.length().await.is_err());
    /// # Ok(()) }
    /// ```
    pub async fn close(&self) {
        self.inner.workers.close().await;
    }

    fn new(workers: Workers, place: String, sweep_every: Duration) -> Self {
        let inner = Inner { place, sweep_every, sweeper: Sweeper::default(), workers };
        let this = Self { inner: Arc::new(inner) };
        this.sweep();
        this
    }

    /// Starts the sweeper, or starts it again if its runtime is gone.
    fn sweep(&self) {
        if !self.inner.sweeper.is_running() {
            let purge = |inner: Arc<Inner>| async move {
                if inner.workers.were_closed() { Ok(0) } else { inner.purge_expired().await }
            };
            self.inner.sweeper.start(&self.inner, self.inner.sweep_every, purge);
        }
    }
}

impl Inner {
    async fn purge_expired(&self) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let removed =
                self.workers.write("remove expired sessions", |table| table.purge()).await?;
            total += removed;
            if removed < u64::from(PURGE_BATCH) {
                return Ok(total);
            }
        }
    }
}

impl SessionStore for SqliteStore {
    async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        let id = id.clone();
        self.inner.workers.read("load a session", move |table| table.load(&id)).await
    }

    async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        self.sweep();
        let (id, record, when) = (id.clone(), record.clone(), When::from(when));
        let save = move |table: &table::Table| table.save(&id, &record, &when);
        self.inner.workers.write("save a session", save).await
    }

    async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool, StoreError> {
        let (id, cookie, since) = (id.clone(), cookie.clone(), since.cloned());
        let touch = move |table: &table::Table| table.touch(&id, &cookie, since.as_ref());
        self.inner.workers.write("touch a session", touch).await
    }

    async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.inner.workers.write("destroy a session", move |table| table.destroy(&id)).await
    }

    async fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved, StoreError> {
        let (from, to) = (from.clone(), to.clone());
        let (record, version) = (record.clone(), version.clone());
        let rotate = move |table: &table::Table| table.rotate(&from, &to, &record, &version);
        self.inner.workers.write("give a session a new id", rotate).await
    }

    fn capabilities(&self) -> &'static [Capability] {
        capabilities::of_a_shared_store(true)
    }

    async fn all(&self, from: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let from = from.cloned();
        let all = move |table: &table::Table| table.all(from.as_ref(), limit);
        self.inner.workers.read("list the sessions", all).await
    }

    async fn length(&self) -> Result<u64, StoreError> {
        self.inner.workers.read("count the sessions", |table| table.length()).await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.inner.workers.write("remove all sessions", |table| table.clear()).await
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        self.inner.purge_expired().await
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("place", &self.inner.place).finish_non_exhaustive()
    }
}
