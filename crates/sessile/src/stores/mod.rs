//! Where sessions live. One feature and one file each.

mod connect;
#[cfg(feature = "memory")]
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "memory", feature = "sqlite"))]
mod sweep;

pub use connect::connect;
#[cfg(feature = "memory")]
pub use memory::MemoryStore;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteBuilder, SqliteLayout, SqliteStore};
