//! What is measured: one module per question.

pub mod database;
pub mod growth;
pub mod instructions;
pub mod memory;
pub mod node;
pub mod stall;
pub mod time;
pub mod workers;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::{fs, io};

use tokio::runtime::{Builder, Runtime};

/// A runtime of one thread: this one.
pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime needs nothing")
}

/// An empty directory beside this program.
pub fn scratch(name: &str) -> std::io::Result<PathBuf> {
    let directory = std::env::current_exe()?.with_file_name("scratch").join(name);
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Runs this program anew for one question, and reads the numbers that it prints.
pub fn ask_child(question: &[&str]) -> io::Result<Vec<f64>> {
    let output = Command::new(std::env::current_exe()?)
        .args(question)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    numbers(&output)
}

fn numbers(output: &Output) -> io::Result<Vec<f64>> {
    if !output.status.success() {
        return Err(io::Error::other(format!("a child process ended with {}", output.status)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().map(|word| word.parse().map_err(io::Error::other)).collect()
}
