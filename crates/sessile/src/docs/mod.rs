//! Guides.

#[doc = include_str!("attacks.md")]
pub mod attacks {}

#[doc = include_str!("cookies.md")]
pub mod cookies {}

#[doc = include_str!("defaults.md")]
pub mod defaults {}

#[doc = include_str!("express.md")]
pub mod express {}
