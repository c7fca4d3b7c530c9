//! Reaches the database: where it is, how it is set up, whether the table fits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::{Opts, Pool, PoolConstraints, PoolOpts, UrlError};
use sessile_core::{Clock, StoreError, SystemClock};

use super::client::Client;
use super::columns::Columns;
use super::layout::{MysqlLayout, Statements};
use super::table::Wanted;
use super::tls::Tls;
use super::{Inner, MysqlStore};
use crate::stores::sweep::Sweeper;

/// What the Node stores give a session whose cookie has no expiry.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(86_400);
const TABLE: &str = "sessions";
const SWEEP_EVERY: Duration = Duration::from_secs(300);
const MAX_CONNECTIONS: usize = 16;
/// How long it may take until the table is found or made.
const PATIENCE: Duration = Duration::from_secs(60);

const NO_TLS: &str = "this url asks for TLS, which takes the feature `mysql-tls` of the crate \
     sessile, or a pool with TLS of your own and MysqlStore::from_pool";

/// Opens a [`MysqlStore`] that differs from the default.
#[allow(unnameable_types, reason = "a builder is chained, not named")]
#[must_use = "nothing opens before `connect`"]
pub struct MysqlBuilder {
    clock: Arc<dyn Clock>,
    columns: Columns,
    default_lifetime: Duration,
    layout: MysqlLayout,
    max_connections: usize,
    source: Source,
    sweep_every: Duration,
    table: Option<String>,
    pub(super) tls: Tls,
}

/// Where the sessions are.
enum Source {
    Pool(Pool),
    Url(String),
}

impl MysqlBuilder {
    pub(super) fn from_url(url: &str) -> Self {
        Self::new(Source::Url(url.to_owned()))
    }

    pub(super) fn from_pool(pool: Pool) -> Self {
        Self::new(Source::Pool(pool))
    }

    fn new(source: Source) -> Self {
        Self {
            clock: Arc::new(SystemClock),
            columns: Columns::default(),
            default_lifetime: DEFAULT_LIFETIME,
            layout: MysqlLayout::default(),
            max_connections: MAX_CONNECTIONS,
            source,
            sweep_every: SWEEP_EVERY,
            table: None,
            tls: Tls::default(),
        }
    }

    /// Sets the name of the table. The default is `sessions`, as in Node. Mirrors
    /// `schema.tableName`.
    ///
    /// ```
    /// # use sessile::stores::MysqlStore;
    /// let builder = MysqlStore::builder("mysql://localhost/app").with_table("web sessions");
    /// assert!(format!("{builder:?}").contains("web sessions"));
    /// ```
    pub fn with_table(mut self, name: impl Into<String>) -> Self {
        self.table = Some(name.into());
        self
    }

    /// Sets which Node package's table it is. The default is
    /// `express-mysql-session`'s.
    ///
    /// ```
    /// # use sessile::stores::{MysqlLayout, MysqlStore};
    /// let builder = MysqlStore::builder("mysql://localhost/app")
    ///     .with_layout(MysqlLayout::ConnectSessionKnex);
    /// assert!(format!("{builder:?}").contains("Knex"));
    /// ```
    pub fn with_layout(mut self, layout: MysqlLayout) -> Self {
        self.layout = layout;
        self
    }

    /// Sets what the column of the id is called, in either layout. The default is
    /// `session_id`, or `sid` in `connect-session-knex`'s table. Mirrors
    /// `schema.columnNames.session_id`, and knex's `sidFieldName`.
    ///
    /// Any name is quoted, so it may be a word of SQL and have any letter in it.
    ///
    /// # Errors
    ///
    /// [`connect`](Self::connect) fails if no column can have such a name, or if another
    /// column has it.
    ///
    /// ```
    /// # use sessile::stores::{MysqlLayout, MysqlStore};
    /// // new ConnectSessionKnexStore({ knex, sidFieldName: 'key' })
    /// let builder = MysqlStore::builder("mysql://localhost/app")
    ///     .with_layout(MysqlLayout::ConnectSessionKnex)
    ///     .with_id_column("key");
    /// assert!(format!("{builder:?}").contains("key"));
    /// ```
    pub fn with_id_column(mut self, name: impl Into<String>) -> Self {
        self.columns.id = Some(name.into());
        self
    }

