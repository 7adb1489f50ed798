//! A built-in scenario on a kernel, searched as `timerace test` does it.

use timerace_core::bounded::explore_bounded;
use timerace_core::detect::Class;
use timerace_core::dpor::{Observer, Options, View, explore};
use timerace_core::exec::Exec;
use timerace_core::policy::{Limits, Replay};
use timerace_core::record::{Record, record};
use timerace_kernel::{BootError, KernelVersion};
use timerace_scenarios::ast::Preemptions;
use timerace_scenarios::judge::{Judge, Judged};
use timerace_scenarios::library::Entry;
use timerace_scenarios::{load, lower};

/// How many schedules are looked at where the search does not stop at a finding.
const FIRST: u64 = 2_000;

/// `-ETIMEDOUT`
const ETIMEDOUT: i64 = -110;

/// What a search says.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Classes of findings, each once.
    pub classes: Vec<Class>,
    /// Every inequivalent schedule was run.
    pub complete: bool,
    /// How many were run.
    pub schedules: u64,
    /// Those in which the scenario came into its window.
    pub window_entered: u64,
    /// Expectations that do not hold, by name.
    pub failed: Vec<String>,
    /// In some schedule a lock attempt gave up after its time.
    pub timed_out: bool,
    /// The schedule of the first finding with everything noted, and which of its findings is meant.
    pub shown: Option<(Record, usize)>,
}

struct Watching<'w, 'e> {
    judge: &'w mut Judge<'e>,
    timed_out: bool,
}

impl Observer for Watching<'_, '_> {
    fn needs_marks(&self) -> bool {
        true
    }
    fn execution(&mut self, view: &View<'_>) {
        self.timed_out |= view.marks().iter().any(|m| m.ret == Some(ETIMEDOUT));
        self.judge.execution(view);
    }
}

/// Whether the model has what the scenario uses on that kernel. What a kernel itself refuses is another matter.
///
/// # Panics
/// A built-in scenario does not load.
#[must_use]
pub fn is_modelled(entry: &Entry, kernel: KernelVersion) -> bool {
    let scenario = load::parse(entry.source, &[]).expect("built-in scenarios load");
    let Ok(world) = lower::lower(&scenario, &entry.open().text, kernel) else { return true };
    !matches!(timerace_kernel::boot(&world, false), Err(BootError::Unsupported { .. }))
}

/// Searches a scenario on a kernel as its expectations ask for. `None`: that kernel refuses it, or does not have what it
/// uses, or the model does not have it there ([`is_modelled`]).
///
/// # Panics
/// A built-in scenario does not load, or is too large.
#[must_use]
pub fn search(entry: &Entry, kernel: KernelVersion) -> Option<Answer> {
    search_on(entry, kernel, false)
}

/// The same; `all`: also after a finding, for the first schedules.
///
/// # Panics
/// As [`search`].
#[must_use]
pub fn search_on(entry: &Entry, kernel: KernelVersion, all: bool) -> Option<Answer> {
    let scenario = load::parse(entry.source, &[]).expect("built-in scenarios load");
    let r = kernel.release();
    let numbers = (u32::from(r.major), u32::from(r.minor), u32::from(r.patch));
    let rules = load::kernel_rules(&scenario, numbers);
    if rules.iter().any(timerace_scenarios::diag::Diagnostic::is_error) {
        return None;
    }
    let world =
        lower::lower(&scenario, &entry.open().text, kernel).expect("built-in scenarios lower");
    let (machine, model) = match timerace_kernel::boot(&world, false) {
        Ok(booted) => booted,
        Err(BootError::Refused { .. } | BootError::Unsupported { .. }) => return None,
        Err(e) => panic!("{} on {kernel}: {e}", entry.name()),
    };
    let mut exec = Exec::new(&machine, &model);
    let mut judge = Judge::new(&scenario, entry.source, &world, None);
    let options = Options {
        keep_going: all || judge.needs_keep_going(),
        max_schedules: all.then_some(FIRST),
        ..Options::default()
    };
    let mut watching = Watching { judge: &mut judge, timed_out: false };
    let found = match scenario.explore.preemptions() {
        Preemptions::AtMost(n) => explore_bounded(&mut exec, n, &options, &mut watching),
        Preemptions::All => explore(&mut exec, &options, &mut watching),
    };
    let timed_out = watching.timed_out;
    let mut classes: Vec<Class> = found.findings.iter().map(|f| f.class).collect();
    classes.dedup();
    let shown = found.findings.first().map(|f| {
        let rec = record(&mut exec, &mut Replay::new(&f.schedule), Limits::default());
        let same = |x: &timerace_core::record::FindingRecord| {
            x.class == f.class && x.functions == f.functions
        };
        let which = rec.findings.iter().position(same).expect("a replay shows its finding");
        (rec, which)
    });
    let failed = |j: &Judged| (j.ok == Some(false)).then(|| j.name.clone());
    Some(Answer {
        classes,
        complete: found.complete,
        schedules: found.schedules,
        window_entered: judge.window_entered(),
        failed: judge.results(&found).iter().filter_map(failed).collect(),
        timed_out,
        shown,
    })
}
