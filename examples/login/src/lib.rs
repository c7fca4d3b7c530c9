//! A small site that knows who you are.
//!
//! [`app`] is the whole site; `routes.rs` is the file to copy from.

mod config;
mod pages;
mod routes;

pub use config::Config;
pub use routes::app;
