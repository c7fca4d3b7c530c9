//! Sessions in PostgreSQL, shared with `connect-pg-simple` and `connect-session-knex`.
//!
//! See [`PostgresStore`].

mod builder;
mod client;
mod layout;
mod table;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use deadpool_postgres::Pool;
use sessile_core::{
    Capability, Clock, Cursor, Page, Precondition, Record, Saved, SessionCookie, SessionId,
    SessionStore, StoreError, Stored, Version,
};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

pub use self::builder::PostgresBuilder;
use self::client::Client;
pub use self::layout::PostgresLayout;
use self::layout::Statements;
use crate::stores::instant::{expiry, from_millis, to_millis};
use crate::stores::sweep::Sweeper;

/// How many rows a purge deletes at once.
const PURGE_BATCH: i64 = 1000;

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
/// stores keep; `sess` is the JSON text that they write, and the expiry is the column's, never
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
    /// is a Unix socket.
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
    /// | `with_layout` | which Node package's table it is | [`PostgresLayout::ConnectPgSimple`] |
    /// | `with_max_connections` | how many connections it opens | 16 |
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

impl Inner {
    fn now(&self) -> i64 {
        to_millis(self.clock.now())
    }

    /// Returns the expiry to write for `cookie`.
    fn expiry(&self, cookie: &SessionCookie, now: i64) -> SystemTime {
        let expires = expiry(cookie, now, self.default_lifetime);
        from_millis(self.layout.rounded(expires, now))
    }

    /// Says why a session was not what the caller had loaded.
    async fn why_not(&self, what: &'static str, id: &str, now: i64) -> Result<Saved, StoreError> {
        let sql = &self.statements.alive;
        let rows = self.client.query(what, sql, &[&id, &from_millis(now)]).await?;
        Ok(if rows.is_empty() { Saved::Gone } else { Saved::Conflict })
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let now = from_millis(self.now());
            let what = "remove expired sessions";
            let rows =
                self.client.query(what, &self.statements.purge, &[&now, &PURGE_BATCH]).await?;
            let removed = count(&rows);
            total += removed;
            if removed < PURGE_BATCH.unsigned_abs() {
                return Ok(total);
            }
        }
    }
}

impl SessionStore for PostgresStore {
    async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        let (inner, Some(sid)) = (&*self.inner, holdable(id)) else { return Ok(None) };
        let now = from_millis(inner.now());
        let rows =
            inner.client.query("load a session", &inner.statements.load, &[&sid, &now]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let stored = stored(row, 0);
        if stored.is_none() {
            let why = "its record is no text, or too large";
            tracing::warn!(
                session = id.digest(),
                why,
                "a stored session is malformed and taken for none"
            );
        }
        Ok(stored)
    }

