//! Exploration bounded by preemptions: all schedules with at most so many, fewest first.
//!
//! A bound is not a filter on partial-order reduction, which may reach a state only by an order with more preemptions. So
//! this search keeps states, keyed with the last context: layer k holds what layer k-1 put off because it needed a
//! preemption, counted as [`crate::least::Effort`] does. Interrupts and helpers switch for free. Exact, and complete when
//! a layer is empty. Memory: at most 24 bytes a state, and the prefixes of this layer and the next.

use crate::dpor::{Observer, Options, View};
use crate::exec::Exec;
use crate::ids::CtxId;
use crate::least::Meter;
use crate::lockdep::circle::conclude;
use crate::machine::Model;
use crate::mem::Mark;
use crate::mix::roll;
use crate::policy::{Choice, Ended, default_pick};
use crate::result::{Bound, Engine, Exploration, Layer, Tally};
use crate::schedule::Pick;
use crate::states::{Canon, Table};
use std::collections::BTreeSet;

struct Search<'e, 'm, M> {
    exec: &'e mut Exec<'m, M>,
    options: &'e Options,
    canon: Canon,
    seen: Table,
    layer: Vec<Prefix>,
    next: Vec<Prefix>,
    path: Vec<Pick>,
    meter: Meter,
    /// Functions that were entered and left in executions that were looked at, with what they returned, and which ran at
    /// the same time.
    shown: BTreeSet<u64>,
    /// Bytes of all prefixes that are kept.
    kept: u64,
    tally: Tally,
}

/// The beginning of a schedule, with what it takes.
type Prefix = (Vec<Pick>, Meter);

/// Explores all schedules with at most `preemptions` preemptions.
pub fn explore_bounded<M: Model>(
    exec: &mut Exec<'_, M>,
    preemptions: u32,
    options: &Options,
    observer: &mut dyn Observer,
) -> Exploration {
    let machine = exec.machine();
    machine.begin_search(observer.needs_marks(), true);
    let mut s = Search {
        exec,
        options,
        canon: Canon::plain(),
        seen: Table::new(),
        layer: vec![Prefix::default()],
        next: Vec::new(),
        path: Vec::new(),
        meter: Meter::default(),
        shown: BTreeSet::new(),
        kept: bytes(&[]),
        tally: Tally::default(),
    };
    let mut left = preemptions;
    let mut cut_off = false;
    let mut layers = Vec::new();
    loop {
        let before = s.counts();
        s.run_layer(observer);
        let after = s.counts();
        layers.push(Layer {
            schedules: after.schedules - before.schedules,
            states: after.states - before.states,
            failing: after.failing - before.failing,
        });
        if s.tally.stopped || s.tally.max_hit || s.is_full() || s.next.is_empty() {
            break;
        }
        if left == 0 {
            cut_off = true;
            break;
        }
        left -= 1;
        s.layer = std::mem::take(&mut s.next);
    }
    machine.end_search();
    let mut tally = s.tally;
    conclude(exec, &mut tally, options.limits, observer);
    let mut e = tally.into_exploration("exhaustive", machine.names(), options);
    e.engine = Engine::Layers;
    e.layers = layers;
    e.complete &= !cut_off;
    let bound = Bound { name: "preemptions", value: Some(u64::from(preemptions)), hit: cut_off };
    e.bounds.insert(0, bound);
    e
}

/// Functions that were entered and left, whoever it was, and pairs that ran at the same time in two contexts.
fn each_called(marks: &[Mark], f: &mut dyn FnMut(u64)) {
    let mut active: Vec<(CtxId, u64)> = Vec::new();
    for m in marks {
        let name = m.name.digest();
        if let Some(ret) = m.ret {
            f(roll(name, ret as u64));
            let entered = active.iter().rposition(|a| *a == (m.ctx, name));
            entered.map(|i| active.remove(i));
            continue;
        }
        f(name);
        for (_, other) in active.iter().filter(|a| a.0 != m.ctx) {
            f(roll(name.min(*other), name.max(*other)));
        }
        active.push((m.ctx, name));
    }
}

/// What a prefix takes.
fn bytes(prefix: &[Pick]) -> u64 {
    (size_of::<Prefix>() + size_of_val(prefix)) as u64
}

impl<M: Model> Search<'_, '_, M> {
    /// What there is so far.
    fn counts(&self) -> Layer {
        Layer {
            schedules: self.tally.schedules,
            states: self.seen.len() as u64,
            failing: self.tally.failing,
        }
    }

