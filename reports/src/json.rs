//! What scripts read: one object per command, keys sorted, `"schema": 1`. The keys may grow; they do not change.

use crate::estimate::{Pct, sample_value};
use crate::facts::Facts;
use crate::latency::Summary;
use crate::latency_table::Tables;
use crate::order::{missing, waiting};
use crate::origin::Origin;
use crate::passing::passing_json;
use crate::starved::Starving;
use crate::steps::changes;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use timerace_core::nearest::Passing;
use timerace_core::record::{FindingRecord, Record};
use timerace_core::result::{Exploration, Layer, Verdict};
use timerace_core::timing::Times;

/// The schema of all results.
pub const SCHEMA: u32 = 1;

/// The bound of a search that the user ended.
pub const INTERRUPTED: &str = "interrupted";

/// The judgement of one expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectationResult {
    /// Its stable name, `[a-z0-9_]+`.
    pub name: String,
    /// Whether it holds; `None`: not judged (a `sometimes` in a single run, a search cut off before it could be known).
    pub ok: Option<bool>,
    /// Why it does not hold, or was not judged.
    pub detail: Option<String>,
    /// The short text of a schedule that breaks it.
    pub schedule: Option<String>,
}

impl ExpectationResult {
    fn value(&self) -> Value {
        let mut out = json!({ "name": self.name, "ok": self.ok });
        for (key, value) in [("detail", &self.detail), ("schedule", &self.schedule)] {
            if let Some(value) = value {
                out[key] = json!(value);
            }
        }
        out
    }
}

/// A finding as scripts see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingLine {
    /// The class's stable name.
    pub class: String,
    /// Sorted; the same twice where there is one.
    pub functions: [String; 2],
    /// In one sentence.
    pub message: String,
    /// The short text of a schedule that shows it.
    pub schedule: String,
    /// Switches of that schedule.
    pub switches: u32,
    /// The kernel.
    pub kernel: String,
    /// The step that shows it, from 1.
    pub step: u32,
    /// The step of the other side; 0 before the start.
    pub other_step: Option<u32>,
    /// The object that it is about.
    pub object: Option<String>,
    /// The order that is missing between the two steps.
    pub order: Option<String>,
    /// The nearest schedule that passes.
    pub passing: Option<Passing>,
    /// The smallest delay of one step that makes it happen with these durations, in nanoseconds: 0 if it happens without.
    pub delay_ns: Option<u64>,
}

impl FindingLine {
    /// A finding of a recorded run.
    pub fn of(rec: &Record, finding: &FindingRecord, kernel: &str) -> FindingLine {
        let facts = Facts::new(rec);
        FindingLine {
            class: finding.class.name().to_string(),
            functions: finding.functions.clone(),
            message: finding.title(),
            schedule: rec.text.clone(),
            switches: rec.switches,
            kernel: kernel.to_string(),
            step: finding.at.step,
            other_step: finding.other.as_ref().map(|o| o.step),
            object: finding.object.clone().or_else(|| {
                finding.waits.iter().find(|w| w.waiter == finding.at.ctx).map(|w| w.over.clone())
            }),
            order: missing(&facts, finding).map(|m| m.text).or_else(|| waiting(&facts, finding)),
            passing: rec.passing.clone(),
            delay_ns: rec.times.as_ref().and_then(Times::delay_needed),
        }
    }

    pub(crate) fn value(&self) -> Value {
        json!({
            "class": self.class,
            "functions": self.functions,
            "message": self.message,
            "schedule": self.schedule,
            "switches": self.switches,
            "kernel": self.kernel,
            "step": self.step,
            "other_step": self.other_step,
            "object": self.object,
            "order": self.order,
            "passing": self.passing.as_ref().map(passing_json),
            "delay_ns": self.delay_ns,
        })
    }
}

