//! One request at a time per session, within this process: [`Concurrency::Lock`](crate::Concurrency::Lock).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use crate::{Error, ErrorKind, SessionId};

type Lock = tokio::sync::Mutex<()>;

#[derive(Debug, Default)]
pub(crate) struct Locks(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    locks: HashMap<SessionId, Weak<Lock>>,
    sweep_at: usize,
}

impl Locks {
    pub(crate) async fn acquire(
        &self,
        id: &SessionId,
        timeout: Duration,
    ) -> Result<OwnedMutexGuard<()>, Error> {
        let lock = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id);
        tokio::time::timeout(timeout, lock.lock_owned()).await.map_err(|elapsed| {
            let message = "another request of this session did not finish in time";
            Error::new(ErrorKind::Unavailable, message).with_source(elapsed)
        })
    }
}

impl Table {
    fn get(&mut self, id: &SessionId) -> Arc<Lock> {
        if let Some(lock) = self.locks.get(id).and_then(Weak::upgrade) {
            return lock;
        }
        if self.locks.len() >= self.sweep_at {
            self.locks.retain(|_, lock| lock.strong_count() > 0);
            self.sweep_at = 2 * self.locks.len() + 64;
        }
        let lock = Arc::new(Lock::default());
        self.locks.insert(id.clone(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_nobody_holds_are_forgotten() {
        let mut table = Table::default();
        for n in 0..10_000 {
            table.get(&SessionId::new(n.to_string()));
        }
        assert!(table.locks.len() <= 128, "{}", table.locks.len());
    }
}
