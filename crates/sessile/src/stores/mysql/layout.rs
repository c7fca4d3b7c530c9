//! The tables that Node's MySQL stores keep, and the SQL that reads and writes them.

/// Which Node package's table holds the sessions.
///
/// ```no_run
/// use sessile::stores::{MysqlLayout, MysqlStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sessile::StoreError> {
/// let store = MysqlStore::builder("mysql://localhost/app")
///     .with_layout(MysqlLayout::ConnectSessionKnex)
///     .connect()
///     .await?;
/// # drop(store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum MysqlLayout {
    /// `connect-session-knex`: columns `sid`, `sess`, `expired`; the expiry is a `datetime` in UTC.
    /// [`with_id_column`](super::MysqlBuilder::with_id_column) is its option `sidFieldName`.
    ConnectSessionKnex,
    /// `express-mysql-session`: columns `session_id`, `expires`, `data`; the expiry is a number of
    /// seconds. [`with_id_column`](super::MysqlBuilder::with_id_column),
    /// [`with_expiry_column`](super::MysqlBuilder::with_expiry_column) and
    /// [`with_record_column`](super::MysqlBuilder::with_record_column) are its option
    /// `schema.columnNames`.
    #[default]
    ExpressMysqlSession,
}

/// The largest record that is read. A larger one is taken for malformed, so that
/// nobody's 100 MB row takes the process down.
const MAX_RECORD_BYTES: usize = 64 << 20;

impl MysqlLayout {
    /// Returns what Node calls the column of the id.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::ConnectSessionKnex => "sid",
            Self::ExpressMysqlSession => "session_id",
        }
    }

    /// Returns what Node calls the column of the record.
    pub(super) fn record(self) -> &'static str {
        match self {
            Self::ConnectSessionKnex => "sess",
            Self::ExpressMysqlSession => "data",
        }
    }

    /// Returns what Node calls the column that says when a session expires.
    pub(super) fn expiry(self) -> &'static str {
        match self {
            Self::ConnectSessionKnex => "expired",
            Self::ExpressMysqlSession => "expires",
        }
    }

    /// SQL for the columns of a new table: Node's, with ids compared by `collation`, and an
    /// index that express-mysql-session does without.
    pub(super) fn columns(self, [id, record, expiry]: &[String; 3], collation: &str) -> String {
        let text = "CHARACTER SET utf8mb4 COLLATE";
        match self {
            Self::ConnectSessionKnex => format!(
                "{id} varchar(255) {text} {collation} NOT NULL PRIMARY KEY,
                 {record} longtext {text} utf8mb4_bin NOT NULL, {expiry} datetime NOT NULL,
                 KEY sessions_expired_index ({expiry})"
            ),
            Self::ExpressMysqlSession => format!(
                "{id} varchar(128) {text} {collation} NOT NULL PRIMARY KEY,
                 {expiry} int unsigned NOT NULL, {record} mediumtext {text} utf8mb4_bin,
                 KEY expires ({expiry})"
            ),
        }
    }

    /// Returns an instant, in milliseconds, as the column counts: in seconds, rounded as Node does.
    pub(super) fn seconds(self, millis: i64) -> i64 {
        match self {
            Self::ConnectSessionKnex => millis.div_euclid(1000),
            // `Math.round`
            Self::ExpressMysqlSession => millis.saturating_add(500).div_euclid(1000),
        }
    }

    /// Returns the seconds to write for a session that expires at `expires`.
    pub(super) fn kept(self, expires: i64, now: i64, last: i64) -> i64 {
        let kept = self.seconds(expires);
        // What is dead must not be rounded to life.
        let kept = if expires > now { kept } else { kept.min(self.seconds(now) - 1) };
        kept.clamp(1, last)
    }

    /// Returns the first millisecond at which a session is dead whose row says `kept`. Node
    /// rounds now as it rounded the expiry: that makes up for a second cut short.
    pub(super) fn death(self, kept: i64) -> i64 {
        let after = match self {
            Self::ConnectSessionKnex => 1000,
            Self::ExpressMysqlSession => 500,
        };
        kept.saturating_mul(1000).saturating_add(after)
    }

    /// SQL for the seconds `parameter` as the column keeps them.
    fn written(self, parameter: &str) -> String {
        match self {
            Self::ConnectSessionKnex => {
                format!("(TIMESTAMP('1970-01-01') + INTERVAL {parameter} SECOND)")
            }
            Self::ExpressMysqlSession => parameter.to_owned(),
        }
    }

    /// SQL for a row's expiry in seconds, which the column `expiry` keeps.
    fn read(self, expiry: &str) -> String {
        match self {
            Self::ConnectSessionKnex => format!("TIMESTAMPDIFF(SECOND, '1970-01-01', {expiry})"),
            Self::ExpressMysqlSession => expiry.to_owned(),
        }
    }
}

