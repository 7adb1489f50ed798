//! What the tracepoints of the modelled kernel say in a timed run, in the order of virtual time.
//!
//! A model says it in a step ([`crate::Mem::trace`]: it happens at the step's beginning) or between two steps
//! ([`crate::Cx::trace`]: it happens when the work of the step before is done, and no interrupt is in between). Switches of
//! tasks and idle states are the engine's own. Which task a CPU has, and what is masked, is noted with each event.

use super::{Cause, Watch};
use crate::cpu;
use crate::exec::Exec;
use crate::ids::{CpuId, CtxId, Nanos};
use crate::machine::{CtxKind, Machine, Model};
use crate::mem::{FrameName, Mem};
use crate::result::Expiry;
use crate::schedule::Pick;
use crate::step::{Status, Waiting};
use std::collections::BTreeMap;

/// What a tracepoint says, as the model notes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Traced {
    pub ctx: CtxId,
    /// `None`: when the work of the context's last step is done.
    pub at: Option<u64>,
    pub name: &'static str,
    pub args: String,
    pub locks: u8,
    pub in_prog: bool,
}

impl Traced {
    /// A tracepoint says this in a context, which may be a task in a program.
    pub fn new(
        mem: &Mem,
        ctx: CtxId,
        at: Option<u64>,
        (name, args): (&'static str, String),
        locks: u8,
    ) -> Traced {
        Traced { ctx, at, name, args, locks, in_prog: is_in_prog(mem, ctx) }
    }
}

/// Whether there is more than the body of the context itself on its stack.
fn is_in_prog(mem: &Mem, ctx: CtxId) -> bool {
    mem.frames(ctx).iter().filter(|f| matches!(f.name, FrameName::Body(_))).count() > 1
}

/// An event of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEvent {
    /// When.
    pub at: Nanos,
    /// On which CPU.
    pub cpu: CpuId,
    /// The task that has the CPU, whatever interrupted it; `None`: the CPU is idle.
    pub task: Option<CtxId>,
    /// Interrupts are off.
    pub irqs_off: bool,
    /// Softirqs are off, other than by one that runs.
    pub bh_off: bool,
    /// In a hard interrupt.
    pub hardirq: bool,
    /// In a softirq.
    pub softirq: bool,
    /// In an NMI.
    pub nmi: bool,
    /// Spinlocks held that forbid preemption, as far as the model says.
    pub locks: u8,
    /// A program runs in the task.
    pub in_prog: bool,
    /// The name of the tracepoint.
    pub name: &'static str,
    /// What it says: `NAME=VALUE ..`
    pub args: String,
}

/// Passes the events of a timed run on, each at its time.
pub struct Tracer<'m, F> {
    machine: &'m Machine,
    to: F,
    cpus: Vec<CpuNow>,
    /// By context: nanoseconds of work that its last step has left.
    left: Vec<u64>,
    /// By context: what happens when that is done.
    pending: Vec<Vec<TraceEvent>>,
    /// The context that steps.
    picked: CtxId,
    /// Events that are not passed on yet, by time and then in the order in which they became known.
    sorted: BTreeMap<(u64, u64), TraceEvent>,
    known: u64,
}

/// What a CPU does, and since when.
#[derive(Copy, Clone, Debug)]
struct CpuNow {
    since: u64,
    holder: Option<CtxId>,
    task: Option<CtxId>,
    /// It has nothing to do from then on.
    idles: Option<u64>,
    in_idle_state: bool,
}

