//! One execution: starts the contexts, tells which can step, steps them, and starts over.

use crate::detect::Class;
use crate::ids::{CtxId, Obj};
use crate::machine::{Body, CtxKind, Machine, Model};
use crate::mem::{Holder, Place};
use crate::ready::Ready;
use crate::step::Status;
use crate::{Cx, cpu};
use petgraph::graph::{DiGraph, NodeIndex};
use std::task::{Context, Waker};

/// An edge of the graph of who waits for whom.
pub(crate) struct WaitEdge {
    pub waiter: CtxId,
    pub holder: CtxId,
    /// What the holder has.
    pub over: Obj,
    pub through_cpu: bool,
    /// The waiter waits for a grace period, the holder is a reader of it.
    grace: bool,
}

/// Runs executions of a model on a machine, one after the other, without allocating more than the contexts' futures.
pub struct Exec<'m, M> {
    machine: &'m Machine,
    model: &'m M,
    bodies: Vec<Option<Body<'m>>>,
    dirty: Vec<Obj>,
    stamp: Vec<u32>,
    epoch: u32,
    /// Contexts that have stepped in this execution.
    moved: Vec<CtxId>,
    ready: Ready,
    start: StateDigest,
}

/// The digest of the state at the start, from which that of any other follows by what has changed.
#[derive(Default)]
struct StateDigest {
    sum: u64,
    /// By object: its part of the sum.
    parts: Vec<u64>,
}

