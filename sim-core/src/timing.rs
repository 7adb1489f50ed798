//! Whether durations allow a schedule: is there an order of its trace with times such that every step takes as long as it
//! may take, and no longer?
//!
//! The time of a step is when it acts. Of each step that is sure not to have waited, the time is bounded from both sides by
//! that of the step before it in its context; all steps are bounded from below by what happens before them, timers by when
//! they were armed, sleeps by their lengths. These are difference constraints: there are such times if and only if no
//! cycle of them contradicts itself (Bellman 1958).
//!
//! A step that may have waited, for another context or for its CPU, has no bound from above here. So a schedule that is
//! possible is never refused; one that is not may pass. What is asked belongs to the trace, the same for all its
//! schedules, so leaving traces out does no harm to the reduction.

use crate::dpor::Events;
use crate::exec::Exec;
use crate::ids::{CtxId, Obj};
use crate::machine::{CtxKind, Machine, Model};
use crate::mem::Kind;
use crate::schedule::Pick;
use crate::step::{Cost, Gate, Status, Waiting};
use crate::timed::Costs;
use std::collections::BTreeMap;

/// Nanoseconds, signed: what a step comes after another one, at least.
type Weight = i64;

/// What durations say about a trace.
#[derive(Clone, Debug)]
pub struct Times {
    /// One node for each step, and one for the start of the run, the last.
    nodes: usize,
    /// From, to, and how much later at least.
    edges: Vec<(usize, usize, Weight)>,
    /// Which edges say that a step comes no later than the step before it allows.
    upper: Vec<usize>,
}

/// What is known of a step besides its place in the trace.
struct Facts {
    lo: u64,
    hi: Option<u64>,
    gate: Gate,
    entry: bool,
    /// Objects whose values its guard asks for, the word of its CPU included.
    asks: Vec<Obj>,
}

impl Times {
    /// Of the trace of a schedule that fits (behind its end, nothing is looked at), with what steps cost.
    pub fn of<M: Model>(exec: &mut Exec<'_, M>, picks: &[Pick], costs: &Costs) -> Times {
        let machine = exec.machine();
        let mut events = Events::new(machine);
        let mut facts = Vec::new();
        let mut timers = Timers::default();
        let mut armed = Vec::new();
        exec.restart();
        for pick in picks {
            facts.push(facts_of(machine, pick.ctx, costs));
            armed.push(timers.due(machine, &facts[facts.len() - 1].gate));
            events.declare(machine, *pick);
            exec.step(pick.ctx, pick.alt);
            events.happened(machine);
            timers.after(machine, events.len() - 1, events.fp(events.len() - 1));
        }
        let left = Left::of(machine);
        Times::from(machine, &events, &facts, &armed, &left)
    }

    fn from(
        machine: &Machine,
        ev: &Events,
        facts: &[Facts],
        armed: &[Option<(Option<usize>, u64)>],
        left: &Left,
    ) -> Times {
        let start = ev.len();
        let mut t = Times { nodes: start + 1, edges: Vec::new(), upper: Vec::new() };
        for e in 0..ev.len() {
            let ctx = ev.ctx(e);
            t.edges.push((start, e, 0));
            for c in (0..ev.contexts() as u16).map(CtxId).filter(|c| *c != ctx) {
                if let Some(last) = usize::from(ev.clock(e)[c.index()]).checked_sub(1) {
                    t.edges.push((ev.of(c)[last] as usize, e, 0));
                }
            }
            let before = ev.index(e).checked_sub(1).map(|i| ev.of(ctx)[usize::from(i)] as usize);
            if let Some(p) = before {
                t.edges.push((p, e, weight(facts[p].lo)));
            }
            if let Gate::At(at) | Gate::NotBefore(at) = facts[e].gate {
                t.edges.push((start, e, weight(at.0)));
            }
            if let Some((arm, ns)) = armed[e] {
                t.edges.push((arm.unwrap_or(start), e, weight(ns)));
            }
            if let Some(edge) = no_later(machine, ev, facts, left, e, before) {
                t.upper.push(t.edges.len());
                t.edges.push(edge);
            }
        }
        t
    }