impl<'m, F: FnMut(&TraceEvent)> Tracer<'m, F> {
    /// Events of runs of this machine go to `to`.
    pub fn new(machine: &'m Machine, to: F) -> Tracer<'m, F> {
        machine.traced.set(true);
        machine.mem.borrow_mut().traced = Some(Vec::new());
        let cpu = CpuNow { since: 0, holder: None, task: None, idles: None, in_idle_state: false };
        let n = machine.specs.len();
        Tracer {
            machine,
            to,
            cpus: vec![cpu; machine.own.len()],
            left: vec![0; n],
            pending: vec![Vec::new(); n],
            picked: CtxId(0),
            sorted: BTreeMap::new(),
            known: 0,
        }
    }

    /// The run is over: what is left is passed on.
    pub fn finish(mut self) {
        for c in 0..self.cpus.len() {
            self.settle(c, u64::MAX);
        }
        self.release(u64::MAX);
        self.machine.traced.set(false);
        self.machine.mem.borrow_mut().traced = None;
    }

    /// Up to `to` whoever has the CPU gets on with its work.
    fn settle(&mut self, cpu: usize, to: u64) {
        let c = self.cpus[cpu];
        if to <= c.since {
            return;
        }
        self.cpus[cpu].since = to;
        if let Some(x) = c.holder {
            let left = &mut self.left[x.index()];
            if *left > to - c.since {
                *left -= to - c.since;
            } else {
                let at = c.since + std::mem::take(left);
                self.flush(x, at);
            }
        }
        if let Some(at) = c.idles.filter(|at| *at < to) {
            // Not for an instant between two interrupts.
            self.cpus[cpu].idles = None;
            self.switch(cpu, at, None);
            self.idle_state(cpu, at, true);
        }
    }

    /// The work of the context's last step was done at this time.
    fn flush(&mut self, x: CtxId, at: u64) {
        for mut e in std::mem::take(&mut self.pending[x.index()]) {
            e.at = Nanos(at);
            self.insert(e);
        }
    }

    fn insert(&mut self, e: TraceEvent) {
        self.known += 1;
        self.sorted.insert((e.at.0, self.known), e);
    }

    fn release(&mut self, before: u64) {
        while let Some(e) = self.sorted.first_entry()
            && e.key().0 < before
        {
            (self.to)(&e.remove());
        }
    }

    /// What the step that was taken last has said. The exit of an idle state comes before what the step does.
    fn collect(&mut self, here: CpuId, begins: u64) {
        let Some(said) = self.machine.mem.borrow_mut().traced.as_mut().map(std::mem::take) else {
            return;
        };
        for t in said {
            let Some(cpu) = self.machine.specs[t.ctx.index()].cpu else { continue };
            let at = if cpu == here { begins } else { t.at.unwrap_or(0) };
            let mut e = self.event(cpu, Some(t.ctx), at, t.name, t.args);
            e.irqs_off |= t.locks > 0;
            e.locks = t.locks;
            e.in_prog |= t.in_prog;
            match t.at {
                Some(_) => self.insert(e),
                None => self.pending[t.ctx.index()].push(e),
            }
        }
    }

    fn event(
        &self,
        cpu: CpuId,
        by: Option<CtxId>,
        at: u64,
        name: &'static str,
        args: String,
    ) -> TraceEvent {
        let mem = self.machine.mem.borrow();
        let word = mem.values[self.machine.own[cpu.index()].index()];
        let kind = |c: CtxId| self.machine.specs[c.index()].kind;
        let on_stack = |k: CtxKind| cpu::stack(word).any(|c| kind(c) == k);
        let is_task = by.is_some_and(|c| kind(c) == CtxKind::Task);
        let softirq = on_stack(CtxKind::Softirq);
        let task = if is_task { by } else { self.cpus[cpu.index()].task };
        TraceEvent {
            at: Nanos(at),
            cpu,
            task,
            irqs_off: cpu::irqs_off(word),
            bh_off: cpu::bh_off(word) && !softirq,
            hardirq: on_stack(CtxKind::Hardirq),
            softirq,
            nmi: on_stack(CtxKind::Nmi),
            locks: 0,
            in_prog: task.is_some_and(|c| is_in_prog(&mem, c)),
            name,
            args,
        }
    }

    /// The engine's own events: what the scheduler and the idle loop say.
    fn engine(&mut self, cpu: usize, at: u64, name: &'static str, locks: u8, args: String) {
        let mut e = self.event(CpuId(cpu as u16), None, at, name, args);
        (e.irqs_off, e.bh_off) = (true, false);
        (e.hardirq, e.softirq, e.in_prog) = (false, false, false);
        e.locks = locks;
        self.insert(e);
    }

    fn switch(&mut self, cpu: usize, at: u64, next: Option<CtxId>) {
        let prev = self.cpus[cpu].task;
        if prev == next {
            return;
        }
        let state = match prev {
            None => "R",
            Some(p) => {
                let slot = self.machine.slots[p.index()].borrow();
                match (slot.status, slot.step.waiting) {
                    (Status::Idle, _) => "I",
                    (Status::Waiting, Waiting::Sleep) => "S",
                    (Status::Waiting, Waiting::Spin) => "R",
                    _ => "X",
                }
            }
        };
        // Real-time priorities are counted downwards here, from MAX_RT_PRIO - 1.
        let prio = |task: Option<CtxId>| {
            let class = self.machine.real_time.iter().find(|(c, _)| Some(*c) == task);
            class.map_or(120, |(_, class)| 99u8.saturating_sub(class.priority))
        };
        let args = format!(
            "prev_comm={} prev_pid={} prev_prio={} prev_state={state} ==> next_comm={} next_pid={} next_prio={}",
            comm(self.machine, cpu, prev),
            pid(prev),
            prio(prev),
            comm(self.machine, cpu, next),
            pid(next),
            prio(next),
        )
        .replace("<idle>", &format!("swapper/{cpu}"));
        self.engine(cpu, at, "sched_switch", 2, args);
        self.cpus[cpu].task = next;
    }

    fn idle_state(&mut self, cpu: usize, at: u64, on: bool) {
        if self.cpus[cpu].in_idle_state != on {
            self.cpus[cpu].in_idle_state = on;
            // PWR_EVENT_EXIT is -1 as an unsigned number of 32 bits.
            let state = if on { 1 } else { u32::MAX };
            self.engine(cpu, at, "cpu_idle", 1, format!("state={state} cpu_id={cpu}"));
        }
    }
}

/// The name of a task as the kernel keeps it: at most 15 bytes.
pub fn comm(machine: &Machine, cpu: usize, task: Option<CtxId>) -> String {
    let Some(c) = task else { return "<idle>".to_string() };
    let spec = &machine.specs[c.index()];
    let name = if spec.kind == CtxKind::Kworker {
        format!("kworker/{cpu}:{}", c.0)
    } else {
        spec.name.clone()
    };
    let plain = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    name.chars().map(plain).take(15).collect()
}

/// Numbers of tasks begin here; 0 is the idle task.
const FIRST_PID: u32 = 100;

/// The number of a task.
pub fn pid(task: Option<CtxId>) -> u32 {
    task.map_or(0, |c| FIRST_PID + u32::from(c.0))
}

impl<F: FnMut(&TraceEvent)> Watch for Tracer<'_, F> {
    fn wants_causes(&self) -> bool {
        true
    }

