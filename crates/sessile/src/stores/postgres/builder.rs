//! Reaches the database: where it is, how it is set up, whether the table fits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{ManagerConfig, Pool, RecyclingMethod, Runtime};
use sessile_core::{Clock, StoreError, SystemClock};
use tokio_postgres::Config;

use super::client::Client;
use super::columns::IdColumn;
use super::layout::{PostgresLayout, Statements};
use super::table::Wanted;
use super::tls::Tls;
use super::{Inner, PostgresStore};
use crate::stores::sweep::Sweeper;

/// What the Node stores give a session whose cookie has no expiry.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(86_400);
const SWEEP_EVERY: Duration = Duration::from_secs(300);
const MAX_CONNECTIONS: usize = 16;
/// How long a server may take to let somebody in.
const LET_IN: Duration = Duration::from_secs(10);
/// How long it may take until the table is found or made.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens a [`PostgresStore`] that differs from the default.
#[allow(unnameable_types, reason = "a builder is chained, not named")]
#[must_use = "nothing opens before `connect`"]
pub struct PostgresBuilder {
    clock: Arc<dyn Clock>,
    default_lifetime: Duration,
    id: IdColumn,
    layout: PostgresLayout,
    max_connections: usize,
    schema: Option<String>,
    source: Source,
    sweep_every: Duration,
    table: Option<String>,
    time_zone: Option<String>,
    pub(super) tls: Tls,
    unlogged: bool,
}

/// Where the sessions are.
enum Source {
    Pool(Pool),
    Url(String),
}

impl PostgresBuilder {
    pub(super) fn from_url(url: &str) -> Self {
        Self::new(Source::Url(url.to_owned()))
    }

    pub(super) fn from_pool(pool: Pool) -> Self {
        Self::new(Source::Pool(pool))
    }

    fn new(source: Source) -> Self {
        Self {
            clock: Arc::new(SystemClock),
            default_lifetime: DEFAULT_LIFETIME,
            id: IdColumn::default(),
            layout: PostgresLayout::default(),
            max_connections: MAX_CONNECTIONS,
            schema: None,
            source,
            sweep_every: SWEEP_EVERY,
            table: None,
            time_zone: None,
            tls: Tls::default(),
            unlogged: false,
        }
    }

    /// Sets the name of the table, without its schema. The default is the layout's:
    /// `session` or `sessions`. Mirrors `tableName`.
    ///
    /// ```
    /// # use sessile::stores::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/app").with_table("web sessions");
    /// assert!(format!("{builder:?}").contains("web sessions"));
    /// ```
    pub fn with_table(mut self, name: impl Into<String>) -> Self {
        self.table = Some(name.into());
        self
    }

    /// Sets the schema of the table, which must exist. The default is the first of the
    /// connection's `search_path`. Mirrors `schemaName`.
    ///
    /// ```
    /// # use sessile::stores::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/app").with_schema("web");
    /// assert!(format!("{builder:?}").contains("web"));
    /// ```
    pub fn with_schema(mut self, name: impl Into<String>) -> Self {
        self.schema = Some(name.into());
        self
    }

    /// Sets which Node package's table it is. The default is `connect-pg-simple`'s.
    ///
    /// ```
    /// # use sessile::stores::{PostgresLayout, PostgresStore};
    /// let builder = PostgresStore::builder("postgres://localhost/app")
    ///     .with_layout(PostgresLayout::ConnectSessionKnex);
    /// assert!(format!("{builder:?}").contains("Knex"));
    /// ```
    pub fn with_layout(mut self, layout: PostgresLayout) -> Self {
        self.layout = layout;
        self
    }

