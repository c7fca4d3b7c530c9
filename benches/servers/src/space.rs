//! What a session takes on a server that keeps very many.

use std::time::Duration;

use bench_report::record;
use redis::aio::MultiplexedConnection;
use sessile_testkit::server::Server;
use tokio_postgres::{Client, NoTls};

use crate::contender::Keeper;
use crate::keeper::connect;
use crate::{Outcome, now};

const BATCH: u64 = 1000;
const DAY_SECONDS: u64 = 86_400;
/// Parts in which all sessions are prolonged, with what autovacuum does in between.
const PARTS: u64 = 20;

/// Bytes per session in PostgreSQL.
pub struct PostgresSpace {
    pub table: f64,
    pub indexes: f64,
    /// Of table and indexes once each session has been prolonged.
    pub prolonged: f64,
}

/// Fills a Redis as `RedisStore` does, and returns the bytes per session.
pub async fn redis(sessions: u64) -> Outcome<f64> {
    let server = Keeper::Redis.start().await?;
    let mut connection = connect(&server).await?;
    let text = record::text(Some("2099-01-01T00:00:00.000Z"));
    let before = memory(&mut connection).await?;
    for start in (0..sessions).step_by(BATCH as usize) {
        let mut batch = redis::pipe();
        for n in start..sessions.min(start + BATCH) {
            let key = format!("sess:{}", record::id(n));
            batch.cmd("SET").arg(key).arg(&text).arg("EX").arg(DAY_SECONDS).ignore();
        }
        batch.query_async::<()>(&mut connection).await?;
    }
    Ok((memory(&mut connection).await? - before) / sessions as f64)
}

/// What it asks its allocator for.
async fn memory(connection: &mut MultiplexedConnection) -> Outcome<f64> {
    let info: String = redis::cmd("INFO").arg("memory").query_async(connection).await?;
    let bytes = info.lines().find_map(|line| line.strip_prefix("used_memory:")?.parse().ok());
    bytes.ok_or_else(|| "redis does not say what it uses".into())
}

/// Fills the table that `PostgresStore` makes.
pub async fn postgres(sessions: u64) -> Outcome<PostgresSpace> {
    let server = Keeper::Postgres.start().await?;
    sessile::stores::PostgresStore::connect(server.url()).await?;
    let client = client(&server).await?;
    let insert = client
        .prepare("INSERT INTO session (sid, sess, expire) SELECT sid, $2::text::json, $3 FROM unnest($1::text[]) AS sid")
        .await?;
    let text = record::text(Some("2099-01-01T00:00:00.000Z"));
    let expires = now() + Duration::from_secs(DAY_SECONDS);
    client.batch_execute("SET synchronous_commit = off; SET timezone = 'UTC'").await?;
    for start in (0..sessions).step_by(BATCH as usize) {
        let ids: Vec<String> = (start..sessions.min(start + BATCH)).map(record::id).collect();
        let expires = expires + Duration::from_millis(start);
        client.execute(&insert, &[&ids, &text, &expires]).await?;
    }
    client.batch_execute("VACUUM ANALYZE session").await?;
    let [table, indexes] = sizes(&client, sessions).await?;
    prolong(&client).await?;
    let prolonged = sizes(&client, sessions).await?.iter().sum();
    Ok(PostgresSpace { table, indexes, prolonged })
}

async fn client(server: &Server) -> Outcome<Client> {
    let (client, connection) = tokio_postgres::connect(server.url(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn sizes(client: &Client, sessions: u64) -> Outcome<[f64; 2]> {
    let sql = "SELECT pg_table_size('session'), pg_indexes_size('session')";
    let row = client.query_one(sql, &[]).await?;
    Ok([0, 1].map(|column| row.get::<_, i64>(column) as f64 / sessions as f64))
}

/// Moves every expiry once, as requests do in the course of a day.
async fn prolong(client: &Client) -> Outcome<()> {
    for part in 0..PARTS {
        let sql = format!(
            "UPDATE session SET expire = expire + interval '1 hour'
             WHERE abs(hashtext(sid)) % {PARTS} = {part}"
        );
        client.batch_execute(&sql).await?;
        client.batch_execute("VACUUM session").await?;
    }
    Ok(())
}
