//! Parameters: `--set`, values of which `run` and `explore` take the first and `test` all.

use crate::support::{Dir, timerace};

const GRID: &str = r#"Scenario(
    schema: 1,
    name: "grid",
    machine: (cpus: 2),
    params: {
        "a": sweep(from: 0, to: 2, step: 1),
        "b": choice([0, 1]),
    },
    vars: { "x": int(0) },
    tasks: {
        "p": (cpu: 0, body: [ write("x", "$a"), wait_until("x == 5") ]),
        "q": (cpu: 1, body: [ write("x", 5), read("r", "x") ]),
    },
    expect: [ sometimes(SELF_DEADLOCK) ],
)
"#;

#[test]
fn run_and_explore_take_the_first_value_and_say_so() {
    let dir = Dir::new("first-value");
    dir.file("grid.ron", GRID.replace("\"$a\"", "\"$b\"").as_bytes());
    let note = "note: a = 0 (the first of 3), b = 0 (the first of 2); `timerace sweep` takes all";
    let r = timerace(&dir, &["explore", "grid.ron"]);
    assert!(r.code == 0 && r.err.contains(note), "{}{}", r.out, r.err);
    let r = timerace(&dir, &["run", "grid.ron", "--set", "a=1"]);
    assert!(r.err.contains("note: b = 0 (the first of 2)"), "{}{}", r.out, r.err);
    let set = ["explore", "grid.ron", "--set", "a=1", "--set", "b=1", "-q"];
    assert_eq!(timerace(&dir, &set).err, "");
}

#[test]
fn test_takes_all_values_and_names_them() {
    let dir = Dir::new("test-grid");
    // With 5 the waiter is never left waiting: `sometimes(SELF_DEADLOCK)` fails there, and only there.
    let text = GRID.replace("choice([0, 1])", "choice([0, 5])").replace("\"$a\"", "\"$b\"");
    dir.file("grid.ron", text.as_bytes());
    let r = timerace(&dir, &["test", "grid.ron", "--format", "json"]);
    let v = r.json();
    let names: Vec<_> = v["cases"].as_array().unwrap().iter().collect();
    assert_eq!(names.len(), 6);
    assert_eq!(names[1]["scenario"], "grid (a = 0, b = 5)");
    assert_eq!((v["ok"].as_u64(), v["failed"].as_u64(), r.code), (Some(3), Some(3), 1));
    // The line that repeats a failure has the values.
    let r = timerace(&dir, &["test", "grid.ron"]);
    assert!(r.out.contains("FAIL  grid (a = 2, b = 5)"), "{}", r.out);
    let r = timerace(&dir, &["test", "grid.ron", "--set", "b=0"]);
    assert!(r.code == 0 && r.out.contains("3 cases: 3 ok"), "{}{}", r.out, r.err);
}

#[test]
fn test_asks_for_sweep_when_there_are_too_many() {
    let dir = Dir::new("too-many-cells");
    dir.file("grid.ron", GRID.replace("\"$a\"", "\"$b\"").as_bytes());
    let r = timerace(&dir, &["test", "grid.ron", "--max-cells", "5"]);
    assert_eq!(r.code, 2);
    assert!(r.err.contains("6 combinations (a 3, b 2); at most 5 are tested"), "{}", r.err);
    assert!(r.err.contains("`timerace sweep grid.ron` takes all"), "{}", r.err);
    let r = timerace(&dir, &["test", "grid.ron", "--set", "c=1"]);
    assert!(r.code == 2 && r.err.contains("no scenario here has a parameter `c`"), "{}", r.err);
}

#[test]
fn a_replay_repeats_the_settings() {
    let dir = Dir::new("replay-set");
    dir.file("grid.ron", GRID.as_bytes());
    let r = timerace(&dir, &["explore", "grid.ron", "--set", "a=2", "--format", "json"]);
    let schedule = r.json()["findings"][0]["schedule"].as_str().unwrap().to_string();
    let replay = ["replay", "grid.ron", "--set", "a=2", "--schedule", &schedule];
    assert_eq!(timerace(&dir, &replay).code, 1);
    let r = timerace(&dir, &["explore", "grid.ron", "--set", "a=2"]);
    assert!(r.out.contains("--set a=2"), "{}", r.out);
}

#[test]
fn times_that_overflow_are_refused_or_cut_off() {
    let dir = Dir::new("overflow");
    let text = |work: &str| {
        format!(
            "Scenario(schema: 1, name: \"long\", machine: (cpus: 1, tick: false),\n    tasks: {{ \"t\": \
             (cpu: 0, body: [ repeat(1000, [ work(\"{work}\") ]) ]) }},\n)\n"
        )
    };
    dir.file("a.ron", text("9223372036854775807ns").as_bytes());
    let r = timerace(&dir, &["run", "a.ron"]);
    assert_eq!(r.code, 2);
    assert!(r.err.contains("error[E0115]: the length is longer than a year"), "{}", r.err);
    // Each length is fine, their sum is behind the end of 64 bits.
    dir.file("b.ron", text("365s 31535635s").as_bytes());
    let r = timerace(&dir, &["run", "b.ron"]);
    assert!(r.code == 3 && r.out.contains("INCONCLUSIVE"), "{}{}", r.out, r.err);
}

/// Files of the loader's own tests, played.
fn sample(name: &str) -> String {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/tests/ok");
    format!("{dir}/{name}.ron")
}

#[test]
fn a_pinned_link_outlives_its_loader() {
    let dir = Dir::new("pinned-link");
    let file = sample("uref-drop-on-ctrl-c");
    for kernel in ["v6.1", "v6.12", "v7.3"] {
        let r = timerace(&dir, &["run", &file, "--kernel", kernel, "--format", "json"]);
        let v = r.json();
        assert!(!v["findings"].to_string().contains("WRONG_ERRNO"), "{kernel}: {}", r.out);
        assert!(v["virtual_ns"].as_u64() >= Some(1_000_000), "{kernel}: {}", r.out);
    }
}

#[test]
fn a_kernel_that_was_not_chosen_has_no_say() {
    let dir = Dir::new("other-kernel");
    // PREEMPT_RT has no timers from v6.17 on; the newest release is not asked.
    let args =
        ["test", &sample("lru-evict-running-callback"), "--kernel", "v6.12", "--max-cells", "300"];
    let r = timerace(&dir, &args);
    assert!(!r.err.contains("refused since v6.17"), "{}", r.err);
}