    /// Whether there are times that all durations allow.
    pub fn possible(&self) -> bool {
        self.longest(self.nodes - 1, None).is_some()
    }

    /// The smallest delay of one step, in nanoseconds, that makes the trace possible; 0 if it is possible as it is, `None`
    /// if no delay of a single step does.
    pub fn delay_needed(&self) -> Option<u64> {
        if self.possible() {
            return Some(0);
        }
        let need = |i: &usize| {
            let (e, p, bound) = self.edges[*i];
            let reach = self.longest(p, Some(*i))?;
            // What the others demand between the two steps, less what the bound allows.
            Some(u64::try_from(reach[e]? + bound).unwrap_or(0))
        };
        self.upper.iter().filter_map(need).min()
    }

    /// The longest time, in nanoseconds, that can lie between two steps, by their numbers from 1; `None`: any.
    pub fn widest(&self, from: u32, to: u32) -> Option<u64> {
        let (from, to) = (from as usize - 1, to as usize - 1);
        let back = self.longest(to, None)?[from]?;
        u64::try_from(-back).ok()
    }

    /// How much later than a node each other one is at least; `None` if the demands contradict each other. `without`: an
    /// edge that is left out.
    fn longest(&self, from: usize, without: Option<usize>) -> Option<Vec<Option<Weight>>> {
        // Everything comes after the start, so a contradiction anywhere is met from there.
        let start = self.settle(self.nodes - 1, without)?;
        if from == self.nodes - 1 { Some(start) } else { self.settle(from, without) }
    }

    fn settle(&self, from: usize, without: Option<usize>) -> Option<Vec<Option<Weight>>> {
        let mut least: Vec<Option<Weight>> = vec![None; self.nodes];
        least[from] = Some(0);
        for _ in 0..=self.nodes {
            let mut changed = false;
            for (i, (a, b, w)) in self.edges.iter().enumerate() {
                let Some(at) = least[*a].filter(|_| Some(i) != without) else { continue };
                if least[*b].is_none_or(|x| x < at + w) {
                    least[*b] = Some(at + w);
                    changed = true;
                }
            }
            if !changed {
                return Some(least);
            }
        }
        None
    }
}

/// Who is left at the end of the trace, spinning: without a step they keep others from their CPU.
struct Left(Vec<CtxId>);

impl Left {
    fn of(machine: &Machine) -> Left {
        let spins = |c: &CtxId| {
            let slot = machine.slots[c.index()].borrow();
            slot.status == Status::Waiting && slot.step.waiting == Waiting::Spin
        };
        Left((0..machine.contexts().len() as u16).map(CtxId).filter(spins).collect())
    }

    fn spins_beside(&self, machine: &Machine, ctx: CtxId) -> bool {
        let cpu = |c: CtxId| machine.specs[c.index()].cpu;
        cpu(ctx).is_some() && self.0.iter().any(|c| *c != ctx && cpu(*c) == cpu(ctx))
    }
}

fn weight(ns: u64) -> Weight {
    Weight::try_from(ns).unwrap_or(Weight::MAX / 4).min(Weight::MAX / 1024)
}

fn facts_of(machine: &Machine, ctx: CtxId, costs: &Costs) -> Facts {
    let slot = machine.slots[ctx.index()].borrow();
    let (lo, hi) = match slot.step.cost {
        Cost::Class(c) => costs.get(c).bounds(),
        Cost::Range(lo, hi) => (lo, Some(hi.max(lo))),
    };
    let guard = &slot.guard;
    let mut asks: Vec<Obj> = guard.cmps.iter().flat_map(|c| c.objs()).collect();
    asks.extend(guard.empty.iter().copied());
    asks.extend(machine.own_of(ctx));
    Facts { lo, hi, gate: slot.step.gate, entry: slot.status == Status::Idle, asks }
}

