//! The judge: what was recorded against what the model did.

use std::collections::BTreeSet;

use timerace_kernel::world::MapKind;

use super::body::name;
use super::case::{
    Action, By, CallbackOp, Case, Content, Event, OpResult, RecordedOp, Repeatable, Ret, Runtime,
    Variant,
};
use super::run::{Given, Run, Seen, SeenEvent};

/// Something that the model does otherwise than the real kernel did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where in the case.
    pub place: String,
    /// What the real kernel did.
    pub recorded: String,
    /// What the model did.
    pub model: String,
}

fn differ(
    place: impl Into<String>,
    recorded: impl Into<String>,
    model: impl Into<String>,
) -> Difference {
    Difference { place: place.into(), recorded: recorded.into(), model: model.into() }
}

/// `-ENOENT`: also what a batch gives that has come to the end of the map.
const ENOENT: i64 = -2;
/// An operation that takes longer than this had to wait for a callback: without, they take some milliseconds at most on
/// the slowest of the recorded machines; callbacks that are waited for spin three times as long.
const WAIT_NS: u64 = 80_000_000;

/// Compares a case with what the model did; nothing if they agree. Where the recording names several outcomes, one of
/// them suffices. Keys of a walk are compared as sets: their order in a hash depends on a random seed. Times are not
/// compared, but which operation had to wait for a callback is.
#[must_use]
pub fn compare(case: &Case, run: &Run) -> Vec<Difference> {
    let mut all = match &case.content {
        Content::Runtime(recorded) => runtime(recorded, run),
        Content::Refused { load_ret: ret } | Content::Load { ret } => load(*ret, run),
        Content::Limit(l) => {
            let wrong = super::limit::difference(l, run);
            wrong
                .map(|(recorded, model)| differ("the batch", recorded, model))
                .into_iter()
                .collect()
        }
        Content::Unjudged(_) => Vec::new(),
    };
    all.extend(run.findings.iter().map(|f| differ("the run", "nothing was wrong", f)));
    all
}

fn load(ret: i64, run: &Run) -> Vec<Difference> {
    let model = match run.ops.first().and_then(Option::as_ref).map(|s| &s.given) {
        Some(Given::Code(code, _)) if (*code).min(0) == ret => return Vec::new(),
        Some(Given::Code(code, _)) => code_text((*code).min(0)),
        _ => "it did not return".into(),
    };
    vec![differ("load", code_text(ret), model)]
}

fn runtime(recorded: &Runtime, run: &Run) -> Vec<Difference> {
    let mut all = outcome(recorded, &Outcome::first(recorded), run);
    let agrees = |v| outcome(recorded, &Outcome::other(v), run).is_empty();
    if recorded.repeatable == Repeatable::Varies && recorded.variants.iter().any(agrees) {
        all.clear();
    }
    all.extend(waits(recorded, run));
    all
}

/// One of the outcomes of a case.
struct Outcome<'r> {
    results: Vec<OpResult>,
    callbacks_so_far: Vec<u64>,
    events: &'r [Event],
}

