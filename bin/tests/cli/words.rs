//! What people read.

use crate::support::{Dir, library, timerace};

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
    for kind in ["periodic", "cancel", "uref", "lru", "raw"] {
        let file = format!("my_{kind}.ron");
        assert_eq!(timerace(&dir, &["new", "--kind", kind, &file]).code, 0, "{kind}");
        let r = timerace(&dir, &["check", &file]);
        // Only that the limits of the one about latency are judged with costs of no machine.
        let doubts = r.err.matches("warning[").count();
        assert_eq!((r.code, doubts), (0, usize::from(kind == "periodic")), "{kind}: {}", r.err);
        assert_eq!(r.err.contains("W0410"), kind == "periodic", "{kind}: {}", r.err);
        let text = std::fs::read_to_string(dir.0.join(&file)).unwrap();
        assert!(text.starts_with("// ") && text.contains("timerace check FILE"), "{text}");
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
    let r = timerace(&dir, &["kernels", "diff", "v6.7", "v6.8"]);
    assert!(r.code == 0 && r.out.starts_with("v6.7 -> v6.8\n+ "), "{}", r.out);
    assert!(r.out.contains("0281b919e175"), "{}", r.out);
    let v = timerace(&dir, &["kernels", "diff", "v6.8", "v6.7", "--format", "json"]).json();
    assert!(v["removed"].as_array().unwrap().iter().any(|f| f["commit"] == "0281b919e175"));
    assert!(v["added"].as_array().unwrap().is_empty());
    assert_eq!(timerace(&dir, &["kernels", "diff", "v6.7", "v6.99"]).code, 2);
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
fn explain_tells_of_each_class_what_to_look_at_and_who_shows_it() {
    let dir = Dir::new("explain-classes");
    let list = timerace(&dir, &["explain"]).out;
    let classes = list.split("Classes of findings:\n").nth(1).unwrap();
    let classes: Vec<&str> = classes
        .lines()
        .take_while(|l| !l.is_empty())
        .map(|l| l.split_whitespace().next().unwrap())
        .collect();
    assert_eq!(classes.len(), 19, "{classes:?}");
    for class in classes {
        let told = timerace(&dir, &["explain", class]).out;
        assert!(told.lines().count() > 3 && told.len() > 150, "{told}");
        assert!(told.lines().all(|l| l.len() <= 104) && told.is_ascii(), "{told}");
        match told.lines().find_map(|l| l.strip_prefix("See it: timerace ")) {
            Some(command) => {
                let command: Vec<&str> = command.split(' ').collect();
                let shown = timerace(&dir, &command).out;
                let words = class.to_ascii_lowercase().replace('_', "-");
                let found = format!("BUG: TIMERACE: {words} ");
                assert!(shown.contains(&found), "{command:?}: {shown}");
            }
            None => assert!(told.contains("No built-in scenario"), "{told}"),
        }
    }
}

/// The element is deleted while its callback arms the timer again, as often as `body` says.
fn again(body: &str) -> String {
    format!(
        r#"Scenario(schema: 1, name: "again", machine: (cpus: 2),
    maps: {{ "timers": HASH(max_entries: 4, init: {{ 1: armed("10us", "cb") }}) }},
    vars: {{ "left": int(1) }},
    progs: {{ "cb": (type: TIMER_CB, body: [ {body} ]) }},
    cpus: {{ 1: [ bpf_map_delete_elem("timers[1]") ] }},
    limits: (expiries: 4),
)"#
    )
}

