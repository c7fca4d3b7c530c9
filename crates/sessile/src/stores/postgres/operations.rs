//! The operations of the store: one statement each.

use std::error::Error;
use std::sync::Arc;
use std::time::SystemTime;

use sessile_core::{
    Capability, Cursor, Page, Precondition, Record, Saved, SessionCookie, SessionId, SessionStore,
    StoreError, Stored, Version,
};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::client::Params;
use super::{Inner, PostgresStore};
use crate::stores::capabilities;
use crate::stores::instant::{expiry, from_millis, to_millis};
use crate::stores::malformed::malformed;

/// How many rows a purge deletes at once.
pub(super) const PURGE_BATCH: i64 = 1000;

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

    pub(super) async fn purge_expired(&self) -> Result<u64, StoreError> {
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
            inner.client.read("load a session", &inner.statements.load, &[&sid, &now]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let stored = stored(row, 0);
        Ok(stored.or_else(|| malformed(id, "its record is no text, or too large")))
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
            let params: Params<'_> = &[&from, &now, &expires, &text, &known, &to];
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
        capabilities::of_a_shared_store(self.inner.durable)
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
