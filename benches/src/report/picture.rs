//! The times as a picture: bars, readable on light ground and on dark.

use std::fmt::Write;

use super::{Findings, Measure};
use crate::contender::{
    CONTENDERS, OURS, OURS_SPARED, RUTS, TOWER_SESSIONS, TOWER_SESSIONS_SIGNED,
};

/// Whom the picture shows.
const SHOWN: [usize; 6] =
    [OURS, OURS_SPARED, TOWER_SESSIONS, TOWER_SESSIONS_SIGNED, RUTS, CONTENDERS.len() - 1];

const WIDTH: f64 = 860.0;
const LEFT: f64 = 210.0;
const RIGHT: f64 = 60.0;
const TOP: f64 = 76.0;
const BAR: f64 = 15.0;
const GAP: f64 = 34.0;

const STYLE: &str = "\
  text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 17px; font-weight: 600; }
  .scenario { font-weight: 600; }
  .quiet { fill: #57606a; }
  .ours { fill: #0b7a75; }
  .theirs { fill: #b6bdc5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .quiet { fill: #9198a1; }
    .ours { fill: #2fb3ab; }
    .theirs { fill: #59616b; }
    }
";

/// Draws what sessions cost, in proportion to tower-sessions with signed cookies.
pub fn picture(found: &Findings) -> String {
    let scenarios: Vec<_> = found.scenarios().collect();
    let group = SHOWN.len() as f64 * (BAR + 3.0) + GAP;
    let height = TOP + group * scenarios.len() as f64;
    let most = longest(found);
    let scale = (WIDTH - LEFT - RIGHT) / most;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" role=\"img\" aria-labelledby=\"title\">\n\
         <title id=\"title\">Time that sessions add to a request, tower-sessions signed = 1</title>\n\
         <style>\n{STYLE}</style>\n\
         <text class=\"title\" x=\"16\" y=\"28\">What sessions add to a request</text>\n\
         <text class=\"quiet\" x=\"16\" y=\"48\">time, tower-sessions with signed cookies = 1; \
         shorter is better</text>\n"
    );
    for (n, (scenario, name)) in scenarios.into_iter().enumerate() {
        let y = TOP + group * n as f64;
        let _ =
            writeln!(out, "<text class=\"scenario\" x=\"16\" y=\"{:.1}\">{name}</text>", y + 4.0);
        for (row, contender) in SHOWN.into_iter().enumerate() {
            let Some(ratio) = found.ratio(Measure::Time, scenario, contender) else { continue };
            let y = y + 12.0 + (BAR + 3.0) * row as f64;
            draw_bar(&mut out, contender, ratio, scale, y);
        }
    }
    out.push_str("</svg>\n");
    out
}

fn draw_bar(out: &mut String, contender: usize, ratio: f64, scale: f64, y: f64) {
    let class = if CONTENDERS[contender].package == "sessile" { "ours" } else { "theirs" };
    let (name, width) = (CONTENDERS[contender].name, (ratio * scale).max(1.0));
    let baseline = y + BAR - 3.5;
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{baseline:.1}\" text-anchor=\"end\">{name}</text>\n\
         <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\"/>\n\
         <text class=\"quiet\" x=\"{:.1}\" y=\"{baseline:.1}\">{ratio:.2}</text>",
        LEFT - 8.0,
        LEFT + width + 6.0,
    );
}

fn longest(found: &Findings) -> f64 {
    let ratios = found.scenarios().flat_map(|(scenario, _)| {
        SHOWN.into_iter().filter_map(move |shown| found.ratio(Measure::Time, scenario, shown))
    });
    ratios.fold(1.0, f64::max)
}
