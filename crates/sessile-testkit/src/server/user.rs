//! Servers that refuse to run as root, run by the user their package made.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Command;

use rustix::process::geteuid;

/// Returns a command that runs `program`, as `user` if we are root.
pub(super) fn run_as(user: &str, program: impl AsRef<OsStr>) -> Command {
    if !geteuid().is_root() {
        return Command::new(program);
    }
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--reuid", user, "--regid", user, "--clear-groups", "--inh-caps=-all", "--"]);
    setpriv.arg(program);
    setpriv
}

/// Gives `dir` and what is in it to `user` if we are root.
pub(super) fn give(user: &str, dir: &Path) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let status = Command::new("chown").arg("-R").arg(user).arg(dir).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("no user {user}"))) }
}
