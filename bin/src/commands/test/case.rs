//! One case: a scenario on a kernel.

use super::files::Cell;
use super::golden::{self, Golden};
use super::schedule;
use crate::args::{Common, KernelArgs, SearchArgs, TestArgs};
use crate::commands::explore;
use crate::commands::run::{self, Timed};
use crate::fail::{Fail, code};
use crate::saved::File;
use crate::search::{Searched, Silent, search};
use crate::session::{Session, Source};
use crate::settings;
use std::time::Instant;
use timerace_core::record::Record;
use timerace_core::result::{Bound, Exploration, Verdict};
use timerace_core::timed::TimedEnd;
use timerace_kernel::world::Stop;
use timerace_reports::interleaving::{Detail, interleaving};
use timerace_reports::json::{ExpectationResult, INTERRUPTED, TestCase};
use timerace_reports::num::grouped;
use timerace_reports::race_text::race_text;
use timerace_reports::suite::{Check, Failure, Reach, SuiteCase, flow};
use timerace_reports::table::{Case, CaseState};
use timerace_scenarios::judge::Judged;

/// What came of a case, as the reports want it.
pub struct Outcome {
    /// For KTAP, JUnit, SARIF, annotations.
    pub suite: SuiteCase,
    /// For JSON; `None`: it was skipped.
    pub json: Option<TestCase>,
    /// For the table.
    pub shown: Case,
    /// What its folder holds; empty where none was asked for.
    pub files: Vec<File>,
    /// The interleaving of a search, and the digest that the scenario has for it.
    pub golden: Option<Golden>,
    /// The costs that limits in time were judged with, where these are of no machine.
    pub uncalibrated: Option<String>,
}

/// Runs a case.
pub fn run(common: &Common, cell: &Cell, args: &TestArgs) -> Result<Outcome, Fail> {
    let start = Instant::now();
    let source = match cell.schedule.as_ref().and_then(|s| s.built_in) {
        Some(text) => Source::of(&cell.file.display().to_string(), text),
        None => Source::read(&cell.file).map_err(|e| Fail::usage(e.to_string()))?,
    };
    let kernel = match cell.kernel {
        Some(k) => KernelArgs::of(k),
        None => KernelArgs {
            kernel: None,
            with: args.kernels.with.clone(),
            without: args.kernels.without.clone(),
        },
    };
    if cell.kernel.is_some()
        && let Some(why) = crate::session::lacks(&source, &kernel, &cell.set)?
    {
        return Ok(skipped(cell, source.name, why));
    }
    let s = Session::of(common, source, &kernel, &cell.set)?;
    let mut s = s.with_costs(settings::costs(common, None).as_deref())?;
    s.scenario.name.node.clone_from(&cell.name);
    let mut outcome = match &cell.schedule {
        Some(saved) => schedule::replayed(&s, saved)?,
        // A scenario that says when its run ends is about time; all others are about orders.
        None if s.world.stop == Stop::Idle => explored(common, &mut s, args)?,
        None => timed(common, &s)?,
    };
    let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    outcome.suite.millis = common.timing.then_some(millis);
    Ok(outcome)
}

fn skipped(cell: &Cell, file: String, why: String) -> Outcome {
    let kernel = cell.kernel.map_or_else(String::new, |k| k.to_string());
    let suite = SuiteCase {
        scenario: cell.name.clone(),
        file,
        kernel: kernel.clone(),
        state: CaseState::Skipped,
        reach: Reach::Skipped(why.clone()),
        bounds: String::new(),
        checks: Vec::new(),
        millis: None,
    };
    let shown = Case {
        scenario: cell.name.clone(),
        kernel,
        state: CaseState::Skipped,
        count: None,
        note: why,
        details: Vec::new(),
        repeat: None,
    };
    Outcome { suite, json: None, shown, files: Vec::new(), golden: None, uncalibrated: None }
}