    /// Sets what `express-mysql-session` calls the column of the expiry. The default is
    /// `expires`. Mirrors `schema.columnNames.expires`.
    ///
    /// # Errors
    ///
    /// [`connect`](Self::connect) fails if no column can have such a name, if another column
    /// has it, or with [`MysqlLayout::ConnectSessionKnex`], where it is always `expired`.
    ///
    /// ```
    /// # use sessile::stores::MysqlStore;
    /// // new MySQLStore({ schema: { columnNames: {
    /// //     session_id: 'token', expires: 'valid_until', data: 'body',
    /// // } } })
    /// let builder = MysqlStore::builder("mysql://localhost/app")
    ///     .with_id_column("token")
    ///     .with_expiry_column("valid_until")
    ///     .with_record_column("body");
    /// assert!(format!("{builder:?}").contains("valid_until"));
    /// ```
    pub fn with_expiry_column(mut self, name: impl Into<String>) -> Self {
        self.columns.expiry = Some(name.into());
        self
    }

    /// Sets what `express-mysql-session` calls the column of the record. The default is
    /// `data`. Mirrors `schema.columnNames.data`.
    ///
    /// # Errors
    ///
    /// [`connect`](Self::connect) fails if no column can have such a name, if another column
    /// has it, or with [`MysqlLayout::ConnectSessionKnex`], where it is always `sess`.
    ///
    /// ```
    /// # use sessile::stores::MysqlStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let builder = MysqlStore::builder("mysql://localhost/app").with_record_column("expires");
    /// let error = builder.connect().await.unwrap_err();
    /// assert!(error.to_string().ends_with("need a name each that no other has"));
    /// # }
    /// ```
    pub fn with_record_column(mut self, name: impl Into<String>) -> Self {
        self.columns.record = Some(name.into());
        self
    }

    /// Sets how long a session lives whose cookie has no expiry. The default is a
    /// day, as in Node. Mirrors `expiration`.
    ///
    /// ```
    /// # use sessile::stores::MysqlStore;
    /// # use std::time::Duration;
    /// let week = Duration::from_secs(7 * 86_400);
    /// let builder = MysqlStore::builder("mysql://localhost/app").with_default_lifetime(week);
    /// assert!(format!("{builder:?}").contains("604800s"));
    /// ```
    pub fn with_default_lifetime(mut self, lifetime: Duration) -> Self {
        self.default_lifetime = lifetime;
        self
    }

    /// Sets how many connections it opens at most. The default is 16. A pool that is
    /// handed in keeps its own limit. Mirrors `connectionLimit`.
    ///
    /// ```
    /// # use sessile::stores::MysqlStore;
    /// let builder = MysqlStore::builder("mysql://localhost/app").with_max_connections(4);
    /// assert!(format!("{builder:?}").contains("max_connections: 4"));
    /// ```
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets about how often expired sessions are removed. The default is every five
    /// minutes; nobody sees an expired session in between. Mirrors
    /// `checkExpirationInterval`.
    ///
    /// ```
    /// # use sessile::stores::MysqlStore;
    /// # use std::time::Duration;
    /// let builder = MysqlStore::builder("mysql://localhost/app")
    ///     .with_sweep_every(Duration::from_secs(60));
    /// assert!(format!("{builder:?}").contains("60s"));
    /// ```
    pub fn with_sweep_every(mut self, every: Duration) -> Self {
        self.sweep_every = every;
        self
    }