    fn wants_steps(&self) -> bool {
        true
    }

    fn expiry(&mut self, _: &Expiry, _: &[(Cause, u64)]) {}

    fn before<M: Model>(&mut self, exec: &Exec<'_, M>, pick: Pick) {
        let now = exec.machine().mem.borrow().now.0;
        for c in 0..self.cpus.len() {
            self.settle(c, now);
        }
        self.flush(pick.ctx, now);
        self.release(now);
        self.picked = pick.ctx;
    }

    fn took(&mut self, ns: u64) {
        self.left[self.picked.index()] = ns;
    }

    fn doing(&mut self, cpu: CpuId, at: u64, ctx: Option<CtxId>, cause: Cause) {
        let c = cpu.index();
        self.settle(c, at);
        let is_task = |x: &CtxId| {
            matches!(self.machine.specs[x.index()].kind, CtxKind::Task | CtxKind::Kworker)
        };
        if cause == Cause::IdleExit {
            self.cpus[c].holder = ctx;
            return;
        }
        self.cpus[c].idles = if ctx.is_some() { None } else { Some(at) };
        if ctx.is_some() {
            self.idle_state(c, at, false);
        }
        if ctx.as_ref().is_some_and(is_task) {
            self.switch(c, at, ctx);
        }
        self.collect(cpu, at);
        self.cpus[c].holder = ctx;
    }

    fn idles(&mut self, cpu: CpuId, from: u64) {
        self.cpus[cpu.index()].idles = Some(from);
    }
}
