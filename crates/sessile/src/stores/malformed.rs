//! What is stored and is no session.

use sessile_core::SessionId;

/// Says why what is stored under `id` is taken for none, and takes it for none: whoever has
/// its cookie begins anew, instead of meeting an error for ever.
pub(super) fn malformed<T>(id: &SessionId, why: &str) -> Option<T> {
    tracing::warn!(session = id.digest(), why, "a stored session is malformed and taken for none");
    None
}
