//! The files of the sessions. Everything here blocks, on a thread that may.

use std::collections::BinaryHeap;
use std::fs::{self, File, OpenOptions, ReadDir};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sessile_core::{
    Clock, Cursor, Page, Record, Saved, SessionCookie, SessionId, StoreError, Stored, Version,
};

use super::body::{self, Body};
use super::locks::{Held, Locks, private, remove};
use super::name;
use crate::stores::instant::{expiry, to_millis};
use crate::stores::malformed::malformed;
use crate::stores::touched::{state, touched};
use crate::stores::when::When;

/// The largest file that is read. A larger one is taken for malformed, so that
/// nobody's 100 MB session takes the process down.
const MAX_BYTES: u64 = 64 << 20;
/// How many files a purge looks at before others get their turn.
const PURGE_BATCH: usize = 100;

/// A folder of session files.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lifetime: Duration,
    pub(super) locks: Locks,
    pub(super) path: PathBuf,
}

/// What became of some files.
#[derive(Debug, Default)]
pub(super) struct Purged {
    /// Why one of them could not be removed.
    pub(super) failed: Option<StoreError>,
    /// Those that nobody has looked at yet.
    pub(super) left: Option<ReadDir>,
    pub(super) removed: u64,
}

type Result<T, E = StoreError> = std::result::Result<T, E>;

impl Folder {
    pub(super) fn load(&self, id: &SessionId) -> Result<Option<Stored>> {
        let living = self.living(id).map_err(|error| self.failure("load a session", error))?;
        Ok(living.map(Body::into_stored))
    }

    pub(super) fn save(
        &self,
        held: &Held,
        id: &SessionId,
        record: &Record,
        when: &When,
    ) -> io::Result<Saved> {
        let refused = match when {
            When::Always => None,
            When::Absent => self.living(id)?.map(|_| Saved::Conflict),
            When::Exists => self.living(id)?.is_none().then_some(Saved::Gone),
            When::Unchanged(version) => self.changed_since(id, version)?,
        };
        if let Some(refused) = refused {
            return Ok(refused);
        }
        self.store(held, id, record, |_| Ok(()))?;
        Ok(Saved::Saved(Version::text(state(record))))
    }

