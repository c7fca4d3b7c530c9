//! What operators see: a server that starts, says where, and stops when told.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The server in a folder of its own, with no setting but these.
fn server(folder: &Path, settings: &[(&str, &str)]) -> Command {
    let mut server = Command::new(env!("CARGO_BIN_EXE_login"));
    server.current_dir(folder).env_clear().envs(settings.iter().copied());
    server
}

fn fails(settings: &[(&str, &str)], dotenv: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), dotenv).unwrap();
    let Output { status, stderr, .. } = server(folder.path(), settings).output().unwrap();
    let complaint = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "one line, no panic: {complaint}");
    complaint
}

#[test]
fn what_stops_a_start_is_one_line_and_exit_code_1() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (settings, complaint) in [
        (&[("PORT", "eighty")][..], "PORT is \"eighty\""),
        (&[("PORT", &port)], "try PORT="),
        (
            &[("DATABASE", "sqlite:///no/such/folder/a.db"), ("PORT", "0")],
            "DATABASE cannot be used: sqlite could not create",
        ),
        (
            &[("DATABASE", "carrier-pigeon://loft"), ("PORT", "0")],
            "DATABASE cannot be used: no store is opened by `carrier-pigeon:`",
        ),
        (&[("APP_ENV", "production")], "SESSION_SECRET is not set"),
    ] {
        let said = fails(settings, "");
        assert!(said.starts_with("login: ") && said.contains(complaint), "{said}");
    }
}

#[test]
fn the_file_env_is_read_and_the_environment_wins() {
    assert!(fails(&[], "PORT=\"from the file\"").contains("PORT is \"from the file\""));
    assert!(fails(&[("PORT", "x")], "PORT=8080").contains("PORT is \"x\""));
    let complaint = fails(&[], "SESSION_SECRET='thirty-two bytes that nobody may see");
    assert!(complaint.contains(".env cannot be read") && !complaint.contains("nobody"));
}

#[cfg(unix)]
#[test]
fn sigterm_and_ctrl_c_end_it_in_order() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut server =
            server(folder.path(), &[("PORT", "0")]).stdout(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(server.stdout.take().unwrap()).lines();
        let mut said = String::new();
        for line in log.by_ref().map_while(Result::ok) {
            said.push_str(&line);
            if line.contains("listening on http://localhost:") {
                break;
            }
        }
        assert!(said.contains("SESSION_SECRET is not set"), "{said}");
        let id = server.id().to_string();
        let killed = Command::new("kill").args([format!("-{signal}"), id]).status();
        assert!(killed.unwrap().success());
        assert_eq!(server.wait().unwrap().code(), Some(0), "{signal}");
        assert!(log.any(|line| line.unwrap().contains("stopped")));
    }
}
