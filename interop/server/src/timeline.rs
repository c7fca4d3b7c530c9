//! Time for tasks in the background: none passes until the client says so.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use sessile::stores::MemoryStore;
use sessile::{SessionId, SessionStore};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// A thread with a runtime of its own, whose timers stand still between calls.
#[derive(Clone, Debug)]
pub(crate) struct Timeline(Sender<(Event, oneshot::Sender<()>)>);

#[derive(Debug)]
enum Event {
    /// The store's first operation, which starts its sweeper, happens here.
    Adopt(MemoryStore),
    Pass(Duration),
}

impl Timeline {
    pub(crate) fn new() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let (events, inbox) = channel::<(Event, oneshot::Sender<()>)>();
        std::thread::spawn(move || {
            for (event, done) in inbox {
                runtime.block_on(happen(event));
                // It fails when the client did not wait.
                let _ = done.send(());
            }
        });
        Ok(Self(events))
    }

    /// Lets the background task of `store` live by this time.
    pub(crate) async fn adopt(&self, store: MemoryStore) {
        self.tell(Event::Adopt(store)).await;
    }

    /// Lets all that is due within `duration` happen, in its order.
    pub(crate) async fn pass(&self, duration: Duration) {
        self.tell(Event::Pass(duration)).await;
    }

    async fn tell(&self, event: Event) {
        let (done, answer) = oneshot::channel();
        if self.0.send((event, done)).is_ok() {
            let _ = answer.await;
        }
    }
}

async fn happen(event: Event) {
    match event {
        Event::Adopt(store) => {
            let _ = store.load(&SessionId::new("nobody")).await;
        }
        // A paused runtime with nothing to do jumps from timer to timer.
        Event::Pass(duration) => tokio::time::sleep(duration).await,
    }
}