    pub(super) fn touch(
        &self,
        held: &Held,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> io::Result<bool> {
        let Some(body) = self.living(id)? else { return Ok(false) };
        if since.is_some_and(|since| *since != body.version) {
            return Ok(true);
        }
        let record = touched(body.record, cookie);
        let expires = expiry(cookie, to_millis(self.clock.now()), self.lifetime);
        self.write(held, id, &body::content(&record, expires, self.lifetime), |_| Ok(()))?;
        Ok(true)
    }

    pub(super) fn destroy(&self, id: &SessionId) -> io::Result<bool> {
        let lived = self.living(id)?.is_some();
        if self.remove(id)? {
            self.sync()?;
        }
        Ok(lived)
    }

    pub(super) fn rotate(
        &self,
        held: &Held,
        [from, to]: [&SessionId; 2],
        record: &Record,
        version: &Version,
    ) -> io::Result<Saved> {
        if let Some(refused) = self.changed_since(from, version)? {
            return Ok(refused);
        }
        if from != to && self.living(to)?.is_some() {
            return Ok(Saved::Conflict);
        }
        // The session moves in one step, as it is; nobody knows the new id yet who
        // could see that it is not in its new state before the next step.
        self.store(held, to, record, |to| fs::rename(self.file(from), to))?;
        Ok(Saved::Saved(Version::text(state(record))))
    }

    pub(super) fn all(&self, from: Option<&Cursor>, limit: usize) -> Result<Page> {
        self.page(from, limit).map_err(|error| self.failure("list the sessions", error))
    }

    fn page(&self, from: Option<&Cursor>, limit: usize) -> io::Result<Page> {
        let mut first = BinaryHeap::new();
        for name in self.names()? {
            if from.is_none_or(|from| name.as_str() > from.as_str()) {
                first.push(name);
            }
            if first.len() > limit {
                first.pop();
            }
        }
        let names = first.into_sorted_vec();
        let mut sessions = Vec::with_capacity(names.len());
        for id in names.iter().filter_map(|name| name::to_id(name)) {
            let id = SessionId::new(id);
            if let Some(body) = self.living(&id)? {
                sessions.push((id, body.into_stored()));
            }
        }
        let full = names.len() == limit;
        Ok(Page::new(sessions, names.last().filter(|_| full).map(Cursor::new)))
    }

    pub(super) fn length(&self) -> Result<u64> {
        let count = || {
            let mut living = 0;
            for name in self.names()? {
                let Some(id) = name::to_id(&name) else { continue };
                living += u64::from(self.living(&SessionId::new(id))?.is_some());
            }
            Ok(living)
        };
        count().map_err(|error| self.failure("count the sessions", error))
    }

    pub(super) fn clear(&self) -> Result<()> {
        let clear = || {
            for name in self.names()? {
                let Some(id) = name::to_id(&name) else { continue };
                let id = SessionId::new(id);
                let _held = self.locks.blocking_turn(&id).hold()?;
                self.remove(&id)?;
            }
            self.sync()
        };
        clear().map_err(|error| self.failure("remove all sessions", error))
    }

    /// Begins a purge.
    pub(super) fn entries(&self) -> Result<ReadDir> {
        let entries = self.locks.remove_temporaries().and_then(|()| fs::read_dir(&self.path));
        entries.map_err(|error| self.failure("look for expired sessions", error))
    }

    /// Looks at some files, and removes those of expired sessions; the others come later.
    pub(super) fn purge(&self, mut entries: ReadDir) -> Purged {
        let mut purged = Purged::default();
        for _ in 0..PURGE_BATCH {
            let Some(entry) = entries.next() else { return purged };
            match entry.and_then(|entry| self.purge_one(&entry.file_name())) {
                Ok(removed) => purged.removed += u64::from(removed),
                // The others shall not stay because this one does.
                Err(error) => purged.failed = Some(self.failure("remove expired sessions", error)),
            }
        }
        Purged { left: Some(entries), ..purged }
    }

    fn purge_one(&self, name: &std::ffi::OsStr) -> io::Result<bool> {
        let Some(id) = name.to_str().and_then(name::to_id) else { return Ok(false) };
        let id = SessionId::new(id);
        if !self.is_expired(&id)? {
            return Ok(false);
        }
        let _held = self.locks.blocking_turn(&id).hold()?;
        // Somebody may have taken the id since.
        Ok(self.is_expired(&id)? && self.remove(&id)?)
    }

    fn is_expired(&self, id: &SessionId) -> io::Result<bool> {
        Ok(self.read(id)?.is_some_and(|body| !body.lives(self.clock.now())))
    }

    /// Says why a session is not the one that had `version`, if it is not.
    fn changed_since(&self, id: &SessionId, version: &Version) -> io::Result<Option<Saved>> {
        Ok(match self.living(id)? {
            None => Some(Saved::Gone),
            Some(body) => (body.version != *version).then_some(Saved::Conflict),
        })
    }

    /// Stores a record, whose file `first` may have to prepare.
    fn store(
        &self,
        held: &Held,
        id: &SessionId,
        record: &Record,
        first: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        let now = to_millis(self.clock.now());
        let expires = expiry(record.cookie(), now, self.lifetime);
        if expires <= now {
            first(&self.file(id))?;
            self.remove(id)?;
        } else {
            let content = body::content(record, expires, self.lifetime);
            self.write(held, id, &content, first)?;
        }
        self.sync()
    }

    /// Writes a file beside the session's and lets it take its place, so that there is
    /// always a whole one. What is acknowledged has reached the disk.
    fn write(
        &self,
        held: &Held,
        id: &SessionId,
        content: &str,
        first: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        let (temporary, place) = (&held.temporary, self.file(id));
        remove(temporary)?;
        let written = private(OpenOptions::new().write(true).create_new(true))
            .open(temporary)
            .and_then(|mut file| file.write_all(content.as_bytes()).and_then(|()| file.sync_data()))
            .and_then(|()| first(&place))
            .and_then(|()| fs::rename(temporary, &place));
        if written.is_err() {
            // The sweeper removes it otherwise.
            let _ = remove(temporary);
        }
        written
    }

    fn remove(&self, id: &SessionId) -> io::Result<bool> {
        let path = self.file(id);
        match remove(&path) {
            Err(error) if error.kind() == io::ErrorKind::InvalidFilename => Ok(false),
            // A folder is no session, whatever its name.
            Err(_) if fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) => Ok(false),
            outcome => outcome,
        }
    }

