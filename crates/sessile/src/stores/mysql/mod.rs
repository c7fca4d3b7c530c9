//! Sessions in MySQL and MariaDB, shared with `express-mysql-session` and
//! `connect-session-knex`.
//!
//! See [`MysqlStore`].

mod builder;
mod client;
mod layout;
mod table;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::{Pool, Row, Value, params};
use sessile_core::{
    Capability, Clock, Cursor, Page, Precondition, Record, Saved, SessionCookie, SessionId,
    SessionStore, StoreError, Stored, Version,
};

pub use self::builder::MysqlBuilder;
use self::client::Client;
pub use self::layout::MysqlLayout;
use self::layout::Statements;
use self::table::Found;
use crate::stores::instant::{expiry, from_millis, to_millis};
use crate::stores::sweep::Sweeper;

/// How many rows a purge deletes at once.
const PURGE_BATCH: u64 = 1000;

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
/// the one inside the JSON.
///
/// Node's tables take ids for the same that differ in blanks at the end only, or, if `knex` made
/// the table, in upper and lower case. Here they never are: the second of two such ids is
/// unknown, and cannot be saved. A table that this store creates keeps them apart. An id longer
/// than the column is unknown too, and a record longer than it is an error, whatever the `sql_mode`.
///
/// MySQL's column type `json`, which `knex` chooses there, writes records anew: keys in another
/// order, numbers of more than 17 digits rounded. Make it `longtext`, as this store does.
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
    /// `mariadb://`, with the parameters that mysql_async knows.
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
    /// | `with_layout` | which Node package's table it is | [`MysqlLayout::ExpressMysqlSession`] |
    /// | `with_max_connections` | how many connections it opens | 16 |
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

impl Inner {
    fn now(&self) -> i64 {
        to_millis(self.clock.now())
    }

    /// Returns now as the statements compare it.
    fn seconds(&self) -> i64 {
        self.layout.seconds(self.now())
    }

    /// Returns the expiry to write for `cookie`.
    fn expiry(&self, cookie: &SessionCookie, now: i64) -> i64 {
        let expires = expiry(cookie, now, self.default_lifetime);
        self.layout.kept(expires, now, self.found.last)
    }

    /// Returns the id if the column can hold it. A lax server would cut it, or change its letters.
    fn holdable<'i>(&self, id: &'i SessionId) -> Option<&'i str> {
        let id = id.as_str();
        let fits =
            id.len() <= self.found.max_id_chars || id.chars().count() <= self.found.max_id_chars;
        (fits && (self.found.any_letters || id.is_ascii())).then_some(id)
    }

    /// Returns the record's text if the column can hold it. A lax server would cut it.
    fn fitting<'r>(&self, record: &'r Record) -> Result<&'r str, StoreError> {
        let text = &**record.text();
        if text.len() <= self.found.max_record_bytes {
            return Ok(text);
        }
        let (column, most) = (self.layout.record(), self.found.max_record_bytes);
        Err(StoreError::failed(format!("a record is longer than the {most} bytes of {column}")))
    }

    /// Says why a session was not what the caller had loaded.
    async fn why_not(&self, what: &str, id: &str, now: i64) -> Result<Saved, StoreError> {
        let params = params! { "id" => id, "now" => now };
        let alive = self.client.query(what, &self.statements.alive, params).await?;
        Ok(if alive.rows.is_empty() { Saved::Gone } else { Saved::Conflict })
    }

    /// Says why a row could not be created.
    async fn why_not_new(&self, what: &str, id: &str) -> Result<Saved, StoreError> {
        let twin = self.client.query(what, &self.statements.twin, params! { "id" => id }).await?;
        if twin.rows.is_empty() { Ok(Saved::Conflict) } else { Err(unholdable()) }
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let params = params! { "now" => self.seconds(), "limit" => PURGE_BATCH };
            let purge = &self.statements.purge;
            let removed =
                self.client.query("remove expired sessions", purge, params).await?.affected;
            total += removed;
            if removed < PURGE_BATCH {
                return Ok(total);
            }
        }
    }
}

