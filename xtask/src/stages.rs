//! The stages of `cargo xtask test`.

use std::fs;
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::counts::{self, Counts, Suite};
use crate::features::Features;
use crate::fuzz;
use crate::install::{Need, Workshop, cargo_deny};
use crate::report::{self, Ended, Verdict};
use crate::shell::{self, cargo, is_strict, root, target_dir};

pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    needs: &'static [Need],
    run: fn(&mut Run<'_>) -> Outcome,
}

/// Every stage, those that fail fastest first.
pub(crate) const STAGES: &[Stage] = &[
    Stage { name: "fmt", about: "all code is formatted", needs: &[Need::Rustfmt], run: fmt },
    Stage { name: "clippy", about: "no lint complains", needs: &[Need::Clippy], run: clippy },
    Stage {
        name: "test",
        about: "unit, integration and documentation tests",
        needs: &[],
        run: test,
    },
    Stage { name: "oracle", about: "does what express-session did", needs: &[], run: oracle },
    Stage { name: "stores", about: "every store keeps every promise", needs: &[], run: stores },
    Stage {
        name: "interop",
        about: "Node and Rust share sessions",
        needs: &[Need::Node],
        run: interop,
    },
    Stage {
        name: "browser",
        about: "a person logs in with Chromium",
        needs: &[Need::Node, Need::Chromium],
        run: browser,
    },
    Stage {
        name: "features",
        about: "each feature builds alone, and pulls in nothing else",
        needs: &[],
        run: features,
    },
    Stage { name: "doc", about: "the documentation has no fault", needs: &[], run: doc },
    Stage { name: "fuzz", about: "no input breaks a promise", needs: &[Need::Cxx], run: fuzz_all },
    Stage {
        name: "deny",
        about: "licences, banned crates, sources, advisories",
        needs: &[Need::CargoDeny],
        run: deny,
    },
];

/// Stages that are test programs of the workspace, and the fewest tests of `test`.
const OWN_STAGE: [&str; 2] = ["oracle", "stores"];
const FEWEST_TESTS: usize = 50;
/// The fewest promises a store can keep and be called proven.
const FEWEST_TRIALS: usize = 15;
const SEQUENCES: usize = 1000;

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
    chosen: Vec<&'static str>,
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
    workshop.announce();
    workshop.install();

    let chosen_names = chosen.iter().map(|stage| stage.name).collect();
    let mut run = Run { options, chosen: chosen_names, suites: Vec::new() };
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

fn fmt(_: &mut Run<'_>) -> Outcome {
    let mut ok = true;
    for dir in [".", "benches", "fuzz"] {
        if root().join(dir).join("Cargo.toml").is_file() {
            let mut fmt = cargo(&["fmt", "--all", "--check"]);
            fmt.current_dir(root().join(dir));
            ok &= shell::show(fmt).ok;
        }
    }
    Outcome::of(ok, "`cargo fmt --all` would change something")
}

