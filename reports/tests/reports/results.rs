//! What is said of searches and suites, and the folder that it is written into.

use crate::golden;
use std::path::{Path, PathBuf};
use timerace_core::lockdep::LockGraph;
use timerace_core::result::{Bound, Engine, Exploration, Verdict};
use timerace_reports::cover::{Missed, Scope, cover};
use timerace_reports::json::{
    self, ExpectationResult, ExploreResult, FindingLine, RunResult, TestCase,
};
use timerace_reports::latency::Summary;
use timerace_reports::latency_table::Tables;
use timerace_reports::out_dir::write_dir;
use timerace_reports::table::{Case, CaseState, table};

pub fn exploration() -> Exploration {
    Exploration {
        policy: "exhaustive",
        engine: Engine::Traces,
        states: 0,
        complete: true,
        stopped: false,
        schedules: 1284,
        failing: 0,
        blocked: 12,
        impossible: 0,
        stuck: 0,
        steps: 20_114,
        longest: 19,
        longest_at: 3,
        findings: Vec::new(),
        bounds: vec![
            Bound { name: "preemptions", value: None, hit: false },
            Bound { name: "max_schedules", value: Some(1_000_000), hit: false },
            Bound { name: "steps", value: Some(10_000), hit: false },
        ],
        final_states: 9,
        state_digest: 1,
        ends: Vec::new(),
        trace_digest: 2,
        layers: Vec::new(),
        locks: LockGraph::default(),
    }
}

fn scope() -> Scope {
    Scope {
        cpus: 3,
        tasks: 2,
        programs: 1,
        map_entries: 1,
        irqs: Some(1),
        timing: "untimed order, every delay possible".to_string(),
        memory: "sequential; LKMM reordering is not modelled".to_string(),
        within: Vec::new(),
        not_covered: ["NMI", "CPU hotplug"].map(str::to_string).to_vec(),
        pct: None,
        missed: Missed::default(),
        window_entered: Some(203),
        unmet: 0,
    }
}

#[test]
fn statements_about_searches() {
    let complete = cover(&exploration(), &scope());
    let mut e = exploration();
    (e.complete, e.bounds[0]) = (false, Bound { name: "preemptions", value: Some(2), hit: true });
    let narrowed = cover(&e, &scope());
    let declared = Scope { within: vec![("preemptions".to_string(), 2)], ..scope() };
    let within = cover(&e, &declared);
    e.bounds[1].hit = true;
    let cut = cover(&e, &declared);
    let random = cover(&sample(), &scope());
    e.failing = 88;
    let bug = cover(&e, &Scope { irqs: None, ..scope() });
    let all = [complete, narrowed, within, cut, random, bug];
    assert!(all.iter().all(|t| !t.contains("roved") && t.lines().all(|l| l.len() <= 100)));
    assert!(all.iter().map(|t| t.starts_with("PASS")).eq([true, false, true, false, false, false]));
    golden::check("cover.txt", &all.join("\n"));
}

fn sample() -> Exploration {
    let (policy, engine) = ("random", Engine::Sample);
    Exploration { policy, engine, complete: false, ..exploration() }
}

fn expectations() -> Vec<ExpectationResult> {
    let e = |name: &str, ok| ExpectationResult {
        name: name.to_string(),
        ok,
        detail: None,
        schedule: None,
    };
    vec![e("never_any_bug", Some(true)), e("sometimes_overlap", None)]
}

fn finding() -> FindingLine {
    FindingLine {
        class: "USE_AFTER_FREE".to_string(),
        functions: ["bpf_timer_cancel", "bpf_timer_cancel_and_free"].map(str::to_string),
        message: "use-after-free in bpf_timer_cancel / bpf_timer_cancel_and_free".to_string(),
        schedule: "1x4,2x7,1".to_string(),
        switches: 2,
        kernel: "v6.7".to_string(),
        step: 12,
        other_step: Some(11),
        object: Some("bpf_hrtimer #1".to_string()),
        order: None,
        passing: None,
        delay_ns: None,
    }
}

