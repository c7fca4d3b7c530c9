//! The site as its visitors and its operators meet it.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod client;
mod config;
mod site;
mod start;