impl<'r> Outcome<'r> {
    fn first(recorded: &'r Runtime) -> Outcome<'r> {
        Outcome {
            results: recorded.ops.iter().map(|o| o.result.clone()).collect(),
            callbacks_so_far: recorded.ops.iter().map(|o| o.callbacks_so_far).collect(),
            events: &recorded.events,
        }
    }

    /// Of another repetition only codes and callbacks were kept.
    fn other(variant: &'r Variant) -> Outcome<'r> {
        let result = |ret: &Ret| OpResult { ret: *ret, data: None, keys: None, count: None };
        let begun = |i| variant.events.iter().filter(|e| e.during_op <= i).count() as u64;
        Outcome {
            results: variant.rets.iter().map(result).collect(),
            callbacks_so_far: (0..variant.rets.len()).map(begun).collect(),
            events: &variant.events,
        }
    }
}

fn outcome(recorded: &Runtime, wanted: &Outcome<'_>, run: &Run) -> Vec<Difference> {
    let mut all = Vec::new();
    let last = recorded.ops.len().saturating_sub(1);
    // A callback too many or too few is counted from there on: that is one difference, not one for each operation.
    let mut surplus = 0;
    for (i, op) in recorded.ops.iter().enumerate() {
        let place = format!("op {i} {}", name(&op.action));
        let Some(seen) = run.ops.get(i).and_then(Option::as_ref) else {
            // What comes after it did not happen either.
            all.push(differ(place, "it ended", "it did not end"));
            return all;
        };
        result(recorded, &place, op, &wanted.results[i], seen, &mut all);
        // A callback that may fall into a neighbouring operation shifts the count by that, but not at the end.
        let begun = &wanted.callbacks_so_far;
        let slack = if i == last { 0 } else { recorded.repeatable.slack() };
        let least = i.checked_sub(slack).map_or(0, |before| begun[before]);
        let most = begun[i.saturating_add(slack).min(last)];
        let now = match (least..=most).contains(&seen.callbacks) {
            true => 0,
            false => i128::from(seen.callbacks) - i128::from(begun[i]),
        };
        if now != surplus && now != 0 {
            let what = format!("{place}: callbacks so far");
            all.push(differ(what, begun[i].to_string(), seen.callbacks.to_string()));
        }
        surplus = now;
    }
    events(recorded, wanted.events, run, &mut all);
    all
}

/// The result of an operation: its code, and what it read.
fn result(
    recorded: &Runtime,
    place: &str,
    op: &RecordedOp,
    wanted: &OpResult,
    seen: &Seen,
    all: &mut Vec<Difference>,
) {
    let (code, data) = match &seen.given {
        Given::NotRun(ret) => {
            let model = format!("the test run gave {}", code_text(*ret));
            return all.push(differ(place, ret_text(wanted.ret), model));
        }
        Given::Absent => {
            if wanted.ret != Ret::Absent {
                all.push(differ(place, ret_text(wanted.ret), ret_text(Ret::Absent)));
            }
            return;
        }
        Given::Code(code, data) => (*code, data.as_slice()),
    };
    let ret = model_ret(recorded.map.kind, op.by, &op.action, code, data);
    if ret != wanted.ret {
        all.push(differ(place, ret_text(wanted.ret), ret_text(ret)));
    }
    let first = || data.first().map_or("nothing".to_string(), i64::to_string);
    if let Some(count) = wanted.count
        && data.first() != Some(&count.cast_signed())
    {
        all.push(differ(format!("{place}: count"), count.to_string(), first()));
    }
    if let Some(value) = wanted.data
        && data.first() != Some(&value)
    {
        all.push(differ(format!("{place}: data"), value.to_string(), first()));
    }
    if let Some(keys) = &wanted.keys {
        let (a, b): (BTreeSet<_>, BTreeSet<_>) = (keys.iter().collect(), data.iter().collect());
        if a != b || keys.len() != data.len() {
            all.push(differ(format!("{place}: keys"), keys_text(a), keys_text(b)));
        }
    }
}

/// A result of the model in the terms of a recording.
fn model_ret(map: MapKind, by: By, action: &Action, code: i64, data: &[i64]) -> Ret {
    match action {
        // In a program a lookup gives a pointer; recordings say of an absent element that nothing was called.
        Action::Lookup(_) if by != By::User && code != 0 => Ret::Value,
        Action::Lookup(_) if by != By::User => Ret::Absent,
        // The recorder notes 0 for any descriptor, and for a walk the number of keys.
        Action::Dup(_) | Action::Get(_) | Action::ById(_) => Ret::Code(code.min(0)),
        Action::Keys if code >= 0 => Ret::Code(data.len() as i64),
        // The model looks up all elements. An array gives -ENOENT only to those who ask for more than it has.
        Action::LookupBatch(max) | Action::LookupAndDeleteBatch(max)
            if map.is_array() && code == ENOENT && data.first() == Some(&max.cast_signed()) =>
        {
            Ret::Code(0)
        }
        _ => Ret::Code(code),
    }
}

fn events(recorded: &Runtime, wanted: &[Event], run: &Run, all: &mut Vec<Difference>) {
    let count = run.events_in_ops();
    if wanted.len() != count {
        let list = |names: Vec<String>| format!("{}: {}", names.len(), names.join(", "));
        let real = wanted.iter().map(|e| format!("cb{}[{}]", e.callback, e.key)).collect();
        let model = run.events[..count].iter().map(|e| format!("cb{}[{}]", e.callback, e.key));
        all.push(differ("runs of callbacks", list(real), list(model.collect())));
    }
    for (i, (want, seen)) in wanted.iter().zip(&run.events[..count]).enumerate() {
        event(recorded, i, want, run.during_op(i), seen, all);
    }
}

fn event(
    recorded: &Runtime,
    i: usize,
    want: &Event,
    during_op: Option<usize>,
    seen: &SeenEvent,
    all: &mut Vec<Difference>,
) {
    let mut check = |what: &str, recorded: String, model: String| {
        if recorded != model {
            all.push(differ(format!("event {i}: {what}"), recorded, model));
        }
    };
    check("callback", want.callback.to_string(), seen.callback.to_string());
    check("run", want.run.to_string(), seen.run.to_string());
    check("key", want.key.to_string(), seen.key.to_string());
    let data = seen.data.map_or("none".to_string(), |d| d.to_string());
    check("data", want.data.to_string(), data);
    let current = |yes| if yes { "same as lookup" } else { "another value" }.to_string();
    check("value_arg", current(want.value_is_current), current(seen.value_is_current));
    if let Some(cpu) = want.cpu {
        check("cpu", cpu.to_string(), seen.cpu.to_string());
    }
    let slack = recorded.repeatable.slack();
    if during_op.is_none_or(|d| d.abs_diff(want.during_op) > slack) {
        let during = during_op.map_or("none".to_string(), |d| d.to_string());
        check("during_op", want.during_op.to_string(), during);
    }
    if want.callback != seen.callback {
        return;
    }
    let body = recorded.callbacks.get(&want.callback).map_or(&[][..], Vec::as_slice);
    for (j, (op, (ret, data))) in body.iter().zip(&want.ops).enumerate() {
        let what = format!("op {j} {}", name(&op.action));
        let (model, read) = match seen.ops.get(&j) {
            // Spinning leaves no result: it is done in the runs in which it is to be done.
            None if spins(op, seen.run) => (Ret::Code(0), None),
            None => (Ret::MaxRun, None),
            Some(Given::Absent | Given::NotRun(_)) => (Ret::Absent, None),
            Some(Given::Code(code, read)) => {
                let by = By::Prog(0);
                (model_ret(recorded.map.kind, by, &op.action, *code, read), read.first().copied())
            }
        };
        check(&what, ret_text(*ret), ret_text(model));
        if let Some(data) = data {
            let read = read.map_or("none".to_string(), |d| d.to_string());
            check(&format!("{what}: data"), data.to_string(), read);
        }
    }
}

fn spins(op: &CallbackOp, run: u64) -> bool {
    matches!(op.action, Action::Spin(_)) && op.max_run.is_none_or(|max| run <= max)
}

/// Which operations had to wait for a callback that runs on another CPU. Only cases whose callbacks spin can tell.
fn waits(recorded: &Runtime, run: &Run) -> Vec<Difference> {
    let spins = recorded.callbacks.values().flatten();
    if !spins.into_iter().any(|o| matches!(o.action, Action::Spin(ns) if ns > WAIT_NS)) {
        return Vec::new();
    }
    let mut all = Vec::new();
    let (mut real_before, mut model_before) = (0, run.begin_ns);
    for (i, op) in recorded.ops.iter().enumerate() {
        let Some(seen) = run.ops.get(i).and_then(Option::as_ref) else { break };
        let real = recorded.op_end_us[i].saturating_sub(real_before).saturating_mul(1000);
        let model = seen.time_ns.saturating_sub(model_before);
        (real_before, model_before) = (recorded.op_end_us[i], seen.time_ns);
        if !op.action.is_pause() && (real > WAIT_NS) != (model > WAIT_NS) {
            let text = |ns: u64| {
                let waited = if ns > WAIT_NS { "waited" } else { "did not wait" };
                format!("{waited} ({} ms)", ns / 1_000_000)
            };
            let place = format!("op {i} {}: time", name(&op.action));
            all.push(differ(place, text(real), text(model)));
        }
    }
    all
}

fn keys_text(keys: BTreeSet<&i64>) -> String {
    let keys: Vec<String> = keys.into_iter().map(i64::to_string).collect();
    format!("[{}]", keys.join(", "))
}

fn ret_text(ret: Ret) -> String {
    match ret {
        Ret::Code(code) => code_text(code),
        Ret::Value => "a value".into(),
        Ret::Absent => "not called (nothing there)".into(),
        Ret::MaxRun => "not called (in this run)".into(),
    }
}

fn code_text(code: i64) -> String {
    match timerace_kernel::errno::name(code) {
        Some(name) => format!("-{name}"),
        None => code.to_string(),
    }
}
