//! How a Redis store is set up.

use std::time::Duration;

use redis::{Client, ConnectionInfo};
use sessile_core::StoreError;

use super::address::{self, Address};
use super::commands::Layout;
use super::link::Link;
use super::opener::{Opener, tuned};
use super::{RedisStore, Servers};

/// As connect-redis has it.
const PREFIX: &str = "sess:";
/// As long as connect-redis keeps a session whose cookie has no expiry.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(86_400);

/// Sets up a [`RedisStore`]. [`RedisStore::builder`] begins one.
///
/// ```
/// use sessile::stores::RedisStore;
///
/// let builder = RedisStore::builder("redis://:password@localhost").with_prefix("shop:");
/// assert!(!format!("{builder:?}").contains("password"));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder connects to nothing until `connect`"]
pub struct RedisBuilder {
    source: Source,
    layout: Layout,
}

#[derive(Clone)]
enum Source {
    Client(Box<ConnectionInfo>),
    Url(String),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Client(_) => "a client",
            Self::Url(_) => "a url",
        })
    }
}

impl RedisBuilder {
    pub(super) fn from_url(url: &str) -> Self {
        Self::new(Source::Url(url.to_owned()))
    }

    pub(super) fn from_client(client: &Client) -> Self {
        Self::new(Source::Client(Box::new(client.get_connection_info().clone())))
    }

    fn new(source: Source) -> Self {
        let layout = Layout { prefix: PREFIX.to_owned(), default_lifetime: DEFAULT_LIFETIME };
        Self { source, layout }
    }

    /// Sets what the keys begin with. The default is `sess:`, as in connect-redis.
    /// Mirrors its option `prefix`.
    ///
    /// ```
    /// # use sessile::stores::RedisStore;
    /// let builder = RedisStore::builder("redis://localhost").with_prefix("shop:");
    /// assert!(format!("{builder:?}").contains("shop:"));
    /// ```
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.layout.prefix = prefix.into();
        self
    }

    /// Sets how long a session lives whose cookie has no expiry. The default is a day,
    /// as in connect-redis. Mirrors its option `ttl`.
    ///
    /// ```
    /// # use sessile::stores::RedisStore;
    /// # use std::time::Duration;
    /// let week = Duration::from_secs(7 * 86_400);
    /// let builder = RedisStore::builder("redis://localhost").with_default_lifetime(week);
    /// assert!(format!("{builder:?}").contains("604800s"));
    /// ```
    pub fn with_default_lifetime(mut self, lifetime: Duration) -> Self {
        self.layout.default_lifetime = lifetime;
        self
    }

    /// Connects, and sees that Redis answers.
    ///
    /// # Errors
    ///
    /// If the URL is wrong, or if Redis cannot be reached or refuses the password.
    ///
    /// ```
    /// # use sessile::stores::RedisStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = RedisStore::builder("redis://127.0.0.1:1").connect().await.unwrap_err();
    /// assert_eq!(error.to_string(), "redis could not be reached to connect");
    /// # }
    /// ```
    pub async fn connect(self) -> Result<RedisStore, StoreError> {
        let store = self.connect_lazily()?;
        store.ping().await?;
        Ok(store)
    }

    /// Makes the store without connecting: the first request does. For an application
    /// that has to start while Redis is down.
    ///
    /// # Errors
    ///
    /// If the URL is wrong.
    ///
    /// ```
    /// # use sessile::stores::RedisStore;
    /// assert!(RedisStore::builder("redis://127.0.0.1:1").connect_lazily().is_ok());
    /// assert!(RedisStore::builder("http://127.0.0.1:1").connect_lazily().is_err());
    /// ```
    pub fn connect_lazily(self) -> Result<RedisStore, StoreError> {
        let address = match self.source {
            Source::Client(info) => Address::One(tuned(*info)),
            Source::Url(url) => address::parse(&url)?,
        };
        let (servers, place) = match address {
            Address::One(info) => {
                let place = info.addr().to_string();
                let client = Client::open(info).map_err(|error| {
                    StoreError::failed("redis has no such address").with_source(error)
                })?;
                (Servers::One(Link::new(Opener::new(client))), place)
            }
        };
        Ok(RedisStore::new(servers, place, self.layout))
    }
}
