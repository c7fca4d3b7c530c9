//! How long anybody waits for a store.
//!
//! Requests hand their timers on: to put one off is much cheaper than to register
//! another and to remove it.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{self, Handle};
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

/// Waits for `work`, but no longer than `limit`. Work that is done at once costs no timer.
pub(crate) fn within<T>(
    limit: Duration,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> impl Future<Output = Option<T>> {
    let mut timer: Option<Timer> = None;
    poll_fn(move |cx| {
        if let Poll::Ready(answer) = work.as_mut().poll(cx) {
            if let Some(timer) = timer.take() {
                timer.hand_on();
            }
            return Poll::Ready(Some(answer));
        }
        timer.get_or_insert_with(|| Timer::begin(limit)).poll(cx).map(|()| None)
    })
}

/// A timer of a runtime.
struct Timer {
    runtime: runtime::Id,
    sleep: Pin<Box<Sleep>>,
}

thread_local! {
    static SPARE: RefCell<Vec<Timer>> = const { RefCell::new(Vec::new()) };
}

/// So many a thread keeps. Each wakes the last task that had it once more, to no effect.
const MOST_SPARE: usize = 64;
/// Further than anybody waits, and near enough for any clock.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

impl Timer {
    fn begin(limit: Duration) -> Self {
        let (runtime, end) = (Handle::current().id(), Instant::now() + limit.min(FAR));
        let spare = SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten();
        match spare {
            Some(mut timer) if timer.runtime == runtime => {
                timer.sleep.as_mut().reset(end);
                timer
            }
            _ => Self { runtime, sleep: Box::pin(sleep_until(end)) },
        }
    }

    /// Ends even while the work uses up all of its task's time.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        pin!(unconstrained(self.sleep.as_mut())).poll(cx)
    }

    fn hand_on(self) {
        // If the thread is ending, the timer ends with it.
        let _kept = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < MOST_SPARE {
                spare.push(self);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use tokio::task::yield_now;

    const SECOND: Duration = Duration::from_secs(1);

    fn in_a_runtime<T>(work: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap().block_on(work)
    }

    async fn slow(time: Duration) {
        tokio::time::sleep(time).await;
    }

    #[test]
    fn who_waits_too_long_gives_up_at_the_limit() {
        in_a_runtime(async {
            for time in [SECOND, 3 * SECOND, Duration::ZERO, Duration::MAX.min(FAR)] {
                let started = Instant::now();
                assert_eq!(within(time, pin!(pending::<()>())).await, None);
                let waited = started.elapsed();
                assert!((time..time + SECOND).contains(&waited), "{waited:?}");
            }
        });
    }

    #[test]
    fn a_timer_that_was_handed_on_counts_from_the_beginning() {
        in_a_runtime(async {
            for _ in 0..3 {
                assert_eq!(within(2 * SECOND, pin!(slow(SECOND))).await, Some(()));
                let started = Instant::now();
                assert_eq!(within(2 * SECOND, pin!(pending::<()>())).await, None);
                assert!(started.elapsed() >= 2 * SECOND);
            }
            assert_eq!(within(SECOND, pin!(ready(7))).await, Some(7));
            assert_eq!(within(Duration::MAX, pin!(yield_now())).await, Some(()));
        });
    }

    #[test]
    fn a_runtime_never_gets_the_timer_of_one_that_has_ended() {
        for _ in 0..3 {
            in_a_runtime(async {
                assert_eq!(within(2 * SECOND, pin!(slow(SECOND))).await, Some(()));
                assert_eq!(within(SECOND, pin!(pending::<()>())).await, None);
            });
        }
    }
}
