//! What is at work on a CPU.

use super::NEVER;
use crate::ids::{CtxId, Obj};

pub(super) const NOBODY: CtxId = CtxId(u16::MAX);

/// A CPU, or a helper context, which is one of its own.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    /// Its clock.
    pub t: u64,
    /// Its interrupt, softirq and NMI daemons, highest level first.
    pub daemons: Vec<CtxId>,
    /// Its tasks, in the order of their numbers.
    pub tasks: Vec<CtxId>,
    /// One of them has a real-time class.
    pub real_time: bool,
    pub own: Option<Obj>,
    /// The top of its stack.
    pub top: Option<CtxId>,
    /// The task that has the CPU while its stack is empty.
    pub cur: Option<CtxId>,
    /// When that task got it.
    pub since: u64,
    /// Nobody has anything to do on it, from `idle_from` on.
    pub idle: bool,
    /// Until then the task that is going to sleep, or has ended, is busy with its last step.
    pub idle_from: u64,
    /// That it is idle from `idle_from` on was not noted yet.
    pub idle_later: bool,
    /// The first daemon that may enter: when, and who.
    pub irq_at: u64,
    pub irq: CtxId,
    /// When the next step comes, and whose.
    pub next: u64,
    pub who: CtxId,
}

impl Lane {
    pub fn new(own: Option<Obj>) -> Lane {
        Lane {
            t: 0,
            daemons: Vec::new(),
            tasks: Vec::new(),
            real_time: false,
            own,
            top: None,
            cur: None,
            since: 0,
            idle: true,
            idle_from: 0,
            idle_later: false,
            irq_at: NEVER,
            irq: NOBODY,
            next: NEVER,
            who: NOBODY,
        }
    }
}
