//! When things go wrong around the program: interrupts, kills, full disks, closed pipes.

use crate::support::{Dir, library, program, timerace, tree};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A search that does not end in a lifetime: four tasks that add eight times each.
const ENDLESS: &str = r#"// It does not end.
Scenario(schema: 1, name: "endless", machine: (cpus: 4), vars: { "x": int(0) },
    tasks: {
        "a": (cpu: 0, body: [ repeat(8, [ fetch_add("r", "x", 1) ]) ]),
        "b": (cpu: 1, body: [ repeat(8, [ fetch_add("r", "x", 2) ]) ]),
        "c": (cpu: 2, body: [ repeat(8, [ fetch_add("r", "x", 3) ]) ]),
        "d": (cpu: 3, body: [ repeat(8, [ fetch_add("r", "x", 4) ]) ]),
    },
    expect: [ sometimes(after(called("a"), called("b"))), count(schedules: 1) ],
)"#;

/// A timed run that does not end either.
const ENDLESS_RUN: &str = r#"// A timer for ever.
Scenario(schema: 1, name: "endless-run", machine: (cpus: 1), maps: { "m": ARRAY(max_entries: 1) },
    progs: {
        "p": (type: SYSCALL, body: [ bpf_timer_init("m[0]", CLOCK_MONOTONIC),
            bpf_timer_set_callback("m[0]", "cb"), bpf_timer_start("m[0]", "10us") ]),
        "cb": (type: TIMER_CB, body: [ bpf_timer_start("m[0]", "10us") ]),
    },
    cpus: { 0: [ prog_run("p") ] },
    limits: (steps: 1000000000000, expiries: 1000000000000),
    stop: time("100000s"),
)"#;

fn signal(child: &Child, name: &str) {
    let done = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(done.unwrap().success());
}

