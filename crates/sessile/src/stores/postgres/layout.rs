//! The tables that Node's PostgreSQL stores keep, and the SQL that reads and writes them.

/// Which Node package's table holds the sessions.
///
/// ```no_run
/// use sessile::stores::{PostgresLayout, PostgresStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sessile::StoreError> {
/// let store = PostgresStore::builder("postgres://localhost/app")
///     .with_layout(PostgresLayout::ConnectSessionKnex)
///     .connect()
///     .await?;
/// # drop(store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PostgresLayout {
    /// `connect-pg-simple`: table `session`, columns `sid`, `sess`, `expire`; whole seconds.
    #[default]
    ConnectPgSimple,
    /// `connect-session-knex`: table `sessions`, columns `sid`, `sess`, `expired`; milliseconds.
    /// [`with_id_column`](super::PostgresBuilder::with_id_column) is its option `sidFieldName`.
    ConnectSessionKnex,
}

/// The largest record that is read. A larger one is taken for malformed, so that
/// nobody's 100 MB row takes the process down.
const MAX_RECORD_BYTES: usize = 64 << 20;

impl PostgresLayout {
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::ConnectPgSimple => "session",
            Self::ConnectSessionKnex => "sessions",
        }
    }

    /// Returns the column that says when a session expires.
    pub(super) fn expiry(self) -> &'static str {
        match self {
            Self::ConnectPgSimple => "expire",
            Self::ConnectSessionKnex => "expired",
        }
    }

    /// SQL for the columns of a new table, as Node creates it, with an id called `id`.
    pub(super) fn columns(self, id: &str) -> String {
        let id = quote(id);
        match self {
            Self::ConnectPgSimple => format!(
                r#"{id} varchar NOT NULL COLLATE "default" PRIMARY KEY,
                   "sess" json NOT NULL, "expire" timestamp(6) NOT NULL"#
            ),
            Self::ConnectSessionKnex => format!(
                r#"{id} varchar(255) PRIMARY KEY, "sess" json NOT NULL, "expired" timestamptz NOT NULL"#
            ),
        }
    }

    /// Returns the name Node gives the index over the expiry.
    pub(super) fn index(self, table: &str) -> String {
        match self {
            Self::ConnectPgSimple => format!("IDX_{table}_expire"),
            Self::ConnectSessionKnex => format!("{table}_expired_index"),
        }
    }

    /// Returns `expires` as the column keeps it, in milliseconds.
    pub(super) fn rounded(self, expires: i64, now: i64) -> i64 {
        match self {
            // Node rounds up to whole seconds, but what is dead must not live up to then.
            Self::ConnectPgSimple if expires > now => -(-expires).div_euclid(1000) * 1000,
            Self::ConnectPgSimple | Self::ConnectSessionKnex => expires,
        }
    }
}

/// How a column keeps records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Records {
    /// `json`: the text as it was written.
    Json,
    /// `jsonb`: the values, whose text the server writes anew.
    Jsonb,
    /// `text` or `varchar`.
    Text,
}

/// How a column keeps expiries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Expiries {
    /// `timestamptz`: an instant.
    Instant,
    /// `timestamp`: what a clock on the wall shows, in the connection's time zone or the one named.
    Wall { zone: Option<String> },
}

/// What the statements of one table depend on.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) expiries: Expiries,
    /// The column of the id, as SQL.
    pub(super) id: String,
    pub(super) layout: PostgresLayout,
    pub(super) records: Records,
    /// The table's quoted name, with its schema.
    pub(super) table: String,
}

impl Shape {
    /// SQL for the instant at which a row expires.
    fn instant(&self) -> String {
        let expiry = self.layout.expiry();
        match &self.expiries {
            Expiries::Instant => format!("t.{expiry}"),
            Expiries::Wall { zone: None } => format!("t.{expiry}::timestamptz"),
            Expiries::Wall { zone: Some(zone) } => {
                format!("(t.{expiry} AT TIME ZONE {})", literal(zone))
            }
        }
    }

    /// SQL for the instant `parameter` as the column keeps it.
    fn kept(&self, parameter: &str) -> String {
        match &self.expiries {
            Expiries::Instant | Expiries::Wall { zone: None } => {
                format!("{parameter}::timestamptz")
            }
            Expiries::Wall { zone: Some(zone) } => {
                format!("({parameter}::timestamptz AT TIME ZONE {})", literal(zone))
            }
        }
    }

    /// SQL for the record `parameter` as the column keeps it.
    fn record(&self, parameter: &str) -> String {
        match self.records {
            Records::Json => format!("{parameter}::text::json"),
            Records::Jsonb => format!("{parameter}::text::jsonb"),
            Records::Text => format!("{parameter}::text"),
        }
    }

    /// SQL that is true if the row still holds the record `parameter`.
    fn unchanged(&self, parameter: &str) -> String {
        match self.records {
            Records::Json | Records::Text => {
                format!(r#"t.sess::text COLLATE "C" = {parameter}::text"#)
            }
            Records::Jsonb => format!("t.sess = {parameter}::text::jsonb"),
        }
    }
}

/// Makes `name` an SQL identifier, whatever it contains.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Every statement of one table.
///
/// Each is one round trip, and a transaction by itself. Their parameters stand in
/// this order, as far as they have them: the id, now, the expiry, the record, the
/// record it replaces, the new id.
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
}

