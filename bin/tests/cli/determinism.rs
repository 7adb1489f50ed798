//! Same input, same bytes.

use crate::support::{Dir, library, timerace, tree};

#[test]
fn a_timed_run_gives_the_same_folder_every_time_and_at_any_j() {
    let dir = Dir::new("run-twice");
    let file = library().join("periodic-under-net-rx.ron").display().to_string();
    let run = |out: &str, j: &str| {
        let r = timerace(&dir, &["run", &file, "--seed", "7", "-o", out, "-j", j]);
        assert_eq!(r.code, 0, "{}{}", r.out, r.err);
        (r.out, tree(&dir.0.join(out)))
    };
    let first = run("a", "1");
    assert_eq!(first, run("b", "1"));
    assert_eq!(first, run("c", "2"));
    let names: Vec<&str> = first.1.iter().map(|f| f.0.as_str()).collect();
    assert_eq!(
        names,
        [
            "hist.txt",
            "latency.csv",
            "latency.hlog",
            "latency.svg",
            "report.html",
            "result.json",
            "scenario.ron",
            "timeline.svg",
            "trace.pftrace"
        ]
    );
    let other = timerace(&dir, &["run", &file, "--seed", "8", "--format", "json"]).json();
    let same = timerace(&dir, &["run", &file, "--seed", "7", "--format", "json"]).json();
    assert_ne!(other["digest"], same["digest"]);
}

#[test]
fn many_seeds_give_the_same_at_any_j() {
    let dir = Dir::new("seeds");
    let file = library().join("cancel-running.ron").display().to_string();
    let run = |j: &str| timerace(&dir, &["run", &file, "--seeds", "1..20", "-j", j]).out;
    assert_eq!(run("1"), run("2"));
}

#[test]
fn an_exploration_gives_the_same_folder_every_time() {
    let dir = Dir::new("explore-twice");
    for name in ["races/r07-cancel-free-uaf.ron", "races/r09-mutual-cancel.ron"] {
        let file = library().join(name).display().to_string();
        let run = |out: &str, j: &str| {
            let args = ["explore", &file, "--kernel", "v6.7", "--keep-going", "-o", out, "-j", j];
            let r = timerace(&dir, &args);
            (r.out, tree(&dir.0.join(out)))
        };
        let first = run("a", "1");
        assert!(first.1.iter().any(|f| f.0 == "race.txt"), "{name}");
        assert_eq!(first, run("b", "2"), "{name}");
    }
}

/// Three tasks that add four times each: 12! / 4!^3 schedules, enough for the search to be split.
const SPLIT: &str = r#"Scenario(schema: 1, name: "split", machine: (cpus: 3), vars: { "x": int(0) },
    tasks: {
        "a": (cpu: 0, body: [ repeat(4, [ fetch_add("r", "x", 1) ]) ]),
        "b": (cpu: 1, body: [ repeat(4, [ fetch_add("r", "x", 1) ]) ]),
        "c": (cpu: 2, body: [ repeat(4, [ fetch_add("r", "x", 1) ]) ]),
    },
    expect: [
        always(final("x == 12")),
        // In half of them, as the tasks are alike.
        sometimes(after(called("a"), called("b"))),
        count(schedules: 34650, failing: 0),
    ],
)"#;

#[test]
fn a_search_that_is_split_gives_the_same_folder_at_any_j() {
    let dir = Dir::new("split");
    let file = dir.file("split.ron", SPLIT.as_bytes()).display().to_string();
    let run = |out: &str, j: &str| {
        let r = timerace(&dir, &["explore", &file, "-o", out, "-j", j]);
        assert_eq!(r.code, 0, "{}{}", r.out, r.err);
        (r.out, tree(&dir.0.join(out)))
    };
    let first = run("a", "1");
    assert!(first.0.contains("Window entered in 17 325 of 34 650 schedules."), "{}", first.0);
    assert_eq!(first, run("b", "2"));
    assert_eq!(first, run("c", "7"));
}

#[test]
fn the_environment_does_not_matter() {
    let dir = Dir::new("locale");
    let file = library().join("races/r10-self-arm-free.ron").display().to_string();
    let run = |locale: &str, columns: &str| {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_timerace"))
            .args(["explore", &file, "--kernel", "v6.8", "-q"])
            .current_dir(&dir.0)
            .env("LC_ALL", locale)
            .env("COLUMNS", columns)
            .env("TZ", "Asia/Kathmandu")
            .output()
            .unwrap();
        String::from_utf8(out.stdout).unwrap()
    };
    assert_eq!(run("C", "40"), run("de_DE.UTF-8", "200"));
}

/// Runs in a folder that holds the scenarios, with another environment each time.
fn elsewhere(
    dir: &Dir,
    sub: &str,
    umask: &str,
    env: &[(&str, &str)],
    args: &str,
) -> Vec<(String, Vec<u8>)> {
    let at = dir.0.join(sub);
    std::fs::create_dir_all(at.join("s")).unwrap();
    for name in ["races/r07-cancel-free-uaf.ron", "periodic-under-net-rx.ron"] {
        let file = name.rsplit('/').next().unwrap();
        std::fs::copy(library().join(name), at.join("s").join(file)).unwrap();
    }
    let script = format!("umask {umask}; exec {} {args} -o out", env!("CARGO_BIN_EXE_timerace"));
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &script]).current_dir(&at).env_remove("TIMERACE_KERNEL");
    let out = command.envs(env.iter().copied()).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    tree(&at.join("out"))
}

#[test]
fn nothing_around_the_program_shows_in_its_results() {
    let dir = Dir::new("around");
    for args in [
        "explore s/r07-cancel-free-uaf.ron --kernel v6.7",
        "explore s/r07-cancel-free-uaf.ron --kernel v6.8",
        "run s/periodic-under-net-rx.ron",
        "test s --kernel v6.7..v6.9",
        "sweep s/periodic-under-net-rx.ron --axis period=50us,100us --seeds 1..2",
    ] {
        let one = [("LC_ALL", "C"), ("COLUMNS", "40"), ("TZ", "UTC"), ("TERM", "dumb")];
        let two = [
            ("LC_ALL", "de_DE.UTF-8"),
            ("COLUMNS", "200"),
            ("TZ", "Asia/Kathmandu"),
            ("HOME", "/nowhere"),
        ];
        let first = elsewhere(&dir, "a", "022", &one, &format!("{args} -j 1"));
        let other = elsewhere(&dir, "b/c/d", "077", &two, &format!("{args} -j 3"));
        assert!(!first.is_empty(), "{args}");
        for (a, b) in first.iter().zip(&other) {
            assert!(a == b, "{args}: {} differs", a.0);
        }
        assert_eq!(first.len(), other.len(), "{args}");
    }
}
