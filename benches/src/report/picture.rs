//! The times as a picture.

use bench_report::{Bar, Bars, Group};

use super::{Findings, Measure};
use crate::contender::{
    CONTENDERS, OURS, OURS_SPARED, RUTS, TOWER_SESSIONS, TOWER_SESSIONS_SIGNED,
};

/// Whom the picture shows.
const SHOWN: [usize; 6] =
    [OURS, OURS_SPARED, TOWER_SESSIONS, TOWER_SESSIONS_SIGNED, RUTS, CONTENDERS.len() - 1];

/// Draws what sessions cost, in proportion to tower-sessions with signed cookies.
pub fn picture(found: &Findings) -> String {
    let bar = |scenario, contender: usize| Bar {
        name: CONTENDERS[contender].name,
        is_ours: CONTENDERS[contender].package == "sessile",
        length: found.ratio(Measure::Time, scenario, contender),
    };
    let group = |(scenario, name)| Group {
        name,
        bars: SHOWN.into_iter().map(|contender| bar(scenario, contender)).collect(),
    };
    let picture = Bars {
        label: "Time that sessions add to a request, tower-sessions signed = 1",
        title: "What sessions add to a request",
        subtitle: "time, tower-sessions with signed cookies = 1; shorter is better",
        groups: found.scenarios().map(group).collect(),
    };
    picture.draw()
}
