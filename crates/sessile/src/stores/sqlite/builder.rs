//! Opens the database: where it is, how it is set up, whether the table fits.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use sessile_core::{Clock, StoreError, StoreErrorKind, SystemClock};

use super::SqliteStore;
use super::layout::{SqliteLayout, Statements, quote};
use super::table::{Schema, Table};
use super::worker::{Workers, failure};

/// What the Node stores give a session whose cookie has no expiry.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(86_400);
const SWEEP_EVERY: Duration = Duration::from_secs(300);
/// How long processes that start at once wait for each other.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often one waits for another process' transaction: 5 seconds in all.
const BUSY_TRIES: i32 = 2_000;
const MOST_READERS: usize = 4;
const CACHED_STATEMENTS: usize = 32;

/// Opens an [`SqliteStore`] that differs from the default.
#[allow(unnameable_types, reason = "a builder is chained, not named")]
#[must_use = "nothing opens before `connect`"]
pub struct SqliteBuilder {
    clock: Arc<dyn Clock>,
    default_lifetime: Duration,
    layout: SqliteLayout,
    source: Source,
    sweep_every: Duration,
    synchronous: &'static str,
    table: String,
}

/// Where the sessions are.
enum Source {
    Connection(Box<Connection>),
    Url(String),
}

impl SqliteBuilder {
    pub(super) fn from_url(url: &str) -> Self {
        Self::new(Source::Url(url.to_owned()))
    }

    pub(super) fn from_connection(connection: Connection) -> Self {
        Self::new(Source::Connection(Box::new(connection)))
    }

    fn new(source: Source) -> Self {
        Self {
            clock: Arc::new(SystemClock),
            default_lifetime: DEFAULT_LIFETIME,
            layout: SqliteLayout::default(),
            source,
            sweep_every: SWEEP_EVERY,
            synchronous: "NORMAL",
            table: "sessions".to_owned(),
        }
    }

    /// Sets the name of the table. The default is `sessions`, as in Node.
    ///
    /// ```
    /// # use sessile::stores::SqliteStore;
    /// let builder = SqliteStore::builder("sqlite://app.db").with_table("web sessions");
    /// assert!(format!("{builder:?}").contains("web sessions"));
    /// ```
    pub fn with_table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// Sets which Node package's table it is. The default is `connect-sqlite3`'s.
    ///
    /// ```
    /// # use sessile::stores::{SqliteLayout, SqliteStore};
    /// let builder = SqliteStore::builder("sqlite://app.db").with_layout(SqliteLayout::BetterSqlite3);
    /// assert!(format!("{builder:?}").contains("BetterSqlite3"));
    /// ```
    pub fn with_layout(mut self, layout: SqliteLayout) -> Self {
        self.layout = layout;
        self
    }

    /// Sets how long a session lives whose cookie has no expiry. The default is a
    /// day, as in Node.
    ///
    /// ```
    /// # use sessile::stores::SqliteStore;
    /// # use std::time::Duration;
    /// let week = Duration::from_secs(7 * 86_400);
    /// let builder = SqliteStore::builder("sqlite://app.db").with_default_lifetime(week);
    /// assert!(format!("{builder:?}").contains("604800s"));
    /// ```
    pub fn with_default_lifetime(mut self, lifetime: Duration) -> Self {
        self.default_lifetime = lifetime;
        self
    }

    /// Sets about how often expired sessions are removed. The default is every five
    /// minutes; nobody sees an expired session in between.
    ///
    /// ```
    /// # use sessile::stores::SqliteStore;
    /// # use std::time::Duration;
    /// let builder = SqliteStore::builder("sqlite://app.db").with_sweep_every(Duration::from_secs(60));
    /// assert!(format!("{builder:?}").contains("60s"));
    /// ```
    pub fn with_sweep_every(mut self, every: Duration) -> Self {
        self.sweep_every = every;
        self
    }

    /// Waits for the disk at every commit, so that acknowledged saves survive a power
    /// cut too, not only the end of the process. A save then takes as long as the disk
    /// does; parallel saves share the wait.
    ///
    /// ```
    /// # use sessile::stores::SqliteStore;
    /// let builder = SqliteStore::builder("sqlite://app.db").with_full_sync();
    /// assert!(format!("{builder:?}").contains("FULL"));
    /// ```
    pub fn with_full_sync(mut self) -> Self {
        self.synchronous = "FULL";
        self
    }

