//! What very many sessions take: measured for a million, reckoned for a hundred.

use std::fmt::Write;

use bench_report::thousands;

use super::Findings;
use crate::load::Scenario;

const GIB: f64 = (1u64 << 30) as f64;
const SESSIONS: f64 = 100e6;
/// Requests per second at the busiest hour: one session in ten is in use, and asks every
/// ten seconds.
const REQUESTS: f64 = SESSIONS / 10.0 / 10.0;
/// Of ten requests one changes its session.
const CHANGING: f64 = 0.1;
/// How busy a core may be, so that a neighbour's load finds room in it.
const BUSY: f64 = 0.6;
/// The memory of a machine, and how much of it records may fill.
const MACHINE_GIB: f64 = 32.0;
const FILLED: f64 = 0.6;

pub(super) fn space(found: &Findings) -> String {
    let mut out = format!(
        "## Space\n\n\
         {} sessions of 226 bytes, as Sessile keeps them.\n\n\
         | | bytes per session | sessions per GiB |\n|---|---:|---:|\n",
        thousands(found.sessions as f64),
    );
    let postgres = &found.postgres;
    for (what, bytes) in [
        ("Redis, `used_memory`", found.redis),
        ("PostgreSQL, table", postgres.table),
        ("PostgreSQL, its two indexes", postgres.indexes),
        ("PostgreSQL, both", postgres.table + postgres.indexes),
        ("PostgreSQL, both, once each session was prolonged", postgres.prolonged),
    ] {
        let _ = writeln!(out, "| {what} | {bytes:.0} | {} |", thousands(GIB / bytes));
    }
    out
}

/// What the measured figures come to for a hundred million sessions.
pub(super) fn arithmetic(found: &Findings) -> String {
    let mut out = format!(
        "## A hundred million sessions\n\n\
         Reckoned from the figures above, not measured. At the busiest hour one session in ten is \
         in use and asks every ten seconds: {} requests per second, of which one in ten changes \
         its session. A core is {:.0} % busy, a machine has {MACHINE_GIB} GiB of memory and lets \
         sessions fill {:.0} % of it.\n\n\
         | | Redis Cluster | PostgreSQL |\n|---|---:|---:|\n",
        thousands(REQUESTS),
        BUSY * 100.0,
        FILLED * 100.0,
    );
    let redis = Needs::of(found, "redis-spared", found.redis);
    let postgres = Needs::of(found, "postgres-spared", found.postgres.prolonged);
    let masters = redis.machines.max(redis.keeper_cores);
    let rows: [(&str, String, String); 5] = [
        ("space, GiB", thousands(redis.gib), thousands(postgres.gib)),
        (
            "machines that hold it in memory",
            thousands(redis.machines),
            thousands(postgres.machines),
        ),
        ("cores of the servers", thousands(redis.keeper_cores), thousands(postgres.keeper_cores)),
        ("cores of the applications", thousands(redis.app_cores), thousands(postgres.app_cores)),
        (
            "masters, each with one core for commands",
            format!("{} and as many replicas", thousands(masters)),
            "–".into(),
        ),
    ];
    for (what, redis, postgres) in rows {
        let _ = writeln!(out, "| {what} | {redis} | {postgres} |");
    }
    let _ = writeln!(
        out,
        "\nA Redis master answers on one core, so their number is the larger of what memory and \
         what requests take: {} and {}. A replica of each doubles the memory, to {} GiB. \
         PostgreSQL uses every core of its machine, and one that keeps all sessions in memory \
         answers this load only if it has that many; a replica takes over from it but shares none \
         of the work, as sessions are read where they are written.",
        thousands(redis.machines),
        thousands(redis.keeper_cores),
        thousands(redis.gib * 2.0),
    );
    out
}

/// What a kind of server needs.
struct Needs {
    gib: f64,
    machines: f64,
    keeper_cores: f64,
    app_cores: f64,
}

impl Needs {
    fn of(found: &Findings, key: &str, bytes: f64) -> Self {
        let gib = SESSIONS * bytes / GIB;
        let part = |scenario, part: fn(&crate::rounds::Cost) -> f64| {
            found.cost(key, scenario).map_or(f64::NAN, part)
        };
        let cores = |of: fn(&crate::rounds::Cost) -> f64| {
            let micros = part(Scenario::Read, of) * (1.0 - CHANGING)
                + part(Scenario::Increment, of) * CHANGING;
            (REQUESTS * micros / 1e6 / BUSY).ceil()
        };
        Self {
            gib,
            machines: (gib / (MACHINE_GIB * FILLED)).ceil(),
            keeper_cores: cores(|cost| cost.keeper),
            app_cores: cores(|cost| cost.app),
        }
    }
}
