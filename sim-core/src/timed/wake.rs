//! Contexts that cannot step watch what keeps them from it, and look again when it is written.

use super::{Driver, Watch, later};
use crate::ids::CtxId;
use crate::machine::Model;
use crate::step::{CostClass, Status};

impl<M: Model, W: Watch> Driver<'_, '_, M, W> {
    /// A context that cannot step watches what keeps it from it.
    pub(super) fn block_if_disabled(&mut self, c: CtxId) {
        let mem = &mut *self.machine.mem.borrow_mut();
        if !mem.clock.watchers.is_blocked(c) {
            let slot = self.machine.slots[c.index()].borrow();
            mem.clock.watchers.update(c, &slot, &mem.values);
            if self.waits.are_wanted() && slot.status == Status::Waiting {
                self.look(mem, c, self.lanes[self.lane_of[c.index()]].t);
            }
        }
    }

    /// Contexts of the lane that watch what its last step wrote: what keeps them is found anew. Whether there is anybody
    /// who does.
    pub(super) fn wake_own(&mut self, lane: usize, mem: &mut crate::Mem) -> bool {
        if mem.clock.woken.is_empty() {
            return false;
        }
        let mut woken = std::mem::take(&mut mem.clock.woken);
        let mut elsewhere = 0;
        for i in 0..woken.len() {
            let c = woken[i];
            if self.lane_of[c.index()] != lane {
                woken[elsewhere] = c;
                elsewhere += 1;
                continue;
            }
            let slot = self.machine.slots[c.index()].borrow();
            mem.clock.watchers.update(c, &slot, &mem.values);
            if self.waits.is_open(c) {
                let at = mem.clock.at;
                self.look(mem, c, at);
            }
            self.ahead.stepped(c);
        }
        woken.truncate(elsewhere);
        mem.clock.woken = woken;
        true
    }

    /// The same for those of other lanes: also when they can step is found anew.
    pub(super) fn wake_others(&mut self, now: u64) {
        let mut woken = std::mem::take(&mut self.woken);
        for c in woken.drain(..) {
            let l = self.lane_of[c.index()];
            let blocked = {
                let mem = &mut *self.machine.mem.borrow_mut();
                let slot = self.machine.slots[c.index()].borrow();
                mem.clock.watchers.update(c, &slot, &mem.values);
                mem.clock.watchers.is_blocked(c)
            };
            self.ahead.stepped(c);
            let at = now.max(self.lanes[l].t);
            // Whoever comes only later finds the new value there.
            let done = later(self.lanes[l].t, self.left[c.index()]);
            let spun = self.spins(c) && done <= now;
            self.note_idle(l, at);
            if self.lanes[l].next > at {
                // What is seen from now on happens from now on.
                self.burn(l, at);
                self.lanes[l].t = at;
            }
            if self.waits.is_open(c) {
                self.look(&mut self.machine.mem.borrow_mut(), c, at);
            }
            if spun && !blocked {
                let handover = {
                    let mut mem = self.machine.mem.borrow_mut();
                    mem.clock.draw(l, CostClass::Handover)
                };
                self.left[c.index()] += handover;
                self.look_at_handover(c, (done, at), handover);
            }
            // What another CPU does to an idle one finds it idle.
            let idle = self.lanes[l].idle && self.lanes[l].idle_from <= at;
            self.refresh(l);
            self.plan(l);
            self.matches.play(l, self.lanes[l].next);
            self.lanes[l].idle |= idle;
            self.note(l, at);
        }
        self.woken = woken;
    }
}
