//! Sources of events on a CPU: interrupts, softirqs, packets, ticks, and steps at times.
//!
//! In explored runs each source comes once (or as often as its limit says), at any moment, and time is ignored.

use crate::compile::Code;
use crate::interp::Act;
use crate::kernel::Kernel;
use crate::world::{Call, Ns, OpKind, When};
use timerace_core::step::{Gate, Rel};
use timerace_core::{CtxKind, Cx, Nanos, Var, site};

/// A source of events.
#[derive(Debug)]
pub(crate) struct SourceVars {
    /// That of its context.
    pub name: String,
    /// The number of the softirq, where it is one.
    pub vec: usize,
    pub kind: CtxKind,
    pub when: When,
    pub does: Does,
    /// How often it has come.
    pub came: Var<u64>,
    /// How often it may come in an explored run.
    pub limit: u64,
}

/// What a source does when it comes.
#[derive(Debug)]
pub(crate) enum Does {
    Takes(Ns),
    Body(Code),
    Packet(usize),
    CpuDown,
}

/// The longest time after which an event "at any moment" comes in a timed run.
const ANYTIME_NS: u64 = 1_000_000;

/// When a source may come at the earliest in an exploration that respects durations. It is the same each time, as an idle
/// context is not started anew; so of what comes again and again only that it comes is known.
fn explored_gate(when: When) -> Gate {
    match when {
        When::At(ns) if ns.min == ns.max => Gate::At(Nanos(ns.min)),
        When::At(ns) => Gate::NotBefore(Nanos(ns.min)),
        When::Anytime | When::Every(_) | When::Poisson(_) => Gate::NotBefore(Nanos(0)),
    }
}

impl Kernel {
    /// A source, in a context of its own.
    pub(crate) async fn source(&self, cx: Cx<'_>, cpu: usize, source: usize) {
        let s = &self.sources[cpu][source];
        let mut due = self.first_time(cx, s.when);
        loop {
            let gate = if self.timed { Gate::At(due) } else { explored_gate(s.when) };
            let once = matches!(s.when, When::Anytime | When::At(_));
            let limit = if once || !self.timed { s.limit } else { u64::MAX >> 1 };
            self.come(cx, s, limit, gate).await;
            s.trace_entry(cx, source);
            match &s.does {
                Does::Takes(ns) => {
                    cx.step(site!("work", Free)).takes(ns.min, ns.max).run(|_| ()).await;
                }
                Does::Body(code) => self.run_source(cx, code).await,
                Does::Packet(prog) => self.run_in_sections(cx, *prog).await,
                Does::CpuDown => self.cpu_down(cx, cpu).await,
            }
            s.trace_exit(cx, source);
            self.go(cx, s.kind).await;
            due = self.next_time(cx, s.when, due);
        }
    }

    async fn come(&self, cx: Cx<'_>, source: &SourceVars, limit: u64, gate: Gate) {
        let (kind, came) = (source.kind, source.came);
        if kind == CtxKind::Task {
            cx.step(site!("event", Wakeup))
                .when(came.obj(), Rel::Lt, limit)
                .writes(came.obj())
                .gate(gate)
                .asleep()
                .idle()
                .run(move |m| {
                    m.update(came, |n: u64| n + 1);
                })
                .await;
            return;
        }
        let (soft, hard) = (site!("softirq entry", SoftirqEntry), site!("interrupt", IrqEntry));
        let label = match kind {
            CtxKind::Softirq => soft,
            CtxKind::Nmi => site!("NMI", IrqEntry),
            _ => hard,
        };
        let vec = (kind == CtxKind::Softirq).then_some(source.vec);
        cx.enter_level(
            label,
            kind,
            |d| d.when(came.obj(), Rel::Lt, limit).writes(came.obj()).gate(gate),
            move |m| {
                m.update(came, |n: u64| n + 1);
                if let Some(vec) = vec {
                    SourceVars::trace_softirq(m, vec);
                }
            },
        )
        .await;
        cx.entered_level(kind);
    }

    async fn go(&self, cx: Cx<'_>, kind: CtxKind) {
        let (soft, hard) = (site!("softirq exit", SoftirqExit), site!("iret", IrqExit));
        match kind {
            CtxKind::Task => {}
            CtxKind::Softirq => cx.exit_level(soft, kind, |d| d, |_| ()).await,
            _ => cx.exit_level(hard, kind, |d| d, |_| ()).await,
        }
    }

    async fn run_source(&self, cx: Cx<'_>, code: &Code) {
        let _f = cx.enter_frame(timerace_core::mem::FrameName::Body(code.name), 0, false);
        let (mut act, mut pc) = (Act::empty(), 0);
        while let Some(op) = act.next(code, &mut pc) {
            self.set_line(cx, op.at);
            match &op.kind {
                OpKind::Call { call: Call::ProgRun(p), .. } => {
                    self.run_in_sections(cx, p.index()).await;
                    self.log_op(cx, op.at, Some(0), &[]);
                }
                _ => self.raw(cx, &mut act, op).await,
            }
        }
    }

    fn first_time(&self, cx: Cx<'_>, when: When) -> Nanos {
        match when {
            When::Anytime => Nanos(crate::time::draw(cx, Ns { min: 0, max: ANYTIME_NS })),
            When::At(ns) => Nanos(crate::time::draw(cx, ns)),
            When::Every(ns) => Nanos(crate::time::draw(cx, ns)),
            When::Poisson(mean) => Nanos(crate::time::exponential(cx, mean)),
        }
    }

    fn next_time(&self, cx: Cx<'_>, when: When, last: Nanos) -> Nanos {
        match when {
            When::Anytime | When::At(_) => Nanos::NEVER,
            When::Every(ns) => last.plus(crate::time::draw(cx, ns).max(1)),
            When::Poisson(mean) => last.plus(crate::time::exponential(cx, mean).max(1)),
        }
    }
}