/// How a column keeps records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Records {
    /// MySQL's `json`: the values, whose text the server writes anew.
    Json,
    /// Text, as it was written.
    Text,
}

/// Makes `name` an SQL identifier, whatever it contains.
pub(super) fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Every statement of one table. Each is one round trip, and a transaction by itself.
///
/// How many rows an `UPDATE` changed depends on the connection's flags and on whether it
/// changed anything. A statement that has done what it should therefore leaves a mark, which
/// comes back with its answer: `LAST_INSERT_ID(1)`.
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) alive: String,
    pub(super) all: String,
    pub(super) clear: String,
    pub(super) destroy: String,
    pub(super) free: String,
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
    pub(super) twin: String,
}

impl Statements {
    /// For the columns of the id, the record and the expiry, which are SQL already.
    pub(super) fn new(
        layout: MysqlLayout,
        [id, record, expiry]: &[String; 3],
        records: Records,
        table: &str,
    ) -> Self {
        let table = quote(table);
        let (expires, now) = (layout.written(":expires"), layout.written(":now"));
        // Node's collations take `a` for `a ` or even for `A`. The first comparison finds the
        // row by its key, the second one makes sure.
        let exact = format!("CAST({id} AS BINARY) = CAST(:id AS BINARY)");
        let mine = format!("{id} = :id AND {exact}");
        let (alive, dead) = (format!("{expiry} >= {now}"), format!("{expiry} < {now}"));
        let (text, unchanged) = match records {
            Records::Json => (
                format!("CAST({record} AS CHAR CHARACTER SET utf8mb4)"),
                format!("{record} = CAST(:known AS JSON)"),
            ),
            Records::Text => (
                record.to_owned(),
                format!("CAST(CONVERT({record} USING utf8mb4) AS BINARY) = CAST(:known AS BINARY)"),
            ),
        };
        let text = format!("IF(LENGTH({record}) <= {MAX_RECORD_BYTES}, {text}, NULL)");
        // The column in it keeps servers from computing the mark before they have found a row.
        let mark = format!("LAST_INSERT_ID(LENGTH({id}) + 1)");
        let unmark = format!("LAST_INSERT_ID(LENGTH({id}) * 0)");
        let set = format!("{record} = IF({mark}, :text, NULL), {expiry} = {expires}");
        let update = format!("UPDATE {table} SET {set} WHERE {mine} AND {alive}");
        let touch = format!(
            "UPDATE {table} SET {expiry} = IF({mark}, {expires}, {expiry}) WHERE {mine} AND {alive}"
        );
        // The record goes first: what is assigned already counts in what is assigned next.
        let insert = |may: &str| {
            format!(
                "INSERT INTO {table} ({id}, {record}, {expiry})
                 VALUES (:id, IF(LAST_INSERT_ID(1), :text, NULL), {expires})
                 ON DUPLICATE KEY UPDATE
                 {record} = IF({may}, VALUES({record}), IF({unmark}, NULL, {record})),
                 {expiry} = IF({may}, VALUES({expiry}), {expiry})"
            )
        };
        let read = layout.read(expiry);
        Self {
            alive: format!("SELECT 1 FROM {table} WHERE {mine} AND {alive}"),
            all: format!(
                "SELECT {id}, {text}, {read} FROM {table} FORCE INDEX (PRIMARY)
                 WHERE {id} >= :id AND NOT ({id} = :id AND :later) AND {alive}
                 ORDER BY {id} LIMIT :limit"
            ),
            clear: format!("DELETE FROM {table}"),
            destroy: format!("DELETE FROM {table} WHERE {mine} AND {alive}"),
            free: format!("DELETE FROM {table} WHERE {mine} AND {dead}"),
            length: format!("SELECT COUNT(*) FROM {table} WHERE {alive}"),
            load: format!("SELECT {text}, {read} FROM {table} WHERE {mine} AND {alive}"),
            purge: format!("DELETE FROM {table} WHERE {dead} ORDER BY {expiry} LIMIT :limit"),
            rotate: format!(
                "UPDATE {table} SET {set}, {id} = :to WHERE {mine} AND {alive} AND {unchanged}"
            ),
            save: insert(&exact),
            save_absent: insert(&format!("{exact} AND {dead}")),
            save_existing: update.clone(),
            save_unchanged: format!("{update} AND {unchanged}"),
            touch: touch.clone(),
            touch_unchanged: format!("{touch} AND {unchanged}"),
            twin: format!("SELECT 1 FROM {table} WHERE {id} = :id AND NOT {exact}"),
        }
    }

