//! Replays what express-session 1.19.0 really did through the axum stack, and
//! compares cookies, outputs and records to the byte.
//!
//! `SESSILE_ORACLE` names another recording. Every difference is one of three
//! rules of COMPATIBILITY.md, counted here; anything else is a failure.

#![allow(clippy::unwrap_used, reason = "a recording that does not read fails the test")]
#![allow(clippy::print_stdout, reason = "the summary is what a replay is for")]

mod express;
mod recording;
mod replay;
mod vectors;

use std::collections::BTreeMap;
use std::process::ExitCode;

use recording::Sequence;

const RECORDING: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/express/sequences.jsonl");
const FAILURES_SHOWN: usize = 10;

/// Where Sessile does something else on purpose.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Rule {
    DestroyedSessionClearsItsCookie,
    NoOrphanIsStored,
    PathMatchesAsInRfc6265,
}

#[derive(Default)]
struct Tally {
    steps: usize,
    differences: BTreeMap<Rule, usize>,
    failures: Vec<String>,
}

fn main() -> ExitCode {
    let path = std::env::var("SESSILE_ORACLE").unwrap_or_else(|_| RECORDING.into());
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("oracle: cannot read {path}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut sequences, mut tally) = (0, Tally::default());
    for line in text.lines().filter(|line| !line.is_empty()) {
        let sequence: Sequence = serde_json::from_str(line).unwrap();
        runtime.block_on(replay::play(&sequence, &mut tally));
        sequences += 1;
    }
    let vectors = runtime.block_on(vectors::replay()).unwrap_or_else(|failures| {
        tally.failures.extend(failures);
        0
    });
    for failure in tally.failures.iter().take(FAILURES_SHOWN) {
        println!("{failure}\n");
    }
    let differences: Vec<_> =
        tally.differences.iter().map(|(rule, count)| format!("{rule:?} {count}")).collect();
    println!(
        "oracle: {sequences} sequences, {} steps, {vectors} vectors, differences by rule: {}; {} failures",
        tally.steps,
        differences.join(", "),
        tally.failures.len()
    );
    let passed = tally.failures.is_empty() && tally.steps > 0;
    let done = (tally.steps + vectors).saturating_sub(tally.failures.len());
    println!("{done} passed, {} failed", tally.failures.len());
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
