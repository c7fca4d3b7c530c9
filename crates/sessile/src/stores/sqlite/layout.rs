//! The tables that Node's SQLite stores keep, and the SQL that reads and writes them.

/// Which Node package's table holds the sessions.
///
/// ```
/// use sessile::stores::{SqliteLayout, SqliteStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sessile::StoreError> {
/// let store = SqliteStore::builder("sqlite::memory:")
///     .with_layout(SqliteLayout::BetterSqlite3)
///     .connect()
///     .await?;
/// # drop(store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SqliteLayout {
    /// `better-sqlite3-session-store`: columns `sid`, `sess`, `expire`; the expiry is ISO 8601 text.
    BetterSqlite3,
    /// `connect-sqlite3`: columns `sid`, `expired`, `sess`; the expiry is milliseconds as a real number.
    #[default]
    ConnectSqlite3,
}

/// The largest record that is read. A larger one is taken for malformed, so that
/// nobody's 100 MB row takes the process down.
pub(super) const MAX_RECORD_BYTES: usize = 64 << 20;

// What every statement calls its parameters: ?1 now, ?2 the id, ?3 the expiry,
// ?4 the record, ?5 the record it replaces, ?6 the new id. Times are milliseconds
// since 1970, as real numbers.

// Numbers sort before any text: a number that lies ahead. `IN ('real', …)` would
// say the same without the index.
const ALIVE_BY_NUMBER: &str = "(expired > ?1 AND expired < '')";

// Reads any spelling that SQLite understands, as Node does, but to the millisecond.
const MILLIS_OF_TEXT: &str = "CAST(round(unixepoch(expire, 'subsec') * 1000) AS INTEGER)";

impl SqliteLayout {
    /// Returns the column that says when a session expires.
    pub(super) fn expiry(self) -> &'static str {
        match self {
            Self::BetterSqlite3 => "expire",
            Self::ConnectSqlite3 => "expired",
        }
    }

    pub(super) fn columns(self) -> &'static str {
        match self {
            Self::BetterSqlite3 => {
                "sid TEXT NOT NULL PRIMARY KEY, sess JSON NOT NULL, expire TEXT NOT NULL"
            }
            Self::ConnectSqlite3 => "sid PRIMARY KEY, expired, sess",
        }
    }

    /// Tells whether the expiry column, declared as `declared`, keeps what is written to it.
    pub(super) fn keeps_expiry(self, declared: &str) -> bool {
        let declared = declared.to_ascii_uppercase();
        match self {
            Self::BetterSqlite3 => true,
            // SQLite would turn numbers into text, or other readers expect a date.
            Self::ConnectSqlite3 => {
                !["CHAR", "CLOB", "DATE", "TEXT", "TIME"].iter().any(|word| declared.contains(word))
            }
        }
    }

    /// Returns the last instant that the expiry column can say, in milliseconds.
    pub(super) fn last_instant(self) -> f64 {
        match self {
            // SQLite's date functions end with the year 9999.
            Self::BetterSqlite3 => 253_402_300_799_999.0,
            Self::ConnectSqlite3 => 8.64e15,
        }
    }

    /// SQL for the milliseconds of a row's expiry; no number if it is unreadable.
    fn millis(self) -> &'static str {
        match self {
            Self::BetterSqlite3 => MILLIS_OF_TEXT,
            Self::ConnectSqlite3 => "expired",
        }
    }

    /// SQL that is true for a row that lives; false or null for any other.
    fn alive(self) -> String {
        match self {
            Self::BetterSqlite3 => format!("({MILLIS_OF_TEXT} > ?1)"),
            Self::ConnectSqlite3 => ALIVE_BY_NUMBER.to_owned(),
        }
    }

    /// SQL that finds expired rows through the index.
    fn expired(self) -> String {
        match self {
            // The text finds them, the instant makes sure: an offset like +02:00
            // sorts before its time.
            Self::BetterSqlite3 => {
                format!("expire <= {} AND {MILLIS_OF_TEXT} <= ?1", iso("?1"))
            }
            Self::ConnectSqlite3 => "expired <= ?1".to_owned(),
        }
    }

    /// SQL for the expiry ?3 as the column keeps it.
    fn written(self) -> String {
        match self {
            Self::BetterSqlite3 => iso("?3"),
            Self::ConnectSqlite3 => "?3".to_owned(),
        }
    }
}

