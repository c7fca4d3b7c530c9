//! Who is measured: applications of the same three routes, each a process of its own.
//!
//! `/seed` makes a session that holds the whole [record](bench_report::record), `/read` answers
//! with its `username`, `/count` adds one to `views` and answers with it. The raw limits
//! know no sessions: they send the server the necessary commands and look at nothing.

mod actix;
mod ours;
mod raw;
mod tower;

use std::error::Error;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::{env, io};

use axum::Router;
use bench_report::record;
use tokio::runtime::Runtime;

use crate::Outcome;

/// How long a session lives. All contenders agree.
const DAY_SECONDS: u32 = 86_400;
/// Connections to PostgreSQL, of whoever keeps a pool.
const CONNECTIONS: u32 = 16;
/// What signs cookies. Some want 64 bytes.
const SECRET: &str = "sixty-four bytes that nobody knows, as some want no fewer of them";

/// A server that keeps sessions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Keeper {
    Postgres,
    Redis,
}

/// One way to have sessions.
pub struct Contender {
    /// What its child process is told.
    pub key: &'static str,
    pub name: &'static str,
    pub package: &'static str,
    pub keeper: Keeper,
    /// Whether answers hold what the session holds.
    pub has_sessions: bool,
    program: Program,
}

enum Program {
    /// A function of this program.
    Rust(fn(&str) -> Outcome<()>),
    /// A script in benches/node.
    Node(&'static str),
}

/// In the order of the table; of each keeper the first is the raw limit.
pub const CONTENDERS: [Contender; 14] = [
    raw("redis-raw", "axum + the commands alone", Keeper::Redis, |url| axum(raw::redis(url))),
    sessions("redis-spared", "sessile, touch_after", "sessile", Keeper::Redis, |url| {
        axum(ours::redis(url, ours::Touch::AfterAMinute))
    }),
    sessions("redis-touched", "sessile, touched each time", "sessile", Keeper::Redis, |url| {
        axum(ours::redis(url, ours::Touch::EachTime))
    }),
    sessions("redis-cached", "sessile, client cache", "sessile", Keeper::Redis, |url| {
        axum(ours::cached_redis(url))
    }),
    sessions("redis-tower", "tower-sessions", "tower-sessions", Keeper::Redis, |url| {
        axum(tower::redis(url, false))
    }),
    sessions(
        "redis-tower-always",
        "tower-sessions, always_save",
        "tower-sessions",
        Keeper::Redis,
        |url| axum(tower::redis(url, true)),
    ),
    sessions("redis-actix", "actix-session", "actix-session", Keeper::Redis, actix::redis),
    express("redis-express", "Express + connect-redis", Keeper::Redis, "redis.mjs"),
    raw("postgres-raw", "axum + the statements alone", Keeper::Postgres, |url| {
        axum(raw::postgres(url))
    }),
    sessions("postgres-spared", "sessile, touch_after", "sessile", Keeper::Postgres, |url| {
        axum(ours::postgres(url, ours::Touch::AfterAMinute))
    }),
    sessions(
        "postgres-touched",
        "sessile, touched each time",
        "sessile",
        Keeper::Postgres,
        |url| axum(ours::postgres(url, ours::Touch::EachTime)),
    ),
    sessions("postgres-tower", "tower-sessions", "tower-sessions", Keeper::Postgres, |url| {
        axum(tower::postgres(url, false))
    }),
    sessions(
        "postgres-tower-always",
        "tower-sessions, always_save",
        "tower-sessions",
        Keeper::Postgres,
        |url| axum(tower::postgres(url, true)),
    ),
    express("postgres-express", "Express + connect-pg-simple", Keeper::Postgres, "postgres.mjs"),
];

const fn raw(
    key: &'static str,
    name: &'static str,
    keeper: Keeper,
    serve: fn(&str) -> Outcome<()>,
) -> Contender {
    let program = Program::Rust(serve);
    Contender { key, name, package: "axum", keeper, has_sessions: false, program }
}

const fn sessions(
    key: &'static str,
    name: &'static str,
    package: &'static str,
    keeper: Keeper,
    serve: fn(&str) -> Outcome<()>,
) -> Contender {
    Contender { key, name, package, keeper, has_sessions: true, program: Program::Rust(serve) }
}

const fn express(
    key: &'static str,
    name: &'static str,
    keeper: Keeper,
    script: &'static str,
) -> Contender {
    let program = Program::Node(script);
    Contender { key, name, package: "express", keeper, has_sessions: true, program }
}

impl Contender {
    /// Returns the program and its arguments that serve this contender over `url`.
    pub fn command(&self, url: &str) -> io::Result<Vec<String>> {
        Ok(match self.program {
            Program::Rust(_) => {
                let this = env::current_exe()?.display().to_string();
                vec![this, "serve".into(), self.key.into(), url.into()]
            }
            Program::Node(script) => {
                let script = node_directory().join(script).display().to_string();
                vec!["node".into(), script, url.into()]
            }
        })
    }

    /// Says whose trouble it was.
    pub fn trouble(&self, error: &dyn Error) -> String {
        format!("{}: {error}", self.key)
    }

    pub fn is_ours(&self) -> bool {
        self.package == "sessile"
    }

    /// Tells whether it can run here; installs what npm can.
    pub fn is_here(&self) -> bool {
        match self.program {
            Program::Rust(_) => true,
            Program::Node(_) => has_packages(),
        }
    }
}

/// The child's side: serves until it is killed.
pub fn serve(key: &str, url: &str) -> Outcome<()> {
    let contender = CONTENDERS.iter().find(|contender| contender.key == key);
    match contender.map(|contender| &contender.program) {
        Some(Program::Rust(serve)) => serve(url),
        Some(Program::Node(_)) | None => Err(format!("`{key}` is none of this program").into()),
    }
}

/// Serves an axum application, as `#[tokio::main]` and [`axum::serve`] do.
fn axum(app: impl Future<Output = Outcome<Router>>) -> Outcome<()> {
    Runtime::new()?.block_on(async {
        let app = app.await?;
        let listener = tokio::net::TcpListener::from_std(announced()?)?;
        Ok(axum::serve(listener, app).await?)
    })
}

/// Opens a port and tells it to whoever started this process.
fn announced() -> io::Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let mut out = io::stdout();
    writeln!(out, "{}", listener.local_addr()?.port())?;
    out.flush()?;
    Ok(listener)
}

/// The record's text, with an expiry that is far away.
fn text() -> String {
    record::text(Some("2099-01-01T00:00:00.000Z"))
}

fn node_directory() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../node"))
}

fn has_packages() -> bool {
    if node_directory().join("node_modules/connect-redis").is_dir() {
        return true;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(node_directory());
    npm.status().is_ok_and(|status| status.success())
}