    /// Sets what `connect-session-knex` calls the column of the id. The default is `sid`.
    /// Mirrors `sidFieldName`.
    ///
    /// The name is quoted, so it may be a word of SQL and have any letter in it. Node does not
    /// quote it when it saves: a capital letter in it, or a word of SQL, fails there.
    ///
    /// # Errors
    ///
    /// [`connect`](Self::connect) fails if no column can have such a name, if another column
    /// has it, or with [`PostgresLayout::ConnectPgSimple`], where it is always `sid`.
    ///
    /// ```
    /// # use sessile::stores::{PostgresLayout, PostgresStore};
    /// // new ConnectSessionKnexStore({ knex, sidFieldName: 'token' })
    /// let builder = PostgresStore::builder("postgres://localhost/app")
    ///     .with_layout(PostgresLayout::ConnectSessionKnex)
    ///     .with_id_column("token");
    /// assert!(format!("{builder:?}").contains("token"));
    /// ```
    pub fn with_id_column(mut self, name: impl Into<String>) -> Self {
        self.id = IdColumn::new(name.into());
        self
    }

    /// Sets how long a session lives whose cookie has no expiry. The default is a
    /// day, as in Node. Mirrors `ttl`.
    ///
    /// ```
    /// # use sessile::stores::PostgresStore;
    /// # use std::time::Duration;
    /// let week = Duration::from_secs(7 * 86_400);
    /// let builder = PostgresStore::builder("postgres://localhost/app").with_default_lifetime(week);
    /// assert!(format!("{builder:?}").contains("604800s"));
    /// ```
    pub fn with_default_lifetime(mut self, lifetime: Duration) -> Self {
        self.default_lifetime = lifetime;
        self
    }

    /// Sets how many connections it opens at most. The default is 16. A pool that is
    /// handed in keeps its own limit.
    ///
    /// ```
    /// # use sessile::stores::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/app").with_max_connections(4);
    /// assert!(format!("{builder:?}").contains("max_connections: 4"));
    /// ```
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets about how often expired sessions are removed. The default is every five
    /// minutes; nobody sees an expired session in between. Mirrors `pruneSessionInterval`.
    ///
    /// ```
    /// # use sessile::stores::PostgresStore;
    /// # use std::time::Duration;
    /// let builder = PostgresStore::builder("postgres://localhost/app")
    ///     .with_sweep_every(Duration::from_secs(60));
    /// assert!(format!("{builder:?}").contains("60s"));
    /// ```
    pub fn with_sweep_every(mut self, every: Duration) -> Self {
        self.sweep_every = every;
        self
    }

    /// Names the time zone that `connect-pg-simple`'s `timestamp` column is in, such as
    /// `America/New_York`. The default is that of the connection, which is right as long
    /// as Node and this process get the same one from the server; see
    /// [the docs of the store](PostgresStore#time-zones).
    ///
    /// ```
    /// # use sessile::stores::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/app").with_time_zone("UTC");
    /// assert!(format!("{builder:?}").contains("UTC"));
    /// ```
    pub fn with_time_zone(mut self, zone: impl Into<String>) -> Self {
        self.time_zone = Some(zone.into());
        self
    }

    /// Creates the table `UNLOGGED`, if it is missing: saves skip the write-ahead log and
    /// are quicker. A crash of the server then logs everybody out, and replicas have no
    /// sessions. A table that exists stays what it is.
    ///
    /// ```
    /// # use sessile::stores::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/app").with_unlogged();
    /// assert!(format!("{builder:?}").contains("unlogged: true"));
    /// ```
    pub fn with_unlogged(mut self) -> Self {
        self.unlogged = true;
        self
    }