/// SQL for what `Date.prototype.toISOString` makes of the milliseconds `parameter`.
fn iso(parameter: &str) -> String {
    format!("strftime('%Y-%m-%dT%H:%M:%fZ', {parameter} / 1000.0, 'unixepoch')")
}

/// Makes `name` an SQL identifier, whatever it contains.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Every statement of one table.
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) alive: String,
    pub(super) all: String,
    pub(super) clear: String,
    pub(super) destroy: String,
    pub(super) free_target: String,
    pub(super) length: String,
    pub(super) load: String,
    pub(super) purge: String,
    pub(super) rotate: String,
    pub(super) save: String,
    pub(super) save_absent: String,
    pub(super) save_existing: String,
    pub(super) save_unchanged: String,
    pub(super) touch: String,
    pub(super) touch_unchanged: String,
}

impl Statements {
    pub(super) fn new(layout: SqliteLayout, table: &str) -> Self {
        let table = quote(table);
        let (expiry, millis) = (layout.expiry(), layout.millis());
        let (alive, expired, written) = (layout.alive(), layout.expired(), layout.written());
        // `octet_length` and `typeof` read a row's header only, not the megabytes behind it.
        let readable = format!(
            "{alive} AND typeof(sess) = 'text' AND octet_length(sess) <= {MAX_RECORD_BYTES}"
        );
        let text = format!("CASE WHEN {readable} THEN sess END");
        let unchanged = "octet_length(sess) = octet_length(?5) AND sess = ?5";
        let insert = format!(
            "INSERT INTO {table} (sid, {expiry}, sess) VALUES (?2, {written}, ?4)
             ON CONFLICT (sid) DO UPDATE SET {expiry} = excluded.{expiry}, sess = excluded.sess"
        );
        let update = format!(
            "UPDATE {table} SET {expiry} = {written}, sess = ?4 WHERE sid = ?2 AND {alive}"
        );
        // Moving an expiry writes the whole row again: not for one that no load returns.
        let touch =
            format!("UPDATE {table} SET {expiry} = {written} WHERE sid = ?2 AND {readable}");
        Self {
            alive: format!("SELECT 1 FROM {table} WHERE sid = ?2 AND {alive}"),
            // `IS TRUE` keeps SQLite off the expiry's index: pages go in the order of ids.
            all: format!(
                "SELECT sid, {text}, {millis} FROM {table}
                 WHERE sid >= ?2 AND sid IS NOT ?4 AND typeof(sid) = 'text' AND {alive} IS TRUE
                 ORDER BY sid LIMIT ?3"
            ),
            clear: format!("DELETE FROM {table}"),
            destroy: format!("DELETE FROM {table} WHERE sid = ?2 RETURNING {alive} IS TRUE"),
            free_target: format!("DELETE FROM {table} WHERE sid = ?2 AND {alive} IS NOT TRUE"),
            length: format!("SELECT count(*) FROM {table} WHERE {alive}"),
            load: format!("SELECT {text}, {millis} FROM {table} WHERE sid = ?2"),
            purge: format!(
                "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE {expired} LIMIT ?2)"
            ),
            rotate: format!(
                "UPDATE {table} SET sid = ?6, {expiry} = {written}, sess = ?4
                 WHERE sid = ?2 AND {alive} AND {unchanged}
                 AND NOT EXISTS (SELECT 1 FROM {table} WHERE sid = ?6)"
            ),
            save_absent: format!("{insert} WHERE {alive} IS NOT TRUE"),
            save_existing: update.clone(),
            save_unchanged: format!("{update} AND {unchanged}"),
            touch: touch.clone(),
            touch_unchanged: format!("{touch} AND {unchanged}"),
            save: insert,
        }
    }

    pub(super) fn every(&self) -> [&str; 15] {
        [
            &self.alive,
            &self.all,
            &self.clear,
            &self.destroy,
            &self.free_target,
            &self.length,
            &self.load,
            &self.purge,
            &self.rotate,
            &self.save,
            &self.save_absent,
            &self.save_existing,
            &self.save_unchanged,
            &self.touch,
            &self.touch_unchanged,
        ]
    }
}