/// The result of `run`.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// The scenario's name.
    pub scenario: String,
    /// The kernel.
    pub kernel: String,
    /// The seed of the run.
    pub seed: u64,
    /// Virtual time at the end, in nanoseconds.
    pub virtual_ns: u64,
    /// Steps of the run.
    pub steps: u64,
    /// Expiries of timers.
    pub expiries: u64,
    /// What is said of it.
    pub verdict: Verdict,
    /// One per class and pair of functions.
    pub findings: Vec<FindingLine>,
    /// In the order of the scenario.
    pub expectations: Vec<ExpectationResult>,
    /// Per timer, `map[key]`.
    pub latency: BTreeMap<String, Summary>,
    /// What all lateness together was spent on: nanoseconds by cause.
    pub causes: Vec<(String, u64)>,
    /// Percentiles per timer, CPU and cause.
    pub tables: Tables,
    /// SHA-256 of the full step record, in hexadecimal digits.
    pub digest: String,
    /// The run was ended before its own end: by the user, or because it got nowhere.
    pub partial: bool,
    /// A timer or task that its CPU did not get to.
    pub starved: Option<Starving>,
}

/// The result of `explore`.
#[derive(Clone, Debug)]
pub struct ExploreResult {
    /// The scenario's name.
    pub scenario: String,
    /// The kernel.
    pub kernel: String,
    /// What the search covered.
    pub exploration: Exploration,
    /// What probabilistic concurrency testing was asked for, if it was.
    pub pct: Option<Pct>,
    /// What is said of it.
    pub verdict: Verdict,
    /// One per class and pair of functions.
    pub findings: Vec<FindingLine>,
    /// In the order of the scenario.
    pub expectations: Vec<ExpectationResult>,
    /// Schedules in which every `sometimes(..)` that names no bug held; `None`: there is no such predicate.
    pub window_entered: Option<u64>,
    /// Bounds that the scenario itself declares, by name, where they cut the search off.
    pub within: BTreeMap<String, u64>,
}

/// A cell of `test`: one scenario on one kernel.
#[derive(Clone, Debug)]
pub struct TestCase {
    /// The scenario's name.
    pub scenario: String,
    /// The kernel.
    pub kernel: String,
    /// What is said of it.
    pub verdict: Verdict,
    /// Every inequivalent schedule was run.
    pub complete: bool,
    /// In the order of the scenario.
    pub expectations: Vec<ExpectationResult>,
    /// 0: every expectation holds; 1: one does not; 3: a bound was hit before all was decided.
    pub exit_code: u8,
}

fn expectations(all: &[ExpectationResult]) -> Value {
    all.iter().map(ExpectationResult::value).collect()
}

fn findings(all: &[FindingLine]) -> Value {
    all.iter().map(FindingLine::value).collect()
}

/// The percentiles of a timer.
pub fn summary(s: &Summary) -> Value {
    json!({
        "count": s.count,
        "min_ns": s.min_ns,
        "p50_ns": s.p50_ns,
        "p99_ns": s.p99_ns,
        "p999_ns": s.p999_ns,
        "max_ns": s.max_ns,
    })
}

/// The object of `run`.
pub fn run(r: &RunResult) -> Value {
    let latency: Map<String, Value> =
        r.latency.iter().map(|(timer, s)| (timer.clone(), summary(s))).collect();
    let causes: Map<String, Value> =
        r.causes.iter().map(|(cause, ns)| (cause.clone(), json!(ns))).collect();
    let [cpus, by_cause, waits, waits_by_cause, holds, holds_by_cause] = r.tables.json();
    let mut out = json!({
        "schema": SCHEMA,
        "scenario": r.scenario,
        "kernel": r.kernel,
        "seed": r.seed,
        "virtual_ns": r.virtual_ns,
        "steps": r.steps,
        "expiries": r.expiries,
        "verdict": r.verdict.name(),
        "findings": findings(&r.findings),
        "expectations": expectations(&r.expectations),
        "latency": latency,
        "latency_by_cpu": cpus,
        "latency_by_cause": by_cause,
        "waits": waits,
        "waits_by_cause": waits_by_cause,
        "longest_wait": r.tables.longest_wait,
        "holds": holds,
        "holds_by_cause": holds_by_cause,
        "longest_hold": r.tables.longest_hold,
        "causes_ns": causes,
        "digest": r.digest,
    });
    if r.partial {
        out["partial"] = json!(true);
    }
    if let Some(starved) = &r.starved {
        out["starved"] = starved.json();
    }
    out
}

