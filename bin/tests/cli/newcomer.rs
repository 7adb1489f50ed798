//! What somebody meets who writes the scenario of a fix for the first time: the mistakes that people make, and what is
//! said about them.

use crate::support::{Dir, timerace};

/// R09 as it is first written: the timers are armed by `init`, so all on CPU 0.
const FIRST: &str = r#"// Two callbacks cancel each other's timers.
Scenario(
    schema: 1,
    name: "r09",
    machine: (cpus: 2),
    maps: {
        "timers": ARRAY(max_entries: 2, init: { 0: armed("10us", "cb0"), 1: armed("10us", "cb1") }),
    },
    progs: {
        "cb0": (type: TIMER_CB, body: [ bpf_timer_cancel("timers[1]") ]),
        "cb1": (type: TIMER_CB, body: [ bpf_timer_cancel("timers[0]") ]),
    },
    expect: [
        on("lacks d4523831f07a", sometimes(DEADLOCK)),
        on("has d4523831f07a", never(ANY_BUG)),
        sometimes(overlap("cb0", "cb1")),
        sometimes(called("bpf_wq_work")),
    ],
)
"#;

/// The same with each timer armed by its own CPU, and nothing said about what calls may return.
const SECOND: &str = r#"// Two callbacks cancel each other's timers.
Scenario(
    schema: 1,
    name: "r09",
    machine: (cpus: 2),
    maps: { "timers": ARRAY(max_entries: 2, init: { 0: initialised, 1: initialised }) },
    progs: {
        "cb0": (type: TIMER_CB, body: [ bpf_timer_cancel("timers[1]") ]),
        "cb1": (type: TIMER_CB, body: [ bpf_timer_cancel("timers[0]") ]),
        "arm0": (type: SYSCALL, body: [
            bpf_timer_set_callback("timers[0]", "cb0"),
            ret([0, EINVAL], bpf_timer_start("timers[0]", "10us")),
        ]),
        "arm1": (type: SYSCALL, body: [
            bpf_timer_set_callback("timers[1]", "cb1"),
            ret([0, EINVAL], bpf_timer_start("timers[1]", "10us")),
        ]),
    },
    cpus: { 0: [ prog_run("arm0") ], 1: [ prog_run("arm1") ] },
    expect: [
        on("lacks d4523831f07a", sometimes(DEADLOCK)),
        on("has d4523831f07a", never(ANY_BUG)),
        sometimes(overlap("cb0", "cb1")),
    ],
)
"#;

fn third() -> String {
    let allowed = |n| format!("ret([0, 1, EINVAL, EDEADLK], bpf_timer_cancel(\"timers[{n}]\"))");
    let with =
        |text: String, n| text.replace(&format!("bpf_timer_cancel(\"timers[{n}]\")"), &allowed(n));
    with(with(SECOND.to_string(), 0), 1)
}

#[test]
fn a_window_that_is_never_entered_is_no_pass_and_says_why() {
    let dir = Dir::new("newcomer-window");
    dir.file("r09.ron", FIRST.as_bytes());
    let r = timerace(&dir, &["explore", "r09.ron", "--kernel", "v6.8"]);
    assert_eq!(r.code, 1);
    let first =
        "FAIL  no bug in any schedule of this model (1 schedule); 3 expectations do not hold\n";
    assert!(r.out.starts_with(first), "{}", r.out);
    assert!(r.out.contains("Window entered in 0 of 1 schedule.\n"), "{}", r.out);
    for line in [
        "sometimes_overlap: in no schedule; 1 schedule was looked at; cb0 ran on CPU0; cb1 was never entered  (r09.ron:16)",
        "sometimes_called: in no schedule; 1 schedule was looked at; bpf_wq_work was never entered  (r09.ron:17)",
        "      repeat: timerace explore r09.ron --kernel v6.8\n",
    ] {
        assert!(r.out.contains(line), "{line}\n{}", r.out);
    }
    // The command that repeats it is the same there: what nobody asked for is not in it.
    let t = timerace(&dir, &["test", "r09.ron", "--kernel", "v6.8"]);
    assert!(t.out.contains("repeat: timerace explore r09.ron --kernel v6.8\n"), "{}", t.out);
    let other = timerace(&dir, &["explore", "r09.ron", "--kernel", "v6.8", "-j", "3"]);
    assert_eq!(other.out, r.out);
}

