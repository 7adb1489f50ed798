//! `timerace.ron`, and what `check` says beyond messages: the expanded scenario, effective values, upgrades.

use crate::support::{Dir, library, timerace};
use std::process::Command;

const CONFIG: &str = r#"// The project.
Config(
    schema: 1,
    scenarios: ["scenarios/**/*.ron"],
    kernels: ["v6.7", "v6.8"],
    costs: "costs/zero.ron",
    explore: (irqs: 1, max_schedules: 5000),
    out: "results",
)
"#;

const RACE: &str = "r07-cancel-free-uaf";

fn project(name: &str) -> Dir {
    let dir = Dir::new(name);
    std::fs::create_dir_all(dir.0.join("scenarios/deep/er")).unwrap();
    std::fs::create_dir_all(dir.0.join("costs")).unwrap();
    dir.file("timerace.ron", CONFIG.as_bytes());
    let race = std::fs::read(library().join(format!("races/{RACE}.ron"))).unwrap();
    dir.file("scenarios/deep/race.ron", &race);
    let load = b"Fragment(schema: 1)";
    dir.file("scenarios/deep/er/load.ron", load);
    let costs = std::fs::read_to_string(library().join("../costs/generic.ron")).unwrap();
    dir.file("costs/zero.ron", costs.replace("\"generic\"", "\"zero\"").as_bytes());
    dir
}

/// The same in a folder below.
fn below(dir: &Dir, folder: &str, args: &[&str], kernel: Option<&str>) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_timerace"));
    command.args(args).current_dir(dir.0.join(folder)).env_remove("TIMERACE_COLOR");
    match kernel {
        Some(k) => command.env("TIMERACE_KERNEL", k),
        None => command.env_remove("TIMERACE_KERNEL"),
    };
    let out = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (out.status.code().unwrap(), text(out.stdout), text(out.stderr))
}

#[test]
fn a_suite_needs_no_arguments() {
    let dir = project("config-suite");
    let (code, out, err) = below(&dir, "scenarios/deep", &["test", "--format", "json"], None);
    // The bound of the file on schedules cuts the search on v6.8 off.
    assert_eq!(code, 3, "{out}{err}");
    let v: serde_json::Value = serde_json::from_str(&out).unwrap();
    let kernels: Vec<_> = v["cases"].as_array().unwrap().iter().map(|c| &c["kernel"]).collect();
    assert_eq!(kernels, ["v6.7", "v6.8"]);
    // The environment comes before the file, a flag before both.
    let kernel_of = |args: &[&str], env: Option<&str>| {
        let (_, out, err) = below(&dir, ".", args, env);
        let v: serde_json::Value =
            serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
        v["cases"][0]["kernel"].as_str().unwrap().to_string()
    };
    let test = ["test", "--format", "json"];
    assert_eq!(kernel_of(&test, Some("v6.9")), "v6.9");
    let flag = ["test", "--format", "json", "--kernel", "v6.6"];
    assert_eq!(kernel_of(&flag, Some("v6.9")), "v6.6");
    // And the scenario before the file.
    let at = dir.0.join("scenarios/deep/race.ron");
    let text = std::fs::read_to_string(&at).unwrap();
    std::fs::write(&at, text.replace("schema: 1,", "schema: 1,\n    kernel: \"v6.5\",")).unwrap();
    assert_eq!(kernel_of(&test, None), "v6.5");
    assert_eq!(kernel_of(&test, Some("v6.9")), "v6.9");
}

