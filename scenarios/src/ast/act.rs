//! Who acts: tasks, programs, and what happens on a CPU.

use super::names::word_enum;
use super::step::{Body, Step};
use super::text::Duration;
use crate::span::{Sp, Span};

/// A thread of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The CPU that it runs on.
    pub cpu: Sp<u32>,
    /// How it is scheduled; not written: `SCHED_OTHER`.
    pub sched: Sp<Sched>,
    /// Its capabilities; `None`: all.
    pub caps: Option<Vec<Sp<String>>>,
    /// The memory cgroup that pays.
    pub memcg: Option<Sp<String>>,
    /// Whether it waits for `unblock("task")` before its first step.
    pub blocked: bool,
    /// What it does.
    pub body: Body,
    /// The whole `( .. )`.
    pub span: Span,
}

/// Scheduling class of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sched {
    /// `SCHED_OTHER`
    Other,
    /// `SCHED_FIFO(prio)`, 1 to 99.
    Fifo(u32),
    /// `SCHED_RR(prio)`, 1 to 99.
    Rr(u32),
}

word_enum! {
    /// Program type, `BPF_PROG_TYPE_` without the prefix; the last three are callbacks.
    ProgKind {
        Syscall = "SYSCALL",
        Xdp = "XDP",
        Tc = "TC",
        Tracing = "TRACING",
        PerfEvent = "PERF_EVENT",
        Kprobe = "KPROBE",
        StructOps = "STRUCT_OPS",
        TimerCb = "TIMER_CB",
        WqCb = "WQ_CB",
        ForEachCb = "FOR_EACH_CB",
    }
}

impl ProgKind {
    /// Whether it is a subprogram of every program that sets it, and no program of its own.
    #[must_use]
    pub fn is_callback(self) -> bool {
        matches!(self, ProgKind::TimerCb | ProgKind::WqCb | ProgKind::ForEachCb)
    }
}

/// A program or callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prog {
    /// Its type.
    pub kind: Sp<ProgKind>,
    /// What the file says about sleeping; see [`Prog::is_sleepable`].
    pub sleepable: Option<Sp<bool>>,
    /// Where it is attached.
    pub attach: Option<Sp<Attach>>,
    /// What it does.
    pub body: Body,
    /// The whole `( .. )`.
    pub span: Span,
}

impl Prog {
    /// Whether it runs in a sleepable read section: as written; a `WQ_CB` always does.
    #[must_use]
    pub fn is_sleepable(&self) -> bool {
        match self.sleepable {
            Some(written) => written.node,
            None => self.kind.node == ProgKind::WqCb,
        }
    }
}

/// Where a program is attached. Kernel functions and tracepoints are open names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attach {
    /// `tp_btf("tracepoint")`
    TpBtf(Sp<String>),
    /// `fentry("function")`
    Fentry(Sp<String>),
    /// `fexit("function")`
    Fexit(Sp<String>),
    /// `perf_event(period)`: runs in NMI.
    PerfEvent(Sp<Duration>),
    /// `sched_ext("op")`: runs with the runqueue lock held and IRQs off.
    SchedExt(Sp<String>),
}

/// Something that happens on a CPU.
// There are few of them; a box would be in the way of each reader.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step of the one task of that CPU that runs such steps in the order of the file.
    Step(Step),
    /// A source of its own.
    Timed(Timed),
}

/// A source of events and when they come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timed {
    /// When.
    pub when: When,
    /// What.
    pub source: Sp<Source>,
}

/// When an event comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Once, at any moment (in a timed run: at a drawn one).
    Anytime,
    /// Once, at this time.
    At(Sp<Duration>),
    /// With this period, each time anew from a range.
    Every(Sp<Duration>),
    /// At random with this mean distance.
    Poisson(Sp<Duration>),
}

/// What comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A softirq.
    Softirq(Sp<SoftirqVec>, IrqWork),
    /// A hard interrupt.
    Irq(IrqWork),
    /// A non-maskable interrupt.
    Nmi(IrqWork),
    /// A packet: a `NET_RX` softirq that runs this XDP or TC program.
    Packet(Sp<String>),
    /// A tick.
    Tick,
    /// The CPU is taken offline.
    CpuDown,
    /// The CPU is brought online.
    CpuUp,
    /// A step in a task of its own; only with a [`When`] other than `Anytime`.
    Step(Box<Step>),
}

/// What an interrupt does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IrqWork {
    /// It only takes time.
    Takes(Sp<Duration>),
    /// It takes these steps.
    Body(Body),
}

word_enum! {
    /// Softirq vectors.
    SoftirqVec {
        Hi = "HI",
        Timer = "TIMER",
        NetTx = "NET_TX",
        NetRx = "NET_RX",
        Block = "BLOCK",
        IrqPoll = "IRQ_POLL",
        Tasklet = "TASKLET",
        Sched = "SCHED",
        Hrtimer = "HRTIMER",
        Rcu = "RCU",
    }
}