#[test]
fn a_code_that_is_not_allowed_is_named_with_the_way_to_allow_it() {
    let dir = Dir::new("newcomer-ret");
    dir.file("r09.ron", SECOND.as_bytes());
    let r = timerace(&dir, &["explore", "r09.ron", "--kernel", "v6.8+d4523831f07a"]);
    assert_eq!(r.code, 1);
    assert!(r.out.contains("\nReturn -EDEADLK in step "), "{}", r.out);
    let help = "Allow: if the call may return this, say so where it stands:\n       ret([.., EDEADLK], ..), or may_fail(..) for any code.\n";
    assert!(r.out.contains(help), "{}", r.out);
}

#[test]
fn one_command_shows_the_bug_and_that_the_fix_alone_is_enough() {
    let dir = Dir::new("newcomer-fix");
    dir.file("r09.ron", third().as_bytes());
    let kernels = ["--kernel", "v6.8", "--kernel", "v6.8+d4523831f07a"];
    let r =
        timerace(&dir, &[&["test", "r09.ron", "--junit", "deep/er/j.xml"][..], &kernels].concat());
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let mut lines = r.out.lines();
    assert_eq!(lines.next(), Some("scenario  v6.8               v6.8 with d4523831f07a"));
    assert!(
        lines.next().is_some_and(|l| l.starts_with("r09       ok finds DEADLOCK  ok ")),
        "{}",
        r.out
    );
    // The folder of the file is made.
    let xml = std::fs::read_to_string(dir.0.join("deep/er/j.xml")).unwrap();
    assert!(xml.contains("sometimes_overlap[v6.8 with d4523831f07a]"), "{xml}");
    // The same kernel in each way of naming it.
    let long = format!("v6.8+d4523831f07a{}", "0".repeat(28));
    let same: Vec<String> = [
        vec!["--kernel", "v6.8+d4523831f07a"],
        vec!["--kernel", "v6.8", "--with", "d4523831f07a"],
        vec!["--kernel", long.as_str()],
        vec!["--kernel", "v6.8+cancel-deadlk"],
    ]
    .iter()
    .map(|k| timerace(&dir, &[&["explore", "r09.ron", "--format", "json"][..], k].concat()).out)
    .collect();
    assert!(same.iter().all(|out| out.contains("\"v6.8 with d4523831f07a\"") && *out == same[0]));
}

#[test]
fn kernels_that_are_none_are_told_with_the_nearest() {
    let dir = Dir::new("newcomer-kernels");
    dir.file("r09.ron", third().as_bytes());
    for (args, said) in [
        (["explore", "--kernel", "6.8"], "releases look like v6.7 or v6.1.192; did you mean v6.8?"),
        (["test", "--kernel", "6.8"], "did you mean v6.8?"),
        (
            ["explore", "--kernel", "v6.8..v6.9"],
            "is several kernels, and this command takes one; `timerace test` takes",
        ),
        (
            ["explore", "--kernel", "v6.8+d452383"],
            "there is no fix `d452383`; did you mean d4523831f07a?",
        ),
        (["explore", "--with", "d452383"], "there is no fix `d452383`; did you mean d4523831f07a?"),
        (["explore", "--with", "CVE-2024-42239"], "`timerace kernels` lists names and commits"),
    ] {
        let [command, flag, value] = args;
        let r = timerace(&dir, &[command, "r09.ron", flag, value]);
        assert_eq!(r.code, 2, "{args:?}");
        assert!(r.err.contains(said), "{args:?}: {}", r.err);
    }
}

#[test]
fn that_nothing_was_run_is_told_with_the_reason() {
    let dir = Dir::new("newcomer-nothing");
    dir.file("r09.ron", third().as_bytes());
    std::fs::create_dir(dir.0.join("empty")).unwrap();
    for (args, said) in [
        (vec!["test"], "no paths are given, and there is no timerace.ron that names scenarios"),
        (vec!["test", "empty"], "no scenario (a file NAME.ron) in empty"),
        (vec!["test", "r09.ron", "-k", "r10"], "no name of a scenario contains r10"),
    ] {
        let r = timerace(&dir, &args);
        assert_eq!((r.code, r.err), (4, format!("error: {said}; nothing was run\n")), "{args:?}");
    }
    for (args, said) in [
        (["verify", "r09.ron"], "not the JSON of a certificate.json of `explore`"),
        (["report", "r09.ron"], "it is a file; name the folder that -o wrote, or its result.json"),
    ] {
        let r = timerace(&dir, &args);
        assert!(r.code == 2 && r.err.contains(said), "{}", r.err);
    }
}

