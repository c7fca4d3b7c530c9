//! What one connection does with the table of sessions. Everything here blocks, on
//! a thread of its own.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::types::{Null, ValueRef};
use rusqlite::{Connection, OptionalExtension, Params, Result, Row, params};
use sessile_core::{Clock, Cursor, Page, Record, Saved, SessionCookie, SessionId, Stored, Version};

use super::layout::{SqliteLayout, Statements};
use crate::stores::malformed::malformed;
use crate::stores::when::When;

/// How many rows a purge deletes at once, so that saves wait for milliseconds only.
pub(super) const PURGE_BATCH: u32 = 500;

/// What all connections of a store know about its table.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) default_lifetime: Duration,
    pub(super) layout: SqliteLayout,
    pub(super) statements: Arc<Statements>,
}

/// The table of sessions, through one connection.
pub(super) struct Table {
    pub(super) connection: Connection,
    pub(super) schema: Schema,
}

impl Table {
    pub(super) fn load(&self, id: &SessionId) -> Result<Option<Stored>> {
        let now = self.now();
        let mut statement = self.connection.prepare_cached(&self.schema.statements.load)?;
        let mut rows = statement.query(params![now, id.as_str()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        match number(row.get_ref(1)?) {
            Some(expires) if expires <= now => Ok(None),
            // Node takes text for a session that never ends; nobody meant that.
            None => Ok(malformed(id, "its expiry is no time")),
            Some(expires) => match text(row, 0)? {
                Some(text) => Ok(Some(stored(text, expires))),
                None => Ok(malformed(id, "its record is no text, or too large")),
            },
        }
    }

    pub(super) fn save(&self, id: &SessionId, record: &Record, when: &When) -> Result<Saved> {
        let (now, statements) = (self.now(), &self.schema.statements);
        let expires = self.expiry(record.cookie(), now);
        let (sid, text) = (id.as_str(), record.text().as_ref());
        let changed = match when {
            When::Absent => self.execute(&statements.save_absent, params![now, sid, expires, text]),
            When::Always => self.execute(&statements.save, params![now, sid, expires, text]),
            When::Exists => {
                self.execute(&statements.save_existing, params![now, sid, expires, text])
            }
            When::Unchanged(version) => self.execute(
                &statements.save_unchanged,
                params![now, sid, expires, text, known_text(version)],
            ),
        }?;
        match (changed, when) {
            (0, When::Absent) => Ok(Saved::Conflict),
            (0, When::Exists) => Ok(Saved::Gone),
            (0, When::Unchanged(_)) => self.why_not(sid, now),
            _ => Ok(saved(record)),
        }
    }

    pub(super) fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool> {
        let (now, statements) = (self.now(), &self.schema.statements);
        let (sid, expires) = (id.as_str(), self.expiry(cookie, now));
        let Some(since) = since else {
            return Ok(self.execute(&statements.touch, params![now, sid, expires])? > 0);
        };
        let parameters = params![now, sid, expires, Null, known_text(since)];
        let touched = self.execute(&statements.touch_unchanged, parameters)? > 0;
        Ok(touched || self.why_not(sid, now)? == Saved::Conflict)
    }

    pub(super) fn destroy(&self, id: &SessionId) -> Result<bool> {
        let mut statement = self.connection.prepare_cached(&self.schema.statements.destroy)?;
        let lived = statement.query_row(params![self.now(), id.as_str()], |row| row.get(0));
        Ok(lived.optional()?.unwrap_or(false))
    }

    pub(super) fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved> {
        let (now, statements) = (self.now(), &self.schema.statements);
        let (expires, text) = (self.expiry(record.cookie(), now), record.text().as_ref());
        let (from, to) = (from.as_str(), to.as_str());
        self.execute(&statements.free_target, params![now, to])?;
        let changed = self.execute(
            &statements.rotate,
            params![now, from, expires, text, known_text(version), to],
        )?;
        if changed > 0 { Ok(saved(record)) } else { self.why_not(from, now) }
    }

    pub(super) fn all(&self, from: Option<&Cursor>, limit: usize) -> Result<Page> {
        let after = from.map(Cursor::as_str);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare_cached(&self.schema.statements.all)?;
        let mut rows =
            statement.query(params![self.now(), after.unwrap_or_default(), limit, after])?;
        let (mut sessions, mut last, mut seen) = (Vec::new(), None, 0);
        while let Some(row) = rows.next()? {
            seen += 1;
            let Some(sid) = text(row, 0)? else { continue };
            last = Some(Cursor::new(&*sid));
            let (text, expires) = (text(row, 1)?, number(row.get_ref(2)?));
            if let (Some(text), Some(expires)) = (text, expires) {
                sessions.push((SessionId::new(sid), stored(text, expires)));
            }
        }
        Ok(Page::new(sessions, last.filter(|_| seen == limit)))
    }

    pub(super) fn length(&self) -> Result<u64> {
        let mut statement = self.connection.prepare_cached(&self.schema.statements.length)?;
        statement.query_row(params![self.now()], |row| row.get::<_, i64>(0).map(i64::unsigned_abs))
    }

    pub(super) fn clear(&self) -> Result<()> {
        self.execute(&self.schema.statements.clear, [])?;
        Ok(())
    }

    /// Deletes some expired rows; fewer than [`PURGE_BATCH`] were the last of them.
    pub(super) fn purge(&self) -> Result<u64> {
        let removed =
            self.execute(&self.schema.statements.purge, params![self.now(), PURGE_BATCH])?;
        Ok(removed as u64)
    }

    /// Says why a session was not what the caller had loaded.
    fn why_not(&self, sid: &str, now: f64) -> Result<Saved> {
        let mut statement = self.connection.prepare_cached(&self.schema.statements.alive)?;
        let lives = statement.exists(params![now, sid])?;
        Ok(if lives { Saved::Conflict } else { Saved::Gone })
    }

    fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params)
    }

