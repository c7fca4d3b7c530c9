//! Opens the folder: where it is, and that it can be used.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sessile_core::{Clock, StoreError, SystemClock};

use super::folder::Folder;
use super::locks::Locks;
use super::{FileStore, on_a_thread};

/// `session-file-store`'s `ttl`.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);
/// `session-file-store`'s `reapInterval`.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// Where the locks lie, and what is being written. Node sees no session in it.
const PRIVATE: &str = ".sessile";

/// Opens a [`FileStore`] that differs from the default.
#[allow(unnameable_types, reason = "a builder is chained, not named")]
#[must_use = "nothing opens before `connect`"]
pub struct FileBuilder {
    clock: Arc<dyn Clock>,
    default_lifetime: Duration,
    sweep_every: Duration,
    url: String,
}

impl FileBuilder {
    pub(super) fn from_url(url: &str) -> Self {
        Self {
            clock: Arc::new(SystemClock),
            default_lifetime: DEFAULT_LIFETIME,
            sweep_every: SWEEP_EVERY,
            url: url.to_owned(),
        }
    }

    /// Sets how long a session lives whose cookie has no max age. The default is an hour,
    /// as in Node. An Express application on the same folder needs the same `ttl`.
    ///
    /// ```
    /// # use sessile::stores::FileStore;
    /// # use std::time::Duration;
    /// let week = Duration::from_secs(7 * 86_400);
    /// let builder = FileStore::builder("file://./sessions").with_default_lifetime(week);
    /// assert!(format!("{builder:?}").contains("604800s"));
    /// ```
    pub fn with_default_lifetime(mut self, lifetime: Duration) -> Self {
        self.default_lifetime = lifetime;
        self
    }

    /// Sets about how often files of expired sessions are removed. The default is every
    /// hour; nobody sees an expired session in between.
    ///
    /// ```
    /// # use sessile::stores::FileStore;
    /// # use std::time::Duration;
    /// let builder = FileStore::builder("file://./sessions").with_sweep_every(Duration::from_secs(60));
    /// assert!(format!("{builder:?}").contains("60s"));
    /// ```
    pub fn with_sweep_every(mut self, every: Duration) -> Self {
        self.sweep_every = every;
        self
    }

    /// Sets the clock that decides what has expired: for tests that move it.
    ///
    /// ```
    /// # use sessile::stores::FileStore;
    /// use sessile::SystemClock;
    /// use std::sync::Arc;
    ///
    /// let builder = FileStore::builder("file://./sessions").with_clock(Arc::new(SystemClock));
    /// assert!(format!("{builder:?}").contains("SystemClock"));
    /// ```
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Opens the folder, and creates it if it is missing.
    ///
    /// # Errors
    ///
    /// If the URL is not `file://` and a path, or if the folder cannot be created or
    /// written to.
    ///
    /// ```
    /// # use sessile::stores::FileStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = FileStore::builder("sessions").connect().await.unwrap_err();
    /// assert_eq!(error.to_string(), "a file url is file:// and the path of a folder");
    /// # }
    /// ```
    pub async fn connect(self) -> Result<FileStore, StoreError> {
        let path = parse(&self.url)?;
        let folder = Folder {
            clock: self.clock,
            lifetime: self.default_lifetime,
            locks: Locks::new(path.join(PRIVATE)),
            path,
        };
        let open = move || match prepare(&folder) {
            Ok(()) => Ok(folder),
            Err(error) => {
                let folder = folder.path.display();
                let what = format!("could not create or use the folder {folder}");
                Err(StoreError::unavailable(what).with_source(error))
            }
        };
        Ok(FileStore::new(on_a_thread(open).await?, self.sweep_every))
    }
}

impl fmt::Debug for FileBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileBuilder")
            .field("clock", &self.clock)
            .field("default_lifetime", &self.default_lifetime)
            .field("sweep_every", &self.sweep_every)
            .field("url", &self.url)
            .finish()
    }
}

fn parse(url: &str) -> Result<PathBuf, StoreError> {
    let wrong = || StoreError::failed("a file url is file:// and the path of a folder");
    let rest = url.strip_prefix("file:").ok_or_else(wrong)?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.contains('?') {
        return Err(StoreError::failed(
            "a file url has no options here: use the builder's methods",
        ));
    }
    // Made absolute, the path names one folder even if the process changes its own.
    std::path::absolute(path).map_err(|error| wrong().with_source(error))
}

fn prepare(folder: &Folder) -> io::Result<()> {
    create(&folder.path)?;
    create(folder.locks.folder())?;
    fs::read_dir(&folder.path)?;
    folder.locks.check()
}

/// Creates a folder for its owner alone, as it holds everybody's login.
fn create(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_url_names_a_folder() {
        let here = std::env::current_dir().unwrap();
        for (url, path) in [
            ("file://./sessions", here.join("sessions")),
            ("file://sessions", here.join("sessions")),
            ("file:my sessions", here.join("my sessions")),
            ("file:///var/lib/app/sessions", "/var/lib/app/sessions".into()),
            ("file:/var/lib/app/sessions", "/var/lib/app/sessions".into()),
        ] {
            assert_eq!(parse(url).unwrap(), path, "{url}");
        }
    }

    #[test]
    fn a_wrong_url_says_so() {
        for url in ["", "sessions", "file:", "file://", "redis://host", "file://sessions?ttl=1"] {
            let error = parse(url).unwrap_err();
            assert!(error.to_string().starts_with("a file url"), "{url}: {error}");
        }
    }
}