impl SessionStore for MysqlStore {
    async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        let inner = &*self.inner;
        let Some(sid) = inner.holdable(id) else { return Ok(None) };
        let params = params! { "id" => sid, "now" => inner.seconds() };
        let found = inner.client.query("load a session", &inner.statements.load, params).await?;
        let Some(row) = found.rows.first() else { return Ok(None) };
        let stored = stored(inner.layout, row, 0);
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
        let Some(sid) = inner.holdable(id) else {
            return match when {
                Precondition::Absent | Precondition::None => Err(unholdable()),
                Precondition::Exists | Precondition::Unchanged(_) => Ok(Saved::Gone),
            };
        };
        let (millis, text) = (inner.now(), inner.fitting(record)?);
        let (now, expires) = (inner.layout.seconds(millis), inner.expiry(record.cookie(), millis));
        let answer = match when {
            Precondition::Absent => {
                let params =
                    params! { "id" => sid, "now" => now, "expires" => expires, "text" => text };
                inner.client.query(WHAT, &statements.save_absent, params).await?
            }
            Precondition::Exists => {
                let params =
                    params! { "id" => sid, "now" => now, "expires" => expires, "text" => text };
                inner.client.query(WHAT, &statements.save_existing, params).await?
            }
            Precondition::None => {
                let params = params! { "id" => sid, "expires" => expires, "text" => text };
                inner.client.query(WHAT, &statements.save, params).await?
            }
            Precondition::Unchanged(version) => {
                let known = version.as_text().map(AsRef::<str>::as_ref);
                let params = params! {
                    "id" => sid, "now" => now, "expires" => expires, "text" => text,
                    "known" => known,
                };
                inner.client.query(WHAT, &statements.save_unchanged, params).await?
            }
        };
        match when {
            _ if answer.marked => Ok(saved(record)),
            Precondition::Absent | Precondition::None => inner.why_not_new(WHAT, sid).await,
            Precondition::Exists => Ok(Saved::Gone),
            Precondition::Unchanged(_) => inner.why_not(WHAT, sid, now).await,
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
        let Some(sid) = inner.holdable(id) else { return Ok(false) };
        let millis = inner.now();
        let (now, expires) = (inner.layout.seconds(millis), inner.expiry(cookie, millis));
        let Some(since) = since else {
            let params = params! { "id" => sid, "now" => now, "expires" => expires };
            return Ok(inner.client.query(WHAT, &statements.touch, params).await?.marked);
        };
        let known = since.as_text().map(AsRef::<str>::as_ref);
        let params = params! { "id" => sid, "now" => now, "expires" => expires, "known" => known };
        let touched = inner.client.query(WHAT, &statements.touch_unchanged, params).await?.marked;
        Ok(touched || inner.why_not(WHAT, sid, now).await? == Saved::Conflict)
    }

    async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
        let inner = &*self.inner;
        let Some(sid) = inner.holdable(id) else { return Ok(false) };
        let params = params! { "id" => sid, "now" => inner.seconds() };
        let destroy = &inner.statements.destroy;
        Ok(inner.client.query("destroy a session", destroy, params).await?.affected > 0)
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
        let Some(from) = inner.holdable(from) else { return Ok(Saved::Gone) };
        let to = inner.holdable(to).ok_or_else(unholdable)?;
        let (millis, text) = (inner.now(), inner.fitting(record)?);
        let (now, expires) = (inner.layout.seconds(millis), inner.expiry(record.cookie(), millis));
        let known = version.as_text().map(AsRef::<str>::as_ref);
        loop {
            let params = params! {
                "id" => from, "to" => to, "now" => now, "expires" => expires, "text" => text,
                "known" => known,
            };
            match inner.client.query_unique(WHAT, &statements.rotate, params).await? {
                Some(answer) if answer.marked => return Ok(saved(record)),
                Some(_) => return inner.why_not(WHAT, from, now).await,
                None => {}
            }
            // Somebody has the new id. If he is dead, he makes room.
            let params = params! { "id" => to, "now" => now };
            if inner.client.query(WHAT, &statements.free, params).await?.affected == 0 {
                return inner.why_not(WHAT, from, now).await;
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
        let durable = self.inner.found.durable;
        if durable { ALL } else { ALL.split_last().map_or(ALL, |(_, others)| others) }
    }

    async fn all(&self, from: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let inner = &*self.inner;
        let after = from.map(Cursor::as_str);
        let params = params! {
            "id" => after.unwrap_or_default(), "later" => after.is_some(),
            "now" => inner.seconds(), "limit" => u64::try_from(limit).unwrap_or(u64::MAX),
        };
        let rows = inner.client.query("list the sessions", &inner.statements.all, params).await?;
        let rows = rows.rows;
        let sid = |row: &Row| text(row, 0).map(str::to_owned);
        let read = |row: &Row| Some((SessionId::new(sid(row)?), stored(inner.layout, row, 1)?));
        let next = rows.last().filter(|_| rows.len() == limit).and_then(sid).map(Cursor::new);
        Ok(Page::new(rows.iter().filter_map(read).collect(), next))
    }

    async fn length(&self) -> Result<u64, StoreError> {
        let inner = &*self.inner;
        let (length, params) = (&inner.statements.length, params! { "now" => inner.seconds() });
        let rows = inner.client.query("count the sessions", length, params).await?.rows;
        Ok(rows.first().and_then(|row| seconds(row, 0)).unwrap_or_default().unsigned_abs())
    }

    async fn clear(&self) -> Result<(), StoreError> {
        let inner = &*self.inner;
        inner.client.query("remove all sessions", &inner.statements.clear, ()).await.map(drop)
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        self.inner.purge_expired().await
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

fn unholdable() -> StoreError {
    StoreError::failed(
        "the table cannot keep such an id: it is too long, has letters that the column has not, \
         or the column's collation takes it for another one",
    )
}

fn saved(record: &Record) -> Saved {
    Saved::Saved(Version::text(Arc::clone(record.text())))
}

/// Reads a record and its expiry. A record is its own version: nothing is added to the
/// row, and Node's saves count too.
fn stored(layout: MysqlLayout, row: &Row, column: usize) -> Option<Stored> {
    let record: Arc<str> = text(row, column)?.into();
    let expires = from_millis(layout.death(seconds(row, column + 1)?));
    Some(Stored::new(Arc::clone(&record), Version::text(record), Some(expires)))
}

fn text(row: &Row, column: usize) -> Option<&str> {
    let Value::Bytes(bytes) = row.as_ref(column)? else { return None };
    std::str::from_utf8(bytes).ok()
}

fn seconds(row: &Row, column: usize) -> Option<i64> {
    match row.as_ref(column)? {
        Value::Int(number) => Some(*number),
        Value::UInt(number) => i64::try_from(*number).ok(),
        _ => None,
    }
}
