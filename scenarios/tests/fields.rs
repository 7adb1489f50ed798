//! A bogus field at each level of each struct gets E0103 with its place.
#![allow(clippy::unwrap_used)]

use timerace_scenarios::diag;
use timerace_scenarios::load;

/// Checks that `bogus` in the text is reported as a field, exactly there, and nothing else is.
#[track_caller]
fn check(fields: &str) {
    let source = format!(
        "Scenario(schema: 1, name: \"x\",\n\
         maps: {{ \"m\": HASH(max_entries: 1) }},\n\
         progs: {{ \"cb\": (type: TIMER_CB, body: []) }},\n{fields}\n)"
    );
    let source = match fields.contains("machine:") {
        true => source,
        false => source.replace("name: \"x\",", "name: \"x\", machine: (cpus: 2),"),
    };
    // A section of the example stands instead of the one above.
    let source = match (fields.contains("\nmaps:"), fields.contains("\nprogs:")) {
        (true, _) => source.replace("maps: { \"m\": HASH(max_entries: 1) },\n", ""),
        (_, true) => source.replace("progs: { \"cb\": (type: TIMER_CB, body: []) },\n", ""),
        _ => source,
    };
    let diags = load::parse(&source, &[]).unwrap_err();
    let at = source.find("bogus").unwrap();
    assert_eq!(diags.len(), 1, "{}", diag::render_all(&diags, "x", &source, diag::Style::Plain));
    assert_eq!(diags[0].code, "E0103", "{:?}", diags[0]);
    assert_eq!(diags[0].primary.0.range(), at..at + 5, "{:?}", diags[0]);
    assert!(diags[0].notes[0].starts_with("fields are "), "{:?}", diags[0]);
    // Without it the file is good, so that nothing else hides behind it.
    let good = source.replace("bogus: 1,", "");
    let result = load::parse(&good, &[]);
    assert!(result.is_ok(), "{result:?}\n{good}");
}

#[test]
fn top() {
    check("bogus: 1,");
}

#[test]
fn machine() {
    check("machine: (bogus: 1, cpus: 2),");
}

#[test]
fn kernel() {
    check("kernel: Kernel(bogus: 1, base: \"v6.7\"),");
}

#[test]
fn sweep() {
    check(
        "params: { \"p\": sweep(bogus: 1, from: \"1us\", to: \"9us\", step: \"1us\") },\n\
         tasks: { \"t\": (cpu: 0, body: [ work(\"1us\") ]) },",
    );
}

#[test]
fn map() {
    check("\nmaps: { \"m\": ARRAY(bogus: 1, max_entries: 1) },");
}

#[test]
fn prog() {
    check("\nprogs: { \"p\": (bogus: 1, type: XDP, body: []) },");
}

#[test]
fn memcg() {
    check("memcgs: { \"m1\": (bogus: 1, max_bytes: 3) },");
}

#[test]
fn task() {
    check("tasks: { \"t\": (bogus: 1, cpu: 0, body: []) },");
}

#[test]
fn faults() {
    check("faults: [ enomem(bogus: 1, in: \"bpf_timer_init\") ],");
    check("faults: [ may_enomem(bogus: 1, in: \"bpf_timer_init\") ],");
}

#[test]
fn explore() {
    check("explore: (bogus: 1, irqs: 1),");
}

#[test]
fn limits() {
    check("limits: (bogus: 1, steps: 1),");
}

#[test]
fn expectations() {
    check("expect: [ latency(bogus: 1, of: \"m[0]\", max: \"1us\") ],");
    check("expect: [ drift(bogus: 1, of: \"m[0]\", max: \"1us\") ],");
    check("expect: [ hold(bogus: 1, lock: \"m.lock\", max: \"1us\") ],");
    check("expect: [ count(bogus: 1, schedules: 7) ],");
    check("expect: [ on(\"< v6.8\", count(bogus: 1, schedules: 7)) ],");
}
