//! Reaches the server: which one, which collection, who removes what expired.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::doc;
use mongodb::options::{
    Acknowledgment, ClientOptions, CollectionOptions, ReadConcern, ReadPreference,
    SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Database};
use sessile_core::{Clock, StoreError, SystemClock};

use super::MongoStore;
use super::collection::Sessions;
use super::document::Shape;
use super::error::{failure, is_other_index};
use super::layout::MongoLayout;

/// `connect-mongo`'s `ttl`.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(14 * 86_400);
/// The driver's 30 seconds are longer than any visitor waits.
const SELECTION: Duration = Duration::from_secs(5);
/// As many as Node's driver opens: each request waits for the server's disk, and they
/// wait together.
const CONNECTIONS: u32 = 100;
/// Where drivers go without a name.
const DATABASE: &str = "test";

/// Who removes sessions that have expired. Mirrors `autoRemove`.
///
/// ```
/// use sessile::stores::MongoAutoRemove;
///
/// assert_eq!(MongoAutoRemove::default(), MongoAutoRemove::Native);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum MongoAutoRemove {
    /// Nobody, until somebody calls `purge_expired`: for a collection whose index other
    /// hands keep.
    Disabled,
    /// The store, about this often. Without an index of yours on `expires` it reads
    /// every document for that.
    Interval(Duration),
    /// The server, through a TTL index that the store creates if it is missing.
    #[default]
    Native,
}

/// Opens a [`MongoStore`] that differs from the default.
#[allow(unnameable_types, reason = "a builder is chained, not named")]
#[must_use = "nothing opens before `connect`"]
pub struct MongoBuilder {
    auto_remove: MongoAutoRemove,
    collection: String,
    database: Option<String>,
    shape: Shape,
    source: Source,
}

/// Where the sessions are.
enum Source {
    Client(Client),
    Url(String),
}

impl MongoBuilder {
    pub(super) fn from_url(url: &str) -> Self {
        Self::new(Source::Url(url.to_owned()))
    }

    pub(super) fn from_client(client: Client) -> Self {
        Self::new(Source::Client(client))
    }

    fn new(source: Source) -> Self {
        let shape = Shape {
            clock: Arc::new(SystemClock),
            default_lifetime: DEFAULT_LIFETIME,
            last_modified: false,
            layout: MongoLayout::default(),
        };
        Self {
            auto_remove: MongoAutoRemove::default(),
            collection: "sessions".to_owned(),
            database: None,
            shape,
            source,
        }
    }

    /// Sets the collection. The default is `sessions`. Mirrors `collectionName`.
    ///
    /// ```
    /// # use sessile::stores::MongoStore;
    /// let builder = MongoStore::builder("mongodb://localhost").with_collection("logins");
    /// assert!(format!("{builder:?}").contains("logins"));
    /// ```
    pub fn with_collection(mut self, name: impl Into<String>) -> Self {
        self.collection = name.into();
        self
    }

    /// Sets the database. The default is the URL's, or `test` if it names none. Mirrors
    /// `dbName`.
    ///
    /// ```
    /// # use sessile::stores::MongoStore;
    /// let builder = MongoStore::builder("mongodb://localhost").with_database("shop");
    /// assert!(format!("{builder:?}").contains("shop"));
    /// ```
    pub fn with_database(mut self, name: impl Into<String>) -> Self {
        self.database = Some(name.into());
        self
    }

    /// Sets how long a session lives whose cookie has no expiry. The default is 14 days,
    /// as in Node. Mirrors `ttl`.
    ///
    /// ```
    /// # use sessile::stores::MongoStore;
    /// # use std::time::Duration;
    /// let day = Duration::from_secs(86_400);
    /// let builder = MongoStore::builder("mongodb://localhost").with_default_lifetime(day);
    /// assert!(format!("{builder:?}").contains("86400s"));
    /// ```
    pub fn with_default_lifetime(mut self, lifetime: Duration) -> Self {
        self.shape.default_lifetime = lifetime;
        self
    }

    /// Sets what form records have. The default is text. Mirrors `stringify`.
    ///
    /// ```
    /// # use sessile::stores::{MongoLayout, MongoStore};
    /// let builder = MongoStore::builder("mongodb://localhost").with_layout(MongoLayout::Objects);
    /// assert!(format!("{builder:?}").contains("Objects"));
    /// ```
    pub fn with_layout(mut self, layout: MongoLayout) -> Self {
        self.shape.layout = layout;
        self
    }

    /// Sets who removes expired sessions. The default is the server. Mirrors `autoRemove`.
    ///
    /// ```
    /// # use sessile::stores::{MongoAutoRemove, MongoStore};
    /// let builder = MongoStore::builder("mongodb://localhost")
    ///     .with_auto_remove(MongoAutoRemove::Disabled);
    /// assert!(format!("{builder:?}").contains("Disabled"));
    /// ```
    pub fn with_auto_remove(mut self, by: MongoAutoRemove) -> Self {
        self.auto_remove = by;
        self
    }

