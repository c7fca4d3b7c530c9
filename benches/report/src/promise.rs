//! What is promised about a figure, and what the run says to it.

use std::fmt::Write;

use crate::digits;

/// One line of the table.
pub struct Promise {
    what: String,
    /// None if this machine could not measure it.
    measured: Option<f64>,
    unit: &'static str,
    target: Target,
}

#[derive(Clone, Copy)]
pub enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Promise {
    pub fn new(
        what: impl Into<String>,
        measured: Option<f64>,
        unit: &'static str,
        target: Target,
    ) -> Self {
        Self { what: what.into(), measured, unit, target }
    }

    fn target(&self) -> String {
        let (word, bound) = match self.target {
            Target::AtLeast(bound) => ("at least", bound),
            Target::AtMost(bound) => ("at most", bound),
        };
        format!("{word} {}{}", digits(bound), self.unit)
    }

    fn measured(&self) -> String {
        self.measured.map_or("not measured".into(), |n| format!("{}{}", digits(n), self.unit))
    }

    fn verdict(&self) -> &'static str {
        let kept = |measured| match self.target {
            Target::AtLeast(bound) => measured >= bound,
            Target::AtMost(bound) => measured <= bound,
        };
        match self.measured {
            None => "–",
            Some(measured) if kept(measured) => "met",
            Some(_) => "**missed**",
        }
    }
}

/// Writes the section that compares what is promised with what was measured.
pub fn promises_table(promises: &[Promise]) -> String {
    let mut out =
        String::from("## Promises\n\n| promise | measured | target | |\n|---|---:|---:|---|\n");
    for promise in promises {
        let (measured, target) = (promise.measured(), promise.target());
        let _ =
            writeln!(out, "| {} | {measured} | {target} | {} |", promise.what, promise.verdict());
    }
    out
}
