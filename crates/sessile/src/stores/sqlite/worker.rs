//! Threads that own connections, so that no async worker ever waits for a disk.
//!
//! One thread writes. It takes everything that waits and runs it in one
//! transaction, which costs as much as one save, and answers after the commit:
//! durable before visible. Other threads read and never wait for it.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use rusqlite::{Error, ErrorCode};
use sessile_core::StoreError;
use tokio::sync::oneshot;

use super::table::Table;

/// How many writes share one transaction at most.
const COMMIT_BATCH: usize = 256;
/// How much may wait. More means that the disk has stopped, and memory must not fill up.
const WAITING: usize = 65_536;

/// The queues of a store. Its threads finish what waits and end when it drops.
#[derive(Debug)]
pub(super) struct Workers {
    reads: Arc<Queue>,
    writes: Arc<Queue>,
    readers: Threads,
    writers: Threads,
    were_closed: AtomicBool,
}

type Threads = Mutex<Vec<thread::JoinHandle<()>>>;

impl Workers {
    /// One connection for everything, where a second one would see another database.
    pub(super) fn alone() -> Self {
        let writes = Arc::new(Queue::default());
        Self::over(Arc::clone(&writes), writes)
    }

    /// Reads and writes apart.
    pub(super) fn apart() -> Self {
        Self::over(Arc::default(), Arc::default())
    }

    fn over(reads: Arc<Queue>, writes: Arc<Queue>) -> Self {
        let (readers, writers) = Default::default();
        Self { reads, writes, readers, writers, were_closed: AtomicBool::new(false) }
    }

    /// Starts the writing thread, and returns when `open` has.
    pub(super) async fn start_writer(
        &self,
        open: impl FnOnce() -> Result<Table, StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let writer = start("sqlite-writer", Arc::clone(&self.writes), open, write_all).await?;
        lock(&self.writers).push(writer);
        Ok(())
    }

    /// Starts a reading thread, and returns when `open` has.
    pub(super) async fn start_reader(
        &self,
        open: impl FnOnce() -> Result<Table, StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let reader = start("sqlite-reader", Arc::clone(&self.reads), open, read_all).await?;
        lock(&self.readers).push(reader);
        Ok(())
    }

    /// Lets the threads finish what waits, and returns when they have ended. The writing
    /// one ends last: it can move what is in the `-wal` file, which those that read cannot.
    pub(super) async fn close(&self) {
        self.were_closed.store(true, Ordering::Relaxed);
        for (queue, threads) in [(&self.reads, &self.readers), (&self.writes, &self.writers)] {
            queue.close();
            let threads = std::mem::take(&mut *lock(threads));
            let ended = move || threads.into_iter().map(thread::JoinHandle::join).for_each(drop);
            // What a thread had to say of its end, it has said.
            let _ended = tokio::task::spawn_blocking(ended).await;
        }
    }

    /// Tells whether somebody [closed](Self::close) them: that they end then is no trouble.
    pub(super) fn were_closed(&self) -> bool {
        self.were_closed.load(Ordering::Relaxed)
    }

    /// Runs `work` on a reading thread. `what` says in an error what was tried.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Table) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        run(&self.reads, what, work).await
    }

    /// Runs `work` in a transaction on the writing thread. Once it waits there it
    /// is done even if the caller goes away: a logout must not depend on the client's patience.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Table) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        run(&self.writes, what, work).await
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.reads.close();
        self.writes.close();
    }
}

fn lock(threads: &Threads) -> MutexGuard<'_, Vec<thread::JoinHandle<()>>> {
    threads.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Turns SQLite's error into the store's.
pub(super) fn failure(what: &str, error: impl Into<Arc<Error>>) -> StoreError {
    let error = error.into();
    let message = format!("sqlite could not {what}");
    let made = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::timed_out(message),
        Some(ErrorCode::CannotOpen | ErrorCode::NotADatabase | ErrorCode::SystemIoFailure) => {
            StoreError::unavailable(message)
        }
        _ => StoreError::failed(message),
    };
    made.with_source(error)
}

fn stopped() -> StoreError {
    StoreError::unavailable("the thread that talks to sqlite has stopped")
}

async fn run<T: Send + 'static>(
    queue: &Queue,
    what: &'static str,
    work: impl FnOnce(&Table) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    let (reply, answer) = oneshot::channel();
    queue.push(Box::new(Task { what, work: Some(work), outcome: None, reply }))?;
    answer.await.map_err(|_| stopped())?
}

