//! One writer at a time for each session, in this process and among all of them.
//!
//! Some sessions share a lock: there are as many lock files as stripes, so that none
//! ever has to be removed. A lock ends with the process that holds it, however that ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use sessile_core::SessionId;
use tokio::sync::{Mutex, OwnedMutexGuard};

const STRIPES: usize = 64;
/// How long one waits for another process; it holds a lock for some milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(1);

/// The locks of a folder.
#[derive(Debug)]
pub(super) struct Locks {
    folder: PathBuf,
    stripes: Vec<Arc<Mutex<()>>>,
}

/// The turn of somebody who is alone in this process, but perhaps not among others.
#[derive(Debug)]
pub(super) struct Turn {
    lock: PathBuf,
    temporary: PathBuf,
    alone: OwnedMutexGuard<()>,
}

/// The right to change a session.
#[derive(Debug)]
pub(super) struct Held {
    /// Where its next content is written before it takes its place.
    pub(super) temporary: PathBuf,
    // Closing the file unlocks it; only then may the next one in this process try.
    _lock: File,
    _alone: OwnedMutexGuard<()>,
}

impl Locks {
    /// The locks that lie in `folder`.
    pub(super) fn new(folder: PathBuf) -> Self {
        let stripes = (0..STRIPES).map(|_| Arc::default()).collect();
        Self { folder, stripes }
    }

    /// Returns where the locks lie.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Tells whether locks can be taken at all.
    pub(super) fn check(&self) -> io::Result<()> {
        open(&self.folder.join("00.lock")).map(drop)
    }

    /// Waits until nobody in this process changes the session.
    pub(super) async fn turn(&self, id: &SessionId) -> Turn {
        let stripe = stripe(id);
        self.take(stripe, Arc::clone(&self.stripes[stripe]).lock_owned().await)
    }

    /// Waits for the turn to change both, in an order in which nobody waits for another.
    pub(super) async fn both_turns(&self, ids: [&SessionId; 2]) -> (Turn, Option<Turn>) {
        let [first, second] = ids;
        if stripe(first) == stripe(second) {
            return (self.turn(first).await, None);
        }
        let [first, second] =
            if stripe(first) < stripe(second) { [first, second] } else { [second, first] };
        (self.turn(first).await, Some(self.turn(second).await))
    }

    /// Like [`turn`](Self::turn), on a thread that may wait.
    pub(super) fn blocking_turn(&self, id: &SessionId) -> Turn {
        let stripe = stripe(id);
        self.take(stripe, Arc::clone(&self.stripes[stripe]).blocking_lock_owned())
    }

    /// Removes what writers left behind that were killed. Whoever has the lock knows
    /// that nobody else is writing.
    pub(super) fn remove_temporaries(&self) -> io::Result<()> {
        for (stripe, alone) in self.stripes.iter().enumerate() {
            let turn = self.take(stripe, Arc::clone(alone).blocking_lock_owned());
            if turn.temporary.try_exists()? {
                remove(&turn.hold()?.temporary)?;
            }
        }
        Ok(())
    }

    fn take(&self, stripe: usize, alone: OwnedMutexGuard<()>) -> Turn {
        let file = |extension| self.folder.join(format!("{stripe:02}.{extension}"));
        Turn { lock: file("lock"), temporary: file("tmp"), alone }
    }
}

impl Turn {
    /// Waits until no other process changes the session. Blocks, but not for ever.
    pub(super) fn hold(self) -> io::Result<Held> {
        let lock = open(&self.lock)?;
        let started = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => {
                    thread::park_timeout(PAUSE);
                }
                Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::TimedOut.into()),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(Held { temporary: self.temporary, _lock: lock, _alone: self.alone })
    }
}

fn open(lock: &Path) -> io::Result<File> {
    private(OpenOptions::new().write(true).create(true).truncate(false)).open(lock)
}

/// Lets files be created for their owner alone, and no symbolic link be followed.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    options
}

/// Removes a file that need not exist; `true` if it did.
pub(super) fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The same in every process.
fn stripe(id: &SessionId) -> usize {
    usize::from_str_radix(&id.digest()[..2], 16).unwrap_or(0) % STRIPES
}
