//! Bars, readable on light ground and on dark.

use std::fmt::Write;

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

/// A picture of bars in groups.
pub struct Bars<'a> {
    /// For those who do not see it.
    pub label: &'a str,
    pub title: &'a str,
    pub subtitle: &'a str,
    pub groups: Vec<Group<'a>>,
}

/// What is compared with each other.
pub struct Group<'a> {
    pub name: &'a str,
    pub bars: Vec<Bar<'a>>,
}

pub struct Bar<'a> {
    pub name: &'a str,
    pub is_ours: bool,
    /// None if it was not measured; its place stays empty.
    pub length: Option<f64>,
}

impl Bars<'_> {
    /// Draws it as SVG.
    pub fn draw(&self) -> String {
        let heights: Vec<f64> = self.groups.iter().map(Group::height).collect();
        let height = TOP + heights.iter().sum::<f64>();
        let (label, title, subtitle) = (self.label, self.title, self.subtitle);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" role=\"img\" aria-labelledby=\"title\">\n\
             <title id=\"title\">{label}</title>\n\
             <style>\n{STYLE}</style>\n\
             <text class=\"title\" x=\"16\" y=\"28\">{title}</text>\n\
             <text class=\"quiet\" x=\"16\" y=\"48\">{subtitle}</text>\n"
        );
        let scale = (WIDTH - LEFT - RIGHT) / self.longest();
        let mut y = TOP;
        for (group, height) in self.groups.iter().zip(heights) {
            group.draw(&mut out, scale, y);
            y += height;
        }
        out.push_str("</svg>\n");
        out
    }

    fn longest(&self) -> f64 {
        let lengths = self.groups.iter().flat_map(|group| &group.bars);
        lengths.filter_map(|bar| bar.length).fold(1.0, f64::max)
    }
}

impl Group<'_> {
    fn height(&self) -> f64 {
        self.bars.len() as f64 * (BAR + 3.0) + GAP
    }

    fn draw(&self, out: &mut String, scale: f64, y: f64) {
        let name = self.name;
        let _ =
            writeln!(out, "<text class=\"scenario\" x=\"16\" y=\"{:.1}\">{name}</text>", y + 4.0);
        for (row, bar) in self.bars.iter().enumerate() {
            if let Some(length) = bar.length {
                bar.draw(out, length, scale, y + 12.0 + (BAR + 3.0) * row as f64);
            }
        }
    }
}

impl Bar<'_> {
    fn draw(&self, out: &mut String, length: f64, scale: f64, y: f64) {
        let class = if self.is_ours { "ours" } else { "theirs" };
        let (name, width) = (self.name, (length * scale).max(1.0));
        let baseline = y + BAR - 3.5;
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{baseline:.1}\" text-anchor=\"end\">{name}</text>\n\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\"/>\n\
             <text class=\"quiet\" x=\"{:.1}\" y=\"{baseline:.1}\">{length:.2}</text>",
            LEFT - 8.0,
            LEFT + width + 6.0,
        );
    }
}
