//! The findings as Markdown.

use std::fmt::Write;

use bench_report::{Machine, Promise, Target, promises_table, thousands, times, version};

use super::{Findings, GROUPS, many};
use crate::load::Scenario;

/// The versions that were measured.
const LOCKFILE: &str = include_str!("../../Cargo.lock");
const NODE_LOCKFILE: &str = include_str!("../../../node/package.json");

/// Writes the whole report.
pub fn markdown(found: &Findings, machine: &Machine) -> String {
    let mut out = String::new();
    let parts = [
        header(found, machine),
        promises_table(&promises(found)),
        requests(found),
        many::space(found),
        many::arithmetic(found),
    ];
    for part in parts {
        out.push_str(part.trim_end());
        out.push_str("\n\n");
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn header(found: &Findings, machine: &Machine) -> String {
    const PACKAGES: [&str; 8] = [
        "axum",
        "sessile",
        "tokio-postgres",
        "tower-sessions",
        "tower-sessions-redis-store",
        "tower-sessions-sqlx-store",
        "actix-web",
        "actix-session",
    ];
    const NODE_PACKAGES: [&str; 4] =
        ["express", "express-session", "connect-redis", "connect-pg-simple"];
    let mut versions: Vec<_> = PACKAGES
        .iter()
        .map(|package| format!("{package} {}", version(LOCKFILE, package)))
        .collect();
    versions.extend(NODE_PACKAGES.iter().map(|name| format!("{name} {}", node_version(name))));
    format!(
        "# Results on real servers\n\n\
         ![Processor time per request](servers.svg)\n\n\
         Written by `cargo xtask bench servers` in one run on {}.\n\n\
         - Machine: {}, {}; load {}\n\
         - {}; {}, Node {}\n\
         - {}\n\n\
         Each contender is a process of its own on the first core, and serves HTTP on loopback. \
         On the second core are the server that keeps the sessions and 16 connections, which send \
         requests of 1,024 sessions and check the answers. A figure is the time that the \
         application's process spends on a processor per request, in user and system mode: the \
         median of rounds in which the contenders take turns. Redis writes nothing to its disk; \
         PostgreSQL has its own settings, under which a commit waits for the disk.\n\n\
         *The commands alone* is the limit on the same driver: an axum handler that takes the \
         cookie for the key, verifies nothing and reads no record. To read it sends `GETEX`, or one \
         prepared `SELECT`; to increment `GET` and `SET`, or `SELECT` and `UPDATE`.\n",
        machine.date,
        machine.processor,
        machine.memory,
        machine.load,
        found.versions.join(", "),
        machine.rustc,
        machine.node,
        versions.join(", "),
    )
}

/// Reads an exact version out of package.json.
fn node_version(package: &str) -> &'static str {
    let found = NODE_LOCKFILE.split_once(&format!("\"{package}\": \""));
    found.and_then(|(_, rest)| rest.split_once('"')).map_or("", |(version, _)| version)
}

fn promises(found: &Findings) -> Vec<Promise> {
    let ratio = |key| found.cost(key, Scenario::Read).map(|cost| cost.of_raw);
    [
        ("Redis, read within `touch_after`: processor time of axum + one GETEX", "redis-spared"),
        (
            "PostgreSQL, read within `touch_after`: processor time of axum + one prepared SELECT",
            "postgres-spared",
        ),
    ]
    .map(|(what, key)| Promise::new(what, ratio(key), "×", Target::AtMost(1.15)))
    .into()
}

fn requests(found: &Findings) -> String {
    let mut out = String::from(
        "## Each request\n\n\
         | | processor time, µs | of the limit | requests per second and core | served per second | the server's processor time, µs |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    for (keeper, scenario) in GROUPS {
        let _ = writeln!(out, "| **{}: {}** | | | | | |", keeper.name(), scenario.name());
        for cost in found.group(keeper, scenario) {
            let _ = writeln!(
                out,
                "| {} | {:.1} | {} | {} | {} | {:.1} |",
                cost.contender().name,
                cost.app,
                times(Some(cost.of_raw)),
                thousands(1e6 / cost.app),
                thousands(cost.rate),
                cost.keeper,
            );
        }
    }
    out.push_str(
        "\nA session lives a day. Sessile with *touch_after* prolongs it at most once a minute, \
         Express at every request; tower-sessions and actix-session prolong it when it changes, \
         and with *always_save* tower-sessions saves it whole at every request. With the *client \
         cache* Sessile keeps what it has read until Redis says that it changed. All cookies but \
         the limit's are signed. *Requests per second and core* is what one core would answer that \
         does nothing else; *served* is what was answered here, where the second core is the \
         narrower one for the quick contenders.\n",
    );
    out
}