#[test]
fn races_programs_and_the_configuration_are_explained() {
    let dir = Dir::new("newcomer-explain");
    for (topic, said) in [
        ("R09", "Run it: timerace demo r09-mutual-cancel"),
        ("CVE-2024-42239", "R09: two callbacks"),
        ("TIMER_CB", "a subprogram of each program that sets it"),
        ("LRU_HASH", "full, it evicts an element"),
        ("BPF_F_TIMER_ABS", "The expiry is a time of the timer's clock"),
        ("timerace.ron", "  kernels    Releases, ranges and releases with fixes"),
        ("scenarios", "`timerace test` without paths takes them"),
        ("exit-codes", "  3    inconclusive"),
        ("golden", "`test --bless FILE` writes them"),
        ("W0410", "costs that are not calibrated"),
        ("max_schedules", "a search that meets it is inconclusive"),
    ] {
        let r = timerace(&dir, &["explain", topic]);
        let text = r.out.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(r.code == 0 && text.contains(&said), "{topic}: {}{}", r.out, r.err);
    }
}

#[test]
fn limits_in_time_are_doubted_until_costs_are_those_of_a_machine() {
    let dir = Dir::new("newcomer-costs");
    assert_eq!(timerace(&dir, &["new", "--kind", "periodic", "p.ron"]).code, 0);
    let r = timerace(&dir, &["check", "p.ron"]);
    assert!(r.code == 0 && r.err.starts_with("warning[W0410]: a limit in time"), "{}", r.err);
    let r = timerace(&dir, &["test", "p.ron"]);
    let note = "note: limits in time were judged with costs that are not calibrated (generic)\n";
    assert!(r.code == 0 && r.err.contains(note), "{}", r.err);
    dir.file("timerace.ron", b"Config(schema: 1, costs: \"c.ron\")");
    let costs = b"(schema: 1, name: \"lab\", calibrated: true, slice_ns: 4000000, costs: {})";
    dir.file("c.ron", costs);
    let r = timerace(&dir, &["check", "p.ron"]);
    assert_eq!((r.code, r.out.as_str(), r.err.as_str()), (0, "p.ron: ok\n", ""));
    let r = timerace(&dir, &["test", "p.ron"]);
    assert!(!r.err.contains("calibrated"), "{}", r.err);
}

/// Seven tasks that write what they like: many states, few orders that matter to a search by traces.
fn many_states() -> String {
    let task = |n: usize| {
        format!(
            "\"t{n}\": (cpu: {n}, body: [ fetch_add(\"r\", \"x\", {}), fetch_add(\"r\", \"x\", {}) ]),",
            n + 1,
            7 * n + 3
        )
    };
    let tasks: String = (0..3).map(task).collect();
    format!(
        "Scenario(schema: 1, name: \"many\", machine: (cpus: 3), vars: {{ \"x\": int(0) }}, tasks: {{ {tasks} }})"
    )
}

#[test]
fn a_search_keeps_to_its_memory_and_says_so() {
    let dir = Dir::new("newcomer-memory");
    dir.file("many.ron", many_states().as_bytes());
    let explore = |more: &[&str]| timerace(&dir, &[&["explore", "many.ron"][..], more].concat());
    let whole = explore(&["--format", "json"]).json();
    assert_eq!(whole["complete"], true);
    assert_eq!(whole["bounds"]["memory"]["hit"], false);
    let little = explore(&["--max-memory", "1K"]);
    assert_eq!(little.code, 3, "{}", little.out);
    assert!(
        little.out.contains("INCOMPLETE: cut off by --max-memory 1K; bounds:"),
        "{}",
        little.out
    );
    assert!(little.out.contains("  memory of a table of states <= 1K (hit)\n"), "{}", little.out);
    for j in ["2", "5"] {
        assert_eq!(explore(&["--max-memory", "1K", "-j", j]).out, little.out);
    }
    for policy in [["--policy", "random"], ["--preemptions", "2"]] {
        let r = explore(&[&policy[..], &["--max-memory", "1K", "--format", "json"]].concat());
        assert_eq!(r.code, 3);
        assert_eq!(r.json()["bounds"]["memory"]["hit"], true, "{policy:?}: {}", r.out);
    }
    // Too little for a table of states, enough for the final states: the engine of traces is through alone.
    let traces = explore(&["--max-memory", "20K", "--format", "json"]).json();
    assert_eq!((&traces["complete"], &traces["verdict"]), (&true.into(), &"pass".into()));
    for bad in ["0", "x", "1X", "-1", "99999999999T"] {
        assert_eq!(explore(&[&format!("--max-memory={bad}")]).code, 2, "{bad}");
    }
}

