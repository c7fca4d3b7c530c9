//! An application that is measured: a process on a core of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use crate::Outcome;
use crate::contender::Contender;
use crate::processor;

pub struct App {
    child: Child,
    pub port: u16,
}

impl App {
    /// Starts it over the server at `url`, and waits until it listens.
    pub fn start(contender: &Contender, url: &str) -> Outcome<Self> {
        let mut command = processor::on(processor::APP, &contender.command(url)?);
        // What Express wants to hear where it counts.
        command.env("NODE_ENV", "production");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().ok_or("it has no output")?;
        let mut app = Self { child, port: 0 };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        app.port = line.trim().parse().map_err(|_| format!("{} did not start", contender.key))?;
        Ok(app)
    }

    /// Returns the seconds of processor time that it has used.
    pub fn seconds(&self) -> Outcome<f64> {
        Ok(processor::seconds(self.child.id())?)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // One that has ended already is reaped all the same.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
