//! One URL opens any store.

use sessile_core::{AnyStore, StoreError};

/// What opens with each scheme, and the feature it takes.
const SCHEMES: &[(&str, &str)] = &[
    ("file", "file"),
    ("mariadb", "mysql"),
    ("memcached", "memcached"),
    ("memory", "memory"),
    ("mongodb", "mongodb"),
    ("mongodb+srv", "mongodb"),
    ("mysql", "mysql"),
    ("postgres", "postgres"),
    ("postgresql", "postgres"),
    ("redis", "redis"),
    ("redis+cluster", "redis"),
    ("redis+sentinel", "redis"),
    ("redis+unix", "redis"),
    ("rediss", "redis-tls"),
    ("rediss+cluster", "redis-tls"),
    ("rediss+sentinel", "redis-tls"),
    ("sqlite", "sqlite"),
];

/// Opens the store that `url` names, so that a deployment chooses it and not the code.
///
/// | URL | store | feature |
/// |---|---|---|
/// | `file:///var/lib/app/sessions`, `file://./sessions` | `FileStore` | `file` |
/// | `memcached://127.0.0.1:11211`, several with commas between | `MemcachedStore` | `memcached` |
/// | `memory:` | `MemoryStore` | `memory` |
/// | `mongodb://localhost/shop`, `mongodb+srv://cluster.example.com/shop` | `MongoStore` | `mongodb` |
/// | `mysql://user:password@host/database`, also `mariadb:` | `MysqlStore` | `mysql` |
/// | `postgres://user:password@host/database`, also `postgresql:` | `PostgresStore` | `postgres` |
/// | `redis://host:6379/0`, `redis+unix:///run/redis.sock` | `RedisStore` | `redis` |
/// | `redis+sentinel://host,host/master/0`, `redis+cluster://host,host` | `RedisStore` | `redis` |
/// | `rediss://…`, `rediss+sentinel://…`, `rediss+cluster://…` | `RedisStore` | `redis-tls` |
/// | `sqlite://sessions.db`, `sqlite::memory:` | `SqliteStore` | `sqlite` |
///
/// What else a URL may say stands in the docs of each store's `connect`.
///
/// # Errors
///
/// If no store has such URLs, if its feature is not enabled, or if the store cannot be
/// opened. The message never contains the URL, which may hold a password.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sessile::StoreError> {
/// # #[cfg(feature = "memory")]
/// let store = sessile::stores::connect("memory:").await?;
///
/// let error = sessile::stores::connect("carrier-pigeon://loft").await.unwrap_err();
/// assert!(error.to_string().starts_with("no store is opened by `carrier-pigeon:`"));
/// # Ok(())
/// # }
/// ```
pub async fn connect(url: &str) -> Result<AnyStore, StoreError> {
    let (scheme, _) = url.split_once(':').ok_or_else(|| {
        StoreError::failed("a store's url begins with its scheme, like sqlite://sessions.db")
    })?;
    match scheme {
        #[cfg(feature = "file")]
        "file" => super::FileStore::connect(url).await.map(AnyStore::new),
        #[cfg(feature = "memcached")]
        "memcached" => super::MemcachedStore::connect(url).await.map(AnyStore::new),
        #[cfg(feature = "memory")]
        "memory" => Ok(AnyStore::new(super::MemoryStore::new())),
        #[cfg(feature = "mongodb")]
        "mongodb" | "mongodb+srv" => super::MongoStore::connect(url).await.map(AnyStore::new),
        #[cfg(feature = "mysql")]
        "mariadb" | "mysql" => super::MysqlStore::connect(url).await.map(AnyStore::new),
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => super::PostgresStore::connect(url).await.map(AnyStore::new),
        #[cfg(feature = "redis")]
        "redis" | "redis+cluster" | "redis+sentinel" | "redis+unix" | "rediss"
        | "rediss+cluster" | "rediss+sentinel" => {
            super::RedisStore::connect(url).await.map(AnyStore::new)
        }
        #[cfg(feature = "sqlite")]
        "sqlite" => super::SqliteStore::connect(url).await.map(AnyStore::new),
        _ => Err(StoreError::unsupported(why_not(scheme))),
    }
}

fn why_not(scheme: &str) -> String {
    match SCHEMES.iter().find(|(known, _)| *known == scheme) {
        Some((_, feature)) => {
            format!(
                "`{scheme}:` takes the feature `{feature}` of the crate sessile, which is not enabled"
            )
        }
        None => {
            let known: Vec<_> = SCHEMES.iter().map(|(scheme, _)| *scheme).collect();
            // What stands before the first colon may be anything, a password too.
            let plausible = scheme.len() <= 20
                && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || b"+-.".contains(&byte));
            let given = if plausible { format!("`{scheme}:`") } else { "that url".to_owned() };
            format!("no store is opened by {given}; there are {}", known.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_that_is_missing_is_named() {
        assert_eq!(
            why_not("sqlite"),
            "`sqlite:` takes the feature `sqlite` of the crate sessile, which is not enabled"
        );
    }

    #[tokio::test]
    async fn a_wrong_url_says_what_there_is_and_keeps_what_it_was() {
        for (url, says) in [
            ("", "a store's url begins"),
            ("sessions.db", "a store's url begins"),
            ("Hunter2:x", "no store is opened by that url; there are file, "),
            ("http://host", "no store is opened by `http:`; there are file, "),
        ] {
            let error = connect(url).await.unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
            assert!(!error.contains("Hunter2"), "{error}");
        }
    }
}
