//! Connections to MySQL, borrowed for one statement. One that is abandoned in the middle is
//! closed by its pool.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, Params, Pool, Row, ServerError};
use sessile_core::StoreError;

/// How often a statement is tried that the server gave up for another one's sake.
const TRIES: u32 = 20;
/// How long a server may take to let somebody in.
const LET_IN: Duration = Duration::from_secs(10);

/// Two rows would have the same key.
const DUPLICATE_KEY: u16 = 1062;
/// An option of the server forbids it, which here is `--read-only`.
const ONLY_READS: u16 = 1290;

/// Runs statements, each prepared once on each connection.
pub(super) struct Client {
    pool: Pool,
}

/// What came of a statement.
pub(super) struct Answer {
    /// How many rows it removed.
    pub(super) affected: u64,
    /// Whether it did what it should, for statements that leave a mark.
    pub(super) marked: bool,
    pub(super) rows: Vec<Row>,
}

impl Client {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Runs `sql` in one round trip. `what` says in an error what was tried.
    pub(super) async fn query(
        &self,
        what: &str,
        sql: &str,
        params: impl Into<Params>,
    ) -> Result<Answer, StoreError> {
        self.run(what, sql, params.into()).await?.map_err(|error| failure(what, error))
    }

    /// As [`query`](Self::query), but `None` if a row with that key exists.
    pub(super) async fn query_unique(
        &self,
        what: &str,
        sql: &str,
        params: impl Into<Params>,
    ) -> Result<Option<Answer>, StoreError> {
        match self.run(what, sql, params.into()).await? {
            Err(Error::Server(error)) if error.code == DUPLICATE_KEY => Ok(None),
            outcome => outcome.map(Some).map_err(|error| failure(what, error)),
        }
    }

    /// Prepares statements on one connection, so that a table they do not fit is known at once.
    pub(super) async fn prepare(&self, what: &str, statements: &[&str]) -> Result<(), StoreError> {
        let mut conn = self.lease(what).await?;
        for sql in statements {
            conn.prep(*sql).await.map_err(|error| failure(what, error))?;
        }
        Ok(())
    }

    async fn run(
        &self,
        what: &str,
        sql: &str,
        params: Params,
    ) -> Result<Result<Answer, Error>, StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut conn = self.lease(what).await?;
            let outcome = ask(&mut conn, sql, params.clone()).await;
            let Err(Error::Server(error)) = &outcome else { return Ok(outcome) };
            match Verdict::on(error.code) {
                Verdict::Rival if tries < TRIES => {}
                // Its statements went with the table or with the server's cache.
                Verdict::Stale if tries < TRIES => drop(conn.disconnect().await),
                Verdict::Demoted => {
                    // It may be another server tomorrow, but not over this connection.
                    drop(conn.disconnect().await);
                    return Ok(outcome);
                }
                Verdict::Final | Verdict::Rival | Verdict::Stale => return Ok(outcome),
            }
            tokio::task::yield_now().await;
        }
    }

    async fn lease(&self, what: &str) -> Result<Conn, StoreError> {
        let unreachable = || format!("mysql could not be reached to {what}");
        let conn = tokio::time::timeout(LET_IN, self.pool.get_conn()).await;
        let conn = conn.map_err(|late| StoreError::unavailable(unreachable()).with_source(late))?;
        let mut conn = conn.map_err(|error| failure(&format!("be reached to {what}"), error))?;
        // Statements stay prepared. Nothing else is left behind that would have to be reset.
        conn.reset_connection(false);
        Ok(conn)
    }
}

async fn ask(conn: &mut Conn, sql: &str, params: Params) -> Result<Answer, Error> {
    let mut result = conn.exec_iter(sql, params).await?;
    let rows = result.collect().await?;
    let (affected, marked) = (result.affected_rows(), result.last_insert_id().is_some());
    Ok(Answer { affected, marked, rows })
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
    /// The prepared statement is not known any more.
    Stale,
}

impl Verdict {
    fn on(code: u16) -> Self {
        match code {
            // A deadlock; a row that changed under MariaDB's snapshot.
            1213 | 1020 => Self::Rival,
            1243 | 1615 => Self::Stale,
            ONLY_READS | 1792 | 1836 => Self::Demoted,
            _ => Self::Final,
        }
    }
}

/// Turns the driver's error into the store's.
pub(super) fn failure(what: &str, error: Error) -> StoreError {
    let message = format!("mysql could not {what}");
    match error {
        Error::Server(error) => of_server(message, error),
        Error::Io(error) => StoreError::unavailable(message).with_source(error),
        // Their `Debug` shows packets and values, so only their sentence is kept.
        error @ (Error::Driver(_) | Error::Other(_) | Error::Url(_)) => {
            StoreError::unavailable(message).with_source(Cause(error.to_string()))
        }
    }
}

fn of_server(message: String, error: ServerError) -> StoreError {
    let made = match error.code {
        // Too many connections, shutting down, a broken network, a replica that only reads,
        // a connection that somebody ended.
        1040
        | 1053
        | 1077..=1079
        | 1152
        | 1158..=1161
        | 1203
        | 1226
        | ONLY_READS
        | 1792
        | 1836
        | 1927
        | 4031 => StoreError::unavailable(message),
        // lock_wait_timeout, max_statement_time, max_execution_time, KILL QUERY.
        1205 | 1317 | 1969 | 3024 => StoreError::timed_out(message),
        _ => StoreError::failed(message),
    };
    made.with_source(Cause::of(error))
}

/// What the server or the driver said.
#[derive(Debug)]
struct Cause(String);

impl Cause {
    fn of(error: ServerError) -> Self {
        let ServerError { code, message, state } = error;
        match code {
            // About users, databases, tables and columns. Others quote ids and records.
            1040 | 1044 | 1045 | 1049 | 1054 | 1064 | 1142 | 1146 | 1153 | 1205 | 1213 | 1406 => {
                Self(format!("{message} (error {code}, SQLSTATE {state})"))
            }
            _ => Self(format!("error {code}, SQLSTATE {state}")),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Cause {}

#[cfg(test)]
mod tests {
    use super::*;
    use sessile_core::StoreErrorKind;

    #[test]
    fn only_what_was_surely_not_done_is_tried_again() {
        for (code, verdict) in [
            (1213, Verdict::Rival),
            (1243, Verdict::Stale),
            (1205, Verdict::Final),
            (DUPLICATE_KEY, Verdict::Final),
            (1053, Verdict::Final),
            (ONLY_READS, Verdict::Demoted),
        ] {
            assert_eq!(Verdict::on(code), verdict, "{code}");
        }
    }

    #[test]
    fn an_error_that_quotes_an_id_is_not_quoted() {
        let message = "Duplicate entry 'secret-id' for key 'PRIMARY'".to_owned();
        let error = ServerError { code: DUPLICATE_KEY, message, state: "23000".to_owned() };
        let error = failure("save a session", error.into());
        assert_eq!(error.kind(), StoreErrorKind::Failed);
        let cause = error.source().unwrap();
        assert_eq!(cause.to_string(), "error 1062, SQLSTATE 23000");
        assert!(!format!("{error:?}").contains("secret"));
    }
}