    pub(super) fn every(&self) -> [&str; 16] {
        [
            &self.alive,
            &self.all,
            &self.clear,
            &self.destroy,
            &self.free,
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
            &self.twin,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUTS: [MysqlLayout; 2] =
        [MysqlLayout::ConnectSessionKnex, MysqlLayout::ExpressMysqlSession];

    #[test]
    fn seconds_are_rounded_as_node_does() {
        for (millis, knex, express) in [
            (1_893_557_045_678, 1_893_557_045, 1_893_557_046),
            (1_893_557_045_500, 1_893_557_045, 1_893_557_046),
            (1_893_557_045_499, 1_893_557_045, 1_893_557_045),
            (1_893_557_045_000, 1_893_557_045, 1_893_557_045),
        ] {
            assert_eq!(LAYOUTS.map(|layout| layout.seconds(millis)), [knex, express]);
        }
    }

    #[test]
    fn whatever_the_rounding_nobody_dies_early_nor_lives_a_second_longer() {
        let start = 1_893_557_045_000;
        for layout in LAYOUTS {
            for expires in start..start + 2000 {
                let kept = layout.kept(expires, start - 1, i64::from(u32::MAX));
                let death = layout.death(kept);
                assert!((expires + 1..=expires + 1000).contains(&death), "{layout:?} {expires}");
                // As the statements compare: the row says `kept`, and now is rounded.
                assert!(kept >= layout.seconds(death - 1) && kept < layout.seconds(death));
            }
        }
    }

    #[test]
    fn what_is_dead_is_not_rounded_to_life() {
        let start = 1_893_557_045_000;
        for layout in LAYOUTS {
            for now in start..start + 1000 {
                for expires in [now, now - 1, now - 600, 0, -5000] {
                    let kept = layout.kept(expires, now, i64::from(u32::MAX));
                    assert!(kept < layout.seconds(now) && kept > 0, "{layout:?} {expires} {now}");
                }
            }
        }
    }

    #[test]
    fn names_are_quoted_whatever_they_contain() {
        assert_eq!(quote("sessions"), "`sessions`");
        assert_eq!(quote("a`; DROP TABLE b; --"), "`a``; DROP TABLE b; --`");
    }
}