    /// Sets the clock that decides what has expired: for tests that move it.
    ///
    /// ```
    /// # use sessile::stores::PostgresStore;
    /// use sessile::SystemClock;
    /// use std::sync::Arc;
    ///
    /// let builder =
    ///     PostgresStore::builder("postgres://localhost/app").with_clock(Arc::new(SystemClock));
    /// assert!(format!("{builder:?}").contains("SystemClock"));
    /// ```
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Reaches the database, and creates the table and its index if they are missing.
    ///
    /// # Errors
    ///
    /// If the URL is none, if the id's column has no name or one that this layout cannot have, if
    /// the server cannot be reached or does not let us in, or if the table has other columns.
    ///
    /// ```
    /// # use sessile::stores::PostgresStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = PostgresStore::builder("mysql://db").connect().await.unwrap_err();
    /// assert!(error.to_string().starts_with("a postgres url is postgres://user:password@host"));
    /// # }
    /// ```
    pub async fn connect(self) -> Result<PostgresStore, StoreError> {
        self.id.check(self.layout)?;
        let pool = match self.source {
            Source::Pool(pool) => pool,
            Source::Url(url) => pool(&url, self.max_connections, &self.tls)?,
        };
        let client = Client::new(pool);
        let wanted = Wanted {
            id: self.id,
            layout: self.layout,
            schema: self.schema,
            table: self.table.unwrap_or_else(|| self.layout.table().to_owned()),
            time_zone: self.time_zone,
            unlogged: self.unlogged,
        };
        let ready = async {
            let found = wanted.ensure(&client).await?;
            let statements = Statements::new(&found.shape);
            client.prepare("prepare its statements", &statements.every()).await?;
            Ok((found, statements))
        };
        let (found, statements) = tokio::time::timeout(PATIENCE, ready)
            .await
            .map_err(|_| StoreError::timed_out("postgres took too long to set up its table"))??;
        Ok(PostgresStore::new(Inner {
            client,
            clock: self.clock,
            default_lifetime: self.default_lifetime,
            durable: found.durable,
            layout: wanted.layout,
            statements,
            sweep_every: self.sweep_every,
            sweeper: Sweeper::default(),
            table: wanted.table,
        }))
    }
}

impl fmt::Debug for PostgresBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresBuilder")
            .field("clock", &self.clock)
            .field("default_lifetime", &self.default_lifetime)
            .field("id", &self.id)
            .field("layout", &self.layout)
            .field("max_connections", &self.max_connections)
            .field("schema", &self.schema)
            .field("sweep_every", &self.sweep_every)
            .field("table", &self.table)
            .field("time_zone", &self.time_zone)
            .field("unlogged", &self.unlogged)
            .finish_non_exhaustive()
    }
}

fn pool(url: &str, max_connections: usize, tls: &Tls) -> Result<Pool, StoreError> {
    let config = parse(url)?;
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    Pool::builder(tls.manager(config, manager)?)
        .max_size(max_connections.max(1))
        .create_timeout(Some(LET_IN))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| {
            StoreError::failed("no pool for postgres could be made").with_source(error)
        })
}

/// Reads an URL. What is wrong with it is not quoted: it holds a password.
fn parse(url: &str) -> Result<Config, StoreError> {
    let wrong = || {
        StoreError::failed(
            "a postgres url is postgres://user:password@host:5432/database, with libpq's \
             parameters behind it, like ?connect_timeout=5",
        )
    };
    let (scheme, _) = url.split_once("://").ok_or_else(wrong)?;
    if !["postgres", "postgresql"].contains(&scheme) {
        return Err(wrong());
    }
    let mut config: Config = url.parse().map_err(|_| wrong())?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(wrong());
    }
    if config.get_application_name().is_none() {
        config.application_name("sessile");
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_url_is_read_as_libpq_reads_it() {
        let config = parse("postgresql://me:p%40ss@db.example.com:6432/app?connect_timeout=5");
        let config = config.unwrap();
        assert_eq!(config.get_user(), Some("me"));
        assert_eq!(config.get_password(), Some(&b"p@ss"[..]));
        assert_eq!((config.get_dbname(), config.get_ports()), (Some("app"), &[6432][..]));
        assert_eq!(config.get_application_name(), Some("sessile"));
        #[cfg(unix)]
        assert!(parse("postgres:///app?host=/var/run/postgresql").is_ok());
    }

    #[test]
    fn a_wrong_url_says_so_and_keeps_its_password() {
        for url in
            ["", "db", "postgres:", "postgres://", "mysql://h", "postgres://me:hunter2@h?x=y"]
        {
            let error = parse(url).unwrap_err();
            assert!(error.to_string().starts_with("a postgres url"), "{url}: {error}");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }
}
