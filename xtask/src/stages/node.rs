//! Node's tests, against servers of ours.

use std::process::Command;

use super::{Outcome, Run};
use crate::counts::{self, Counts};
use crate::report::Verdict;
use crate::shell::{self, cargo, root, target_dir};

const INTEROP: &str = "interop";
const BROWSER: &str = "examples/login/browser";

/// Says which packages the stages among `names` install, and where.
pub(super) fn announce(names: &[&str]) {
    for (stage, dir) in [("interop", INTEROP), ("browser", BROWSER)] {
        if names.contains(&stage) {
            println!(
                "`npm ci` will install what {dir}/package-lock.json names, into {dir}/node_modules."
            );
        }
    }
}

pub(super) fn interop(_: &mut Run<'_>) -> Outcome {
    npm_test(INTEROP, "interop-server", "INTEROP_SERVER")
}

pub(super) fn browser(_: &mut Run<'_>) -> Outcome {
    npm_test(BROWSER, "login", "LOGIN_BIN")
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
