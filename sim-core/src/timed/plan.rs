//! Whose step comes next on a CPU, and when.

use super::{Driver, NEVER, NOBODY, Watch, later};
use crate::cpu;
use crate::ids::{CtxId, Obj};
use crate::machine::Model;
use crate::step::{Gate, Status, Waiting};

impl<M: Model, W: Watch> Driver<'_, '_, M, W> {
    /// The common case: the context that has the CPU to itself can go on.
    pub(super) fn plan_next(&mut self, lane: usize, c: CtxId) -> bool {
        let slot = self.machine.slots[c.index()].borrow();
        let l = &mut self.lanes[lane];
        let alone = l.top == Some(c) || l.top.is_none() && l.cur == Some(c) && l.tasks.len() == 1;
        if !alone || slot.status != Status::Waiting || slot.step.gate != Gate::Open {
            return false;
        }
        if !slot.guard.cmps.is_empty() {
            let values = &self.machine.mem.borrow().values;
            if !slot.guard.holds(c, None, &|o: Obj| values[o.index()]) {
                return false;
            }
        }
        let at = later(l.t, self.left[c.index()]);
        (l.next, l.who) = if at < l.irq_at { (at, c) } else { (l.irq_at, l.irq) };
        true
    }

    /// When and whose the next step of a lane is. [`Driver::refresh`] comes first if who may enter may have changed.
    pub(super) fn plan(&mut self, lane: usize) {
        let (mut next, mut who) = (self.lanes[lane].irq_at, self.lanes[lane].irq);
        let top = self.lanes[lane].top;
        let holder = top.or(self.lanes[lane].cur);
        let keeps = holder.is_some_and(|x| self.keeps_cpu(x, top.is_some()));
        let mut idle = !keeps;
        let now = self.lanes[lane].t;
        let busy = later(now, holder.filter(|_| !keeps).map_or(0, |x| self.left[x.index()]));
        if let Some(x) = holder.filter(|_| keeps) {
            match self.earliest(lane, x) {
                Some(at) if at < next => (next, who) = (at, x),
                Some(_) => {}
                // It could go on before an interrupt came, and cannot any more: from now on it waits.
                None => self.block_if_disabled(x),
            }
        }
        // Where a task has ended with interrupts or preemption off, no other can run.
        if top.is_none() && (!keeps || self.lanes[lane].tasks.len() > 1) {
            let (mut at, task) = self.next_task(lane, holder, !keeps, busy);
            if keeps && at != NEVER {
                // Another task gets its turn when the slice is over.
                at = at.max(self.slice_end(lane));
            } else if at != NEVER && !self.exec.enabled(task) {
                // It gets the CPU and spins: no step, but others must wait for the end of its slice.
                if let Some(x) = holder.filter(|_| self.waits.open > 0) {
                    self.waits.done(x, busy);
                }
                self.lanes[lane].cur = Some(task);
                self.lanes[lane].since = at;
                return self.plan(lane);
            }
            // A task that wakes up later does not keep the CPU from idling until then.
            idle &= at > busy;
            if at < next {
                (next, who) = (at, task);
            }
        }
        let l = &mut self.lanes[lane];
        l.idle = idle && next > busy;
        l.idle_from = busy;
        l.next = next;
        l.who = who;
    }

    /// The task that gets the CPU next, and when, which is not before `busy`: one that can step, or (if asked for) spin.
    pub(super) fn next_task(
        &mut self,
        lane: usize,
        except: Option<CtxId>,
        spinners: bool,
        busy: u64,
    ) -> (u64, CtxId) {
        let (mut at, mut who) = (NEVER, NOBODY);
        let tasks = self.lanes[lane].tasks.len();
        // Round robin: those after the current one first.
        let position = |x| self.lanes[lane].tasks.iter().position(|c| *c == x);
        let from = except.and_then(position).map_or(0, |i| i + 1);
        for i in 0..tasks {
            let c = self.lanes[lane].tasks[(from + i) % tasks];
            if self.machine.slots[c.index()].borrow().status == Status::Done {
                continue;
            }
            let blocked = self.machine.mem.borrow().clock.watchers.is_blocked(c);
            let enabled = !blocked && self.exec.enabled(c);
            if !enabled && !blocked {
                self.block_if_disabled(c);
            }
            if enabled || spinners && self.spins(c) {
                let t = later(self.lanes[lane].t, self.left[c.index()]);
                let t = t.max(self.gate(c)).max(busy);
                if t < at {
                    (at, who) = (t, c);
                }
            }
        }
        (at, who)
    }

    /// When the context could take its next step if it keeps the CPU; `None` while its guard is false.
    pub(super) fn earliest(&self, lane: usize, c: CtxId) -> Option<u64> {
        if !self.exec.enabled(c) {
            return None;
        }
        let t = self.lanes[lane].t;
        Some(later(t, self.left[c.index()]).max(self.gate(c)))
    }

    /// Who is on top of the CPU's stack, and which daemon may enter it first.
    pub(super) fn refresh(&mut self, lane: usize) {
        let l = &mut self.lanes[lane];
        let Some(own) = l.own else { return };
        let mem = &mut *self.machine.mem.borrow_mut();
        l.top = cpu::top(mem.values[own.index()]);
        (l.irq_at, l.irq) = self.machine.first_entry(mem, lane, None, l.t);
    }

    pub(super) fn slice_end(&self, lane: usize) -> u64 {
        self.lanes[lane].since.saturating_add(self.options.costs.slice_ns)
    }

    /// Whether the context that has the CPU goes on, or spins there: on top of the stack it always does.
    pub(super) fn keeps_cpu(&self, x: CtxId, on_stack: bool) -> bool {
        let slot = self.machine.slots[x.index()].borrow();
        slot.status == Status::Waiting && (on_stack || slot.step.waiting == Waiting::Spin)
    }

    pub(super) fn spins(&self, c: CtxId) -> bool {
        let slot = self.machine.slots[c.index()].borrow();
        slot.status == Status::Waiting && slot.step.waiting == Waiting::Spin
    }

    pub(super) fn gate(&self, c: CtxId) -> u64 {
        self.machine.slots[c.index()].borrow().step.gate.opens(&self.machine.mem.borrow().queues)
    }
}
