//! What `shrink` says: how much smaller the schedule and the scenario have become, and what is left.

use crate::json::{FindingLine, SCHEMA};
use crate::num::count;
use crate::origin::Origin;
use crate::splat::splat;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use timerace_core::least::Effort;
use timerace_core::record::Record;

/// A part of a scenario that can be counted, before and after.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// In the plural: `tasks`.
    pub name: &'static str,
    /// So many were there.
    pub before: u64,
    /// So many are left.
    pub after: u64,
}

/// A schedule with what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its short text.
    pub text: String,
    /// What it takes up to the finding.
    pub effort: Effort,
}

/// What came of shrinking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrinking<'a> {
    /// The schedule as it was given.
    pub given: Row,
    /// The least one of the same scenario.
    pub least: Row,
    /// No schedule of the scenario that shows the finding takes less.
    pub exact: bool,
    /// The least one of the smaller scenario.
    pub shrunk: Row,
    /// Parts of the scenario.
    pub parts: Vec<Part>,
    /// Smaller scenarios that were tried.
    pub tries: u64,
    /// Of these, since the last change, those that were too big to decide.
    pub undecided: u64,
    /// The smaller scenario.
    pub source: &'a str,
}

/// For people: tables, the scenario, and the block of the finding.
pub fn shrunk_text(s: &Shrinking<'_>, rec: &Record, finding: usize, origin: &Origin) -> String {
    let mut out = String::new();
    if let Some(f) = rec.findings.get(finding) {
        let _ = writeln!(out, "{}  {}  {}\n", origin.scenario, origin.kernel, f.title());
    }
    let _ = writeln!(out, "schedule          preemptions  interrupts  steps");
    for (name, r) in [("as given", &s.given), ("least", &s.least), ("smaller scenario", &s.shrunk)]
    {
        let e = r.effort;
        let _ = writeln!(
            out,
            "{name:<16}  {:>11}  {:>10}  {:>5}  {}",
            e.preemptions, e.interrupts, e.steps, r.text
        );
    }
    let _ = writeln!(out, "\nscenario     before  after");
    for p in &s.parts {
        let _ = writeln!(out, "{:<11}  {:>6}  {:>5}", p.name, p.before, p.after);
    }
    let _ = writeln!(out, "\n{}", how_sure(s));
    let _ = writeln!(out, "\n{}\n{}", s.source.trim_end(), splat(rec, finding, origin).trim_end());
    out
}

fn how_sure(s: &Shrinking<'_>) -> String {
    let schedule = if s.exact {
        "No schedule of the scenario that shows the finding takes less."
    } else {
        "The scenario is too big to say that no schedule takes less."
    };
    let tries = count(s.tries, "smaller scenario was tried", "smaller scenarios were tried");
    let scenario = match s.undecided {
        0 => format!("No single piece of the scenario can be left out ({tries})."),
        n => format!("{n} of the pieces that are left could not be decided ({tries})."),
    };
    format!("{schedule}\n{scenario}")
}

/// For scripts.
pub fn shrunk_json(
    s: &Shrinking<'_>,
    scenario: &str,
    kernel: &str,
    rec: &Record,
    finding: usize,
) -> Value {
    let row = |r: &Row| {
        json!({
            "schedule": r.text,
            "preemptions": r.effort.preemptions,
            "interrupts": r.effort.interrupts,
            "steps": r.effort.steps,
        })
    };
    let sizes: Map<String, Value> = s
        .parts
        .iter()
        .map(|p| (p.name.replace(' ', "_"), json!({ "before": p.before, "after": p.after })))
        .collect();
    let line = FindingLine::of(rec, &rec.findings[finding], kernel);
    json!({
        "schema": SCHEMA,
        "scenario": scenario,
        "kernel": kernel,
        "findings": [line.value()],
        "given": row(&s.given),
        "least": row(&s.least),
        "exact": s.exact,
        "shrunk": row(&s.shrunk),
        "size": sizes,
        "tries": s.tries,
        "undecided": s.undecided,
        "source": s.source,
    })
}
