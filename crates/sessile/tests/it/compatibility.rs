//! COMPATIBILITY.md names a test for what it says; each of them is there.

use std::path::Path;

#[test]
fn each_test_that_the_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("../../COMPATIBILITY.md")).unwrap();
    let mut named = 0;
    for word in document.split('`') {
        let Some((module, test)) = word.split_once("::") else { continue };
        let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let file = root.join(format!("tests/it/{module}.rs"));
        if !is_name(module) || !is_name(test) || word == "module::test" {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(text.contains(&format!("fn {test}(")), "there is no test {word}");
        named += 1;
    }
    assert!(named > 0, "the document names no test any more");
}
