//! Finds the table of sessions, or creates it.

use deadpool_postgres::GenericClient;
use sessile_core::StoreError;
use tokio_postgres::error::SqlState;

use super::client::{Client, failure};
use super::columns::IdColumn;
use super::layout::{Expiries, PostgresLayout, Records, Shape, quote};
use super::lease::Lease;

/// How often processes that start at once, other programs' too, get in each other's way.
const TRIES: u32 = 10;
const WHAT: &str = "set up its table";

/// Which table it shall be.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) id: IdColumn,
    pub(super) layout: PostgresLayout,
    pub(super) schema: Option<String>,
    pub(super) table: String,
    pub(super) time_zone: Option<String>,
    pub(super) unlogged: bool,
}

/// What was found there.
#[derive(Debug)]
pub(super) struct Found {
    /// Whether what is acknowledged survives the end of the server.
    pub(super) durable: bool,
    pub(super) shape: Shape,
}

impl Wanted {
    /// Returns the table's quoted name.
    fn name(&self) -> String {
        let table = quote(&self.table);
        self.schema.as_ref().map_or(table.clone(), |schema| format!("{}.{table}", quote(schema)))
    }

    /// Finds the table, or creates it.
    pub(super) async fn ensure(&self, client: &Client) -> Result<Found, StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut lease = client.lease(WHAT).await?;
            match self.try_ensure(&mut lease).await {
                Ok(columns) => {
                    let found = self.found(&columns)?;
                    self.check_indexes(&lease).await?;
                    lease.give_back();
                    return Ok(found);
                }
                Err(error) if tries < TRIES && somebody_was_first(&error) => lease.give_back(),
                Err(error) => return Err(failure(WHAT, error)),
            }
        }
    }

    async fn try_ensure(&self, lease: &mut Lease) -> Result<Vec<Column>, tokio_postgres::Error> {
        let columns = self.columns(lease.client()).await?;
        if !columns.is_empty() {
            return Ok(columns);
        }
        let transaction = lease.client_mut().transaction().await?;
        // `IF NOT EXISTS` is no help: two at once pass it and collide in the catalog.
        let lock = "SELECT pg_advisory_xact_lock(hashtext('sessile'), hashtext($1))";
        transaction.query(lock, &[&self.name()]).await?;
        if self.columns(&transaction).await?.is_empty() {
            transaction.batch_execute(&self.create()).await?;
        }
        transaction.commit().await?;
        self.columns(lease.client()).await
    }

    fn create(&self) -> String {
        let (name, layout) = (self.name(), self.layout);
        let unlogged = if self.unlogged { "UNLOGGED" } else { "" };
        let index = quote(&layout.index(&self.table));
        let (columns, expiry) = (layout.columns(self.id.name()), layout.expiry());
        format!(
            "CREATE {unlogged} TABLE {name} ({columns}); CREATE INDEX {index} ON {name} ({expiry})"
        )
    }

    async fn columns(
        &self,
        client: &impl GenericClient,
    ) -> Result<Vec<Column>, tokio_postgres::Error> {
        let rows = client
            .query(
                "SELECT a.attname::text, y.typname::text,
                     a.attnotnull AND NOT a.atthasdef AND a.attidentity = '',
                     c.relpersistence <> 'u' AND current_setting('synchronous_commit') <> 'off'
                 FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
                 JOIN pg_type AS y ON y.oid = a.atttypid
                 WHERE c.oid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped",
                &[&self.name()],
            )
            .await?;
        let column = |row: &tokio_postgres::Row| {
            Ok(Column {
                name: row.try_get(0)?,
                kind: row.try_get(1)?,
                required: row.try_get(2)?,
                durable: row.try_get(3)?,
            })
        };
        rows.iter().map(column).collect()
    }

    /// Tells whether the columns are those of the layout, and how they keep what they keep.
    fn found(&self, columns: &[Column]) -> Result<Found, StoreError> {
        let (id, expiry) = (self.id.name(), self.layout.expiry());
        let kind = |name: &str| columns.iter().find(|column| column.name == name);
        let Some(((sid, sess), expires)) = kind(id).zip(kind("sess")).zip(kind(expiry)) else {
            return Err(self.wrong(&format!("does not have the columns {id}, sess and {expiry}")));
        };
        let ours = [id, "sess", expiry];
        if let Some(column) = columns.iter().find(|c| c.required && !ours.contains(&&*c.name)) {
            return Err(self.wrong(&format!("needs a value for {}", column.name)));
        }
        let typed =
            |column: &Column| self.wrong(&format!("declares {} as {}", column.name, column.kind));
        let expiries = match expires.kind.as_str() {
            "timestamp" => Expiries::Wall { zone: self.time_zone.clone() },
            "timestamptz" => Expiries::Instant,
            _ => return Err(typed(expires)),
        };
        let records = match sess.kind.as_str() {
            "json" => Records::Json,
            "jsonb" => Records::Jsonb,
            "text" | "varchar" => Records::Text,
            _ => return Err(typed(sess)),
        };
        // `char` forgets the blanks at the end of an id.
        if !["text", "varchar"].contains(&sid.kind.as_str()) {
            return Err(typed(sid));
        }
        let (id, layout, table) = (self.id.sql(), self.layout, self.name());
        let shape = Shape { expiries, id, layout, records, table };
        Ok(Found { durable: columns.iter().all(|column| column.durable), shape })
    }

    fn wrong(&self, what: &str) -> StoreError {
        let (table, layout) = (&self.table, self.layout);
        StoreError::failed(format!(
            "the table {table:?} {what}, so it is not of the layout {layout:?}"
        ))
    }

    async fn check_indexes(&self, lease: &Lease) -> Result<(), StoreError> {
        let sql = "SELECT i.indisunique AND i.indnkeyatts = 1, a.attname::text FROM pg_index AS i
             JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
             WHERE i.indrelid = to_regclass($1) AND i.indpred IS NULL AND i.indisvalid";
        let rows = lease.client().query(sql, &[&self.name()]).await;
        let rows = rows.map_err(|error| failure(WHAT, error))?;
        let has = |unique: bool, column: &str| {
            rows.iter().any(|row| {
                let is_unique = row.try_get::<_, bool>(0).unwrap_or_default();
                let name = row.try_get::<_, String>(1).unwrap_or_default();
                name == column && (is_unique || !unique)
            })
        };
        let id = self.id.name();
        if !has(true, id) {
            return Err(self.wrong(&format!("does not say that {id} is its primary key")));
        }
        let expiry = self.layout.expiry();
        if !has(false, expiry) {
            // Not ours to make: it would hold up everybody's saves while it is built.
            tracing::warn!(
                table = self.table,
                "no index over the expiry: each removal of expired sessions reads the whole table; \
                 CREATE INDEX CONCURRENTLY over the column {expiry} makes one"
            );
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Column {
    name: String,
    kind: String,
    /// Every insert must give it a value.
    required: bool,
    /// Of the table, not the column.
    durable: bool,
}

/// Tells whether another program created the table meanwhile, one that does not wait for us.
fn somebody_was_first(error: &tokio_postgres::Error) -> bool {
    let codes = [SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_OBJECT, SqlState::UNIQUE_VIOLATION];
    error.code().is_some_and(|code| codes.contains(code))
}
