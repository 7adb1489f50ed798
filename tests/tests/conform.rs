//! The model against recordings of real kernels.

use std::io::Read as _;
use std::path::Path;

use timerace_scenarios::recording::{
    Case, CaseReport, Content, Event, Options, Repeatable, Ret, Run, Runtime, Status, compare,
    conform, judge, parse, play,
};

const KERNELS: [&str; 5] = ["6.1", "6.12", "6.18-host", "6.1-rt", "6.12-rt"];

/// Cases that no world can say, and why.
const NOT_PLAYED: &[(&str, &str)] = &[
    (
        "caps-bpf-netadmin-sched_cls",
        "what the verifier allows without CAP_PERFMON is no rule about timers",
    ),
    ("verify-cb_null", "a callback that is no function"),
    ("verify-cb_tail_call", "a tail call"),
    ("verify-cb_write_key", "a write to the key that a callback is called with"),
    ("verify-setcb-in-static-subprog-of-callback", "a loop of subprograms"),
    ("verify-in_fentry_s", "which functions may be attached to is not modelled"),
    ("verify-in_fmod_ret", "which functions may be attached to is not modelled"),
];

fn packed(kernel: &str) -> Vec<u8> {
    let name = format!("recordings/cases-{kernel}.jsonl.gz");
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("the recording is here")
}

fn recording(kernel: &str) -> String {
    let mut text = String::new();
    let packed = packed(kernel);
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).expect("it is gzip");
    text
}

fn cases(kernel: &str) -> Vec<Case> {
    parse(&recording(kernel)).expect("it is a recording")
}

fn judged(kernel: &str) -> Vec<CaseReport> {
    cases(kernel).iter().map(|c| judge(c, &Options::default())).collect()
}

fn disagreements(reports: &[CaseReport]) -> Vec<String> {
    let of = |r: &CaseReport| match &r.status {
        Status::Disagree(all) => {
            let text = |d: &timerace_scenarios::recording::Difference| {
                format!("{} {}: {} / {}", r.id, d.place, d.recorded, d.model)
            };
            all.iter().map(text).collect()
        }
        _ => Vec::new(),
    };
    reports.iter().flat_map(of).collect()
}

/// The cases that are played, with what the model did.
fn played(kernel: &str) -> Vec<(Case, Runtime, Run)> {
    let mut all = Vec::new();
    for case in cases(kernel) {
        let Content::Runtime(runtime) = case.content.clone() else { continue };
        if let Ok(run) = play(&case, &Options::default()) {
            all.push((case, runtime, run));
        }
    }
    all
}

#[test]
fn every_recording_is_understood() {
    for kernel in KERNELS {
        let cases = cases(kernel);
        assert!(cases.len() > 300, "{kernel}: {} cases", cases.len());
        for c in &cases {
            assert_eq!(c.kernel, kernel);
            assert!(!matches!(c.content, Content::Unjudged(_)), "{kernel} {}", c.id);
        }
    }
}

#[test]
fn headers_of_the_packed_files_hold_no_time_and_no_name() {
    for kernel in KERNELS {
        assert_eq!(packed(kernel)[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0], "{kernel}");
    }
}

#[test]
fn the_model_does_what_the_recorded_kernels_did() {
    for kernel in KERNELS {
        let reports = judged(kernel);
        assert_eq!(disagreements(&reports), Vec::<String>::new(), "{kernel}");
        let not_played = reports.iter().filter(|r| r.status != Status::Agree);
        let (all, names) = (reports.len(), not_played.map(|r| r.id.as_str()).collect::<Vec<_>>());
        assert!(names.len() * 100 <= all * 3, "{kernel}: of {all} these are not: {names:?}");
        for name in names {
            let why = NOT_PLAYED.iter().find(|n| n.0 == name);
            assert!(why.is_some(), "{kernel}: why is {name} not played?");
        }
    }
}

#[test]
fn every_reason_not_to_play_a_case_is_needed() {
    let reports: Vec<CaseReport> = KERNELS.iter().flat_map(|k| judged(k)).collect();
    for (name, why) in NOT_PLAYED {
        let not_played = |r: &CaseReport| r.id == *name && r.status != Status::Agree;
        assert!(reports.iter().any(not_played), "{name}: {why}");
    }
}

#[test]
fn draws_do_not_change_the_verdict() {
    let reports: Vec<_> = (1..6)
        .map(|seed| {
            let options = Options { seed, ..Options::default() };
            conform(&recording("6.1"), &options).expect("it is a recording")
        })
        .collect();
    for r in &reports {
        assert_eq!(r.text(), reports[0].text());
        assert_eq!(r.json().to_string(), reports[0].json().to_string());
    }
}

#[test]
fn each_operation_of_a_recording_counts() {
    let mut falsified = 0;
    for (case, runtime, run) in played("6.1") {
        if runtime.repeatable == Repeatable::Varies || !compare(&case, &run).is_empty() {
            continue;
        }
        for i in 0..runtime.ops.len() {
            let mut check = |what: &str, change: &dyn Fn(&mut Runtime)| {
                falsified += 1;
                assert!(differs(&case, &runtime, &run, change), "{} op {i}: {what}", case.id);
            };
            check("ret", &|r| r.ops[i].result.ret = another(r.ops[i].result.ret));
            if runtime.repeatable == Repeatable::Exact || i + 1 == runtime.ops.len() {
                check("callbacks", &|r| r.ops[i].callbacks_so_far += 1);
            }
            if runtime.ops[i].result.count.is_some() {
                check("count", &|r| r.ops[i].result.count = r.ops[i].result.count.map(|n| n + 1));
            }
            if runtime.ops[i].result.data.is_some() {
                check("data", &|r| r.ops[i].result.data = Some(-1));
            }
            if runtime.ops[i].result.keys.is_some() {
                check("keys", &|r| r.ops[i].result.keys = Some(vec![77]));
            }
        }
    }
    assert!(falsified > 5_000, "{falsified} falsified recordings");
}

