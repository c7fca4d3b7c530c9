//! What a session is: tickets, cookies, records, commit rules and the store
//! contract of [Sessile](https://docs.rs/sessile). No I/O, no driver.
//!
//! Applications use the crate `sessile`, which re-exports everything here;
//! authors of stores depend on this one.

mod any_store;
mod at_once;
#[cfg(feature = "axum")]
mod axum;
mod behind;
mod buffer;
mod builder;
mod clock;
mod commit;
mod cookie;
mod cookie_handle;
mod data;
mod date;
mod deadline;
mod end;
mod error;
mod events;
mod guard;
mod handle;
mod headers;
mod id;
mod json;
mod keep_alive;
mod key;
mod keys;
mod load;
mod locks;
mod options;
mod path;
mod record;
mod save;
mod session;
mod sessions;
mod share;
mod signature;
mod state;
mod store;
mod tickets;
mod touches;
mod turn;
mod typed;
mod unanswered;
mod verbs;
mod verified;
mod visit;

pub use any_store::AnyStore;
pub use builder::Builder;
pub use clock::{Clock, SystemClock};
pub use cookie::{
    CookieOptions, Expiry, Priority, SameSite, Secure, SessionCookie, SetCookie, parse_cookies,
};
pub use cookie_handle::CookieHandle;
pub use error::{Error, ErrorKind, StoreError, StoreErrorKind};
pub use handle::SessionHandle;
pub use id::{IdGenerator, RandomIds, SessionId};
pub use key::{Key, SessionKey};
pub use options::{Concurrency, Https, OnStoreError, TrustProxy, Unset};
pub use record::Record;
pub use session::Session;
pub use sessions::Sessions;
pub use signature::Secrets;
pub use store::{Capability, Cursor, Page, Precondition, Saved, SessionStore, Stored, Version};
pub use typed::Typed;