    /// Lets the names of the files reach the disk.
    fn sync(&self) -> io::Result<()> {
        if cfg!(unix) { File::open(&self.path)?.sync_all() } else { Ok(()) }
    }

    fn living(&self, id: &SessionId) -> io::Result<Option<Body>> {
        Ok(self.read(id)?.filter(|body| body.lives(self.clock.now())))
    }

    /// Reads a session, dead or alive; `None` if there is no file that holds a record.
    fn read(&self, id: &SessionId) -> io::Result<Option<Body>> {
        let path = self.file(id);
        let file = match private(OpenOptions::new().read(true)).open(&path) {
            Ok(file) => file,
            Err(error) => return self.why_not_open(id, &path, error),
        };
        let found = file.metadata()?;
        if !found.is_file() || found.len() > MAX_BYTES {
            return Ok(malformed(id, "it is no file, or too large"));
        }
        let mut content = Vec::with_capacity(usize::try_from(found.len()).unwrap_or(0) + 1);
        file.take(MAX_BYTES).read_to_end(&mut content)?;
        let body = String::from_utf8(content).ok();
        let body = body.and_then(|content| Body::parse(&content, self.lifetime));
        Ok(body.or_else(|| malformed(id, "its file holds no session")))
    }

    fn why_not_open(
        &self,
        id: &SessionId,
        path: &Path,
        error: io::Error,
    ) -> io::Result<Option<Body>> {
        match error.kind() {
            // Without its folder no session is unknown: it may be a disk that is not mounted.
            io::ErrorKind::NotFound if self.locks.folder().try_exists()? => Ok(None),
            io::ErrorKind::InvalidFilename => Ok(None),
            _ if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) => {
                Ok(malformed(id, "it is no file"))
            }
            _ => Err(error),
        }
    }

    fn names(&self) -> io::Result<impl Iterator<Item = String>> {
        // An entry that cannot be read is gone.
        let names = fs::read_dir(&self.path)?.flatten().map(|entry| entry.file_name());
        let names = names.filter_map(|name| name.into_string().ok());
        Ok(names.filter(|name| name::to_id(name).is_some()))
    }

    fn file(&self, id: &SessionId) -> PathBuf {
        self.path.join(name::of_id(id.as_str()))
    }

    pub(super) fn failure(&self, what: &str, error: io::Error) -> StoreError {
        let folder = self.path.display();
        let made = match error.kind() {
            io::ErrorKind::InvalidFilename => {
                StoreError::failed("a session's id is too long for the name of a file")
            }
            io::ErrorKind::NotFound => StoreError::unavailable(format!(
                "could not {what}: the folder {folder} is gone, or its folder `.sessile`; bring it back, or restart"
            )),
            io::ErrorKind::TimedOut => StoreError::timed_out(format!(
                "could not {what} in {folder}: another process holds its lock"
            )),
            _ => StoreError::unavailable(format!("could not {what} in {folder}")),
        };
        made.with_source(error)
    }
}