/// Two callbacks that arm themselves again, each of which deletes the other's element: no schedule comes to an end, and
/// where the delete comes first the start fails, which nothing here allows.
const FOR_EVER: &str = r#"Scenario(
    schema: 1,
    name: "for-ever",
    machine: (cpus: 2),
    maps: { "timers": HASH(max_entries: 2, init: { 0: initialised, 1: initialised }) },
    progs: {
        "cb0": (type: TIMER_CB, body: [
            bpf_timer_start("value", "10us"),
            may_fail(bpf_map_delete_elem("timers[1]")),
        ]),
        "cb1": (type: TIMER_CB, body: [
            bpf_timer_start("value", "10us"),
            may_fail(bpf_map_delete_elem("timers[0]")),
        ]),
        "arm0": (type: SYSCALL, body: [
            bpf_timer_set_callback("timers[0]", "cb0"),
            bpf_timer_start("timers[0]", "10us"),
        ]),
        "arm1": (type: SYSCALL, body: [
            bpf_timer_set_callback("timers[1]", "cb1"),
            bpf_timer_start("timers[1]", "10us"),
        ]),
    },
    cpus: { 0: [ prog_run("arm0") ], 1: [ prog_run("arm1") ] },
)
"#;

#[test]
fn the_first_bug_of_timers_that_run_for_ever_takes_few_expiries() {
    let dir = Dir::new("newcomer-for-ever");
    dir.file("for-ever.ron", FOR_EVER.as_bytes());
    let on = ["for-ever.ron", "--kernel", "v6.8"];
    let explored = timerace(&dir, &[&["explore", "--format", "json"], &on[..]].concat());
    let v = explored.json();
    assert_eq!(explored.code, 1, "{v}");
    let schedule = v["findings"][0]["schedule"].as_str().unwrap();
    assert!(schedule.matches("timer").count() <= 6, "{schedule}");
    let bound = &v["bounds"]["expiries"];
    assert_eq!((bound["value"].as_u64(), bound["hit"].as_bool()), (Some(200), Some(false)), "{v}");
    let replay = timerace(&dir, &[&["replay", "--schedule", schedule], &on[..]].concat());
    assert_eq!(replay.code, 1, "{}", replay.out);
}

/// An element of a hash is called by its key, wherever its memory lies.
#[test]
fn a_picture_names_elements_of_a_hash_by_their_keys() {
    let dir = Dir::new("newcomer-keys");
    let array = "ARRAY(max_entries: 2, init: { 0: initialised, 1: initialised })";
    let hash = "HASH(max_entries: 8, init: { 41: initialised, 7: initialised })";
    let text = third().replace(array, hash).replace("timers[0]", "timers[41]");
    let text = text.replace("timers[1]", "timers[7]");
    assert!(text.contains(hash) && text.contains("timers[7]"));
    dir.file("keys.ron", text.as_bytes());
    let r = timerace(&dir, &["explore", "keys.ron", "--kernel", "v6.8"]);
    // Both in the column of the CPU that runs it.
    let column =
        |line: &str| r.out.lines().find_map(|l| l.find(line).filter(|_| l.ends_with(line)));
    for (callback, element) in [("cb0", "timers[41]"), ("cb1", "timers[7]")] {
        let call = column(&format!("{callback}({element})"));
        let taken = column(&format!("base->running = timer  // {element}"));
        assert!(call.is_some() && call == taken, "{element}: {}", r.out);
    }
}