/// The edge that says that a step does not come later than it can, if it is sure not to wait.
fn no_later(
    machine: &Machine,
    ev: &Events,
    facts: &[Facts],
    left: &Left,
    e: usize,
    before: Option<usize>,
) -> Option<(usize, usize, Weight)> {
    let ctx = ev.ctx(e);
    let spec = &machine.specs[ctx.index()];
    let f = &facts[e];
    let timed_entry = spec.kind == CtxKind::Task && matches!(f.gate, Gate::At(_));
    if spec.kind == CtxKind::Helper || (f.entry && !timed_entry) {
        return None;
    }
    let nothing = vec![0; ev.contexts()];
    let past = before.map_or(&nothing[..], |p| ev.clock(p));
    let (from, allowed) = match (before, f.gate) {
        (_, Gate::NotBefore(_) | Gate::Queues(..)) => return None,
        (None, Gate::At(at)) => (ev.len(), at.0),
        (None, Gate::Open) => (ev.len(), 0),
        // Not before both: no later than both together.
        (Some(p), Gate::At(at)) => (p, facts[p].hi?.saturating_add(at.0)),
        (Some(p), Gate::Open) => (p, facts[p].hi?),
    };
    let waits = (0..ev.len()).filter(|x| ev.ctx(*x) != ctx && !ev.contains(past, *x)).any(|x| {
        let earlier = ev.contains(ev.clock(e), x);
        let wrote = || ev.fp(x).iter().any(|a| a.is_write() && f.asks.contains(&a.obj()));
        let same_cpu = spec.cpu.is_some() && machine.specs[ev.ctx(x).index()].cpu == spec.cpu;
        (earlier && wrote()) || (same_cpu && !ev.contains(ev.clock(x), e))
    });
    (!waits && !left.spins_beside(machine, ctx)).then_some((e, from, -weight(allowed)))
}

/// When timers were armed: by queue and timer, the step (`None`: for a time of the clock, which counts from the start) and
/// how much later it expires at least.
#[derive(Default)]
struct Timers {
    armed: BTreeMap<(u32, u32), (i64, Option<usize>, u64)>,
    /// The greatest expiry so far: the time of the run is no earlier.
    now: u64,
}

impl Timers {
    /// Of a step that waits for a timer: the step that armed the first one, and how much later it expires at least.
    fn due(&mut self, machine: &Machine, gate: &Gate) -> Option<(Option<usize>, u64)> {
        let Gate::Queues(from, to) = *gate else { return None };
        let mem = machine.mem.borrow();
        let first = |q: u32| {
            let queue = &mem.queues[q as usize];
            queue.first().map(|e| (queue.due(e.soft.min(e.expires)), q, e.index))
        };
        let (due, q, index) = (from..=to).filter_map(first).min()?;
        let known = self.armed.get(&(q, index)).map(|a| (a.1, a.2));
        self.now = self.now.max(due);
        Some(known.unwrap_or((None, due)))
    }

    /// Looks at the queues that a step has written.
    fn after(&mut self, machine: &Machine, e: usize, fp: &[crate::step::Access]) {
        let mem = &mut *machine.mem.borrow_mut();
        for a in fp.iter().filter(|a| a.is_write()) {
            let Kind::Queue(q) = mem.meta[a.obj().index()].kind else { continue };
            let queue = &mem.queues[q as usize];
            for entry in queue.in_order() {
                let due = queue.due(entry.soft.min(entry.expires));
                let absolute = mem.absolute.contains(&(q, entry.index));
                let (from, later) = match absolute {
                    true => (None, due),
                    false => (Some(e), due.saturating_sub(self.now)),
                };
                let known = self.armed.get(&(q, entry.index));
                if known.is_none_or(|k| k.0 != entry.expires) {
                    self.armed.insert((q, entry.index), (entry.expires, from, later));
                }
            }
            self.armed.retain(|k, _| k.0 != q || queue.contains(k.1));
        }
        mem.absolute.clear();
    }
}
