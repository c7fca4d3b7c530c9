//! express-session's figures, from Node if this machine has it.

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs `script` of benches/node and returns the number that it prints.
pub fn run(script: &str, sessions: u64) -> Option<f64> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("node");
    if !directory.join("node_modules/express-session").is_dir() {
        let installed = Command::new("npm")
            .args(["ci", "--silent", "--no-audit", "--no-fund"])
            .current_dir(&directory)
            .stdin(Stdio::null())
            .status();
        installed.ok().filter(|status| status.success())?;
    }
    let output = Command::new("node")
        .args(["--expose-gc", "--max-old-space-size=8192", script, &sessions.to_string()])
        .current_dir(&directory)
        .output()
        .ok()?;
    super::numbers(&output).ok()?.first().copied()
}
