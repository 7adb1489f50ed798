//! What people read.

use crate::support::{Dir, timerace};

#[test]
fn the_demo_shows_a_race_and_its_end() {
    let dir = Dir::new("demo");
    let r = timerace(&dir, &["demo"]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    for needle in [
        "r07-cancel-free-uaf on v6.7",
        "BUG   use-after-free in bpf_timer_cancel / bpf_timer_cancel_and_free",
        "kfree(t)",
        "^^^",
        "Same scenario on v6.8:",
        "PASS",
        "complete",
    ] {
        assert!(r.out.contains(needle), "`{needle}` is missing:\n{}", r.out);
    }
    assert!(r.out.is_ascii() && r.out.lines().all(|l| l.len() <= 79), "{}", r.out);
    assert!(std::fs::read_dir(&dir.0).unwrap().next().is_none(), "nothing is written unasked");
}

#[test]
fn every_built_in_scenario_can_be_shown() {
    let dir = Dir::new("demos");
    let list = timerace(&dir, &["demo", "--list"]).out;
    assert!(list.lines().count() > 20);
    for name in ["r06", "r09", "r10", "seed-example"] {
        let r = timerace(&dir, &["demo", name]);
        assert_eq!(r.code, 0, "{name}: {}{}", r.out, r.err);
    }
}

#[test]
fn a_new_scenario_can_be_checked_and_explored() {
    let dir = Dir::new("new");
    for kind in ["periodic", "cancel", "uref", "raw"] {
        let file = format!("my_{kind}.ron");
        assert_eq!(timerace(&dir, &["new", "--kind", kind, &file]).code, 0, "{kind}");
        let r = timerace(&dir, &["check", &file]);
        assert_eq!(r.code, 0, "{kind}: {}{}", r.out, r.err);
        let r = timerace(&dir, &["test", &file]);
        assert_eq!(r.code, 0, "{kind}: {}{}", r.out, r.err);
    }
}

#[test]
fn kernels_name_their_fixes() {
    let dir = Dir::new("kernels");
    let v = timerace(&dir, &["kernels", "--format", "json"]).json();
    let kernels = v["kernels"].as_array().unwrap();
    let of = |name: &str| kernels.iter().find(|k| k["kernel"] == name).unwrap();
    let has = |k: &serde_json::Value, commit: &str| {
        k["fixes"].as_array().unwrap().iter().any(|f| f["commit"] == commit)
    };
    assert!(!has(of("v6.7"), "0281b919e175") && has(of("v6.8"), "0281b919e175"));
    assert!(has(of("v6.1.192"), "d4523831f07a") && !has(of("v6.9"), "d4523831f07a"));
    assert_eq!(timerace(&dir, &["kernels"]).code, 0);
}

#[test]
fn explain_knows_codes_classes_and_scenarios() {
    let dir = Dir::new("explain");
    for topic in ["E0103", "USE_AFTER_FREE", "use-after-free", "r07"] {
        let r = timerace(&dir, &["explain", topic]);
        assert!(r.code == 0 && r.out.len() > 40, "{topic}: {}{}", r.out, r.err);
    }
    assert_eq!(timerace(&dir, &["explain"]).code, 0);
    assert_eq!(timerace(&dir, &["explain", "no-such-topic"]).code, 2);
}

#[test]
fn a_mistake_points_into_the_file() {
    let dir = Dir::new("mistake");
    let text = "Scenario(\n    schema: 1,\n    name: \"a\",\n    machine: (cpu: 2),\n)\n";
    dir.file("a.ron", text.as_bytes());
    let r = timerace(&dir, &["check", "a.ron"]);
    assert_eq!(r.code, 2);
    assert!(r.err.contains("error[E0103]") && r.err.contains("a.ron:4:15"), "{}", r.err);
    assert!(r.err.contains("did you mean `cpus`?"), "{}", r.err);
    let short = timerace(&dir, &["check", "--format", "short", "a.ron"]);
    assert!(short.out.starts_with("a.ron:4:15: error: "), "{}", short.out);
}

#[test]
fn the_readme_shows_what_the_demo_prints() {
    let dir = Dir::new("readme");
    let readme = include_str!("../../../README.md");
    let out = timerace(&dir, &["demo"]).out;
    assert!(readme.contains(out.trim_end()), "README.md and `timerace demo` differ:\n{out}");
}
