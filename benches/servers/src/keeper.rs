//! The servers that keep the sessions.

use std::process::Command;

use redis::Client;
use redis::aio::MultiplexedConnection;
use sessile_testkit::server::{self, Server};

use crate::Outcome;
use crate::contender::Keeper;

impl Keeper {
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Redis => "Redis",
        }
    }

    /// Starts one of its own.
    pub async fn start(self) -> Outcome<Server> {
        Ok(match self {
            Self::Postgres => server::postgres()?,
            Self::Redis => {
                let server = server::redis()?;
                // The disk is not what is measured.
                let mut config = redis::cmd("CONFIG");
                config.arg("SET").arg("appendonly").arg("no");
                config.query_async::<()>(&mut connect(&server).await?).await?;
                server
            }
        })
    }

    /// What it says of itself.
    pub fn version(self) -> String {
        let program = match self {
            Self::Postgres => "psql",
            Self::Redis => "redis-server",
        };
        let output = Command::new(program).arg("--version").output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let number = |word: &&str| word.trim_start_matches("v=").starts_with(char::is_numeric);
        let text = text.unwrap_or_default();
        let version = text.split_whitespace().find(number).unwrap_or_default();
        format!("{} {}", self.name(), version.trim_start_matches("v="))
    }
}

pub async fn connect(redis: &Server) -> Outcome<MultiplexedConnection> {
    Ok(Client::open(redis.url())?.get_multiplexed_async_connection().await?)
}
