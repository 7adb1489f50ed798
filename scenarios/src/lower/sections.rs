//! The sections of a file that hold no steps, and the frames around steps: tasks, programs, CPUs.

use timerace_kernel::world::{
    self, Body, CpuEvents, Event, Fault, Limits, MachineSpec, Memory, Nohz, Ns, Preempt, ProgDef,
    ProgKind, Sched, Source, Stop, TaskDef, Timing, VarDef, VarKind, When, Work,
};

use super::Lowering;
use super::body::{Scope, Who};
use crate::ast;
use crate::span::{Sp, Span};

/// A length as a world has it.
pub(super) fn ns(length: &ast::Duration) -> Ns {
    Ns { min: length.min_ns, max: length.max_ns }
}

impl Lowering<'_> {
    /// What needs no maps and no bodies.
    pub(super) fn sections(&mut self) {
        self.declared_types();
        let scenario = self.scenario;
        self.world.machine = self.machine(&scenario.machine);
        self.world.timing = match scenario.timing.node {
            ast::Timing::Ignore => Timing::Ignore,
            ast::Timing::Respect => Timing::Respect,
        };
        for (name, var) in &scenario.vars {
            let kind = self.var_kind(&var.node);
            let at = self.source.line(name.span);
            self.world.vars.push(VarDef { name: name.node.clone(), kind, at });
        }
        for (name, memcg) in &scenario.memcgs {
            let max_bytes = memcg.max_bytes.node;
            self.world.memcgs.push(world::MemcgDef { name: name.node.clone(), max_bytes });
        }
        for fault in &scenario.faults {
            let fault = self.fault(fault);
            self.world.faults.extend(fault);
        }
        self.world.irqs = scenario.explore.irqs();
        self.world.limits = Limits {
            steps: scenario.limits.steps.map(|steps| steps.node),
            expiries: scenario.limits.expiries.map(|expiries| expiries.node),
        };
        self.world.stop = self.stop(&scenario.stop);
    }

    fn machine(&mut self, machine: &ast::Machine) -> MachineSpec {
        MachineSpec {
            cpus: self.narrow(machine.cpus.node, machine.cpus.span),
            preempt: match machine.preempt.node {
                ast::Preempt::None => Preempt::None,
                ast::Preempt::Voluntary => Preempt::Voluntary,
                ast::Preempt::Full => Preempt::Full,
                ast::Preempt::Lazy => Preempt::Lazy,
                ast::Preempt::Rt => Preempt::Rt,
            },
            hz: machine.hz.node,
            tick: machine.tick.map(|tick| tick.node),
            nohz: match machine.nohz.node {
                ast::Nohz::Periodic => Nohz::Periodic,
                ast::Nohz::Idle => Nohz::Idle,
                ast::Nohz::Full => Nohz::Full,
            },
            high_res: machine.high_res.node,
            timer_migration: machine.timer_migration.node,
            memory: match machine.memory.node {
                ast::Memory::Sc => Memory::Sc,
                ast::Memory::Tso => Memory::Tso,
            },
            grace_period: machine.grace_period.map(|length| ns(&length)),
        }
    }

    fn var_kind(&mut self, var: &ast::Var) -> VarKind {
        match var {
            ast::Var::Int(n) => VarKind::Int(*n),
            ast::Var::PerCpu(n) => VarKind::PerCpu(*n),
            ast::Var::Refcount(n) => VarKind::Refcount(*n),
            ast::Var::New(name) => VarKind::New(self.type_named(name).unwrap_or_default()),
            ast::Var::NullPtr => VarKind::NullPtr,
            ast::Var::RawSpinlock => VarKind::RawSpinlock,
            ast::Var::Spinlock => VarKind::Spinlock,
            ast::Var::Mutex => VarKind::Mutex,
        }
    }

    fn fault(&mut self, fault: &Sp<ast::Fault>) -> Option<Fault> {
        let at = self.source.line(fault.span);
        Some(match &fault.node {
            ast::Fault::Enomem { function, nth } => Fault::Enomem {
                function: function.node.clone(),
                nth: nth.iter().map(|n| n.node).collect(),
                at,
            },
            ast::Fault::MayEnomem { function } => {
                Fault::MayEnomem { function: function.node.clone(), at }
            }
            ast::Fault::MemcgFull(memcg) => Fault::MemcgFull(self.memcg_named(memcg)?),
        })
    }

    fn stop(&mut self, stop: &Sp<ast::Stop>) -> Stop {
        match &stop.node {
            ast::Stop::Idle => Stop::Idle,
            ast::Stop::Time(time) => {
                if time.is_range() {
                    let help = "write one length of time";
                    self.unsupported::<()>(time.span, "a range as the end of a run", help);
                }
                Stop::Time(time.min_ns)
            }
            ast::Stop::Expiries(expiries) => Stop::Expiries(expiries.node),
        }
    }

    /// Everybody who acts. Can be asked again: what it made before is replaced.
    pub(super) fn actors(&mut self) {
        self.world.paths.clear();
        self.world.progs = self.programs();
        self.world.tasks = self.threads();
        self.world.cpu_events = self.cpu_events();
    }

    fn programs(&mut self) -> Vec<ProgDef> {
        let mut progs = Vec::new();
        for (name, prog) in &self.scenario.progs {
            progs.push(ProgDef {
                name: name.node.clone(),
                kind: prog_kind(prog.kind.node),
                sleepable: prog.is_sleepable(),
                attach: prog.attach.as_ref().map(|place| attach(place)),
                body: self.body(Who::Prog(name), &prog.body),
                at: self.source.line(name.span),
            });
        }
        progs
    }

    fn threads(&mut self) -> Vec<TaskDef> {
        let mut tasks = Vec::new();
        for (name, task) in &self.scenario.tasks {
            let caps = task.caps.as_ref();
            let has = |name: &str| {
                caps.is_none_or(|caps| {
                    caps.iter().any(|cap| cap.as_str() == name || cap.as_str() == "CAP_SYS_ADMIN")
                })
            };
            let body = self.body(Who::Task, &task.body);
            tasks.push(TaskDef {
                name: name.node.clone(),
                cpu: self.narrow(task.cpu.node, task.cpu.span),
                sched: self.sched(task.sched),
                cap_bpf: has("CAP_BPF"),
                cap_net_admin: has("CAP_NET_ADMIN"),
                memcg: task.memcg.as_ref().and_then(|memcg| self.memcg_named(memcg)),
                blocked: task.blocked,
                body,
                at: self.source.line(name.span),
            });
        }
        tasks
    }

    fn sched(&mut self, sched: Sp<ast::Sched>) -> Sched {
        let (make, prio): (fn(u8) -> Sched, u32) = match sched.node {
            ast::Sched::Other => return Sched::Other,
            ast::Sched::Fifo(prio) => (Sched::Fifo, prio),
            ast::Sched::Rr(prio) => (Sched::Rr, prio),
        };
        // From 1 to 99.
        make(self.narrow(prio, sched.span).min(255) as u8)
    }

    fn cpu_events(&mut self) -> Vec<CpuEvents> {
        let mut all = Vec::new();
        for (cpu, events) in &self.scenario.cpus {
            // The steps of a CPU are the body of one task.
            let mut scope = Scope::new(Who::Task);
            let mut steps = Vec::new();
            let mut sources = Vec::new();
            for event in events {
                match &event.node {
                    ast::Event::Step(step) => self.step(&mut scope, step, &mut steps),
                    ast::Event::Timed(timed) => sources.extend(self.timed(timed, event.span)),
                }
            }
            let cpu = self.narrow(cpu.node, cpu.span);
            all.push(CpuEvents { cpu, steps, locals: scope.body.locals, sources });
        }
        all.sort_by_key(|events| events.cpu);
        all
    }

    fn timed(&mut self, timed: &ast::Timed, span: Span) -> Option<Source> {
        let when = match timed.when {
            ast::When::Anytime => When::Anytime,
            ast::When::At(time) => When::At(ns(&time)),
            ast::When::Every(period) => When::Every(ns(&period)),
            ast::When::Poisson(mean) => When::Poisson(ns(&mean)),
        };
        let what = match &timed.source.node {
            ast::Source::Softirq(vector, work) => {
                Event::Softirq(vector.word().to_string(), self.work(work))
            }
            ast::Source::Irq(work) => Event::Irq(self.work(work)),
            ast::Source::Nmi(work) => Event::Nmi(self.work(work)),
            ast::Source::Packet(prog) => Event::Packet(self.prog_named(prog)?),
            ast::Source::Tick => Event::Tick,
            ast::Source::CpuDown => Event::CpuDown,
            ast::Source::CpuUp => Event::CpuUp,
            ast::Source::Step(step) => {
                Event::Step(self.body(Who::Task, std::slice::from_ref(step.as_ref())))
            }
        };
        Some(Source { when, what, at: self.source.line(span) })
    }

    fn work(&mut self, work: &ast::IrqWork) -> Work {
        match work {
            ast::IrqWork::Takes(length) => Work::Takes(ns(length)),
            ast::IrqWork::Body(body) => Work::Body(self.body(Who::Task, body)),
        }
    }

    fn body(&mut self, who: Who<'_>, steps: &[ast::Step]) -> Body {
        let mut scope = Scope::new(who);
        let mut ops = Vec::new();
        for step in steps {
            self.step(&mut scope, step, &mut ops);
        }
        Body { ops, ..scope.body }
    }
}

