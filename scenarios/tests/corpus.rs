//! ok files load
#![allow(clippy::unwrap_used)]
use timerace_scenarios::{diag, load};
#[test]
fn ok_files_load() {
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ok")).unwrap() {
        let path = entry.unwrap().path();
        let source = load::read_file(&path).unwrap();
        let c = load::check(&source, &[]);
        if !c.diagnostics.is_empty() {
            println!("{}", diag::render_all(&c.diagnostics, path.file_name().unwrap().to_str().unwrap(), &source, diag::Style::Plain));
        }
        assert!(c.scenario.is_some());
    }
}
