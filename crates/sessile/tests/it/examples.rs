//! Each public item has an example in its docs, and the example runs.
//!
//! This reads the sources, line by line: what is `pub` there can be reached from outside,
//! or `unreachable_pub` complains. Left out are fields and variants, which their type
//! shows, modules and re-exports, which have no docs of their own to show it in, methods
//! of implemented traits, which the trait shows, and types that nobody names, which
//! whatever returns them shows.

use std::path::{Path, PathBuf};

const CRATES: [&str; 3] = ["sessile", "sessile-core", "sessile-testkit"];

/// Where an example may need a server that not every machine has: it must compile only.
const NEEDS_A_SERVER: [&str; 2] = ["sessile/src/stores/", "sessile-testkit/src/server/"];

#[test]
fn every_public_item_has_an_example_that_runs() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut seen, mut bare) = (0, Vec::new());
    for file in CRATES.iter().flat_map(|name| sources(&crates.join(name).join("src"))) {
        let place = file.strip_prefix(crates).unwrap().display().to_string();
        let may_only_compile = NEEDS_A_SERVER.iter().any(|folder| place.starts_with(folder));
        for item in items(&std::fs::read_to_string(&file).unwrap()) {
            seen += 1;
            if !item.has_example(may_only_compile) {
                bare.push(format!("{place}:{} {}", item.line, item.head));
            }
        }
    }
    assert!(seen > 300, "only {seen} items: the sources are read no more");
    assert!(bare.is_empty(), "there is no example in the docs of\n{}", bare.join("\n"));
}

#[test]
fn an_item_without_an_example_is_found() {
    let source = "\
/// Shown.
///
/// ```
/// assert!(true);
/// ```
#[expect(
    clippy::all,
    reason = \"over several lines\"
)]
pub struct Shown {
    /// A field.
    pub field: u8,
}

/// ```no_run
/// ```
pub async fn compiled() {}

/// ```text
/// pub fn drawn() {}
/// ```
pub const BARE: u8 = 0;

pub(crate) fn private() {}

/// Chained.
#[allow(unnameable_types, reason = \"nobody names it\")]
pub struct Builder;

/// ```
/// ```
pub trait Told {
    /// Nothing.
    fn untold(&self);
}

impl Told for Shown {
    fn untold(&self) {}
}

mod tests {
    pub fn left_out() {}
}
";
    let items = items(source);
    let found = |may_only_compile: bool| -> Vec<_> {
        let bare = items.iter().filter(|item| !item.has_example(may_only_compile));
        bare.map(|item| (item.line, item.head.as_str())).collect()
    };
    let bare = [(22, "pub const BARE: u8 = 0;"), (34, "fn untold(&self);")];
    assert_eq!(items.len(), 5);
    assert_eq!(found(true), bare);
    assert_eq!(found(false), [&[(17, "pub async fn compiled() {}")][..], &bare].concat());
}

/// The Rust files below `folder`, but for the tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

struct Item {
    line: usize,
    /// Its first line.
    head: String,
    docs: Vec<String>,
}

impl Item {
    fn has_example(&self, may_only_compile: bool) -> bool {
        let fences = self.docs.iter().filter_map(|line| line.strip_prefix("```"));
        // Each second one closes what the one before it opened.
        fences.step_by(2).any(|language| match language {
            "" | "rust" => true,
            "no_run" => may_only_compile,
            _ => false,
        })
    }
}

/// The public items of a source file and the methods of its public traits.
fn items(source: &str) -> Vec<Item> {
    let (mut items, mut docs, mut attributes) = (Vec::new(), Vec::new(), String::new());
    let (mut in_attribute, mut in_trait) = (false, false);
    for (n, line) in source.lines().enumerate().take_while(|(_, line)| *line != "mod tests {") {
        let code = line.trim();
        if let Some(doc) = code.strip_prefix("///") {
            docs.push(doc.trim().to_owned());
            continue;
        }
        if in_attribute || code.starts_with("#[") {
            attributes.push_str(code);
            in_attribute = !code.ends_with(']');
            continue;
        }
        in_trait = line.starts_with("pub trait ") || in_trait && line != "}";
        let is_item = is_public_item(code) || in_trait && code.starts_with("fn ");
        let docs = std::mem::take(&mut docs);
        if is_item && !std::mem::take(&mut attributes).contains("unnameable_types") {
            items.push(Item { line: n + 1, head: code.to_owned(), docs });
        }
        attributes.clear();
    }
    items
}

fn is_public_item(code: &str) -> bool {
    let Some(code) = code.strip_prefix("pub ") else { return false };
    let word = code.split(' ').find(|word| !matches!(*word, "async" | "unsafe"));
    matches!(word, Some("const" | "enum" | "fn" | "static" | "struct" | "trait" | "type" | "union"))
}
