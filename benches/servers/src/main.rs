//! Measures Sessile on real servers beside its peers: one run, one table. See ../README.md.

mod app;
mod contender;
mod effort;
mod keeper;
mod load;
mod processor;
mod report;
mod rounds;
mod space;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};
use std::{env, fs, io};

use bench_report::Machine;
use tokio::runtime::{Builder, Runtime};

use contender::Keeper;
use effort::Effort;
use report::Findings;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => run(&Effort::FULL, Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))),
        ["--quick"] => run(&Effort::QUICK, &beside_this_program()?),
        ["serve", contender, url] => contender::serve(contender, url),
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
    processor::keep_to(processor::LOAD)?;
    let found = measure(effort)?;
    let table = report::markdown(&found, &machine);
    fs::write(directory.join("SERVERS.md"), &table)?;
    fs::write(directory.join("servers.svg"), report::picture(&found))?;
    println!("{table}");
    eprintln!("{} s, written to {}", started.elapsed().as_secs(), directory.display());
    Ok(())
}

fn measure(effort: &Effort) -> Outcome<Findings> {
    let runtime = runtime()?;
    let mut costs = Vec::new();
    for keeper in [Keeper::Redis, Keeper::Postgres] {
        eprintln!("requests over {} …", keeper.name());
        costs.extend(runtime.block_on(rounds::costs(keeper, effort))?);
    }
    eprintln!("{} sessions in each …", effort.sessions);
    let redis = runtime.block_on(space::redis(effort.sessions))?;
    let postgres = runtime.block_on(space::postgres(effort.sessions))?;
    let versions = [Keeper::Redis, Keeper::Postgres].map(Keeper::version);
    Ok(Findings { costs, redis, postgres, sessions: effort.sessions, versions })
}

/// A runtime of one thread: the load has one core.
fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

#[expect(clippy::disallowed_methods, reason = "nothing here lives long enough to be moved in time")]
fn now() -> SystemTime {
    SystemTime::now()
}
