//! The log of an execution: events with footprints, logged values and the happens-before order as vector clocks.
//!
//! A set of events that is closed under happens-before is a *cut*: how many steps of each context it holds. Values after
//! any cut are those of its last writers, so guards can be asked "what if" without running anything.

use crate::exec::Exec;
use crate::ids::{CtxId, Obj};
use crate::machine::{Machine, Model};
use crate::mix::roll;
use crate::policy::{Choice, Limits, Policy, Replay};
use crate::schedule::{Pick, Schedule};
use crate::step::{Access, Guard};

/// How many steps of each context a happens-before-closed set of events holds.
pub(crate) type Cut = Vec<u16>;

#[derive(Clone, Debug)]
struct Event {
    pick: Pick,
    /// Which step of its context it is, from 0.
    index: u16,
    /// What the step declared, and what counts: the same, but for a step that declared writes and made none.
    declared: (u32, u32),
    fp: (u32, u32),
    guard: Guard,
    entry: bool,
    alternatives: u8,
    digest: u64,
}

/// Accesses of one object, in the order of the execution.
#[derive(Clone, Debug, Default)]
struct History {
    /// Events that wrote it, with the value after each.
    writers: Vec<(u32, u64)>,
    /// Events that read it only.
    readers: Vec<u32>,
}

/// The events of the current execution. Buffers are kept between executions.
#[derive(Debug)]
pub(crate) struct Events {
    contexts: usize,
    list: Vec<Event>,
    /// Events beyond `len` are kept for their buffers.
    len: usize,
    fps: Vec<Access>,
    /// One row per event: its past and itself, as a cut.
    clocks: Vec<u16>,
    of: Vec<Vec<u32>>,
    objects: Vec<History>,
    initial: Vec<u64>,
    own: Vec<Option<Obj>>,
    helper: Vec<bool>,
}

impl Events {
    pub fn new(machine: &Machine) -> Events {
        let contexts = machine.contexts().len();
        Events {
            contexts,
            list: Vec::new(),
            len: 0,
            fps: Vec::new(),
            clocks: Vec::new(),
            of: vec![Vec::new(); contexts],
            objects: Vec::new(),
            initial: Vec::new(),
            own: (0..contexts as u16).map(|c| machine.own_of(CtxId(c))).collect(),
            helper: machine
                .contexts()
                .iter()
                .map(|s| s.kind == crate::machine::CtxKind::Helper)
                .collect(),
        }
    }

    /// Runs a schedule, in the default order from its end on, and logs it.
    pub fn log<M: Model>(exec: &mut Exec<'_, M>, picks: &[Pick], limits: Limits) -> Events {
        let machine = exec.machine();
        let mut events = Events::new(machine);
        let schedule = Schedule { picks: picks.to_vec() };
        let mut replay = Replay::new(&schedule);
        let (mut ready, mut last) = (Vec::new(), None);
        exec.restart();
        loop {
            exec.ready(&mut ready);
            if ready.is_empty() {
                exec.end();
                return events;
            }
            if limits.reached(exec).is_some() {
                return events;
            }
            let picked = replay.pick(&Choice {
                ready: &ready,
                idle: &|c| exec.is_idle(c),
                last,
                alternatives: &|c| exec.alternatives(c),
            });
            let pick = picked.expect("a schedule of a search fits its machine");
            events.declare(machine, pick);
            exec.step(pick.ctx, pick.alt);
            events.happened(machine);
            last = Some(pick.ctx);
        }
    }

    /// Runs the beginning of an execution, which fits, and logs it.
    pub fn log_steps<M: Model>(exec: &mut Exec<'_, M>, picks: &[Pick]) -> Events {
        let machine = exec.machine();
        let mut events = Events::new(machine);
        exec.restart();
        for pick in picks {
            events.declare(machine, *pick);
            exec.step(pick.ctx, pick.alt);
            events.happened(machine);
        }
        events
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn contexts(&self) -> usize {
        self.contexts
    }

    pub fn ctx(&self, e: usize) -> CtxId {
        self.list[e].pick.ctx
    }

    pub fn index(&self, e: usize) -> u16 {
        self.list[e].index
    }

    pub fn fp(&self, e: usize) -> &[Access] {
        let (a, b) = self.list[e].fp;
        &self.fps[a as usize..b as usize]
    }

    /// What the step declared. The same step at another place may do more than it did here.
    pub fn declared(&self, e: usize) -> &[Access] {
        let (a, b) = self.list[e].declared;
        &self.fps[a as usize..b as usize]
    }

    /// Whether the step declared writes and made none.
    pub fn is_unchanged(&self, e: usize) -> bool {
        self.list[e].declared != self.list[e].fp
    }

    pub fn guard(&self, e: usize) -> &Guard {
        &self.list[e].guard
    }

    pub fn own(&self, c: CtxId) -> Option<Obj> {
        self.own[c.index()]
    }

    pub fn is_helper(&self, c: CtxId) -> bool {
        self.helper[c.index()]
    }

    pub fn is_entry(&self, e: usize) -> bool {
        self.list[e].entry
    }

    /// How many alternatives the step had.
    pub fn alternatives(&self, e: usize) -> u8 {
        self.list[e].alternatives
    }

    /// The event's past and itself.
    pub fn clock(&self, e: usize) -> &[u16] {
        &self.clocks[e * self.contexts..(e + 1) * self.contexts]
    }

    /// The events of a context, in order.
    pub fn of(&self, c: CtxId) -> &[u32] {
        &self.of[c.index()]
    }

    pub fn picks(&self) -> impl Iterator<Item = Pick> + '_ {
        self.list[..self.len].iter().map(|e| e.pick)
    }

