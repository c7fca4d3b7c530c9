//! Certificates for servers behind TLS, of an authority that lives as long as they do.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::program;

const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
const NAMES: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1";

/// Makes an authority, `ca.crt`, and has it vouch for this machine with `server.crt` and
/// `server.key`, if they are not there yet.
pub(super) fn certify(dir: &Path) -> io::Result<()> {
    if dir.join("server.crt").exists() {
        return Ok(());
    }
    let authority = ["-x509", "-days", "2", "-subj", "/CN=Sessile tests", "-keyout", "ca.key"];
    openssl(dir, "req", &[&KEY, &authority, &["-out", "ca.crt"]])?;
    let vouched = ["-x509", "-days", "2", "-subj", "/CN=localhost", "-CA", "ca.crt"];
    let vouched = [&vouched[..], &["-CAkey", "ca.key", "-addext", NAMES]].concat();
    let end = ["-addext", "basicConstraints=critical,CA:FALSE"];
    let out = ["-keyout", "server.key", "-out", "server.crt"];
    openssl(dir, "req", &[&KEY, &vouched, &end, &out])
}

fn openssl(dir: &Path, what: &str, arguments: &[&[&str]]) -> io::Result<()> {
    let mut openssl = Command::new(program("openssl", &[])?);
    openssl.current_dir(dir).arg(what).args(arguments.concat()).stdin(Stdio::null());
    let done = openssl.output()?;
    if done.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("openssl: {}", String::from_utf8_lossy(&done.stderr))))
}
