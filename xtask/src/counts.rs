//! What test runners say of themselves: cargo's and libtest-mimic's, Node's.

use std::ops::AddAssign;

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// One test program within the output of `cargo test`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Suite {
    /// `stores`, `sessile_core`, `doc-tests sessile`.
    pub(crate) name: String,
    /// What it printed.
    pub(crate) text: String,
}

impl Suite {
    /// Returns what its closing line says; `None` if it has none.
    pub(crate) fn counts(&self) -> Option<Counts> {
        self.text.lines().filter_map(closing_line).reduce(|mut sum, counts| {
            sum += counts;
            sum
        })
    }

    /// Returns the names of the tests it did not run, with their reasons.
    pub(crate) fn ignored(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter_map(|line| {
            let (name, end) = line.strip_prefix("test ")?.split_once(" ... ")?;
            end.starts_with("ignored").then_some(name)
        })
    }

    /// Returns what comes before the first `::` of the tests that passed, and how often.
    pub(crate) fn passed_by_prefix(&self) -> Vec<(&str, usize)> {
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for line in self.text.lines() {
            let Some((name, "ok")) = line.strip_prefix("test ").and_then(|l| l.split_once(" ... "))
            else {
                continue;
            };
            let prefix = name.split("::").next().unwrap_or(name).trim();
            match counts.iter_mut().find(|(known, _)| *known == prefix) {
                Some((_, count)) => *count += 1,
                None => counts.push((prefix, 1)),
            }
        }
        counts
    }
}

/// Splits the output of `cargo test` at the headings of its test programs.
pub(crate) fn suites(output: &str) -> Vec<Suite> {
    let mut suites: Vec<Suite> = Vec::new();
    for line in output.lines() {
        if let Some(name) = heading(line) {
            suites.push(Suite { name, text: String::new() });
        } else if let Some(suite) = suites.last_mut() {
            suite.text.push_str(line);
            suite.text.push('\n');
        }
    }
    suites
}

/// Reads `   Running tests/stores.rs (target/debug/deps/stores-0123)` and `   Doc-tests sessile`.
fn heading(line: &str) -> Option<String> {
    let line = line.strip_prefix("   ")?.trim();
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("doc-tests {name}"));
    }
    let program = line.strip_prefix("Running ")?.strip_suffix(')')?.rsplit_once('(')?.1;
    let name = program.rsplit(['/', '\\']).next()?;
    Some(name.rsplit_once('-').map_or(name, |(name, _hash)| name).to_owned())
}

/// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; …` and the plain `3 passed, 0 failed`.
fn closing_line(line: &str) -> Option<Counts> {
    if let Some((passed, failed)) = line.split_once(" passed, ") {
        let failed = failed.strip_suffix(" failed")?.parse().ok()?;
        return Some(Counts { passed: passed.parse().ok()?, failed, skipped: 0 });
    }
    let (_verdict, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let of = |what: &str| {
        counts.split(';').find_map(|part| part.trim().strip_suffix(what)?.trim().parse().ok())
    };
    Some(Counts { passed: of("passed")?, failed: of("failed")?, skipped: of("ignored")? })
}

/// Reads the closing lines of `node --test`, whichever of its reporters wrote them.
pub(crate) fn node(output: &str) -> Option<Counts> {
    let mut sum: Option<Counts> = None;
    let mark = if output.contains("TAP version") { "# " } else { "ℹ " };
    for line in output.lines() {
        let Some(rest) = line.strip_prefix(mark) else {
            continue;
        };
        let Some((word, Ok(count))) =
            rest.split_once(' ').map(|(word, n)| (word, n.trim().parse::<usize>()))
        else {
            continue;
        };
        let counts = match word {
            "pass" => Counts { passed: count, ..Counts::default() },
            "fail" | "cancelled" => Counts { failed: count, ..Counts::default() },
            "skipped" | "todo" => Counts { skipped: count, ..Counts::default() },
            _ => continue,
        };
        *sum.get_or_insert_default() += counts;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARGO: &str = "\
   Compiling sessile-core v0.1.0
    Finished `test` profile [unoptimized] target(s) in 3.10s
     Running unittests src/lib.rs (target/debug/deps/sessile_core-00ff)

running 2 tests
test date::tests::iso ... ok
test slow ... ignored, needs a server

test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

     Running tests/stores.rs (target/debug/deps/stores-0123)

running 4 tests
test memory::expired_is_none ... ok
test memory::unknown_is_none ... ok
test sqlite::unknown_is_none ... ok
test sqlite::expired_is_none ... FAILED

test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.01s

   Doc-tests sessile_core
";

    #[test]
    fn cargo_output_is_split_at_its_headings() {
        let suites = suites(CARGO);
        let names: Vec<_> = suites.iter().map(|suite| suite.name.as_str()).collect();
        assert_eq!(names, ["sessile_core", "stores", "doc-tests sessile_core"]);
        assert_eq!(suites[0].counts(), Some(Counts { passed: 1, failed: 0, skipped: 1 }));
        assert_eq!(suites[0].ignored().collect::<Vec<_>>(), ["slow"]);
        assert_eq!(suites[1].counts(), Some(Counts { passed: 3, failed: 1, skipped: 0 }));
        assert_eq!(suites[1].passed_by_prefix(), [("memory", 2), ("sqlite", 1)]);
        assert_eq!(suites[2].counts(), None);
    }

    #[test]
    fn a_program_without_harness_counts_in_plain_words() {
        let text = "oracle: 1000 sequences, 3 steps passed, 0 failed to\n1017 passed, 2 failed\n";
        let suite = Suite { name: "oracle".into(), text: text.into() };
        assert_eq!(suite.counts(), Some(Counts { passed: 1017, failed: 2, skipped: 0 }));
    }

    #[test]
    fn merged_doctests_add_up() {
        let text = "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured\n\
                    test result: ok. 5 passed; 1 failed; 0 ignored; 0 measured\n";
        let suite = Suite { name: "doc-tests x".into(), text: text.into() };
        assert_eq!(suite.counts(), Some(Counts { passed: 7, failed: 1, skipped: 0 }));
    }

    #[test]
    fn both_of_nodes_reporters_are_read() {
        let tap = "TAP version 13\nok 1 - a\n# tests 5\n# suites 0\n# pass 3\n# fail 1\n# cancelled 0\n# skipped 1\n# todo 0\n# duration_ms 52.1\n";
        let counts = Some(Counts { passed: 3, failed: 1, skipped: 1 });
        assert_eq!(node(tap), counts);
        let spec = tap.replace("TAP version 13\n", "# pass 7\n").replace("\n# ", "\nℹ ");
        assert_eq!(node(&spec), counts, "what a test prints is not the reporter's");
        assert_eq!(node("npm error Missing script: \"test\"\n"), None);
    }
}
