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
