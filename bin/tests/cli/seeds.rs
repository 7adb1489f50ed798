//! `run --seeds`: what many seeds give together.

use crate::support::{Dir, timerace};
use serde_json::Value;
use std::collections::BTreeSet;

/// Two timers, of which now one and now the other expires first; the second one arms itself again.
const TWO_TIMERS: &str = r#"Scenario(schema: 1, name: "two-timers", machine: (cpus: 2),
    maps: { "m": ARRAY(max_entries: 2) },
    progs: {
        "once": (type: SYSCALL, body: [
            bpf_timer_init("m[0]", CLOCK_MONOTONIC),
            bpf_timer_set_callback("m[0]", "cb"),
            bpf_timer_start("m[0]", "20us"),
        ]),
        "often": (type: SYSCALL, body: [
            bpf_timer_init("m[1]", CLOCK_MONOTONIC),
            bpf_timer_set_callback("m[1]", "again"),
            bpf_timer_start("m[1]", "20us"),
        ]),
        "cb": (type: TIMER_CB, body: [ work("1us") ]),
        "again": (type: TIMER_CB, body: [ work("1us"), bpf_timer_start("m[1]", "100us") ]),
    },
    tasks: {
        "a": (cpu: 0, body: [ work("1us..90us"), prog_run("once") ]),
        "b": (cpu: 1, body: [ work("1us..90us"), prog_run("often") ]),
    },
    stop: time("2ms"),
)"#;

#[test]
fn samples_of_many_seeds_go_by_the_names_of_timers() {
    let dir = Dir::new("seeds-names");
    let file = dir.file("two.ron", TWO_TIMERS.as_bytes()).display().to_string();
    let json = |flags: &[&str]| {
        let r = timerace(&dir, &[&["run", &file, "--format", "json"], flags].concat());
        assert_eq!(r.code, 0, "{}{}", r.out, r.err);
        r.json()
    };
    let number = |v: &Value, name: &str, key: &str| {
        v["latency"][name][key].as_u64().unwrap_or_else(|| panic!("{name}.{key}: {v}"))
    };
    let mut alone = Vec::new();
    let mut firsts = BTreeSet::new();
    for seed in 1..=8 {
        let seed = seed.to_string();
        alone.push(json(&["--seed", &seed, "-o", &seed]));
        let csv = std::fs::read_to_string(dir.0.join(&seed).join("latency.csv")).unwrap();
        let first: Vec<&str> = csv.lines().nth(1).unwrap().split(',').collect();
        firsts.insert(format!("{}[{}]", first[1], first[2]));
    }
    assert_eq!(firsts.len(), 2, "each of the timers is the first one with some seed");
    let all = json(&["--seeds", "1..8"]);
    for name in ["m[0]", "m[1]"] {
        let of = |key: &'static str| alone.iter().map(move |v| number(v, name, key));
        assert_eq!(number(&all, name, "count"), of("count").sum::<u64>(), "{name}: {all}");
        assert_eq!(Some(number(&all, name, "max_ns")), of("max_ns").max(), "{name}: {all}");
    }
    assert_eq!(number(&all, "m[0]", "count"), 8, "{all}");
    // The folder keeps the same, and the command that gives it.
    json(&["--seeds", "1..8", "-o", "all"]);
    let text = std::fs::read(dir.0.join("all/result.json")).unwrap();
    let mut kept: Value = serde_json::from_slice(&text).unwrap();
    let command = kept.as_object_mut().unwrap().remove("command").unwrap();
    assert_eq!(kept, all);
    let words: Vec<&str> = command.as_array().unwrap().iter().flat_map(|w| w.as_str()).collect();
    let again = timerace(&dir, &[&words[..], &["--format", "json"]].concat());
    assert_eq!(again.json(), all, "{words:?}");
    assert!(dir.0.join("all/scenario.ron").exists());
    let r = timerace(&dir, &["report", "all"]);
    assert!(r.code == 2 && r.err.contains("nothing to draw"), "{}{}", r.out, r.err);
}

#[test]
fn a_run_can_be_longer_or_shorter_than_the_scenario_says() {
    let dir = Dir::new("run-for");
    dir.file("two.ron", TWO_TIMERS.as_bytes());
    let counted = TWO_TIMERS.replace(r#"time("2ms")"#, "expiries(3)");
    dir.file("counted.ron", counted.as_bytes());
    let run = |file: &str, flags: &[&str]| {
        let r = timerace(&dir, &[&["run", file, "--format", "json"], flags].concat());
        assert_eq!(r.code, 0, "{}{}", r.out, r.err);
        let v = r.json();
        (v["virtual_ns"].as_u64().unwrap(), v["expiries"].as_u64().unwrap())
    };
    assert_eq!(run("two.ron", &[]).0, 2_000_000);
    assert_eq!(run("two.ron", &["--for", "500us"]).0, 500_000);
    let (ns, expiries) = run("two.ron", &["--for", "1.5ms"]);
    assert!(ns == 1_500_000 && expiries > 10, "{ns} {expiries}");
    // A count of expiries is replaced too, not added to.
    assert_eq!(run("counted.ron", &[]).1, 3);
    assert_eq!(run("counted.ron", &["--for", "1.5ms"]), (ns, expiries));
    // The result says how to have it again, and `report` does.
    let r = timerace(&dir, &["run", "two.ron", "--for", "1500us", "-o", "out"]);
    let json = std::fs::read_to_string(dir.0.join("out/result.json")).unwrap();
    let v: Value = serde_json::from_str(&json).unwrap();
    let command: Vec<&str> =
        v["command"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
    assert!(r.code == 0 && command.windows(2).any(|w| w == ["--for", "1500us"]), "{command:?}");
    let before = crate::support::tree(&dir.0.join("out"));
    assert_eq!(timerace(&dir, &["report", "out"]).code, 0);
    assert!(before == crate::support::tree(&dir.0.join("out")));
    let r = timerace(&dir, &["run", "two.ron", "--seeds", "1..3", "--for", "500us"]);
    assert!(r.code == 0 && r.out.contains("seeds 1..3"), "{}{}", r.out, r.err);
    for (bad, said) in [("10", "no unit"), ("1us..2us", "not a range"), ("0s", "above 0")] {
        let r = timerace(&dir, &["run", "two.ron", "--for", bad]);
        assert!(r.code == 2 && r.err.contains(said), "{bad}: {}", r.err);
    }
}
