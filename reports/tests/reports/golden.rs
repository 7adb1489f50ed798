//! Texts that people look at, kept as files. `TIMERACE_BLESS=1 cargo test` writes them anew; look at the diff.

use std::path::PathBuf;

pub fn check(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("TIMERACE_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, text, "{} differs; TIMERACE_BLESS=1 accepts", path.display());
}
