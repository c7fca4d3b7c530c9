//! Sessions in files, shared with `session-file-store`.
//!
//! See [`FileStore`].

mod body;
mod builder;
mod folder;
mod locks;
mod name;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sessile_core::{
    Capability, Cursor, Page, Precondition, Record, Saved, SessionCookie, SessionId, SessionStore,
    StoreError, Stored, Version,
};
use tokio::sync::Semaphore;

pub use self::builder::FileBuilder;
use self::folder::Folder;
use self::locks::{Held, Turn};
use crate::stores::capabilities;
use crate::stores::sweep::Sweeper;
use crate::stores::when::When;

/// How many threads read at once: a disk that has stopped must not take them all.
const READERS: usize = 64;

/// Stores each session in a file of its own.
///
/// For one machine and some thousand sessions that a person may want to look at.
/// [`SqliteStore`](crate::stores) needs no server either and writes many times faster.
///
/// # Setup
///
/// None: [`connect`](Self::connect) creates the folder, for its owner alone. Several
/// processes of one machine can use one folder, Node's too if it runs as the same user.
/// Not so machines over a network file system: its locks may not hold.
///
/// # Example
///
/// ```
/// use sessile::stores::FileStore;
/// use sessile::{Precondition, Record, SessionId, SessionStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let url = format!("file://{}", folder.path().join("sessions").display());
/// let store = FileStore::connect(&url).await?; // "file://./sessions", say
///
/// let id = SessionId::new("Y7tQm0JcVb-1s_2dK9xWzR4hLpN6aGfE");
/// let record = Record::parse(r#"{"cookie":{"expires":null},"views":1}"#).unwrap();
/// store.save(&id, &record, Precondition::Absent).await?;
/// assert_eq!(store.load(&id).await?.unwrap().text, *record.text());
/// # Ok(())
/// # }
/// ```
///
/// # Expiry
///
/// A session is dead from the very millisecond of its expiry, by this process' clock.
/// The expiry is what Node makes of a file: `__lastAccess` plus the cookie's
/// `originalMaxAge`, or an hour if it has none. For a session that was given another
/// expiry, `__lastAccess` is the time at which it would have had to be used, so that it
/// ends for Node when it ends here (a millisecond later, to be exact). A file without
/// `__lastAccess` never expires, as in Node.
///
/// Files of expired sessions are removed about once an hour.
///
/// # Keys
///
/// A session is the file `<id>.json`, as in Node: its record, with `"__lastAccess"` as the
/// last member. Node shows that member as `req.session.__lastAccess`. Here it is no part of
/// the session; but for it, records come back byte for byte. A touch writes the new cookie into
/// the record, as Node's does, unless it is a cookie of another max age.
///
/// An id is a name and never a path. One with a `/` or a NUL, for which Node would look in
/// another folder, becomes a file ending in `.json%`. One of more than 250 bytes cannot be
/// saved, and is unknown. Ids are compared as exactly as the file system compares names, which
/// on Linux is byte by byte; where it ignores case, so does the store.
///
/// What is not a regular file (a symbolic link, a folder), is larger than 64 MiB, or holds no
/// record, is no session, and an event says so. It stays for whoever wants to look at
/// it; Node removes what it cannot parse. Files that `session-file-store` encrypted with its
/// option `secret` are of that kind.
///
/// # Durability
///
/// A save is written beside the session's file, brought to the disk, and only then takes its
/// place, so that there is always a whole file: it survives the end of the process and a power
/// cut. That costs two waits for the disk.
///
/// # Node at the same time
///
/// Processes that use this store take turns on each session, so nothing is lost between
/// them. `session-file-store` takes no lock and overwrites without a look: what it
/// saves between this store's look and its write, within a millisecond, is lost, and what
/// it saves after a logout here is back. The rest of the time its saves are noticed.
#[derive(Clone)]
pub struct FileStore {
    inner: Arc<Inner>,
}

struct Inner {
    folder: Arc<Folder>,
    reads: Arc<Semaphore>,
    sweep_every: Duration,
    sweeper: Sweeper,
}

