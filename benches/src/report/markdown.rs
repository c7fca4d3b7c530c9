//! The findings as Markdown.

use std::fmt::Write;

use bench_report::{Machine, digits, promises_table, thousands, times, version};

use super::promises::promises;
use super::{Findings, Measure};
use crate::contender::{CONTENDERS, OURS};

/// The versions that were measured.
const LOCKFILE: &str = include_str!("../../Cargo.lock");

/// Writes the whole report.
pub fn markdown(found: &Findings, machine: &Machine) -> String {
    let mut out = String::new();
    let parts = [
        header(machine),
        promises_table(&promises(found)),
        requests(found),
        workers(found),
        stores(found),
        growth(found),
        database(found),
    ];
    for part in parts {
        out.push_str(part.trim_end());
        out.push_str("\n\n");
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn header(machine: &Machine) -> String {
    let mut packages: Vec<_> = CONTENDERS.iter().map(|contender| contender.package).collect();
    packages.dedup();
    let versions: Vec<_> = packages
        .iter()
        .map(|package| format!("{package} {}", version(LOCKFILE, package)))
        .collect();
    format!(
        "# Results\n\n\
         ![Time per request](results.svg)\n\n\
         Written by `cargo xtask bench` in one run on {}.\n\n\
         - Machine: {}, {}; load {}\n\
         - {}, {}, Node {}\n\
         - {}, express-session 1.19.0\n\n\
         A figure is what sessions add: the same application without them, its router and a layer \
         that does nothing, is subtracted. Applications are called in this process, without \
         sockets. Times are the fastest of many short rounds, contenders in turn. Instructions and \
         allocations are counted by callgrind and hardly vary; its processor has no instructions \
         for SHA-256, so that signatures weigh more there than in the times.\n",
        machine.date,
        machine.processor,
        machine.memory,
        machine.load,
        machine.rustc,
        machine.valgrind,
        machine.node,
        versions.join(", "),
    )
}

fn requests(found: &Findings) -> String {
    let mut out = String::from(
        "## Each request\n\n\
         | | ns | instructions | allocations | time | instructions |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    for (scenario, name) in found.scenarios() {
        let _ = writeln!(out, "| **{name}** | | | | *of tower-sessions signed* | |");
        for (n, contender) in CONTENDERS.iter().enumerate() {
            let row = if contender.is_baseline() { in_all } else { added };
            out.push_str(&row(found, scenario, n));
        }
    }
    out.push_str(
        "\nsessile has its default options, under which a session ends with the browser. *Touched \
         each time*: it lives a day, and every request prolongs it. *touch_after*: the same, \
         prolonged at most once a minute. ruts has no plain store in memory; it runs on its `moka` \
         cache, keeps each value by itself and signs nothing. actix-session has none at all; it \
         runs on a mutex and a map of ours, with signed cookies.\n",
    );
    out
}

/// What is subtracted from others is told in all.
fn in_all(found: &Findings, scenario: usize, n: usize) -> String {
    let gross = |measure| number(found.gross(measure, scenario, n));
    format!(
        "| *{}, in all* | *{}* | *{}* | *{}* | | |\n",
        CONTENDERS[n].name,
        gross(Measure::Time),
        gross(Measure::Instructions),
        gross(Measure::Allocations),
    )
}

fn added(found: &Findings, scenario: usize, n: usize) -> String {
    let net = |measure| number(found.net(measure, scenario, n));
    let ratio = |measure| times(found.ratio(measure, scenario, n));
    format!(
        "| {} | {} | {} | {} | {} | {} |\n",
        CONTENDERS[n].name,
        net(Measure::Time),
        net(Measure::Instructions),
        net(Measure::Allocations),
        ratio(Measure::Time),
        ratio(Measure::Instructions),
    )
}

fn number(number: Option<f64>) -> String {
    let Some(number) = number else { return "–".into() };
    if number.abs() < 100.0 { format!("{number:.0}") } else { thousands(number) }
}

fn workers(found: &Findings) -> String {
    let mut out = String::from(
        "## Two workers\n\n\
         Requests that two threads serve, of what one serves; each visitor has a session of its \
         own. The router without sessions shows what the machine had to give.\n\n\
         | | reading | incrementing |\n|---|---:|---:|\n",
    );
    for workers in &found.workers {
        let name = CONTENDERS[workers.contender].name;
        let _ =
            writeln!(out, "| {name} | {:.2}× | {:.2}× |", workers.reading, workers.incrementing);
    }
    out
}

fn stores(found: &Findings) -> String {
    let express = |figure: Option<f64>, unit| {
        figure.map_or("no Node here".into(), |figure| format!("{figure:.0}{unit}"))
    };
    format!(
        "## Many sessions\n\n\
         {} sessions of 226 bytes in the memory store.\n\n\
         | | memory per session | longest wait while they are purged |\n|---|---:|---:|\n\
         | {} | {:.0} bytes | {} ms |\n\
         | tower-sessions | {:.0} bytes | purges nothing |\n\
         | express-session | {} | {} |\n\n\
         The wait is from one answered request to the next on the thread that purges, in time of \
         that thread; by the clock on the wall it was {} ms.\n",
        thousands(found.sessions as f64),
        CONTENDERS[OURS].name,
        found.memory.ours,
        digits(found.stall.ours),
        found.memory.tower_sessions,
        express(found.memory.express, " bytes"),
        express(found.stall.express, " ms"),
        digits(found.stall.ours_on_the_wall),
    )
}

fn growth(found: &Findings) -> String {
    let mut out = String::from(
        "## A load, as the store fills\n\n\
         | sessions | ns, one of 64 in use | ns, any of them |\n|---:|---:|---:|\n",
    );
    for point in &found.growth {
        let sessions = thousands(point.sessions as f64);
        let _ = writeln!(out, "| {sessions} | {:.0} | {:.0} |", point.hot, point.any);
    }
    out.push_str("\nWhat the second column adds is the time that main memory takes to answer.\n");
    out
}

fn database(found: &Findings) -> String {
    let mut out = String::from(
        "## SQLite\n\n\
         | callers at once | loads per second | saves per second | touches per second |\n\
         |---:|---:|---:|---:|\n",
    );
    for (callers, [load, save, touch]) in &found.database.rates {
        let rates = [load, save, touch].map(|rate| thousands(*rate)).join(" | ");
        let _ = writeln!(out, "| {callers} | {rates} |");
    }
    out
}
