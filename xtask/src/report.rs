//! What a person reads: a headline per stage, and the summary.

use std::time::Duration;

use crate::counts::Counts;

/// How a stage ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Failed(String),
    Passed,
    Skipped(String),
}

/// A stage that is over.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) counts: Counts,
    /// What it did, and what it left out.
    pub(crate) notes: Vec<String>,
    pub(crate) took: Duration,
}

pub(crate) fn headline(number: usize, of: usize, name: &str, about: &str) {
    println!("\n━━━ {number}/{of} {name}: {about}");
}

/// Prints every stage with how it ended, and the sum of all tests on the last line.
pub(crate) fn summary(stages: &[Ended], took: Duration) {
    println!("\n━━━ Summary, after {}", time(took));
    for stage in stages {
        println!("{}", row(stage));
        for note in &stage.notes {
            println!("{:12}{note}", "");
        }
    }
    let sum = sum(stages);
    if sum != Counts::default() {
        println!("\n{} passed, {} failed", sum.passed, sum.failed);
    }
}

fn row(stage: &Ended) -> String {
    let (word, why) = match &stage.verdict {
        Verdict::Failed(why) => ("FAILED", why.as_str()),
        Verdict::Passed => ("passed", ""),
        Verdict::Skipped(why) => ("skipped", why.as_str()),
    };
    let row = format!("  {:<9} {word:<8} {:>12}  {why}", stage.name, time(stage.took));
    row.trim_end().to_owned()
}

/// Adds up the tests. A stage that fails for another reason than a test counts as one failure.
pub(crate) fn sum(stages: &[Ended]) -> Counts {
    let mut sum = Counts::default();
    for stage in stages {
        sum += stage.counts;
        if matches!(stage.verdict, Verdict::Failed(_)) && stage.counts.failed == 0 {
            sum.failed += 1;
        }
    }
    sum
}

fn time(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 60.. => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(verdict: Verdict, passed: usize, failed: usize) -> Ended {
        let counts = Counts { passed, failed, skipped: 0 };
        Ended { name: "doc", verdict, counts, notes: Vec::new(), took: Duration::from_millis(1500) }
    }

    #[test]
    fn a_failed_stage_is_never_zero_failures() {
        let failed = || Verdict::Failed("it does not build".to_owned());
        let sum =
            sum(&[ended(Verdict::Passed, 5, 0), ended(failed(), 0, 0), ended(failed(), 2, 3)]);
        assert_eq!((sum.passed, sum.failed), (7, 4));
    }

    #[test]
    fn rows_say_how_it_ended() {
        let skipped = ended(Verdict::Skipped("no Node".to_owned()), 0, 0);
        assert_eq!(row(&skipped), "  doc       skipped         1.5 s  no Node");
        assert_eq!(row(&ended(Verdict::Passed, 1, 0)), "  doc       passed          1.5 s");
        assert_eq!(time(Duration::from_secs(61)), "1 min 01 s");
    }
}
