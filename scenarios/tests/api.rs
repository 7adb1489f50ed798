//! What callers rely on: parameters, digests, versions, files, forms of messages.
#![allow(clippy::unwrap_used)]

use timerace_scenarios::ast::{
    Call, Duration, Event, Expectation, Key, ObjBase, ParamValue, Preempt, Scenario, StepKind,
    Value, Version,
};
use timerace_scenarios::diag::{self, Severity, Style};
use timerace_scenarios::load::{self, ReadError};

fn source(fields: &str) -> String {
    format!("Scenario(schema: 1, name: \"x\", machine: (cpus: 2),\n{fields}\n)")
}

#[track_caller]
fn parse(fields: &str) -> Scenario {
    let source = source(fields);
    load::parse(&source, &[]).unwrap_or_else(|diags| {
        panic!("{}", diag::render_all(&diags, "x.ron", &source, Style::Plain))
    })
}

const TIMERS: &str = "maps: { \"m\": HASH(max_entries: 4) },\n";

/// The first step of the first task.
fn first_step(scenario: &Scenario) -> &StepKind {
    &scenario.tasks[0].1.body[0].node
}

// Parameters.

#[track_caller]
fn check_work(params: &str, duration: &str, set: &[(&str, &str)], expected: (u64, u64)) {
    let text = format!(
        "params: {{ {params} }},\ntasks: {{ \"t\": (cpu: 0, body: [ work(\"{duration}\") ]) }},"
    );
    let set: Vec<(String, String)> =
        set.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let scenario = load::parse(&source(&text), &set).unwrap();
    let StepKind::Work(found) = first_step(&scenario) else { panic!() };
    assert_eq!(found.node, Duration { min_ns: expected.0, max_ns: expected.1 });
}

#[test]
fn parameters_are_replaced() {
    check_work("\"p\": \"5us\"", "$p", &[], (5_000, 5_000));
    check_work("\"p\": \"5us..6us\"", "$p", &[], (5_000, 6_000));
    check_work("\"p\": \"5us\"", "1us + $p", &[], (6_000, 6_000));
    check_work("\"p\": \"-5us\"", "9us + $p", &[], (4_000, 4_000));
    check_work(
        "\"p\": sweep(from: \"1us\", to: \"9us\", step: \"4us\")",
        "$p",
        &[],
        (1_000, 1_000),
    );
    check_work("\"p\": choice([\"3us\", \"4us\"])", "$p", &[], (3_000, 3_000));
    check_work("\"p\": choice([\"3us\", \"4us\"])", "$p", &[("p", "4us")], (4_000, 4_000));
    check_work("\"p\": \"5us\"", "$p", &[("p", "7us"), ("p", "8us")], (8_000, 8_000));
}

#[test]
fn a_setting_that_is_wrong_is_reported() {
    let text =
        source("params: { \"p\": \"5us\" }, tasks: { \"t\": (cpu: 0, body: [ work(\"$p\") ]) },");
    let check = |key: &str, value: &str, code: &str, part: &str| {
        let diags = load::parse(&text, &[(key.to_string(), value.to_string())]).unwrap_err();
        assert_eq!(diags[0].code, code);
        let shown = diag::render(&diags[0], "x.ron", &text, Style::Plain);
        assert!(shown.contains(part), "{shown}");
    };
    check("q", "1us", "E0201", "no parameter `q` to set");
    check("p", "soon", "E0111", "`$p` is \"soon\"");
    check("p", "$p", "E0118", "cannot use another");
}