#[test]
fn results_for_scripts() {
    let summary = Summary { count: 3, min_ns: 1, p50_ns: 2, p99_ns: 3, p999_ns: 3, max_ns: 3 };
    let run = json::run(&RunResult {
        partial: false,
        starved: None,
        scenario: "periodic".to_string(),
        kernel: "v6.12".to_string(),
        seed: 1,
        virtual_ns: 1_000_000_000,
        steps: 42,
        expiries: 3,
        verdict: Verdict::Pass,
        findings: Vec::new(),
        expectations: expectations(),
        latency: [("timers[0]".to_string(), summary)].into(),
        causes: vec![("idle exit".to_string(), 700)],
        tables: Tables {
            timers: vec![("timers[0]".to_string(), summary)],
            cpus: vec![("CPU0".to_string(), summary)],
            causes: vec![("idle exit".to_string(), Summary { count: 2, ..summary })],
            waits: Vec::new(),
            awaited: Vec::new(),
            longest_wait: None,
            holds: Vec::new(),
            held_for: Vec::new(),
            longest_hold: None,
        },
        digest: "00ff".to_string(),
    });
    let mut e = exploration();
    e.bounds[0] = Bound { name: "preemptions", value: Some(2), hit: true };
    let explore = json::explore(&ExploreResult {
        scenario: "cancel-vs-delete".to_string(),
        kernel: "v6.7".to_string(),
        exploration: Exploration { complete: false, failing: 88, ..e },
        pct: None,
        verdict: Verdict::Bug,
        findings: vec![finding()],
        expectations: expectations(),
        window_entered: Some(203),
        within: [("preemptions".to_string(), 2)].into(),
    });
    let case = |verdict, ok, exit_code| TestCase {
        scenario: "cancel-vs-delete".to_string(),
        kernel: "v6.7".to_string(),
        verdict,
        complete: exit_code == 0,
        expectations: vec![ExpectationResult {
            name: "never_any_bug".to_string(),
            ok: Some(ok),
            detail: None,
            schedule: None,
        }],
        exit_code,
    };
    let cases = [
        case(Verdict::Bug, true, 0),
        case(Verdict::Bug, false, 1),
        case(Verdict::Inconclusive, true, 3),
    ];
    let test = json::test(&cases.iter().collect::<Vec<_>>(), &[], false);
    golden::check("run.json", &json::text(&run));
    golden::check("explore.json", &json::text(&explore));
    golden::check("test.json", &json::text(&test));
    for value in [run, explore, test] {
        sorted(&value);
    }
}

fn sorted(value: &serde_json::Value) {
    if let Some(map) = value.as_object() {
        assert!(map.keys().is_sorted());
        map.values().for_each(sorted);
    }
    value.as_array().into_iter().flatten().for_each(sorted);
}

#[test]
fn the_table_of_a_suite() {
    let case = |scenario: &str, kernel: &str, state, count, note: &str| Case {
        scenario: scenario.to_string(),
        kernel: kernel.to_string(),
        state,
        count,
        note: note.to_string(),
        details: Vec::new(),
        repeat: None,
    };
    let mut cases = vec![
        case("cancel-vs-delete", "v6.7", CaseState::Ok, None, "finds USE_AFTER_FREE"),
        case("cancel-vs-delete", "v6.12", CaseState::Ok, Some(1284), "complete"),
        case("lru-evict-running-callback", "v6.7", CaseState::Failed, None, "lock_hold"),
        case("lru-evict-running-callback", "v6.12", CaseState::Ok, Some(96), "complete"),
        case("start-vs-delete", "v6.12", CaseState::Incomplete, None, "max-schedules"),
    ];
    cases[2].details =
        vec!["hold of flows.lru_lock: 41.0 us > 15 us  (lru-evict.ron:36)".to_string()];
    cases[2].repeat =
        Some("timerace replay lru-evict.ron --kernel v6.7 --schedule 3x9,0x2,3".to_string());
    golden::check("table.txt", &format!("{}\n{}", table(&cases), table(&[])));
}

