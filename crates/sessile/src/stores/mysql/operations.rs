//! The operations of the store: one statement each.

use std::sync::Arc;

use mysql_async::{Row, Value, params};
use sessile_core::{
    Capability, Cursor, Page, Precondition, Record, Saved, SessionCookie, SessionId, SessionStore,
    StoreError, Stored, Version,
};

use super::{Inner, MysqlLayout, MysqlStore};
use crate::stores::capabilities;
use crate::stores::instant::{expiry, from_millis, to_millis};
use crate::stores::malformed::malformed;

/// How many rows a purge deletes at once.
pub(super) const PURGE_BATCH: u64 = 1000;

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
        let ([_, column, _], most) = (self.columns.names(self.layout), self.found.max_record_bytes);
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

    pub(super) async fn purge_expired(&self) -> Result<u64, StoreError> {
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
        capabilities::of_a_shared_store(self.inner.found.durable)
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
