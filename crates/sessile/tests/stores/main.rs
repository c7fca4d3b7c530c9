//! Every store keeps every promise of `SessionStore`, and of parallel requests.
//!
//! The trials are those of `sessile-testkit`. Their number stands here in writing,
//! so that a store that lost its trials is not green; nor is a run without any.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

#[cfg(feature = "file")]
mod file;
#[cfg(feature = "memcached")]
mod memcached;
mod memory;
#[cfg(feature = "mongodb")]
mod mongodb;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;

/// One store, how many trials it has to pass, and where they come from.
pub(crate) type Store = (&'static str, usize, fn(&str) -> Vec<Trial>);

const STORES: &[&[Store]] = &[
    #[cfg(feature = "file")]
    file::STORES,
    #[cfg(feature = "memcached")]
    memcached::STORES,
    memory::STORES,
    #[cfg(feature = "mongodb")]
    mongodb::STORES,
    #[cfg(feature = "mysql")]
    mysql::STORES,
    #[cfg(feature = "postgres")]
    postgres::STORES,
    #[cfg(feature = "redis")]
    redis::STORES,
    #[cfg(feature = "sqlite")]
    sqlite::STORES,
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Where the server's clock counts, trials wait for it, and may as well wait together.
    arguments.test_threads.get_or_insert(12);
    let mut trials = Vec::new();
    for (name, expected, make) in STORES.concat() {
        let made = make(name);
        if made.len() != expected {
            eprintln!("{name} has {} trials and must have {expected}", made.len());
            return ExitCode::FAILURE;
        }
        trials.extend(made);
    }

    let all = trials.len();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let ran = conclusion.num_passed + conclusion.num_failed;
    // `cargo test some_name` asks every test program, most of which have no such test.
    if ran == 0 && arguments.filter.is_none() && !arguments.list {
        eprintln!("no trial ran: that proves nothing");
        return ExitCode::FAILURE;
    }
    if !arguments.list {
        closing_line(ran, all);
    }
    conclusion.exit_code()
}

#[expect(clippy::print_stdout, reason = "it belongs to the report of the trials")]
fn closing_line(ran: u64, all: usize) {
    let stores = STORES.concat();
    let list: Vec<_> = stores.iter().map(|(name, trials, _)| format!("{name} {trials}")).collect();
    println!("{ran} of {all} trials ran: {}", list.join(", "));
}
