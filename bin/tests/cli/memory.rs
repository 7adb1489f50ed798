//! Store buffers: what a missing barrier lets happen, and what it does not without them.

use crate::support::{Dir, library, timerace};

fn text(folder: &str, name: &str) -> String {
    std::fs::read_to_string(library().join(folder).join(format!("{name}.ron"))).unwrap()
}

/// The exit code and result of exploring a text.
fn explore(dir: &Dir, text: &str, more: &[&str]) -> (i32, serde_json::Value) {
    let file = dir.file("memory.ron", text.as_bytes()).display().to_string();
    let r = timerace(dir, &[&["explore", &file, "--format", "json"], more].concat());
    (r.code, r.json())
}

#[test]
fn a_missing_barrier_matters_with_store_buffers_only() {
    let dir = Dir::new("memory");
    for name in ["mutual-cancel-no-barrier", "r06-recheck-no-barrier"] {
        let tso = text("patterns", name);
        assert!(tso.contains("memory: TSO"));
        assert_eq!(explore(&dir, &tso, &[]).0, 0, "{name}: it happens, as the file says");
        let (code, v) = explore(&dir, &tso.replace("memory: TSO", "memory: SC"), &[]);
        assert_eq!((code, &v["failing"]), (1, &0.into()), "{name}: it does not happen");
        let whole = tso.replace("read(\"r\"", "smp_mb(), read(\"r\"");
        let whole = whole.replace("read(\"n\"", "smp_mb(), read(\"n\"");
        let (code, v) = explore(&dir, &whole, &[]);
        assert_eq!((code, &v["failing"]), (1, &0.into()), "{name}: nor with the barrier");
    }
}

#[test]
fn the_fix_of_r06_holds_with_store_buffers() {
    let dir = Dir::new("memory-r06");
    let tso = text("races", "r06-timer-init-uref")
        .replace("machine: (cpus: 2)", "machine: (cpus: 2, memory: TSO)");
    assert!(tso.contains("TSO"));
    let (code, v) = explore(&dir, &tso, &["--kernel", "v6.6"]);
    assert_eq!((code, &v["verdict"]), (0, &"bug".into()));
    let (code, v) = explore(&dir, &tso, &["--kernel", "v6.7"]);
    assert_eq!((code, &v["verdict"], &v["complete"]), (0, &"pass".into(), &true.into()));
}
