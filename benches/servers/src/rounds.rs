//! Rounds of requests, the contenders in turn, so that what disturbs one disturbs all.

use sessile_testkit::server::Server;

use crate::Outcome;
use crate::app::App;
use crate::contender::{CONTENDERS, Contender, Keeper};
use crate::effort::Effort;
use crate::load::{Load, SCENARIOS, Scenario};
use crate::processor;

/// What requests of one kind cost with one contender.
pub struct Cost {
    pub contender: usize,
    pub scenario: Scenario,
    /// Microseconds of the application's processor time per request.
    pub app: f64,
    /// The same in proportion to the raw limit.
    pub of_raw: f64,
    /// Microseconds of the server's.
    pub keeper: f64,
    /// Requests per second, as they were answered.
    pub rate: f64,
}

/// What one round of it found.
#[derive(Clone, Copy)]
struct Round {
    app: f64,
    keeper: f64,
    rate: f64,
}

/// An application and its visitors.
struct Stand {
    contender: usize,
    app: App,
    load: Load,
    /// Of each scenario.
    rounds: [Vec<Round>; SCENARIOS.len()],
}

/// Measures every contender over one server.
pub async fn costs(keeper: Keeper, effort: &Effort) -> Outcome<Vec<Cost>> {
    let server = keeper.start().await?;
    let mut stands = open(keeper, &server).await?;
    for n in 0..=effort.rounds {
        for (which, scenario) in SCENARIOS.into_iter().enumerate() {
            for stand in &mut stands {
                let round = stand.round(&server, scenario, effort.requests).await?;
                // The first one warms up.
                if n > 0 {
                    stand.rounds[which].push(round);
                }
            }
        }
        eprint!(".");
    }
    eprintln!();
    Ok((0..SCENARIOS.len()).flat_map(|which| told(&stands, which)).collect())
}

async fn open(keeper: Keeper, server: &Server) -> Outcome<Vec<Stand>> {
    let here =
        |(_, contender): &(usize, &Contender)| contender.keeper == keeper && contender.is_here();
    let mut apps = Vec::new();
    for (n, contender) in CONTENDERS.iter().enumerate().filter(here) {
        apps.push((n, App::start(contender, server.url())?));
    }
    // Sessions are made once all of them have made their tables.
    let mut stands = Vec::new();
    for (contender, app) in apps {
        let load = Load::open(app.port, &CONTENDERS[contender]).await;
        let load = load.map_err(|error| CONTENDERS[contender].trouble(&*error))?;
        stands.push(Stand { contender, app, load, rounds: Default::default() });
    }
    Ok(stands)
}

impl Stand {
    async fn round(
        &mut self,
        server: &Server,
        scenario: Scenario,
        requests: usize,
    ) -> Outcome<Round> {
        let id = server.id().ok_or("the server has ended")?;
        let (app, keeper) = (self.app.seconds()?, processor::seconds(id)?);
        let took = self.load.send(scenario, requests).await;
        let took = took.map_err(|error| CONTENDERS[self.contender].trouble(&*error))?;
        let sent = Load::sent(requests) as f64;
        let micros = |seconds: f64| seconds * 1e6 / sent;
        Ok(Round {
            app: micros(self.app.seconds()? - app),
            keeper: micros(processor::seconds(id)? - keeper),
            rate: sent / took.as_secs_f64(),
        })
    }
}

/// Sums up one scenario. The first stand is the raw limit.
fn told(stands: &[Stand], which: usize) -> Vec<Cost> {
    let raw: Vec<f64> = stands[0].rounds[which].iter().map(|round| round.app).collect();
    let cost = |stand: &Stand| {
        let rounds = &stand.rounds[which];
        let of = |part: fn(&Round) -> f64| median(rounds.iter().map(part));
        Cost {
            contender: stand.contender,
            scenario: SCENARIOS[which],
            app: of(|round| round.app),
            of_raw: median(rounds.iter().zip(&raw).map(|(round, raw)| round.app / raw)),
            keeper: of(|round| round.keeper),
            rate: of(|round| round.rate),
        }
    };
    stands.iter().map(cost).collect()
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