#[test]
fn searches_and_runs_take_what_the_scenario_leaves_open() {
    let dir = project("config-search");
    let explore = ["explore", "race.ron", "--kernel", "v6.8", "--format", "json"];
    let (code, out, err) = below(&dir, "scenarios/deep", &explore, None);
    let v: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    assert_eq!(v["bounds"]["max_schedules"]["value"], 5000, "{code} {out}");
    let result = dir.0.join(format!("results/{RACE}/v6.8/result.json"));
    let saved: serde_json::Value = serde_json::from_slice(&std::fs::read(result).unwrap()).unwrap();
    let command: Vec<&str> =
        saved["command"].as_array().unwrap().iter().filter_map(|w| w.as_str()).collect();
    assert!(command.windows(2).any(|w| w == ["--irqs", "1"]), "{command:?}");
    // A certificate stands for itself, whatever the project says now.
    if dir.0.join(format!("results/{RACE}/v6.8/certificate.json")).exists() {
        dir.file("timerace.ron", b"Config(schema: 1)");
        let at = format!("results/{RACE}/v6.8/certificate.json");
        let (code, out, err) = below(&dir, ".", &["verify", &at], None);
        assert_eq!(code, 0, "{out}{err}");
    }
    dir.file("timerace.ron", CONFIG.as_bytes());
    let run = library().join("cancel-pending.ron").display().to_string();
    let (_, out, err) = below(&dir, ".", &["run", &run], None);
    assert!(out.contains("Costs: zero"), "{out}{err}");
}

#[test]
fn ticks_of_a_search_are_in_the_line_that_repeats_it() {
    let dir = Dir::new("irqs-repeat");
    let file = library().join("races/r30-hardirq-self-spin.ron").display().to_string();
    let args = ["explore", &file, "--kernel", "v6.7", "--irqs", "1", "--format", "json"];
    let schedule = timerace(&dir, &args).json()["findings"][0]["schedule"].clone();
    let schedule = schedule.as_str().unwrap();
    let replay = ["replay", &file, "--kernel", "v6.7", "--irqs", "1", "--schedule", schedule];
    let r = timerace(&dir, &replay);
    assert_eq!(r.code, 1, "{}", r.err);
    let r = timerace(&dir, &["explore", &file, "--kernel", "v6.7", "--irqs", "1"]);
    assert!(r.out.contains("--irqs 1"), "{}", r.out);
}

#[test]
fn a_wrong_configuration_points_into_the_file() {
    let dir = project("config-wrong");
    dir.file("timerace.ron", CONFIG.replace("kernels", "kernel").as_bytes());
    for args in [&["test"][..], &["check", "race.ron"], &["explore", "race.ron"]] {
        let (code, _, err) = below(&dir, "scenarios/deep", args, None);
        assert_eq!(code, 2);
        assert!(err.contains("error[E0103]: unknown field `kernel`"), "{err}");
        assert!(err.contains("--> ../../timerace.ron:5:5"), "{err}");
    }
    // Commands that have nothing to do with scenarios do not care.
    assert_eq!(below(&dir, ".", &["kernels"], None).0, 0);
    dir.file("timerace.ron", CONFIG.replace("schema: 1", "schema: 3").as_bytes());
    let (_, _, err) = below(&dir, ".", &["test"], None);
    assert!(err.contains("this file has schema 3, this timerace reads 1"), "{err}");
    dir.file("timerace.ron", b"Config(schema: 1, scenarios: [\"none/*.ron\"])");
    assert_eq!(below(&dir, ".", &["test"], None).0, 4);
}

