mod files;
mod node;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use sessile_core::Clock;
use sessile_testkit::TestClock;
use tempfile::TempDir;

use super::*;

/// 2030-01-02T03:04:05.678Z, when the golden files were written.
const NOW: u64 = 1_893_553_445_678;
const HOUR: u64 = 3_600_000;

/// A store in a folder of its own, whose clock stands at [`NOW`].
struct Fixture {
    clock: TestClock,
    folder: TempDir,
    store: FileStore,
}

impl Fixture {
    async fn new() -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
        clock.set(time(NOW));
        let url = format!("file://{}", folder.path().join("sessions").display());
        let builder = FileStore::builder(&url).with_clock(Arc::new(clock.clone()));
        Self { clock, folder, store: builder.connect().await.unwrap() }
    }

    fn sessions(&self) -> PathBuf {
        self.folder.path().join("sessions")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.sessions().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.file(name), content).unwrap();
    }

    /// What Node's `isExpired` says of a file.
    fn is_expired_for_node(&self, name: &str) -> bool {
        let file: serde_json::Value = serde_json::from_str(&self.read(name)).unwrap();
        let max_age = file["cookie"]["originalMaxAge"].as_f64().filter(|age| *age != 0.0);
        let access = file["__lastAccess"].as_f64().unwrap();
        let now = self.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        access + max_age.unwrap_or(HOUR as f64) < now.as_millis() as f64
    }

    async fn save(&self, name: &str, text: &str) -> Version {
        let saved = self.store.save(&id(name), &record(text), Precondition::None).await.unwrap();
        let Saved::Saved(version) = saved else { panic!("{saved:?}") };
        version
    }

    async fn load(&self, name: &str) -> Option<Stored> {
        self.store.load(&id(name)).await.unwrap()
    }
}

fn id(id: &str) -> SessionId {
    SessionId::new(id)
}

fn record(text: &str) -> Record {
    Record::parse(text).unwrap()
}

fn time(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}
