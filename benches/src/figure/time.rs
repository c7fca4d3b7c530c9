//! Nanoseconds per request: the fastest of many short rounds, contenders in turn.

use std::time::{Duration, Instant};

use crate::contender::{CONTENDERS, Contender};
use crate::effort::Effort;
use crate::scenario::Scenario;

const REQUESTS: u32 = 400;
const WARM_UP: usize = 200;

/// Returns nanoseconds per request, in the order of [`CONTENDERS`].
///
/// What disturbs a round only ever adds to it, so that the fastest is nearest the truth.
pub fn per_request(scenario: &Scenario, effort: &Effort) -> Vec<f64> {
    let mut best = [Duration::MAX; CONTENDERS.len()];
    for _ in 0..effort.rounds {
        for (contender, best) in CONTENDERS.iter().zip(&mut best) {
            *best = (*best).min(round(contender, scenario));
        }
    }
    best.iter().map(|best| best.as_nanos() as f64 / f64::from(REQUESTS)).collect()
}

/// A new application each time: another place in memory, and a store that does not fill up.
fn round(contender: &Contender, scenario: &Scenario) -> Duration {
    super::runtime().block_on(async {
        let mut app = contender.open().await;
        let ask = scenario.prepare(&mut *app).await;
        app.repeat(&ask, WARM_UP).await;
        let started = Instant::now();
        app.repeat(&ask, REQUESTS as usize).await;
        started.elapsed()
    })
}
