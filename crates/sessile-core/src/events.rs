//! What Sessile tells whoever operates it: `tracing` events and, with the
//! feature `metrics`, counters. Ids appear as digests only.

use crate::{Error, SessionId};

/// Adds one to a counter, where there is somebody to count.
macro_rules! count {
    ($($args:tt)*) => {{
        #[cfg(feature = "metrics")]
        metrics::counter!($($args)*).increment(1);
    }};
}

pub(crate) fn bad_signature() {
    count!("sessile_bad_signatures");
    tracing::debug!("a session cookie is not signed by us; the visitor is anonymous");
}

pub(crate) fn malformed(id: &SessionId, reason: &str) {
    count!("sessile_malformed_records");
    tracing::warn!(session = %id.digest(), reason, "a stored session makes no sense; the visitor gets a new one");
}

pub(crate) fn store_failed(operation: &'static str, error: &crate::StoreError) {
    count!("sessile_store_errors", "operation" => operation);
    let cause = std::error::Error::source(error);
    tracing::error!(operation, error = %error, cause = cause.map(tracing::field::display), "the session store failed");
}

pub(crate) fn conflict(id: &SessionId) {
    count!("sessile_conflicts");
    tracing::debug!(session = %id.digest(), "another request saved the session first; merging");
}

pub(crate) fn gone(id: &SessionId) {
    count!("sessile_gone");
    tracing::info!(session = %id.digest(), "the session was destroyed or expired while a request used it; its late write is dropped");
}

pub(crate) fn id_collision(id: &SessionId) {
    count!("sessile_id_collisions");
    tracing::error!(session = %id.digest(), "the id generator gave an id that is taken; trying another");
}

pub(crate) fn undeliverable(first: bool) {
    count!("sessile_undeliverable_cookies");
    if first {
        tracing::warn!(
            "a session was not created: its cookie is Secure and the connection is not. \
             Behind a proxy that ends TLS, set with_trust_proxy; in development, Secure::Auto"
        );
    }
}

pub(crate) fn commit_failed(error: &Error) {
    count!("sessile_failed_commits");
    let cause = std::error::Error::source(error);
    tracing::error!(error = %error, cause = cause.map(tracing::field::display), "the session was not saved; the client gets an error instead of the response");
}

pub(crate) fn unsaved(after_response: bool) {
    count!("sessile_unsaved_changes");
    if after_response {
        tracing::warn!(
            "a session changed after its response had left and was dropped unsaved; call save().await"
        );
    } else {
        tracing::warn!("a request ended before its response; its session changes are not saved");
    }
}