fn clippy(_: &mut Run<'_>) -> Outcome {
    let all = &["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    Outcome::of(shell::show(cargo(all)).ok, "clippy complains")
}

fn test(run: &mut Run<'_>) -> Outcome {
    let done = cargo_test(&["--no-fail-fast"]);
    run.suites = counts::suites(&done.text);
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

fn oracle(run: &mut Run<'_>) -> Outcome {
    let Some(suite) = program(run, "oracle", &[]) else {
        return Outcome::failed("the test program `oracle` did not run");
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
fn program(run: &Run<'_>, name: &str, args: &[&str]) -> Option<Suite> {
    if let Some(suite) = run.suites.iter().find(|suite| suite.name == name) {
        println!("{}", suite.text.trim());
        return Some(suite.clone());
    }
    let done = cargo_test(&[&["--test", name, "--"], args].concat());
    counts::suites(&done.text).into_iter().find(|suite| suite.name == name)
}

/// Reads the number in `1000 sequences`, wherever it stands.
fn number_before(line: &str, noun: &str) -> Option<usize> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let pairs =
        words.windows(2).filter(|pair| pair[1].trim_end_matches([',', '.', ':', ';']) == noun);
    pairs.filter_map(|pair| pair[0].replace(',', "").parse().ok()).next()
}

fn stores(run: &mut Run<'_>) -> Outcome {
    let chosen: Vec<&str> = run.options.stores.iter().map(String::as_str).collect();
    let Some(suite) = program(run, "stores", &chosen) else {
        return Outcome::failed("the test program `stores` did not run");
    };
    let trials = suite.passed_by_prefix();
    let mut outcome = judge(&[&suite]);
    let list = trials.iter().map(|(store, trials)| format!("{store} {trials}"));
    outcome.notes.push(format!("trials by store: {}", list.collect::<Vec<_>>().join(", ")));
    let expected = match run.options.stores.as_slice() {
        [] => stores_of(&read_manifest("crates/sessile")),
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

fn read_manifest(package: &str) -> Features {
    let manifest = fs::read_to_string(root().join(package).join("Cargo.toml"));
    Features::of_manifest(&manifest.unwrap_or_default())
}

fn interop(_: &mut Run<'_>) -> Outcome {
    npm_test("interop", "interop-server", "INTEROP_SERVER")
}

fn browser(_: &mut Run<'_>) -> Outcome {
    npm_test("examples/login/browser", "login", "LOGIN_BIN")
}

/// Runs the Node tests in `dir` against our `server`, which `variable` tells them where to find.
fn npm_test(dir: &str, server: &str, variable: &str) -> Outcome {
    if !root().join(dir).join("package.json").is_file() {
        return Outcome::skipped(format!("there is no {dir}/package.json"));
    }
    // With the features of all other stages, so that nothing is compiled twice.
    let build = cargo(&["build", "--workspace", "--all-features", "--bin", server]);
    if !shell::show(build).ok {
        return Outcome::failed(format!("{server} does not build"));
    }
    let npm = |args: &[&str]| {
        let mut npm = Command::new("npm");
        npm.current_dir(root().join(dir)).args(args);
        npm.env(variable, target_dir().join("debug").join(server));
        shell::show(npm)
    };
    if !npm(&["ci", "--no-audit", "--no-fund"]).ok {
        return Outcome::failed("npm ci failed");
    }
    let done = npm(&["test"]);
    let counts = counts::node(&done.text).unwrap_or_default();
    let verdict = match counts {
        Counts { failed: 1.., .. } => Verdict::Failed(format!("{} tests failed", counts.failed)),
        _ if !done.ok => Verdict::Failed("npm test failed".to_owned()),
        Counts { passed: 0, .. } => Verdict::Failed("no test ran".to_owned()),
        _ => Verdict::Passed,
    };
    let mut outcome = Outcome { verdict, counts, notes: Vec::new() }
        .note(format!("{} tests passed", counts.passed));
    if counts.skipped > 0 {
        outcome = outcome.note(format!("{} tests skipped", counts.skipped));
    }
    outcome
}

/// Builds every library with each of its features alone, with none and with all.
fn features(_: &mut Run<'_>) -> Outcome {
    let (mut built, mut trouble) = (0, Vec::new());
    for package in packages() {
        let features = read_manifest(&format!("crates/{package}"));
        if features.names().next().is_none() {
            continue;
        }
        for feature in std::iter::once(None).chain(features.names().map(Some)) {
            built += 1;
            let of = format!("{package} with {}", feature.unwrap_or("no feature"));
            trouble.extend(
                check_alone(&package, feature, &features).map(|what| format!("{of} {what}")),
            );
        }
        let all = shell::show(cargo(&["check", "-p", &package, "--all-features"]));
        built += 1;
        trouble.extend(complaint(&all).map(|what| format!("{package} with all features {what}")));
    }
    match trouble.as_slice() {
        [] if built == 0 => Outcome::failed("no library has features"),
        [] => Outcome::passed().note(format!("{built} combinations build without a warning")),
        [first, ..] => {
            trouble.iter().fold(Outcome::failed(first), |outcome, what| outcome.note(what))
        }
    }
}

fn packages() -> Vec<String> {
    let entries = fs::read_dir(root().join("crates")).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn check_alone(package: &str, feature: Option<&str>, features: &Features) -> Option<String> {
    let mut args = vec!["-p", package, "--no-default-features"];
    args.extend(feature.iter().flat_map(|feature| ["--features", feature]));
    let done = shell::show(cargo(&[&["check"], args.as_slice()].concat()));
    if let Some(what) = complaint(&done) {
        return Some(what.to_owned());
    }
    // What a wanted driver itself depends on is its own affair: look one level deep.
    let depth = if feature.is_some() { "1" } else { "99" };
    let tree = ["tree", "--edges", "normal,build", "--prefix", "none", "--depth", depth];
    let tree = cargo(&[&tree, args.as_slice()].concat());
    match shell::read(tree) {
        Err(trouble) => Some(format!("has no tree: {trouble}")),
        Ok(tree) => {
            let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
            let intruder =
                features.kept_out_by(feature).into_iter().find(|name| names.contains(name));
            intruder.map(|name| format!("pulls in {name}"))
        }
    }
}

fn complaint(done: &shell::Done) -> Option<&'static str> {
    if !done.ok {
        return Some("does not build");
    }
    done.text.lines().any(|line| line.starts_with("warning")).then_some("builds with warnings")
}

fn doc(_: &mut Run<'_>) -> Outcome {
    let mut doc = cargo(&["doc", "--workspace", "--all-features", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings -D rustdoc::all");
    let done = shell::show(doc);
    let place = done.text.lines().find_map(|line| line.trim().strip_prefix("Generated "));
    let outcome = Outcome::of(done.ok, "rustdoc complains");
    match place.and_then(|place| place.split(" and ").next()) {
        Some(place) => outcome.note(place),
        None => outcome,
    }
}

fn fuzz_all(run: &mut Run<'_>) -> Outcome {
    let seconds =
        run.options.fuzz_seconds.or_else(|| std::env::var("FUZZ_SECONDS").ok()?.parse().ok());
    let seconds = seconds.unwrap_or(10);
    let built = match fuzz::build() {
        Ok(built) => built,
        Err(why) => return Outcome::failed(why),
    };
    let chosen = |name: &String| run.options.fuzz_target.as_ref().is_none_or(|only| only == name);
    let mut outcome = Outcome::passed();
    for target in fuzz::targets().into_iter().filter(chosen) {
        match built.run(&target, seconds) {
            Ok(inputs) => {
                outcome = outcome.note(format!("{target}: {inputs} inputs in {seconds} s"))
            }
            Err(why) => {
                outcome.verdict = Verdict::Failed(why.clone());
                outcome = outcome.note(why);
            }
        }
    }
    if outcome.notes.is_empty() { Outcome::failed("there is no fuzz target") } else { outcome }
}

fn deny(_: &mut Run<'_>) -> Outcome {
    let Some(program) = cargo_deny() else { return Outcome::skipped("cargo-deny is not here") };
    let deny = |args: &[&str]| {
        let mut deny = Command::new(&program);
        deny.current_dir(root()).args(args);
        deny
    };
    if !shell::show(deny(&["check", "licenses", "bans", "sources"])).ok {
        return Outcome::failed("cargo-deny found something that deny.toml does not allow");
    }
    if shell::read(deny(&["fetch", "db"])).is_err() {
        return Outcome::passed().note("advisories: not checked, their database cannot be reached");
    }
    let advisories = shell::show(deny(&["check", "--disable-fetch", "advisories"]));
    Outcome::of(advisories.ok, "a dependency has a known flaw").note("advisories: checked")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(name: &str, text: &str) -> Suite {
        Suite { name: name.to_owned(), text: text.to_owned() }
    }

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

    #[test]
    fn stages_have_names_of_their_own() {
        for (index, stage) in STAGES.iter().enumerate() {
            assert!(STAGES[..index].iter().all(|earlier| earlier.name != stage.name));
        }
    }
}
