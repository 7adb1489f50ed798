//! Plays a case on the model and puts what it did in the terms of a recording.

use std::collections::{BTreeMap, BTreeSet};

use timerace_core::step::CostClass;
use timerace_core::timed::{Costs, Dist, TimedEnd, TimedOptions, Unwatched, run_timed};
use timerace_core::{CtxId, Finding, Nanos};
use timerace_kernel::KernelVersion;
use timerace_kernel::log::{Logged, OpResult as ModelResult};
use timerace_kernel::world::LineId;

use super::case::{Action, By, Case, Content, RecordedOp, Runtime};
use super::world::{PROGRAMS, Places, UPTIME_NS, Unsupported};

/// How cases are played.
#[derive(Debug, Clone)]
pub struct Options {
    /// All draws follow from it.
    pub seed: u64,
    /// What steps cost. The default is that of a virtual machine, as all recorded ones were.
    pub costs: Costs,
    /// Bound on the steps of one case.
    pub max_steps: u64,
    /// Plays on this kernel instead of that of the recording.
    pub kernel: Option<KernelVersion>,
}

impl Default for Options {
    fn default() -> Options {
        let mut costs = Costs::default();
        // Half of the callbacks on an idle machine came later than this on the recorded one that was not emulated: so long
        // takes the interrupt of a virtual machine's timer. Timers that are armed one after the other share a softirq
        // then. It is always the same, so that timers of two CPUs expire in the order in which they were armed.
        costs.set(CostClass::IrqEntry, Dist::Const(31_591));
        Options { seed: 0, costs, max_steps: 2_000_000, kernel: None }
    }
}

/// What the model did with a case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Run {
    /// Results of the operations; `None` for one that did not end.
    pub ops: Vec<Option<Seen>>,
    /// Runs of callbacks in the order in which they began.
    pub events: Vec<SeenEvent>,
    /// When the first operation began.
    pub begin_ns: u64,
    /// What the model found wrong on the way: a real kernel would have been lucky.
    pub findings: Vec<String>,
}

/// The result of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What it gave.
    pub given: Given,
    /// When it was over.
    pub time_ns: u64,
    /// How many callbacks had begun by then.
    pub callbacks: u64,
}

/// What an operation of the model gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// A return code, and the numbers that came with it.
    Code(i64, Vec<i64>),
    /// The call was not made: the element was absent.
    Absent,
    /// The test run that should have made the call gave this.
    NotRun(i64),
}

/// A run of a callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenEvent {
    /// The number of the callback.
    pub callback: u32,
    /// Which run of that callback it is, from 1.
    pub run: u64,
    /// The key that it was called with.
    pub key: u64,
    /// The integer of its value.
    pub data: Option<i64>,
    /// Whether its value pointer was what a lookup of the key gives.
    pub value_is_current: bool,
    /// Its CPU.
    pub cpu: u16,
    /// Results of its operations by their place in its body.
    pub ops: BTreeMap<usize, Given>,
}

impl Run {
    /// The operation during which a callback began: the first one at whose end it had begun.
    pub fn during_op(&self, event: usize) -> Option<usize> {
        self.ops.iter().position(|o| o.as_ref().is_some_and(|o| o.callbacks > event as u64))
    }

    /// How many callbacks had begun when the last operation was over: later ones were not recorded.
    pub fn events_in_ops(&self) -> usize {
        let last = self.ops.iter().rev().find_map(Option::as_ref);
        last.map_or(0, |o| o.callbacks as usize).min(self.events.len())
    }
}

/// Plays a case.
///
/// # Errors
///
/// No world can say what the case does, or the model refuses it.
pub fn play(case: &Case, options: &Options) -> Result<Run, Unsupported> {
    let world = super::world::world_on(case, options.kernel)?;
    let (machine, kernel) =
        timerace_kernel::boot(&world, true).map_err(|e| Unsupported::because(e.to_string()))?;
    let timed = TimedOptions {
        seed: options.seed,
        costs: options.costs.clone(),
        until: Some(Nanos(bound_ns(case))),
        expiries: None,
        max_steps: options.max_steps,
        patience: None,
        goes_on: true,
    };
    kernel.log().begin();
    let (ran, _exec) = run_timed(&machine, &kernel, &timed, &mut Unwatched);
    let logged = kernel.log().take();
    let cpu_of = |c: CtxId| machine.contexts()[c.index()].cpu.map(|c| c.0);
    let mut run = match &case.content {
        Content::Runtime(r) => {
            let run = of_runtime(r, &logged, cpu_of);
            whole_batches(r, &run)?;
            run
        }
        Content::Limit(_) => of_limit(&logged),
        _ => of_load(&logged),
    };
    let findings = machine.with_mem(|m| m.findings(machine.names()));
    let text = |f: &Finding| format!("{} in {} / {}", f.class, f.functions[0], f.functions[1]);
    let distinct: BTreeSet<String> = findings.iter().map(text).collect();
    run.findings = distinct.into_iter().collect();
    if ran.ended == TimedEnd::StepLimit {
        run.findings.push(format!("{} steps were not enough", options.max_steps));
    }
    Ok(run)
}

