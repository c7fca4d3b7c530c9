//! Measures Sessile beside its peers: one run, one table. See README.md.

mod contender;
mod effort;
mod figure;
mod report;
mod scenario;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs, io};

use bench_report::Machine;
use contender::{CONTENDERS, NO_OP, OURS, OURS_SPARED, TOWER_SESSIONS};
use effort::Effort;
use figure::{
    ask_child, database, growth, instructions, memory, node, runtime, stall, time, workers,
};
use report::Findings;
use scenario::{INCREMENT, READ, SCENARIOS};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => run(&Effort::FULL, Path::new(env!("CARGO_MANIFEST_DIR"))),
        ["--quick"] => run(&Effort::QUICK, &beside_this_program()?),
        [question, number, rest @ ..] => answer(question, number.parse()?, rest),
        _ => Err("cargo run --release [-- --quick]".into()),
    }
}

/// A quick run leaves the recorded results alone.
fn beside_this_program() -> io::Result<PathBuf> {
    let directory = env::current_exe()?.with_file_name("quick");
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

fn run(effort: &Effort, directory: &Path) -> Outcome<()> {
    let started = Instant::now();
    let machine = Machine::look();
    let found = measure(effort)?;
    let table = report::markdown(&found, &machine);
    fs::write(directory.join("RESULTS.md"), &table)?;
    fs::write(directory.join("results.svg"), report::picture(&found))?;
    println!("{table}");
    eprintln!("{} s, written to {}", started.elapsed().as_secs(), directory.display());
    Ok(())
}

fn measure(effort: &Effort) -> Outcome<Findings> {
    let step = |what: &str| eprintln!("{what} …");
    step("time");
    let times = SCENARIOS.iter().map(|scenario| time::per_request(scenario, effort)).collect();
    step("two workers");
    let workers = [NO_OP, OURS, OURS_SPARED, TOWER_SESSIONS].map(|contender| report::Workers {
        contender,
        reading: workers::speed_up(contender, &SCENARIOS[READ], effort),
        incrementing: workers::speed_up(contender, &SCENARIOS[INCREMENT], effort),
    });
    step("instructions and allocations");
    let counts = counts(effort);
    step("memory");
    let sessions = effort.sessions;
    let number = sessions.to_string();
    let memory = report::Memory {
        ours: first(&ask_child(&["memory", &number])?)?,
        tower_sessions: first(&ask_child(&["their-memory", &number])?)?,
        express: node::run("memory.mjs", sessions),
    };
    step("purging");
    let stall = stall(&number)?;
    let stall = report::Stall { express: node::run("stall.mjs", sessions), ..stall };
    step("a store that fills");
    let points = ask_child(&["growth", &effort.most_sessions.to_string()])?;
    let growth = points.chunks_exact(3).map(growth::Point::from).collect();
    step("SQLite");
    let database = database(effort)?;
    Ok(Findings {
        times,
        counts,
        workers: workers.into(),
        memory,
        stall,
        growth,
        database,
        sessions,
    })
}

/// By scenario and contender, as the times are; callgrind tells them by contender.
fn counts(effort: &Effort) -> Option<Vec<Vec<instructions::Count>>> {
    let contenders = 0..CONTENDERS.len();
    let counts: Option<Vec<_>> =
        contenders.map(|contender| instructions::per_request(contender, effort)).collect();
    let counts = counts?;
    let of = |scenario: usize| counts.iter().map(|counts| counts[scenario]).collect();
    Some((0..SCENARIOS.len()).map(of).collect())
}

/// The better of a few runs: what disturbs one only ever adds to it.
fn stall(sessions: &str) -> Outcome<report::Stall> {
    let mut best = [f64::MAX; 2];
    for _ in 0..3 {
        let [ours, on_the_wall, _] = ask_child(&["stall", sessions])?[..] else {
            return Err("no answer about purging".into());
        };
        best = [best[0].min(ours), best[1].min(on_the_wall)];
    }
    Ok(report::Stall { ours: best[0], ours_on_the_wall: best[1], express: None })
}

fn database(effort: &Effort) -> Outcome<report::Database> {
    let runtime = runtime();
    let pages_written_by_reading = runtime.block_on(database::pages_written_by_reading())? as f64;
    let mut rates = Vec::new();
    for callers in [1, 64] {
        rates.push((callers, runtime.block_on(database::rates(callers, effort.database_millis))?));
    }
    Ok(report::Database { pages_written_by_reading, rates })
}

fn first(answers: &[f64]) -> Outcome<f64> {
    answers.first().copied().ok_or_else(|| "a child process said nothing".into())
}

/// The side of a child process, which has a memory and a processor's time of its own.
fn answer(question: &str, number: u64, rest: &[&str]) -> Outcome<()> {
    let runtime = runtime();
    let numbers = match (question, rest) {
        ("memory", []) => vec![runtime.block_on(memory::ours(number))],
        ("their-memory", []) => vec![runtime.block_on(memory::theirs(number))],
        ("stall", []) => runtime.block_on(stall::while_purging(number)),
        ("growth", []) => {
            runtime.block_on(growth::curve(number)).iter().flat_map(<[f64; 3]>::from).collect()
        }
        ("traced", [requests]) => {
            instructions::trace(usize::try_from(number)?, requests.parse()?);
            Vec::new()
        }
        _ => return Err(format!("no question `{question}`").into()),
    };
    for number in numbers {
        println!("{number}");
    }
    Ok(())
}
