//! The model: what is on the machine, who runs what, and how steps are put into words.

use crate::arg::Arg;
use crate::attach::Attached;
use crate::faults::Faults;
use crate::flags::Flags;
use crate::log::Log;
use crate::map::Map;
use crate::objects::{ClockBase, CpuVars, Elem, MapObj, Types};
use crate::process::Task;
use crate::prog::Prog;
use crate::raw::RawVar;
use crate::samples::TimerNames;
use crate::source::SourceVars;
use crate::world::{LineId, World};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use timerace_core::machine::{Body, Model};
use timerace_core::mem::{FrameName, Mem, Ptr};
use timerace_core::rcu::GracePeriods;
use timerace_core::{CpuId, CtxId, Cx, Label, Obj, Var, Word};

/// A booted kernel: the code of all contexts of a machine. Made by [`crate::boot`].
#[derive(Debug)]
pub struct Kernel {
    pub(crate) world: World,
    pub(crate) flags: Flags,
    pub(crate) timed: bool,
    /// Whether kernel code can be preempted outside of critical sections.
    pub(crate) preemptible: bool,
    /// Clock bases per CPU: MONOTONIC, and BOOTTIME where some operation names it.
    pub(crate) clocks: usize,
    pub(crate) bases: Vec<ClockBase>,
    pub(crate) cpus: Vec<CpuVars>,
    /// The words of CPUs.
    pub(crate) own: Vec<Obj>,
    pub(crate) maps: Vec<Map>,
    /// Their objects, for steps that learn only when they happen which map they are about.
    pub(crate) map_objs: Arc<[MapObj]>,
    pub(crate) progs: Vec<Prog>,
    pub(crate) vars: Vec<RawVar>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) paths: Vec<Var<u64>>,
    /// By CPU.
    pub(crate) sources: Vec<Vec<SourceVars>>,
    pub(crate) ty: Types,
    pub(crate) faults: Faults,
    /// Programs that the kernel's own code runs.
    pub(crate) attached: Vec<Attached>,
    /// `link->refcnt` of each program's link, in scenarios that pin links: without a pin the last close frees it.
    pub(crate) links: Vec<Option<Var<i64>>>,
    pub(crate) roles: Vec<Role>,
    /// The words of contexts that can be preemptible RCU readers, by context.
    pub(crate) rcu_words: Vec<Option<Var<bool>>>,
    /// The words of contexts that run sleepable programs, by context.
    pub(crate) trace_words: Vec<Option<Var<bool>>>,
    /// The grace periods that a context waits for, by context.
    pub(crate) grace: Vec<Option<GracePeriods>>,
    /// Callbacks begun so far, where some task waits for a number of them.
    pub(crate) callbacks_begun: Option<Var<i64>>,
    /// The operation that each context is at.
    pub(crate) lines: Vec<Cell<LineId>>,
    /// The contexts of each CPU.
    pub(crate) contexts_of: Vec<Arc<[CtxId]>>,
    /// The bucket that each context has locked, by what is noted about its waits. Local to the context.
    pub(crate) held_bucket: Vec<Cell<Option<Var<bool>>>>,
    /// What the user wrote, by line.
    pub(crate) texts: BTreeMap<usize, String>,
    pub(crate) log: Log,
    pub(crate) names: TimerNames,
}

/// What a context does.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// The part of a task that runs on one CPU.
    Task { task: usize, part: usize },
    /// Explored runs: the soft base with this index.
    Base(usize),
    /// Timed runs: the clock event of a CPU, for the base with this index.
    Interrupt(usize),
    /// Timed runs: HRTIMER_SOFTIRQ of a CPU.
    Softirq(usize),
    /// A worker of a CPU's lane.
    Worker { cpu: usize, second: bool },
    /// Grace periods for a CPU's callbacks; `trace`: of RCU-tasks-trace.
    Rcu { cpu: usize, trace: bool },
    /// The interrupt of a CPU for irq_work.
    IrqWork(usize),
    /// RCU_SOFTIRQ of a CPU.
    RcuSoftirq(usize),
    /// Sees one reader outside, for the grace periods that a context waits for.
    Watcher { ctx: usize, watcher: usize },
    /// A source of events of a CPU.
    Source { cpu: usize, source: usize },
}