impl Statements {
    pub(super) fn new(shape: &Shape) -> Self {
        let (table, id) = (&shape.table, &shape.id);
        let (expiry, instant) = (shape.layout.expiry(), shape.instant());
        let alive = |now: &str| format!("{instant} > {now}::timestamptz");
        // Compared as the column keeps it, so that the index serves; the instant makes sure.
        let expired =
            format!("t.{expiry} <= {} AND {instant} <= $1::timestamptz", shape.kept("$1"));
        let text = format!(
            "CASE WHEN octet_length(t.sess::text) <= {MAX_RECORD_BYTES} THEN t.sess::text END"
        );
        let set = format!("{expiry} = {}, sess = {}", shape.kept("$3"), shape.record("$4"));
        let update = format!("UPDATE {table} AS t SET {set} WHERE t.{id} = $1 AND {}", alive("$2"));
        let touch = format!(
            "UPDATE {table} AS t SET {expiry} = {} WHERE t.{id} = $1 AND {}",
            shape.kept("$3"),
            alive("$2")
        );
        let insert = |expires: &str, record: &str| {
            format!(
                "INSERT INTO {table} AS t ({id}, {expiry}, sess) VALUES ($1, {}, {})
                 ON CONFLICT ({id}) DO UPDATE SET {expiry} = excluded.{expiry}, sess = excluded.sess",
                shape.kept(expires),
                shape.record(record)
            )
        };
        Self {
            alive: format!("SELECT 1 FROM {table} AS t WHERE t.{id} = $1 AND {}", alive("$2")),
            all: format!(
                "SELECT t.{id}, {text}, {instant} FROM {table} AS t
                 WHERE t.{id} >= $1 AND {} AND t.{id} IS DISTINCT FROM $3 ORDER BY t.{id} LIMIT $4",
                alive("$2")
            ),
            clear: format!("DELETE FROM {table}"),
            destroy: format!(
                "DELETE FROM {table} AS t WHERE t.{id} = $1 RETURNING {}",
                alive("$2")
            ),
            free: format!(
                "DELETE FROM {table} AS t WHERE t.{id} = $1 AND NOT {} RETURNING 1",
                alive("$2")
            ),
            length: format!("SELECT count(*) FROM {table} AS t WHERE {}", alive("$1")),
            load: format!(
                "SELECT {text}, {instant} FROM {table} AS t WHERE t.{id} = $1 AND {}",
                alive("$2")
            ),
            // Whoever holds a row is about to save or to purge it.
            purge: format!(
                "WITH gone AS (DELETE FROM {table} AS t WHERE t.ctid = ANY (ARRAY(
                     SELECT t.ctid FROM {table} AS t WHERE {expired}
                     ORDER BY t.{expiry} LIMIT $2 FOR UPDATE SKIP LOCKED
                 )) AND {expired} RETURNING 1) SELECT count(*) FROM gone"
            ),
            rotate: format!(
                "UPDATE {table} AS t SET {id} = $6, {set}
                 WHERE t.{id} = $1 AND {} AND {} RETURNING 1",
                alive("$2"),
                shape.unchanged("$5")
            ),
            save: format!("{} RETURNING 1", insert("$2", "$3")),
            save_absent: format!("{} WHERE NOT {} RETURNING 1", insert("$3", "$4"), alive("$2")),
            save_existing: format!("{update} RETURNING 1"),
            save_unchanged: format!("{update} AND {} RETURNING 1", shape.unchanged("$5")),
            touch: format!("{touch} RETURNING 1"),
            touch_unchanged: format!("{touch} AND {} RETURNING 1", shape.unchanged("$4")),
        }
    }

    pub(super) fn every(&self) -> [&str; 15] {
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
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_up_as_node_does_but_the_dead_stay_dead() {
        let (simple, knex) = (PostgresLayout::ConnectPgSimple, PostgresLayout::ConnectSessionKnex);
        for (expires, now, kept) in [
            (1_893_557_045_678, 0, 1_893_557_046_000),
            (1_893_557_045_001, 0, 1_893_557_046_000),
            (1_893_557_045_000, 0, 1_893_557_045_000),
            (1_500, 1_500, 1_500),
            (1_500, 1_499, 2_000),
            (-1_500, 0, -1_500),
        ] {
            assert_eq!(simple.rounded(expires, now), kept, "{expires} at {now}");
            assert_eq!(knex.rounded(expires, now), expires);
        }
    }

    #[test]
    fn names_are_quoted_whatever_they_contain() {
        assert_eq!(quote("session"), r#""session""#);
        assert_eq!(quote(r#"a"; DROP TABLE b; --"#), r#""a""; DROP TABLE b; --""#);
        assert_eq!(literal("O'Higgins"), "'O''Higgins'");
    }
}
