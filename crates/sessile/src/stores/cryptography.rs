//! The cryptography of TLS, for drivers that take the process' default.

use rustls::crypto::{CryptoProvider, ring};

/// Makes sure that there is a default. An application that has chosen one keeps it.
pub(super) fn choose() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else may have been quicker, which is as good.
        let _ = ring::default_provider().install_default();
    }
}
