//! The stages of `cargo xtask test`.

mod checks;
mod node;
mod suites;

use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use crate::counts::{Counts, Suite};
use crate::features::Features;
use crate::install::{Need, Workshop};
use crate::report::{self, Ended, Verdict};
use crate::shell::{is_strict, root};

pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    needs: &'static [Need],
    run: fn(&mut Run<'_>) -> Outcome,
}

/// What the stores' tests start.
const SERVERS: &[Need] = &[
    Need::Mariadb,
    Need::Memcached,
    Need::MongoLibraries,
    Need::Mongod,
    Need::Openssl,
    Need::Postgres,
    Need::Redis,
];

/// Every stage, those that fail fastest first.
pub(crate) const STAGES: &[Stage] = &[
    Stage {
        name: "fmt",
        about: "all code is formatted",
        needs: &[Need::Rustfmt],
        run: checks::fmt,
    },
    Stage {
        name: "clippy",
        about: "no lint complains",
        needs: &[Need::Clippy],
        run: checks::clippy,
    },
    Stage {
        name: "test",
        about: "unit, integration and documentation tests",
        needs: SERVERS,
        run: suites::test,
    },
    Stage {
        name: "oracle",
        about: "does what express-session did",
        needs: &[],
        run: suites::oracle,
    },
    Stage {
        name: "stores",
        about: "every store keeps every promise",
        needs: SERVERS,
        run: suites::stores,
    },
    Stage {
        name: "interop",
        about: "Node and Rust share sessions",
        needs: &[
            Need::Mariadb,
            Need::Memcached,
            Need::MongoLibraries,
            Need::Mongod,
            Need::Nginx,
            Need::Node,
            Need::Postgres,
            Need::Redis,
        ],
        run: node::interop,
    },
    Stage {
        name: "browser",
        about: "a person logs in with Chromium",
        needs: &[Need::Node, Need::Chromium],
        run: node::browser,
    },
    Stage {
        name: "features",
        about: "each feature builds alone, and pulls in nothing else",
        needs: &[],
        run: checks::features,
    },
    Stage { name: "doc", about: "the documentation has no fault", needs: &[], run: checks::doc },
    Stage {
        name: "fuzz",
        about: "no input breaks a promise",
        needs: &[Need::Cxx],
        run: checks::fuzz_all,
    },
    Stage {
        name: "deny",
        about: "licences, banned crates, sources, advisories",
        needs: &[Need::CargoDeny],
        run: checks::deny,
    },
];

/// What the command line chose.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) fuzz_seconds: Option<u64>,
    pub(crate) fuzz_target: Option<String>,
    pub(crate) stores: Vec<String>,
}

/// What the stages of one run know of each other.
struct Run<'o> {
    options: &'o Options,
    chosen: Vec<&'o str>,
    /// What `test` ran, for the stages whose programs it ran too.
    suites: Vec<Suite>,
}

struct Outcome {
    verdict: Verdict,
    counts: Counts,
    notes: Vec<String>,
}

impl Outcome {
    fn passed() -> Self {
        Self { verdict: Verdict::Passed, counts: Counts::default(), notes: Vec::new() }
    }

    fn failed(why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Failed(why.into()), ..Self::passed() }
    }

    fn skipped(why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skipped(why.into()), ..Self::passed() }
    }

    /// Passed if `ok`, failed for `why` if not.
    fn of(ok: bool, why: &str) -> Self {
        if ok { Self::passed() } else { Self::failed(why) }
    }

    fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

/// Runs the stages called `names`, or all, and prints the summary.
pub(crate) fn run(names: &[&str], options: &Options) -> ExitCode {
    let started = Instant::now();
    let chosen: Vec<&Stage> =
        STAGES.iter().filter(|stage| names.is_empty() || names.contains(&stage.name)).collect();
    let needs: Vec<Need> = chosen.iter().flat_map(|stage| stage.needs).copied().collect();
    let mut workshop = Workshop::new(&needs);
    let names: Vec<&str> = chosen.iter().map(|stage| stage.name).collect();
    workshop.announce();
    node::announce(&names);
    workshop.install();

    let mut run = Run { options, chosen: names, suites: Vec::new() };
    let mut ended = Vec::new();
    for (index, stage) in chosen.iter().enumerate() {
        report::headline(index + 1, chosen.len(), stage.name, stage.about);
        let started = Instant::now();
        workshop.build(stage.needs);
        let outcome = match workshop.missing(stage.needs) {
            Some(why) => Outcome::skipped(why),
            None => (stage.run)(&mut run),
        };
        let Outcome { verdict, counts, notes } = strictly(outcome, is_strict());
        if let Verdict::Failed(why) | Verdict::Skipped(why) = &verdict {
            println!("{}: {why}", stage.name);
        }
        ended.push(Ended { name: stage.name, verdict, counts, notes, took: started.elapsed() });
    }
    report::summary(&ended, started.elapsed());
    if report::sum(&ended).failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Where nothing may be missing, what was skipped has failed.
fn strictly(mut outcome: Outcome, strict: bool) -> Outcome {
    if !strict {
        return outcome;
    }
    outcome.verdict = match outcome.verdict {
        Verdict::Skipped(why) => Verdict::Failed(why),
        Verdict::Passed if outcome.counts.skipped > 0 => {
            Verdict::Failed(format!("{} tests did not run", outcome.counts.skipped))
        }
        verdict => verdict,
    };
    outcome
}

/// Reads the features of the crate in `dir`.
fn features_of(dir: &str) -> Features {
    let manifest = fs::read_to_string(root().join(dir).join("Cargo.toml"));
    Features::of_manifest(&manifest.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_may_be_missing_skipped_is_failed() {
        let lazy = || Outcome::skipped("no Node");
        assert_eq!(strictly(lazy(), false).verdict, Verdict::Skipped("no Node".to_owned()));
        assert_eq!(strictly(lazy(), true).verdict, Verdict::Failed("no Node".to_owned()));
        let mut partly = Outcome::passed();
        partly.counts = Counts { passed: 9, failed: 0, skipped: 2 };
        assert_eq!(
            strictly(partly, true).verdict,
            Verdict::Failed("2 tests did not run".to_owned())
        );
    }

    #[test]
    fn stages_have_names_of_their_own() {
        for (index, stage) in STAGES.iter().enumerate() {
            assert!(STAGES[..index].iter().all(|earlier| earlier.name != stage.name));
        }
    }
}