fn explored(common: &Common, s: &mut Session, args: &TestArgs) -> Result<Outcome, Fail> {
    let (max_schedules, max_memory) = (args.max_schedules, args.max_memory);
    let wanted = SearchArgs { max_schedules, max_memory, ..SearchArgs::default() };
    let wanted = settings::search(common, &s.scenario, &wanted);
    s.set_irqs(wanted.irqs);
    let s = &*s;
    let mut found = search(s, &wanted, 1, &mut Silent)?;
    if common.out.is_some() {
        found.explain(s)?;
    }
    let e = &found.exploration;
    let mut classes: Vec<&str> = e.findings.iter().map(|f| f.class.name()).collect();
    classes.dedup();
    let (count, note) = if classes.is_empty() {
        let hit = e.bounds.iter().find(|b| b.hit).map(flag_of);
        (Some(e.schedules), hit.unwrap_or_else(|| "complete".to_string()))
    } else {
        (None, format!("finds {}", classes.join(", ")))
    };
    let failure = |i: usize, j: &Judged| match found.shown(i) {
        Some((rec, finding)) => shown(s, j, rec, finding),
        None => unmet(j, [vec![s.origin().command("explore")], wanted.flags()].concat().join(" ")),
    };
    let case = Judging {
        verdict: found.verdict(),
        exit_code: found.exit_code(),
        complete: e.complete,
        judged: &found.judged,
    };
    let mut outcome = outcome(s, &case, count, note, reach(&found), &failure);
    outcome.suite.bounds = bounds(s, e);
    outcome.open(|| [vec![s.origin().command("explore")], wanted.flags()].concat().join(" "));
    outcome.json.iter_mut().for_each(|c| c.expectations = found.expectations());
    let race = found.records.first().map(|(rec, i)| race_of(rec, Some(*i))).unwrap_or_default();
    let (golden, line) = golden::of(s, race);
    if let Some(check) = golden::check(s, &golden, line) {
        outcome.add(check);
    }
    outcome.golden = Some(golden);
    if common.out.is_some() {
        outcome.files = explore::files(common, s, &found, explore::words(s, &wanted));
    }
    Ok(outcome)
}

/// What was searched, in a few words.
fn bounds(s: &Session, e: &Exploration) -> String {
    let preemptions = e.bounds.iter().find(|b| b.name == "preemptions").and_then(|b| b.value);
    let preemptions = preemptions.map_or_else(|| "all".to_string(), |n| n.to_string());
    format!("cpus={} irqs={} preemptions={preemptions}", s.world.machine.cpus, s.world.irqs)
}

/// A bound as the command line calls it.
fn flag_of(b: &Bound) -> String {
    match b.name {
        "memory" => "max-memory".to_string(),
        name => name.replace('_', "-"),
    }
}

fn reach(found: &Searched) -> Reach {
    let e = &found.exploration;
    if e.complete {
        return Reach::Complete(e.schedules);
    }
    let hit = e.bounds.iter().find(|b| b.hit && !found.within.contains_key(b.name));
    match hit {
        _ if e.stopped => Reach::Stopped,
        Some(b) if b.name == INTERRUPTED => Reach::Cut(INTERRUPTED.to_string()),
        Some(b) => {
            let value = b.value.map_or_else(String::new, |v| format!(" {v}"));
            Reach::Cut(format!("{}{value}", flag_of(b)))
        }
        None if !found.within.is_empty() => {
            let each = found.within.iter().map(|(name, n)| format!("{name} <= {n}"));
            Reach::Within(e.schedules, each.collect::<Vec<_>>().join(", "))
        }
        None => Reach::Cut(format!("{} is a sample", e.policy)),
    }
}

fn timed(common: &Common, s: &Session) -> Result<Outcome, Fail> {
    let t: Timed = run::once(s, 1)?;
    let note = match t.findings.first() {
        Some(f) => format!("finds {}", f.class),
        None => format!("{} expiries", grouped(t.run.expiries)),
    };
    let repeat = run::command(s, 1);
    let failure = |_: usize, j: &Judged| unmet(j, repeat.clone());
    let case =
        Judging { verdict: t.verdict, exit_code: t.exit_code, complete: false, judged: &t.judged };
    let reach = match t.exit_code {
        code::INCONCLUSIVE if t.run.ended == TimedEnd::Starved => {
            Reach::Cut("a starved timer or task".to_string())
        }
        code::INCONCLUSIVE => Reach::Cut("limits of the run".to_string()),
        _ => Reach::OneRun,
    };
    let mut outcome = outcome(s, &case, None, note, reach, &failure);
    outcome.open(|| repeat.clone());
    let limited = t.judged.iter().any(|j| !j.limits.is_empty());
    outcome.uncalibrated = (limited && !s.costs.calibrated).then(|| s.costs.name.clone());
    if common.out.is_some() {
        outcome.files = run::files(common, s, 1, &t)?;
    }
    Ok(outcome)
}

/// A failure that a run shows.
pub(super) fn shown(s: &Session, j: &Judged, rec: &Record, finding: Option<usize>) -> Failure {
    let found = finding.and_then(|i| rec.findings.get(i));
    let why = j.detail.as_deref().unwrap_or("does not hold");
    Failure {
        kind: found.map_or_else(|| j.kind.name().to_string(), |f| f.class.name().to_string()),
        message: found.map_or_else(|| format!("{}: {why}", j.name), |f| f.title()),
        schedule: Some(rec.text.clone()),
        race: Some(race_of(rec, finding)),
        repeat: s.origin().replay(&rec.text),
        flow: flow(rec, &s.origin()),
    }
}

