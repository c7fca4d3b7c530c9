//! Where and with what it was measured.

use std::fs;
use std::process::Command;

use time::OffsetDateTime;

/// The facts that figures depend on.
pub struct Machine {
    pub date: String,
    pub processor: String,
    pub memory: String,
    pub rustc: String,
    pub valgrind: String,
    pub node: String,
    /// What else ran meanwhile: processes that wanted a processor, on average.
    pub load: String,
}

impl Machine {
    pub fn look() -> Self {
        let now = OffsetDateTime::now_utc();
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let model = value("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into());
        let kilobytes = value("/proc/meminfo", "MemTotal").unwrap_or_default();
        let kilobytes = kilobytes.split(' ').next().and_then(|n| n.parse::<f64>().ok());
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            date: now.date().to_string(),
            processor: format!("{model}, {cores} cores"),
            memory: kilobytes.map_or("?".into(), |n| format!("{:.0} GB", n / 1e6)),
            rustc: said_by("rustc"),
            valgrind: said_by("valgrind"),
            node: said_by("node"),
            load: load.split(' ').take(2).collect::<Vec<_>>().join(", "),
        }
    }
}

fn value(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn said_by(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| format!("no {program}"))
}

/// Returns the version of `package` that a lockfile names.
pub fn version<'a>(lockfile: &'a str, package: &str) -> &'a str {
    let entry = format!("name = \"{package}\"\nversion = \"");
    let found = lockfile.split_once(&entry).and_then(|(_, rest)| rest.split_once('"'));
    found.map_or("", |(version, _)| version)
}
