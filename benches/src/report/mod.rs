//! What a run found, and how it is told: as Markdown and as a picture.

mod markdown;
mod picture;
mod promises;

pub use markdown::markdown;
pub use picture::picture;

use crate::contender::{CONTENDERS, TOWER_SESSIONS_SIGNED};
use crate::figure::growth::Point;
use crate::figure::instructions::Count;
use crate::scenario::SCENARIOS;

/// Everything that a run measured.
pub struct Findings {
    /// Nanoseconds, by scenario and contender.
    pub times: Vec<Vec<f64>>,
    /// Instructions and allocations, by scenario and contender; none without valgrind.
    pub counts: Option<Vec<Vec<Count>>>,
    pub workers: Vec<Workers>,
    pub memory: Memory,
    pub stall: Stall,
    pub growth: Vec<Point>,
    pub database: Database,
    /// The number of sessions in `memory` and `stall`.
    pub sessions: u64,
}

/// What a second worker is worth, by contender.
pub struct Workers {
    pub contender: usize,
    pub reading: f64,
    pub incrementing: f64,
}

/// Bytes per session.
pub struct Memory {
    pub ours: f64,
    pub tower_sessions: f64,
    /// None without Node.
    pub express: Option<f64>,
}

/// The longest wait during a purge, in milliseconds.
pub struct Stall {
    pub ours: f64,
    pub ours_on_the_wall: f64,
    /// None without Node.
    pub express: Option<f64>,
}

/// SQLite's figures.
pub struct Database {
    pub pages_written_by_reading: f64,
    /// Loads, saves and touches per second, by callers at once.
    pub rates: Vec<(u64, [f64; 3])>,
}

/// What is counted of a request.
#[derive(Clone, Copy)]
pub enum Measure {
    Allocations,
    Instructions,
    Time,
}

impl Findings {
    /// What the whole request costs.
    fn gross(&self, measure: Measure, scenario: usize, contender: usize) -> Option<f64> {
        let count = || Some(self.counts.as_ref()?[scenario][contender]);
        match measure {
            Measure::Allocations => count().map(|count| count.allocations),
            Measure::Instructions => count().map(|count| count.instructions),
            Measure::Time => Some(self.times[scenario][contender]),
        }
    }

    /// What the sessions cost: less the same framework without them.
    pub fn net(&self, measure: Measure, scenario: usize, contender: usize) -> Option<f64> {
        let bare = self.gross(measure, scenario, CONTENDERS[contender].over)?;
        Some(self.gross(measure, scenario, contender)? - bare)
    }

    /// The same in proportion to tower-sessions with signed cookies.
    pub fn ratio(&self, measure: Measure, scenario: usize, contender: usize) -> Option<f64> {
        let theirs = self.net(measure, scenario, TOWER_SESSIONS_SIGNED)?;
        Some(self.net(measure, scenario, contender)? / theirs)
    }

    fn scenarios(&self) -> impl Iterator<Item = (usize, &'static str)> + use<> {
        SCENARIOS.iter().map(|scenario| scenario.name).enumerate()
    }
}