/// More time than the operations can take if nothing is stuck.
fn bound_ns(case: &Case) -> u64 {
    const EACH_NS: u64 = 500_000_000;
    if let Content::Limit(l) = &case.content {
        return UPTIME_NS.saturating_add(l.timers.saturating_mul(1_000_000));
    }
    let Content::Runtime(run) = &case.content else { return UPTIME_NS };
    let spins = run.callbacks.values().flatten().map(|o| &o.action);
    let longest = |a: &Action| match a {
        Action::Sleep(ns) | Action::WaitCallbacks(_, ns) | Action::Spin(ns) => *ns,
        _ => EACH_NS,
    };
    let all = run.ops.iter().map(|o| longest(&o.action)).chain(spins.map(longest));
    all.fold(UPTIME_NS + EACH_NS, u64::saturating_add)
}

/// A batch of the model is about all elements: a recorded one that asked for fewer cannot be compared.
fn whole_batches(recorded: &Runtime, run: &Run) -> Result<(), Unsupported> {
    for (op, seen) in recorded.ops.iter().zip(&run.ops) {
        if let Action::LookupBatch(max) | Action::LookupAndDeleteBatch(max) = &op.action
            && let Some(Seen { given: Given::Code(_, data), .. }) = seen
            && data.first().is_some_and(|n| n.cast_unsigned() > *max)
        {
            return Err(Unsupported::because("a batch of fewer elements than there are"));
        }
    }
    Ok(())
}

fn given(r: &ModelResult) -> Given {
    r.ret.map_or(Given::Absent, |ret| Given::Code(ret, r.data.clone()))
}

fn seen(given: Given, r: &ModelResult) -> Seen {
    Seen { given, time_ns: r.time.0, callbacks: r.callbacks }
}

/// The one result of a case of kind `load`.
fn of_load(logged: &Logged) -> Run {
    let judged = logged.ops.iter().find(|o| o.at == super::load::JUDGED);
    Run { ops: vec![judged.map(|o| seen(given(o), o))], ..Run::default() }
}

/// All results of the one call of a case of kind `limit`.
fn of_limit(logged: &Logged) -> Run {
    let counted = logged.ops.iter().filter(|o| o.at == super::limit::COUNTED);
    Run { ops: counted.map(|o| Some(seen(given(o), o))).collect(), ..Run::default() }
}

fn of_runtime(run: &Runtime, logged: &Logged, cpu_of: impl Fn(CtxId) -> Option<u16>) -> Run {
    let places = Places::of(run);
    let find = |at: LineId| logged.ops.iter().find(|o| o.at == at);
    let task_op = |(i, op): (usize, &RecordedOp)| {
        let done = find(places.task_op(i))?;
        Some(match op.by {
            By::User => seen(given(done), done),
            By::Prog(_) => {
                let call = find(places.prog_op(i)).map(given);
                seen(call.unwrap_or(Given::NotRun(done.ret.unwrap_or(0))), done)
            }
        })
    };
    let ops = run.ops.iter().enumerate().map(task_op).collect();
    let mut events = Vec::new();
    let mut runs: BTreeMap<u32, u64> = BTreeMap::new();
    for begun in &logged.callbacks {
        let callback = begun.callback.0.saturating_sub(PROGRAMS);
        let nth = runs.entry(callback).or_default();
        *nth += 1;
        events.push(SeenEvent {
            callback,
            run: *nth,
            key: begun.key,
            data: begun.data,
            value_is_current: begun.value_is_current,
            cpu: begun.cpu.0,
            ops: BTreeMap::new(),
        });
    }
    sort_in(&places, logged, cpu_of, &mut events);
    // What the case does not say, making maps and loading programs, is on the first line.
    let before = logged.ops.iter().rfind(|o| o.at == LineId(0));
    Run { ops, events, begin_ns: before.map_or(0, |o| o.time.0), findings: Vec::new() }
}

/// Gives each callback the operations that it did: those on its CPU between its beginning and that of the next one
/// there, for callbacks of one CPU do not overlap.
fn sort_in(
    places: &Places,
    logged: &Logged,
    cpu_of: impl Fn(CtxId) -> Option<u16>,
    events: &mut [SeenEvent],
) {
    let mut latest: BTreeMap<u16, usize> = BTreeMap::new();
    let mut begun = 0;
    for op in &logged.ops {
        while begun < events.len() && (begun as u64) < op.callbacks {
            latest.insert(events[begun].cpu, begun);
            begun += 1;
        }
        let on = cpu_of(op.ctx).and_then(|cpu| latest.get(&cpu));
        if let (Some((callback, j)), Some(&i)) = (places.of_callback(op.at), on)
            && events[i].callback == callback
        {
            events[i].ops.entry(j).or_insert_with(|| given(op));
        }
    }
}