    /// Sets the clock that decides what has expired: for tests that move it.
    ///
    /// ```
    /// # use sessile::stores::SqliteStore;
    /// use sessile::SystemClock;
    /// use std::sync::Arc;
    ///
    /// let builder = SqliteStore::builder("sqlite://app.db").with_clock(Arc::new(SystemClock));
    /// assert!(format!("{builder:?}").contains("SystemClock"));
    /// ```
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Opens the database, and creates what is missing: the file, the table, its index.
    ///
    /// # Errors
    ///
    /// If the URL is not `sqlite://` and a path, if the file cannot be opened or is no
    /// database, or if the table has other columns than the layout.
    ///
    /// ```
    /// # use sessile::stores::SqliteStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = SqliteStore::builder("postgres://db").connect().await.unwrap_err();
    /// assert_eq!(error.to_string(), "an sqlite url is sqlite:// and a path, or sqlite::memory:");
    /// # }
    /// ```
    pub async fn connect(self) -> Result<SqliteStore, StoreError> {
        let schema = Schema {
            clock: self.clock,
            default_lifetime: self.default_lifetime,
            layout: self.layout,
            statements: Arc::new(Statements::new(self.layout, &self.table)),
        };
        let setup = Setup { schema, synchronous: self.synchronous, table: self.table };
        let (workers, place) = match self.source {
            Source::Connection(connection) => {
                (setup.adopt(*connection).await?, "a connection".to_owned())
            }
            Source::Url(url) => match parse(&url)? {
                Place::Memory => (setup.open_memory().await?, "memory".to_owned()),
                Place::File(path) => (setup.open_file(&path).await?, path.display().to_string()),
            },
        };
        Ok(SqliteStore::new(workers, place, self.sweep_every))
    }
}

impl fmt::Debug for SqliteBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteBuilder")
            .field("clock", &self.clock)
            .field("default_lifetime", &self.default_lifetime)
            .field("layout", &self.layout)
            .field("sweep_every", &self.sweep_every)
            .field("synchronous", &self.synchronous)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

/// What an URL names.
#[derive(Debug, Eq, PartialEq)]
enum Place {
    File(PathBuf),
    Memory,
}

fn parse(url: &str) -> Result<Place, StoreError> {
    let wrong = || StoreError::failed("an sqlite url is sqlite:// and a path, or sqlite::memory:");
    let rest = url.strip_prefix("sqlite:").ok_or_else(wrong)?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path == ":memory:" {
        return Ok(Place::Memory);
    }
    if path.contains('?') {
        return Err(StoreError::failed(
            "an sqlite url has no options here: use the builder's methods",
        ));
    }
    // Made absolute, the path names one file for all threads, even if the process
    // changes its folder, and SQLite reads no `file:` URI into it.
    std::path::absolute(path).map(Place::File).map_err(|error| wrong().with_source(error))
}

/// What a thread needs to open its connection.
#[derive(Clone)]
struct Setup {
    schema: Schema,
    synchronous: &'static str,
    table: String,
}

impl Setup {
    async fn adopt(self, mut connection: Connection) -> Result<Workers, StoreError> {
        let workers = Workers::alone();
        let open = move || {
            configure(&mut connection).map_err(|error| failure("set up a connection", error))?;
            patiently(|| self.ensure_table(&connection))?;
            Ok(Table { connection, schema: self.schema })
        };
        workers.start_writer(open).await?;
        Ok(workers)
    }

    async fn open_memory(self) -> Result<Workers, StoreError> {
        let connection = Connection::open_in_memory();
        self.adopt(connection.map_err(|error| failure("open a database in memory", error))?).await
    }

    async fn open_file(self, path: &Path) -> Result<Workers, StoreError> {
        let workers = Workers::apart();
        let (setup, file) = (self.clone(), path.to_owned());
        workers.start_writer(move || setup.open_writer(&file)).await?;
        let readers = thread::available_parallelism().map_or(1, usize::from).min(MOST_READERS);
        for _ in 0..readers {
            let (setup, file) = (self.clone(), path.to_owned());
            workers.start_reader(move || setup.open_reader(&file)).await?;
        }
        Ok(workers)
    }

    fn open_writer(self, path: &Path) -> Result<Table, StoreError> {
        create(path).map_err(|error| {
            StoreError::unavailable(format!("sqlite could not create {}", path.display()))
                .with_source(error)
        })?;
        let connection = open(path)?;
        patiently(|| {
            self.set_up(&connection).map_err(|error| cannot_open(path, error))?;
            self.ensure_table(&connection)
        })?;
        Ok(Table { connection, schema: self.schema })
    }

    fn open_reader(self, path: &Path) -> Result<Table, StoreError> {
        let connection = open(path)?;
        connection
            .execute_batch("PRAGMA query_only = ON")
            .map_err(|error| cannot_open(path, error))?;
        Ok(Table { connection, schema: self.schema })
    }

    fn set_up(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mode: String =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if mode != "wal" {
            tracing::warn!(mode, "sqlite has no write-ahead log here: readers wait for writers");
        }
        // The log keeps its size after a burst otherwise. Nothing is memory-mapped:
        // a file that another program truncates would kill the process.
        connection.execute_batch(&format!(
            "PRAGMA synchronous = {}; PRAGMA journal_size_limit = 67108864;",
            self.synchronous
        ))
    }

