//! What the stages need beside cargo: found, named, installed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::mongod;
use crate::shell::{self, answers, is_strict, target_dir};

/// A tool that a stage cannot run without.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Need {
    CargoDeny,
    Chromium,
    Clippy,
    Cxx,
    Mariadb,
    Memcached,
    MongoLibraries,
    Mongod,
    Nginx,
    Node,
    Openssl,
    Postgres,
    Redis,
    Rustfmt,
    Taskset,
    Valgrind,
}

/// Where a tool comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Source {
    /// Packages of Debian and its kin.
    Apt(&'static [&'static str]),
    /// Not installed from here; says what to do.
    ByHand(&'static str),
    /// A crate, built into the target directory.
    Cargo { name: &'static str, version: &'static str },
    /// A server that no package manager here has.
    Mongod,
    /// A component of the toolchain.
    Rustup(&'static str),
}

impl Need {
    fn source(self) -> Source {
        match self {
            Self::CargoDeny => Source::Cargo { name: "cargo-deny", version: "0.20.2" },
            Self::Chromium => Source::Apt(&["chromium", "fonts-liberation"]),
            Self::Clippy => Source::Rustup("clippy"),
            Self::Cxx => Source::Apt(&["g++"]),
            Self::Mariadb => Source::Apt(&["mariadb-server"]),
            Self::Memcached => Source::Apt(&["memcached"]),
            Self::MongoLibraries => Source::Apt(mongod::LIBRARIES),
            Self::Mongod => Source::Mongod,
            Self::Nginx => Source::Apt(&["nginx-light"]),
            Self::Node => Source::ByHand("Node 20 or newer, with npm, is not installed"),
            Self::Openssl => Source::Apt(&["openssl"]),
            Self::Postgres => Source::Apt(&["postgresql"]),
            Self::Redis => Source::Apt(&["redis-server"]),
            Self::Rustfmt => Source::Rustup("rustfmt"),
            Self::Taskset => Source::Apt(&["util-linux"]),
            Self::Valgrind => Source::Apt(&["valgrind"]),
        }
    }

    fn is_here(self) -> bool {
        match self {
            Self::CargoDeny => cargo_deny().is_some(),
            Self::Chromium => chromium().exists(),
            Self::Clippy => answers("cargo", &["clippy", "--version"]),
            Self::Cxx => answers("c++", &["--version"]),
            Self::Mariadb => Path::new("/usr/sbin/mariadbd").is_file(),
            Self::Memcached => answers("memcached", &["--version"]),
            Self::MongoLibraries => mongod::has_libraries(),
            Self::Mongod => mongod::is_here(),
            Self::Nginx => answers("/usr/sbin/nginx", &["-v"]),
            Self::Node => {
                node_major().is_some_and(|major| major >= 20) && answers("npm", &["--version"])
            }
            Self::Openssl => answers("openssl", &["version"]),
            Self::Postgres => has_postgres(),
            Self::Redis => answers("redis-server", &["--version"]),
            Self::Rustfmt => answers("cargo", &["fmt", "--version"]),
            Self::Taskset => answers("taskset", &["--version"]),
            Self::Valgrind => answers("valgrind", &["--version"]),
        }
    }
}

/// Returns the command that runs cargo-deny, ours before the user's.
pub(crate) fn cargo_deny() -> Option<PathBuf> {
    let found = [tools_dir().join("bin/cargo-deny"), "cargo-deny".into()];
    found.into_iter().find(|path| path.to_str().is_some_and(|path| answers(path, &["--version"])))
}

/// Debian keeps the server out of the `PATH`, in a folder for each version.
fn has_postgres() -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut packaged = versions.map(|version| version.path().join("bin/initdb"));
    packaged.any(|initdb| initdb.is_file()) || answers("initdb", &["--version"])
}

fn chromium() -> PathBuf {
    env::var_os("CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".into()).into()
}

fn tools_dir() -> PathBuf {
    target_dir().join("tools")
}

fn node_major() -> Option<u32> {
    let mut node = Command::new("node");
    node.arg("--version");
    major_of(&shell::read(node).ok()?)
}