impl Kernel {
    /// The world that was booted.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Results of operations and runs of callbacks, kept when asked for.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Variables of the CPU that the context is on; what waits for grace periods is on the CPU that it does so for.
    pub(crate) fn cpu(&self, cx: Cx<'_>) -> &CpuVars {
        let here = match self.roles[cx.id().index()] {
            Role::Rcu { cpu, .. } => cpu,
            _ => cx.cpu().map_or(0, |c| c.index()),
        };
        &self.cpus[here]
    }

    /// The argument of a frame that is about an element.
    pub(crate) fn elem_arg(&self, cx: Cx<'_>, map: usize, e: Elem) -> u64 {
        // For readers only: a key that changes under the callback is shown as it is now.
        let key = cx.machine().with_mem(|m| m.peek(e.key().obj()));
        Arg::Elem { map, key }.word()
    }

    pub(crate) fn set_line(&self, cx: Cx<'_>, at: LineId) {
        self.lines[cx.id().index()].set(at);
    }
}

impl Model for Kernel {
    fn start<'m>(&'m self, cx: Cx<'m>) -> Body<'m> {
        // The last execution may have ended anywhere.
        self.held_bucket[cx.id().index()].set(None);
        self.lines[cx.id().index()].set(LineId(u32::MAX));
        match self.roles[cx.id().index()] {
            Role::Task { task, part } => Box::pin(self.task(cx, task, part)),
            Role::Base(base) => Box::pin(self.explored_softirq(cx, base)),
            Role::Interrupt(base) => Box::pin(self.hrtimer_interrupt(cx, base)),
            Role::Softirq(cpu) => Box::pin(self.timed_softirq(cx, cpu)),
            Role::Worker { cpu, second } => Box::pin(self.worker(cx, cpu, second)),
            Role::Rcu { cpu, trace } => Box::pin(self.rcu_helper(cx, cpu, trace)),
            Role::Watcher { ctx, watcher } => Box::pin(self.watch_reader(cx, ctx, watcher)),
            Role::IrqWork(cpu) => Box::pin(self.irq_work_run(cx, cpu)),
            Role::RcuSoftirq(cpu) => Box::pin(self.rcu_softirq(cx, cpu)),
            Role::Source { cpu, source } => Box::pin(self.source(cx, cpu, source)),
        }
    }

    fn render(&self, label: Label) -> String {
        let text = label.site.text;
        if !text.contains("{}") {
            return text.to_string();
        }
        text.replace("{}", &self.arg_text(label.arg))
    }

    fn render_arg(&self, _: FrameName, arg: u64) -> String {
        self.arg_text(arg)
    }

    fn render_value(&self, mem: &Mem, obj: Obj, value: u64) -> Option<String> {
        if let Some(text) = self.field_text(mem, obj, value) {
            return Some(text);
        }
        let p = Option::<Ptr>::from_word(value)?;
        self.static_name(mem, p)
    }

    fn timer_number(&self, name: u64) -> u32 {
        self.names.number(name)
    }

    fn awaited(&self, mem: &Mem, over: Obj) -> u64 {
        self.awaited_arg(mem, over).word()
    }

    fn render_awaited(&self, over: Obj, kind: &str, what: u64) -> Option<String> {
        self.awaited_text(over, kind, what)
    }

    fn render_queued(&self, mem: &Mem, queue: u32, timer: u64) -> (String, Option<CpuId>) {
        self.queued_text(mem, queue, timer)
    }

    fn line(&self, ctx: CtxId) -> Option<u32> {
        let at = self.lines.get(ctx.index())?.get();
        self.world.lines.get(at.index()).map(|at| at.line)
    }

    fn at_end(&self, mem: &mut Mem) {
        self.judge_end(mem);
    }
}
