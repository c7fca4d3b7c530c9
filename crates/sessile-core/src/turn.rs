//! Clones of one session take turns at the store, so that none is destroyed or
//! renamed while it is being saved.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::state::State;
use crate::visit::Visit;

/// Whose turn it is: a part of the request's state, so that whoever has that
/// locked knows without another lock.
#[derive(Default)]
pub(crate) struct Turns {
    taken: bool,
    /// Made by the first who had to wait.
    ended: Option<Arc<Notify>>,
}

impl Turns {
    pub(crate) fn is_taken(&self) -> bool {
        self.taken
    }

    fn take(&mut self) -> Result<(), Arc<Notify>> {
        if self.taken {
            return Err(Arc::clone(self.ended.get_or_insert_default()));
        }
        self.taken = true;
        Ok(())
    }

    fn end(&mut self) {
        self.taken = false;
        if let Some(ended) = &self.ended {
            ended.notify_one();
        }
    }
}

/// A turn at the store, which ends with this.
pub(crate) struct Turn<'v>(&'v Visit);

impl Visit {
    /// Waits for this clone's turn at the store.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        self.turn_with(|_| ()).await.0
    }

    /// Waits for this clone's turn, and begins it with `work`.
    pub(crate) async fn turn_with<T>(&self, work: impl FnOnce(&mut State) -> T) -> (Turn<'_>, T) {
        loop {
            let ended = {
                let mut state = self.state();
                match state.turns.take() {
                    Ok(()) => {
                        let begun = work(&mut state);
                        drop(state);
                        return (Turn(self), begun);
                    }
                    Err(ended) => ended,
                }
            };
            // A turn that ended meanwhile has left its notice there.
            ended.notified().await;
        }
    }
}

impl Turn<'_> {
    /// Ends the turn with `work`.
    pub(crate) fn end_with<T>(self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.0.state();
        let done = work(&mut state);
        state.turns.end();
        drop(state);
        std::mem::forget(self);
        done
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state().turns.end();
    }
}
