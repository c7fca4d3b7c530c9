//! TLS for those URLs that ask for it.

use mysql_async::{Opts, OptsBuilder, SslOpts};

use super::MysqlBuilder;
use crate::stores::cryptography;

/// Whom to trust: Mozilla's authorities, or these alone.
#[derive(Clone, Default)]
pub(super) struct Tls {
    authorities: Option<Vec<u8>>,
}

impl MysqlBuilder {
    /// Trusts the authorities in `pem` alone, instead of those that Mozilla trusts: for a
    /// server whose certificate is your own. Takes effect with `require_ssl=true`.
    ///
    /// ```
    /// # use sessile::stores::MysqlStore;
    /// let authority = "-----BEGIN CERTIFICATE-----\n\u{2026}";
    /// let builder = MysqlStore::builder("mysql://db.example.com/app?require_ssl=true")
    ///     .with_root_certificate(authority);
    /// # drop(builder);
    /// ```
    pub fn with_root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.authorities = Some(pem.into());
        self
    }
}

impl Tls {
    pub(super) fn apply(&self, opts: Opts) -> OptsBuilder {
        let Some(ssl) = opts.ssl_opts().cloned() else { return OptsBuilder::from_opts(opts) };
        cryptography::choose();
        let ssl: SslOpts = match self.authorities.clone() {
            Some(pem) => ssl.with_root_certs(vec![pem.into()]).with_disable_built_in_roots(true),
            None => ssl,
        };
        OptsBuilder::from_opts(opts).ssl_opts(ssl)
    }
}
