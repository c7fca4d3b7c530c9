//! How much is done: all of it, or enough to see that it runs.

/// The sizes of a run.
pub struct Effort {
    /// Rounds of the clock, per scenario and contender.
    pub rounds: usize,
    /// Requests under callgrind, per scenario and contender.
    pub traced: usize,
    /// Rounds of one worker against two.
    pub worker_rounds: usize,
    /// Sessions in memory, and expired at once.
    pub sessions: u64,
    /// Sessions in the fullest store.
    pub most_sessions: u64,
    /// Milliseconds per figure of the database.
    pub database_millis: u64,
}

impl Effort {
    pub const FULL: Self = Self {
        rounds: 100,
        traced: 2_000,
        worker_rounds: 60,
        sessions: 1_000_000,
        most_sessions: 10_000_000,
        database_millis: 2_000,
    };

    pub const QUICK: Self = Self {
        rounds: 5,
        traced: 100,
        worker_rounds: 5,
        sessions: 50_000,
        most_sessions: 100_000,
        database_millis: 200,
    };
}
