//! The test programs of the workspace, run once and judged by stage.

use std::fs;

use super::{Outcome, Run, features_of};
use crate::counts::{self, Counts, Suite};
use crate::features::Features;
use crate::report::Verdict;
use crate::shell::{self, cargo, is_strict, root};

/// Stages that are test programs of the workspace, and the fewest tests of `test`.
const OWN_STAGE: [&str; 2] = ["oracle", "stores"];
const FEWEST_TESTS: usize = 50;
/// The fewest promises a store can keep and be called proven.
const FEWEST_TRIALS: usize = 15;
const SEQUENCES: usize = 1000;

pub(super) fn test(run: &mut Run<'_>) -> Outcome {
    let done = cargo_test(&["--no-fail-fast"]);
    run.suites = counts::suites(&done.text);
    if run.suites.is_empty() {
        return Outcome::failed("the tests do not build");
    }
    let own_stage = |suite: &&Suite| {
        OWN_STAGE.contains(&suite.name.as_str()) && run.chosen.contains(&suite.name.as_str())
    };
    let (elsewhere, here): (Vec<_>, Vec<_>) = run.suites.iter().partition(own_stage);
    let outcome = judge(&here);
    match outcome.verdict {
        Verdict::Failed(_) => outcome,
        // A failure that another stage will report is not this one's.
        _ if !done.ok && !elsewhere.iter().any(|suite| has_failed(suite)) => {
            Outcome { verdict: Verdict::Failed("cargo test failed".to_owned()), ..outcome }
        }
        _ if outcome.counts.passed < FEWEST_TESTS => {
            let why =
                format!("only {} tests ran: fewer than {FEWEST_TESTS}", outcome.counts.passed);
            Outcome { verdict: Verdict::Failed(why), ..outcome }
        }
        _ => outcome,
    }
}

fn cargo_test(args: &[&str]) -> shell::Done {
    let mut test = cargo(&["test", "--workspace", "--all-features"]);
    if is_strict() {
        test.env("SESSILE_REQUIRE_SERVERS", "1");
    }
    test.args(args);
    shell::show(test)
}

/// Tells whether a test failed, or the program ended before it could say.
fn has_failed(suite: &Suite) -> bool {
    suite.counts().is_none_or(|counts| counts.failed > 0)
}

/// Adds up `suites` and names the ones that failed and the tests that did not run.
fn judge(suites: &[&Suite]) -> Outcome {
    let mut outcome = Outcome::passed();
    for suite in suites {
        outcome.counts += suite.counts().unwrap_or_default();
        outcome
            .notes
            .extend(suite.ignored().map(|name| format!("ignored in {}: {name}", suite.name)));
    }
    let Counts { passed, failed, .. } = outcome.counts;
    outcome.notes.insert(0, format!("{passed} tests passed"));
    let culprits: Vec<&str> =
        suites.iter().filter(|suite| has_failed(suite)).map(|suite| suite.name.as_str()).collect();
    if !culprits.is_empty() {
        let why = format!("{failed} tests failed, in {}", culprits.join(", "));
        outcome.verdict = Verdict::Failed(why);
    }
    outcome
}

pub(super) fn oracle(run: &mut Run<'_>) -> Outcome {
    let suite = match program(run, "oracle", &[]) {
        Ok(suite) => suite,
        Err(outcome) => return outcome,
    };
    let Some(line) = suite.text.lines().find(|line| number_before(line, "sequences").is_some())
    else {
        return Outcome::failed("it does not say how many sequences it replayed");
    };
    let mut outcome = judge(&[&suite]).note(line.trim());
    let replayed = number_before(line, "sequences").unwrap_or_default();
    if outcome.verdict == Verdict::Passed && replayed < SEQUENCES {
        let why = format!("it replayed {replayed} sequences, not {SEQUENCES}");
        outcome.verdict = Verdict::Failed(why);
    }
    outcome
}

/// Returns what the test program `name` printed when `test` ran it, or runs it with `args`.
fn program(run: &Run<'_>, name: &str, args: &[&str]) -> Result<Suite, Outcome> {
    if let Some(suite) = run.suites.iter().find(|suite| suite.name == name) {
        println!("The stage `test` ran it; what it printed stands above.");
        return Ok(suite.clone());
    }
    let done = cargo_test(&[&["--test", name, "--"], args].concat());
    match counts::suites(&done.text).into_iter().find(|suite| suite.name == name) {
        Some(suite) if done.ok || has_failed(&suite) => Ok(suite),
        Some(_) => Err(Outcome::failed(format!("the test program `{name}` did not end well"))),
        None => Err(Outcome::failed(format!("the test program `{name}` did not run"))),
    }
}

/// Reads the number in `1000 sequences`, wherever it stands.
fn number_before(line: &str, noun: &str) -> Option<usize> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let pairs =
        words.windows(2).filter(|pair| pair[1].trim_end_matches([',', '.', ':', ';']) == noun);
    pairs.filter_map(|pair| pair[0].replace(',', "").parse().ok()).next()
}

pub(super) fn stores(run: &mut Run<'_>) -> Outcome {
    let chosen: Vec<&str> = run.options.stores.iter().map(String::as_str).collect();
    let suite = match program(run, "stores", &chosen) {
        Ok(suite) => suite,
        Err(outcome) => return outcome,
    };
    let trials = suite.passed_by_prefix();
    let mut outcome = judge(&[&suite]);
    let list = trials.iter().map(|(store, trials)| format!("{store} {trials}"));
    outcome.notes.push(format!("trials by store: {}", list.collect::<Vec<_>>().join(", ")));
    let expected = match run.options.stores.as_slice() {
        [] => stores_of(&features_of("crates/sessile")),
        chosen => chosen.to_vec(),
    };
    let ran = |store: &str| trials.iter().find(|(name, _)| *name == store).map_or(0, |(_, n)| *n);
    let poor = expected.iter().find(|store| ran(store) < FEWEST_TRIALS);
    if let (Some(store), Verdict::Passed) = (poor, &outcome.verdict) {
        let why = format!("{store} ran {} trials: fewer than {FEWEST_TRIALS}", ran(store));
        outcome.verdict = Verdict::Failed(why);
    }
    outcome
}

/// Returns the features that are stores: each has a module of its name.
fn stores_of(features: &Features) -> Vec<String> {
    let dir = root().join("crates/sessile/src/stores");
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let modules = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        Some(name.strip_suffix(".rs").unwrap_or(&name).to_owned())
    });
    let mut stores: Vec<String> = modules.filter(|module| features.contains(module)).collect();
    stores.sort();
    stores
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(name: &str, text: &str) -> Suite {
        Suite { name: name.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_program_without_a_closing_line_has_failed() {
        let good = suite("it", "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured");
        assert_eq!(judge(&[&good]).verdict, Verdict::Passed);
        let crashed = suite("stores", "test memory::a ... ok\nerror: test failed");
        let outcome = judge(&[&good, &crashed]);
        assert_eq!(outcome.verdict, Verdict::Failed("0 tests failed, in stores".to_owned()));
        assert_eq!(outcome.counts.passed, 3);
    }

    #[test]
    fn sequences_are_counted_where_they_are_named() {
        assert_eq!(number_before("oracle: 1000 sequences, 4210 requests", "sequences"), Some(1000));
        assert_eq!(number_before("replayed 1,000 sequences.", "sequences"), Some(1000));
        assert_eq!(number_before("all sequences agree", "sequences"), None);
    }
}