    async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        const WHAT: &str = "save a session";
        self.sweep();
        let (inner, statements) = (&*self.inner, &self.inner.statements);
        let Some(sid) = holdable(id) else { return unholdable(when) };
        let millis = inner.now();
        let (now, expires) = (from_millis(millis), inner.expiry(record.cookie(), millis));
        let text = &**record.text();
        let rows = match when {
            Precondition::Absent => {
                let sql = &statements.save_absent;
                inner.client.query(WHAT, sql, &[&sid, &now, &expires, &text]).await?
            }
            Precondition::Exists => {
                let sql = &statements.save_existing;
                inner.client.query(WHAT, sql, &[&sid, &now, &expires, &text]).await?
            }
            Precondition::None => {
                inner.client.query(WHAT, &statements.save, &[&sid, &expires, &text]).await?
            }
            Precondition::Unchanged(version) => {
                let (sql, known) = (&statements.save_unchanged, known_text(version));
                inner.client.query(WHAT, sql, &[&sid, &now, &expires, &text, &known]).await?
            }
        };
        match (rows.is_empty(), when) {
            (true, Precondition::Absent) => Ok(Saved::Conflict),
            (true, Precondition::Exists) => Ok(Saved::Gone),
            (true, Precondition::Unchanged(_)) => inner.why_not(WHAT, sid, millis).await,
            _ => Ok(saved(record)),
        }
    }

    async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool, StoreError> {
        const WHAT: &str = "touch a session";
        let (inner, statements) = (&*self.inner, &self.inner.statements);
        let Some(sid) = holdable(id) else { return Ok(false) };
        let millis = inner.now();
        let (now, expires) = (from_millis(millis), inner.expiry(cookie, millis));
        let Some(since) = since else {
            let rows = inner.client.query(WHAT, &statements.touch, &[&sid, &now, &expires]).await?;
            return Ok(!rows.is_empty());
        };
        let (sql, known) = (&statements.touch_unchanged, known_text(since));
        let rows = inner.client.query(WHAT, sql, &[&sid, &now, &expires, &known]).await?;
        Ok(!rows.is_empty() || inner.why_not(WHAT, sid, millis).await? == Saved::Conflict)
    }

    async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
        let (inner, Some(sid)) = (&*self.inner, holdable(id)) else { return Ok(false) };
        let now = from_millis(inner.now());
        let sql = &inner.statements.destroy;
        let rows = inner.client.query("destroy a session", sql, &[&sid, &now]).await?;
        Ok(rows.first().is_some_and(|row| row.try_get(0).unwrap_or_default()))
    }

    async fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved, StoreError> {
        const WHAT: &str = "give a session a new id";
        let (inner, statements) = (&*self.inner, &self.inner.statements);
        let Some(from) = holdable(from) else { return Ok(Saved::Gone) };
        let Some(to) = holdable(to) else { return unholdable(Precondition::Absent) };
        let millis = inner.now();
        let (now, expires) = (from_millis(millis), inner.expiry(record.cookie(), millis));
        let (text, known) = (&**record.text(), known_text(version));
        loop {
            let params: client::Params<'_> = &[&from, &now, &expires, &text, &known, &to];
            match inner.client.query_unique(WHAT, &statements.rotate, params).await? {
                Some(rows) if rows.is_empty() => return inner.why_not(WHAT, from, millis).await,
                Some(_) => return Ok(saved(record)),
                None => {}
            }
            // Somebody has the new id. If he is dead, he makes room.
            let freed = inner.client.query(WHAT, &statements.free, &[&to, &now]).await?;
            if freed.is_empty() {
                return inner.why_not(WHAT, from, millis).await;
            }
        }
    }

    fn capabilities(&self) -> &'static [Capability] {
        const ALL: &[Capability] = &[
            Capability::All,
            Capability::Clear,
            Capability::Length,
            Capability::Shared,
            Capability::Durable,
        ];
        if self.inner.durable { ALL } else { ALL.split_last().map_or(ALL, |(_, others)| others) }
    }

    async fn all(&self, from: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let inner = &*self.inner;
        let after = from.map(Cursor::as_str);
        let now = from_millis(inner.now());
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let (sql, start) = (&inner.statements.all, after.unwrap_or_default());
        let rows =
            inner.client.query("list the sessions", sql, &[&start, &now, &after, &most]).await?;
        let sid = |row: &Row| row.try_get::<_, String>(0).ok();
        let sessions =
            rows.iter().filter_map(|row| Some((SessionId::new(sid(row)?), stored(row, 1)?)));
        let next = rows.last().filter(|_| rows.len() == limit).and_then(sid).map(Cursor::new);
        Ok(Page::new(sessions.collect(), next))
    }

    async fn length(&self) -> Result<u64, StoreError> {
        let inner = &*self.inner;
        let now = from_millis(inner.now());
        let rows =
            inner.client.query("count the sessions", &inner.statements.length, &[&now]).await?;
        Ok(count(&rows))
    }

    async fn clear(&self) -> Result<(), StoreError> {
        let inner = &*self.inner;
        inner.client.query("remove all sessions", &inner.statements.clear, &[]).await.map(drop)
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        self.inner.purge_expired().await
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

/// Returns the id if a text column can hold it: PostgreSQL's text has no NUL.
fn holdable(id: &SessionId) -> Option<&str> {
    Some(id.as_str()).filter(|id| !id.contains('\0'))
}

fn unholdable(when: Precondition<'_>) -> Result<Saved, StoreError> {
    match when {
        Precondition::Absent | Precondition::None => {
            Err(StoreError::failed("postgres cannot keep an id with a NUL in it"))
        }
        Precondition::Exists | Precondition::Unchanged(_) => Ok(Saved::Gone),
    }
}

fn saved(record: &Record) -> Saved {
    Saved::Saved(Version::text(Arc::clone(record.text())))
}

/// Reads a record and its expiry. A record is its own version: nothing is added to the
/// row, and Node's saves count too.
fn stored(row: &Row, column: usize) -> Option<Stored> {
    let text: Arc<str> = row.try_get::<_, &str>(column).ok()?.into();
    let Millis(expires) = row.try_get(column + 1).ok()?;
    Some(Stored::new(Arc::clone(&text), Version::text(text), Some(from_millis(expires))))
}

/// Another store's version is no text, becomes NULL, and equals nothing.
fn known_text(version: &Version) -> Option<&str> {
    version.as_text().map(AsRef::as_ref)
}

fn count(rows: &[Row]) -> u64 {
    rows.first().map_or(0, |row| row.try_get::<_, i64>(0).unwrap_or_default().unsigned_abs())
}

/// A `timestamptz` in milliseconds since 1970. `infinity` is only very late, where
/// [`SystemTime`] panics on some systems.
struct Millis(i64);

impl FromSql<'_> for Millis {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        /// 2000-01-01, where PostgreSQL begins to count.
        const EPOCH: i64 = 946_684_800_000;
        let micros = i64::from_be_bytes(raw.try_into()?);
        Ok(Self(micros.div_euclid(1000) + EPOCH))
    }

    tokio_postgres::types::accepts!(TIMESTAMPTZ);
}
