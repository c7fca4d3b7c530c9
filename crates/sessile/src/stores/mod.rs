//! Where sessions live. One feature and one file each.

#[cfg(any(
    feature = "file",
    feature = "mongodb",
    feature = "mysql",
    feature = "postgres",
    feature = "redis",
    feature = "sqlite"
))]
mod capabilities;
mod connect;
#[cfg(any(feature = "mysql-tls", feature = "redis-tls"))]
mod cryptography;
#[cfg(feature = "file")]
mod file;
#[cfg(any(
    feature = "file",
    feature = "memcached",
    feature = "mongodb",
    feature = "mysql",
    feature = "postgres"
))]
mod instant;
#[cfg(any(
    feature = "file",
    feature = "memcached",
    feature = "mongodb",
    feature = "mysql",
    feature = "postgres",
    feature = "redis",
    feature = "sqlite"
))]
mod malformed;
#[cfg(feature = "memcached")]
mod memcached;
#[cfg(feature = "memory")]
mod memory;
#[cfg(feature = "mongodb")]
mod mongodb;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(
    feature = "file",
    feature = "memory",
    feature = "mongodb",
    feature = "mysql",
    feature = "postgres",
    feature = "sqlite"
))]
mod sweep;
#[cfg(any(feature = "file", feature = "memcached"))]
mod touched;
#[cfg(any(feature = "file", feature = "sqlite"))]
mod when;

pub use connect::connect;
#[cfg(feature = "file")]
pub use file::{FileBuilder, FileStore};
#[cfg(feature = "memcached")]
pub use memcached::{MemcachedBuilder, MemcachedStore};
#[cfg(feature = "memory")]
pub use memory::MemoryStore;
#[cfg(feature = "mongodb")]
pub use mongodb::{MongoAutoRemove, MongoBuilder, MongoLayout, MongoStore};
#[cfg(feature = "mysql")]
pub use mysql::{MysqlBuilder, MysqlLayout, MysqlStore};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresBuilder, PostgresLayout, PostgresStore};
#[cfg(feature = "redis")]
pub use redis::{RedisBuilder, RedisStore};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteBuilder, SqliteLayout, SqliteStore};