/// A folder of its own for a test, empty, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    fn entries(&self) -> Vec<String> {
        let mut all: Vec<String> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        all.sort();
        all
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn files(names: &[&str]) -> Vec<(String, Vec<u8>)> {
    let result = br#"{"schema": 1, "scenario": "x", "kernel": "v6.7"}"#.to_vec();
    let mut all = vec![("result.json".to_string(), result)];
    all.extend(names.iter().map(|n| ((*n).to_string(), n.as_bytes().to_vec())));
    all
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn folders_are_replaced_as_a_whole() {
    let place = Place::new("whole");
    let dir = place.0.join("a/b");
    write_dir(&dir, &files(&["race.txt", "hist.txt"])).unwrap();
    write_dir(&dir, &files(&["race.txt"])).unwrap();
    assert_eq!(read(&dir.join("race.txt")), "race.txt");
    assert!(!dir.join("hist.txt").exists());
    assert_eq!(Place(place.0.join("a")).entries(), ["b"]);
    std::fs::create_dir_all(place.0.join("empty")).unwrap();
    write_dir(&place.0.join("empty"), &files(&[])).unwrap();
}

#[test]
fn what_is_not_ours_stays() {
    let place = Place::new("foreign");
    let dir = place.0.join("notes");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("mine.txt"), "mine").unwrap();
    let refused = |names: &[&str], why: &str| {
        let error = write_dir(&dir, &files(names)).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("notes"), "{error}");
        assert_eq!(read(&dir.join("mine.txt")), "mine");
        assert_eq!(place.entries(), ["notes"]);
    };
    refused(&["race.txt"], "no result.json of timerace");
    std::fs::write(dir.join("result.json"), "{}").unwrap();
    refused(&["race.txt"], "no result.json of timerace");
    std::fs::write(dir.join("result.json"), files(&[])[0].1.as_slice()).unwrap();
    refused(&["race.txt"], "mine.txt");
    std::fs::write(place.0.join("file"), "text").unwrap();
    let error = write_dir(&place.0.join("file"), &files(&[])).unwrap_err().to_string();
    assert!(error.contains("not a folder"), "{error}");
    let below = write_dir(&place.0.join("file/x"), &files(&[])).unwrap_err().to_string();
    assert!(below.contains("file"), "{below}");
    assert_eq!(read(&place.0.join("file")), "text");
}

#[test]
fn folders_of_a_suite_are_replaced_too_unless_something_else_is_in_them() {
    let place = Place::new("suite");
    let dir = place.0.join("all");
    let of_case = |name: &str| {
        let case = format!("race/v6.7/{name}");
        let mut all = files(&["index.html"]);
        all.extend([
            (case, b"x".to_vec()),
            ("race/v6.7/result.json".to_string(), all[0].1.clone()),
        ]);
        all
    };
    write_dir(&dir, &of_case("race.svg")).unwrap();
    assert_eq!(read(&dir.join("race/v6.7/race.svg")), "x");
    write_dir(&dir, &of_case("race.txt")).unwrap();
    assert!(!dir.join("race/v6.7/race.svg").exists());
    for mine in ["race/v6.7/mine.txt", "race/mine.txt", "mine/notes.txt", "race/v6.7/sub/race.txt"]
    {
        let path = dir.join(mine);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "mine").unwrap();
        let error = write_dir(&dir, &of_case("race.txt")).unwrap_err().to_string();
        assert!(error.contains("did not write"), "{mine}: {error}");
        assert_eq!(read(&path), "mine");
        std::fs::remove_file(&path).unwrap();
        if !mine.starts_with("race/v6.7/mine") && !mine.starts_with("race/mine") {
            std::fs::remove_dir(path.parent().unwrap()).unwrap();
        }
    }
    write_dir(&dir, &of_case("race.txt")).unwrap();
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    let place = Place::new("names");
    for bad in ["../x", "a/../b", "a//b", "a/b/c/d", "/a", "", ".", "..", "race.txt"] {
        let error = write_dir(&place.0.join("d"), &files(&["race.txt", bad])).unwrap_err();
        assert!(error.to_string().contains("name of a file"), "{error}");
    }
    assert!(write_dir(Path::new(".."), &files(&[])).is_err());
    assert!(place.entries().is_empty());
}