/// The object of `explore`. `within` is there only where the scenario's own bounds cut the search off.
pub fn explore(r: &ExploreResult) -> Value {
    let e = &r.exploration;
    let bounds: Map<String, Value> = e
        .bounds
        .iter()
        .map(|b| (b.name.to_string(), json!({ "value": b.value, "hit": b.hit })))
        .collect();
    let mut out = json!({
        "schema": SCHEMA,
        "scenario": r.scenario,
        "kernel": r.kernel,
        "policy": e.policy,
        "verdict": r.verdict.name(),
        "complete": e.complete,
        "engine": e.engine.name(),
        "schedules": e.schedules,
        "impossible": e.impossible,
        "failing": e.failing,
        "steps": e.steps,
        "findings": findings(&r.findings),
        "expectations": expectations(&r.expectations),
        "bounds": bounds,
        "window_entered": r.window_entered,
    });
    if let Some(v) = sample_value(e, r.pct) {
        out["estimate"] = v;
    }
    if !e.layers.is_empty() {
        out["by_preemptions"] = e.layers.iter().map(layer).collect();
    }
    if e.states > 0 {
        out["states"] = json!(e.states);
    }
    if !r.within.is_empty() {
        out["within"] = json!(r.within);
    }
    if e.bounds.iter().any(|b| b.name == INTERRUPTED) {
        out["partial"] = json!(true);
    }
    out
}

/// A case of `test` that was not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedCase {
    /// The scenario's name.
    pub scenario: String,
    /// The kernel.
    pub kernel: String,
    /// What the kernel lacks.
    pub reason: String,
}

fn layer(l: &Layer) -> Value {
    json!({ "schedules": l.schedules, "states": l.states, "failing": l.failing })
}

/// The object of `test`: its cases, and how many are ok, failed and inconclusive. What was skipped, and that the suite was
/// interrupted, is there only where it is so.
pub fn test(cases: &[&TestCase], skipped: &[SkippedCase], partial: bool) -> Value {
    let with_code = |code: u8| cases.iter().filter(|c| c.exit_code == code).count();
    let list: Value = cases
        .iter()
        .map(|c| {
            json!({
                "scenario": c.scenario,
                "kernel": c.kernel,
                "verdict": c.verdict.name(),
                "complete": c.complete,
                "expectations": expectations(&c.expectations),
            })
        })
        .collect();
    let mut out = json!({
        "schema": SCHEMA,
        "cases": list,
        "ok": with_code(0),
        "failed": with_code(1),
        "inconclusive": with_code(3),
    });
    if !skipped.is_empty() {
        let one = |s: &SkippedCase| json!({ "scenario": s.scenario, "kernel": s.kernel, "reason": s.reason });
        out["skipped"] = skipped.iter().map(one).collect();
    }
    if partial {
        out["partial"] = json!(true);
    }
    out
}

/// The object of `replay`: the findings, and every step up to `until` with what it changed. Times in nanoseconds.
pub fn replay(rec: &Record, origin: &Origin, kernel: &str, until: Option<u32>) -> Value {
    let shown = rec.steps.iter().filter(|s| until.is_none_or(|u| s.no <= u));
    let steps: Value = shown
        .map(|s| {
            let spec = rec.contexts.get(s.ctx.index());
            let changed: Map<String, Value> = changes(s, false)
                .into_iter()
                .map(|(name, after)| (name.to_string(), json!(after)))
                .collect();
            let place = s.line.map(|line| origin.place(line));
            // Steps of fragments say where they stand; those of the scenario stand in the scenario.
            let file = place.filter(|p| p.0 != origin.file).map(|p| p.0);
            let mut step = json!({
                "step": s.no,
                "cpu": spec.and_then(|c| c.cpu).map(|c| c.0),
                "context": spec.map(|c| c.name.as_str()),
                "at_ns": s.at.0,
                "text": s.text,
                "functions": s.stack.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
                "line": place.map(|p| p.1),
                "changes": changed,
            });
            if let Some(file) = file {
                step["file"] = json!(file);
            }
            step
        })
        .collect();
    let found: Vec<FindingLine> =
        rec.findings.iter().map(|f| FindingLine::of(rec, f, kernel)).collect();
    let verdict = if found.is_empty() { Verdict::Pass } else { Verdict::Bug };
    json!({
        "schema": SCHEMA,
        "scenario": origin.scenario,
        "kernel": kernel,
        "schedule": rec.text,
        "verdict": verdict.name(),
        "findings": findings(&found),
        "steps": steps,
    })
}

/// The text of an object: two spaces a level, keys sorted, a newline at the end.
pub fn text(value: &Value) -> String {
    format!("{value:#}\n")
}