    fn now(&self) -> f64 {
        to_millis(self.schema.clock.now())
    }

    fn expiry(&self, cookie: &SessionCookie, now: f64) -> f64 {
        let default = || now + self.schema.default_lifetime.as_secs_f64() * 1000.0;
        let expires = cookie.expires().map_or_else(default, to_millis);
        expires.trunc().clamp(FIRST_INSTANT, self.schema.layout.last_instant())
    }
}

/// The year 0, where SQLite's dates begin: as dead as anything before it.
const FIRST_INSTANT: f64 = -62_167_219_200_000.0;
const LAST_INSTANT: f64 = 8.64e15;

fn saved(record: &Record) -> Saved {
    Saved::Saved(Version::text(Arc::clone(record.text())))
}

/// A record is its own version: nothing is added to the row, and Node's saves count too.
fn stored(text: Arc<str>, expires: f64) -> Stored {
    Stored::new(Arc::clone(&text), Version::text(text), Some(from_millis(expires)))
}

/// Another store's version is no text, becomes NULL, and equals nothing.
fn known_text(version: &Version) -> Option<&str> {
    version.as_text().map(AsRef::as_ref)
}

fn text(row: &Row<'_>, column: usize) -> Result<Option<Arc<str>>> {
    let ValueRef::Text(bytes) = row.get_ref(column)? else { return Ok(None) };
    Ok(std::str::from_utf8(bytes).ok().map(Arc::from))
}

#[expect(clippy::cast_precision_loss, reason = "JavaScript counts milliseconds in doubles too")]
fn number(value: ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::Integer(number) => Some(number as f64),
        ValueRef::Real(number) => Some(number),
        ValueRef::Blob(_) | ValueRef::Null | ValueRef::Text(_) => None,
    }
}

/// Milliseconds since 1970, rounded down as `Date.now()` does.
#[expect(clippy::cast_precision_loss, reason = "JavaScript counts milliseconds in doubles too")]
fn to_millis(time: SystemTime) -> f64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => after.as_millis() as f64,
        Err(before) => -(before.duration().as_nanos().div_ceil(1_000_000) as f64),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to what a date can hold")]
#[expect(clippy::cast_sign_loss, reason = "the sign is looked at")]
fn from_millis(millis: f64) -> SystemTime {
    let millis = millis.clamp(FIRST_INSTANT, LAST_INSTANT);
    let distance = Duration::from_millis(millis.abs() as u64);
    let time = if millis < 0.0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}
