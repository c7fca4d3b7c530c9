//! `cargo xtask`: one door to everything this repository runs.

#![expect(clippy::print_stdout, reason = "talking to a person at a terminal is its job")]

mod counts;
mod features;
mod fuzz;
mod install;
mod mongod;
mod report;
mod shell;
mod stages;

use std::env;
use std::process::{Command, ExitCode};

use install::{Need, Workshop};
use shell::root;

const HELP: &str = "\
cargo xtask <command>

  demo                      runs the login example
  test [stage…]             runs every stage, or these; `test stores NAME` one store
  bench [servers] [--quick] runs the benchmarks that need no server, or those that do
  fuzz [target] [seconds]   fuzzes every target, or one, for 10 seconds each, or so many
  lint                      the stages fmt and clippy
  doc                       builds the documentation, and complains about it

Stages of `test`, in order:
";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["help" | "--help" | "-h", ..] => help(),
        ["demo", rest @ ..] => demo(rest),
        ["test", rest @ ..] => test(rest),
        ["bench", rest @ ..] => bench(rest),
        ["fuzz", rest @ ..] => fuzz(rest),
        ["lint"] => stages::run(&["fmt", "clippy"], &stages::Options::default()),
        ["doc"] => stages::run(&["doc"], &stages::Options::default()),
        _ => wrong(&format!("no command `{}`", words.join(" "))),
    }
}

fn help() -> ExitCode {
    print!("{HELP}");
    for stage in stages::STAGES {
        println!("  {:<9} {}", stage.name, stage.about);
    }
    println!(
        "\nWhat is missing on this machine is named first and then installed.\n\
         What cannot run is a failure; with SESSILE_ALLOW_MISSING=1 it is listed as skipped."
    );
    ExitCode::SUCCESS
}

fn wrong(complaint: &str) -> ExitCode {
    eprintln!("{complaint}\n`cargo xtask` alone prints what there is.");
    ExitCode::from(2)
}

fn demo(rest: &[&str]) -> ExitCode {
    let mut cargo = shell::cargo(&["run", "-p", "login"]);
    if !rest.is_empty() {
        cargo.arg("--").args(rest);
    }
    shell::hand_over(cargo)
}

/// Runs the stages named in `rest`; words after `stores` that name no stage choose a store.
fn test(rest: &[&str]) -> ExitCode {
    let (names, others): (Vec<&str>, Vec<&str>) =
        rest.iter().partition(|word| stages::STAGES.iter().any(|stage| stage.name == **word));
    if others.is_empty() {
        return stages::run(&names, &stages::Options::default());
    }
    if names != ["stores"] {
        return wrong(&format!("no stage `{}`", others.join(" ")));
    }
    let stores = others.into_iter().map(str::to_owned).collect();
    stages::run(&names, &stages::Options { stores, ..Default::default() })
}

fn fuzz(rest: &[&str]) -> ExitCode {
    let targets = fuzz::targets();
    let mut options = stages::Options::default();
    for word in rest {
        match word.parse() {
            Ok(seconds) => options.fuzz_seconds = Some(seconds),
            Err(_) if targets.iter().any(|target| target == word) => {
                options.fuzz_target = Some((*word).to_owned());
            }
            Err(_) => {
                return wrong(&format!(
                    "no fuzz target `{word}`; there are {}",
                    targets.join(", ")
                ));
            }
        }
    }
    stages::run(&["fuzz"], &options)
}

/// Runs the benchmarks that need no server, or with the word `servers` those that do.
fn bench(rest: &[&str]) -> ExitCode {
    let (dir, needs, rest): (_, &[Need], _) = match rest {
        ["servers", rest @ ..] => {
            ("benches/servers", &[Need::Node, Need::Postgres, Need::Redis, Need::Taskset], rest)
        }
        rest => ("benches", &[Need::Valgrind], rest),
    };
    let dir = root().join(dir);
    if !dir.join("Cargo.toml").is_file() {
        return wrong(&format!("there is no workspace in {}", dir.display()));
    }
    let mut workshop = Workshop::new(needs);
    workshop.announce();
    workshop.install();
    if let Some(why) = workshop.missing(needs) {
        eprintln!("{why}");
        return ExitCode::FAILURE;
    }
    let mut cargo = Command::new("cargo");
    cargo.current_dir(dir).args(["run", "--release"]);
    if !rest.is_empty() {
        cargo.arg("--").args(rest);
    }
    shell::hand_over(cargo)
}
