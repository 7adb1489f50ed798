//! Reads recordings: schema `bpf-timer-oracle/1`, one JSON object in each line.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use timerace_kernel::world::{MapFlags, MapKind};

use super::case::{
    By, Case, Content, Event, MapShape, RecordedOp, Repeatable, Ret, Runtime, Variant,
};
use super::fields::{Fields, Problem};
use super::limit::Limited;
use super::ops;

/// The schema that is read.
pub const SCHEMA: &str = "bpf-timer-oracle/1";

/// Why a text is no recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for ParseError {}

/// Reads a recording. Empty lines are passed over. A case that says something unknown is kept, as
/// one that cannot be judged.
///
/// # Errors
///
/// A line is no JSON object, is of another schema, lacks a field or has one of the wrong type.
pub fn parse(text: &str) -> Result<Vec<Case>, ParseError> {
    let mut cases = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let at = u32::try_from(at + 1).unwrap_or(u32::MAX);
        if line.trim().is_empty() {
            continue;
        }
        let fail = |what: String| ParseError { line: at, what };
        let value: Value =
            serde_json::from_str(line).map_err(|e| fail(format!("no JSON object: {e}")))?;
        cases.push(case(at, value).map_err(fail)?);
    }
    Ok(cases)
}

fn case(line: u32, value: Value) -> Result<Case, String> {
    let broken = |p: Problem| match p {
        Problem::Unknown(what) | Problem::Malformed(what) => what,
    };
    let mut f = Fields::of("the line", value).map_err(broken)?;
    let schema: String = f.need("schema").map_err(broken)?;
    if schema != SCHEMA {
        return Err(format!("schema {schema} is not {SCHEMA}"));
    }
    let kind: String = f.need("kind").map_err(broken)?;
    let kernel = f.need("kernel").map_err(broken)?;
    let environment = f.need("environment").map_err(broken)?;
    let id = if kind == "race" {
        let mode: String = f.need("mode").map_err(broken)?;
        format!("race-{mode}-line-{line}")
    } else {
        f.need("id").map_err(broken)?
    };
    let content = match content(&kind, f) {
        Ok(content) => content,
        Err(Problem::Unknown(what)) => Content::Unjudged(what),
        Err(Problem::Malformed(what)) => return Err(what),
    };
    Ok(Case { line, id, kind, kernel, environment, content })
}

fn content(kind: &str, mut f: Fields) -> Result<Content, Problem> {
    match kind {
        "runtime" => match f.maybe("load_ret")? {
            Some(load_ret) => {
                f.done()?;
                Ok(Content::Refused { load_ret })
            }
            None => runtime(f).map(Content::Runtime),
        },
        "load" => {
            f.skip(&["err", "verifier"]);
            let ret = f.need("ret")?;
            f.done()?;
            Ok(Content::Load { ret })
        }
        "limit" => Ok(Content::Limit(limit(f)?)),
        "race" => {
            let why = "statistics of races by luck: a single run has nothing to compare them with";
            Ok(Content::Unjudged(why.into()))
        }
        _ => Err(Problem::Unknown(format!("unknown kind {kind}"))),
    }
}

fn limit(mut f: Fields) -> Result<Limited, Problem> {
    // Bytes, and where in the batch something failed, are not compared.
    f.skip(&["test_run", "current_before", "current_after", "note"]);
    f.skip(&["first_failure", "failing_stretches"]);
    let full = f.maybe::<u64>("memory_max")?.is_some();
    let (timers, ok) = (f.need("timers")?, f.need("init_ok")?);
    let (enomem, other) = (f.need("init_enomem")?, f.maybe("init_other")?.unwrap_or(0));
    f.done()?;
    Ok(Limited { timers, ok, enomem, other, full })
}

fn runtime(mut f: Fields) -> Result<Runtime, Problem> {
    f.skip(&["desc", "repetitions"]);
    let tags: Vec<String> = f.need("tags")?;
    let immediate = tags.iter().any(|t| t == "step-of-event-may-vary");
    let map = map_shape(f.need("map")?)?;
    let mut callbacks = BTreeMap::new();
    for (number, list) in f.need::<BTreeMap<String, Vec<Value>>>("callbacks")? {
        let n = number
            .parse()
            .map_err(|_| Problem::Malformed(format!("callback {number} is no number")))?;
        if n >= ops::CALLBACKS_MAX {
            return f.unknown("callback", &number);
        }
        let body: Result<Vec<_>, _> = list.into_iter().map(ops::callback_op).collect();
        callbacks.insert(n, body?);
    }
    let ops: Result<Vec<RecordedOp>, _> =
        f.need::<Vec<Value>>("ops")?.into_iter().enumerate().map(|(i, v)| ops::op(i, v)).collect();
    let events = events(f.need("events")?)?;
    let repeatable: String = f.need("repeatable")?;
    let repeatable = match repeatable.as_str() {
        "exact" if immediate => Repeatable::Immediate,
        "exact" => Repeatable::Exact,
        "except which op a callback falls into" => Repeatable::ExceptDuringOp,
        "varies" => Repeatable::Varies,
        other => return f.unknown("repeatable", other),
    };
    let variants: Vec<Value> = f.maybe("variants")?.unwrap_or_default();
    let variants: Result<Vec<_>, _> = variants.into_iter().map(variant).collect();
    let mut timing = Fields::of("timing_us", f.need("timing_us")?)?;
    let op_end_us = timing.need("op_end")?;
    timing.skip(&["event"]);
    timing.done()?;
    f.done()?;
    let run =
        Runtime { map, callbacks, ops: ops?, events, repeatable, variants: variants?, op_end_us };
    consistent(&run).map_err(Problem::Malformed)?;
    Ok(run)
}

