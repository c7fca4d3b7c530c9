//! Fuzzing on the stable toolchain: libFuzzer with the compiler's own coverage pass.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::shell::{self, root, target_dir};

/// What `cargo fuzz` would pass on nightly, less the address sanitizer: the
/// workspace forbids unsafe code, and the targets look for broken promises.
const COVERAGE: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Returns the names of the fuzz targets.
pub(crate) fn targets() -> Vec<String> {
    let entries = fs::read_dir(root().join("fuzz/targets")).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".rs")?.to_owned()))
        .collect();
    names.sort();
    names
}

/// Where the fuzz targets' programs lie.
#[derive(Debug)]
pub(crate) struct Built(PathBuf);

/// Builds the targets with coverage.
pub(crate) fn build() -> Result<Built, String> {
    let host = host()?;
    let target_dir = target_dir().join("fuzz");
    let mut cargo = Command::new("cargo");
    // Naming the target keeps the flags away from build scripts and macros.
    cargo
        .current_dir(root().join("fuzz"))
        .env("RUSTFLAGS", COVERAGE.join(" "))
        .args(["build", "--release", "--target", &host, "--target-dir"])
        .arg(&target_dir);
    if !shell::show(cargo).ok {
        return Err("the fuzz targets do not build".to_owned());
    }
    Ok(Built(target_dir.join(host).join("release")))
}

fn host() -> Result<String, String> {
    let mut rustc = Command::new("rustc");
    rustc.arg("-vV");
    let version = shell::read(rustc)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not name its host".to_owned())
}

impl Built {
    /// Fuzzes `target` for `seconds`, from its seeds and what earlier runs found, and returns how many inputs it tried.
    pub(crate) fn run(&self, target: &str, seconds: u64) -> Result<u64, String> {
        let fuzz = root().join("fuzz");
        let (corpus, artifacts) =
            (fuzz.join("corpus").join(target), fuzz.join("artifacts").join(target));
        for dir in [&corpus, &artifacts] {
            fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        }
        let mut program = Command::new(self.0.join(target));
        program
            .current_dir(&fuzz)
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix=artifacts/{target}/"))
            .args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
            .args([format!("corpus/{target}"), format!("seeds/{target}")]);
        let done = shell::show_if_failed(program);
        if !done.ok {
            return Err(format!(
                "{target} broke a promise: the input is in fuzz/artifacts/{target}/"
            ));
        }
        match executed(&done.text) {
            Some(inputs) if inputs > 0 => Ok(inputs),
            _ => Err(format!("{target} tried no input")),
        }
    }
}

/// Reads `stat::number_of_executed_units: 123`.
fn executed(output: &str) -> Option<u64> {
    let line = output.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    line?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libfuzzers_count_is_read() {
        let output =
            "#2 INITED cov: 3\nstat::number_of_executed_units: 4096\nstat::peak_rss_mb: 30\n";
        assert_eq!(executed(output), Some(4096));
        assert_eq!(executed("Done"), None);
    }
}
