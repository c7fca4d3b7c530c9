//! Instructions and allocations per request, as callgrind counts them.
//!
//! The contender runs in a child process under valgrind, which counts inside
//! [`window`] only and writes what it has that ends: two parts per
//! scenario. Allocations are the calls that reach the C library's allocator.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tokio::runtime::Runtime;

use crate::contender::{App, CONTENDERS};
use crate::effort::Effort;
use crate::scenario::{Ask, SCENARIOS};

/// What one request costs.
#[derive(Clone, Copy, Default)]
pub struct Count {
    pub instructions: f64,
    pub allocations: f64,
}

/// Returns the counts of one contender, in the order of [`SCENARIOS`]; none without valgrind.
pub fn per_request(contender: usize, effort: &Effort) -> Option<Vec<Count>> {
    let directory = super::scratch(&format!("callgrind-{contender}")).ok()?;
    let finished = Command::new("valgrind")
        .args(["--tool=callgrind", "--compress-strings=no"])
        .arg(format!("--toggle-collect={WINDOW}"))
        .arg(format!("--dump-after={WINDOW}"))
        .arg(format!("--callgrind-out-file={}", directory.join("out").display()))
        .arg(std::env::current_exe().ok()?)
        .args(["traced", &contender.to_string(), &effort.traced.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .ok()?;
    if !finished.success() {
        return None;
    }
    let requests = effort.traced as f64;
    let part = |n: usize| {
        let (instructions, allocations) = read(&directory.join(format!("out.{}", 2 * n)))?;
        Some(Count {
            instructions: instructions as f64 / requests,
            allocations: allocations as f64 / requests,
        })
    };
    (1..=SCENARIOS.len()).map(part).collect()
}

/// The child's side: every scenario once, warmed up.
pub fn trace(contender: usize, requests: usize) {
    for scenario in &SCENARIOS {
        let runtime = super::runtime();
        let (mut app, ask) = runtime.block_on(async {
            let mut app = CONTENDERS[contender].open().await;
            let ask = scenario.prepare(&mut *app).await;
            (app, ask)
        });
        // The first part begins with the program: it warms up, and is thrown away.
        window(&runtime, &mut *app, &ask, requests / 4);
        window(&runtime, &mut *app, &ask, requests);
    }
}

#[inline(never)]
fn window(runtime: &Runtime, app: &mut dyn App, ask: &Ask, requests: usize) {
    runtime.block_on(app.repeat(ask, requests));
}

/// What callgrind calls [`window`].
const WINDOW: &str = concat!(module_path!(), "::window");

const ALLOCATORS: [&str; 6] =
    ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign"];

/// Reads the total, and the calls of allocators, out of callgrind's file.
fn read(file: &Path) -> Option<(u64, u64)> {
    let text = fs::read_to_string(file).ok()?;
    let (mut total, mut allocations, mut callee) = (None, 0, "");
    for line in text.lines() {
        if let Some(function) = line.strip_prefix("cfn=") {
            callee = function;
        } else if let Some(calls) = line.strip_prefix("calls=") {
            if ALLOCATORS.contains(&callee) {
                allocations += calls.split(' ').next()?.parse::<u64>().ok()?;
            }
        } else if let Some(sum) = line.strip_prefix("totals: ") {
            total = sum.trim().parse().ok();
        }
    }
    Some((total?, allocations))
}
