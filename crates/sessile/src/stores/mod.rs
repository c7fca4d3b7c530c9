//! Where sessions live. One feature and one file each.

mod connect;
#[cfg(feature = "postgres")]
mod instant;
#[cfg(feature = "memory")]
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "memory", feature = "postgres", feature = "sqlite"))]
mod sweep;

pub use connect::connect;
#[cfg(feature = "memory")]
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresBuilder, PostgresLayout, PostgresStore};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteBuilder, SqliteLayout, SqliteStore};
