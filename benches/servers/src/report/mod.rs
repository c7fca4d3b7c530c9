//! What a run found, and how it is told: as Markdown and as a picture.

mod many;
mod markdown;
mod picture;

pub use markdown::markdown;
pub use picture::picture;

use crate::contender::{CONTENDERS, Contender, Keeper};
use crate::load::Scenario;
use crate::rounds::Cost;
use crate::space::PostgresSpace;

/// Everything that a run measured.
pub struct Findings {
    pub costs: Vec<Cost>,
    /// Bytes per session in Redis.
    pub redis: f64,
    pub postgres: PostgresSpace,
    /// How many sessions the space was measured with.
    pub sessions: u64,
    pub versions: [String; 2],
}

impl Findings {
    fn group(&self, keeper: Keeper, scenario: Scenario) -> impl Iterator<Item = &Cost> {
        let is_of = move |cost: &&Cost| {
            CONTENDERS[cost.contender].keeper == keeper && cost.scenario == scenario
        };
        self.costs.iter().filter(is_of)
    }

    fn cost(&self, key: &str, scenario: Scenario) -> Option<&Cost> {
        let is_it = |cost: &&Cost| cost.contender().key == key && cost.scenario == scenario;
        self.costs.iter().find(is_it)
    }
}

impl Cost {
    fn contender(&self) -> &'static Contender {
        &CONTENDERS[self.contender]
    }
}

/// Of both servers, both scenarios: the sections of the table and the picture.
const GROUPS: [(Keeper, Scenario); 4] = [
    (Keeper::Redis, Scenario::Read),
    (Keeper::Redis, Scenario::Increment),
    (Keeper::Postgres, Scenario::Read),
    (Keeper::Postgres, Scenario::Increment),
];
