//! Server-side HTTP sessions that speak the formats of Express's `express-session`.

pub mod stores;

#[doc(inline)]
pub use sessile_core::*;
