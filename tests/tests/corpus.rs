//! Every input that the fuzzer has kept is tried again: what it once found stays mended.

use std::fs;
use std::path::Path;
use timerace_tests::fuzz::TARGETS;

#[test]
fn no_kept_input_of_the_fuzzer_is_too_much() {
    for (target, run) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
        let mut files: Vec<_> =
            fs::read_dir(&folder).expect("it is there").map(|e| e.expect("read").path()).collect();
        files.sort();
        assert!(files.len() >= 5, "{}: {} files", folder.display(), files.len());
        for file in files {
            // The fuzzer passes over what is no UTF-8, as the program refuses it.
            let Ok(text) = fs::read_to_string(&file) else { continue };
            let done = std::panic::catch_unwind(|| run(&text));
            assert!(done.is_ok(), "{}", file.display());
        }
    }
}
