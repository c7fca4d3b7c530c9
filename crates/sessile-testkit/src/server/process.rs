//! A child process that never outlives this one.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Launch, Place};

/// How long a server may take to come up: a database on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
/// How much of a log an error quotes.
const LOG_TAIL: usize = 2_000;

/// Waits for a word on its input. An end without one means that whoever started the
/// server is gone: then the server goes too, and so does its directory.
const WATCH: &str = r#"read -r word || { kill -9 "$1" 2>/dev/null; rm -rf "$2"; }"#;

pub(super) struct Process {
    child: Child,
    watch: Child,
}

impl Process {
    pub(super) fn start(launch: &Launch, place: &Place) -> io::Result<Self> {
        let mut command = (launch.command)(place)?;
        let log = place.path().join("log");
        let output = File::options().create(true).append(true).open(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // Ctrl-c ends the tests, and they end the server.
        command.process_group(0);
        let child = command.spawn().map_err(|error| named(launch.name, &error.to_string()))?;
        let watch = watch(child.id(), place)?;
        let mut this = Self { child, watch };
        match this.wait_until_ready(launch, place) {
            Ok(()) => Ok(this),
            Err(why) => {
                let why = format!("{why}; its log ends with:\n{}", tail(&log));
                this.kill()?;
                Err(named(launch.name, &why))
            }
        }
    }

    fn wait_until_ready(&mut self, launch: &Launch, place: &Place) -> Result<(), String> {
        let started = Instant::now();
        while !(launch.ready)(place) {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("ended at once with {status}"));
            }
            if started.elapsed() > PATIENCE {
                return Err(format!("does not answer after {PATIENCE:?}"));
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "a process says nothing when it is ready"
            )]
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn kill(mut self) -> io::Result<()> {
        self.end()
    }

    /// Stops it, and returns when none of its threads answers any more.
    pub(super) fn pause(&self) -> io::Result<()> {
        let id = self.child.id();
        signal_tree(id, Signal::STOP)?;
        let started = Instant::now();
        while !(has_stopped(id) && descendants(id).into_iter().all(has_stopped)) {
            if started.elapsed() > PATIENCE {
                return Err(io::Error::from(io::ErrorKind::TimedOut));
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "a process does not say that it stopped"
            )]
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    pub(super) fn resume(&self) -> io::Result<()> {
        signal_tree(self.child.id(), Signal::CONT)
    }

    fn end(&mut self) -> io::Result<()> {
        let others = descendants(self.child.id());
        self.child.kill()?;
        self.child.wait()?;
        end_all(&others);
        if let Some(mut input) = self.watch.stdin.take() {
            // The watch may be gone already; then nobody has to be told.
            let _ = input.write_all(b"done\n");
        }
        self.watch.wait().map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A second end, after `kill`, finds nothing left to do.
        let _ = self.end();
    }
}

fn watch(server: u32, place: &Place) -> io::Result<Child> {
    Command::new("sh")
        .args(["-c", WATCH, "watch", &server.to_string()])
        .arg(place.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// A server's children may have groups of their own, so each is told.
fn signal_tree(id: u32, signal: Signal) -> io::Result<()> {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    kill_process(pid.ok_or(io::ErrorKind::InvalidInput)?, signal)?;
    for child in children(id) {
        // One that ended meanwhile needs no signal.
        let _ = signal_tree(child, signal);
    }
    Ok(())
}

/// Ends what a server leaves behind. Whoever starts it again finds its memory and its files
/// in use for as long as one of them lives.
fn end_all(ids: &[u32]) {
    let started = Instant::now();
    for id in ids {
        if let Some(pid) = i32::try_from(*id).ok().and_then(Pid::from_raw) {
            // Most are gone already: they end with their server.
            let _ = kill_process(pid, Signal::KILL);
        }
        while runs(*id) && started.elapsed() < PATIENCE {
            #[expect(
                clippy::disallowed_methods,
                reason = "another's child says nothing at its end"
            )]
            thread::sleep(PAUSE);
        }
    }
}

/// Tells whether a process holds anything: one that only waits to be reaped does not.
fn runs(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !['X', 'Z'].contains(&state))
}

/// Tells whether each thread of a process has stopped, or is gone.
fn has_stopped(id: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    threads.into_iter().all(|thread| {
        let state = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The name before it, in brackets, may hold anything.
        state.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with(['T', 'Z', 'X']))
    })
}

fn descendants(id: u32) -> Vec<u32> {
    let mut found = children(id);
    let grandchildren: Vec<_> = found.iter().flat_map(|child| descendants(*child)).collect();
    found.extend(grandchildren);
    found
}

fn children(id: u32) -> Vec<u32> {
    let path = PathBuf::from(format!("/proc/{id}/task/{id}/children"));
    let list = fs::read_to_string(path).unwrap_or_default();
    list.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

fn tail(log: &std::path::Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&text[text.len().saturating_sub(LOG_TAIL)..]).into_owned()
}

fn named(name: &str, what: &str) -> io::Error {
    io::Error::other(format!("{name}: {what}"))
}
