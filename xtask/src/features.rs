//! The features of a crate, read from its manifest, and what each must not pull in.

use std::collections::BTreeMap;

/// A crate's `[features]` table.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Features(BTreeMap<String, Vec<String>>);

impl Features {
    /// Reads the table out of a manifest; empty if it has none.
    pub(crate) fn of_manifest(manifest: &str) -> Self {
        let table = manifest
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim())
            .skip_while(|line| *line != "[features]")
            .skip(1)
            .take_while(|line| !line.starts_with('['))
            .collect::<Vec<_>>()
            .join(" ");
        // `a = ["b"] c = []`: every list ends with the only `]` it has.
        let entries = table.split(']').filter_map(|entry| entry.split_once('='));
        let features = entries.map(|(name, list)| (name.trim().to_owned(), quoted(list)));
        Self(features.collect())
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns the optional dependencies that stay out unless asked for: those
    /// of all features but `wanted` and what it implies.
    pub(crate) fn kept_out_by(&self, wanted: Option<&str>) -> Vec<&str> {
        let mut wanted: Vec<&str> = wanted.into_iter().collect();
        let mut at = 0;
        while let Some(entries) = wanted.get(at).map(|name| self.0.get(*name)) {
            wanted.extend(entries.into_iter().flatten().map(String::as_str));
            at += 1;
        }
        let mut out: Vec<&str> = self
            .0
            .values()
            .flatten()
            .filter(|entry| entry.starts_with("dep:") && !wanted.contains(&entry.as_str()))
            .filter_map(|entry| entry.strip_prefix("dep:"))
            .collect();
        out.sort_unstable();
        out.dedup();
        out
    }
}

fn quoted(list: &str) -> Vec<String> {
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
[package]
name = "sessile"

[features]
default = ["axum"]
full = [
  "axum", # for most
  "sqlite",
]
axum = ["dep:axum"]
# Sessions in a file.
sqlite = ["dep:rusqlite", "core/x"]

[dependencies]
axum = { optional = true }
"#;

    #[test]
    fn features_are_read_from_the_manifest() {
        let features = Features::of_manifest(MANIFEST);
        assert_eq!(features.names().collect::<Vec<_>>(), ["axum", "default", "full", "sqlite"]);
        assert_eq!(features.0["full"], ["axum", "sqlite"]);
        assert_eq!(Features::of_manifest("[package]\nname = \"x\"").names().count(), 0);
    }

    #[test]
    fn what_nobody_asked_for_stays_out() {
        let features = Features::of_manifest(MANIFEST);
        assert_eq!(features.kept_out_by(None), ["axum", "rusqlite"]);
        assert_eq!(features.kept_out_by(Some("default")), ["rusqlite"]);
        assert_eq!(features.kept_out_by(Some("full")), Vec::<&str>::new());
    }
}
