//! Connections to PostgreSQL: borrowed for one statement, thrown away if it was abandoned.

use std::error::Error;
use std::fmt;

use deadpool_postgres::{Object, Pool, PoolError};
use sessile_core::StoreError;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

/// How often a statement is tried that the server gave up for another one's sake.
const TRIES: u32 = 10;

pub(super) type Params<'p> = &'p [&'p (dyn ToSql + Sync)];

/// Runs statements, each prepared once on each connection.
pub(super) struct Client {
    pool: Pool,
}

impl Client {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Runs `sql` in one round trip. `what` says in an error what was tried.
    pub(super) async fn query(
        &self,
        what: &'static str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        self.run(what, sql, params).await?.map_err(|error| failure(what, error))
    }

    /// As [`query`](Self::query), but `None` if a row with that unique key exists.
    pub(super) async fn query_unique(
        &self,
        what: &'static str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Option<Vec<Row>>, StoreError> {
        match self.run(what, sql, params).await? {
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(None),
            outcome => outcome.map(Some).map_err(|error| failure(what, error)),
        }
    }

    /// Prepares statements on one connection, so that a table they do not fit is known at once.
    pub(super) async fn prepare(&self, what: &str, statements: &[&str]) -> Result<(), StoreError> {
        let lease = self.lease(what).await?;
        for sql in statements {
            lease.client().prepare_cached(sql).await.map_err(|error| failure(what, error))?;
        }
        lease.give_back();
        Ok(())
    }

    async fn run(
        &self,
        what: &'static str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Result<Vec<Row>, tokio_postgres::Error>, StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let lease = self.lease(what).await?;
            let outcome = ask(lease.client(), sql, params).await;
            let Err(error) = outcome else {
                lease.give_back();
                return Ok(outcome);
            };
            let verdict = Verdict::on(error.code());
            if verdict == Verdict::Stale {
                lease.client().statement_cache.clear();
            }
            // One that only reads may be another server tomorrow, but not over this connection.
            if error.as_db_error().is_some() && verdict != Verdict::Demoted {
                lease.give_back();
            }
            if matches!(verdict, Verdict::Demoted | Verdict::Final) || tries == TRIES {
                return Ok(Err(error));
            }
        }
    }

    /// Borrows a connection.
    pub(super) async fn lease(&self, what: &str) -> Result<Lease, StoreError> {
        let client = self.pool.get().await.map_err(|error| no_connection(what, error))?;
        Ok(Lease(Some(client)))
    }
}

async fn ask(
    client: &Object,
    sql: &str,
    params: Params<'_>,
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let statement: Statement = client.prepare_cached(sql).await?;
    client.query(&statement, params).await
}

/// A borrowed connection. If whoever holds it goes away in the middle, it is closed: the
/// server may be hanging, and the next one shall not wait behind a forgotten question.
pub(super) struct Lease(Option<Object>);

impl Lease {
    pub(super) fn client(&self) -> &Object {
        self.0.as_ref().expect("it is there until it is given back")
    }

    pub(super) fn client_mut(&mut self) -> &mut Object {
        self.0.as_mut().expect("it is there until it is given back")
    }

    /// Gives back a connection that waits for nothing.
    pub(super) fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}

/// What an error means for the next try.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    /// The server only reads: another one has taken its place.
    Demoted,
    /// It would fail again, or nobody knows whether it was done.
    Final,
    /// It was rolled back in favour of another; it may go better now.
    Rival,
    /// The prepared statement does not fit any more: somebody changed the table.
    Stale,
}

impl Verdict {
    fn on(code: Option<&SqlState>) -> Self {
        match code {
            Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED) => {
                Self::Rival
            }
            Some(&SqlState::FEATURE_NOT_SUPPORTED | &SqlState::INVALID_SQL_STATEMENT_NAME) => {
                Self::Stale
            }
            Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => Self::Demoted,
            _ => Self::Final,
        }
    }
}

/// Turns the driver's error into the store's.
pub(super) fn failure(what: &str, error: tokio_postgres::Error) -> StoreError {
    let message = format!("postgres could not {what}");
    let Some(refusal) = Refusal::of(&error) else {
        return StoreError::unavailable(message).with_source(error);
    };
    let made = match refusal.code.as_str() {
        // It only reads, the operator stops it, or it has no connection left.
        "25006" | "53300" | "57P01" | "57P02" | "57P03" => StoreError::unavailable(message),
        // statement_timeout, lock_timeout.
        "55P03" | "57014" => StoreError::timed_out(message),
        code if code.starts_with("08") => StoreError::unavailable(message),
        _ => StoreError::failed(message),
    };
    made.with_source(refusal)
}

fn no_connection(what: &str, error: PoolError) -> StoreError {
    match error {
        PoolError::Backend(error) => failure(&format!("be reached to {what}"), error),
        error => StoreError::unavailable(format!("no connection to postgres came free to {what}"))
            .with_source(error),
    }
}

/// What the server said, without the details: those may quote ids and records.
#[derive(Debug)]
struct Refusal {
    code: String,
    message: String,
}

impl Refusal {
    fn of(error: &tokio_postgres::Error) -> Option<Self> {
        let error = error.as_db_error()?;
        Some(Self { code: error.code().code().to_owned(), message: error.message().to_owned() })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)
    }
}

impl Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_surely_not_done_is_tried_again() {
        for (code, verdict) in [
            (Some(&SqlState::T_R_DEADLOCK_DETECTED), Verdict::Rival),
            (Some(&SqlState::T_R_SERIALIZATION_FAILURE), Verdict::Rival),
            (Some(&SqlState::INVALID_SQL_STATEMENT_NAME), Verdict::Stale),
            (Some(&SqlState::UNIQUE_VIOLATION), Verdict::Final),
            (Some(&SqlState::ADMIN_SHUTDOWN), Verdict::Final),
            (Some(&SqlState::READ_ONLY_SQL_TRANSACTION), Verdict::Demoted),
            (None, Verdict::Final),
        ] {
            assert_eq!(Verdict::on(code), verdict, "{code:?}");
        }
    }
}
