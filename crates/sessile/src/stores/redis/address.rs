//! What a store's URL says. No I/O.

use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};
use sessile_core::StoreError;

/// The servers that a URL names.
#[derive(Clone, Debug)]
pub(super) enum Address {
    /// Some nodes of a Cluster.
    Cluster(Vec<ConnectionInfo>),
    /// One server, by TCP, TLS or a Unix socket.
    One(ConnectionInfo),
    /// Sentinels, who know where the master is.
    Sentinel(Watched),
}

impl Address {
    /// Tells whether one connection hears of all changes.
    pub(super) fn tells_of_changes(&self) -> bool {
        let speaks =
            |info: &ConnectionInfo| info.redis_settings().protocol() == ProtocolVersion::RESP3;
        match self {
            Self::Cluster(_) => false,
            Self::One(info) => speaks(info),
            Self::Sentinel(watched) => speaks(&watched.master),
        }
    }
}

impl fmt::Display for Address {
    /// Says where the servers are, and nothing else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(nodes) => {
                let hosts: Vec<_> = nodes.iter().map(|node| node.addr().to_string()).collect();
                f.write_str(&hosts.join(","))
            }
            Self::One(info) => write!(f, "{}", info.addr()),
            Self::Sentinel(watched) => f.write_str(&watched.name),
        }
    }
}

#[cfg(feature = "redis-tls")]
impl Address {
    /// Changes how each server is spoken with.
    pub(super) fn each<E>(
        self,
        change: impl Fn(ConnectionInfo) -> Result<ConnectionInfo, E>,
    ) -> Result<Self, E> {
        Ok(match self {
            Self::Cluster(nodes) => {
                Self::Cluster(nodes.into_iter().map(change).collect::<Result<_, _>>()?)
            }
            Self::One(info) => Self::One(change(info)?),
            Self::Sentinel(Watched { sentinels, name, master }) => {
                let sentinels = sentinels.into_iter().map(&change).collect::<Result<_, _>>()?;
                Self::Sentinel(Watched { sentinels, name, master: change(master)? })
            }
        })
    }
}

/// A master that Sentinels watch.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) sentinels: Vec<ConnectionInfo>,
    pub(super) name: String,
    /// How to speak with the master, wherever it is.
    pub(super) master: ConnectionInfo,
}

const SENTINEL_PORT: u16 = 26_379;

/// Reads a store's URL. An error never quotes it, as it may hold a password.
pub(super) fn parse(url: &str) -> Result<Address, StoreError> {
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    if scheme.starts_with("rediss") {
        needs_tls()?;
    }
    match scheme {
        "redis" | "rediss" | "redis+unix" => one(url).map(Address::One),
        "redis+cluster" => cluster("redis", rest).map(Address::Cluster),
        "rediss+cluster" => cluster("rediss", rest).map(Address::Cluster),
        "redis+sentinel" => sentinel("redis", rest).map(Address::Sentinel),
        "rediss+sentinel" => sentinel("rediss", rest).map(Address::Sentinel),
        _ => Err(wrong()),
    }
}

/// The parts of a URL with several hosts.
struct Parts<'u> {
    user: &'u str,
    hosts: Vec<&'u str>,
    path: &'u str,
    query: &'u str,
}

impl<'u> Parts<'u> {
    fn of(rest: &'u str) -> Self {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        Self { user, hosts: hosts.split(',').collect(), path, query }
    }

    fn value(&self, name: &str) -> Option<&'u str> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find_map(|(key, value)| (key == name).then_some(value))
    }
}

fn cluster(scheme: &str, rest: &str) -> Result<Vec<ConnectionInfo>, StoreError> {
    let parts = Parts::of(rest);
    if !matches!(parts.path, "" | "0") {
        return Err(StoreError::failed("a redis cluster has no database but 0"));
    }
    let (user, query) = (parts.user, parts.query);
    let url = |host: &&str| one(&format!("{scheme}://{user}@{host}?{query}"));
    parts.hosts.iter().map(url).collect()
}

fn sentinel(scheme: &str, rest: &str) -> Result<Watched, StoreError> {
    let parts = Parts::of(rest);
    let (name, database) = parts.path.split_once('/').unwrap_or((parts.path, ""));
    if name.is_empty() {
        return Err(wrong());
    }
    let user = parts.value("sentinel_username").unwrap_or_default();
    let password = parts.value("sentinel_password").unwrap_or_default();
    let url = |host: &&str| {
        let port = if has_port(host) { String::new() } else { format!(":{SENTINEL_PORT}") };
        // The oldest Sentinels speak nothing else, and nothing else is needed.
        one(&format!("{scheme}://{user}:{password}@{host}{port}?protocol=resp2"))
    };
    let sentinels: Vec<_> = parts.hosts.iter().map(url).collect::<Result<_, _>>()?;
    let (user, query) = (parts.user, parts.query);
    let master = one(&format!("{scheme}://{user}@master/{database}?{query}"))?;
    Ok(Watched { sentinels, name: name.to_owned(), master })
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(']').map_or(host, |(_, after)| after).contains(':')
}

