//! `use:` of fragments on disk and of built-in ones.

use crate::support::{Dir, timerace};

const MAIN: &str = r#"Scenario(
    schema: 1,
    name: "main",
    use: ["common/racer.ron"],
    machine: (cpus: 2),
    types: { "obj": [ u64("word") ] },
    vars: { "slot": new("obj") },
    tasks: { "reader": (cpu: 0, body: [ read("p", "slot"), read("r", "p->word") ]) },
    expect: [ sometimes(USE_AFTER_FREE) ],
)
"#;

const RACER: &str = r#"// Frees what others read.
Fragment(
    schema: 1,
    tasks: {
        "racer": (cpu: 1, body: [
            xchg("q", "slot", NULL),
            if("q != NULL", [ free("q") ]),
        ]),
    },
)
"#;

fn project(name: &str) -> Dir {
    let dir = Dir::new(name);
    std::fs::create_dir_all(dir.0.join("scenarios/common")).unwrap();
    dir.file("scenarios/main.ron", MAIN.as_bytes());
    dir.file("scenarios/common/racer.ron", RACER.as_bytes());
    dir
}

#[test]
fn a_finding_points_into_the_fragment() {
    let dir = project("fragment-race");
    let r = timerace(&dir, &["explore", "scenarios/main.ron", "-o", "out"]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    assert!(r.out.contains("(scenarios/common/racer.ron:7)"), "{}", r.out);
    assert!(r.out.contains("(scenarios/main.ron:8)"), "{}", r.out);
    let page = std::fs::read_to_string(dir.0.join("out/report.html")).unwrap();
    assert!(page.contains("<h2>scenarios/common/racer.ron</h2>"));
    let v = timerace(&dir, &["explore", "scenarios/main.ron", "--format", "json"]).json();
    let schedule = v["findings"][0]["schedule"].as_str().unwrap();
    let replay = ["replay", "scenarios/main.ron", "--schedule", schedule, "--format", "json"];
    let v = timerace(&dir, &replay).json();
    let steps = v["steps"].as_array().unwrap();
    let free = steps.iter().find(|s| s["text"] == "free(\"q\")").unwrap();
    assert_eq!((&free["file"], &free["line"]), (&"scenarios/common/racer.ron".into(), &7.into()));
    assert!(steps.iter().any(|s| s["line"] == 8 && s.get("file").is_none()));
}

#[test]
fn a_certificate_holds_the_fragments() {
    let dir = project("fragment-certificate");
    assert_eq!(timerace(&dir, &["explore", "scenarios/main.ron", "-o", "out"]).code, 0);
    std::fs::remove_dir_all(dir.0.join("scenarios")).unwrap();
    // So does a result, from which pictures can be made again.
    let page = std::fs::read(dir.0.join("out/report.html")).unwrap();
    let r = timerace(&dir, &["report", "out", "-o", "again"]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    assert_eq!(std::fs::read(dir.0.join("again/report.html")).unwrap(), page);
    let r = timerace(&dir, &["verify", "out/certificate.json"]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    // A changed fragment is another scenario.
    let at = dir.0.join("out/certificate.json");
    let text = std::fs::read_to_string(&at).unwrap();
    std::fs::write(&at, text.replace("free(\\\"q\\\")", "read(\\\"r\\\", \\\"q->word\\\")"))
        .unwrap();
    assert_eq!(timerace(&dir, &["verify", "out/certificate.json"]).code, 1);
}

#[test]
fn folders_are_tested_without_their_fragments() {
    let dir = project("fragment-suite");
    let r = timerace(&dir, &["test", "scenarios"]);
    assert!(r.code == 0 && r.out.contains("1 case"), "{}{}", r.out, r.err);
    // Named, it is a mistake.
    let r = timerace(&dir, &["test", "scenarios/common/racer.ron"]);
    assert!(r.code == 2 && r.err.contains("this is no scenario but `Fragment`"), "{}", r.err);
}

#[test]
fn nothing_outside_of_the_project_is_read() {
    let dir = project("fragment-outside");
    let used = |path: &str| MAIN.replace("common/racer.ron", path);
    std::fs::create_dir_all(dir.0.join("elsewhere")).unwrap();
    dir.file("elsewhere/racer.ron", RACER.as_bytes());
    dir.file("scenarios/a.ron", used("../elsewhere/racer.ron").as_bytes());
    let outside = "this file is outside of the project";
    let r = timerace(&dir, &["check", "scenarios/a.ron"]);
    assert!(r.code == 2 && r.err.contains(outside), "{}", r.err);
    #[cfg(unix)]
    {
        let link = dir.0.join("scenarios/common/link.ron");
        std::os::unix::fs::symlink(dir.0.join("elsewhere/racer.ron"), link).unwrap();
        dir.file("scenarios/b.ron", used("common/link.ron").as_bytes());
        let r = timerace(&dir, &["check", "scenarios/b.ron"]);
        assert!(r.code == 2 && r.err.contains(outside), "{}", r.err);
    }
    // A project that holds both folders.
    dir.file("timerace.ron", b"Config(schema: 1)\n");
    let r = timerace(&dir, &["check", "scenarios/a.ron"]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
}

#[test]
fn messages_name_the_file_that_they_are_about() {
    let dir = project("fragment-message");
    dir.file("scenarios/common/racer.ron", RACER.replace("free(", "fre(").as_bytes());
    let r = timerace(&dir, &["check", "scenarios/main.ron", "--format", "short"]);
    assert!(r.out.starts_with("scenarios/common/racer.ron:7:31: error: "), "{}", r.out);
    let r = timerace(&dir, &["check", "scenarios/main.ron", "--format", "json"]);
    let d = &r.json()["diagnostics"][0];
    assert_eq!((&d["file"], &d["line"]), (&"scenarios/common/racer.ron".into(), &7.into()));
    std::fs::remove_file(dir.0.join("scenarios/common/racer.ron")).unwrap();
    let r = timerace(&dir, &["explore", "scenarios/main.ron"]);
    assert!(r.code == 2 && r.err.contains("nor a built-in one"), "{}", r.err);
}

#[test]
fn built_in_load_is_there_everywhere_and_is_felt() {
    let dir = Dir::new("fragment-built-in");
    let text = |used: &str| {
        format!(
            r#"Scenario(
    schema: 1,
    name: "quiet",
    use: [{used}],
    machine: (cpus: 1),
    maps: {{ "timers": ARRAY(max_entries: 1) }},
    progs: {{
        "start": (type: SYSCALL, body: [
            bpf_timer_init("timers[0]", CLOCK_MONOTONIC),
            bpf_timer_set_callback("timers[0]", "tick"),
            bpf_timer_start("timers[0]", "100us"),
        ]),
        "tick": (type: TIMER_CB, body: [ bpf_timer_start("timers[0]", "100us") ]),
    }},
    cpus: {{ 0: [ at("5us", prog_run("start")) ] }},
    stop: time("100ms"),
)
"#
        )
    };
    let late = |used: &str, set: &[&str]| {
        dir.file("a.ron", text(used).as_bytes());
        let mut args = vec!["run", "a.ron", "--format", "json"];
        set.iter().for_each(|s| args.extend(["--set", s]));
        let r = timerace(&dir, &args);
        assert_eq!(r.code, 0, "{used}: {}{}", r.out, r.err);
        let v = r.json();
        (v["latency"]["timers[0]"]["max_ns"].as_u64().unwrap(), v["expiries"].as_u64().unwrap())
    };
    let (quiet, _) = late("", &[]);
    // What holds up the HRTIMER softirq makes it later.
    for used in [
        "net-rx-periodic",
        "net-rx-poisson",
        "net-rx-bursts",
        "packets",
        "interrupts",
        "irqs-off",
        "background-load",
    ] {
        let (busy, _) = late(&format!("\"common/{used}.ron\""), &[]);
        assert!(busy > quiet + 500, "{used}: {busy} against {quiet} without");
    }
    // Eight timers with periods of 250 to 500 us.
    let (_, more) = late("\"common/timers.ron\"", &[]);
    assert!((900 + 1600..1100 + 3200).contains(&more), "{more}");
    let (long, _) = late("\"common/net-rx-periodic.ron\"", &["rx_len=45us"]);
    assert!(long > 40_000, "{long}");
    late("\"common/rt-task.ron\", \"common/ticks.ron\"", &[]);
}
