//! What `test` found, as its reports need it: KTAP, JUnit, SARIF, annotations and the table are all made from this.

use crate::origin::Origin;
use crate::table::CaseState;
use timerace_core::record::Record;

/// A scenario on a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteCase {
    /// The scenario's name, or that of a saved schedule.
    pub scenario: String,
    /// The file as it was named, without a path above the project.
    pub file: String,
    /// The kernel.
    pub kernel: String,
    /// How it ended.
    pub state: CaseState,
    /// What was run of it.
    pub reach: Reach,
    /// The bounds in a few words: `cpus=3 irqs=1 preemptions=all`.
    pub bounds: String,
    /// In the order of the file; what is implied comes last.
    pub checks: Vec<Check>,
    /// Wall time, where it was asked for. It is no result: everything else is the same on every machine.
    pub millis: Option<u64>,
}

/// What was run of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every inequivalent schedule: how many.
    Complete(u64),
    /// Every one within bounds that the scenario declares: how many, and these bounds.
    Within(u64, String),
    /// The search stopped at a finding, as it should.
    Stopped,
    /// A bound cut it off: `max-schedules 1000000`.
    Cut(String),
    /// One run: in virtual time, or of a saved schedule.
    OneRun,
    /// Nothing, and why: the kernel lacks what the scenario uses.
    Skipped(String),
}

/// An expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its stable name, `[a-z0-9_]+`.
    pub name: String,
    /// Whether it holds; `None`: not judged, or not decided.
    pub ok: Option<bool>,
    /// Of a `known_bug`: the reference.
    pub known_bug: Option<String>,
    /// Its line in the file.
    pub line: u32,
    /// Why it does not hold, or was not judged.
    pub detail: Option<String>,
    /// What there is to say if it does not hold.
    pub failure: Option<Failure>,
}

/// An expectation that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A class of findings, or `LATENCY`, `DRIFT`, `LOCK_HOLD`, `COUNT`, `EXPECTATION`.
    pub kind: String,
    /// In one line.
    pub message: String,
    /// The short text of a schedule that shows it.
    pub schedule: Option<String>,
    /// Its interleaving, at most 75 columns wide.
    pub race: Option<String>,
    /// The command that repeats it.
    pub repeat: String,
    /// Its steps.
    pub flow: Vec<FlowStep>,
}

/// A step of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowStep {
    /// From 1, over all CPUs.
    pub order: u32,
    /// On which CPU; `None`: a helper that has none (the end of a grace period).
    pub cpu: Option<u16>,
    /// Its context.
    pub context: String,
    /// The source line.
    pub text: String,
    /// The function.
    pub function: Option<String>,
    /// How deep in calls.
    pub depth: u32,
    /// The file and the line of the scenario or of a fragment.
    pub place: Option<(String, u32)>,
}

/// The steps of a run, those left out that only belong to another.
pub fn flow(rec: &Record, origin: &Origin) -> Vec<FlowStep> {
    let shown = rec.steps.iter().filter(|s| !s.quiet);
    let step = |s: &timerace_core::record::StepRecord| {
        let spec = rec.contexts.get(s.ctx.index());
        FlowStep {
            order: s.no,
            cpu: spec.and_then(|c| c.cpu).map(|c| c.0),
            context: spec.map_or_else(String::new, |c| c.name.clone()),
            text: s.text.clone(),
            function: s.stack.last().map(|c| c.name.clone()),
            depth: u32::try_from(s.stack.len().saturating_sub(1)).unwrap_or(0),
            place: s
                .line
                .map(|line| origin.place(line))
                .map(|(file, line)| (file.to_string(), line)),
        }
    };
    shown.map(step).collect()
}

impl SuiteCase {
    /// The failures.
    pub fn failures(&self) -> impl Iterator<Item = (&Check, &Failure)> {
        self.checks.iter().filter_map(|c| c.failure.as_ref().map(|f| (c, f)))
    }

    /// Whether the search says of itself that it is complete: a check beside the scenario's own.
    pub(crate) fn says_complete(&self) -> bool {
        !matches!(self.reach, Reach::OneRun | Reach::Skipped(_))
    }
}

/// The kernels in the order in which they first appear, each with its cases.
pub(crate) fn by_kernel(cases: &[SuiteCase]) -> Vec<(&str, Vec<&SuiteCase>)> {
    let mut all: Vec<(&str, Vec<&SuiteCase>)> = Vec::new();
    for case in cases {
        match all.iter_mut().find(|(k, _)| *k == case.kernel) {
            Some((_, list)) => list.push(case),
            None => all.push((&case.kernel, vec![case])),
        }
    }
    all
}

/// The scenarios in the order in which they first appear.
pub(crate) fn scenarios(cases: &[SuiteCase]) -> Vec<&str> {
    let mut all: Vec<&str> = Vec::new();
    for case in cases {
        if !all.contains(&case.scenario.as_str()) {
            all.push(&case.scenario);
        }
    }
    all
}