fn one(url: &str) -> Result<ConnectionInfo, StoreError> {
    // An empty user is none.
    let url = url.replace("://:@", "://").replace("://@", "://");
    let info = url.as_str().into_connection_info().map_err(|_| wrong())?;
    let settings = info.redis_settings().clone();
    // RESP3 lets us know at once when the server hangs up, and what others change.
    let chosen = url.split_once('?').is_some_and(|(_, query)| query.contains("protocol="));
    let protocol = if chosen { settings.protocol() } else { ProtocolVersion::RESP3 };
    Ok(info.set_redis_settings(settings.set_protocol(protocol)))
}

/// Returns how to speak with the server at `host` and `port` as `info` says for another.
pub(super) fn at(info: &ConnectionInfo, host: String, port: u16) -> ConnectionInfo {
    let address = match info.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host, port),
    };
    info.clone().set_addr(address)
}

fn needs_tls() -> Result<(), StoreError> {
    if cfg!(feature = "redis-tls") {
        return Ok(());
    }
    let what = "`rediss:` takes the feature `redis-tls` of the crate sessile, which is not enabled";
    Err(StoreError::unsupported(what))
}

fn wrong() -> StoreError {
    StoreError::failed(
        "a redis url is redis://user:password@host:6379/0, or rediss:// for TLS, \
         redis+unix:///path/to.sock?db=0, redis+sentinel://host,host/master/0 or \
         redis+cluster://host,host",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> String {
        let name =
            |info: &ConnectionInfo| format!("{} {}", info.addr(), info.redis_settings().db());
        match parse(url).unwrap() {
            Address::One(info) => name(&info),
            Address::Cluster(nodes) => nodes.iter().map(name).collect::<Vec<_>>().join(", "),
            Address::Sentinel(watched) => {
                let sentinels: Vec<_> = watched.sentinels.iter().map(name).collect();
                format!("{} of {}: {}", watched.name, sentinels.join(", "), name(&watched.master))
            }
        }
    }

    #[test]
    fn a_url_names_servers_and_a_database() {
        for (url, address) in [
            ("redis://localhost", "localhost:6379 0"),
            ("redis://user:p%40ss@10.0.0.1:7000/3", "10.0.0.1:7000 3"),
            ("redis://:secret@[::1]:7000", "::1:7000 0"),
            ("redis+unix:///run/redis/redis.sock?db=2", "/run/redis/redis.sock 2"),
            ("redis+cluster://a,b:7001/0", "a:6379 0, b:7001 0"),
            (
                "redis+sentinel://a,[::1],b:7/main",
                "main of a:26379 0, ::1:26379 0, b:7 0: master:6379 0",
            ),
            ("redis+sentinel://:pw@a/main/4", "main of a:26379 0: master:6379 4"),
        ] {
            assert_eq!(at(url), address, "{url}");
        }
    }

    #[test]
    fn users_and_passwords_are_decoded() {
        let credentials = |info: &ConnectionInfo| {
            let settings = info.redis_settings();
            (settings.username().map(str::to_owned), settings.password().map(str::to_owned))
        };
        let [user, password] = ["us:er", "p@ss"].map(|word| Some(word.to_owned()));
        let Address::One(info) = parse("redis://us%3Aer:p%40ss@host").unwrap() else { panic!() };
        assert_eq!(credentials(&info), (user.clone(), password.clone()));

        let url = "redis+cluster://us%3Aer:p%40ss@a,b";
        let Address::Cluster(nodes) = parse(url).unwrap() else { panic!() };
        assert!(nodes.iter().all(|node| credentials(node) == (user.clone(), password.clone())));

        let url = "redis+sentinel://:p%40ss@a/m?sentinel_username=us%3Aer&sentinel_password=s";
        let Address::Sentinel(watched) = parse(url).unwrap() else { panic!() };
        assert_eq!(credentials(&watched.master), (None, password));
        assert_eq!(credentials(&watched.sentinels[0]), (user, Some("s".to_owned())));
    }

    #[test]
    fn resp3_is_spoken_unless_the_url_says_otherwise() {
        for (url, protocol) in [
            ("redis://host", ProtocolVersion::RESP3),
            ("redis://host/0?protocol=resp2", ProtocolVersion::RESP2),
        ] {
            let Address::One(info) = parse(url).unwrap() else { panic!() };
            assert_eq!(info.redis_settings().protocol(), protocol);
        }
    }

    #[test]
    fn a_wrong_url_says_what_a_right_one_is_and_keeps_what_it_was() {
        for url in [
            "",
            "redis:",
            "redis://",
            "host",
            "http://hunter2",
            "redis://h/hunter2",
            "redis+cluster://",
            "redis+sentinel://:hunter2@host",
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.starts_with("a redis url is"), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = parse("redis+cluster://host/1").unwrap_err().to_string();
        assert_eq!(error, "a redis cluster has no database but 0");
    }
}
