//! How much is done: all of it, or enough to see that it runs.

/// The sizes of a run.
pub struct Effort {
    /// Rounds of each scenario, the contenders in turn.
    pub rounds: usize,
    /// Requests in each.
    pub requests: usize,
    /// Sessions in each server whose space is measured.
    pub sessions: u64,
}

impl Effort {
    pub const FULL: Self = Self { rounds: 9, requests: 12_000, sessions: 1_000_000 };
    pub const QUICK: Self = Self { rounds: 3, requests: 2_000, sessions: 20_000 };
}
