//! Opens the servers: where they are, and how sessions are kept there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sessile_core::StoreError;

use super::MemcachedStore;
use super::client::Server;
use super::items::Items;
use super::ring::{Ring, Share};

/// What `connect-memcached` gives a session whose cookie has no max age.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(86_400);
/// What fits into an item of 1 MiB, memcached's default, beside its key and header.
const MAX_BYTES: usize = (1 << 20) - 1024;
const MAX_CONNECTIONS: usize = 16;
const DEFAULT_PORT: u16 = 11211;

/// Opens a [`MemcachedStore`] that differs from the default.
#[allow(unnameable_types, reason = "a builder is chained, not named")]
#[derive(Clone)]
#[must_use = "nothing opens before `connect`"]
pub struct MemcachedBuilder {
    default_lifetime: Duration,
    max_bytes: usize,
    max_connections: usize,
    prefix: String,
    url: String,
}

impl MemcachedBuilder {
    pub(super) fn from_url(url: &str) -> Self {
        Self {
            default_lifetime: DEFAULT_LIFETIME,
            max_bytes: MAX_BYTES,
            max_connections: MAX_CONNECTIONS,
            prefix: String::new(),
            url: url.to_owned(),
        }
    }

    /// Sets what stands before the id in each key. The default is nothing, as in Node.
    ///
    /// ```
    /// # use sessile::stores::MemcachedStore;
    /// let builder = MemcachedStore::builder("memcached://127.0.0.1").with_prefix("sess:");
    /// assert!(format!("{builder:?}").contains("sess:"));
    /// ```
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how long a session lives whose cookie has no max age. The default is a
    /// day, as in Node.
    ///
    /// ```
    /// # use sessile::stores::MemcachedStore;
    /// # use std::time::Duration;
    /// let week = Duration::from_secs(7 * 86_400);
    /// let builder = MemcachedStore::builder("memcached://127.0.0.1").with_default_lifetime(week);
    /// assert!(format!("{builder:?}").contains("604800s"));
    /// ```
    pub fn with_default_lifetime(mut self, lifetime: Duration) -> Self {
        self.default_lifetime = lifetime;
        self
    }

    /// Sets how many bytes a record may have. The default, 1 MiB less one KiB, is what
    /// memcached's default takes; a server started with `-I 8m` takes more.
    ///
    /// A server that gets a larger record drops the one it has, so this must not be
    /// more than it takes.
    ///
    /// ```
    /// # use sessile::stores::MemcachedStore;
    /// let builder = MemcachedStore::builder("memcached://127.0.0.1").with_max_bytes(4 << 20);
    /// assert!(format!("{builder:?}").contains("4194304"));
    /// ```
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets how many connections each server gets at most. The default is 16. They are
    /// opened when they are needed, and a command that finds none free waits.
    ///
    /// ```
    /// # use sessile::stores::MemcachedStore;
    /// let builder = MemcachedStore::builder("memcached://127.0.0.1").with_max_connections(4);
    /// assert!(format!("{builder:?}").contains("max_connections: 4"));
    /// ```
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Makes sure that all servers answer.
    ///
    /// # Errors
    ///
    /// If the URL is not `memcached://` and servers, if one of them cannot be reached, or
    /// if it is older than 1.6.
    ///
    /// ```
    /// # use sessile::stores::MemcachedStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = MemcachedStore::builder("memcached://127.0.0.1:1").connect().await.unwrap_err();
    /// assert_eq!(error.to_string(), "memcached at 127.0.0.1:1 cannot be reached");
    /// # }
    /// ```
    pub async fn connect(self) -> Result<MemcachedStore, StoreError> {
        let shares = parse(&self.url)?;
        let server = |share: &Share| Server::new(address(&share.server), self.max_connections);
        let items = Items {
            lifetime: self.default_lifetime,
            max_bytes: self.max_bytes,
            prefix: self.prefix,
            ring: Ring::new(&shares),
            servers: shares.iter().map(server).collect(),
        };
        for server in &items.servers {
            server.check().await?;
        }
        Ok(MemcachedStore(Arc::new(items)))
    }
}

impl fmt::Debug for MemcachedBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemcachedBuilder")
            .field("default_lifetime", &self.default_lifetime)
            .field("max_bytes", &self.max_bytes)
            .field("max_connections", &self.max_connections)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Reads `memcached://10.0.0.1,10.0.0.2:11212*3`: servers, some with a port or a weight.
fn parse(url: &str) -> Result<Vec<Share>, StoreError> {
    const WRONG: &str =
        "a memcached url is memcached:// and servers like 10.0.0.1:11211, with commas between";
    let wrong = || StoreError::failed(WRONG);
    let rest = url.strip_prefix("memcached://").ok_or_else(wrong)?;
    if rest.contains('?') {
        return Err(StoreError::failed(
            "a memcached url has no options here: use the builder's methods",
        ));
    }
    let share = |server: &str| {
        let (server, weight) = server.split_once('*').unwrap_or((server, "1"));
        let weight = weight.parse().ok().filter(|weight| (1..=1000).contains(weight))?;
        let plausible = !server.is_empty() && !server.contains(['@', '/', ' ']);
        plausible.then(|| Share { server: server.to_owned(), weight })
    };
    let servers = rest.strip_suffix('/').unwrap_or(rest).split(',');
    servers.map(share).collect::<Option<_>>().ok_or_else(wrong)
}

/// Adds the port that is understood.
fn address(server: &str) -> String {
    let last = server.rsplit(':').next().unwrap_or_default();
    let has_port = server.len() > last.len() && last.parse::<u16>().is_ok();
    if has_port { server.to_owned() } else { format!("{server}:{DEFAULT_PORT}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_url_names_servers_and_their_weights() {
        let share = |server: &str, weight| Share { server: server.to_owned(), weight };
        for (url, shares) in [
            ("memcached://localhost", vec![share("localhost", 1)]),
            ("memcached://10.0.0.1:11212/", vec![share("10.0.0.1:11212", 1)]),
            ("memcached://a,b:1*3,c*2", vec![share("a", 1), share("b:1", 3), share("c", 2)]),
            ("memcached://[::1]:11211", vec![share("[::1]:11211", 1)]),
        ] {
            assert_eq!(parse(url).unwrap(), shares, "{url}");
        }
        for (server, expected) in
            [("a", "a:11211"), ("a:1", "a:1"), ("[::1]", "[::1]:11211"), ("[::1]:2", "[::1]:2")]
        {
            assert_eq!(address(server), expected);
        }
    }

    #[test]
    fn a_wrong_url_says_so_and_keeps_what_it_was() {
        for url in [
            "",
            "memcached:",
            "memcached://",
            "memcached://a,,b",
            "memcached://a*0",
            "memcached://a*x",
            "memcached://user:Hunter2@host",
            "memcached://a?ttl=1",
            "redis://a",
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.starts_with("a memcached url") && !error.contains("Hunter2"), "{error}");
            let builder = format!("{:?}", MemcachedBuilder::from_url(url));
            assert!(!builder.contains("Hunter2"), "{builder}");
        }
    }
}