fn prog_kind(kind: ast::ProgKind) -> ProgKind {
    match kind {
        ast::ProgKind::Syscall => ProgKind::Syscall,
        ast::ProgKind::Xdp => ProgKind::Xdp,
        ast::ProgKind::Tc => ProgKind::Tc,
        ast::ProgKind::Tracing => ProgKind::Tracing,
        ast::ProgKind::PerfEvent => ProgKind::PerfEvent,
        ast::ProgKind::Kprobe => ProgKind::Kprobe,
        ast::ProgKind::StructOps => ProgKind::StructOps,
        ast::ProgKind::TimerCb => ProgKind::TimerCb,
        ast::ProgKind::WqCb => ProgKind::WqCb,
        ast::ProgKind::ForEachCb => ProgKind::ForEachCb,
    }
}

fn attach(attach: &ast::Attach) -> world::Attach {
    match attach {
        ast::Attach::TpBtf(name) => world::Attach::TpBtf(name.node.clone()),
        ast::Attach::Fentry(name) => world::Attach::Fentry(name.node.clone()),
        ast::Attach::Fexit(name) => world::Attach::Fexit(name.node.clone()),
        ast::Attach::PerfEvent(period) => world::Attach::PerfEvent(ns(period)),
        ast::Attach::SchedExt(op) => world::Attach::SchedExt(op.node.clone()),
    }
}