    pub fn pick(&self, e: usize) -> Pick {
        self.list[e].pick
    }

    /// Forgets the events from `len` on.
    pub fn truncate(&mut self, len: usize) {
        for e in (len..self.len).rev() {
            let (from, to) = self.list[e].fp;
            for a in &self.fps[from as usize..to as usize] {
                let h = &mut self.objects[a.obj().index()];
                while h.writers.last().is_some_and(|w| w.0 as usize >= e) {
                    h.writers.pop();
                }
                while h.readers.last().is_some_and(|r| *r as usize >= e) {
                    h.readers.pop();
                }
            }
            self.of[self.list[e].pick.ctx.index()].pop();
            self.fps.truncate(self.list[e].declared.0 as usize);
        }
        self.len = self.len.min(len);
        self.clocks.truncate(self.len * self.contexts);
    }

    /// Logs the step that is about to happen: who, footprint, guard, past.
    pub fn declare(&mut self, machine: &Machine, pick: Pick) {
        let slot = machine.slots[pick.ctx.index()].borrow();
        let from = self.fps.len() as u32;
        self.fps.extend_from_slice(&slot.fp);
        super::mutant::spoil_footprint(
            &mut self.fps,
            from as usize,
            &slot,
            machine.own_of(pick.ctx),
        );
        let fp = (from, self.fps.len() as u32);
        let index = self.of[pick.ctx.index()].len() as u16;
        let entry = slot.status == crate::step::Status::Idle;
        let alternatives = slot.step.alts;
        if self.len < self.list.len() {
            let e = &mut self.list[self.len];
            e.pick = pick;
            e.index = index;
            e.declared = fp;
            e.fp = fp;
            e.entry = entry;
            e.alternatives = alternatives;
            e.guard.cpu = slot.guard.cpu;
            e.guard.any = slot.guard.any;
            e.guard.cmps.clone_from(&slot.guard.cmps);
            e.guard.empty.clone_from(&slot.guard.empty);
        } else {
            let guard = slot.guard.clone();
            let (declared, digest) = (fp, 0);
            let event = Event { pick, index, declared, fp, guard, entry, alternatives, digest };
            self.list.push(event);
        }
        drop(slot);
        self.grow(machine);
    }

    /// Takes note of objects that came into being: their initial values are asked for.
    pub fn grow(&mut self, machine: &Machine) {
        let initial = machine.initial.borrow();
        if self.initial.len() < initial.values.len() {
            let from = self.initial.len();
            self.initial.extend_from_slice(&initial.values[from..]);
            self.objects.resize(self.initial.len(), History::default());
        }
    }

    /// Joins the pasts of all events that the new one conflicts with.
    fn clock_in(&mut self, ctx: CtxId, fp: (u32, u32)) {
        let n = self.contexts;
        let row = self.clocks.len();
        self.clocks.resize(row + n, 0);
        let (past, new) = self.clocks.split_at_mut(row);
        let mut join = |e: u32| {
            let from = &past[e as usize * n..(e as usize + 1) * n];
            for (x, y) in new.iter_mut().zip(from) {
                *x = (*x).max(*y);
            }
        };
        if let Some(e) = self.of[ctx.index()].last() {
            join(*e);
        }
        for a in &self.fps[fp.0 as usize..fp.1 as usize] {
            let h = &self.objects[a.obj().index()];
            let last = h.writers.last().map(|w| w.0);
            if let Some(w) = last {
                join(w);
            }
            if a.is_write() {
                let newer = |r: &&u32| last.is_none_or(|w| **r > w);
                h.readers.iter().rev().take_while(newer).for_each(|r| join(*r));
            }
        }
        new[ctx.index()] = self.of[ctx.index()].len() as u16 + 1;
    }

