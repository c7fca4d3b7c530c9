//! What becomes of an URL that asks for TLS where there is none.

use deadpool_postgres::{Manager, ManagerConfig};
use sessile_core::StoreError;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

#[derive(Clone, Default)]
pub(super) struct Tls {}

impl Tls {
    pub(super) fn manager(
        &self,
        config: Config,
        how: ManagerConfig,
    ) -> Result<Manager, StoreError> {
        if config.get_ssl_mode() == SslMode::Require {
            return Err(StoreError::unsupported(
                "this url asks for TLS, which takes the feature `postgres-tls` of the crate \
                 sessile, or a pool with TLS of your own and PostgresStore::from_pool",
            ));
        }
        Ok(Manager::from_config(config, NoTls, how))
    }
}
