//! What Sessile promises about its speed, and what the run says to it.

use bench_report::{Promise, Target, thousands};

use super::{Findings, Measure};
use crate::contender::{OURS, OURS_SPARED, OURS_TOUCHED, RUTS, TOWER_SESSIONS};
use crate::scenario::{INCREMENT, NEVER_NAMED, NEW, READ, SIX_COOKIES};

pub(super) fn promises(found: &Findings) -> Vec<Promise> {
    use Measure::{Instructions, Time};
    let mut promises = Vec::new();
    for (what, scenario, contender, bound) in [
        ("read one value", READ, OURS, 0.40),
        ("increment a counter", INCREMENT, OURS, 0.40),
        ("new session", NEW, OURS, 0.65),
        ("session never named, need not be touched", NEVER_NAMED, OURS_SPARED, 0.15),
        ("session never named, touched each time", NEVER_NAMED, OURS_TOUCHED, 0.45),
    ] {
        for (measure, name) in [(Time, "time"), (Instructions, "instructions")] {
            promises.push(Promise::new(
                format!("{what}: {name} of tower-sessions signed"),
                found.ratio(measure, scenario, contender),
                "×",
                Target::AtMost(bound),
            ));
        }
    }
    promises.push(Promise::new(
        "read one value: allocations above the no-op layer",
        found.net(Measure::Allocations, READ, OURS),
        "",
        Target::AtMost(8.0),
    ));
    promises.push(never_slower(found));
    promises.push(Promise::new(
        "300 bytes of six cookies instead of one: instructions",
        relative(found, Instructions),
        "×",
        Target::AtMost(1.10),
    ));
    promises.extend(workers(found));
    promises.extend(stores(found));
    promises
}

/// The scenario in which Sessile does worst against the faster of two peers that sign
/// nothing. Where no session is named, it is spared touching one.
fn never_slower(found: &Findings) -> Promise {
    let ratio = |(scenario, name)| {
        let ours = if scenario == NEVER_NAMED { OURS_SPARED } else { OURS };
        let time = |contender| found.net(Measure::Time, scenario, contender);
        Some((time(ours)? / time(TOWER_SESSIONS)?.min(time(RUTS)?), name))
    };
    let worst = found.scenarios().filter_map(ratio).max_by(|(one, _), (two, _)| one.total_cmp(two));
    let (ratio, name) = worst.unzip();
    Promise::new(
        format!(
            "time of the faster of tower-sessions unsigned and ruts, at worst: {}",
            name.unwrap_or_default()
        ),
        ratio,
        "×",
        Target::AtMost(1.0),
    )
}

fn relative(found: &Findings, measure: Measure) -> Option<f64> {
    Some(found.net(measure, SIX_COOKIES, OURS)? / found.net(measure, READ, OURS)?)
}

fn workers(found: &Findings) -> Vec<Promise> {
    let ours = found.workers.iter().find(|workers| workers.contender == OURS);
    [
        ("reading", ours.map(|ours| ours.reading)),
        ("incrementing", ours.map(|ours| ours.incrementing)),
    ]
    .map(|(what, measured)| {
        let what = format!("two workers serve, {what} distinct sessions, of what one serves");
        Promise::new(what, measured, "×", Target::AtLeast(1.7))
    })
    .into()
}

fn stores(found: &Findings) -> Vec<Promise> {
    let hot = |at: Option<&crate::figure::growth::Point>| at.map(|point| point.hot);
    let flat =
        hot(found.growth.last()).zip(hot(found.growth.first())).map(|(last, first)| last / first);
    vec![
        Promise::new(
            "memory per session of 226 bytes",
            Some(found.memory.ours),
            " bytes",
            Target::AtMost(450.0),
        ),
        Promise::new(
            format!(
                "longest wait while {} expired sessions are purged",
                thousands(found.sessions as f64)
            ),
            Some(found.stall.ours),
            " ms",
            Target::AtMost(5.0),
        ),
        Promise::new(
            "load of a session in use: the fullest store against the emptiest",
            flat,
            "×",
            Target::AtMost(1.5),
        ),
        Promise::new(
            "pages that 1,000 reading requests within `touch_after` write to SQLite",
            Some(found.database.pages_written_by_reading),
            "",
            Target::AtMost(0.0),
        ),
    ]
}
