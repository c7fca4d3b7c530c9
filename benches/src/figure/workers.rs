//! What a second worker is worth: requests of distinct sessions on one thread and on two.

use std::time::{Duration, Instant};

use axum::Router;
use tokio::runtime::Builder;

use crate::contender::{AxumApp, CONTENDERS};
use crate::effort::Effort;
use crate::scenario::{Ask, Scenario};

const VISITORS: usize = 32;
const REQUESTS: usize = 100;
/// The median of so many is told.
const ESTIMATES: usize = 7;

/// Returns how much faster two workers are than one, by `contender`.
pub fn speed_up(contender: usize, scenario: &Scenario, effort: &Effort) -> f64 {
    // Two workers need both cores, which others want too: one estimate says little.
    let mut estimates = [(); ESTIMATES].map(|()| estimate(contender, scenario, effort));
    estimates.sort_by(f64::total_cmp);
    estimates[ESTIMATES / 2]
}

fn estimate(contender: usize, scenario: &Scenario, effort: &Effort) -> f64 {
    let mut best = [Duration::MAX; 2];
    for _ in 0..effort.worker_rounds {
        for (best, workers) in best.iter_mut().zip(1..) {
            *best = (*best).min(round(contender, scenario, workers));
        }
    }
    best[0].as_secs_f64() / best[1].as_secs_f64()
}

fn round(contender: usize, scenario: &Scenario, workers: usize) -> Duration {
    let router = CONTENDERS[contender].router();
    let asks = super::runtime().block_on(prepare(&router, scenario));
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_time()
        .build()
        .expect("a runtime needs threads");
    runtime.block_on(async {
        visit(&router, &asks, REQUESTS / 4).await;
        let started = Instant::now();
        visit(&router, &asks, REQUESTS).await;
        started.elapsed()
    })
}

async fn prepare(router: &Router, scenario: &Scenario) -> Vec<Ask> {
    let mut asks = Vec::new();
    for _ in 0..VISITORS {
        asks.push(scenario.prepare(&mut AxumApp(router.clone())).await);
    }
    asks
}

/// Every visitor sends its requests one after the other, as over a connection of its own.
async fn visit(router: &Router, asks: &[Ask], requests: usize) {
    let visits = asks.iter().cloned().map(|ask| {
        let mut app = AxumApp(router.clone());
        tokio::spawn(async move {
            for _ in 0..requests {
                app.answer(&ask).await;
                tokio::task::yield_now().await;
            }
        })
    });
    for visit in visits.collect::<Vec<_>>() {
        visit.await.expect("no visit panics");
    }
}
