//! What a search without findings says, and what it does not say.
//!
//! A search can only speak of the model: "no bug in any schedule of this model", never more. What was cut off and what
//! the model leaves out stands beside it every time.

use crate::estimate::{Pct, sample_lines, span};
use crate::num::{count, grouped};
use std::fmt::Write as _;
use timerace_core::result::{Bound, Engine, Exploration};

/// What the scenario puts into the world, and what the model makes of it: the reach of a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Scope {
    /// CPUs of the machine.
    pub cpus: u32,
    /// Tasks of the scenario.
    pub tasks: u32,
    /// BPF programs.
    pub programs: u32,
    /// Elements of maps that the scenario touches.
    pub map_entries: u32,
    /// Interrupts that may come at any moment besides those of timers; `None`: no limit.
    pub irqs: Option<u32>,
    /// What durations mean: `untimed order, every delay possible`.
    pub timing: String,
    /// The memory model: `sequential; LKMM reordering is not modelled`.
    pub memory: String,
    /// Bounds that the scenario itself declares, by name: its author's scope, no loss of the search.
    pub within: Vec<(String, u64)>,
    /// What is not looked at: `NMI`, `CPU hotplug`.
    pub not_covered: Vec<String>,
    /// What probabilistic concurrency testing was asked for, if it was.
    pub pct: Option<Pct>,
    /// What was found in schedules that durations do not allow.
    pub missed: Missed,
    /// Schedules in which the window of the race was entered; `None`: the scenario names none.
    pub window_entered: Option<u64>,
    /// Expectations that do not hold: without a bug that is no pass either.
    pub unmet: u64,
}

/// Findings in schedules that durations do not allow.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub struct Missed {
    /// Schedules with a finding.
    pub failing: u64,
    /// The smallest delay of one step that makes one of them possible, in nanoseconds; `None`: no such delay does.
    pub delay_ns: Option<u64>,
}

impl Missed {
    /// Adds what another part of the search missed.
    pub fn absorb(&mut self, other: Missed) {
        self.failing += other.failing;
        self.delay_ns = [self.delay_ns, other.delay_ns].into_iter().flatten().min();
    }
}

fn missed_text(m: &Missed) -> String {
    match (m.failing, m.delay_ns) {
        (0, _) => String::new(),
        (n, Some(ns)) => format!(
            " A bug is in {} of them: the nearest needs one step to be delayed by {}.",
            grouped(n),
            span(ns)
        ),
        (n, None) => {
            format!(" A bug is in {} of them: no delay of one step is enough.", grouped(n))
        }
    }
}

/// How far a search came.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Reach {
    Complete,
    /// Complete but for bounds that the scenario declares.
    Within,
    Incomplete,
}

/// The statement, a few lines.
pub fn cover(e: &Exploration, scope: &Scope) -> String {
    let reach = reach(e, scope);
    let mut out = first_line(e, reach);
    if scope.unmet > 0
        && let Some(said) = out.strip_prefix("PASS  ")
    {
        let unmet = count(scope.unmet, "expectation does not hold", "expectations do not hold");
        out = format!("FAIL  {}; {unmet}\n", said.trim_end());
    }
    out.push_str(&reach_lines(e, scope, reach));
    out.push_str(&bounds_lines(e, scope));
    out.push_str(&layer_lines(e));
    if !scope.not_covered.is_empty() {
        let _ = writeln!(out, "Not covered: {}.", scope.not_covered.join(", "));
    }
    out.push_str(&sample_lines(e, scope.pct));
    if e.impossible > 0 {
        let n = count(e.impossible, "schedule", "schedules");
        let _ = writeln!(out, "Durations do not allow {n} more.{}", missed_text(&scope.missed));
    }
    if let Some(n) = scope.window_entered {
        let of = count(e.schedules, "schedule", "schedules");
        let _ = writeln!(out, "Window entered in {} of {of}.", grouped(n));
    }
    out
}

fn reach(e: &Exploration, scope: &Scope) -> Reach {
    if e.complete {
        return Reach::Complete;
    }
    let declared = |b: &Bound| scope.within.iter().any(|(n, v)| n == b.name && Some(*v) == b.value);
    let mut hit = e.bounds.iter().filter(|b| b.hit).peekable();
    let only_declared = hit.peek().is_some() && hit.all(declared);
    if only_declared && !e.stopped && e.policy == "exhaustive" {
        Reach::Within
    } else {
        Reach::Incomplete
    }
}