    fn run_layer(&mut self, observer: &mut dyn Observer) {
        let mut work = std::mem::take(&mut self.layer);
        work.reverse();
        while let Some((prefix, meter)) = work.pop() {
            self.kept -= bytes(&prefix);
            self.exec.restart();
            for p in &prefix {
                self.exec.step(p.ctx, p.alt);
            }
            (self.path, self.meter) = (prefix, meter);
            let ended = self.go(&mut work);
            self.tally.locks.note(self.exec.machine(), || self.path.clone());
            if self.is_full() {
                return;
            }
            if let Some(ended) = ended {
                self.judge(&ended, observer);
                if self.tally.stopped || !observer.go_on() {
                    return;
                }
                if self.options.max_schedules.is_some_and(|m| self.tally.schedules >= m) {
                    self.tally.max_hit = !work.is_empty() || !self.next.is_empty();
                    return;
                }
            }
        }
    }

    /// Whether there is no memory left for what is kept.
    fn is_full(&mut self) -> bool {
        self.tally.fill(self.seen.bytes() + self.kept, self.options)
    }

    /// Goes on along the first free move, keeps the others for later. `None`: a state that is known.
    fn go(&mut self, work: &mut Vec<Prefix>) -> Option<Ended> {
        let mut ready = Vec::new();
        loop {
            self.exec.ready(&mut ready);
            if ready.is_empty() {
                self.exec.end();
                return Some(Ended::Complete);
            }
            if let Some(limit) = self.options.limits.reached(self.exec) {
                return Some(limit);
            }
            let key = self.key();
            if self.seen.get(key).is_some() {
                // What was found on the way, and what was called, is no part of the state.
                let mem = self.exec.machine().mem.borrow();
                let mut shows = !mem.findings.is_empty();
                each_called(&mem.marks, &mut |d| shows |= !self.shown.contains(&d));
                drop(mem);
                return shows.then(|| self.finish(ready));
            }
            self.seen.insert(key, 0);
            let going = self.meter.going(self.exec, &ready);
            let mut first = None;
            for c in &ready {
                let after = self.meter.after(self.exec, &ready, *c);
                let free = after.effort.preemptions == self.meter.effort.preemptions;
                for alt in 0..self.exec.alternatives(*c) {
                    let pick = Pick { ctx: *c, alt };
                    if free && first.is_none() && going.is_none_or(|g| g == *c) {
                        first = Some((pick, after.clone()));
                        continue;
                    }
                    let mut prefix = self.path.clone();
                    prefix.push(pick);
                    self.kept += bytes(&prefix);
                    let prefix = (prefix, after.clone());
                    if free { work.push(prefix) } else { self.next.push(prefix) }
                }
            }
            let (pick, after) =
                first.expect("the context that can go on, or any other, is a free move");
            self.path.push(pick);
            self.meter = after;
            self.exec.step(pick.ctx, pick.alt);
        }
    }

    /// To the end without a preemption, else in the default order.
    fn finish(&mut self, mut ready: Vec<CtxId>) -> Ended {
        while !ready.is_empty() {
            if let Some(limit) = self.options.limits.reached(self.exec) {
                return limit;
            }
            let exec = &*self.exec;
            let by_default = || {
                default_pick(&Choice {
                    ready: &ready,
                    idle: &|c| exec.is_idle(c),
                    last: None,
                    alternatives: &|c| exec.alternatives(c),
                })
            };
            let ctx = self.meter.going(exec, &ready).unwrap_or_else(by_default);
            self.meter = self.meter.after(exec, &ready, ctx);
            self.path.push(Pick { ctx, alt: 0 });
            self.exec.step(ctx, 0);
            self.exec.ready(&mut ready);
        }
        self.exec.end();
        Ended::Complete
    }

    fn key(&mut self) -> u128 {
        (self.canon.key(self.exec, 0).0 ^ u128::from(self.meter.place())).max(1)
    }

    fn judge(&mut self, ended: &Ended, observer: &mut dyn Observer) {
        let machine = self.exec.machine();
        let complete = *ended == Ended::Complete;
        let stuck = if complete { self.exec.stuck() } else { Vec::new() };
        let mem = machine.mem.borrow();
        self.tally.count(mem.step_no, ended, !stuck.is_empty());
        let state = self.exec.state_digest();
        self.tally.ended_in(state, &mem, ended, || self.path.clone());
        let picks = || self.path.clone();
        let picks: Option<&dyn Fn() -> Vec<Pick>> = Some(&picks);
        observer.execution(&View { picks, ..View::linear(machine, &mem, ended, &stuck) });
        each_called(&mem.marks, &mut |d| {
            self.shown.insert(d);
        });
        let keys = mem.finding_keys();
        drop(mem);
        if self.tally.schedules.is_multiple_of(1024) {
            observer.progress(self.tally.schedules);
        }
        if !keys.is_empty() {
            self.tally.failing += 1;
            for k in keys {
                self.tally.found(k, || self.path.clone());
            }
            self.tally.stopped = !self.options.keep_going;
        }
    }
}
