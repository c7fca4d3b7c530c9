//! The touch that no response waits for.
//!
//! A session that was only read is kept alive, and its client is told nothing of
//! that: so the response leaves while the store is still at it, and a read-only
//! request waits for one round trip, not for two.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};

use http::HeaderMap;
use tokio::runtime::Handle;
use tracing::Instrument;

use crate::SessionHandle;
use crate::commit::{CookieAction, StoreAction};
use crate::visit::SharedVisit;

/// So many touches may go on at a time. With more the store hangs: then responses
/// wait again, so that not everybody's request piles up here.
const MOST: usize = 1024;

impl SessionHandle {
    /// Begins the touch if that is all there is to do. `false`: it is not.
    pub(crate) fn touch_behind(&self, headers: &mut HeaderMap) -> bool {
        let Ok(runtime) = Handle::try_current() else { return false };
        let going_on = &self.visit().inner().touches_behind;
        if Arc::strong_count(going_on) > MOST || !self.only_touches(headers) {
            return false;
        }
        let visit = SharedVisit::clone(self.shared_visit());
        let mut touch = Box::pin(async move {
            let _turn = visit.turn().await;
            // Its failure is reported where it happens, and costs the client nothing yet.
            let _reported = visit.touch_stored().await;
        });
        // It reaches the store before the response leaves.
        if touch.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            let counted = Arc::clone(going_on);
            let touch = async move {
                touch.await;
                drop(counted);
            };
            // What it reports belongs to the request.
            runtime.spawn(touch.in_current_span());
        }
        true
    }

    /// Closes the request if nothing but a touch is left of it.
    fn only_touches(&self, headers: &mut HeaderMap) -> bool {
        let mut state = self.visit().state();
        if state.turns.is_taken() || state.committed || state.live().is_err() {
            return false;
        }
        let Some(commit) = self.visit().visitor.plan(&mut state) else { return false };
        let only = (commit.store, commit.cookie) == (StoreAction::Touch, CookieAction::Leave);
        if only {
            state.close(headers, usize::MAX);
            state.release();
        }
        only
    }
}
