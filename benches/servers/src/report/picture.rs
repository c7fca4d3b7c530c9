//! The costs as a picture.

use bench_report::{Bar, Bars, Group};

use super::{Findings, GROUPS};
use crate::rounds::Cost;

/// Draws what a request costs the application, in proportion to the raw limit.
pub fn picture(found: &Findings) -> String {
    let names = GROUPS.map(|(keeper, scenario)| format!("{}: {}", keeper.name(), scenario.name()));
    let bar = |cost: &Cost| Bar {
        name: cost.contender().name,
        is_ours: cost.contender().is_ours(),
        length: Some(cost.of_raw),
    };
    let group = |((keeper, scenario), name)| Group {
        name,
        bars: found.group(keeper, scenario).map(bar).collect(),
    };
    let picture = Bars {
        label: "Processor time of the application per request on real servers, the raw limit = 1",
        title: "What a request costs the application",
        subtitle: "processor time, axum with nothing but the necessary commands = 1; shorter is better",
        groups: GROUPS.into_iter().zip(names.iter().map(String::as_str)).map(group).collect(),
    };
    picture.draw()
}
