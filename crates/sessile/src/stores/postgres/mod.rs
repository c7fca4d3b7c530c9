//! Sessions in PostgreSQL, shared with `connect-pg-simple` and `connect-session-knex`.
//!
//! See [`PostgresStore`].

mod builder;
mod client;
mod columns;
mod layout;
mod lease;
mod operations;
mod readers;
mod table;
#[cfg(test)]
mod tests;
#[cfg(feature = "postgres-tls")]
mod tls;
#[cfg(not(feature = "postgres-tls"))]
#[path = "no_tls.rs"]
mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Pool;
use sessile_core::{Clock, StoreError};

pub use self::builder::PostgresBuilder;
use self::client::Client;
pub use self::layout::PostgresLayout;
use self::layout::Statements;
use crate::stores::sweep::Sweeper;

/// Stores sessions in PostgreSQL.
///
/// # Setup
///
/// PostgreSQL 12 or later (tested with 15), with a database in UTF-8.
/// [`connect`](Self::connect) creates the table and its index, whether one process starts or
/// eight at once; a role that may not create tables uses one that exists. Where a pooler
/// stands in between, it must know prepared statements (PgBouncer from 1.21).
///
/// # Example
///
/// ```no_run
/// use sessile::stores::PostgresStore;
/// use sessile::{Precondition, Record, SessionId, SessionStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresStore::connect("postgres://user:password@localhost/app").await?;
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
/// By this process' clock, as in Node; the server's is never asked. `connect-pg-simple`'s table
/// keeps whole seconds, rounded up, so that a session may live up to a second longer;
/// `connect-session-knex`'s keeps milliseconds. Rows are removed about every five minutes,
/// 1000 at a time, through the index, past rows that somebody is saving. A session whose cookie
/// has no expiry lives for a day after each save or touch. (`connect-session-knex` does not move
/// the expiry of such a session when it touches it.)
///
/// # Keys
///
/// The column `sid` is the session's id. [`PostgresLayout`] names the two tables that Node's
/// stores keep; [`with_id_column`](PostgresBuilder::with_id_column) is knex's option
/// `sidFieldName`. `sess` is the JSON text that they write, and the expiry is the column's, never
/// the one inside the JSON. An id with a NUL in it, or longer than the column, is unknown and
/// cannot be saved.
///
/// A column `sess` of type `text` serves as well as `json`. So does `jsonb`, as far as it can:
/// the server writes such records anew, and refuses `\u0000` and lone surrogates.
/// A record that is NULL or larger than 64 MiB is no session, and an event says so.
///
/// # Durability
///
/// A save is answered after its commit, so it survives a crash of the server, with
/// PostgreSQL's own settings a power cut too. Not so in a table made with
/// [`with_unlogged`](PostgresBuilder::with_unlogged) or with `synchronous_commit = off`:
/// then the store does not call itself durable.
///
/// # Round trips
///
/// One for each operation, a transaction by itself, prepared once on each connection. A save,
/// touch or rotation that comes too late takes a second one, to tell why. An
/// operation that is abandoned, by a deadline for instance, closes its connection.
///
/// Loads at the same time share a connection, up to eight of them, and none waits for another's
/// answer before it asks: that spares connections, and most of what a read costs both sides.
/// After sixteen the connection goes back to the pool, where others may be waiting for it.
///
/// # Time zones
///
/// `connect-pg-simple`'s column `expire` is a `timestamp` *without* time zone. It shows the
/// local time of whoever wrote it, in the time zone that the server, the database or the role
/// prescribes. This store takes the same one, as long as nobody sets another for its
/// connections. (`sqlx` sets UTC for those of its own.)
/// [`with_time_zone`](PostgresBuilder::with_time_zone) names it where that is not so. In the
/// hour that summer time repeats in autumn, a session may live an hour longer, as in Node.
#[derive(Clone)]
pub struct PostgresStore {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    clock: Arc<dyn Clock>,
    default_lifetime: Duration,
    durable: bool,
    layout: PostgresLayout,
    statements: Statements,
    sweep_every: Duration,
    sweeper: Sweeper,
    table: String,
}

impl PostgresStore {
    /// Reaches the database at `url`: `postgres://user:password@host:5432/database`, with the
    /// parameters of libpq that tokio-postgres knows; `postgres:///app?host=/var/run/postgresql`
    /// is a Unix socket. With `sslmode=require`, and the feature `postgres-tls`, it speaks TLS and
    /// checks the server's certificate; otherwise it does not.
    ///
    /// # Errors
    ///
    /// If the URL is none, if the server cannot be reached or does not let us in, or if it has
    /// a table `session` with other columns.
    ///
    /// ```
    /// # use sessile::stores::PostgresStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = PostgresStore::connect("postgres://127.0.0.1:1/app").await.unwrap_err();
    /// assert_eq!(error.to_string(), "postgres could not be reached to set up its table");
    /// # }
    /// ```
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder(url).connect().await
    }

    /// Starts to reach the database at `url` with other options than the default.
    ///
    /// | option | what it sets | default |
    /// |---|---|---|
    /// | `with_clock` | the clock that decides what has expired | the system's |
    /// | `with_default_lifetime` | how long a session lives whose cookie has no expiry | a day |
    /// | `with_id_column` | what knex's table calls the column of the id | `sid` |
    /// | `with_layout` | which Node package's table it is | [`PostgresLayout::ConnectPgSimple`] |
    /// | `with_max_connections` | how many connections it opens | 16 |
    /// | `with_root_certificate` | whose certificates to trust (`postgres-tls`) | the system's |
    /// | `with_schema` | the table's schema | the first of `search_path` |
    /// | `with_sweep_every` | about how often expired rows are removed | five minutes |
    /// | `with_table` | the table's name | `session` or `sessions`, by layout |
    /// | `with_time_zone` | the zone of a `timestamp` column | the connection's |
    /// | `with_unlogged` | that a new table is `UNLOGGED` | it is logged |
    ///
    /// ```no_run
    /// use sessile::stores::PostgresStore;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile::StoreError> {
    /// let store = PostgresStore::builder("postgres://localhost/app")
    ///     .with_schema("web")
    ///     .with_table("logins")
    ///     .with_default_lifetime(Duration::from_secs(3600))
    ///     .connect()
    ///     .await?;
    /// # drop(store);
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(url: &str) -> PostgresBuilder {
        PostgresBuilder::from_url(url)
    }

    /// Starts to use a pool that the application has already, with its TLS and its limits.
    ///
    /// ```no_run
    /// use deadpool_postgres::{Config, Runtime};
    /// use sessile::stores::PostgresStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = Config { host: Some("localhost".into()), ..Config::default() };
    /// let pool = config.create_pool(Some(Runtime::Tokio1), tokio_postgres::NoTls)?;
    /// let store = PostgresStore::from_pool(pool).connect().await?;
    /// # drop(store);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_pool(pool: Pool) -> PostgresBuilder {
        PostgresBuilder::from_pool(pool)
    }

    fn new(inner: Inner) -> Self {
        let this = Self { inner: Arc::new(inner) };
        this.sweep();
        this
    }

    /// Starts the sweeper, or starts it again if its runtime is gone.
    fn sweep(&self) {
        if !self.inner.sweeper.is_running() {
            let purge = |inner: Arc<Inner>| async move { inner.purge_expired().await };
            self.inner.sweeper.start(&self.inner, self.inner.sweep_every, purge);
        }
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("layout", &self.inner.layout)
            .field("table", &self.inner.table)
            .finish_non_exhaustive()
    }
}