async fn start(
    name: &str,
    queue: Arc<Queue>,
    open: impl FnOnce() -> Result<Table, StoreError> + Send + 'static,
    work: fn(&Table, &Queue),
) -> Result<thread::JoinHandle<()>, StoreError> {
    let (ready, opened) = oneshot::channel();
    let serve = move || {
        let queue = CloseWhenDropped(queue);
        let table = match open() {
            Ok(table) => table,
            Err(error) => return drop(ready.send(Err(error))),
        };
        if ready.send(Ok(())).is_ok() {
            work(&table, &queue.0);
        }
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(serve).map_err(|error| {
        StoreError::unavailable("the system gave no thread for sqlite").with_source(error)
    })?;
    opened.await.map_err(|_| stopped())??;
    Ok(thread)
}

fn read_all(table: &Table, queue: &Queue) {
    let mut jobs = Vec::new();
    while queue.take(1, &mut jobs) {
        for mut job in jobs.drain(..).filter(|job| !job.abandoned()) {
            job.run(table);
            job.answer(&Ok(()));
        }
    }
}

fn write_all(table: &Table, queue: &Queue) {
    let mut jobs = Vec::new();
    while queue.take(COMMIT_BATCH, &mut jobs) {
        let committed = commit(table, &mut jobs).map_err(Arc::new);
        for job in jobs.drain(..) {
            job.answer(&committed);
        }
    }
}

fn commit(table: &Table, jobs: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    let connection = &table.connection;
    // A transaction that could be neither committed nor rolled back must not outlive its batch.
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    for job in jobs {
        job.run(table);
        // A full disk rolls everything back by itself. The jobs that are left must
        // not run outside of the transaction; the COMMIT below fails for them.
        if connection.is_autocommit() {
            break;
        }
    }
    let committed = connection.prepare_cached("COMMIT")?.execute([]);
    if committed.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    committed.map(drop)
}

/// Something to do with a connection, and somebody to tell.
trait Job: Send {
    /// Tells whether nobody waits for the answer any more.
    fn abandoned(&self) -> bool;
    /// Does it, and remembers what came of it.
    fn run(&mut self, table: &Table);
    /// Tells what came of it, now that the transaction around it is `committed`.
    fn answer(self: Box<Self>, committed: &Result<(), Arc<Error>>);
}

struct Task<T, W> {
    what: &'static str,
    work: Option<W>,
    outcome: Option<rusqlite::Result<T>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, W> Job for Task<T, W>
where
    T: Send,
    W: FnOnce(&Table) -> rusqlite::Result<T> + Send,
{
    fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, table: &Table) {
        let Some(work) = self.work.take() else { return };
        // A panic is this job's alone: rusqlite's borrows end as it unwinds, and
        // SQLite never saw it.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(table)));
        self.outcome = Some(outcome.unwrap_or_else(panicked));
    }

    fn answer(self: Box<Self>, committed: &Result<(), Arc<Error>>) {
        let answer = match (self.outcome, committed) {
            (Some(Err(error)), _) => Err(failure(self.what, error)),
            (_, Err(error)) => Err(failure(self.what, Arc::clone(error))),
            (Some(Ok(outcome)), Ok(())) => Ok(outcome),
            (None, Ok(())) => Err(stopped()),
        };
        // Whoever asked may be gone; the work is done all the same.
        drop(self.reply.send(answer));
    }
}

fn panicked<T>(_: Box<dyn Any + Send>) -> rusqlite::Result<T> {
    Err(Error::UnwindingPanic)
}

/// Jobs that wait for a thread.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    closed: bool,
    jobs: VecDeque<Box<dyn Job>>,
}

impl Queue {
    fn push(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.closed {
            return Err(stopped());
        }
        if state.jobs.len() >= WAITING {
            return Err(StoreError::unavailable("too many operations wait for sqlite"));
        }
        state.jobs.push_back(job);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for jobs and takes up to `most`; `false` when there will be none any more.
    fn take(&self, most: usize, taken: &mut Vec<Box<dyn Job>>) -> bool {
        let waiting = |state: &mut State| state.jobs.is_empty() && !state.closed;
        let state = self.filled.wait_while(self.lock(), waiting);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let count = state.jobs.len().min(most);
        taken.extend(state.jobs.drain(..count));
        count > 0
    }

    fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("waiting", &self.lock().jobs.len()).finish_non_exhaustive()
    }
}

/// A thread that ends leaves nobody waiting: what it did not do becomes an error.
struct CloseWhenDropped(Arc<Queue>);

impl Drop for CloseWhenDropped {
    fn drop(&mut self) {
        self.0.close();
        let left = std::mem::take(&mut self.0.lock().jobs);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sessile_core::StoreErrorKind;

    #[tokio::test]
    async fn a_thread_that_ends_leaves_nobody_waiting() {
        let workers = Workers::apart();
        let error = workers.start_reader(|| panic!("while it opens")).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        let error = workers.read("load a session", |_| Ok(())).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    }

    #[test]
    fn a_disk_that_stopped_does_not_fill_the_memory() {
        let queue = Queue::default();
        let push = || {
            let (reply, _) = oneshot::channel::<Result<(), StoreError>>();
            let work = Some(|_: &Table| Ok(()));
            queue.push(Box::new(Task { what: "wait", work, outcome: None, reply }))
        };
        for _ in 0..WAITING {
            push().unwrap();
        }
        assert_eq!(push().unwrap_err().to_string(), "too many operations wait for sqlite");
    }
}
