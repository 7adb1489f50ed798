//! `test`: expectations, formats, filters, saved schedules.

use crate::ktap::{Node, parse};
use crate::support::{Dir, Ran, library, timerace, timerace_with};
use serde_json::Value;
use std::collections::BTreeSet;

/// Two writers of one variable; what they are asked for is the caller's.
fn scenario(name: &str, expect: &str) -> String {
    format!(
        "// Two tasks write the same variable.\n\
         Scenario(schema: 1, name: \"{name}\", machine: (cpus: 2), vars: {{ \"x\": int(0) }},\n\
         tasks: {{\n\
             \"a\": (cpu: 0, body: [ write(\"x\", 1) ]),\n\
             \"b\": (cpu: 1, body: [ write(\"x\", 2) ]),\n\
         }},\n\
         expect: [\n{expect}\n],\n)\n"
    )
}

/// A timer that its own callback arms again, and a lock that is held for 20 us.
fn timed(name: &str, expect: &str) -> String {
    format!(
        "// A periodic timer.\n\
         Scenario(schema: 1, name: \"{name}\", machine: (cpus: 2), vars: {{ \"L\": raw_spinlock }},\n\
         maps: {{ \"timers\": ARRAY(max_entries: 1) }},\n\
         progs: {{\n\
             \"start\": (type: SYSCALL, body: [\n\
                 bpf_timer_init(\"timers[0]\", CLOCK_MONOTONIC),\n\
                 bpf_timer_set_callback(\"timers[0]\", \"tick\"),\n\
                 bpf_timer_start(\"timers[0]\", \"100us\"),\n\
             ]),\n\
             \"tick\": (type: TIMER_CB, body: [ bpf_timer_start(\"timers[0]\", \"100us\") ]),\n\
         }},\n\
         tasks: {{\n\
             \"t\": (cpu: 0, body: [ prog_run(\"start\") ]),\n\
             \"holder\": (cpu: 1, body: [ lock(\"L\"), work(\"20us\"), unlock(\"L\") ]),\n\
         }},\n\
         stop: expiries(50),\n\
         expect: [\n{expect}\n],\n)\n"
    )
}

