//! How a Redis store is set up.

use std::time::Duration;

use redis::{Client, ConnectionInfo};
#[cfg(feature = "redis-tls")]
use redis::{ClientTlsConfig, TlsCertificates};
use sessile_core::StoreError;

use super::RedisStore;
use super::address::{self, Address};
use super::cache::Cache;
use super::inner::Inner;
use super::layout::Layout;
use super::position::Listings;
use super::servers::{Replicated, Servers};

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
    cached: usize,
    durable: bool,
    replicas: u32,
    #[cfg(feature = "redis-tls")]
    certificates: Certificates,
}

/// Whom to trust, and how to be trusted.
#[cfg(feature = "redis-tls")]
#[derive(Clone, Debug, Default)]
struct Certificates {
    authority: Option<Vec<u8>>,
    own: Option<ClientTlsConfig>,
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
        Self {
            source,
            layout,
            cached: 0,
            durable: false,
            replicas: 0,
            #[cfg(feature = "redis-tls")]
            certificates: Certificates::default(),
        }
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

    /// Keeps up to `sessions` that were read lately in this process, so that reading one
    /// again takes no round trip. The default is 0: none.
    ///
    /// Redis says over the same connection when one of them changes, whoever changed it. So
    /// a logout elsewhere takes effect here a message later, not at the same instant; and
    /// never more than a second later, even if the network is cut without a sign. Saves ask
    /// Redis in any case: nothing is lost or revived. The sessions kept take as much memory
    /// as their records. A Cluster has no such cache here.
    ///
    /// ```
    /// # use sessile::stores::RedisStore;
    /// let store = RedisStore::builder("redis://localhost").with_client_cache(10_000).connect_lazily();
    /// assert!(store.is_ok());
    /// let store = RedisStore::builder("redis+cluster://a,b").with_client_cache(10_000).connect_lazily();
    /// assert!(store.is_err());
    /// ```
    pub fn with_client_cache(mut self, sessions: usize) -> Self {
        self.cached = sessions;
        self
    }

    /// Answers a save only once `replicas` have it too, so that it survives the loss of the
    /// server it was made on. The default is 0: Redis answers first and replicates then.
    ///
    /// A save that so many replicas do not have within a second is an error, though it may
    /// be kept: where one server may be lost and saves shall go on, let there be one
    /// replica more. Such saves have a connection of their own, on which each waits for
    /// the replicas of the one before.
    ///
    /// ```
    /// # use sessile::stores::RedisStore;
    /// let builder = RedisStore::builder("redis+cluster://a,b,c").with_replicas(1);
    /// assert!(format!("{builder:?}").contains("replicas: 1"));
    /// ```
    pub fn with_replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Says that Redis has what it acknowledges on its disk, by `appendonly yes` and
    /// `appendfsync always`; the store then declares
    /// [`Capability::Durable`](sessile_core::Capability::Durable). By default it does not.
    ///
    /// [`connect`](Self::connect) fails if Redis says otherwise. One that does not tell, as
    /// a hosted one may not, is believed.
    ///
    /// ```
    /// # use sessile::stores::RedisStore;
    /// # use sessile::{Capability, SessionStore};
    /// let store = RedisStore::builder("redis://localhost").with_durable_server().connect_lazily();
    /// assert!(store.unwrap().capabilities().contains(&Capability::Durable));
    /// ```
    pub fn with_durable_server(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Sets the authority, in PEM, that vouches for the servers. The default are the
    /// authorities that the system trusts.
    ///
    /// ```
    /// # use sessile::stores::RedisStore;
    /// let pem = "-----BEGIN CERTIFICATE-----\n…";
    /// let builder = RedisStore::builder("rediss://localhost").with_root_certificate(pem);
    /// # drop(builder);
    /// ```
    #[cfg(feature = "redis-tls")]
    pub fn with_root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.authority = Some(pem.into());
        self
    }

    /// Sets the certificate and its key, both in PEM, by which the servers know us. The
    /// default is none.
    ///
    /// ```
    /// # use sessile::stores::RedisStore;
    /// let (certificate, key) = ("-----BEGIN CERTIFICATE-----\n…", "-----BEGIN PRIVATE KEY-----\n…");
    /// let builder = RedisStore::builder("rediss://localhost").with_client_certificate(certificate, key);
    /// assert!(!format!("{builder:?}").contains("PRIVATE"));
    /// ```
    #[cfg(feature = "redis-tls")]
    pub fn with_client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        let own = ClientTlsConfig { client_cert: certificate.into(), client_key: key.into() };
        self.certificates.own = Some(own);
        self
    }

    /// Connects, and sees that Redis answers.
    ///
    /// # Errors
    ///
    /// If the URL is wrong, if Redis cannot be reached or refuses the password, or if it is
    /// less durable than [`with_durable_server`](Self::with_durable_server) says.
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
        let durable = self.durable;
        let store = self.connect_lazily()?;
        store.ping().await?;
        if durable {
            store.check_durability().await?;
        }
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
            Source::Client(info) => Address::One(*info),
            Source::Url(url) => address::parse(&url)?,
        };
        #[cfg(feature = "redis-tls")]
        let address = self.certificates.put_into(address)?;
        let place = address.to_string();
        let cache = (self.cached > 0).then(|| Cache::new(self.cached));
        if cache.is_some() && !address.tells_of_changes() {
            return Err(StoreError::failed(
                "a client cache takes one server, or one that sentinels watch, and RESP3",
            ));
        }
        let replicated = (self.replicas > 0)
            .then(|| Replicated { replicas: self.replicas, servers: Servers::new(&address, None) });
        Ok(RedisStore::new(Inner {
            servers: Servers::new(&address, cache.as_ref()),
            cache,
            replicated,
            durable: self.durable,
            place,
            layout: self.layout,
            listings: Listings::default(),
        }))
    }
}

#[cfg(feature = "redis-tls")]
impl Certificates {
    fn put_into(self, address: Address) -> Result<Address, StoreError> {
        if self.authority.is_none() && self.own.is_none() {
            return Ok(address);
        }
        let certificates = TlsCertificates { client_tls: self.own, root_cert: self.authority };
        address.each(|info| {
            let client = Client::build_with_tls(info, certificates.clone());
            client.map(|client| client.get_connection_info().clone()).map_err(|_| {
                StoreError::failed(
                    "certificates are PEM, and go with a url that begins with rediss",
                )
            })
        })
    }
}