#[test]
fn a_callback_that_never_ends_is_told_how_to() {
    let dir = Dir::new("never-ends");
    let start = r#"ret([0, EINVAL], bpf_timer_start("timers[self]", "10us"))"#;
    dir.file("again.ron", again(start).as_bytes());
    let r = timerace(&dir, &["explore", "again.ron", "--kernel", "v6.9"]);
    assert!(r.code == 3 && r.err.contains("let it count (`timerace explain limits`)"), "{}", r.err);
    let counts = format!(r#"fetch_add("n", "left", -1), if("n > 0", [ {start} ])"#);
    dir.file("again.ron", again(&counts).as_bytes());
    let r = timerace(&dir, &["explore", "again.ron", "--kernel", "v6.9"]);
    assert!(r.code == 0 && !r.err.contains("let it count"), "{}{}", r.out, r.err);
    assert!(timerace(&dir, &["explain", "limits"]).out.contains("fetch_add"));
    // What `on(..)` of a scenario of one's own needs.
    assert!(timerace(&dir, &["explain", "R10"]).out.contains("See: commit a6fcd19d7eac, CVE-"));
}

#[test]
fn nothing_found_on_the_newest_kernel_names_the_older_ones() {
    let dir = Dir::new("newest");
    let file = library().join("races/r09-mutual-cancel.ron").display().to_string();
    let r = timerace(&dir, &["explore", &file]);
    assert!(r.code == 0 && r.err.contains("note: only v7.3 was searched, the newest kernel; "));
    assert!(r.err.contains("the file expects a bug of v6.9: --kernel v6.9"), "{}", r.err);
    assert_eq!(timerace(&dir, &["explore", &file, "-q"]).err, "");
    for named in [&["--kernel", "v6.12"][..], &["--with", "d4523831f07a"]] {
        let r = timerace(&dir, &[&["explore", &file], named].concat());
        assert!(r.code == 0 && !r.err.contains("newest"), "{}", r.err);
    }
    // Without expectations nothing is known of other kernels, and raw steps are the same on all.
    let text = std::fs::read_to_string(&file).unwrap();
    let bare = format!("{}\n)\n", text.split("    expect: [").next().unwrap());
    dir.file("bare.ron", bare.as_bytes());
    let r = timerace(&dir, &["explore", "bare.ron"]);
    assert!(r.code == 0 && r.err.contains("others may have a bug: --kernel V"), "{}", r.err);
    let raw = library().join("patterns/mutual-cancel-barrier.ron").display().to_string();
    let r = timerace(&dir, &["explore", &raw]);
    assert!(r.code == 0 && !r.err.contains("newest"), "{}", r.err);
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
fn a_newcomer_is_told_where_to_begin() {
    let dir = Dir::new("newcomer");
    let r = timerace(&dir, &[]);
    assert_eq!((r.code, r.err.as_str()), (0, ""));
    for line in [
        "timerace demo ",
        "timerace new --kind cancel a.ron",
        "timerace explore a.ron",
        "timerace help COMMAND",
    ] {
        assert!(r.out.contains(line), "{}", r.out);
    }
    assert!(r.out.lines().all(|l| l.len() <= 79));
}

#[test]
fn every_command_explains_itself() {
    let dir = Dir::new("help");
    let commands = timerace(&dir, &["help"]).out;
    let names: Vec<&str> = commands
        .lines()
        .skip_while(|l| *l != "Commands:")
        .skip(1)
        .take_while(|l| !l.is_empty())
        .filter_map(|l| {
            l.split_whitespace().next().filter(|_| l.starts_with("  ") && !l.starts_with("   "))
        })
        .collect();
    assert!(names.len() >= 14 && names.contains(&"test") && !names.contains(&"gen"), "{names:?}");
    for name in names.iter().filter(|n| **n != "help") {
        let r = timerace(&dir, &[name, "--help"]);
        assert_eq!(r.code, 0, "{name}");
        assert!(
            r.out.contains("Usage: timerace") && r.out.contains("Examples:"),
            "{name}: {}",
            r.out
        );
        assert_eq!(r.out, timerace(&dir, &["help", name]).out, "{name}");
    }
}

#[test]
fn the_version_says_what_results_depend_on() {
    let dir = Dir::new("version");
    let long = timerace(&dir, &["--version"]).out;
    for part in
        ["timerace 0.", "kernels v5.15 to v", "v6.1.192", "scenario schema 1", "result schema 1"]
    {
        assert!(long.contains(part), "{part}: {long}");
    }
    assert_eq!(timerace(&dir, &["-V"]).out.lines().count(), 1);
}

#[test]
fn explain_knows_every_topic_of_its_list() {
    let dir = Dir::new("explain-all");
    for (topic, says) in [
        ("bpf_timer_cancel", "EDEADLK"),
        ("memory", "TSO"),
        ("sometimes", "guards against"),
        ("cancel-free-rcu", "0281b919e175"),
        ("0281b919e175", "v6.8 and later"),
        ("v6.7", "has these fixes"),
        ("at", "Once, at this time."),
        ("W0401", "W0401"),
        ("limits", "a scenario, schedule, certificate or costs file    16 MiB"),
    ] {
        let r = timerace(&dir, &["explain", topic]);
        assert!(r.code == 0 && r.out.contains(says), "{topic}: {}{}", r.out, r.err);
    }
    let list = timerace(&dir, &["explain"]).out;
    let topics: Vec<&str> = list
        .lines()
        .filter(|l| l.starts_with("  "))
        .filter_map(|l| l.split_whitespace().next())
        .collect();
    assert!(topics.len() > 300, "{}", topics.len());
    // One process each would take long: a share of them, another one in each group.
    for topic in topics.iter().step_by(11) {
        let r = timerace(&dir, &["explain", topic]);
        assert!(r.code == 0 && r.out.len() > 20, "{topic}: {}", r.err);
    }
    let r = timerace(&dir, &["explain", "bpf_timer_cancle"]);
    assert!(r.code == 2 && r.err.contains("did you mean `bpf_timer_cancel`?"), "{}", r.err);
}

#[test]
fn width_is_kept_and_notes_can_be_left_out() {
    let dir = Dir::new("width");
    let race =
        crate::support::library().join("races/r07-cancel-free-uaf.ron").display().to_string();
    for width in [40usize, 75, 100] {
        let w = width.to_string();
        let args = ["explore", &race, "--kernel", "v6.7", "-o", "out", "--width", &w, "-q"];
        let r = timerace(&dir, &args);
        assert_eq!((r.code, r.err.as_str()), (0, ""), "-q says nothing on stderr");
        let race = std::fs::read_to_string(dir.0.join("out/race.txt")).unwrap();
        assert!(race.lines().all(|l| l.chars().count() <= width), "{width}: {race}");
        assert!(race.contains("kfree(t)"), "{race}");
    }
    assert_eq!(timerace(&dir, &["demo", "--width", "39"]).code, 2);
    let r = timerace(&dir, &["explore", &race, "--kernel", "v6.7", "-o", "out"]);
    assert!(r.err.contains("wrote out"), "{}", r.err);
    let r = timerace(&dir, &["test", &race, "--kernel", "v6.7", "-v"]);
    assert!(r.out.contains("ok    sometimes_use_after_free"), "{}", r.out);
}

#[test]
fn timing_is_on_stderr_only() {
    let dir = Dir::new("timing");
    let race =
        crate::support::library().join("races/r07-cancel-free-uaf.ron").display().to_string();
    let args = ["test", race.as_str(), "--kernel", "v6.7"];
    let plain = timerace(&dir, &args);
    let timed = timerace(&dir, &[&args[..], &["--timing"]].concat());
    assert_eq!(plain.out, timed.out);
    assert!(
        timed.err.contains(" ms  r07-cancel-free-uaf on v6.7") && timed.err.contains("wall time: ")
    );
    assert!(!plain.err.contains(" ms"));
}

/// Runs on a terminal of its own, as `script` makes one; `None` where there is no such program.
fn on_a_terminal(dir: &Dir, args: &str, env: &[(&str, &str)]) -> Option<String> {
    let line = format!("{} {args}", env!("CARGO_BIN_EXE_timerace"));
    let mut command = std::process::Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(&dir.0).env("TERM", "xterm");
    command.env_remove("NO_COLOR").env_remove("TIMERACE_COLOR").envs(env.iter().copied());
    command.stdin(std::process::Stdio::null());
    let out = command.output().ok()?;
    Some(String::from_utf8_lossy(&out.stdout).into_owned())
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    let dir = Dir::new("colour");
    dir.file("a.ron", b"Scenario(schema: 1, name: \"a\", machine: (cpu: 2))");
    let escape = '\u{1b}';
    let Some(plain) = on_a_terminal(&dir, "check a.ron", &[]) else { return };
    assert!(plain.contains(escape), "{plain:?}");
    for env in [("NO_COLOR", "1"), ("TERM", "dumb"), ("TIMERACE_COLOR", "never")] {
        let text = on_a_terminal(&dir, "check a.ron", &[env]).unwrap();
        assert!(!text.contains(escape) && text.contains("E0103"), "{env:?}: {text:?}");
    }
    // Usage errors are clap's own.
    for args in ["frobnicate --color never", "--color=never frobnicate"] {
        assert!(!on_a_terminal(&dir, args, &[]).unwrap().contains(escape), "{args}");
    }
    // A pipe gets none, unless it is asked for.
    assert!(!timerace(&dir, &["check", "a.ron"]).err.contains(escape));
    assert!(timerace(&dir, &["check", "a.ron", "--color", "always"]).err.contains(escape));
}
