//! What a CPU does, step by step, for causes of lateness and for watchers.

use super::causes::{Cause, Doing};
use super::{Driver, Watch};
use crate::cpu;
use crate::ids::{CpuId, CtxId};
use crate::machine::{CtxKind, Model};

impl<M: Model, W: Watch> Driver<'_, '_, M, W> {
    /// Notes what the CPU does from `at` on, where causes are wanted.
    pub(super) fn note(&mut self, lane: usize, at: u64) {
        if self.history.len() <= lane {
            return;
        }
        let l = &mut self.lanes[lane];
        l.idle_later = l.idle && l.idle_from > at;
        let idle = l.idle && !l.idle_later;
        let (top, cur) = (l.top, l.cur);
        let has_it = |x: &CtxId| self.left[x.index()] > 0 || self.keeps_cpu(*x, false);
        let ctx = top.or(cur.filter(has_it)).filter(|_| !idle);
        self.note_doing(lane, at, ctx);
        let l = &self.lanes[lane];
        if l.idle_later {
            self.watch.idles(CpuId(lane as u16), l.idle_from);
        }
    }

    /// The last step of a task that sleeps now was over before `to`: the CPU was idle from then on.
    pub(super) fn note_idle(&mut self, lane: usize, to: u64) {
        let l = &mut self.lanes[lane];
        if l.idle_later && l.idle_from <= to {
            l.idle_later = false;
            let from = l.idle_from;
            self.note_doing(lane, from, None);
        }
    }

    pub(super) fn note_doing(&mut self, lane: usize, at: u64, ctx: Option<CtxId>) {
        let cause = ctx.map_or(Cause::Idle, |x| self.doing(lane, x));
        self.history[lane].note(at, Doing { cause, ctx });
        self.watch.doing(CpuId(lane as u16), at, ctx, cause);
    }

    fn doing(&self, lane: usize, x: CtxId) -> Cause {
        let mem = self.machine.mem.borrow();
        if mem.clock.watchers.is_blocked(x) && self.spins(x) {
            return Cause::Spin(x, mem.blamed(x));
        }
        let word = self.lanes[lane].own.map_or(cpu::IDLE, |o| mem.values[o.index()]);
        match self.machine.specs[x.index()].kind {
            CtxKind::Hardirq | CtxKind::Nmi => Cause::Interrupt(x),
            CtxKind::Softirq => Cause::Softirq(x),
            _ if cpu::irqs_off(word) => Cause::IrqsOff(x, mem.blamed(x)),
            _ if cpu::bh_off(word) => Cause::SoftirqsOff(x, mem.blamed(x)),
            _ => Cause::Task(x),
        }
    }
}
