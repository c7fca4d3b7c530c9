//! What a session is: tickets, cookies, records, commit rules and the store
//! contract of [Sessile](https://docs.rs/sessile). No I/O, no driver.
//!
//! Applications use the crate `sessile`, which re-exports everything here;
//! authors of stores depend on this one.

mod clock;
mod cookie;
mod date;
mod error;
mod id;
mod json;
mod record;
mod store;

pub use clock::{Clock, SystemClock};
pub use cookie::{
    CookieOptions, Expiry, Priority, SameSite, Secure, SessionCookie, SetCookie, parse_cookies,
};
pub use error::{Error, ErrorKind, StoreError, StoreErrorKind};
pub use id::{IdGenerator, RandomIds, SessionId};
pub use record::Record;
pub use store::{
    AnyStore, Capability, Cursor, Page, Precondition, Saved, SessionStore, Stored, Version,
};
