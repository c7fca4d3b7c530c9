//! The session cookie: what comes in, what goes out, and the copy each session carries.

mod header;
mod known;
mod options;
mod set_cookie;
mod stored;

pub use header::parse_cookies;
pub(crate) use header::{cookies_named, percent_decode_in, percent_encode};
pub(crate) use known::Known as KnownCookie;
pub use options::{CookieOptions, Expiry, Priority, SameSite, Secure};
pub use set_cookie::SetCookie;
pub(crate) use set_cookie::is_token;
pub(crate) use stored::Attributes;
pub use stored::SessionCookie;