fn race_of(rec: &Record, finding: Option<usize>) -> String {
    race_text(&interleaving(rec, finding, Detail::Chosen), RACE_WIDTH)
}

impl Outcome {
    /// Of a case that was cut off: by what, before what was decided, and how to see that again.
    fn open(&mut self, repeat: impl FnOnce() -> String) {
        let Reach::Cut(by) = &self.suite.reach else { return };
        if self.suite.state != CaseState::Incomplete {
            return;
        }
        let open = self.suite.checks.iter().filter(|c| c.ok.is_none());
        let open: Vec<&str> = open.map(|c| c.name.as_str()).collect();
        let undecided = if open.is_empty() { "completeness".to_string() } else { open.join(", ") };
        self.shown.details.push(format!("cut off by {by}; not decided: {undecided}"));
        self.shown.repeat = Some(repeat());
    }

    /// Adds a check of ours to those of the scenario.
    fn add(&mut self, check: Check) {
        if let Some(f) = &check.failure {
            self.suite.state = CaseState::Failed;
            self.shown.state = CaseState::Failed;
            let at = format!("{}   ({}:{})", f.message, self.suite.file, check.line);
            self.shown.details.push(at);
            self.shown.repeat.get_or_insert_with(|| f.repeat.clone());
            self.json.iter_mut().for_each(|c| c.exit_code = code::FAILED);
        }
        self.json.iter_mut().for_each(|c| {
            c.expectations.push(ExpectationResult {
                name: check.name.clone(),
                ok: check.ok,
                detail: check.detail.clone(),
                schedule: None,
            });
        });
        self.suite.checks.push(check);
    }
}

/// Columns of interleavings in results: as wide as mail and commit messages have them, whatever the terminal.
const RACE_WIDTH: usize = 75;

/// A failure that no single run shows, or one in time.
pub(super) fn unmet(j: &Judged, repeat: String) -> Failure {
    let why = j.detail.as_deref().unwrap_or("does not hold");
    Failure {
        kind: j.kind.name().to_string(),
        message: format!("{}: {why}", j.name),
        schedule: None,
        race: None,
        repeat,
        flow: Vec::new(),
    }
}

/// What was judged.
pub(super) struct Judging<'a> {
    pub verdict: Verdict,
    pub exit_code: u8,
    pub complete: bool,
    pub judged: &'a [Judged],
}

pub(super) fn outcome(
    s: &Session,
    case: &Judging<'_>,
    count: Option<u64>,
    note: String,
    reach: Reach,
    failure: &dyn Fn(usize, &Judged) -> Failure,
) -> Outcome {
    let state = match case.exit_code {
        code::OK => CaseState::Ok,
        code::FAILED => CaseState::Failed,
        _ => CaseState::Incomplete,
    };
    let check = |(i, j): (usize, &Judged)| Check {
        name: j.name.clone(),
        ok: j.ok,
        known_bug: j.known_bug.clone(),
        line: j.line,
        detail: j.detail.clone(),
        failure: (j.ok == Some(false)).then(|| failure(i, j)),
    };
    let checks: Vec<Check> = case.judged.iter().enumerate().map(check).collect();
    let (scenario, kernel) = (s.scenario.name.node.clone(), s.kernel_name());
    let failed = || checks.iter().filter_map(|c| c.failure.as_ref().map(|f| (c, f)));
    let line = |(c, f): (&Check, &Failure)| {
        let name =
            if f.message.starts_with(&c.name) { String::new() } else { format!("{}: ", c.name) };
        format!("{name}{}   ({}:{})", f.message, s.source.name, c.line)
    };
    // What failed says more than how much was looked at.
    let (count, note) = match failed().next() {
        Some((c, _)) if !note.starts_with("finds ") => (None, c.name.clone()),
        _ => (count, note),
    };
    let shown = Case {
        scenario: scenario.clone(),
        kernel: kernel.clone(),
        state,
        count,
        note,
        details: failed().map(line).collect(),
        repeat: failed().next().map(|(_, f)| f.repeat.clone()),
    };
    let json = TestCase {
        scenario: scenario.clone(),
        kernel: kernel.clone(),
        verdict: case.verdict,
        complete: case.complete,
        expectations: run::expectation_results(case.judged),
        exit_code: case.exit_code,
    };
    let suite = SuiteCase {
        scenario,
        file: s.source.name.clone(),
        kernel,
        state,
        reach,
        bounds: String::new(),
        checks,
        millis: None,
    };
    Outcome { suite, json: Some(json), shown, files: Vec::new(), golden: None, uncalibrated: None }
}
