//! The contract in the docs of `SessionStore` and the suite say the same.

use std::path::Path;

/// Returns the names of the bullets under `# Behavior`, in their order. A bullet is named
/// by the code at its end.
fn bullets(source: &str) -> Vec<&str> {
    source
        .lines()
        .skip_while(|line| *line != "/// # Behavior")
        .take_while(|line| line.starts_with("///"))
        .filter(|line| line.starts_with("/// - "))
        .map(|line| line.rsplit('`').nth(1).unwrap_or(line))
        .collect()
}

#[test]
fn every_bullet_of_the_contract_is_a_trial_and_every_trial_a_bullet() {
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sessile-core/src/store.rs");
    let source = std::fs::read_to_string(store).unwrap();
    assert_eq!(bullets(&source), sessile_testkit::contract().collect::<Vec<_>>());
}