fn start(dir: &Dir, args: &[&str]) -> Child {
    program(dir).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Interrupts it after a while; its exit code, output and messages.
fn interrupted(dir: &Dir, args: &[&str], name: &str) -> (Option<i32>, String, String) {
    let child = start(dir, args);
    std::thread::sleep(Duration::from_millis(400));
    signal(&child, name);
    let out = child.wait_with_output().unwrap();
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

#[test]
fn an_interrupt_writes_what_there_is_and_says_so() {
    let dir = Dir::new("interrupt");
    dir.file("endless.ron", ENDLESS.as_bytes());
    dir.file("endless-run.ron", ENDLESS_RUN.as_bytes());
    let result = |out: &str| -> Value {
        serde_json::from_slice(&std::fs::read(dir.0.join(out).join("result.json")).unwrap())
            .unwrap()
    };
    for (name, j) in [("INT", "1"), ("TERM", "2")] {
        let args = ["explore", "endless.ron", "-o", "explored", "-j", j];
        let (code, out, err) = interrupted(&dir, &args, name);
        assert_eq!(code, Some(130), "{out}{err}");
        assert!(out.contains("INCOMPLETE: cut off by interrupted"), "{out}");
        assert!(err.contains("interrupted: the result is partial"), "{err}");
        let v = result("explored");
        assert_eq!((&v["partial"], &v["complete"]), (&Value::Bool(true), &Value::Bool(false)));
        assert_eq!(v["bounds"]["interrupted"]["hit"], true);
        assert!(v["schedules"].as_u64().unwrap() > 0);
    }
    let (code, out, err) = interrupted(&dir, &["run", "endless-run.ron", "-o", "ran"], "INT");
    assert_eq!(code, Some(130), "{out}{err}");
    assert!(out.contains("the result is partial"), "{out}");
    let v = result("ran");
    assert_eq!((&v["partial"], v["verdict"].as_str()), (&Value::Bool(true), Some("inconclusive")));
    assert!(v["expiries"].as_u64().unwrap() > 0);

    let quick = library().join("patterns").display().to_string();
    let args =
        ["test", &quick, "endless.ron", "--kernel", "v6.8", "--junit", "j.xml", "-o", "tested"];
    let (code, out, err) = interrupted(&dir, &args, "INT");
    assert_eq!(code, Some(130), "{out}{err}");
    assert!(out.contains("cases were run; this is partial"), "{out}");
    let v = result("tested");
    assert_eq!(v["partial"], true);
    assert!(v["ok"].as_u64().unwrap() >= 5, "what was run before is there: {v}");
    let xml = std::fs::read_to_string(dir.0.join("j.xml")).unwrap();
    let doc = roxmltree::Document::parse(&xml).unwrap();
    assert!(doc.descendants().any(|n| n.attribute("name") == Some("partial")), "{xml}");
    assert_eq!(leftovers(&dir.0), Vec::<String>::new());
}

/// There are more seeds than could be kept in memory.
#[test]
fn seeds_without_end_are_added_up_as_they_come() {
    let dir = Dir::new("interrupt-seeds");
    dir.file("short.ron", ENDLESS_RUN.replace("100000s", "1ms").as_bytes());
    let args = ["run", "short.ron", "--seeds", "0..18446744073709551615", "-j", "2"];
    let (code, out, err) = interrupted(&dir, &args, "INT");
    assert_eq!(code, Some(130), "{out}{err}");
    assert!(out.contains(" of 18446744073709551616 seeds were run"), "{out}");
    assert!(out.contains("No bug in "), "{out}");
}

/// Cells of which each takes long enough to be interrupted before all are done.
#[test]
fn an_interrupted_sweep_keeps_the_cells_that_were_done() {
    let dir = Dir::new("interrupt-sweep");
    let text = ENDLESS_RUN.replace("time(\"100000s\")", "time(\"$long\")");
    let params =
        "params: { \"long\": choice([\"1ms\", \"2ms\", \"100000s\", \"3ms\"]) },\n    maps:";
    dir.file("sweep.ron", text.replacen("maps:", params, 1).as_bytes());
    for j in ["1", "2"] {
        let (code, out, err) =
            interrupted(&dir, &["sweep", "sweep.ron", "-o", "swept", "-j", j], "INT");
        assert_eq!(code, Some(130), "{out}{err}");
        assert!(out.contains("interrupted: 2 of 4 cells were done; this is partial"), "{out}");
        let csv = std::fs::read_to_string(dir.0.join("swept/sweep.csv")).unwrap();
        assert_eq!(csv.lines().count(), 3, "the head and what was done: {csv}");
        let result = std::fs::read(dir.0.join("swept/result.json")).unwrap();
        let v: Value = serde_json::from_slice(&result).unwrap();
        assert_eq!((&v["partial"], v["cells"].as_array().unwrap().len()), (&true.into(), 2));
        // Its map can be drawn again.
        assert_eq!(timerace(&dir, &["report", "swept", "--theme", "dark", "-o", "dark"]).code, 0);
    }
}

/// Not only between cells, and not only between the steps of a run.
#[test]
fn a_cell_with_seeds_without_end_is_interrupted() {
    let dir = Dir::new("interrupt-cell");
    let text = ENDLESS_RUN.replace("time(\"100000s\")", "time(\"$long\")");
    let params = "params: { \"long\": choice([\"1ms\", \"2ms\"]) },\n    maps:";
    dir.file("sweep.ron", text.replacen("maps:", params, 1).as_bytes());
    let args = ["sweep", "sweep.ron", "--seeds", "0..18446744073709551615", "-o", "swept"];
    let (code, out, err) = interrupted(&dir, &args, "INT");
    assert_eq!(code, Some(130), "{out}{err}");
    assert!(out.contains("interrupted: 0 of 2 cells were done"), "{out}");
}

/// What has nothing to show of half its work ends at the first signal.
#[test]
fn other_commands_end_at_once_and_write_nothing() {
    let dir = Dir::new("interrupt-others");
    dir.file("endless.ron", ENDLESS.as_bytes());
    let args = ["compare", "v6.7..v6.8", "endless.ron", "-o", "compared"];
    let (code, out, _) = interrupted(&dir, &args, "INT");
    assert_eq!((code, out.as_str()), (Some(130), ""));
    assert!(!dir.0.join("compared").exists());
}

#[test]
fn a_second_interrupt_ends_it_at_once() {
    let dir = Dir::new("interrupt-twice");
    dir.file("endless.ron", ENDLESS.as_bytes());
    let mut child = start(&dir, &["explore", "endless.ron", "-o", "out"]);
    std::thread::sleep(Duration::from_millis(200));
    signal(&child, "INT");
    let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

/// Names below a folder that are no result: what was being written.
fn leftovers(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name());
    let names = names.map(|n| n.to_string_lossy().into_owned());
    names.filter(|n| n.starts_with('.')).collect()
}

/// How many moments are tried; 100 or more on request.
fn moments() -> u64 {
    std::env::var("TIMERACE_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20)
}

#[test]
fn a_kill_at_any_moment_leaves_an_old_or_a_new_result() {
    let dir = Dir::new("kill");
    let suite = library().join("patterns").display().to_string();
    let args = |kernel| ["test", suite.as_str(), "-o", "out", "--kernel", kernel];
    let run = |kernel| {
        let began = Instant::now();
        assert_eq!(timerace(&dir, &args(kernel)).code, 0);
        (tree(&dir.0.join("out")), began.elapsed())
    };
    let (old, _) = run("v6.7");
    let (new, took) = run("v6.8");
    assert_ne!(old, new);
    assert_eq!(run("v6.7").0, old);
    let n = moments();
    let mut seen = [0; 2];
    for i in 0..n {
        let mut child = start(&dir, &args(if seen[1] % 2 == 0 { "v6.8" } else { "v6.7" }));
        // From the start to a little after the end, most of them near it, where files are written.
        let part = if i % 4 == 0 { i as f64 / n as f64 } else { 0.6 + 0.6 * i as f64 / n as f64 };
        std::thread::sleep(took.mul_f64(part));
        let _ = child.kill();
        let _ = child.wait();
        let now = tree(&dir.0.join("out"));
        assert!(
            now == old || now == new,
            "half-written at moment {i}: {:?}",
            now.iter().map(|f| &f.0)
        );
        seen[usize::from(now == new)] += 1;
    }
    // The next run takes away what killed ones have left.
    assert_eq!(run("v6.8").0, new);
    assert_eq!(leftovers(&dir.0), Vec::<String>::new());
}

#[test]
fn a_closed_pipe_ends_quietly_with_the_same_exit_code() {
    let dir = Dir::new("pipe");
    let periodic = std::fs::read_to_string(library().join("periodic-under-net-rx.ron")).unwrap();
    dir.file("strict.ron", periodic.replace("max: \"80us\"", "max: \"1us\"").as_bytes());
    let lib = library().display().to_string();
    let bin = env!("CARGO_BIN_EXE_timerace");
    let script =
        |rest: &str| format!("set -o pipefail; {bin} {rest} | true; echo ${{PIPESTATUS[0]}}");
    for (rest, code) in [
        (format!("test {lib} --kernel v6.8 -k r0"), "0"),
        ("kernels".to_string(), "0"),
        ("explain".to_string(), "0"),
        (format!("test {lib} -k r07 --max-schedules 1 --kernel v6.8"), "3"),
        // What is printed as it comes.
        (format!("run {lib}/periodic-under-net-rx.ron --kernel v6.9 --format timehist"), "0"),
        ("run strict.ron --kernel v6.9 --format timehist".to_string(), "1"),
    ] {
        let out =
            Command::new("bash").args(["-c", &script(&rest)]).current_dir(&dir.0).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), code, "{rest}");
        assert_eq!(String::from_utf8_lossy(&out.stderr), "", "{rest}");
    }
}

#[test]
fn a_full_disk_is_told_and_leaves_what_was_there() {
    let dir = Dir::new("full");
    let race = library().join("races/r07-cancel-free-uaf.ron").display().to_string();
    let bin = env!("CARGO_BIN_EXE_timerace");
    let bash = |script: String| {
        let out = Command::new("bash").args(["-c", &script]).current_dir(&dir.0).output().unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    // Standard output.
    let (code, err) = bash(format!("{bin} kernels >/dev/full"));
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("cannot write to standard output: No space left"), "{err}");
    // A file of results.
    let (code, err) = bash(format!("{bin} test {race} --junit /dev/full"));
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("cannot write /dev/full: No space left"), "{err}");
    // A folder of results: files may have 4 KB, as on a disk that runs full in the middle.
    assert_eq!(timerace(&dir, &["explore", &race, "--kernel", "v6.7", "-o", "out"]).code, 0);
    let before = tree(&dir.0.join("out"));
    let (code, err) =
        bash(format!("trap '' XFSZ; ulimit -f 4; exec {bin} explore {race} --kernel v6.6 -o out"));
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("cannot write") && err.contains("File too large"), "{err}");
    assert_eq!(tree(&dir.0.join("out")), before);
    let (code, err) = bash(format!(
        "trap '' XFSZ; ulimit -f 0; exec {bin} test {race} --junit j.xml --kernel v6.7"
    ));
    assert_eq!(code, Some(2), "{err}");
    assert!(!dir.0.join("j.xml").exists());
    assert_eq!(leftovers(&dir.0), Vec::<String>::new());
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let dir = Dir::new("read-only");
    let race = library().join("races/r07-cancel-free-uaf.ron").display().to_string();
    // Nobody can make anything there, not even root.
    for args in [
        vec!["explore", &race, "-o", "/proc/self/out"],
        vec!["test", &race, "-o", "/proc/self/out"],
        vec!["test", &race, "--junit", "/proc/self/j.xml"],
        vec!["test", &race, "--sarif", "/proc/self/no-such-folder/s.json"],
        vec!["new", "/proc/self/a.ron"],
        vec!["demo", "-o", "/proc/self/out"],
    ] {
        let r = timerace(&dir, &args);
        assert_eq!(r.code, 2, "{args:?}: {}", r.err);
        assert!(r.err.starts_with("error: "), "{args:?}: {}", r.err);
    }
    assert_eq!(std::fs::read_dir(&dir.0).unwrap().count(), 0);
}