impl<'m, M: Model> Exec<'m, M> {
    /// An execution at its start.
    pub fn new(machine: &'m Machine, model: &'m M) -> Exec<'m, M> {
        let mut e = Exec {
            machine,
            model,
            bodies: (0..machine.specs.len()).map(|_| None).collect(),
            dirty: Vec::new(),
            stamp: Vec::new(),
            epoch: 1,
            moved: Vec::new(),
            ready: Ready::default(),
            start: StateDigest::default(),
        };
        machine.reset_memory();
        machine.reset_slots();
        machine.mem.borrow_mut().frames.iter_mut().for_each(|f| f.clear());
        for c in 0..machine.specs.len() {
            e.birth(CtxId(c as u16));
        }
        if !machine.timed.get() {
            let mem = &*machine.mem.borrow();
            e.start.parts = (0..mem.values.len() as u32).map(|o| mem.digest_of(Obj(o))).collect();
            e.start.sum = e.start.parts.iter().fold(0, |sum, part| sum.wrapping_add(*part));
        }
        e
    }

    /// The machine.
    pub fn machine(&self) -> &'m Machine {
        self.machine
    }

    /// The model.
    pub fn model(&self) -> &'m M {
        self.model
    }

    fn birth(&mut self, c: CtxId) {
        {
            let mut mem = self.machine.mem.borrow_mut();
            mem.cur = c;
            mem.taken = 0;
        }
        self.machine.slots[c.index()].borrow_mut().status = Status::Unborn;
        let cx = Cx { machine: self.machine, id: c };
        let drains = self.machine.mem.borrow().buffers.as_ref().and_then(|b| b.drained_by(c));
        let mut body: Body<'m> = match drains {
            Some(owner) => Box::pin(crate::tso::drain(cx, owner)),
            None => self.model.start(cx),
        };
        let mut slot_done = false;
        if body.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            slot_done = true;
        }
        if slot_done {
            self.machine.slots[c.index()].borrow_mut().status = Status::Done;
        } else {
            self.bodies[c.index()] = Some(body);
        }
    }

    /// Back to the start. Daemons that are idle keep their futures: they are where they began.
    pub fn restart(&mut self) {
        self.ready.following = false;
        let mut again: Vec<CtxId> = std::mem::take(&mut self.moved);
        // Contexts that did not move keep their slots too: what is local to them before their first step is in there.
        for c in &again {
            self.machine.slots[c.index()].borrow_mut().reset();
        }
        again.retain(|c| !self.machine.is_at_home(*c));
        for c in &again {
            self.bodies[c.index()] = None;
            self.machine.mem.borrow_mut().frames[c.index()].clear();
        }
        self.machine.reset_objects(&self.dirty);
        self.machine.mem.borrow_mut().mark_entered();
        self.dirty.clear();
        self.epoch += 1;
        again.sort_unstable();
        for c in &again {
            self.birth(*c);
        }
        again.clear();
        self.moved = again;
    }

    /// Whether the next step of the context may happen now. (In timed runs gates come on top.)
    pub fn enabled(&self, c: CtxId) -> bool {
        self.enabled_in(c, &self.machine.mem.borrow().values)
    }

    fn enabled_in(&self, c: CtxId, values: &[u64]) -> bool {
        let slot = self.machine.slots[c.index()].borrow();
        matches!(slot.status, Status::Waiting | Status::Idle)
            && slot.guard.holds(c, self.machine.own_of(c), &|o: Obj| values[o.index()])
    }

    /// From now to the end of the execution it is kept up to date who can step: cheaper where [`Exec::ready`] is asked
    /// before every step.
    pub fn follow(&mut self) {
        self.ready.follow(self.machine, &self.machine.mem.borrow().values);
    }

    /// The contexts that can step, by number.
    pub fn ready(&self, out: &mut Vec<CtxId>) {
        out.clear();
        let all = (0..self.bodies.len() as u16).map(CtxId);
        if self.ready.following {
            self.ready.list(out);
            debug_assert!(all.filter(|c| self.enabled(*c)).eq(out.iter().copied()));
            return;
        }
        let values = &self.machine.mem.borrow().values;
        out.extend(all.filter(|c| self.enabled_in(*c, values)));
    }

    /// How many alternatives the next step of the context has.
    pub fn alternatives(&self, c: CtxId) -> u8 {
        self.machine.slots[c.index()].borrow().step.alts
    }

    /// The footprint of the context's next step.
    pub fn footprint(&self, c: CtxId) -> Vec<crate::step::Access> {
        self.machine.slots[c.index()].borrow().fp.clone()
    }

    /// Whether the context is a daemon that waits for work.
    pub fn is_idle(&self, c: CtxId) -> bool {
        self.machine.status(c) == Status::Idle
    }

    /// Whether the context's body has ended.
    pub fn is_done(&self, c: CtxId) -> bool {
        self.machine.status(c) == Status::Done
    }

    /// Performs the next step of an enabled context, with the given alternative.
    pub fn step(&mut self, c: CtxId, alt: u8) {
        if !self.machine.plain || self.machine.timed.get() {
            return self.step_unwatched(c, alt);
        }
        let mut fp = self.footprint(c);
        let spun = self.spun_on(c);
        let label = self.machine.slots[c.index()].borrow().step.label;
        let func = self.machine.mem.borrow().blamed(c);
        self.step_unwatched(c, alt);
        let mem = &mut *self.machine.mem.borrow_mut();
        let place = Place { ctx: c, func, label, step: mem.step_no };
        mem.look_for_races(self.machine.own_of(c), &mut fp, &spun, place);
    }

    /// What the context reads again and again until its next step can happen.
    fn spun_on(&self, c: CtxId) -> Vec<Obj> {
        let slot = self.machine.slots[c.index()].borrow();
        slot.guard.cmps.iter().flat_map(|c| c.objs()).collect()
    }

    /// Those who spin for ever have read what others wrote meanwhile.
    fn look_at_spinning(&mut self, stuck: &[CtxId]) {
        for &c in stuck {
            let label = self.machine.slots[c.index()].borrow().step.label;
            let mem = &mut *self.machine.mem.borrow_mut();
            let place = Place { ctx: c, func: mem.blamed(c), label, step: mem.step_no };
            let spun = self.spun_on(c);
            mem.look_for_races(None, &mut [], &spun, place);
        }
    }

    fn step_unwatched(&mut self, c: CtxId, alt: u8) {
        {
            let mut slot = self.machine.slots[c.index()].borrow_mut();
            let mem = &mut *self.machine.mem.borrow_mut();
            if slot.taken == 0 {
                self.moved.push(c);
            }
            let label = slot.step.label;
            slot.begin(c, label, alt, mem);
            if !self.machine.timed.get() {
                self.note_writes(&slot.fp, mem, c);
            }
        }
        let body = self.bodies[c.index()].as_mut().expect("an enabled context has a body");
        if body.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            self.bodies[c.index()] = None;
            self.machine.slots[c.index()].borrow_mut().status = Status::Done;
        }
        if self.machine.timed.get() {
            // Others may have followed it at once.
            let mut slot = self.machine.slots[c.index()].borrow_mut();
            slot.taken = self.machine.mem.borrow().taken;
        }
        if self.ready.following {
            self.ready.stepped(self.machine, &self.machine.mem.borrow(), c);
        }
    }

    /// What must be set back before the next execution; a timed run is the only one on its machine.
    fn note_writes(&mut self, fp: &[crate::step::Access], mem: &mut crate::Mem, c: CtxId) {
        if self.stamp.len() < mem.values.len() {
            self.stamp.resize(mem.values.len(), 0);
        }
        mem.own_writes = mem.last_writer.len();
        for a in fp.iter().filter(|a| a.is_write()) {
            let stamp = &mut self.stamp[a.obj().index()];
            if *stamp != self.epoch {
                *stamp = self.epoch;
                self.dirty.push(a.obj());
            }
            mem.last_writer.push((a.obj(), c));
        }
    }

    /// Steps and expiries of this execution so far.
    pub fn progress(&self) -> (u32, u64) {
        let mem = self.machine.mem.borrow();
        (mem.step_no, mem.expiries)
    }

    /// The number of steps of this execution so far.
    pub fn steps(&self) -> u32 {
        self.machine.mem.borrow().step_no
    }

    /// Whether the last step declared writes and made none, so that it counts as a read.
    pub fn changed_nothing(&self) -> bool {
        self.machine.mem.borrow().is_unchanged()
    }

    /// The digest of the state ([`crate::Mem::state_digest`]), from what has changed since the start.
    pub fn state_digest(&self) -> u64 {
        let mem = &*self.machine.mem.borrow();
        let at_start = |o: Obj| self.start.parts.get(o.index()).copied().unwrap_or(0);
        let mut sum = self.start.sum;
        for o in &self.dirty {
            sum = sum.wrapping_add(mem.digest_of(*o)).wrapping_sub(at_start(*o));
            // Fields of a new object that nobody has written count from now on too.
            for f in mem.fields(*o).filter(|_| at_start(*o) == 0) {
                if self.stamp.get(f.index()) != Some(&self.epoch) {
                    sum = sum.wrapping_add(mem.digest_of(f));
                }
            }
        }
        debug_assert_eq!(sum, mem.state_digest());
        sum
    }

    /// Every object that has another value than at the start, with the rule that says whom the value names.
    pub(crate) fn each_change(&self, mem: &crate::Mem, f: &mut impl FnMut(Obj, u64, Holder)) {
        let initial = self.machine.initial.borrow();
        for o in &self.dirty {
            let v = mem.values[o.index()];
            if v != initial.values[o.index()] {
                f(*o, v, mem.meta[o.index()].holder);
            }
        }
    }

    /// Every context that has learned something or made names since its named state, with a digest of that. Of one that
    /// has ended it matters only that it has.
    pub(crate) fn each_learned(&self, mem: &crate::Mem, f: &mut impl FnMut(CtxId, u64)) {
        for c in &self.moved {
            let slot = self.machine.slots[c.index()].borrow();
            let stores = mem.buffers.as_ref().map_or(0, |b| b.place(*c));
            let made = u64::from(slot.allocs) << 32 | u64::from(slot.items) << 8;
            let made = made | u64::from(stores);
            if slot.status == Status::Done {
                f(*c, 1);
            } else if slot.learned != 0 || made != 0 {
                f(*c, crate::mix::roll(slot.learned, made));
            }
        }
    }

    /// Contexts that have begun something and cannot go on.
    pub fn stuck(&self) -> Vec<CtxId> {
        (0..self.bodies.len() as u16)
            .map(CtxId)
            .filter(|c| self.machine.status(*c) == Status::Waiting && !self.enabled(*c))
            .collect()
    }

    /// To be called when nothing can step: reports deadlocks, then lets the model look at the end.
    pub fn end(&mut self) {
        let stuck = self.stuck();
        if !stuck.is_empty() {
            self.report_stuck(&stuck);
            self.note_hung(&stuck);
            if self.machine.plain {
                self.look_at_spinning(&stuck);
            }
        }
        self.model.at_end(&mut self.machine.mem.borrow_mut());
    }

    /// Takes down for lockdep what the stuck contexts wait for.
    fn note_hung(&mut self, stuck: &[CtxId]) {
        let mut blame = Vec::new();
        for &c in stuck {
            let slot = self.machine.slots[c.index()].borrow();
            let mem = &mut *self.machine.mem.borrow_mut();
            let value = |o: Obj| mem.values[o.index()];
            slot.guard.blame(c, self.machine.own_of(c), &value, &mut blame);
            let at =
                Place { ctx: c, func: mem.blamed(c), label: slot.step.label, step: mem.step_no };
            blame.iter().for_each(|o| mem.hung_on(c, *o, at));
        }
    }

    /// Who waits for whom among the stuck contexts. Who waits for a grace period waits for the reader that it waits for.
    pub(crate) fn waits_for(&self, stuck: &[CtxId]) -> Vec<WaitEdge> {
        let mut edges = Vec::new();
        for &waiter in stuck {
            for (holder, over) in self.holders(waiter) {
                if self.machine.watchers.contains(&holder) {
                    let readers = self.holders(holder).into_iter();
                    edges.extend(readers.map(|(holder, over)| WaitEdge {
                        waiter,
                        holder,
                        over,
                        through_cpu: false,
                        grace: true,
                    }));
                } else {
                    let cpu = self.machine.mem.borrow().meta[over.index()].holder == Holder::Cpu;
                    edges.push(WaitEdge { waiter, holder, over, through_cpu: cpu, grace: false });
                }
            }
        }
        edges
    }

    /// Who holds what the context waits for, and what that is.
    fn holders(&self, c: CtxId) -> Vec<(CtxId, Obj)> {
        let mem = self.machine.mem.borrow();
        let value = |o: Obj| mem.values[o.index()];
        let mut blame = Vec::new();
        let slot = self.machine.slots[c.index()].borrow();
        slot.guard.blame(c, self.machine.own_of(c), &value, &mut blame);
        blame.iter().filter_map(|o| Some((self.holder(&mem, *o)?, *o))).collect()
    }

    /// Who is to change an object that somebody waits for. Of one that no rule gives a holder, whoever wrote it last is the
    /// one to ask, where that was taken down.
    pub(crate) fn holder(&self, mem: &crate::Mem, obj: Obj) -> Option<CtxId> {
        let value = mem.values[obj.index()];
        let named = || {
            let holder = CtxId(u16::try_from(value.checked_sub(1)?).ok()?);
            (holder.index() < self.bodies.len()).then_some(holder)
        };
        let last_writer = || mem.last_writer.iter().rev().find(|(o, _)| *o == obj).map(|(_, c)| *c);
        match mem.meta[obj.index()].holder {
            Holder::Value => named(),
            Holder::Cpu => cpu::top(value),
            Holder::Ctx(h) => Some(h),
            // A lock that was never initialised names nobody.
            Holder::LastWriter if mem.is_lock(obj) => named().or_else(last_writer),
            Holder::LastWriter => last_writer(),
        }
    }

    fn report_stuck(&mut self, stuck: &[CtxId]) {
        let edges = self.waits_for(stuck);
        let mut graph: DiGraph<CtxId, bool> = DiGraph::new();
        let nodes: Vec<NodeIndex> =
            (0..self.bodies.len()).map(|c| graph.add_node(CtxId(c as u16))).collect();
        for e in &edges {
            graph.add_edge(nodes[e.waiter.index()], nodes[e.holder.index()], e.through_cpu);
        }
        let mut cycles: Vec<Vec<CtxId>> = petgraph::algo::tarjan_scc(&graph)
            .into_iter()
            .filter(|scc| scc.len() > 1 || graph.contains_edge(scc[0], scc[0]))
            .map(|scc| {
                let mut c: Vec<CtxId> = scc.iter().map(|n| graph[*n]).collect();
                c.sort_unstable();
                c
            })
            .collect();
        cycles.sort();
        if cycles.is_empty() {
            // Nobody in a cycle: the first waits for something that no context will ever do.
            // If that is inside a read section that somebody waits for the end of, it may well be he who would do it.
            let waits = |e: &&WaitEdge| e.grace && !self.is_helper(e.waiter);
            match edges.iter().find(waits).map(|e| (e.waiter, e.holder)) {
                Some((waiter, reader)) => self.report_cycle(Class::RcuStall, waiter, reader),
                None => self.report_cycle(Class::Deadlock, stuck[0], stuck[0]),
            }
            return;
        }
        for cycle in cycles {
            let inside = |e: &&WaitEdge| cycle.contains(&e.waiter) && cycle.contains(&e.holder);
            let nested = cycle.len() == 1 || edges.iter().filter(inside).any(|e| e.through_cpu);
            let one_cpu = cycle.iter().all(|c| self.cpu_of(*c) == self.cpu_of(cycle[0]));
            let class = match () {
                () if edges.iter().filter(inside).any(|e| e.grace) => Class::RcuStall,
                () if nested && one_cpu => Class::SelfDeadlock,
                () => Class::Deadlock,
            };
            let first = cycle[0];
            let next = edges
                .iter()
                .find(|e| e.waiter == first && cycle.contains(&e.holder))
                .map_or(first, |e| e.holder);
            self.report_cycle(class, first, next);
        }
    }

    fn cpu_of(&self, c: CtxId) -> Option<crate::CpuId> {
        self.machine.specs[c.index()].cpu
    }

    fn report_cycle(&mut self, class: Class, a: CtxId, b: CtxId) {
        let labels = [a, b].map(|c| self.machine.slots[c.index()].borrow().step.label);
        let mem = &mut *self.machine.mem.borrow_mut();
        let step = mem.step_no;
        let place = |ctx: CtxId, label| Place { ctx, func: mem.blamed(ctx), label, step };
        let (at, other) = (place(a, labels[0]), place(b, labels[1]));
        let raw = crate::detect::RawFinding {
            class,
            at,
            other: (a != b).then_some(other),
            obj: None,
            alloc: 0,
        };
        mem.findings.push(raw);
    }

    /// Whether the context is something that people do not see as a thread of control.
    pub fn is_helper(&self, c: CtxId) -> bool {
        self.machine.specs[c.index()].kind == CtxKind::Helper
    }
}
