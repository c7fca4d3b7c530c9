//! Server-side HTTP sessions that speak the formats of Express's `express-session`.

mod future;
mod layer;
mod service;
pub mod stores;

pub use future::ResponseFuture;
pub use layer::SessionLayer;
#[doc(inline)]
pub use sessile_core::*;
pub use service::SessionService;
