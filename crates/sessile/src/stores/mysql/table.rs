//! Finds the table of sessions, or creates it.

use mysql_async::{Row, params};
use sessile_core::StoreError;

use super::client::Client;
use super::columns::{Columns, is_same};
use super::layout::{MysqlLayout, Records, quote};

const WHAT: &str = "set up its table";
/// The last second of a `datetime`.
const LAST_OF_DATETIME: i64 = 253_402_300_799;

/// Which table it shall be.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) columns: Columns,
    pub(super) layout: MysqlLayout,
    pub(super) table: String,
}

/// What was found there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// Whether what is acknowledged survives the end of the server.
    pub(super) durable: bool,
    /// Whether ids may have letters beyond ASCII.
    pub(super) any_letters: bool,
    /// The last second that the expiry can say.
    pub(super) last: i64,
    pub(super) max_id_chars: usize,
    pub(super) max_record_bytes: usize,
    pub(super) records: Records,
}

impl Wanted {
    /// Finds the table, or creates it.
    pub(super) async fn ensure(&self, client: &Client) -> Result<Found, StoreError> {
        let columns = self.existing(client).await?;
        let columns = if columns.is_empty() {
            self.create(client).await?;
            self.existing(client).await?
        } else {
            columns
        };
        let found = self.found(&columns)?;
        self.check_indexes(client).await?;
        Ok(Found { durable: self.is_durable(client).await?, ..found })
    }

    async fn create(&self, client: &Client) -> Result<(), StoreError> {
        // MariaDB's and MySQL's names for the same: bytes, blanks at the end included.
        let sql = "SELECT COLLATION_NAME FROM information_schema.COLLATIONS
             WHERE COLLATION_NAME IN ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin')";
        let found = client.query(WHAT, sql, ()).await?.rows;
        let exact = found.first().and_then(|row| text(row, 0));
        let names = self.columns.sql(self.layout);
        let columns = self.layout.columns(&names, exact.as_deref().unwrap_or("utf8mb4_bin"));
        let table = quote(&self.table);
        let sql = format!("CREATE TABLE IF NOT EXISTS {table} ({columns}) ENGINE=InnoDB");
        client.query(WHAT, &sql, ()).await.map(drop)
    }

    async fn existing(&self, client: &Client) -> Result<Vec<Column>, StoreError> {
        let sql = "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_MAXIMUM_LENGTH,
                 CHARACTER_OCTET_LENGTH, CHARACTER_SET_NAME,
                 IS_NULLABLE = 'NO' AND COLUMN_DEFAULT IS NULL AND EXTRA = ''
             FROM information_schema.COLUMNS
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = :table";
        let rows = client.query(WHAT, sql, params! { "table" => &self.table }).await?.rows;
        Ok(rows.iter().filter_map(Column::read).collect())
    }

    /// Tells whether the columns are those of the layout, and what they can keep.
    fn found(&self, columns: &[Column]) -> Result<Found, StoreError> {
        let layout = self.layout;
        let ours = self.columns.names(layout);
        let find = |name: &str| columns.iter().find(|column| is_same(&column.name, name));
        let [Some(id), Some(record), Some(expiry)] = ours.map(find) else {
            let [id, record, expiry] = ours;
            return Err(
                self.wrong(&format!("does not have the columns {id}, {record} and {expiry}"))
            );
        };
        let foreign = |column: &&Column| !ours.iter().any(|name| is_same(&column.name, name));
        if let Some(column) = columns.iter().filter(|column| column.required).find(foreign) {
            return Err(self.wrong(&format!("needs a value for {}", column.name)));
        }
        let typed = |column: &Column| {
            self.wrong(&format!("declares {} as {}", column.name, column.declared))
        };
        let last = match (layout, expiry.kind.as_str(), expiry.declared.contains("unsigned")) {
            (MysqlLayout::ConnectSessionKnex, "datetime", _) => LAST_OF_DATETIME,
            (MysqlLayout::ExpressMysqlSession, "bigint", _) => LAST_OF_DATETIME,
            (MysqlLayout::ExpressMysqlSession, "int", true) => i64::from(u32::MAX),
            (MysqlLayout::ExpressMysqlSession, "int", false) => i64::from(i32::MAX),
            _ => return Err(typed(expiry)),
        };
        let records = match record.kind.as_str() {
            "json" => Records::Json,
            "text" | "mediumtext" | "longtext" | "varchar" => Records::Text,
            _ => return Err(typed(record)),
        };
        if id.kind != "varchar" {
            return Err(typed(id));
        }
        Ok(Found {
            durable: false,
            any_letters: id.charset == "utf8mb4",
            last,
            max_id_chars: id.max_chars,
            max_record_bytes: if records == Records::Json { usize::MAX } else { record.max_bytes },
            records,
        })
    }