    /// Writes `lastModified` at each save and touch, beside a Node application with
    /// `touchAfter`: there it says when a touch is due. The default is not to.
    ///
    /// Here the layer's own `with_touch_after` decides when to touch.
    ///
    /// ```
    /// # use sessile::stores::MongoStore;
    /// let builder = MongoStore::builder("mongodb://localhost").with_last_modified();
    /// assert!(format!("{builder:?}").contains("last_modified: true"));
    /// ```
    pub fn with_last_modified(mut self) -> Self {
        self.shape.last_modified = true;
        self
    }

    /// Sets the clock that decides what has expired: for tests that move it. The
    /// server's TTL index keeps its own.
    ///
    /// ```
    /// # use sessile::stores::MongoStore;
    /// use sessile::SystemClock;
    /// use std::sync::Arc;
    ///
    /// let builder = MongoStore::builder("mongodb://localhost").with_clock(Arc::new(SystemClock));
    /// assert!(format!("{builder:?}").contains("SystemClock"));
    /// ```
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.shape.clock = clock;
        self
    }

    /// Reaches the server, and creates the TTL index if it is missing.
    ///
    /// # Errors
    ///
    /// If the URL is not one of MongoDB's or says `w=0`, if no server answers within five seconds (or
    /// the URL's `serverSelectionTimeoutMS`), or if the collection has another index on
    /// `expires`.
    ///
    /// ```
    /// # use sessile::stores::MongoStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = MongoStore::builder("postgres://db").connect().await.unwrap_err();
    /// assert!(error.to_string().starts_with("a mongodb url is mongodb://"));
    /// # }
    /// ```
    pub async fn connect(self) -> Result<MongoStore, StoreError> {
        let client = match self.source {
            Source::Client(client) => client,
            Source::Url(url) => open(&url).await?,
        };
        let database = match self.database {
            Some(name) => client.database(&name),
            None => client.default_database().unwrap_or_else(|| client.database(DATABASE)),
        };
        let concern = write_concern(database.write_concern())?;
        let durable = concern.journal == Some(true);
        ping(&database).await?;
        let options = collection_options(concern);
        let documents = database.collection_with_options(&self.collection, options);
        if self.auto_remove == MongoAutoRemove::Native {
            ensure_index(&database, &self.collection).await?;
        }
        let sessions = Sessions { documents, shape: self.shape };
        Ok(MongoStore::new(sessions, self.auto_remove, durable))
    }
}

impl fmt::Debug for MongoBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoBuilder")
            .field("auto_remove", &self.auto_remove)
            .field("collection", &self.collection)
            .field("database", &self.database)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

async fn open(url: &str) -> Result<Client, StoreError> {
    // What the driver says about an url may quote it.
    let mut options =
        ClientOptions::parse(url).await.map_err(|_| StoreError::failed(wrong(url)))?;
    options.server_selection_timeout.get_or_insert(SELECTION);
    options.max_pool_size.get_or_insert(CONNECTIONS);
    Client::with_options(options).map_err(|error| failure("be set up", error))
}

fn wrong(url: &str) -> &'static str {
    if url.starts_with("mongodb+srv:") {
        "a mongodb+srv url needs the feature `dns-resolver` of the crate mongodb 3, and a name \
         with SRV records"
    } else {
        "a mongodb url is mongodb://user:password@host:port/database?options, with what is \
         special in user and password percent-encoded"
    }
}

/// The driver itself says nothing about a server that is not there.
async fn ping(database: &Database) -> Result<(), StoreError> {
    let pong = database.run_command(doc! { "ping": 1 }).await;
    pong.map(drop).map_err(|error| failure("be reached", error))
}

/// A save is answered when it is in the journal, unless the URL says otherwise.
fn write_concern(given: Option<&WriteConcern>) -> Result<WriteConcern, StoreError> {
    let mut concern = given.cloned().unwrap_or_default();
    if concern.w == Some(Acknowledgment::Nodes(0)) {
        return Err(StoreError::failed(
            "with w=0 mongodb does not say whether it has saved a session: leave it out of the url",
        ));
    }
    concern.journal.get_or_insert(true);
    Ok(concern)
}

/// Sessions are asked of the primary, whatever the URL says about other reads: one that
/// was destroyed lives on in a secondary for a while.
fn collection_options(concern: WriteConcern) -> CollectionOptions {
    CollectionOptions::builder()
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .read_concern(ReadConcern::local())
        .write_concern(concern)
        .build()
}

/// Creates the index of `connect-mongo`, word for word; says nothing if it is there.
async fn ensure_index(database: &Database, collection: &str) -> Result<(), StoreError> {
    let index = doc! {
        "key": { "expires": 1 },
        "name": "expires_1",
        "background": true,
        "expireAfterSeconds": 0,
    };
    let created = database.run_command(doc! { "createIndexes": collection, "indexes": [index] });
    created.await.map(drop).map_err(|error| {
        if is_other_index(&error) {
            return StoreError::failed(
                "mongodb has another index on `expires` than connect-mongo's TTL index: drop \
                 it, or use MongoAutoRemove::Disabled",
            );
        }
        failure("create the index on `expires`", error)
    })
}