    /// Logs what the step did: the new values, and what happened before it.
    pub fn happened(&mut self, machine: &Machine) {
        self.grow(machine);
        let e = self.len as u32;
        if machine.mem.borrow().is_unchanged() {
            let (a, b) = self.list[self.len].declared;
            self.fps.extend_from_within(a as usize..b as usize);
            self.fps[b as usize..].iter_mut().for_each(|x| *x = x.as_read());
            self.list[self.len].fp = (b, self.fps.len() as u32);
        }
        let ev = &self.list[self.len];
        let (ctx, fp) = (ev.pick.ctx, ev.fp);
        self.clock_in(ctx, fp);
        let ev = &self.list[self.len];
        let mem = machine.mem.borrow();
        for a in &self.fps[ev.fp.0 as usize..ev.fp.1 as usize] {
            let h = &mut self.objects[a.obj().index()];
            if a.is_write() {
                if h.writers.last().is_none_or(|w| w.0 != e) {
                    h.writers.push((e, mem.values[a.obj().index()]));
                }
            } else if h.readers.last() != Some(&e) {
                h.readers.push(e);
            }
        }
        self.of[ctx.index()].push(e);
        let seed = u64::from(ctx.0) << 8 | u64::from(ev.pick.alt);
        let digest = self.clock(self.len).iter().fold(seed, |h, c| roll(h, u64::from(*c)));
        let before = self.len.checked_sub(1).map_or(0, |p| self.list[p].digest);
        self.list[self.len].digest = before.wrapping_add(digest);
        self.len += 1;
    }

    /// Digest of the trace: the sum over events, so the same for every order of independent steps.
    pub fn digest(&self) -> u64 {
        self.len.checked_sub(1).map_or(0, |e| self.list[e].digest)
    }

    /// Whether the last event conflicts with a footprint; `unchanged`: with one whose writes are none.
    pub fn last_conflicts(&self, fp: &[Access], unchanged: bool) -> bool {
        let Some(last) = self.len.checked_sub(1) else { return false };
        if unchanged {
            return fp.iter().any(|a| self.fp(last).iter().any(|b| a.as_read().conflicts(*b)));
        }
        crate::step::conflict(self.fp(last), fp)
    }

    /// All events.
    pub fn all(&self) -> Cut {
        self.of.iter().map(|l| l.len() as u16).collect()
    }

    pub fn contains(&self, cut: &[u16], e: usize) -> bool {
        self.list[e].index < cut[self.ctx(e).index()]
    }

    /// Takes `e` and everything that happens after it out of a cut.
    pub fn remove_up(&self, cut: &mut Cut, e: usize) {
        let (ctx, index) = (self.ctx(e).index(), self.list[e].index);
        for (c, n) in cut.iter_mut().enumerate() {
            let own = &self.of[c][..usize::from(*n)];
            let first =
                own.partition_point(|x| self.clocks[*x as usize * self.contexts + ctx] <= index);
            *n = first as u16;
        }
    }

    /// The last event of a cut that wrote `obj`, with the value after it.
    pub fn last_writer(&self, obj: Obj, cut: &[u16]) -> Option<(usize, u64)> {
        let h = self.objects.get(obj.index())?;
        h.writers
            .iter()
            .rev()
            .find(|(e, _)| self.contains(cut, *e as usize))
            .map(|(e, v)| (*e as usize, *v))
    }

    /// The value of `obj` after the events of a cut.
    pub fn value(&self, obj: Obj, cut: &[u16]) -> u64 {
        self.last_writer(obj, cut).map_or_else(|| self.initial[obj.index()], |w| w.1)
    }

    /// The events before `at` with which an access conflicts directly: the last writer, and for a write the readers
    /// since. Earlier ones happen before these.
    pub fn rivals(&self, a: Access, at: usize, out: &mut Vec<usize>) {
        let Some(h) = self.objects.get(a.obj().index()) else { return };
        let before = h.writers.partition_point(|w| (w.0 as usize) < at);
        let last = before.checked_sub(1).map(|i| h.writers[i].0);
        out.extend(last.map(|w| w as usize));
        if a.is_write() {
            let end = h.readers.partition_point(|r| (*r as usize) < at);
            let newer = |r: &&u32| last.is_none_or(|w| **r > w);
            out.extend(h.readers[..end].iter().rev().take_while(newer).map(|r| *r as usize));
        }
    }

    /// Joins into `clock` the pasts of the events of a cut with which a footprint conflicts.
    pub fn join_conflicts(&self, fp: &[Access], cut: &[u16], clock: &mut [u16]) {
        for a in fp {
            let h = &self.objects[a.obj().index()];
            let last = h.writers.iter().rev().find(|(e, _)| self.contains(cut, *e as usize));
            let mut join = |e: usize| {
                for (x, y) in clock.iter_mut().zip(self.clock(e)) {
                    *x = (*x).max(*y);
                }
            };
            if let Some((w, _)) = last {
                join(*w as usize);
            }
            if a.is_write() {
                // Readers older than the writer are in its past: joining them changes nothing.
                for r in h.readers.iter().filter(|r| self.contains(cut, **r as usize)) {
                    join(*r as usize);
                }
            }
        }
    }

    /// Whether one step of a context happens before one of another.
    pub fn happens_before(&self, a: (CtxId, u32), b: (CtxId, u32)) -> bool {
        let Some(e) = self.of[b.0.index()].get(b.1 as usize) else { return false };
        u32::from(self.clock(*e as usize)[a.0.index()]) > a.1
    }
}
