//! `shrink`: from a long schedule of a big scenario to a short one of a small.

use crate::support::{Dir, library, timerace, tree};

/// R07 with things around it that have nothing to do with it.
const BIG: &str = r#"// Somebody's whole test.
Scenario(
    schema: 1,
    name: "big",
    machine: (cpus: 4),

    vars: {
        "x": int(0),
    },
    maps: {
        "timers": HASH(max_entries: 16, init: { 7: armed("10ms", "cb"), 9: armed("1ms", "cb") }),
        "other": ARRAY(max_entries: 2),
    },
    progs: {
        "cb": (type: TIMER_CB, body: [ work("2us") ]),
        "cancel": (type: SYSCALL, sleepable: true, body: [
            may_fail(bpf_timer_cancel("timers[7]")), // the race
            may_fail(bpf_map_delete_elem("timers[8]")),
        ]),
    },
    tasks: {
        "writer": (cpu: 0, body: [ write("x", 1), read("r", "x") ]),
    },
    cpus: {
        1: [ prog_run("cancel") ],
        3: [ may_fail(bpf_map_delete_elem("timers[8]")), bpf_map_delete_elem("timers[7]") ],
    },

    expect: [
        sometimes(within("bpf_timer_cancel", USE_AFTER_FREE)),
        sometimes(final("x == 1")),
    ],
)
"#;

#[test]
fn a_big_scenario_becomes_a_small_one_that_still_shows_the_race() {
    let dir = Dir::new("shrink");
    let file = dir.file("big.ron", BIG.as_bytes()).display().to_string();
    let on = ["--kernel", "v6.7"];
    let found = timerace(&dir, &[&["explore", &file, "--format", "json"], &on[..]].concat()).json();
    let schedule = found["findings"][0]["schedule"].as_str().unwrap();
    let args = ["shrink", &file, "--schedule", schedule, "-o", "small", "--format", "json"];
    let r = timerace(&dir, &[&args[..], &on].concat());
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let v = r.json();
    assert_eq!(v["findings"][0]["class"], "USE_AFTER_FREE");
    assert_eq!((&v["exact"], &v["undecided"]), (&true.into(), &0.into()));
    let small = std::fs::read_to_string(dir.0.join("small/scenario.ron")).unwrap();
    assert_eq!(v["source"], small);
    for gone in ["writer", "\"x\"", "other", "9:", "timers[8]", "cpus: 4"] {
        assert!(!small.contains(gone), "{gone} in {small}");
    }
    for kept in ["// Somebody's whole test.", "// the race", "USE_AFTER_FREE", "cpus: 2"] {
        assert!(small.contains(kept), "no {kept} in {small}");
    }
    let check = timerace(&dir, &["check", "small/scenario.ron"]);
    assert_eq!(check.code, 0, "{}{}", check.out, check.err);
    let explored = timerace(&dir, &[&["explore", "small/scenario.ron"], &on[..]].concat());
    assert_eq!(explored.code, 0, "{}{}", explored.out, explored.err);
    // The schedule fits the smaller scenario, as text and as a file.
    for s in [v["shrunk"]["schedule"].as_str().unwrap(), "small/schedule.ron"] {
        let args = ["replay", "small/scenario.ron", "--schedule", s, "--format", "json"];
        let again = timerace(&dir, &[&args[..], &on].concat()).json();
        assert_eq!(again["findings"][0]["functions"], v["findings"][0]["functions"], "{s}");
        assert_eq!(again["findings"][0]["step"], v["shrunk"]["steps"]);
    }
    // Shrinking it again changes nothing.
    let args = ["shrink", "small/scenario.ron", "--schedule", "small/schedule.ron"];
    let more = ["-o", "smaller", "--format", "json"];
    let again = timerace(&dir, &[&args[..], &more, &on].concat()).json();
    assert_eq!(again["source"], v["source"]);
}

