//! Exploration bounded by preemptions: all schedules with at most so many, fewest first.
//!
//! A bound is not a filter on partial-order reduction, which may reach a state only by an order with more preemptions. So
//! this search keeps states, keyed with the last context: layer k holds what layer k-1 put off because it needed a switch
//! away from a context that could go on. Interrupts and helpers switch for free. Exact, and complete when a layer is
//! empty. Memory: at most 24 bytes a state, and the prefixes of this layer and the next.

use crate::dpor::{Observer, Options, View};
use crate::exec::Exec;
use crate::ids::CtxId;
use crate::lockdep::circle::conclude;
use crate::machine::Model;
use crate::policy::{Choice, Ended, default_pick};
use crate::result::{Bound, Engine, Exploration, Layer, Tally};
use crate::schedule::Pick;
use crate::states::{Canon, Table};

struct Search<'e, 'm, M> {
    exec: &'e mut Exec<'m, M>,
    options: &'e Options,
    canon: Canon,
    seen: Table,
    layer: Vec<Vec<Pick>>,
    next: Vec<Vec<Pick>>,
    path: Vec<Pick>,
    /// Bytes of all prefixes that are kept.
    kept: u64,
    tally: Tally,
}

/// Explores all schedules with at most `preemptions` preemptions.
pub fn explore_bounded<M: Model>(
    exec: &mut Exec<'_, M>,
    preemptions: u32,
    options: &Options,
    observer: &mut dyn Observer,
) -> Exploration {
    let machine = exec.machine();
    {
        let mem = &mut *machine.mem.borrow_mut();
        mem.marking = observer.needs_marks();
        mem.lockdep.forget();
        machine.learning.set(true);
    }
    let mut s = Search {
        exec,
        options,
        canon: Canon::plain(),
        seen: Table::new(),
        layer: vec![Vec::new()],
        next: Vec::new(),
        path: Vec::new(),
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
    machine.mem.borrow_mut().marking = false;
    machine.learning.set(false);
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

/// What a prefix takes.
fn bytes(prefix: &[Pick]) -> u64 {
    (size_of::<Vec<Pick>>() + size_of_val(prefix)) as u64
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
        while let Some(prefix) = work.pop() {
            self.kept -= bytes(&prefix);
            self.exec.restart();
            for p in &prefix {
                self.exec.step(p.ctx, p.alt);
            }
            self.path = prefix;
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
    fn go(&mut self, work: &mut Vec<Vec<Pick>>) -> Option<Ended> {
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
            let last = self.last();
            let key = self.key(last);
            if self.seen.get(key).is_some() {
                // What was found on the way is no part of the state.
                let found = !self.exec.machine().mem.borrow().findings.is_empty();
                return found.then(|| self.finish(ready));
            }
            self.seen.insert(key, 0);
            let going = last.filter(|l| ready.contains(l) && !self.exec.is_idle(*l));
            let mut first = None;
            for c in &ready {
                let free = going.is_none_or(|g| g == *c)
                    || self.exec.is_idle(*c)
                    || self.exec.is_helper(*c);
                for alt in 0..self.exec.alternatives(*c) {
                    let pick = Pick { ctx: *c, alt };
                    if free && first.is_none() && going.is_none_or(|g| g == *c) {
                        first = Some(pick);
                        continue;
                    }
                    let mut prefix = self.path.clone();
                    prefix.push(pick);
                    self.kept += bytes(&prefix);
                    if free { work.push(prefix) } else { self.next.push(prefix) }
                }
            }
            let pick = first.expect("the context that can go on, or any other, is a free move");
            self.path.push(pick);
            self.exec.step(pick.ctx, pick.alt);
        }
    }

    /// To the end in the default order, which preempts nobody.
    fn finish(&mut self, mut ready: Vec<CtxId>) -> Ended {
        while !ready.is_empty() {
            if let Some(limit) = self.options.limits.reached(self.exec) {
                return limit;
            }
            let exec = &*self.exec;
            let ctx = default_pick(&Choice {
                ready: &ready,
                idle: &|c| exec.is_idle(c),
                last: self.last(),
                alternatives: &|c| exec.alternatives(c),
            });
            self.path.push(Pick { ctx, alt: 0 });
            self.exec.step(ctx, 0);
            self.exec.ready(&mut ready);
        }
        self.exec.end();
        Ended::Complete
    }

    fn last(&self) -> Option<CtxId> {
        self.path.iter().rev().map(|p| p.ctx).find(|c| !self.exec.is_helper(*c))
    }

    fn key(&mut self, last: Option<CtxId>) -> u128 {
        let who = last.map_or(0, |l| u64::from(l.0) + 1);
        (self.canon.key(self.exec, 0).0 ^ u128::from(crate::mix::mix(who))).max(1)
    }

    fn judge(&mut self, ended: &Ended, observer: &mut dyn Observer) {
        let machine = self.exec.machine();
        let complete = *ended == Ended::Complete;
        let stuck = if complete { self.exec.stuck() } else { Vec::new() };
        let mem = machine.mem.borrow();
        self.tally.count(&mem, self.exec.state_digest(), ended, !stuck.is_empty());
        let picks = || self.path.clone();
        let picks: Option<&dyn Fn() -> Vec<Pick>> = Some(&picks);
        observer.execution(&View { picks, ..View::linear(machine, &mem, ended, &stuck) });
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
