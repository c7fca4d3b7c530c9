//! TLS for those URLs that ask for it.

use std::sync::Arc;

use deadpool_postgres::{Manager, ManagerConfig};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use sessile_core::StoreError;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::PostgresBuilder;

/// Whom to trust: the system's authorities, or these alone.
#[derive(Clone, Default)]
pub(super) struct Tls {
    authorities: Option<Vec<u8>>,
}

impl PostgresBuilder {
    /// Trusts the authorities in `pem` alone, instead of those that the system trusts: for a
    /// server whose certificate is your own. Takes effect with `sslmode=require`.
    ///
    /// ```
    /// # use sessile::stores::PostgresStore;
    /// let authority = "-----BEGIN CERTIFICATE-----\n\u{2026}";
    /// let builder = PostgresStore::builder("postgres://db.example.com/app?sslmode=require")
    ///     .with_root_certificate(authority);
    /// # drop(builder);
    /// ```
    pub fn with_root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.authorities = Some(pem.into());
        self
    }
}

impl Tls {
    pub(super) fn manager(
        &self,
        config: Config,
        how: ManagerConfig,
    ) -> Result<Manager, StoreError> {
        if config.get_ssl_mode() != SslMode::Require {
            return Ok(Manager::from_config(config, NoTls, how));
        }
        let unusable = "TLS cannot be set up";
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| StoreError::failed(unusable).with_source(error))?
            .with_root_certificates(self.roots()?)
            .with_no_client_auth();
        Ok(Manager::from_config(config, MakeRustlsConnect::new(client), how))
    }

    fn roots(&self) -> Result<RootCertStore, StoreError> {
        let mut roots = RootCertStore::empty();
        let Some(pem) = &self.authorities else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(roots);
        };
        let wrong = || StoreError::failed("the root certificate is not one in PEM");
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| wrong().with_source(error))?;
            roots.add(certificate).map_err(|error| wrong().with_source(error))?;
        }
        if roots.is_empty() { Err(wrong()) } else { Ok(roots) }
    }
}
