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
            let real_time = self.lanes[lane].real_time;
            let (at, task) = match real_time {
                true => self.next_by_class(lane, holder, keeps, (now, busy)),
                false => self.next_in_turn(lane, holder, keeps, busy),
            };
            let steps = at != NEVER && self.exec.enabled(task);
            let other = real_time && Some(task) != holder && at <= busy;
            let has_work = other && self.left[task.index()] > 0;
            if at != NEVER && (real_time || !keeps) && !steps || has_work {
                // It gets the CPU without a step: it spins, and others must wait for the end of its slice; or it goes on with
                // work that it was taken from.
                if let Some(x) = holder.filter(|_| !keeps && at >= busy) {
                    if self.waits.open > 0 {
                        self.waits.done(x, busy);
                    }
                    if has_work {
                        self.left[task.index()] += std::mem::take(&mut self.left[x.index()]);
                    }
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

    /// The task that gets the CPU from the one that keeps it, when the slice is over, or after the one that does not.
    fn next_in_turn(
        &mut self,
        lane: usize,
        holder: Option<CtxId>,
        keeps: bool,
        busy: u64,
    ) -> (u64, CtxId) {
        let (at, task) = self.next_task(lane, holder, !keeps, busy);
        if keeps && at != NEVER { (at.max(self.slice_end(lane)), task) } else { (at, task) }
    }

    /// Round robin: which task of the CPU is asked first, the one after `x`.
    fn turn_after(&self, lane: usize, x: Option<CtxId>) -> usize {
        let position = |x| self.lanes[lane].tasks.iter().position(|c| *c == x);
        x.and_then(position).map_or(0, |i| i + 1)
    }

    /// The task that gets the CPU next, and when, which is not before `busy`: one that can step, or (if asked for) spin.
    fn next_task(
        &mut self,
        lane: usize,
        except: Option<CtxId>,
        spinners: bool,
        busy: u64,
    ) -> (u64, CtxId) {
        let (mut at, mut who) = (NEVER, NOBODY);
        let tasks = self.lanes[lane].tasks.len();
        let turn = self.turn_after(lane, except);
        for i in 0..tasks {
            let c = self.lanes[lane].tasks[(turn + i) % tasks];
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

    /// The same on a CPU that has tasks with a real-time class: who gets the CPU after `holder`, and when. A higher priority
    /// takes it away, also from one that is still busy with its last step, up to `busy`, before it sleeps or ends; an equal one
    /// waits for the end of the slice if they take turns.
    fn next_by_class(
        &mut self,
        lane: usize,
        holder: Option<CtxId>,
        keeps: bool,
        (now, busy): (u64, u64),
    ) -> (u64, CtxId) {
        let (mut at, mut who, mut priority) = (NEVER, NOBODY, 0);
        let has = holder.filter(|_| keeps || busy > now).map(|x| self.classes[x.index()]);
        let tasks = self.lanes[lane].tasks.len();
        let turn = self.turn_after(lane, holder);
        for i in 0..tasks {
            let c = self.lanes[lane].tasks[(turn + i) % tasks];
            if keeps && holder == Some(c) {
                continue;
            }
            let class = self.classes[c.index()];
            let enabled = self.exec.enabled(c);
            if !enabled {
                self.block_if_disabled(c);
            }
            // It was taken from its last step before it sleeps or ends.
            let finishes =
                holder != Some(c) && self.left[c.index()] > 0 && !self.keeps_cpu(c, false);
            let from = if finishes { now } else { self.gate(c).max(now) };
            let higher = has.is_some_and(|h| class.priority > h.priority);
            let equal = has.is_some_and(|h| class.priority == h.priority && h.in_turns);
            let t = match has {
                _ if !enabled && !finishes && !self.spins(c) => continue,
                Some(_) if higher && holder != Some(c) => from,
                Some(_) if !keeps => from.max(busy),
                Some(_) if equal && enabled => from.max(self.slice_end(lane)),
                Some(_) => continue,
                None => from,
            };
            if t < at || t == at && class.priority > priority {
                (at, who, priority) = (t, c, class.priority);
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