impl FileStore {
    /// Opens the folder at `url`: `file:///var/lib/app/sessions` or `file://./sessions`, where
    /// Node has them. The path is taken as it is, without percent-decoding.
    ///
    /// # Errors
    ///
    /// If the URL is none of these, or if the folder cannot be created or written to.
    ///
    /// ```
    /// # use sessile::stores::FileStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = FileStore::connect("file:///dev/null/sessions").await.unwrap_err();
    /// assert_eq!(error.to_string(), "could not create or use the folder /dev/null/sessions");
    /// # }
    /// ```
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder(url).connect().await
    }

    /// Starts to open the folder at `url` with other options than the default.
    ///
    /// | option | what it sets | default |
    /// |---|---|---|
    /// | `with_clock` | the clock that decides what has expired | the system's |
    /// | `with_default_lifetime` | how long a session lives whose cookie has no max age: Node's `ttl` | an hour |
    /// | `with_sweep_every` | about how often files of expired sessions are removed: Node's `reapInterval` | an hour |
    ///
    /// ```
    /// use sessile::stores::FileStore;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let url = format!("file://{}", folder.path().display());
    /// let day = Duration::from_secs(86_400);
    /// let store = FileStore::builder(&url).with_default_lifetime(day).connect().await?;
    /// # drop(store);
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(url: &str) -> FileBuilder {
        FileBuilder::from_url(url)
    }

    fn new(folder: Folder, sweep_every: Duration) -> Self {
        let inner = Inner {
            folder: Arc::new(folder),
            reads: Arc::new(Semaphore::new(READERS)),
            sweep_every,
            sweeper: Sweeper::default(),
        };
        let this = Self { inner: Arc::new(inner) };
        this.sweep();
        this
    }

    /// Starts the sweeper, or starts it again if its runtime is gone.
    fn sweep(&self) {
        if !self.inner.sweeper.is_running() {
            let purge = |inner: Arc<Inner>| async move { inner.purge_expired().await };
            self.inner.sweeper.start(&self.inner, self.inner.sweep_every, purge);
        }
    }
}

impl Inner {
    /// Works on a thread that may block, and that nobody waits for who has gone away.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.reads).acquire_owned().await.map_err(stopped)?;
        let folder = Arc::clone(&self.folder);
        on_a_thread(move || {
            let _permit = permit;
            work(&folder)
        })
        .await
    }

    /// Changes a session when it is its turn. Once that begins it is done even if the caller
    /// goes away: a logout must not depend on the client's patience.
    async fn change<T: Send + 'static>(
        &self,
        what: &'static str,
        turns: (Turn, Option<Turn>),
        work: impl FnOnce(&Folder, &Held) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let folder = Arc::clone(&self.folder);
        on_a_thread(move || {
            let (first, second) = turns;
            let work = || {
                let held = first.hold()?;
                let _also_held = second.map(Turn::hold).transpose()?;
                work(&folder, &held)
            };
            work().map_err(|error| folder.failure(what, error))
        })
        .await
    }

    async fn turn(&self, id: &SessionId) -> (Turn, Option<Turn>) {
        (self.folder.locks.turn(id).await, None)
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        let (mut total, mut failed) = (0, None);
        let mut left = Some(self.read(Folder::entries).await?);
        while let Some(entries) = left {
            let purged = self.read(move |folder| Ok(folder.purge(entries))).await?;
            total += purged.removed;
            failed = failed.or(purged.failed);
            left = purged.left;
        }
        failed.map_or(Ok(total), Err)
    }
}

async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(stopped)?
}

fn stopped(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::unavailable("the threads that work on session files have stopped")
        .with_source(error)
}

impl SessionStore for FileStore {
    async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        let id = id.clone();
        self.inner.read(move |folder| folder.load(&id)).await
    }

    async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        self.sweep();
        let turn = self.inner.turn(id).await;
        let (id, record, when) = (id.clone(), record.clone(), When::from(when));
        let save = move |folder: &Folder, held: &Held| folder.save(held, &id, &record, &when);
        self.inner.change("save a session", turn, save).await
    }

    async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool, StoreError> {
        let turn = self.inner.turn(id).await;
        let (id, cookie, since) = (id.clone(), cookie.clone(), since.cloned());
        let touch =
            move |folder: &Folder, held: &Held| folder.touch(held, &id, &cookie, since.as_ref());
        self.inner.change("touch a session", turn, touch).await
    }

    async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
        let (turn, id) = (self.inner.turn(id).await, id.clone());
        let destroy = move |folder: &Folder, _: &Held| folder.destroy(&id);
        self.inner.change("destroy a session", turn, destroy).await
    }

    async fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved, StoreError> {
        let turns = self.inner.folder.locks.both_turns([from, to]).await;
        let (from, to) = (from.clone(), to.clone());
        let (record, version) = (record.clone(), version.clone());
        let rotate = move |folder: &Folder, held: &Held| {
            folder.rotate(held, [&from, &to], &record, &version)
        };
        self.inner.change("give a session a new id", turns, rotate).await
    }

    fn capabilities(&self) -> &'static [Capability] {
        capabilities::of_a_shared_store(true)
    }

    async fn all(&self, from: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let from = from.cloned();
        self.inner.read(move |folder| folder.all(from.as_ref(), limit)).await
    }

    async fn length(&self) -> Result<u64, StoreError> {
        self.inner.read(Folder::length).await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.inner.read(Folder::clear).await
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        self.inner.purge_expired().await
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("folder", &self.inner.folder.path).finish_non_exhaustive()
    }
}
