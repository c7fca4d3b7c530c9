//! Places where requests wait until the client lets them go on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// Gates by name; each comes to be when somebody first names it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gates(Arc<Mutex<HashMap<String, Arc<Gate>>>>);

#[derive(Debug, Default)]
pub(crate) struct Gate {
    waiting: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

impl Gates {
    pub(crate) fn named(&self, name: &str) -> Arc<Gate> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(gates.entry(name.to_owned()).or_default())
    }
}

impl Gate {
    pub(crate) async fn pass(&self) {
        self.waiting.send_modify(|waiting| *waiting += 1);
        // It fails when the sender is gone, and this gate has it.
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }

    pub(crate) async fn arrived(&self, count: usize) {
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting >= count).await;
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }
}