#[test]
fn check_verbose_shows_what_is_effective_and_why() {
    let dir = project("check-verbose");
    let text = r#"// A comment.
Scenario(
    schema: 1, name: "long", machine: (cpus: 1),
    params: { "len": sweep(from: "1us", to: "3us", step: "1us"), "n": 2, "k": "9us" },
    explore: (preemptions: 2),
    tasks: { "t": (cpu: 0, body: [ work("1us + $len"), repeat("$n", [ work("$k") ]) ]) },
)
"#;
    dir.file("scenarios/a.ron", text.as_bytes());
    let args = ["check", "-v", "scenarios/a.ron", "--set", "k=4us"];
    let (code, out, err) = below(&dir, ".", &args, Some("v6.9"));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("work(\"2us\"),") && out.contains("work(\"4us\"),"), "{out}");
    assert!(!out.contains("A comment") && !out.contains("params"), "{out}");
    let line = |name: &str| {
        let line = out.lines().find(|l| l.starts_with(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name}: {out}"))
            .split_whitespace()
            .skip(1)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(line("kernel"), "v6.9 TIMERACE_KERNEL");
    assert_eq!(line("preemptions"), "2 scenario");
    assert_eq!(line("irqs"), "1 timerace.ron");
    assert_eq!(line("policy"), "exhaustive default");
    assert_eq!(line("costs"), "zero (costs/zero.ron) timerace.ron");
    assert_eq!(line("out"), "results timerace.ron");
    assert_eq!(line("$len"), "1us scenario, the first of 3");
    assert_eq!(line("$n"), "2 scenario");
    assert_eq!(line("$k"), "4us --set");
    // The text is that from which the digest is taken; spelling and order do not change it.
    let digest = out.lines().find(|l| l.starts_with("// sha256 ")).unwrap().to_string();
    let other = text.replace("A comment", "Another").replace("\"1us + $len\"", "\"$len + 1000ns\"");
    dir.file("scenarios/b.ron", other.as_bytes());
    let (_, out, _) = below(&dir, ".", &["check", "-v", "scenarios/b.ron", "--set", "k=4us"], None);
    assert!(out.contains(&digest), "{out}");
    let canonical =
        out.lines().skip_while(|l| !l.starts_with("Scenario(")).take_while(|l| !l.is_empty());
    let canonical: String = canonical.map(|l| format!("{l}\n")).collect();
    dir.file("scenarios/c.ron", canonical.as_bytes());
    let (_, out, _) = below(&dir, ".", &["check", "-v", "scenarios/c.ron"], None);
    assert!(out.contains(&digest), "{out}");
}

#[test]
fn an_expectation_for_none_of_the_kernels_is_suspicious() {
    let dir = project("check-kernels");
    let file = "scenarios/deep/race.ron";
    let text = std::fs::read_to_string(dir.0.join(file)).unwrap();
    assert_eq!(
        below(&dir, ".", &["check", file], None),
        (0, format!("{file}: ok\n"), String::new())
    );
    let changed = text.replace("\"has 0281b919e175\"", "\">= v6.9\"");
    assert_ne!(changed, text);
    dir.file(file, changed.as_bytes());
    let (code, _, err) = below(&dir, ".", &["check", file], None);
    assert!(code == 0 && err.contains("warning[W0409]") && err.contains("v6.7, v6.8"), "{err}");
    let (_, _, err) = below(&dir, ".", &["check", file, "--kernel", "v6.7..v6.9"], None);
    assert_eq!(err, "");
}

#[test]
fn fix_leaves_the_newest_schema_alone_and_refuses_others() {
    let dir = Dir::new("check-fix");
    let text = "// Story.\nScenario(schema: 1, name: \"a\", machine: (cpus: 1))\n";
    dir.file("a.ron", text.as_bytes());
    let r = timerace(&dir, &["check", "--fix", "a.ron"]);
    assert_eq!((r.code, r.out.as_str()), (0, "a.ron: has the newest schema, 1\n"));
    dir.file("b.ron", text.replace("schema: 1", "schema: 3").as_bytes());
    let r = timerace(&dir, &["check", "--fix", "a.ron", "b.ron"]);
    assert_eq!(r.code, 2);
    assert!(r.err.contains("this file has schema 3") && r.err.contains("b.ron:2:18"), "{}", r.err);
    let r = timerace(&dir, &["check", "b.ron"]);
    assert!(r.err.contains("this file has schema 3, this timerace reads 1"), "{}", r.err);
    assert_eq!(std::fs::read_to_string(dir.0.join("a.ron")).unwrap(), text);
    assert_eq!(std::fs::read_dir(&dir.0).unwrap().count(), 2);
}
