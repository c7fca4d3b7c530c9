//! The trials, and how they become tests of a store.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use sessile_core::{Capability, SessionStore, StoreError};
use tokio::runtime::Builder;
use tokio::task::JoinError;

mod destroy;
mod everywhere;
mod listing;
mod load;
mod races;
mod rotate;
mod save;
mod steps;
mod subject;
#[cfg(test)]
mod tests;
mod touch;

pub use subject::Subject;

/// Longer than any trial takes: a store that never answers fails, and does not hang the suite.
const DEADLINE: Duration = Duration::from_secs(120);

/// Makes the trials of a store, each named `name::trial`.
///
/// `make` is called once to learn what the store can do, and then once in each trial,
/// in its runtime. It gives a [`Subject`] over a store that nobody else uses: a table, a
/// file, a key prefix of its own. It panics if it cannot.
///
/// See the [crate docs](crate) for an example, and [`count`] for the number to expect.
///
/// # Panics
///
/// If the store cannot be asked what it can do.
///
/// ```
/// # use sessile_testkit::{ReferenceStore, Subject, suite};
/// let trials = suite("reference", async || Subject::new(ReferenceStore::new()));
/// assert!(trials.iter().any(|trial| trial.name() == "reference::load_unknown_is_none"));
/// ```
pub fn suite<M, F>(name: &str, make: M) -> Vec<Trial>
where
    M: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Subject> + Send + 'static,
{
    let subject = make();
    let capabilities = run(DEADLINE, async { subject.await.store().capabilities() })
        .unwrap_or_else(|failure| panic!("{name} does not start: {failure}"));
    let make = Arc::new(make);
    cases(capabilities)
        .map(|case| {
            let make = Arc::clone(&make);
            let run = move || case.check(make());
            Trial::test(format!("{name}::{}", case.name), move || run().map_err(Failed::from))
        })
        .collect()
}

/// Returns how many trials a store with `capabilities` has to pass. A runner asserts
/// this number, as written down, so that a suite that lost its trials is not green.
///
/// ```
/// use sessile_core::{Capability, SessionStore};
/// # use sessile_testkit::{ReferenceStore, Subject, count, suite};
///
/// let trials = suite("reference", async || Subject::new(ReferenceStore::new()));
/// assert_eq!(trials.len(), count(ReferenceStore::new().capabilities()));
/// assert!(count(&[Capability::All]) > count(&[])); // listing has trials of its own
/// ```
#[must_use]
pub fn count(capabilities: &[Capability]) -> usize {
    cases(capabilities).count()
}

/// Returns the names of the trials that stand in the docs of
/// [`SessionStore`](sessile_core::SessionStore), in their order.
///
/// ```
/// # use sessile_testkit::contract;
/// assert_eq!(contract().next(), Some("load_unknown_is_none"));
/// ```
pub fn contract() -> impl Iterator<Item = &'static str> {
    CONTRACT.iter().map(|case| case.name)
}

/// Runs `task` in a runtime of its own, and gives up on it after `deadline`. A panic is a
/// failure too.
fn run<T: Send + 'static>(
    deadline: Duration,
    task: impl Future<Output = T> + Send + 'static,
) -> Outcome<T> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure(format!("no runtime: {error}")))?;
    let (said, outcome) = mpsc::channel();
    let task = runtime.spawn(task);
    runtime.spawn(async move { said.send(task.await) });
    // This thread waits, not the runtime: a store may block every thread of that.
    let outcome = outcome.recv_timeout(deadline);
    // Waiting for what still runs would wait for a sweeper that never ends.
    runtime.shutdown_background();
    outcome.map_err(|_| Failure(format!("no end after {deadline:?}")))?.map_err(Failure::from)
}

/// Why a trial failed, with everything that led to it.
#[derive(Debug)]
struct Failure(String);

type Outcome<T = ()> = Result<T, Failure>;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let mut causes = vec![error.to_string()];
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        Self(causes.join(": "))
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        Self(error.to_string())
    }
}

/// One trial.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    run: fn(Subject) -> Pin<Box<dyn Future<Output = Outcome> + Send>>,
}

impl Case {
    fn check(self, subject: impl Future<Output = Subject> + Send + 'static) -> Outcome {
        run(DEADLINE, async move { (self.run)(subject.await).await })?
    }
}

fn cases(capabilities: &[Capability]) -> impl Iterator<Item = Case> {
    let optional = OPTIONAL
        .iter()
        .filter(|(capability, _)| capabilities.contains(capability))
        .flat_map(|(_, cases)| *cases);
    CONTRACT.iter().chain(PROMISES).chain(optional).copied()
}

macro_rules! cases {
    ($($module:ident: $($name:ident)*;)*) => {
        &[$($(Case {
            name: stringify!($name),
            run: |subject| Box::pin($module::$name(subject)),
        },)*)*]
    };
}

/// One trial for each bullet in the docs of `SessionStore`, in their order.
const CONTRACT: &[Case] = cases! {
    load:
        load_unknown_is_none
        load_returns_what_was_saved
        load_expired_is_none
        load_reports_the_expiry
        load_twice_gives_the_same_version
        load_record_gives_what_load_gives;
    save:
        save_absent_creates_once
        save_absent_replaces_the_expired
        save_exists_never_creates
        save_unchanged_detects_a_change
        save_unchanged_never_resurrects
        touch_is_not_a_change
        save_unconditionally_stores
        save_returns_the_version_to_save_with
        save_unchanged_lets_one_of_many_win
        save_expired_leaves_nothing;
    touch:
        touch_moves_only_the_expiry
        touch_never_resurrects
        touch_keeps_concurrent_saves
        touch_leaves_a_changed_session_alone;
    destroy:
        destroy_says_whether_it_lived
        destroy_leaves_the_others;
    rotate:
        rotate_moves_the_session
        rotate_never_resurrects
        rotate_detects_a_change
        rotate_takes_nobody_over
        rotate_lets_one_of_many_win;
    everywhere:
        ids_are_compared_exactly
        records_survive_byte_for_byte
        no_expiry_means_the_default_lifetime
        debug_prints_no_secrets;
};

/// What follows from the contract in the hands of parallel requests: every store keeps it.
const PROMISES: &[Case] = cases! {
    races:
        destroyed_stays_dead_when_a_save_comes_late
        destroyed_stays_dead_when_a_touch_comes_late
        destroyed_stays_dead_when_a_rotation_comes_late
        rotated_stays_dead_when_a_save_or_touch_comes_late
        either_a_save_or_a_rotation_wins
        twenty_parallel_keys_all_survive
        a_hundred_parallel_increments_count_to_a_hundred
        a_colliding_id_takes_nobody_over;
    listing:
        purge_removes_only_the_expired
        undeclared_operations_are_unsupported;
};

/// What a store must keep if it declares the capability.
const OPTIONAL: &[(Capability, &[Case])] = &[
    (
        Capability::All,
        cases! {
            listing:
                all_lists_every_session_once
                all_leaves_out_the_expired
                all_goes_on_when_sessions_come_and_go
                find_by_user_finds_theirs_and_no_others
                revoked_users_stay_out;
        },
    ),
    (
        Capability::Clear,
        cases! {
            listing:
                clear_empties
                cleared_sessions_stay_dead;
        },
    ),
    (
        Capability::Length,
        cases! {
            listing:
                length_counts_only_the_living;
        },
    ),
];
