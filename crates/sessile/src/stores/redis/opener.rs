//! How a connection is opened.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection, SendError};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, ProtocolVersion, PushInfo, PushKind,
    RedisError, RedisResult, Value,
};

use super::address::{Watched, at};
use super::cache::Cache;
use super::live::Live;

/// How long a server may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a Sentinel may take for all it is asked.
const SENTINEL_PATIENCE: Duration = Duration::from_secs(1);
/// The layer gives up long before. This is for those who ask without a layer.
const RESPONSE_PATIENCE: Duration = Duration::from_secs(15);
/// A host that vanished without a word is noticed after so long.
const SILENCE: Duration = Duration::from_secs(15);
/// How many requests wait for the connection's task at most, before others wait for them.
const BUFFERED: usize = 1024;

/// Opens connections to one server.
#[derive(Clone)]
pub(super) struct Opener {
    target: Target,
    cache: Option<Cache>,
}

#[derive(Clone)]
enum Target {
    One(ConnectionInfo),
    Sentinel(Watched),
}

impl Opener {
    pub(super) fn one(info: ConnectionInfo) -> Self {
        Self { target: Target::One(info), cache: None }
    }

    pub(super) fn sentinel(watched: Watched) -> Self {
        Self { target: Target::Sentinel(watched), cache: None }
    }

    /// Has the server tell the cache what changes.
    pub(super) fn with_cache(mut self, cache: Option<Cache>) -> Self {
        self.cache = cache;
        self
    }

    pub(super) async fn open(&self) -> RedisResult<Live> {
        let cache = self.cache.as_ref();
        let live = match &self.target {
            Target::One(info) => connect(info, cache).await?,
            Target::Sentinel(watched) => watched.open(cache).await?,
        };
        if let Some(cache) = cache {
            live.ask_one(redis::cmd("CLIENT").arg("TRACKING").arg("ON")).await?;
            // What another connection read, this one is not told of.
            cache.clear();
        }
        Ok(live)
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::One(info) => write!(f, "{}", info.addr()),
            Target::Sentinel(watched) => f.write_str(&watched.name),
        }
    }
}

async fn connect(info: &ConnectionInfo, cache: Option<&Cache>) -> RedisResult<Live> {
    let closed = Arc::new(AtomicBool::new(false));
    let mut config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(RESPONSE_PATIENCE))
        .set_pipeline_buffer_size(BUFFERED);
    if info.redis_settings().protocol() != ProtocolVersion::RESP2 {
        config = config.set_push_sender(Ear { closed: Arc::clone(&closed), cache: cache.cloned() });
    }
    Ok(Live::new(open(info, &config).await?, closed))
}

async fn open(
    info: &ConnectionInfo,
    config: &AsyncConnectionConfig,
) -> RedisResult<MultiplexedConnection> {
    #[cfg(feature = "redis-tls")]
    crate::stores::cryptography::choose();
    let client = Client::open(tuned(info.clone()))?;
    client.get_multiplexed_async_connection_with_config(config).await
}

impl Watched {
    /// Asks one Sentinel after the other who the master is, and connects to it. One that
    /// lives apart from the others may name a server that is the master no more.
    async fn open(&self, cache: Option<&Cache>) -> RedisResult<Live> {
        let mut last = RedisError::from((ErrorKind::InvalidClientConfig, "no sentinel is named"));
        for sentinel in &self.sentinels {
            match self.master_by(sentinel, cache).await {
                Ok(live) => return Ok(live),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn master_by(
        &self,
        sentinel: &ConnectionInfo,
        cache: Option<&Cache>,
    ) -> RedisResult<Live> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(SENTINEL_PATIENCE))
            .set_response_timeout(Some(SENTINEL_PATIENCE));
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        let answer = open(sentinel, &config).await?.send_packed_command(&question).await?;
        let Some((host, port)) = host_and_port(&answer.extract_error()?) else {
            let what = "the sentinel knows no master of that name";
            return Err((ErrorKind::MasterNameNotFoundBySentinel, what).into());
        };
        let live = connect(&at(&self.master, host, port), cache).await?;
        let role = live.ask_one(&redis::cmd("ROLE")).await?;
        match &role {
            Value::Array(parts) if parts.first().is_some_and(is_master) => Ok(live),
            _ => Err(not_ready("the sentinel names a server that is no master")),
        }
    }
}

fn host_and_port(answer: &Value) -> Option<(String, u16)> {
    let Value::Array(parts) = answer else { return None };
    let [Value::BulkString(host), Value::BulkString(port)] = parts.as_slice() else { return None };
    let host = String::from_utf8(host.clone()).ok()?;
    Some((host, std::str::from_utf8(port).ok()?.parse().ok()?))
}

fn is_master(role: &Value) -> bool {
    matches!(role, Value::BulkString(role) if role == b"master")
}

/// Says that it is worth trying again soon.
pub(super) fn not_ready(what: &'static str) -> RedisError {
    std::io::Error::new(std::io::ErrorKind::NotConnected, what).into()
}

/// Hears what the server says unasked, and that it has hung up. It belongs to the task that
/// reads the connection, and goes with it.
struct Ear {
    closed: Arc<AtomicBool>,
    cache: Option<Cache>,
}

impl AsyncPushSender for Ear {
    fn send(&self, push: PushInfo) -> Result<(), SendError> {
        if push.kind == PushKind::Disconnection {
            self.closed.store(true, Ordering::Relaxed);
        }
        if let Some(cache) = &self.cache {
            cache.listen(&push);
        }
        Ok(())
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(cache) = &self.cache {
            cache.clear();
        }
    }
}

/// Lets small requests leave at once, and notices a host that vanished.
fn tuned(info: ConnectionInfo) -> ConnectionInfo {
    let keepalive = TcpKeepalive::new().with_time(SILENCE).with_interval(SILENCE / 3);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(SILENCE);
    info.set_tcp_settings(settings)
}
