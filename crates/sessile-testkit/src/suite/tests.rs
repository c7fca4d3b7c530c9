//! Shows that a right store passes every trial, and that every trial can fail.

use std::collections::BTreeSet;
use std::time::Duration;

use sessile_core::Clock;

use super::*;
use crate::{ReferenceStore, TestClock};
use wrong::{Wrong, WrongStore};

mod wrong;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn reference() -> Subject {
    let clock = TestClock::new();
    Subject::new(ReferenceStore::with_clock(clock.clone())).with_clock(clock)
}

fn wrong(wrong: Wrong) -> Subject {
    let clock = TestClock::new();
    Subject::new(WrongStore::new(wrong, &clock)).with_clock(clock)
}

fn all_cases() -> impl Iterator<Item = Case> {
    cases(ReferenceStore::new().capabilities())
}

fn case(name: &str) -> Case {
    all_cases().find(|case| case.name == name).unwrap()
}

/// Runs a trial as `suite` does, and says how it failed.
fn check(case: Case, make: impl FnOnce() -> Subject) -> Result<(), String> {
    case.check(std::future::ready(make())).map_err(|failure| failure.to_string())
}

#[test]
fn a_right_store_passes() {
    for case in all_cases() {
        assert_eq!(check(case, reference), Ok(()), "{}", case.name);
    }
}

#[test]
fn two_handles_on_one_store_pass() {
    let make = || {
        let clock = TestClock::new();
        let store = ReferenceStore::with_clock(clock.clone());
        Subject::new(store.clone()).with_other_handle(store).with_clock(clock)
    };
    for case in all_cases() {
        assert_eq!(check(case, make), Ok(()), "{}", case.name);
    }
}

#[test]
fn a_right_store_passes_in_real_time() {
    let make = || {
        let store = ReferenceStore::new().with_default_lifetime(DAY);
        Subject::new(store).with_default_lifetime(DAY)
    };
    // Each trial waits for sessions to expire, so they wait together.
    std::thread::scope(|scope| {
        let trials: Vec<_> =
            all_cases().map(|case| (case.name, scope.spawn(move || check(case, make)))).collect();
        for (name, trial) in trials {
            assert_eq!(trial.join().unwrap(), Ok(()), "{name}");
        }
    });
}

#[test]
fn the_default_lifetime_is_what_the_store_says() {
    let case = case("no_expiry_means_the_default_lifetime");
    let make = |kept: Duration, said: Duration| {
        let clock = TestClock::new();
        let store = ReferenceStore::with_clock(clock.clone()).with_default_lifetime(kept);
        Subject::new(store).with_clock(clock).with_default_lifetime(said)
    };
    assert_eq!(check(case, || make(DAY, DAY)), Ok(()));
    check(case, || make(DAY, 2 * DAY)).unwrap_err();
    check(case, || make(2 * DAY, DAY)).unwrap_err();
}

#[test]
fn a_store_may_be_late_only_by_the_precision_it_declares() {
    let make = || {
        let clock = TestClock::new();
        clock.advance(Duration::from_millis(300));
        let store = WrongStore::new(Wrong::RoundsUpToSeconds, &clock);
        Subject::new(store).with_clock(clock)
    };
    for name in ["load_expired_is_none", "load_reports_the_expiry"] {
        check(case(name), make).unwrap_err();
        let precise = || make().with_precision(Duration::from_secs(1));
        assert_eq!(check(case(name), precise), Ok(()), "{name}");
    }
}

#[test]
fn every_wrong_store_fails_and_every_trial_can_fail() {
    let mut can_fail = BTreeSet::new();
    for (how, trials) in wrong::ALL {
        for name in *trials {
            let outcome = check(case(name), || wrong(*how));
            assert!(outcome.is_err(), "{name} does not notice {how:?}");
            can_fail.insert(*name);
        }
    }
    let all: BTreeSet<_> = all_cases().map(|case| case.name).collect();
    let never: Vec<_> = all.difference(&can_fail).collect();
    assert!(never.is_empty(), "no wrong store fails {never:?}");
}

#[test]
fn capabilities_decide_which_trials_run() {
    let name = |trial: &Trial| trial.name().to_owned();
    let all = suite("s", || async { reference() });
    let few = suite("s", || async { wrong(Wrong::DeclaresNothing) });
    assert_eq!((all.len(), few.len()), (49, 41));
    assert_eq!((count(&[Capability::All]), count(&[])), (46, 41));
    assert!(all.iter().any(|trial| name(trial) == "s::all_lists_every_session_once"));
    assert!(!few.iter().any(|trial| name(trial) == "s::all_lists_every_session_once"));
    assert_eq!(all.iter().map(name).collect::<BTreeSet<_>>().len(), all.len(), "each name once");
}

#[test]
fn a_trial_that_never_ends_fails() {
    let soon = Duration::from_millis(50);
    run(soon, std::future::pending::<()>()).unwrap_err();
    // A store that blocks its thread blocks the runtime's timers too.
    run(soon, async { std::thread::park() }).unwrap_err();
}

#[test]
fn a_failure_tells_all_its_causes() {
    let cause = StoreError::timed_out("the wire is cut");
    let failure = Failure::from(StoreError::failed("the store failed").with_source(cause));
    assert_eq!(failure.to_string(), "the store failed: the wire is cut");
}

#[test]
fn the_clock_starts_in_2026() {
    let start = sessile_core::SessionCookie::from_json(r#"{"expires":"2026-01-01T00:00:00Z"}"#);
    assert_eq!(start.unwrap().expires(), Some(TestClock::new().now()));
}