fn checks(ran: &Ran) -> Vec<(String, Option<bool>)> {
    let of = |e: &Value| (e["name"].as_str().unwrap().to_string(), e["ok"].as_bool());
    let v = ran.json();
    v["cases"][0]["expectations"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn a_failure_points_at_its_line_shows_a_schedule_and_repeats() {
    let dir = Dir::new("suite-fails");
    let text = scenario(
        "writes",
        "    always(final(\"x == 1\")),\n    sometimes(called(\"bpf_wq_work\")),",
    );
    dir.file("writes.ron", text.as_bytes());
    let r = timerace(&dir, &["test", "writes.ron", "--kernel", "v6.8"]);
    assert_eq!(r.code, 1, "{}{}", r.out, r.err);
    assert!(r.out.contains("always_final: not in every schedule   (writes.ron:8)"), "{}", r.out);
    let in_none = "sometimes_called: in no schedule; 2 schedules were looked at; bpf_wq_work was never entered   (writes.ron:9)";
    assert!(r.out.contains(in_none), "{}", r.out);
    // The schedule that is printed does show it.
    let repeat = r.out.lines().find_map(|l| l.trim().strip_prefix("repeat: timerace ")).unwrap();
    let words: Vec<&str> = repeat.split(' ').collect();
    assert_eq!(words[..4], ["replay", "writes.ron", "--kernel", "v6.8"]);
    let again = timerace(&dir, &words);
    let last = again.out.lines().rfind(|l| l.contains("write(")).unwrap();
    assert!(last.contains("write(\"x\", 2)"), "{}", again.out);
    // So does `explore`.
    let r = timerace(&dir, &["explore", "writes.ron", "--kernel", "v6.8"]);
    assert_eq!(r.code, 1);
    assert!(r.out.contains(&format!("repeat: timerace {repeat}")), "{}", r.out);
    assert!(r.out.contains("repeat: timerace explore writes.ron --kernel v6.8"), "{}", r.out);
}

#[test]
fn every_kind_of_expectation_is_judged() {
    let dir = Dir::new("suite-kinds");
    let expect = "never(final(\"x == 0\")),
        always(final(\"x >= 1\")),
        sometimes(after(called(\"a\"), called(\"b\"))),
        on(\">= v6.8\", sometimes(final(\"x == 2\"))),
        on(\"< v6.8\", sometimes(final(\"x == 7\"))),
        on(\"lacks 0281b919e175\", never(final(\"x == 1\"))),
        on(\"has 0281b919e175\", sometimes(during(running(\"a\"), called(\"b\")))),
        known_bug(\"a race\", never(final(\"x == 1\"))),
        known_bug(\"it is gone\", always(final(\"x >= 1\"))),
        count(schedules: 2, failing: 0)";
    dir.file("kinds.ron", scenario("kinds", expect).as_bytes());
    let r = timerace(&dir, &["test", "kinds.ron", "--kernel", "v6.8", "--format", "json"]);
    assert_eq!(r.code, 1);
    let found = checks(&r);
    let ok = |name: &str| found.iter().find(|c| c.0 == name).unwrap_or_else(|| panic!("{name}")).1;
    assert_eq!(found.len(), 9, "{found:?}");
    assert_eq!(ok("never_final"), Some(true));
    assert_eq!(ok("always_final"), Some(true));
    assert_eq!(ok("sometimes_called"), Some(true));
    assert_eq!(ok("sometimes_final"), Some(true));
    assert_eq!(
        ok("sometimes_called_2"),
        Some(false),
        "a store cannot come during a body of one step"
    );
    assert_eq!(ok("known_bug_never_final"), Some(true));
    assert_eq!(ok("known_bug_always_final"), Some(false), "a known bug that is gone is a failure");
    assert_eq!(ok("count"), Some(true));
    assert_eq!(ok("never_any_bug"), Some(true), "it is implied");
    for (name, _) in &found {
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
    }
    let unique: BTreeSet<&String> = found.iter().map(|c| &c.0).collect();
    assert_eq!(unique.len(), found.len());
}

#[test]
fn limits_are_measured_in_time() {
    let dir = Dir::new("suite-limits");
    let expect = "latency(of: \"timers[0]\", max: \"1ms\"),
        latency(of: \"timers\", p50: \"1ns\"),
        drift(of: \"timers[0]\", max: \"10ms\"),
        drift(of: \"timers\", max: \"1us\"),
        hold(lock: \"L\", max: \"30us\"),
        hold(lock: \"L\", max: \"19us\"),
        hold(lock: \"timers.lru_lock\", max: \"1us\"),
        known_bug(\"slow\", hold(lock: \"L\", max: \"1us\")),
        known_bug(\"fixed\", hold(lock: \"L\", max: \"1ms\"))";
    dir.file("limits.ron", timed("limits", expect).as_bytes());
    let r = timerace(&dir, &["test", "limits.ron", "--kernel", "v6.8", "--format", "json"]);
    assert_eq!(r.code, 1, "{}{}", r.out, r.err);
    let (yes, no) = (Some(true), Some(false));
    let oks: Vec<Option<bool>> = checks(&r).iter().map(|c| c.1).collect();
    // The seventh names a lock that nobody takes: what was not tried does not hold.
    assert_eq!(oks, [yes, no, yes, no, yes, no, no, yes, no, yes], "{}", r.out);
    let text = timerace(&dir, &["run", "limits.ron", "--kernel", "v6.8"]);
    assert!(text.out.contains("FAIL  hold of L: max 20."), "{}", text.out);
    assert!(text.out.contains("the limit was not tried"), "{}", text.out);
    assert!(
        text.out.contains("repeat: timerace run limits.ron --kernel v6.8 --seed 1"),
        "{}",
        text.out
    );
    // A search has no clock, and says so.
    let r = timerace(
        &dir,
        &["explore", "limits.ron", "--kernel", "v6.8", "--format", "json", "--max-schedules", "3"],
    );
    let v = r.json();
    let drift = &v["expectations"][2];
    assert_eq!((drift["name"].as_str(), drift["ok"].is_null()), (Some("drift_timers_0"), true));
    assert_eq!(drift["detail"], "drift is measured by timed runs");
}

#[test]
fn a_race_scenario_whose_window_is_never_entered_fails() {
    let dir = Dir::new("suite-window");
    // The bug is found, but not in what the scenario says that it is about.
    let text = "// Freed twice.\n\
        Scenario(schema: 1, name: \"window\", machine: (cpus: 2), types: { \"obj\": [ u64(\"w\") ] },\n\
        vars: { \"p\": new(\"obj\") },\n\
        tasks: { \"a\": (cpu: 0, body: [ read(\"v\", \"p\"), free(\"v\") ]),\n\
                 \"b\": (cpu: 1, body: [ read(\"v\", \"p\"), free(\"v\") ]) },\n\
        expect: [ sometimes(DOUBLE_FREE), sometimes(called(\"bpf_timer_cancel\")) ])\n";
    dir.file("window.ron", text.as_bytes());
    let r = timerace(&dir, &["test", "window.ron", "--format", "json"]);
    assert_eq!(r.code, 1, "{}", r.out);
    let found = checks(&r);
    assert_eq!(found[0], ("sometimes_double_free".to_string(), Some(true)));
    assert_eq!(found[1], ("sometimes_called".to_string(), Some(false)));
}

#[test]
fn ktap_is_read_back_three_levels_deep() {
    let dir = Dir::new("suite-ktap");
    let lib = library().join("races").display().to_string();
    dir.file("bad.ron", scenario("bad", "always(final(\"x == 1\")),").as_bytes());
    dir.file(
        "known.ron",
        scenario("known", "known_bug(\"see #12\", never(final(\"x == 1\")))").as_bytes(),
    );
    let args = [
        "test",
        &lib,
        "bad.ron",
        "known.ron",
        "--kernel",
        "v6.7,v6.8",
        "-k",
        "r07",
        "-k",
        "bad",
        "-k",
        "known",
        "--ktap",
    ];
    let r = timerace(&dir, &args);
    assert_eq!(r.code, 1, "{}", r.err);
    let root = parse(&r.out);
    assert_eq!(root.iter().map(|n| n.name.as_str()).collect::<Vec<_>>(), ["v6.7", "v6.8"]);
    for kernel in &root {
        assert!(!kernel.ok);
        let names: Vec<&str> = kernel.children.iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names, ["r07-cancel-free-uaf", "bad", "known"]);
        let [race, bad, known] = &kernel.children[..] else { panic!("{names:?}") };
        assert!(race.ok && !bad.ok && known.ok);
        let failed: Vec<&Node> = bad.children.iter().filter(|n| !n.ok).collect();
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].name, "always_final");
        let said = failed[0].said.join("\n");
        assert!(said.starts_with("bad.ron:8: always_final: not in every schedule"), "{said}");
        assert!(
            said.contains("CPU0") && said.contains("repeat: timerace replay bad.ron"),
            "{said}"
        );
        assert_eq!(known.children[0].directive.as_deref(), Some("XFAIL see No. 12"));
    }
    let complete =
        |n: &Node| n.children.iter().find(|c| c.name == "complete").unwrap().directive.clone();
    assert!(complete(&root[0].children[0]).unwrap().starts_with("SKIP"));
    assert_eq!(complete(&root[1].children[0]), None);
    // One kernel: one level less.
    let one = timerace(&dir, &["test", &lib, "--kernel", "v6.8", "-k", "r07", "--ktap"]);
    assert_eq!(one.code, 0);
    assert_eq!(parse(&one.out)[0].name, "r07-cancel-free-uaf");
}

#[test]
fn bounds_are_inconclusive_unless_allowed() {
    let dir = Dir::new("suite-bounds");
    let text = scenario("bound", "sometimes(final(\"x == 7\"))");
    dir.file("bound.ron", text.as_bytes());
    let run = |more: &[&str]| {
        timerace(&dir, &[&["test", "bound.ron", "--max-schedules", "1"], more].concat())
    };
    let r = run(&[]);
    assert_eq!(r.code, 3, "{}", r.out);
    let why = "cut off by max-schedules 1; not decided: sometimes_final, never_any_bug\n            repeat: timerace explore bound.ron";
    assert!(r.out.contains(why), "{}", r.out);
    assert_eq!(run(&["--allow-inconclusive"]).code, 0);
    assert_eq!(run(&["--ksft-exit"]).code, 1);
    let ktap = parse(&run(&["--ktap"]).out);
    let complete = ktap[0].children.last().unwrap();
    assert!(!complete.ok && complete.directive.as_deref() == Some("TIMEOUT max-schedules 1"));
    let ktap = parse(&run(&["--ktap", "--allow-inconclusive"]).out);
    assert!(ktap[0].ok && ktap[0].children.last().unwrap().ok);
    let r = run(&["--junit", "j.xml"]);
    assert_eq!(r.code, 3);
    let xml = std::fs::read_to_string(dir.0.join("j.xml")).unwrap();
    assert!(xml.contains("<error type=\"INCONCLUSIVE\""), "{xml}");
}

#[test]
fn junit_names_are_unique_and_there_is_no_time_in_it() {
    let dir = Dir::new("suite-junit");
    let lib = library().display().to_string();
    dir.file("bad.ron", scenario("bad", "always(final(\"x == 1\")),").as_bytes());
    let run = |j: &str, more: &[&str]| {
        let args = ["test", &lib, "bad.ron", "--kernel", "v6.6..v6.8", "--junit", "j.xml", "-j", j];
        assert_eq!(timerace(&dir, &[&args[..], more].concat()).code, 1);
        std::fs::read_to_string(dir.0.join("j.xml")).unwrap()
    };
    let xml = run("1", &[]);
    assert_eq!(xml, run("2", &[]));
    let doc = roxmltree::Document::parse(&xml).unwrap();
    let cases: Vec<_> = doc.descendants().filter(|n| n.has_tag_name("testcase")).collect();
    assert!(cases.len() > 500, "{}", cases.len());
    let names: BTreeSet<(&str, &str)> = cases
        .iter()
        .map(|c| (c.attribute("classname").unwrap(), c.attribute("name").unwrap()))
        .collect();
    assert_eq!(names.len(), cases.len(), "GitLab drops what has the same name");
    assert!(cases.iter().all(|c| c.attribute("time").is_none() && c.attribute("file").is_some()));
    let suites: Vec<&str> = doc
        .descendants()
        .filter(|n| n.has_tag_name("testsuite"))
        .map(|n| n.attribute("name").unwrap())
        .collect();
    assert_eq!(suites, ["v6.6", "v6.7", "v6.8"]);
    let failures: Vec<_> = doc.descendants().filter(|n| n.has_tag_name("failure")).collect();
    assert_eq!(failures.len(), 3);
    assert_eq!(failures[0].attribute("type"), Some("EXPECTATION"));
    assert!(failures[0].text().unwrap().contains("repeat: timerace replay bad.ron"));
    let all: u64 = doc.root_element().attribute("tests").unwrap().parse().unwrap();
    assert_eq!(all, cases.len() as u64);
    assert!(run("1", &["--timing"]).contains(" time=\""));
}

#[test]
fn sarif_has_a_thread_flow_per_cpu() {
    let dir = Dir::new("suite-sarif");
    let race = library().join("races/r07-cancel-free-uaf.ron");
    let text = std::fs::read_to_string(race)
        .unwrap()
        .replace("on(\"lacks 0281b919e175\"", "on(\"< v5.0\"");
    dir.file("r07.ron", text.as_bytes());
    let r = timerace(&dir, &["test", "r07.ron", "--kernel", "v6.7", "--sarif", "s.json"]);
    assert_eq!(r.code, 1, "{}", r.out);
    let v: Value = serde_json::from_slice(&std::fs::read(dir.0.join("s.json")).unwrap()).unwrap();
    let result = &v["runs"][0]["results"][0];
    assert_eq!(
        (v["version"].as_str(), result["ruleId"].as_str()),
        (Some("2.1.0"), Some("USE_AFTER_FREE"))
    );
    assert_eq!(v["runs"][0]["tool"]["driver"]["rules"][0]["id"], "USE_AFTER_FREE");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "r07.ron");
    assert!(place["region"]["startLine"].as_u64().unwrap() > 0);
    let threads = result["codeFlows"][0]["threadFlows"].as_array().unwrap();
    let ids: Vec<&str> = threads.iter().map(|t| t["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["CPU1", "CPU2"]);
    let orders = |t: &Value| -> Vec<u64> {
        t["locations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|l| l["executionOrder"].as_u64().unwrap())
            .collect()
    };
    let mut all: Vec<u64> = Vec::new();
    for t in threads {
        let mine = orders(t);
        assert!(mine.is_sorted_by(|a, b| a < b));
        all.extend(mine);
    }
    all.sort_unstable();
    assert!(all.windows(2).all(|w| w[0] < w[1]), "one order over all CPUs");
    let (one, two) = (orders(&threads[0]), orders(&threads[1]));
    assert!(one[0] < two[0] && two[0] < *one.last().unwrap(), "the flows interleave");
}

#[test]
fn github_gets_annotations_and_a_summary() {
    let dir = Dir::new("suite-github");
    dir.file("bad.ron", scenario("bad", "always(final(\"x == 1\")),").as_bytes());
    let summary = dir.file("summary.md", b"before\n").display().to_string();
    let env = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", summary.as_str())];
    let r = timerace_with(&dir, &["test", "bad.ron", "--kernel", "v6.7,v6.8"], &env);
    assert_eq!(r.code, 1);
    let errors: Vec<&str> = r.out.lines().filter(|l| l.starts_with("::error ")).collect();
    assert_eq!(errors.len(), 2, "{}", r.out);
    assert!(
        errors[0].starts_with("::error file=bad.ron,line=8,title=bad on v6.7%3A always_final::")
    );
    assert!(errors[0].contains("%0A"));
    let text = std::fs::read_to_string(&summary).unwrap();
    assert!(text.starts_with("before\n### timerace\n"), "{text}");
    assert!(text.contains("| bad | **FAIL** | **FAIL** |"), "{text}");
    let none = timerace_with(&dir, &["test", "bad.ron", "--annotations", "none"], &env);
    assert!(!none.out.contains("::error"));
    let always =
        timerace(&dir, &["test", "bad.ron", "--annotations", "github", "--format", "json"]);
    assert!(always.json()["failed"] == 1 && always.err.contains("::error file=bad.ron"));
}

#[test]
fn shards_are_a_stable_partition() {
    let dir = Dir::new("suite-shards");
    let lib = library().display().to_string();
    let names = |shard: &str, more: &[&str]| -> BTreeSet<String> {
        let args = ["test", &lib, "--kernel", "v6.8,v6.9", "--shard", shard, "--format", "json"];
        let v = timerace(&dir, &[&args[..], more].concat()).json();
        let case = |c: &Value| format!("{} {}", c["scenario"], c["kernel"]);
        v["cases"].as_array().unwrap().iter().map(case).collect()
    };
    let parts: Vec<BTreeSet<String>> = ["1/3", "2/3", "3/3"].map(|s| names(s, &[])).to_vec();
    let all = names("1/1", &[]);
    assert_eq!(parts.iter().map(BTreeSet::len).sum::<usize>(), all.len());
    assert_eq!(parts.iter().flatten().cloned().collect::<BTreeSet<_>>(), all);
    assert!(parts.iter().all(|p| p.len() * 5 > all.len()), "no part is small");
    // A case stays in its part when others go.
    assert!(names("2/3", &["-k", "r0"]).is_subset(&parts[1]));
    for bad in ["0/3", "4/3", "1", "x/2", "1/0"] {
        assert_eq!(timerace(&dir, &["test", &lib, "--shard", bad]).code, 2, "{bad}");
    }
}

#[test]
fn a_saved_schedule_is_a_test() {
    let dir = Dir::new("suite-saved");
    let race = library().join("races/r07-cancel-free-uaf.ron").display().to_string();
    std::fs::create_dir(dir.0.join("suite")).unwrap();
    assert_eq!(timerace(&dir, &["explore", &race, "--kernel", "v6.7", "-o", "out"]).code, 0);
    std::fs::copy(dir.0.join("out/schedule.ron"), dir.0.join("suite/first-report.ron")).unwrap();
    // A folder of results is a test as it is: its scenario belongs to the schedule.
    let r = timerace(&dir, &["test", "out"]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    assert!(
        r.out.contains("r07-cancel-free-uaf@out/schedule  ok finds USE_AFTER_FREE"),
        "{}",
        r.out
    );
    assert!(r.out.contains("1 case: 1 ok"), "{}", r.out);
    // Elsewhere the scenario is found by its name: here it is a built-in one.
    let r = timerace(&dir, &["test", "suite"]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    assert!(
        r.out.contains("r07-cancel-free-uaf@first-report  ok finds USE_AFTER_FREE"),
        "{}",
        r.out
    );
    // With the fix the same steps are no bug.
    let r = timerace(
        &dir,
        &["test", "suite", "--kernel", "v6.7", "--with", "0281b919e175", "--format", "json"],
    );
    assert_eq!((r.code, r.json()["cases"][0]["verdict"].as_str()), (0, Some("pass")), "{}", r.out);
    // A scenario that expects no bug there fails with it.
    let strict = std::fs::read_to_string(&race)
        .unwrap()
        .replace("on(\"lacks 0281b919e175\"", "on(\"< v5.0\"");
    dir.file("suite/strict.ron", strict.as_bytes());
    let r = timerace(&dir, &["test", "suite", "-k", "@"]);
    assert_eq!(r.code, 1, "{}", r.out);
    assert!(r.out.contains("use-after-free in bpf_timer_cancel"), "{}", r.out);
    assert!(
        r.out.contains("repeat: timerace replay suite/strict.ron --kernel v6.7 --schedule"),
        "{}",
        r.out
    );
    // A schedule of another scenario, and one that does not fit any more.
    std::fs::remove_file(dir.0.join("suite/strict.ron")).unwrap();
    let saved = std::fs::read_to_string(dir.0.join("suite/first-report.ron")).unwrap();
    dir.file("suite/other.ron", saved.replace("r07-cancel-free-uaf", "no-such").as_bytes());
    let r = timerace(&dir, &["test", "suite"]);
    assert!(r.code == 2 && r.err.contains("suite/other.ron: its scenario `no-such`"), "{}", r.err);
    dir.file(
        "suite/other.ron",
        saved.replacen("t = timer->timer", "t = other->timer", 1).as_bytes(),
    );
    let r = timerace(&dir, &["test", "suite", "-k", "other"]);
    assert_eq!(r.code, 1, "{}", r.out);
    assert!(r.out.contains("does not fit: step"), "{}", r.out);
}

#[test]
fn what_a_kernel_lacks_is_skipped() {
    let dir = Dir::new("suite-skip");
    let text = "// A pinned timer.\n\
        Scenario(schema: 1, name: \"pinned\", machine: (cpus: 1), maps: { \"m\": ARRAY(max_entries: 1) },\n\
        progs: { \"p\": (type: SYSCALL, body: [ bpf_timer_init(\"m[0]\", CLOCK_MONOTONIC),\n\
            bpf_timer_set_callback(\"m[0]\", \"cb\"), bpf_timer_start(\"m[0]\", \"1ms\", [BPF_F_TIMER_CPU_PIN]) ]),\n\
            \"cb\": (type: TIMER_CB, body: [ work(\"1us\") ]) },\n\
        cpus: { 0: [ prog_run(\"p\") ] }, expect: [ sometimes(called(\"cb\")) ])\n";
    dir.file("pinned.ron", text.as_bytes());
    let r = timerace(&dir, &["test", "pinned.ron", "--kernel", "v6.6..v6.7", "--ktap"]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let root = parse(&r.out);
    assert!(root[0].children[0].directive.as_deref().unwrap().starts_with("SKIP "));
    assert!(root[1].children[0].ok && root[1].children[0].directive.is_none());
    let r = timerace(&dir, &["test", "pinned.ron", "--kernel", "v6.6"]);
    assert_eq!(r.code, 4, "{}", r.out);
    let r = timerace(&dir, &["test", "pinned.ron", "--kernel", "v6.6,v6.7", "--format", "json"]);
    assert_eq!(r.json()["skipped"][0]["kernel"], "v6.6");
}

#[test]
fn folders_are_read_with_sense() {
    let dir = Dir::new("suite-folders");
    std::fs::create_dir_all(dir.0.join("s/.hidden")).unwrap();
    dir.file("s/a.ron", scenario("a", "").as_bytes());
    dir.file("s/costs.ron", b"// lab\nCosts(schema: 1)\n");
    dir.file("s/part.ron", b"/* shared */ Fragment(schema: 1)\n");
    dir.file("s/.hidden/b.ron", b"nonsense");
    let r = timerace(&dir, &["test", "s", "s/a.ron", "--format", "json"]);
    assert_eq!((r.code, r.json()["ok"].as_u64()), (0, Some(1)), "{}", r.err);
    // Broken files are all reported.
    dir.file("s/x.ron", b"Scenario(");
    dir.file("s/y.ron", b"Scenario(schema: 9)");
    dir.file("s/z.ron", scenario("a", "").as_bytes());
    let r = timerace(&dir, &["test", "s"]);
    assert_eq!(r.code, 2);
    for part in ["s/x.ron", "s/y.ron", "two scenarios are called `a`: s/a.ron and s/z.ron"] {
        assert!(r.err.contains(part), "{part}: {}", r.err);
    }
    assert_eq!(timerace(&dir, &["test", "s", "--ktap", "--format", "json"]).code, 2);
}

#[test]
fn golden_digests_are_compared_and_blessed_on_request_only() {
    let dir = Dir::new("suite-golden");
    let race = library().join("races/r07-cancel-free-uaf.ron");
    let text = std::fs::read_to_string(race).unwrap();
    dir.file("r07.ron", text.as_bytes());
    let now = || std::fs::read_to_string(dir.0.join("r07.ron")).unwrap();
    let test = |more: &[&str]| {
        timerace(&dir, &[&["test", "r07.ron", "--kernel", "v6.6,v6.7,v6.8"][..], more].concat())
    };
    // Nothing is written unasked, never in CI, and never to what is not named.
    assert_eq!((test(&[]).code, now()), (0, text.clone()));
    let r = timerace_with(&dir, &["test", "r07.ron", "--bless"], &[("CI", "true")]);
    assert!(r.code == 2 && r.err.contains("not for CI"), "{}", r.err);
    let r = timerace(&dir, &["test", ".", "--bless"]);
    assert!(r.code == 2 && r.err.contains("is a folder"), "{}", r.err);
    assert_eq!(now(), text);
    // Blessed: two kernels show a race, the third has the fix.
    let r = test(&["--bless"]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    assert!(
        r.out.contains("+++ r07.ron on v6.7") && r.out.contains("\n+hrtimer_cancel"),
        "{}",
        r.out
    );
    let blessed = now();
    let (before, after) = blessed.split_once(",\n    golden: {\n").unwrap();
    assert!(text.starts_with(before), "the rest of the file stays");
    assert!(
        after.contains("\"v6.6\": \"") && after.contains("\"v6.7\": \"") && !after.contains("v6.8")
    );
    let r = test(&["--format", "json"]);
    let golden = |case: usize| {
        let v = r.json();
        let all = v["cases"][case]["expectations"].as_array().unwrap().clone();
        all.iter().find(|e| e["name"] == "golden").map(|e| e["ok"].as_bool().unwrap())
    };
    assert_eq!((r.code, golden(0), golden(1), golden(2)), (0, Some(true), Some(true), None));
    // Another picture: a failure, with the way to accept it; the old text is that of the last `explore`.
    assert_eq!(timerace(&dir, &["explore", "r07.ron", "--kernel", "v6.7"]).code, 0);
    let renamed = blessed
        .replace("\"cancel\"", "\"canceller\"")
        .replace("bpf_map_delete_elem(", "bpf_map_delete_elem( ");
    let stale = renamed.replacen("\"v6.7\": \"", "\"v6.7\": \"0", 1);
    let cut = stale.find("\"v6.7\": \"0").unwrap() + "\"v6.7\": \"0".len() + 15;
    let stale = format!("{}{}", &stale[..cut], &stale[cut + 1..]);
    dir.file("r07.ron", stale.as_bytes());
    let r = test(&[]);
    assert_eq!(r.code, 1, "{}{}", r.out, r.err);
    assert!(r.out.contains("golden: the interleaving is another one"), "{}", r.out);
    assert!(r.out.contains("repeat: timerace test r07.ron --kernel v6.7 --bless"), "{}", r.out);
    let r = test(&["--bless"]);
    assert!(r.code == 0 && r.out.contains("the old interleaving is not at hand"), "{}", r.out);
    assert_eq!(test(&[]).code, 0);
    assert!(now().contains("// "), "comments stay");
}