    fn ensure_table(&self, connection: &Connection) -> Result<(), StoreError> {
        let (table, layout) = (&self.table, self.schema.layout);
        let failed = |error| failure(&format!("use the table {table:?}"), error);
        if columns(connection, table).map_err(failed)?.is_empty() {
            let (name, columns) = (quote(table), layout.columns());
            let create = format!("CREATE TABLE IF NOT EXISTS {name} ({columns})");
            connection.execute_batch(&create).map_err(failed)?;
        }
        check(layout, table, &columns(connection, table).map_err(failed)?)?;
        self.ensure_index(connection).map_err(failed)?;
        for statement in self.schema.statements.every() {
            connection.prepare_cached(statement).map_err(failed)?;
        }
        Ok(())
    }

    fn ensure_index(&self, connection: &Connection) -> rusqlite::Result<()> {
        let (table, expiry) = (&self.table, self.schema.layout.expiry());
        let mut found = connection.prepare(
            "SELECT 1 FROM pragma_index_list(?1) AS list, pragma_index_info(list.name) AS info
             WHERE info.seqno = 0 AND info.name = ?2 COLLATE NOCASE AND list.partial = 0",
        )?;
        if found.exists([table, expiry])? {
            return Ok(());
        }
        let index = quote(&format!("{table}_{expiry}_index"));
        connection.execute_batch(&format!(
            "CREATE INDEX IF NOT EXISTS {index} ON {} ({expiry})",
            quote(table)
        ))
    }
}

struct Column {
    name: String,
    declared: String,
    /// Every insert must give it a value.
    required: bool,
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Column>> {
    let sql = r#"SELECT name, type, "notnull" AND dflt_value IS NULL FROM pragma_table_info(?1)"#;
    let mut statement = connection.prepare(sql)?;
    let columns = statement.query_map([table], |row| {
        Ok(Column { name: row.get(0)?, declared: row.get(1)?, required: row.get(2)? })
    })?;
    columns.collect()
}

fn check(layout: SqliteLayout, table: &str, columns: &[Column]) -> Result<(), StoreError> {
    let ours = ["sid", "sess", layout.expiry()];
    let find = |name: &str| columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
    let wrong = |what: String| {
        let what = format!("the table {table:?} {what}, so it is not of the layout {layout:?}");
        Err(StoreError::failed(what))
    };
    if let Some(missing) = ours.iter().find(|name| find(name).is_none()) {
        return wrong(format!("has no column {missing}"));
    }
    let foreign =
        |column: &&Column| !ours.iter().any(|name| column.name.eq_ignore_ascii_case(name));
    if let Some(column) = columns.iter().filter(|column| column.required).find(foreign) {
        return wrong(format!("needs a value for {}", column.name));
    }
    match find(layout.expiry()) {
        Some(column) if !layout.keeps_expiry(&column.declared) => {
            wrong(format!("declares {} as {}", column.name, column.declared))
        }
        _ => Ok(()),
    }
}

/// Creates the file for its owner alone, as it holds everybody's login. SQLite gives
/// the files beside it the same permissions.
fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(|error| cannot_open(path, error))?;
    configure(&mut connection).map_err(|error| cannot_open(path, error))?;
    connection
        .execute_batch("PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4000;")
        .map_err(|error| cannot_open(path, error))?;
    Ok(connection)
}

fn cannot_open(path: &Path, error: rusqlite::Error) -> StoreError {
    failure(&format!("open {}", path.display()), error)
}

fn configure(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // SQLite's own handler sleeps up to 100 ms while the other process has long
    // committed; a transaction here takes about one.
    connection.busy_handler(Some(|tries: i32| {
        thread::park_timeout(Duration::from_millis(2));
        tries < BUSY_TRIES
    }))
}

/// Tries again while another process holds what this one needs: SQLite does not
/// wait by itself where it sees that two might wait for each other.
fn patiently<T>(attempt: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let started = Instant::now();
    loop {
        match attempt() {
            Err(error)
                if error.kind() == StoreErrorKind::TimedOut && started.elapsed() < PATIENCE =>
            {
                thread::park_timeout(Duration::from_millis(10));
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_url_names_a_file_or_memory() {
        let folder = std::env::current_dir().unwrap();
        let file = |path: &str| Place::File(folder.join(path));
        for (url, place) in [
            ("sqlite://sessions.db", file("sessions.db")),
            ("sqlite:sessions.db", file("sessions.db")),
            ("sqlite://data/my sessions.db", file("data/my sessions.db")),
            ("sqlite:file:sessions.db", file("file:sessions.db")),
            ("sqlite:///var/lib/sessions.db", Place::File("/var/lib/sessions.db".into())),
            ("sqlite:/var/lib/sessions.db", Place::File("/var/lib/sessions.db".into())),
            ("sqlite::memory:", Place::Memory),
            ("sqlite://:memory:", Place::Memory),
        ] {
            assert_eq!(parse(url).unwrap(), place, "{url}");
        }
    }

    #[test]
    fn a_wrong_url_says_so() {
        for url in
            ["", "sessions.db", "sqlite:", "sqlite://", "redis://host", "sqlite://a.db?mode=ro"]
        {
            let error = parse(url).unwrap_err();
            assert!(error.to_string().starts_with("an sqlite url"), "{url}: {error}");
        }
    }
}