/// A scenario that uses fragments becomes one that stands alone, wherever it is put.
#[test]
fn fragments_are_left_out_or_written_in() {
    let dir = Dir::new("shrink-use");
    dir.file("timerace.ron", b"Config(schema: 1)");
    let shared = r#"Fragment(
    schema: 1,
    params: { "life": "10ms" },
    maps: { "timers": HASH(max_entries: 16, init: { 7: armed("$life", "cb") }) },
    progs: { "cb": (type: TIMER_CB, body: [ work("2us") ]) },
)"#;
    std::fs::create_dir_all(dir.0.join("lib")).unwrap();
    std::fs::create_dir_all(dir.0.join("cases")).unwrap();
    dir.file("lib/shared.ron", shared.as_bytes());
    let load = r#"Fragment(
    schema: 1,
    vars: { "x": int(0) },
    tasks: { "writer": (cpu: 0, body: [ write("x", 1), read("r", "x") ]) },
)"#;
    dir.file("lib/load.ron", load.as_bytes());
    let main = |fragments: &str, own: &str| {
        format!(
            r#"// Keep me.
Scenario(
    schema: 1, name: "with-fragments", machine: (cpus: 3),
    use: [{fragments}],
    {own}
    tasks: {{
        "canceller": (cpu: 1, body: [ prog_run("cancel") ]),
        "deleter": (cpu: 2, body: [ bpf_map_delete_elem("timers[7]") ]),
    }},
    expect: [ sometimes(USE_AFTER_FREE) ],
)"#
        )
    };
    let cancel = r#""cancel": (type: SYSCALL, sleepable: true, body: [ may_fail(bpf_timer_cancel("timers[7]")) ]),"#;
    let maps = r#"maps: { "timers": HASH(max_entries: 16, init: { 7: armed("10ms", "cb") }) },"#;
    let cb = r#""cb": (type: TIMER_CB, body: [ work("2us") ]),"#;
    let needed =
        main(r#""../lib/shared.ron", "../lib/load.ron""#, &format!("progs: {{ {cancel} }},"));
    let not = main(r#""../lib/load.ron""#, &format!("{maps} progs: {{ {cb} {cancel} }},"));
    for (text, comment, set) in [(needed, false, &["--set", "life=5ms"][..]), (not, true, &[])] {
        let file = dir.file("cases/main.ron", text.as_bytes()).display().to_string();
        let on = [&["--kernel", "v6.7", "--format", "json"], set].concat();
        let found = timerace(&dir, &[&["explore", &file][..], &on].concat()).json();
        let schedule = found["findings"][0]["schedule"].as_str().unwrap();
        let args = ["shrink", &file, "--schedule", schedule, "-o", "elsewhere/small"];
        let r = timerace(&dir, &[&args[..], &on].concat());
        assert_eq!(r.code, 0, "{}{}", r.out, r.err);
        let v = r.json();
        let small = std::fs::read_to_string(dir.0.join("elsewhere/small/scenario.ron")).unwrap();
        assert!(!small.contains("use:") && !small.contains("writer"), "{small}");
        assert_eq!(small.contains("// Keep me."), comment, "{small}");
        let schedule = v["shrunk"]["schedule"].as_str().unwrap();
        let args = ["replay", "elsewhere/small/scenario.ron", "--schedule", schedule];
        let again = timerace(&dir, &[&args[..], &on[..4]].concat()).json();
        assert_eq!(again["findings"][0]["functions"], v["findings"][0]["functions"]);
        let drawn = timerace(&dir, &["report", "elsewhere/small"]);
        assert_eq!(drawn.code, 0, "{}{}", drawn.out, drawn.err);
    }
}

#[test]
fn the_least_schedule_has_no_interrupt_that_is_not_needed() {
    let dir = Dir::new("shrink-schedule");
    let file = library().join("races/r07-cancel-free-uaf.ron").display().to_string();
    // CPU2 begins too early, and the timer expires on CPU0, for nothing.
    let long = "2x2,1x11,0!timerx3,2";
    let args = ["shrink", &file, "--kernel", "v6.7", "--schedule", long, "--format", "json"];
    let r = timerace(&dir, &args);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let v = r.json();
    assert!(v["given"]["preemptions"].as_u64() > Some(1), "{v:#}");
    assert_eq!((&v["least"]["preemptions"], &v["least"]["interrupts"]), (&1.into(), &0.into()));
    let text = timerace(&dir, &args[..args.len() - 2]);
    assert!(text.out.contains("No single piece of the scenario can be left out"), "{}", text.out);
    assert!(text.out.lines().all(|l| l.len() < 160), "{}", text.out);
}

#[test]
fn what_cannot_be_shrunk_is_said() {
    let dir = Dir::new("shrink-not");
    let file = library().join("races/r07-cancel-free-uaf.ron").display().to_string();
    let code = |more: &[&str]| {
        let r = timerace(&dir, &[&["shrink", &file], more].concat());
        (r.code, r.err)
    };
    let (none, said) = code(&["--kernel", "v6.7", "--schedule", "1,2"]);
    assert!(none == 4 && said.contains("shows no finding"), "{none} {said}");
    let (diverged, said) = code(&["--kernel", "v6.7", "--schedule", "1x900,2"]);
    assert!(diverged == 5 && said.contains("does not fit"), "{diverged} {said}");
    assert_eq!(code(&["--kernel", "v6.7", "--schedule", "9x1"]).0, 2);
    assert_eq!(code(&["--kernel", "v6.7"]).0, 2);
    assert!(tree(&dir.0).is_empty(), "nothing is written on failure");
}