#[test]
fn each_callback_of_a_recording_counts() {
    let mut falsified = 0;
    for (case, runtime, run) in played("6.1") {
        if runtime.repeatable != Repeatable::Exact || !compare(&case, &run).is_empty() {
            continue;
        }
        for i in 0..runtime.events.len() {
            let mut check = |what: &str, change: &dyn Fn(&mut Event)| {
                falsified += 1;
                let change = |r: &mut Runtime| change(&mut r.events[i]);
                assert!(differs(&case, &runtime, &run, &change), "{} event {i}: {what}", case.id);
            };
            check("callback", &|e| e.callback += 1);
            check("run", &|e| e.run += 1);
            check("key", &|e| e.key += 1);
            check("data", &|e| e.data += 1);
            check("value", &|e| e.value_is_current = !e.value_is_current);
            check("during_op", &|e| e.during_op += 1);
            if runtime.events[i].cpu.is_some() {
                check("cpu", &|e| e.cpu = e.cpu.map(|c| c + 1));
            }
            for j in 0..runtime.events[i].ops.len() {
                check("op", &|e| e.ops[j].0 = another(e.ops[j].0));
            }
        }
        for i in 0..runtime.events.len() {
            falsified += 1;
            let drop = |r: &mut Runtime| drop(r.events.remove(i));
            assert!(differs(&case, &runtime, &run, &drop), "{}: event {i} dropped", case.id);
        }
    }
    assert!(falsified > 1_000, "{falsified} falsified recordings");
}

#[test]
fn an_operation_that_waited_counts() {
    let mut waits = 0;
    for (case, runtime, run) in played("6.1") {
        if !case.id.starts_with("running-") {
            continue;
        }
        for i in 0..runtime.ops.len() {
            let before = if i == 0 { 0 } else { runtime.op_end_us[i - 1] };
            let took = runtime.op_end_us[i] - before;
            let pauses = run.ops[i].as_ref().is_some_and(|o| o.callbacks > 0) && took > 80_000;
            if pauses {
                waits += 1;
                let at_once = |r: &mut Runtime| {
                    r.op_end_us[i..].iter_mut().for_each(|t| *t -= took);
                };
                let sleeps = !differs(&case, &runtime, &run, &at_once);
                let sleep = timerace_scenarios::recording::Action::Sleep(0);
                let is_sleep = std::mem::discriminant(&runtime.ops[i].action)
                    == std::mem::discriminant(&sleep);
                assert_eq!(sleeps, is_sleep, "{} op {i}", case.id);
            }
        }
    }
    assert!(waits > 10, "{waits} operations that take long");
}

/// A recording with one fact changed is found out.
fn differs(case: &Case, runtime: &Runtime, run: &Run, change: &dyn Fn(&mut Runtime)) -> bool {
    let mut runtime = runtime.clone();
    change(&mut runtime);
    let case = Case { content: Content::Runtime(runtime), ..case.clone() };
    !compare(&case, run).is_empty()
}

fn another(ret: Ret) -> Ret {
    match ret {
        Ret::Code(0) => Ret::Code(-22),
        Ret::Code(_) => Ret::Code(0),
        Ret::Value => Ret::Absent,
        Ret::Absent | Ret::MaxRun => Ret::Code(0),
    }
}

#[test]
fn a_falsified_line_is_a_disagreement() {
    let text = recording("6.1");
    let line = text.lines().find(|l| l.contains("\"id\": \"start-fires\"")).expect("it is there");
    let status = |line: &str| {
        let report = conform(line, &Options::default()).expect("it is a recording");
        report.cases[0].status.name()
    };
    assert_eq!(status(line), "agree");
    let flipped = line.replacen(
        "\"ret\": 0, \"callbacks_so_far\": 0",
        "\"ret\": -16, \"callbacks_so_far\": 0",
        1,
    );
    assert_ne!(flipped, line);
    assert_eq!(status(&flipped), "disagree");
    let (before, after) = line.split_once("\"events\": [").expect("it has events");
    let (_, after) = after.split_once("], \"timing_us\"").expect("they end");
    assert_eq!(status(&format!("{before}\"events\": [], \"timing_us\"{after}")), "disagree");
}

#[test]
fn other_kernels_than_the_recorded_one_are_found_out() {
    // Without the fixes of 6.1.192 two callbacks that cancel each other never end.
    let all = cases("6.1");
    let mutual = all.iter().find(|c| c.id == "mutual-cancel-0").expect("it is there");
    let kernel = timerace_kernel::KernelVersion::parse("v6.1").expect("it is in the table");
    let options = Options { kernel: Some(kernel), ..Options::default() };
    assert_eq!(judge(mutual, &options).status.name(), "disagree");
    assert_eq!(judge(mutual, &Options::default()).status.name(), "agree");
}