    fn wrong(&self, what: &str) -> StoreError {
        let (table, layout) = (&self.table, self.layout);
        StoreError::failed(format!(
            "the table {table:?} {what}, so it is not of the layout {layout:?}"
        ))
    }

    async fn check_indexes(&self, client: &Client) -> Result<(), StoreError> {
        let sql = "SELECT COLUMN_NAME, INDEX_NAME = 'PRIMARY', (SELECT COUNT(*)
                 FROM information_schema.STATISTICS AS other WHERE other.TABLE_SCHEMA = DATABASE()
                 AND other.TABLE_NAME = :table AND other.INDEX_NAME = this.INDEX_NAME)
             FROM information_schema.STATISTICS AS this
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = :table AND SEQ_IN_INDEX = 1";
        let rows = client.query(WHAT, sql, params! { "table" => &self.table }).await?.rows;
        let starts_with =
            |row: &&Row, column: &str| text(row, 0).is_some_and(|name| is_same(&name, column));
        let alone = |row: &Row| number(row, 1) == Some(1) && number(row, 2) == Some(1);
        let [id, _, expiry] = self.columns.names(self.layout);
        if !rows.iter().filter(|row| starts_with(row, id)).any(alone) {
            return Err(self.wrong(&format!("does not say that {id} is its primary key")));
        }
        if !rows.iter().any(|row| starts_with(&row, expiry)) {
            let [_, _, expiry] = self.columns.sql(self.layout);
            // Not ours to make: it would hold up everybody's saves while it is built.
            tracing::warn!(
                table = self.table,
                "no index over the expiry: each removal of expired sessions reads the whole table; \
                 ALTER TABLE … ADD INDEX ({expiry}) makes one"
            );
        }
        Ok(())
    }

    async fn is_durable(&self, client: &Client) -> Result<bool, StoreError> {
        let sql = "SELECT @@autocommit, ENGINE = 'InnoDB' AND @@innodb_flush_log_at_trx_commit <> 0
             FROM information_schema.TABLES
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = :table";
        let rows = client.query(WHAT, sql, params! { "table" => &self.table }).await?.rows;
        let Some(row) = rows.first() else { return Ok(false) };
        if number(row, 0) == Some(0) {
            return Err(StoreError::failed(
                "these connections do not commit: set autocommit = 1 for them",
            ));
        }
        Ok(number(row, 1) == Some(1))
    }
}

#[derive(Debug)]
struct Column {
    charset: String,
    declared: String,
    kind: String,
    max_bytes: usize,
    max_chars: usize,
    name: String,
    /// Every insert must give it a value.
    required: bool,
}

impl Column {
    fn read(row: &Row) -> Option<Self> {
        let size = |column| {
            number(row, column).and_then(|size| usize::try_from(size).ok()).unwrap_or_default()
        };
        Some(Self {
            name: text(row, 0)?,
            kind: text(row, 1)?.to_ascii_lowercase(),
            declared: text(row, 2)?.to_ascii_lowercase(),
            max_chars: size(3),
            max_bytes: size(4),
            charset: text(row, 5).unwrap_or_default(),
            required: number(row, 6) == Some(1),
        })
    }
}

fn text(row: &Row, column: usize) -> Option<String> {
    row.get_opt::<Option<String>, _>(column)?.ok()?
}

fn number(row: &Row, column: usize) -> Option<i64> {
    row.get_opt::<Option<i64>, _>(column)?.ok()?
}
