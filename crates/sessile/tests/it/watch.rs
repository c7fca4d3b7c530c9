//! What an operator sees: events and counters, caught for one test.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;

/// Catches the events and counters of this thread for as long as it lives.
pub(crate) struct Watch {
    lines: Lines,
    _events: DefaultGuard,
    #[cfg(feature = "metrics")]
    counters: metrics_util::debugging::Snapshotter,
    #[cfg(feature = "metrics")]
    _counters: metrics::LocalRecorderGuard<'static>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let lines = Lines::default();
        let _events = tracing::subscriber::set_default(subscriber(lines.clone()));
        #[cfg(feature = "metrics")]
        let (counters, _counters) = {
            // The guard borrows the recorder; a test's few bytes may live on.
            let recorder: &'static _ =
                Box::leak(Box::new(metrics_util::debugging::DebuggingRecorder::new()));
            (recorder.snapshotter(), metrics::set_default_local_recorder(recorder))
        };
        Self {
            lines,
            _events,
            #[cfg(feature = "metrics")]
            counters,
            #[cfg(feature = "metrics")]
            _counters,
        }
    }

    /// All that was printed.
    pub(crate) fn text(&self) -> String {
        self.lines.text()
    }

    /// How many events of `level` (`WARN`, `ERROR`, …) contain `words`.
    pub(crate) fn events(&self, level: &str, words: &str) -> usize {
        let text = self.text();
        let matches = |line: &&str| line.trim_start().starts_with(level) && line.contains(words);
        text.lines().filter(matches).count()
    }

    /// Everything measured since this or [`counters`](Self::counters) was last called.
    #[cfg(feature = "metrics")]
    pub(crate) fn snapshot(&self) -> Vec<Measured> {
        self.counters.snapshot().into_vec()
    }

    /// How much every counter has counted since this was last called, labels left out.
    #[cfg(feature = "metrics")]
    pub(crate) fn counters(&self) -> std::collections::BTreeMap<String, u64> {
        use metrics_util::debugging::DebugValue;

        let mut counters = std::collections::BTreeMap::new();
        for (key, _, _, value) in self.snapshot() {
            if let DebugValue::Counter(value) = value {
                *counters.entry(key.key().name().to_owned()).or_default() += value;
            }
        }
        counters
    }

    /// Asserts what was counted since the last time; without the feature nothing is.
    #[track_caller]
    pub(crate) fn counted(&self, name: &str, expected: u64) {
        #[cfg(feature = "metrics")]
        {
            let counters = self.counters();
            assert_eq!(counters.get(name).copied().unwrap_or(0), expected, "{counters:?}");
        }
        #[cfg(not(feature = "metrics"))]
        let _ = (name, expected);
    }
}

/// A metric, its unit and description, and its value.
#[cfg(feature = "metrics")]
type Measured = (
    metrics_util::CompositeKey,
    Option<metrics::Unit>,
    Option<metrics::SharedString>,
    metrics_util::debugging::DebugValue,
);

/// Prints everything, down to the last trace, into `lines`.
pub(crate) fn subscriber(lines: Lines) -> impl tracing::Subscriber + Send + Sync {
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .without_time()
        .with_writer(move || lines.clone())
        .finish()
}

/// Where printed lines go.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
