//! Why a callback is late: what its CPU did from the programmed expiry to the beginning of the callback.
//!
//! A CPU does one thing at a time, so the parts add up to the whole lateness, exactly.

use crate::ids::CtxId;
use crate::mem::FrameName;
use crate::result::Expiry;
use std::collections::VecDeque;

/// Stretches of a CPU's time that are kept; what is older is one cause of its own.
const KEPT: usize = 4096;

/// What a CPU did while a timer was due. Functions are those that a finding would blame.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cause {
    /// The timer was armed after its expiry.
    ArmedLate,
    /// Further back than what is kept.
    Older,
    /// A task had interrupts off in this function.
    IrqsOff(CtxId, FrameName),
    /// A task had softirqs off in this function.
    SoftirqsOff(CtxId, FrameName),
    /// A task ran, with everything on.
    Task(CtxId),
    /// It was idle: nobody had told it yet.
    Idle,
    /// It woke up from being idle.
    IdleExit,
    /// This interrupt: its entry, its handler.
    Interrupt(CtxId),
    /// This softirq, which is another one than that of the timer.
    Softirq(CtxId),
    /// Somebody on this CPU spun in this function.
    Spin(CtxId, FrameName),
    /// The softirq of the timer was busy with earlier ones.
    EarlierTimers,
    /// From taking the timer off its queue to the beginning of the callback.
    ToCallback,
}

/// What a CPU does during a stretch of time.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Doing {
    pub cause: Cause,
    /// The context that has the CPU.
    pub ctx: Option<CtxId>,
}

/// What one CPU did lately.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// When each stretch began, oldest first; each lasts until the next one begins.
    stretches: VecDeque<(u64, Doing)>,
}

impl History {
    /// From `at` on the CPU does this.
    pub fn note(&mut self, at: u64, doing: Doing) {
        // What took no time was not done.
        while self.stretches.back().is_some_and(|last| last.0 >= at) {
            self.stretches.pop_back();
        }
        if self.stretches.back().is_some_and(|last| last.1 == doing) {
            return;
        }
        if self.stretches.len() == KEPT {
            self.stretches.pop_front();
        }
        self.stretches.push_back((at, doing));
    }

    /// What the CPU did from one time to another, as far back as is kept: nanoseconds by cause.
    pub fn lately(&self, from: u64, to: u64) -> Vec<(Cause, u64)> {
        let mut parts: Vec<(Cause, u64)> = Vec::new();
        let first = self.stretches.iter().rposition(|s| s.0 <= from).unwrap_or(0);
        for (i, (begin, doing)) in self.stretches.iter().enumerate().skip(first) {
            let until = self.stretches.get(i + 1).map_or(to, |next| next.0.min(to));
            let ns = until.saturating_sub(from.max(*begin));
            match parts.iter_mut().find(|p| p.0 == doing.cause) {
                _ if ns == 0 => {}
                Some(p) => p.1 += ns,
                None => parts.push((doing.cause, ns)),
            }
        }
        parts
    }

    /// Appends the causes of an expiry's lateness, in the order of their first stretch. `own`: the context that ran the
    /// callback.
    pub fn causes(&self, e: &Expiry, own: CtxId, parts: &mut Vec<(Cause, u64)>) {
        let (due, end) = (e.programmed.0, e.callback.0);
        let begin = parts.len();
        let mut add = |cause: Cause, ns: u64| {
            if ns == 0 {
                return;
            }
            match parts[begin..].iter_mut().find(|p| p.0 == cause) {
                Some(p) => p.1 += ns,
                None => parts.push((cause, ns)),
            }
        };
        if due >= end {
            return;
        }
        let from = due.max(e.armed.0.min(end));
        add(Cause::ArmedLate, from - due);
        let popped = e.taken.0.clamp(from, end);
        // Up to `popped` what the CPU did; after it the way to the callback, unless something came in between.
        // What is looked for is not long ago.
        let first = self.stretches.iter().rposition(|s| s.0 <= from).unwrap_or(0);
        let mut at = from;
        for i in first..self.stretches.len() {
            let (begin, doing) = self.stretches[i];
            if begin >= end {
                break;
            }
            add(Cause::Older, begin.saturating_sub(at));
            at = at.max(begin);
            let until = self.stretches.get(i + 1).map_or(end, |next| next.0.min(end));
            if until <= at {
                continue;
            }
            if doing.ctx == Some(own) && !matches!(doing.cause, Cause::IdleExit) {
                let early = until.min(popped).saturating_sub(at);
                add(Cause::EarlierTimers, early);
                add(Cause::ToCallback, until - at - early);
            } else {
                add(doing.cause, until - at);
            }
            at = until;
        }
        add(Cause::Older, end - at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{CpuId, Nanos};

    fn expiry(due: u64, armed: u64, taken: u64, callback: u64) -> Expiry {
        Expiry {
            timer: 0,
            cpu: CpuId(0),
            armed: Nanos(armed),
            abs: false,
            programmed: Nanos(due),
            irq: None,
            softirq: Nanos(taken),
            taken: Nanos(taken),
            callback: Nanos(callback),
            exit: Nanos(callback),
        }
    }

    fn causes(h: &History, e: &Expiry, own: CtxId) -> Vec<(Cause, u64)> {
        let mut parts = Vec::new();
        h.causes(e, own, &mut parts);
        parts
    }

    fn doing(cause: Cause, ctx: u16) -> Doing {
        Doing { cause, ctx: Some(CtxId(ctx)) }
    }

    #[test]
    fn parts_are_what_the_cpu_did_and_add_up() {
        let mut h = History::default();
        let off = Cause::IrqsOff(CtxId(1), FrameName::Fn("f"));
        h.note(0, doing(Cause::Task(CtxId(1)), 1));
        h.note(90, doing(off, 1));
        h.note(130, doing(Cause::Interrupt(CtxId(2)), 2));
        h.note(150, doing(Cause::Softirq(CtxId(3)), 3));
        h.note(180, doing(Cause::Softirq(CtxId(4)), 4));
        h.note(500, Doing { cause: Cause::Idle, ctx: None });
        let parts = causes(&h, &expiry(100, 0, 240, 260), CtxId(4));
        assert_eq!(
            parts,
            [
                (off, 30),
                (Cause::Interrupt(CtxId(2)), 20),
                (Cause::Softirq(CtxId(3)), 30),
                (Cause::EarlierTimers, 60),
                (Cause::ToCallback, 20)
            ]
        );
        let late = causes(&h, &expiry(100, 170, 240, 260), CtxId(4));
        assert_eq!(late[0], (Cause::ArmedLate, 70));
        assert_eq!(late.iter().map(|p| p.1).sum::<u64>(), 160);
    }

    #[test]
    fn what_is_not_kept_is_counted_too() {
        let mut h = History::default();
        for i in 0..3 * KEPT as u64 {
            h.note(10 * i, doing(Cause::Softirq(CtxId((i % 2) as u16)), (i % 2) as u16));
        }
        let end = 30 * KEPT as u64;
        let parts = causes(&h, &expiry(5, 0, end, end), CtxId(7));
        assert_eq!(parts.iter().map(|p| p.1).sum::<u64>(), end - 5);
        assert_eq!(parts[0].0, Cause::Older);
    }
}