fn first_line(e: &Exploration, reach: Reach) -> String {
    let schedules = count(e.schedules, "schedule", "schedules");
    if e.failing == 0 && !e.findings.is_empty() {
        return format!("BUG   in the order of locks; none of {schedules} hangs on it\n");
    }
    if e.failing == 0 && reach == Reach::Complete && e.engine == Engine::States {
        let states = count(e.states, "state", "states");
        return format!(
            "PASS  no bug in any schedule of this model ({states}, every reachable one)\n"
        );
    }
    match (e.failing, reach) {
        (0, Reach::Complete) => {
            format!("PASS  no bug in any schedule of this model ({schedules})\n")
        }
        (0, Reach::Within) => {
            format!(
                "PASS  no bug in any schedule of this model within the scenario's bounds ({schedules})\n"
            )
        }
        (0, Reach::Incomplete) => format!("INCONCLUSIVE  no bug found so far in {schedules}\n"),
        (n, _) => format!("BUG   in {} of {schedules}\n", grouped(n)),
    }
}

fn reach_lines(e: &Exploration, scope: &Scope, reach: Reach) -> String {
    match reach {
        Reach::Complete => "COMPLETE within these bounds:\n".to_string(),
        Reach::Within => {
            let all: Vec<String> =
                scope.within.iter().map(|(n, v)| format!("{n} <= {}", grouped(*v))).collect();
            format!("COMPLETE for {} (declared by the scenario), and:\n", all.join(", "))
        }
        Reach::Incomplete => {
            let mut why: Vec<String> = e.bounds.iter().filter(|b| b.hit).map(flag).collect();
            if e.stopped {
                why.push("the first finding".to_string());
            }
            if e.policy != "exhaustive" {
                format!("INCOMPLETE: a {} sample is not every schedule; bounds:\n", e.policy)
            } else if why.is_empty() {
                "INCOMPLETE; bounds:\n".to_string()
            } else {
                format!("INCOMPLETE: cut off by {}; bounds:\n", why.join(", "))
            }
        }
    }
}

/// A bound as the command line names it.
fn flag(b: &Bound) -> String {
    let value = b.value.map_or_else(String::new, |v| format!(" {}", grouped(v)));
    match (b.name, b.value) {
        ("memory", Some(bytes)) => format!("--max-memory {}", size(bytes)),
        _ => flag_of(b.name, &value),
    }
}

/// Bytes as `--max-memory` takes them.
fn size(bytes: u64) -> String {
    let units = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
    let unit = units.into_iter().find(|u| bytes.is_multiple_of(1 << u.0) && bytes > 0);
    unit.map_or_else(|| bytes.to_string(), |(shift, letter)| format!("{}{letter}", bytes >> shift))
}

fn flag_of(name: &str, value: &str) -> String {
    match name {
        "preemptions" | "max_schedules" => format!("--{}{value}", name.replace('_', "-")),
        "steps" => format!("{} steps of one schedule", value.trim_start()),
        "expiries" => format!("{} expiries of one schedule", value.trim_start()),
        name => format!("{name}{value}"),
    }
}

fn bounds_lines(e: &Exploration, scope: &Scope) -> String {
    let mut out = format!(
        "  CPUs {}, tasks {}, programs {}, map entries {}\n",
        scope.cpus, scope.tasks, scope.programs, scope.map_entries
    );
    // How much memory there was is of interest only where it was too little.
    for b in e.bounds.iter().filter(|b| b.hit || b.name != "memory") {
        let _ = writeln!(out, "  {}", bound_text(b, e.longest));
    }
    match scope.irqs {
        Some(n) => {
            let _ = writeln!(
                out,
                "  ticks injected <= {}, beside expiries of timers",
                grouped(n.into())
            );
        }
        None => out.push_str("  ticks injected: any number, beside expiries of timers\n"),
    }
    for (name, text) in [("time", &scope.timing), ("memory order", &scope.memory)] {
        if !text.is_empty() {
            let _ = writeln!(out, "  {name}: {text}");
        }
    }
    out
}

/// Of a search with a bound on preemptions: what each number of them brought.
fn layer_lines(e: &Exploration) -> String {
    if e.layers.is_empty() {
        return String::new();
    }
    let mut out = String::from("  preemptions  schedules  new states  with a bug\n");
    for (n, l) in e.layers.iter().enumerate() {
        let cells = [l.schedules, l.states, l.failing].map(grouped);
        let _ = writeln!(out, "  {n:>11}  {:>9}  {:>10}  {:>10}", cells[0], cells[1], cells[2]);
    }
    out
}

fn bound_text(b: &Bound, longest: u32) -> String {
    let name = match b.name {
        "steps" => "steps per schedule",
        "expiries" => "expiries per schedule",
        "max_schedules" => "schedules",
        name => name,
    };
    let hit = if b.hit { "hit" } else { "never reached" };
    match (b.value, b.name) {
        (None, _) => format!("{name}: no limit"),
        (Some(v), "memory") => format!("memory of a table of states <= {} ({hit})", size(v)),
        (Some(v), "steps") => {
            format!("{name} <= {} (longest {}, {hit})", grouped(v), grouped(longest.into()))
        }
        (Some(v), _) => format!("{name} <= {} ({hit})", grouped(v)),
    }
}
