//! Which core does what, and how much of it.

use std::process::{Command, Stdio};
use std::{fs, io, process};

use crate::Outcome;

/// The core of the application that is measured.
pub const APP: usize = 0;
/// The core of those who send requests, and of the server that keeps the sessions.
pub const LOAD: usize = 1;

/// Keeps this process, and whatever it starts from now on, to one core.
pub fn keep_to(core: usize) -> Outcome<()> {
    let mut taskset = Command::new("taskset");
    taskset.args(["-acp", &core.to_string(), &process::id().to_string()]);
    let status = taskset.stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err("it takes two cores, and taskset".into()) }
}

/// Returns a command that runs on one core.
pub fn on(core: usize, words: &[String]) -> Command {
    let mut taskset = Command::new("taskset");
    taskset.args(["-c", &core.to_string()]).args(words);
    taskset
}

/// Returns the seconds of processor time that a process and its children have used.
pub fn seconds(id: u32) -> io::Result<f64> {
    let others: io::Result<f64> = children(id).into_iter().map(own_seconds).sum();
    Ok(own_seconds(id)? + others? + seconds_of_the_ended(id)?)
}

/// What its children had used when they ended. Databases end a process with each connection.
fn seconds_of_the_ended(id: u32) -> io::Result<f64> {
    /// What Linux tells everybody, whatever the kernel counts in.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name before the bracket may hold anything.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ');
    let (user, system) = (13, 14); // cutime and cstime
    let ticks = fields.take(system + 1).skip(user).filter_map(|field| field.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() / TICKS_PER_SECOND)
}

/// What `utime` and `stime` of `/proc/<id>/stat` count in hundredths of a second, here in
/// nanoseconds, of all threads that live.
fn own_seconds(id: u32) -> io::Result<f64> {
    let mut nanos = 0.0;
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else { return Ok(nanos) };
    for thread in threads {
        // One that ends meanwhile has done nothing for a request.
        let stat = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        nanos += stat.split(' ').next().and_then(|n| n.parse::<f64>().ok()).unwrap_or_default();
    }
    Ok(nanos / 1e9)
}

fn children(id: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}