#[test]
fn the_values_of_a_sweep_are_listed() {
    let scenario = parse(
        "params: { \"a\": sweep(from: \"-1us\", to: \"1us\", step: \"500ns\"), \
                   \"b\": sweep(from: 1, to: 8, step: 3), \"c\": choice([\"x\", 2]) },",
    );
    let values = |index: usize| {
        let value = &scenario.params[index].1.value;
        (0..value.len()).map(|n| value.value(n).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(values(0), ["-1us", "-500ns", "0ns", "500ns", "1us"]);
    assert_eq!(values(1), ["1", "4", "7"]);
    assert_eq!(values(2), ["x", "2"]);
    assert_eq!(scenario.params[1].1.value.value(3), None);
    assert!(matches!(scenario.params[1].1.value, ParamValue::Sweep { durations: false, .. }));
}

#[test]
fn a_parameter_may_stand_for_any_value() {
    let text = "params: { \"rt\": choice([PREEMPT_NONE, PREEMPT_RT]), \"n\": 3 },\n\
                machine: (cpus: \"$n\", preempt: \"$rt\"),";
    let text = source(text).replace("machine: (cpus: 2),", "");
    let set = [("rt".to_string(), "PREEMPT_RT".to_string())];
    let scenario = load::parse(&text, &set).unwrap();
    assert_eq!(scenario.machine.cpus.node, 3);
    assert_eq!(scenario.machine.preempt.node, Preempt::Rt);
}

// The tree.

#[test]
fn names_are_looked_up() {
    let scenario = parse(
        "vars: { \"v\": int(0) },\n\
         maps: { \"m\": HASH(max_entries: 4),\n\
             \"o\": ARRAY_OF_MAPS(max_entries: 1, inner: \"m\") },\n\
         progs: { \"cb\": (type: TIMER_CB, body: [\n\
             let(\"e\", bpf_map_lookup_elem(\"o[0][7]\")),\n\
             bpf_timer_cancel(\"e->timer\"), bpf_timer_cancel(\"value\"),\n\
             bpf_map_delete_elem(\"m[self]\") ]) },\n\
         tasks: { \"t\": (cpu: 0, body: [\n\
             bpf_map_update_elem(\"o[0]\", BPF_ANY, \"m\"),\n\
             read(\"r\", \"v\"), write(\"v\", \"r\") ]) },",
    );
    let body = &scenario.prog("cb").unwrap().body;
    let call = |index: usize| match &body[index].node {
        StepKind::Invoke(invoke) => invoke.call.node.clone(),
        other => panic!("{other:?}"),
    };
    let Call::MapLookup { elem } = call(0) else { panic!() };
    assert_eq!(elem.base.node, ObjBase::Map("o".to_string()));
    assert_eq!(elem.keys.len(), 2);
    let Call::TimerCancel { timer } = call(1) else { panic!() };
    assert_eq!(timer.base.node, ObjBase::Local("e".to_string()));
    let Call::TimerCancel { timer } = call(2) else { panic!() };
    assert_eq!(timer.base.node, ObjBase::Value);
    let Call::MapDelete { elem } = call(3) else { panic!() };
    assert_eq!(elem.keys[0].node, Key::Itself);
    let StepKind::Invoke(update) = first_step(&scenario) else { panic!() };
    let Call::MapUpdate { value: Some(value), .. } = &update.call.node else { panic!() };
    assert!(matches!(&value.node, Value::Map(map) if map.base.node == ObjBase::Map("m".into())));
}

#[test]
fn the_order_of_the_file_is_kept() {
    let scenario = parse(
        "tasks: { \"b\": (cpu: 0, body: []),\n\
             \"a\": (cpu: 0, body: []), \"c\": (cpu: 1, body: []) },\n\
         cpus: { 1: [ tick(), work(\"1us\") ], 0: [] },",
    );
    let names: Vec<&str> = scenario.tasks.iter().map(|(name, _)| name.node.as_str()).collect();
    assert_eq!(names, ["b", "a", "c"]);
    let cpus: Vec<u32> = scenario.cpus.iter().map(|(cpu, _)| cpu.node).collect();
    assert_eq!(cpus, [1, 0]);
    assert!(matches!(scenario.cpus[0].1[1].node, Event::Step(_)));
}

#[test]
fn spans_point_into_strings() {
    let text = source(
        "maps: { \"timers\": HASH(max_entries: 4) },\n\
         progs: { \"p\": (type: SYSCALL, body: [ bpf_timer_cancel(\"timers[7].timer\") ]) },",
    );
    let scenario = load::parse(&text, &[]).unwrap();
    let StepKind::Invoke(invoke) = &scenario.prog("p").unwrap().body[0].node else { panic!() };
    let Call::TimerCancel { timer } = &invoke.call.node else { panic!() };
    assert_eq!(&text[timer.span.range()], "timers[7].timer");
    assert_eq!(&text[timer.base.span.range()], "timers");
    assert_eq!(&text[timer.keys[0].span.range()], "[7]");
    assert_eq!(&text[timer.path[0].span.range()], "timer");
    assert_eq!(&text[invoke.call.span.range()], "bpf_timer_cancel(\"timers[7].timer\")");
}

#[test]
fn errors_of_calls_are_negative() {
    let scenario = parse(
        "maps: { \"m\": HASH(max_entries: 4) },\n\
         tasks: { \"t\": (cpu: 0, body: [ ret([0, 1, EBUSY, -1], bpf_map_create(\"m\")) ]) },",
    );
    let StepKind::Invoke(invoke) = first_step(&scenario) else { panic!() };
    for (errno, allowed) in [(16, true), (1, true), (22, false)] {
        assert_eq!(invoke.returns.allows_error(errno), allowed, "{errno}");
    }
    assert!(invoke.returns.allows_some_error());
}

#[test]
fn kernel_conditions_answer() {
    let scenario = parse("expect: [ on(\">= v6.1, lacks FIX\", sometimes(DEADLOCK)) ],");
    let Expectation::On(cond, _) = &scenario.expect[0].node else { panic!() };
    assert!(cond.holds(Version(6, 1, 0), &|_| false));
    assert!(!cond.holds(Version(6, 0, 9), &|_| false));
    assert!(!cond.holds(Version(6, 7, 0), &|fix| fix == "FIX"));
}

// Digests.

#[track_caller]
fn check_digest(a: &str, b: &str, same: bool) {
    let (a, b) = (parse(a), parse(b));
    assert_eq!(a.digest() == b.digest(), same, "{}\n{}", a.canonical(), b.canonical());
}

#[test]
fn spelling_does_not_change_the_digest() {
    check_digest("", "// a comment\nrefs: [\"CVE-1\"],", true);
    check_digest(
        "vars: { \"a\": int(0), \"b\": int(1) },",
        "vars: { \"b\": int(1), \"a\": int(0x0), },",
        true,
    );
    let work = |text: &str| format!("tasks: {{ \"t\": (cpu: 0, body: [ work(\"{text}\") ]) }},");
    check_digest(&work("1500us"), &work("1ms 500us"), true);
    check_digest(&work("1.5ms"), &work("1_500\u{b5}s + 0ns"), true);
    check_digest(&work("5us"), &("params: { \"p\": \"5us\" },\n".to_string() + &work("$p")), true);
    check_digest("explore: (),\nlimits: (),\nstop: idle,\ntiming: Ignore,", "", true);
    check_digest(
        "maps: { \"m\": HASH(flags: [BPF_F_ZERO_SEED, BPF_F_NO_PREALLOC], max_entries: 2,\n\
             init: { 2: present, 1: present }) },",
        "maps: { \"m\": BPF_MAP_TYPE_HASH(max_entries: 2, key_size: 4,\n\
             flags: [BPF_F_NO_PREALLOC, BPF_F_ZERO_SEED], init: { 1: present, 2: present }) },",
        true,
    );
    check_digest(
        "cpus: { 0: [ tick() ], 1: [ tick() ] },",
        "cpus: { 1: [ tick() ], 0: [ tick() ] },",
        true,
    );
}

#[test]
fn meaning_changes_the_digest() {
    let base =
        TIMERS.to_string() + "tasks: { \"t\": (cpu: 0, body: [ work(\"1us\"), sleep(\"2us\") ]) },";
    for (from, to) in [
        ("1us", "2us"),
        ("1us", "1us..2us"),
        ("cpu: 0", "cpu: 1"),
        ("cpu: 0", "cpu: 0, sched: SCHED_FIFO(1)"),
        ("cpu: 0", "cpu: 0, caps: []"),
        ("\"t\"", "\"u\""),
        ("work", "sleep"),
        ("work(\"1us\"), sleep(\"2us\")", "sleep(\"2us\"), work(\"1us\")"),
        ("max_entries: 4", "max_entries: 5"),
        ("HASH", "ARRAY"),
        ("tasks:", "kernel: \"v6.7\", tasks:"),
        ("tasks:", "timing: Respect, tasks:"),
        ("tasks:", "stop: time(\"1s\"), tasks:"),
        ("tasks:", "explore: (irqs: 1), tasks:"),
        ("tasks:", "limits: (steps: 1), tasks:"),
        ("tasks:", "faults: [ may_enomem(in: \"f\") ], tasks:"),
        ("tasks:", "expect: [ never(LEAK) ], tasks:"),
        ("tasks:", "cpus: { 0: [ tick() ] }, tasks:"),
    ] {
        check_digest(&base, &base.replace(from, to), false);
    }
}

#[test]
fn the_digest_is_stable() {
    let scenario = parse("");
    assert_eq!(
        scenario.canonical(),
        "Scenario(\n    schema: 1,\n    name: \"x\",\n    machine: (cpus: 2),\n)\n"
    );
    assert_eq!(scenario.digest().len(), 64);
    assert_eq!(scenario.digest(), parse("refs: [],").digest());
}

// Kernels.

#[track_caller]
fn check_kernel(fields: &str, version: (u32, u32, u32), codes: &[&str]) {
    let scenario = parse(&(TIMERS.to_string() + fields));
    let found: Vec<_> = load::kernel_rules(&scenario, version).iter().map(|d| d.code).collect();
    assert_eq!(found, codes, "{version:?}");
}

#[test]
fn kernel_rules_follow_the_version() {
    let prog =
        |kind: &str, step: &str| format!("progs: {{ \"p\": (type: {kind}, body: [ {step} ]) }},");
    let cancel = "may_fail(bpf_timer_cancel(\"m[1]\"))";
    let pin = "bpf_timer_start(\"m[1]\", \"1us\", [BPF_F_TIMER_CPU_PIN])";
    let abs = "bpf_timer_start(\"m[1]\", \"1us\", [BPF_F_TIMER_ABS])";
    check_kernel(&prog("SYSCALL", pin), (6, 6, 0), &["E0316"]);
    check_kernel(&prog("SYSCALL", pin), (6, 7, 0), &[]);
    check_kernel(&prog("SYSCALL", abs), (6, 3, 0), &["E0316"]);
    check_kernel(&prog("SYSCALL", abs), (6, 4, 0), &[]);
    check_kernel(&prog("SYSCALL", &format!("ret([0, EINVAL], {pin})")), (6, 1, 0), &[]);
    for kind in ["KPROBE", "PERF_EVENT"] {
        check_kernel(&prog(kind, cancel), (5, 15, 0), &[]);
        check_kernel(&prog(kind, cancel), (5, 15, 9), &["E0317"]);
        check_kernel(&prog(kind, cancel), (5, 16, 0), &["E0317"]);
        check_kernel(&prog(kind, cancel), (6, 19, 0), &["E0317"]);
        check_kernel(&prog(kind, cancel), (7, 0, 0), &[]);
    }
    let asynchronous = "may_fail(bpf_timer_cancel_async(\"m[1]\"))";
    check_kernel(&prog("SYSCALL", asynchronous), (6, 19, 0), &["E0319"]);
    check_kernel(&prog("SYSCALL", asynchronous), (7, 0, 0), &[]);
    // A fix that the file adds or takes away counts.
    let with = "kernel: Kernel(base: \"v6.6\", with: [\"d6247ecb6c1e\"]),\n";
    check_kernel(&(with.to_string() + &prog("SYSCALL", pin)), (6, 6, 0), &[]);
    let without = "kernel: Kernel(base: \"v6.12\", without: [\"d6247ecb6c1e\"]),\n";
    check_kernel(&(without.to_string() + &prog("SYSCALL", pin)), (6, 12, 0), &["E0316"]);
    // An expected refusal is the kernel's turn.
    let load = "tasks: { \"t\": (cpu: 0, body: [ ret([EINVAL], bpf_prog_load(\"p\")) ]) },";
    check_kernel(&(prog("KPROBE", cancel) + load), (6, 1, 0), &[]);
}

#[test]
fn preempt_rt_follows_the_version() {
    let text = source(&format!(
        "{TIMERS}progs: {{ \"p\": (type: SYSCALL, body: [\n\
             may_fail(bpf_timer_cancel(\"m[1]\")) ]) }},"
    ));
    let text = text.replace("(cpus: 2)", "(cpus: 2, preempt: PREEMPT_RT)");
    let scenario = load::parse(&text, &[]).unwrap();
    for (version, refused) in
        [((6, 12, 0), false), ((6, 12, 117), true), ((6, 1, 192), true), ((6, 17, 0), true)]
    {
        let diags = load::kernel_rules(&scenario, version);
        assert_eq!(diags.iter().any(|diag| diag.code == "E0318"), refused, "{version:?}");
    }
}

// Files and messages.

#[test]
fn files_that_cannot_be_read_say_why() {
    let folder = std::env::temp_dir().join(format!("timerace-scenarios-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let missing = load::read_file(folder.join("none.ron")).unwrap_err();
    assert!(matches!(missing, ReadError::Missing { .. }));
    assert!(missing.to_string().ends_with("none.ron: there is no such file"), "{missing}");
    assert!(matches!(load::read_file(&folder).unwrap_err(), ReadError::Directory { .. }));
    let binary = folder.join("binary.ron");
    std::fs::write(&binary, b"Scenario(\xff\x00)").unwrap();
    let error = load::read_file(&binary).unwrap_err();
    assert!(matches!(error, ReadError::NotText { at: 9, byte: 0xff, .. }), "{error}");
    assert_eq!(error.code(), "E0117");
    // A file with a hole: nothing of it is read.
    let large = folder.join("large.ron");
    let file = std::fs::File::create(&large).unwrap();
    file.set_len(17 << 20).unwrap();
    assert!(matches!(load::read_file(&large).unwrap_err(), ReadError::TooLarge { .. }));
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(load::parse(&" ".repeat(17 << 20), &[]).unwrap_err()[0].code == "E0117");
}

#[test]
fn messages_have_three_forms() {
    let text = source("maps: { \"m\": HASH(max_entrys: 1) },");
    let diags = load::parse(&text, &[]).unwrap_err();
    assert_eq!(
        diag::short(&diags[0], "a/x.ron", &text),
        "a/x.ron:2:19: error: unknown field `max_entrys` in map \"m\"; did you mean `max_entries`?"
    );
    let json = diag::to_json(&diags[0], "x.ron", &text);
    assert_eq!(json["line"], 2);
    assert_eq!(json["column"], 19);
    assert_eq!(json["severity"], "error");
    assert_eq!(json["help"], "did you mean `max_entries`?");
    let ansi = diag::render(&diags[0], "x.ron", &text, Style::Ansi);
    assert!(ansi.contains("\u{1b}["));
    assert_eq!(diag::summary(&diags), "1 error; nothing was run");
    assert_eq!(diags[0].severity, Severity::Error);
}

#[test]
fn warnings_are_no_errors() {
    let text = source("params: { \"p\": \"1us\" },");
    let checked = load::check(&text, &[]);
    assert!(checked.scenario.is_some());
    assert_eq!(checked.diagnostics[0].code, "W0408");
    assert!(load::parse(&text, &[]).is_ok());
}

#[test]
fn no_terminal_codes_of_a_file_reach_a_message() {
    let text = source("vars: { \"\u{1b}[31mred\u{202e}\": nothing },");
    let diags = load::parse(&text, &[]).unwrap_err();
    let shown = diag::render_all(&diags, "x.ron", &text, Style::Plain);
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
}

/// Lookups are indexed: a file of a megabyte is no reason to wait.
#[test]
fn large_files_are_read() {
    let mut vars = String::new();
    let mut body = String::new();
    for n in 0..20_000 {
        vars += &format!("\"v{n}\": int(0), ");
        body += &format!("write(\"v{n}\", 1), ");
    }
    let tasks = format!("tasks: {{ \"t\": (cpu: 0, body: [ {body} ]) }}");
    let scenario = parse(&format!("vars: {{ {vars} }}, {tasks},"));
    assert_eq!(scenario.tasks[0].1.body.len(), 20_000);
    // And so are mistakes: the same without the variables.
    let diags = load::parse(&source(&tasks), &[]).unwrap_err();
    assert_eq!(diags.len(), 20);
    assert!(diags[19].notes.iter().any(|note| note.contains("more errors are not shown")));
}