    /// Sets the clock that decides what has expired: for tests that move it.
    ///
    /// ```
    /// # use sessile::stores::MysqlStore;
    /// use sessile::SystemClock;
    /// use std::sync::Arc;
    ///
    /// let builder =
    ///     MysqlStore::builder("mysql://localhost/app").with_clock(Arc::new(SystemClock));
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
    /// If the URL is none, if a column's name is none or not for this layout to choose, if the
    /// server cannot be reached or does not let us in, or if the table has other columns.
    ///
    /// ```
    /// # use sessile::stores::MysqlStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = MysqlStore::builder("redis://db").connect().await.unwrap_err();
    /// assert!(error.to_string().starts_with("a mysql url is mysql://user:password@host"));
    /// # }
    /// ```
    pub async fn connect(self) -> Result<MysqlStore, StoreError> {
        self.columns.check(self.layout)?;
        let pool = match self.source {
            Source::Pool(pool) => pool,
            Source::Url(url) => pool(&url, self.max_connections, &self.tls)?,
        };
        let client = Client::new(pool);
        let table = self.table.unwrap_or_else(|| TABLE.to_owned());
        let wanted = Wanted { columns: self.columns, layout: self.layout, table };
        let ready = async {
            let found = wanted.ensure(&client).await?;
            let names = wanted.columns.sql(wanted.layout);
            let statements = Statements::new(wanted.layout, &names, found.records, &wanted.table);
            client.prepare("prepare its statements", &statements.every()).await?;
            Ok((found, statements))
        };
        let (found, statements) = tokio::time::timeout(PATIENCE, ready)
            .await
            .map_err(|_| StoreError::timed_out("mysql took too long to set up its table"))??;
        Ok(MysqlStore::new(Inner {
            client,
            clock: self.clock,
            columns: wanted.columns,
            default_lifetime: self.default_lifetime,
            found,
            layout: wanted.layout,
            statements,
            sweep_every: self.sweep_every,
            sweeper: Sweeper::default(),
            table: wanted.table,
        }))
    }
}

impl fmt::Debug for MysqlBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlBuilder")
            .field("clock", &self.clock)
            .field("columns", &self.columns)
            .field("default_lifetime", &self.default_lifetime)
            .field("layout", &self.layout)
            .field("max_connections", &self.max_connections)
            .field("sweep_every", &self.sweep_every)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

fn pool(url: &str, max_connections: usize, tls: &Tls) -> Result<Pool, StoreError> {
    let most = max_connections.max(1);
    // Below its first number a pool closes connections that nobody uses at the moment.
    let all = PoolConstraints::new(most, most).unwrap_or_default();
    let pool = PoolOpts::default().with_constraints(all).with_reset_connection(false);
    // The driver would go over to a Unix socket of its own accord.
    let opts = tls.apply(parse(url)?).prefer_socket(false).pool_opts(pool);
    Ok(Pool::new(opts))
}

/// Reads an URL. What is wrong with it is not quoted: it holds a password.
fn parse(url: &str) -> Result<Opts, StoreError> {
    let wrong = || {
        StoreError::failed(
            "a mysql url is mysql://user:password@host:3306/database, with mysql_async's \
             parameters behind it, like ?tcp_keepalive=60000",
        )
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    if !["mariadb", "mysql"].contains(&scheme) {
        return Err(wrong());
    }
    let opts = Opts::from_url(&format!("mysql://{rest}")).map_err(|error| match error {
        UrlError::FeatureRequired { .. } => StoreError::unsupported(NO_TLS),
        _ => wrong(),
    })?;
    if opts.db_name().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    Ok(opts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_url_names_server_user_and_database() {
        for scheme in ["mariadb", "mysql"] {
            let opts = parse(&format!("{scheme}://me:p%40ss@db.example.com:3307/app")).unwrap();
            assert_eq!((opts.user(), opts.pass()), (Some("me"), Some("p@ss")));
            assert_eq!((opts.ip_or_hostname(), opts.tcp_port()), ("db.example.com", 3307));
            assert_eq!(opts.db_name(), Some("app"));
        }
    }

    #[test]
    fn a_wrong_url_says_so_and_keeps_its_password() {
        for url in [
            "",
            "db",
            "mysql:",
            "mysql://",
            "mysql://h",
            "redis://h/db",
            "mysql://me:hunter2@h/a?x=y",
        ] {
            let error = parse(url).unwrap_err();
            assert!(error.to_string().starts_with("a mysql url"), "{url}: {error}");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }
}
