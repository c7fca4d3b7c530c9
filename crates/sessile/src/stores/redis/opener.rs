//! How a connection is opened.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{AsyncPushSender, SendError};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ProtocolVersion, PushInfo, PushKind, RedisResult,
};

use super::link::Live;

/// How long a server may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(2);
/// The layer gives up long before. This is for those who ask without a layer.
const RESPONSE_PATIENCE: Duration = Duration::from_secs(15);
/// A host that vanished without a word is noticed after so long.
const SILENCE: Duration = Duration::from_secs(15);
/// How many requests wait for the connection's task at most, before others wait for them.
const BUFFERED: usize = 1024;

/// Opens connections to one server.
#[derive(Clone)]
pub(super) struct Opener {
    client: Client,
}

impl Opener {
    pub(super) fn new(client: Client) -> Self {
        #[cfg(feature = "redis-tls")]
        choose_cryptography();
        Self { client }
    }

    pub(super) async fn open(&self) -> RedisResult<Live> {
        let closed = Arc::new(AtomicBool::new(false));
        let config = self.config(&closed);
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Live::new(connection, closed))
    }

    fn config(&self, closed: &Arc<AtomicBool>) -> AsyncConnectionConfig {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(RESPONSE_PATIENCE))
            .set_pipeline_buffer_size(BUFFERED);
        let settings = self.client.get_connection_info().redis_settings();
        if settings.protocol() == ProtocolVersion::RESP2 {
            return config;
        }
        config.set_push_sender(HangUp(Arc::clone(closed)))
    }
}

/// Belongs to the task that reads the connection, and says when that is over.
struct HangUp(Arc<AtomicBool>);

impl AsyncPushSender for HangUp {
    fn send(&self, push: PushInfo) -> Result<(), SendError> {
        if push.kind == PushKind::Disconnection {
            self.0.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.client.get_connection_info().addr())
    }
}

/// The redis crate takes the process' default for its TLS. An application that has chosen
/// one already keeps it.
#[cfg(feature = "redis-tls")]
fn choose_cryptography() {
    use rustls::crypto::{CryptoProvider, ring};
    if CryptoProvider::get_default().is_none() {
        // Somebody else may have been quicker, which is as good.
        let _ = ring::default_provider().install_default();
    }
}

/// Lets small requests leave at once, and notices a host that vanished.
pub(super) fn tuned(info: ConnectionInfo) -> ConnectionInfo {
    let keepalive = TcpKeepalive::new().with_time(SILENCE).with_interval(SILENCE / 3);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(SILENCE);
    info.set_tcp_settings(settings)
}
