//! Connections to PostgreSQL: borrowed for one statement, thrown away if it was abandoned.

use std::error::Error;
use std::fmt;

use deadpool_postgres::{Object, Pool, PoolError};
use sessile_core::StoreError;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::lease::Lease;
use super::readers::{Readers, Seat};

/// How often a statement is tried that the server gave up for another one's sake.
const TRIES: u32 = 10;

pub(super) type Params<'p> = &'p [&'p (dyn ToSql + Sync)];

/// Runs statements, each prepared once on each connection.
pub(super) struct Client {
    pool: Pool,
    readers: Readers,
}

/// With whom a statement shares its connection.
#[derive(Clone, Copy)]
enum Company {
    Nobody,
    Readers,
}

impl Client {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool, readers: Readers::default() }
    }

    /// As [`query`](Self::query), over a connection over which others read, if there is one.
    pub(super) async fn read(
        &self,
        what: &'static str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        self.run(what, sql, params, Company::Readers).await?.map_err(|error| failure(what, error))
    }

    /// Runs `sql` in one round trip. `what` says in an error what was tried.
    pub(super) async fn query(
        &self,
        what: &'static str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        self.run(what, sql, params, Company::Nobody).await?.map_err(|error| failure(what, error))
    }

    /// As [`query`](Self::query), but `None` if a row with that unique key exists.
    pub(super) async fn query_unique(
        &self,
        what: &'static str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Option<Vec<Row>>, StoreError> {
        match self.run(what, sql, params, Company::Nobody).await? {
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
        company: Company,
    ) -> Result<Result<Vec<Row>, tokio_postgres::Error>, StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let seat = self.seat(what, company).await?;
            let outcome = ask(seat.client(), sql, params).await;
            let Err(error) = outcome else {
                seat.give_back();
                return Ok(outcome);
            };
            let verdict = Verdict::on(error.code());
            if verdict == Verdict::Stale {
                seat.client().statement_cache.clear();
            }
            // One that only reads may be another server tomorrow, but not over this connection.
            if error.as_db_error().is_some() && verdict != Verdict::Demoted {
                seat.give_back();
            }
            if matches!(verdict, Verdict::Demoted | Verdict::Final) || tries == TRIES {
                return Ok(Err(error));
            }
        }
    }

    async fn seat(&self, what: &str, company: Company) -> Result<Seat, StoreError> {
        match company {
            Company::Nobody => Ok(Seat::alone(self.lease(what).await?)),
            Company::Readers => match self.readers.join() {
                Some(seat) => Ok(seat),
                None => Ok(self.readers.begin(self.lease(what).await?)),
            },
        }
    }

    /// Borrows a connection.
    pub(super) async fn lease(&self, what: &str) -> Result<Lease, StoreError> {
        let client = self.pool.get().await.map_err(|error| no_connection(what, error))?;
        Ok(Lease::new(client))
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