/// Reads `v20.20.2`.
fn major_of(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// What of a machine's tools is missing.
#[derive(Debug)]
pub(crate) struct Workshop {
    /// With what keeps us from installing it, once that is known.
    missing: Vec<(Need, Option<String>)>,
}

impl Workshop {
    /// Looks which of `needs` are not here.
    pub(crate) fn new(needs: &[Need]) -> Self {
        let mut missing: Vec<(Need, Option<String>)> = Vec::new();
        for need in needs {
            if !missing.iter().any(|(known, _)| known == need) && !need.is_here() {
                missing.push((*need, None));
            }
        }
        Self { missing }
    }

    /// Says what will be installed and what cannot be.
    pub(crate) fn announce(&self) {
        if self.missing.is_empty() {
            println!("Every tool it needs is here.");
            return;
        }
        println!("Not on this machine:");
        for (need, _) in &self.missing {
            match need.source() {
                Source::Apt(names) => {
                    println!("  {:<12} will be installed with apt-get", names.join(", "));
                }
                Source::ByHand(what) => println!("  {what}: please install it yourself"),
                Source::Cargo { name, version } => println!(
                    "  {name:<12} {version} will be built into the target directory, in a minute or two"
                ),
                Source::Mongod => println!("  {}", mongod::announcement()),
                Source::Rustup(name) => println!("  {name:<12} will be installed with rustup"),
            }
        }
    }

    /// Installs what comes in packages. What must be compiled waits for [`build`](Self::build).
    pub(crate) fn install(&mut self) {
        let mut packages = Vec::new();
        for (need, why) in &mut self.missing {
            match need.source() {
                Source::Apt(names) => packages.extend(names),
                Source::ByHand(what) => *why = Some(what.to_owned()),
                Source::Rustup(name) => {
                    let mut rustup = Command::new("rustup");
                    rustup.args(["component", "add", name]);
                    if !shell::show(rustup).ok {
                        *why = Some(format!("rustup could not install {name}"));
                    }
                }
                Source::Cargo { .. } | Source::Mongod => {}
            }
        }
        if !packages.is_empty()
            && let Err(trouble) = apt_install(&packages)
        {
            for (need, why) in &mut self.missing {
                if let Source::Apt(names) = need.source() {
                    *why = Some(format!("{} is not installed: {trouble}", names[0]));
                }
            }
        }
        for (need, why) in &mut self.missing {
            if need.source() == Source::Mongod {
                *why = mongod::fetch().err();
            }
        }
        self.missing.retain(|(need, why)| why.is_some() || !need.is_here());
    }

    /// Compiles those of `needs` that come as crates.
    pub(crate) fn build(&mut self, needs: &[Need]) {
        for (need, why) in &mut self.missing {
            if let Source::Cargo { name, version } = need.source()
                && needs.contains(need)
                && let Err(trouble) = cargo_install(name, version)
            {
                *why = Some(trouble);
            }
        }
        self.missing.retain(|(need, why)| why.is_some() || !need.is_here());
    }

    /// Says why one of `needs` is still missing.
    pub(crate) fn missing(&self, needs: &[Need]) -> Option<String> {
        let (need, why) = self.missing.iter().find(|(need, _)| needs.contains(need))?;
        Some(
            why.clone().unwrap_or_else(|| format!("{need:?} is not here, though it was installed")),
        )
    }
}

fn apt_install(packages: &[&str]) -> Result<(), String> {
    if !answers("apt-get", &["--version"]) {
        return Err("this machine has no apt-get".to_owned());
    }
    let command = format!("apt-get install {}", packages.join(" "));
    if !is_root() && !answers("sudo", &["--version"]) {
        return Err(format!("it takes root to run `{command}`"));
    }
    // An update can complain about one of many lists; the installation tells whether it matters.
    shell::show(apt_get(&["update"]));
    let mut install = apt_get(&["install", "-y", "--no-install-recommends"]);
    install.args(packages);
    if shell::show(install).ok { Ok(()) } else { Err(format!("`{command}` failed")) }
}

fn apt_get(args: &[&str]) -> Command {
    if is_root() {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").args(args);
        return apt;
    }
    let mut sudo = Command::new("sudo");
    if is_strict() {
        sudo.arg("-n"); // nobody is there to type a password
    }
    sudo.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(args);
    sudo
}

fn is_root() -> bool {
    let mut id = Command::new("id");
    id.arg("-u");
    shell::read(id).is_ok_and(|uid| uid.trim() == "0")
}

fn cargo_install(name: &str, version: &str) -> Result<(), String> {
    let (tools, build) = (tools_dir(), tools_dir().join("build"));
    // Unoptimised: it runs once for a second, and is compiled in less than half the time.
    let mut cargo = shell::cargo(&["install", name, "--version", version, "--locked", "--debug"]);
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "false");
    cargo.arg("--root").arg(&tools).arg("--target-dir").arg(&build);
    let done = shell::show(cargo);
    // Half a gigabyte that nobody needs again; if it stays, it only takes room.
    let _ = fs::remove_dir_all(build);
    if done.ok { Ok(()) } else { Err(format!("cargo could not install {name}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_version_is_read() {
        assert_eq!(major_of("v20.20.2\n"), Some(20));
        assert_eq!(major_of("v8.0.0"), Some(8));
        assert_eq!(major_of("not found"), None);
    }

    #[test]
    fn what_stays_missing_has_its_reason() {
        let workshop = Workshop { missing: vec![(Need::Chromium, Some("no apt-get".to_owned()))] };
        assert_eq!(workshop.missing(&[Need::Node, Need::Chromium]).as_deref(), Some("no apt-get"));
        assert_eq!(workshop.missing(&[Need::Node]), None);
    }
}
