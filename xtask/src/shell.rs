//! Running programs: said before, shown while, read after.

use std::env;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// No command of ours takes this long; one that does hangs.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// What a program printed, and whether it was content.
pub(crate) struct Done {
    pub(crate) ok: bool,
    /// Both its streams in their order, without colours.
    pub(crate) text: String,
}

/// The repository's root: cargo tells where the crate lies that it runs. Programs of
/// several checkouts may share a target directory, so the compiler's answer is second best.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let xtask = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let xtask = xtask.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        xtask.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
    });
    &ROOT
}

/// Where cargo builds: one place for everything.
pub(crate) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Tells whether what is missing is a failure: unless somebody allows it, and never in CI.
pub(crate) fn is_strict() -> bool {
    let on = |name| env::var(name).is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    on("CI") || !on("SESSILE_ALLOW_MISSING")
}

pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(args).current_dir(root());
    cargo
}

/// Tells whether `program` runs here at all.
pub(crate) fn answers(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs `command` without a word and returns what it wrote to its standard output.
pub(crate) fn read(mut command: Command) -> Result<String, String> {
    let line = line_of(&command);
    let output = command.output().map_err(|error| format!("`{line}` did not start: {error}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{line}` failed: {}", stderr.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `command` in the place of this program, its streams ours.
pub(crate) fn hand_over(mut command: Command) -> ExitCode {
    println!("$ {}", line_of(&command));
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1).into(),
        Err(error) => {
            eprintln!("it did not start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs `command`, showing what it prints.
pub(crate) fn show(mut command: Command) -> Done {
    println!("$ {}", line_of(&command));
    if io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let done = tee(&mut command, |line| {
        let mut out = io::stdout().lock();
        // A reader that went away is no reason to stop testing.
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    });
    done.unwrap_or_else(|error| {
        println!("it did not start: {error}");
        Done { ok: false, text: error.to_string() }
    })
}

/// Runs `command`, showing what it prints only if it fails.
pub(crate) fn show_if_failed(mut command: Command) -> Done {
    println!("$ {}", line_of(&command));
    let done = tee(&mut command, |_| {})
        .unwrap_or_else(|error| Done { ok: false, text: format!("it did not start: {error}\n") });
    if !done.ok {
        print!("{}", done.text);
    }
    done
}

/// Both streams go into one pipe, so that cargo's headings stand before the results they head.
fn tee(command: &mut Command, mut line: impl FnMut(&str)) -> io::Result<Done> {
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    command.stdout(Stdio::null()).stderr(Stdio::null()); // drops our ends of the pipe

    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
            if sender.send(String::from_utf8_lossy(&bytes).into_owned()).is_err() {
                break;
            }
            bytes.clear();
        }
    });

    let (started, mut text) = (Instant::now(), String::new());
    loop {
        match lines.recv_timeout(Duration::from_secs(1)) {
            Ok(found) => {
                line(&found);
                text.push_str(&without_colours(&found));
            }
            Err(RecvTimeoutError::Disconnected) => break,
            // A process it left behind holds the pipe open: not ours to wait for.
            Err(RecvTimeoutError::Timeout) if child.try_wait()?.is_some() => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if started.elapsed() > LIMIT {
            line("it did not end within 20 minutes and was killed\n");
            child.kill()?;
            break;
        }
    }
    let ok = child.wait()?.success();
    Ok(Done { ok, text })
}

/// Writes a command as one would type it, its variables first.
fn line_of(command: &Command) -> String {
    let mut words: Vec<String> = Vec::new();
    for (name, value) in command.get_envs() {
        let value = value.unwrap_or_default().to_string_lossy();
        words.push(format!("{}={}", name.to_string_lossy(), quoted(&value)));
    }
    words.push(command.get_program().to_string_lossy().into_owned());
    words.extend(command.get_args().map(|arg| quoted(&arg.to_string_lossy())));
    let line = words.join(" ");
    let here = command.get_current_dir().and_then(|dir| dir.strip_prefix(root()).ok());
    match here.filter(|dir| !dir.as_os_str().is_empty()) {
        Some(dir) => format!("cd {} && {line}", dir.display()),
        None => line,
    }
}

fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains([' ', '"', '$', '*', '&', ';', '(']) {
        return format!("'{word}'");
    }
    word.to_owned()
}

/// Returns `line` without terminal colours.
fn without_colours(line: &str) -> String {
    let mut pieces = line.split("\u{1b}[");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |plain, piece| {
        let end = piece.find(|c: char| c.is_ascii_alphabetic()).map_or(piece.len(), |at| at + 1);
        plain + &piece[end..]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_taken_out() {
        assert_eq!(
            without_colours("test result: \u{1b}[32mok\u{1b}[0m. 3 passed"),
            "test result: ok. 3 passed"
        );
        assert_eq!(without_colours("plain\n"), "plain\n");
    }

    #[test]
    fn commands_read_as_typed() {
        let mut command = cargo(&["test", "--", "a b"]);
        command.env("RUSTFLAGS", "-D warnings");
        assert_eq!(line_of(&command), "RUSTFLAGS='-D warnings' cargo test -- 'a b'");
        command.current_dir(root().join("interop"));
        assert_eq!(line_of(&command), "cd interop && RUSTFLAGS='-D warnings' cargo test -- 'a b'");
    }

    #[test]
    fn both_streams_come_in_their_order() {
        let mut sh = Command::new("sh");
        sh.args(["-c", "echo one; echo two >&2; echo three; exit 3"]);
        let mut shown = String::new();
        let done = tee(&mut sh, |line| shown.push_str(line)).unwrap();
        assert!(!done.ok);
        assert_eq!(done.text, "one\ntwo\nthree\n");
        assert_eq!(shown, done.text);
    }
}
