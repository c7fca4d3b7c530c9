//! The background task by which a store removes expired sessions unasked.
//!
//! A store keeps a [`Sweeper`] beside its sessions and starts it when it
//! connects, or on its first use inside a runtime.

use std::collections::hash_map::RandomState;
use std::error::Error;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use sessile_core::StoreError;
use tokio::runtime::Handle;

/// Whoever asks for sweeps without a pause gets them with one.
const SHORTEST: Duration = Duration::from_millis(1);
/// Whoever asks for sweeps hardly ever means never: after a century, then, which can be
/// calculated with.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Sweeps one store: at most one task at a time, which ends with the store.
///
/// A task that its runtime took along is replaced at the next start.
#[derive(Debug, Default)]
pub(crate) struct Sweeper {
    running: Arc<AtomicBool>,
}

impl Sweeper {
    /// Tells whether somebody sweeps; costs one load.
    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// Calls `purge` about every `every`, for as long as `store` lives.
    ///
    /// Does nothing if that goes on already, or outside of a Tokio runtime.
    /// The runtime must have its timers enabled, as the layer's deadlines
    /// need them too.
    pub(crate) fn start<T, P, F>(&self, store: &Arc<T>, every: Duration, purge: P)
    where
        T: Send + Sync + 'static,
        P: Fn(Arc<T>) -> F + Send + 'static,
        F: Future<Output = Result<u64, StoreError>> + Send + 'static,
    {
        let Ok(runtime) = Handle::try_current() else { return };
        if self.running.swap(true, Ordering::Relaxed) {
            return;
        }
        let running = Running(Arc::clone(&self.running));
        let store = Arc::downgrade(store);
        runtime.spawn(async move {
            let _running = running;
            sweep(store, every, purge).await;
        });
    }
}

/// Says that the task is gone when the task is gone, however it went.
struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        // A runtime without timers panics at the first sleep: a new task for
        // each request would only panic again.
        if !std::thread::panicking() {
            self.0.store(false, Ordering::Relaxed);
        }
    }
}

async fn sweep<T, P, F>(store: Weak<T>, every: Duration, purge: P)
where
    T: Send + Sync,
    P: Fn(Arc<T>) -> F + Send,
    F: Future<Output = Result<u64, StoreError>> + Send,
{
    loop {
        tokio::time::sleep(jittered(every)).await;
        let Some(store) = store.upgrade() else { return };
        match purge(store).await {
            Ok(0) => {}
            Ok(sessions) => tracing::debug!(sessions, "removed expired sessions"),
            Err(error) => tracing::warn!(
                error = &error as &(dyn Error + 'static),
                "could not remove expired sessions; the next sweep tries again"
            ),
        }
    }
}

/// Three to five quarters of `every`, so that the nodes of a cluster, started
/// together, do not sweep one database together.
fn jittered(every: Duration) -> Duration {
    let every = every.clamp(SHORTEST, LONGEST);
    let random = RandomState::new().hash_one(()) >> 32;
    every * 3 / 4 + (every / 2).mul_f64(random as f64 / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    const EVERY: Duration = Duration::from_secs(60);

    /// Counts its sweeps, of which every second one fails.
    #[derive(Debug, Default)]
    struct Flaky {
        sweeper: Sweeper,
        sweeps: AtomicU64,
    }

    impl Flaky {
        fn start(this: &Arc<Self>) {
            this.sweeper.start(this, EVERY, |this| async move {
                match this.sweeps.fetch_add(1, Ordering::Relaxed) {
                    sweeps if sweeps % 2 == 0 => Err(StoreError::unavailable("down")),
                    sweeps => Ok(sweeps),
                }
            });
        }
    }

    /// Lets time pass, which stands still otherwise, until `condition` holds.
    async fn pass_until(condition: impl Fn() -> bool) {
        while !condition() {
            tokio::time::advance(EVERY).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sweeper_survives_errors_and_ends_with_its_store() {
        let store = Arc::new(Flaky::default());
        Flaky::start(&store);
        pass_until(|| store.sweeps.load(Ordering::Relaxed) > 4).await;

        let running = Arc::clone(&store.sweeper.running);
        assert!(running.load(Ordering::Relaxed));
        drop(store);
        pass_until(|| !running.load(Ordering::Relaxed)).await;
    }

    #[tokio::test]
    async fn a_store_has_one_sweeper_at_a_time() {
        let store = Arc::new(Flaky::default());
        Flaky::start(&store);
        Flaky::start(&store);
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 1);
    }

    #[test]
    fn a_sweeper_whose_runtime_ended_starts_again_in_the_next() {
        let store = Arc::new(Flaky::default());
        Flaky::start(&store);
        assert!(!store.sweeper.is_running(), "no runtime, no sweeper");
        for _ in 0..2 {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.unwrap().block_on(async {
                Flaky::start(&store);
                assert!(store.sweeper.is_running());
            });
            assert!(!store.sweeper.is_running());
        }
    }

    #[test]
    fn nodes_started_together_do_not_sweep_together() {
        let pauses: Vec<_> = (0..100).map(|_| jittered(EVERY)).collect();
        assert!(pauses.iter().all(|pause| (45..=75).contains(&pause.as_secs())));
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }

    #[test]
    fn every_pause_can_be_waited_for() {
        assert!(jittered(Duration::ZERO) > Duration::ZERO);
        assert!(jittered(Duration::MAX) > LONGEST / 2);
    }
}