fn map_shape(value: Value) -> Result<MapShape, Problem> {
    let mut f = Fields::of("map", value)?;
    let kind: String = f.need("type")?;
    let kind = match kind.as_str() {
        "hash" => MapKind::Hash,
        "array" => MapKind::Array,
        "lru_hash" => MapKind::LruHash,
        other => return f.unknown("type", other),
    };
    let max_entries = f.need("max_entries")?;
    let mut flags = MapFlags::default();
    for flag in f.need::<Vec<String>>("map_flags")? {
        match flag.as_str() {
            "BPF_F_NO_PREALLOC" => flags.no_prealloc = true,
            "BPF_F_NO_COMMON_LRU" => flags.no_common_lru = true,
            other => return f.unknown("flag", other),
        }
    }
    let outer = match f.maybe::<String>("outer")?.as_deref() {
        None => None,
        Some("array_of_maps") => Some(MapKind::ArrayOfMaps),
        Some("hash_of_maps") => Some(MapKind::HashOfMaps),
        Some(other) => return f.unknown("outer", other),
    };
    f.done()?;
    Ok(MapShape { kind, max_entries, flags, outer })
}

fn events(list: Vec<Value>) -> Result<Vec<Event>, Problem> {
    list.into_iter().enumerate().map(|(i, v)| event(i, v)).collect()
}

fn event(i: usize, value: Value) -> Result<Event, Problem> {
    let mut f = Fields::of(&format!("event {i}"), value)?;
    let value_arg: String = f.need("value_arg")?;
    let value_is_current = match value_arg.as_str() {
        "same as lookup" => true,
        // The words for the opposite are not documented; anything else is taken for it.
        _ => false,
    };
    let ops: Result<Vec<_>, _> =
        f.need::<Vec<Value>>("ops")?.into_iter().map(ops::event_op).collect();
    let event = Event {
        during_op: f.need("during_op")?,
        callback: ops::callback(&mut f)?,
        run: f.need("run")?,
        key: f.need("key")?,
        data: f.need::<u64>("data")?.cast_signed(),
        value_is_current,
        cpu: f.maybe("cpu")?,
        ops: ops?,
    };
    f.done()?;
    Ok(event)
}

fn variant(value: Value) -> Result<Variant, Problem> {
    let mut f = Fields::of("a variant", value)?;
    let events = events(f.need("events")?)?;
    let rets: Result<Vec<Ret>, _> =
        f.need::<Vec<Value>>("rets")?.iter().map(|v| ops::bare_ret(v, "a variant")).collect();
    f.done()?;
    Ok(Variant { rets: rets?, events })
}

/// What the comparison takes for granted about the parts of a case.
fn consistent(run: &Runtime) -> Result<(), String> {
    if run.op_end_us.len() != run.ops.len() {
        return Err("timing_us has not one end for each operation".into());
    }
    for variant in &run.variants {
        if variant.rets.len() != run.ops.len() {
            return Err("a variant has not one result for each operation".into());
        }
    }
    let variants = run.variants.iter().flat_map(|v| &v.events);
    for event in run.events.iter().chain(variants) {
        if event.during_op >= run.ops.len() {
            return Err(format!(
                "an event began during operation {}, which is none",
                event.during_op
            ));
        }
        let body = run.callbacks.get(&event.callback).map_or(0, Vec::len);
        if event.ops.len() != body {
            return Err(format!(
                "an event of callback {} has not one result for each of its operations",
                event.callback
            ));
        }
    }
    let outer = run.map.outer.is_some();
    for (i, op) in run.ops.iter().enumerate() {
        if matches!(op.by, By::Prog(_)) && op.action.is_pause() {
            return Err(format!("operation {i} is no operation of a program"));
        }
        if op.action.elem().is_some_and(|e| e.inner.is_some() != outer || e.key.is_none()) {
            return Err(format!("operation {i} names no element of this map"));
        }
    }
    Ok(())
}
