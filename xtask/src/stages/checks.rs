//! Stages that look at the code and run no test of ours.

use std::fs;
use std::process::Command;

use super::{Outcome, Run, features_of};
use crate::features::Features;
use crate::fuzz;
use crate::install::cargo_deny;
use crate::report::Verdict;
use crate::shell::{self, cargo, root};

pub(super) fn fmt(_: &mut Run<'_>) -> Outcome {
    let mut ok = shell::show(cargo(&["fmt", "--all", "--check"])).ok;
    for dir in ["benches", "benches/servers", "fuzz"] {
        if root().join(dir).join("Cargo.toml").is_file() {
            let mut fmt = cargo(&["fmt", "--check"]);
            fmt.current_dir(root().join(dir));
            ok &= shell::show(fmt).ok;
        }
    }
    Outcome::of(ok, "`cargo fmt` would change something")
}

pub(super) fn clippy(_: &mut Run<'_>) -> Outcome {
    let all = &["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    Outcome::of(shell::show(cargo(all)).ok, "clippy complains")
}

/// Builds every library with each of its features alone, with none and with all.
pub(super) fn features(_: &mut Run<'_>) -> Outcome {
    let (mut built, mut trouble) = (0, Vec::new());
    for package in packages() {
        let features = features_of(&format!("crates/{package}"));
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
    // What a dependency itself depends on is its own affair: look one level deep.
    let tree = ["tree", "--edges", "normal,build", "--prefix", "none", "--depth", "1"];
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

pub(super) fn doc(_: &mut Run<'_>) -> Outcome {
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

pub(super) fn fuzz_all(run: &mut Run<'_>) -> Outcome {
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

pub(super) fn deny(_: &mut Run<'_>) -> Outcome {
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
