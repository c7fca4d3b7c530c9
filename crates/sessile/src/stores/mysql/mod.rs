//! Sessions in MySQL and MariaDB, shared with `express-mysql-session` and
//! `connect-session-knex`.
//!
//! See [`MysqlStore`].

mod builder;
mod client;
mod columns;
mod layout;
mod operations;
mod table;
#[cfg(test)]
mod tests;
#[cfg(feature = "mysql-tls")]
mod tls;
#[cfg(not(feature = "mysql-tls"))]
#[path = "no_tls.rs"]
mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::Pool;
use sessile_core::{Clock, StoreError};

pub use self::builder::MysqlBuilder;
use self::client::Client;
use self::columns::Columns;
pub use self::layout::MysqlLayout;
use self::layout::Statements;
use self::table::Found;
use crate::stores::sweep::Sweeper;

/// Stores sessions in MySQL or MariaDB.
///
/// # Setup
///
/// MariaDB 10.5 or MySQL 8.0, or later (tested with MariaDB 10.11). [`connect`](Self::connect)
/// creates the table and its index, whether one process starts or eight at once; a user
/// who may not create tables uses one that exists. `express-mysql-session` makes none over
/// `expires`: where its table is large, add one, as an event advises.
///
/// # Example
///
/// ```no_run
/// use sessile::stores::MysqlStore;
/// use sessile::{Precondition, Record, SessionId, SessionStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MysqlStore::connect("mysql://user:password@localhost/app").await?;
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
/// By this process' clock, as in Node; the server's is never asked, nor its time zone. Both
/// tables keep whole seconds: `express-mysql-session`'s rounds to the nearest one,
/// `connect-session-knex`'s cuts off. As in Node, now is rounded likewise before it is compared,
/// so that no session ends early and each lives at most a second longer. An `int unsigned` ends in
/// February 2106. Rows are removed about every five minutes, 1000 at a time, through the index. A
/// session whose cookie has no expiry lives for a day after each save or touch.
/// (`connect-session-knex` does not move the expiry of such a session when it touches it.)
///
/// # Keys
///
/// The primary key is the session's id. [`MysqlLayout`] names the two tables that Node's stores
/// keep; the record is the JSON text that they write, and the expiry is the column's, never
/// the one inside the JSON. Where Node's options give the columns other names, the
/// [builder](Self::builder) takes them.
///
/// Node's tables take ids for the same that differ in blanks at the end only, or, if `knex` made
/// the table, in upper and lower case. Here they never are: the second of two such ids is
/// unknown, and cannot be saved. A table that this store creates keeps them apart. An id longer
/// than the column is unknown too, and a record longer than it is an error, whatever the `sql_mode`.
///
/// MySQL's column type `json`, which `knex` chooses there, writes records anew: keys in another
/// order, numbers of more than 17 digits rounded. Make it `longtext`, as this store does. On
/// MariaDB `knex` adds `CHECK (json_valid(sess))`, which refuses lone surrogates (`"\\ud800"`):
/// from Node too.
/// A record that is NULL, not UTF-8 or larger than 64 MiB is no session, and an event says so.
///
/// # Durability
///
/// A save is answered after its commit, so it survives a crash of the server, with
/// InnoDB's own settings a power cut too. With `innodb_flush_log_at_trx_commit = 0`, or in a
/// table of another engine, the store does not call itself durable.
///
/// # Round trips
///
/// One for each operation, a transaction by itself, prepared once on each connection. A save,
/// touch or rotation that comes too late takes a second one, to tell why. Deadlocks are tried
/// again. An operation that is abandoned, by a deadline for instance, closes its connection.
#[derive(Clone)]
pub struct MysqlStore {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    clock: Arc<dyn Clock>,
    columns: Columns,
    default_lifetime: Duration,
    found: Found,
    layout: MysqlLayout,
    statements: Statements,
    sweep_every: Duration,
    sweeper: Sweeper,
    table: String,
}

impl MysqlStore {
    /// Reaches the database at `url`: `mysql://user:password@host:3306/database`, also
    /// `mariadb://`, with the parameters that mysql_async knows. With `require_ssl=true`, and the
    /// feature `mysql-tls`, it speaks TLS and checks the server's certificate; otherwise it does not.
    ///
    /// # Errors
    ///
    /// If the URL is none or names no database, if the server cannot be reached or does not let
    /// us in, or if it has a table `sessions` with other columns.
    ///
    /// ```
    /// # use sessile::stores::MysqlStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = MysqlStore::connect("mysql://127.0.0.1:1/app").await.unwrap_err();
    /// assert_eq!(error.to_string(), "mysql could not be reached to set up its table");
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
    /// | `with_expiry_column` | what the column of the expiry is called | `expires` or `expired`, by layout |
    /// | `with_id_column` | what the column of the id is called | `session_id` or `sid`, by layout |
    /// | `with_layout` | which Node package's table it is | [`MysqlLayout::ExpressMysqlSession`] |
    /// | `with_max_connections` | how many connections it opens | 16 |
    /// | `with_record_column` | what the column of the record is called | `data` or `sess`, by layout |
    /// | `with_root_certificate` | whose certificates to trust (`mysql-tls`) | Mozilla's |
    /// | `with_sweep_every` | about how often expired rows are removed | five minutes |
    /// | `with_table` | the table's name | `sessions` |
    ///
    /// ```no_run
    /// use sessile::stores::MysqlStore;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile::StoreError> {
    /// let store = MysqlStore::builder("mysql://localhost/app")
    ///     .with_table("logins")
    ///     .with_default_lifetime(Duration::from_secs(3600))
    ///     .connect()
    ///     .await?;
    /// # drop(store);
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(url: &str) -> MysqlBuilder {
        MysqlBuilder::from_url(url)
    }

    /// Starts to use a pool that the application has already, with its TLS and its limits.
    ///
    /// ```no_run
    /// use sessile::stores::MysqlStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = mysql_async::Pool::from_url("mysql://localhost/app")?;
    /// let store = MysqlStore::from_pool(pool).connect().await?;
    /// # drop(store);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_pool(pool: Pool) -> MysqlBuilder {
        MysqlBuilder::from_pool(pool)
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

impl fmt::Debug for MysqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlStore")
            .field("layout", &self.inner.layout)
            .field("table", &self.inner.table)
            .finish_non_exhaustive()
    }
}
