//! Contexts, numbered by the world: tasks in the order of the file, then what each CPU needs.

use super::need::{self, Needs};
use super::{BootError, check};
use crate::compile::Code;
use crate::kernel::{Kernel, Role};
use crate::process::Task;
use crate::source::{Does, SourceVars};
use crate::world::{Attach, Body, Call, Event, Op, OpKind, Sched, When, Work};
use std::cell::RefCell;
use timerace_core::machine::RealTime;
use timerace_core::rcu::GracePeriods;
use timerace_core::{CpuId, CtxKind, CtxSpec, Obj, Setup};

struct Builder<'a> {
    s: &'a mut Setup,
    k: &'a mut Kernel,
    /// Some sleepable program can be freed.
    trace: bool,
}

/// Creates all contexts.
pub(super) fn contexts(s: &mut Setup, k: &mut Kernel, needs: &Needs) -> Result<(), BootError> {
    let mut b = Builder { s, k, trace: needs.rcu_trace };
    b.tasks()?;
    b.sources()?;
    let cpus = b.k.cpus.len();
    let mut busy = vec![false; cpus];
    for t in &b.k.tasks {
        t.cpus.iter().for_each(|c| busy[usize::from(*c)] = true);
    }
    for (c, s) in b.k.sources.iter().enumerate() {
        busy[c] |= !s.is_empty();
    }
    // Timers that are armed from the start are queued on CPU 0.
    busy[0] |= needs.timers;
    for cpu in (0..cpus).filter(|c| busy[*c]) {
        b.daemons(cpu, needs);
    }
    b.grace_periods(&busy);
    let limit = timerace_core::cpu::MAX_CONTEXTS;
    if b.k.roles.len() >= limit {
        let what = "contexts".to_string();
        return Err(BootError::TooMany { what, count: b.k.roles.len(), limit });
    }
    Ok(())
}

/// `sched_setscheduler()`: the class of a task in timed runs, if it is a real-time one.
fn real_time(sched: Sched) -> Option<RealTime> {
    match sched {
        Sched::Other => None,
        Sched::Fifo(priority) => Some(RealTime { priority, in_turns: false }),
        Sched::Rr(priority) => Some(RealTime { priority, in_turns: true }),
    }
}

impl Builder<'_> {
    fn add(&mut self, role: Role, name: &str, token: &str, cpu: Option<usize>, kind: CtxKind) {
        let daemon = !matches!(role, Role::Task { .. });
        let cpu = cpu.map(|c| CpuId(c as u16));
        self.s.context(CtxSpec { name: name.into(), token: token.into(), cpu, kind, daemon });
        self.k.roles.push(role);
        self.k.rcu_words.push(None);
        self.k.trace_words.push(None);
    }

    /// The context just added can be a preemptible reader.
    fn reader(&mut self, name: &str, raw: bool, trace: bool) {
        let me = timerace_core::CtxId(self.k.roles.len() as u16 - 1);
        if raw || self.k.preemptible {
            let v = self.s.var_of(&format!("{name}.rcu"), false, me);
            *self.k.rcu_words.last_mut().expect("a context was added") = Some(v);
        }
        if trace && self.trace {
            let v = self.s.var_of(&format!("{name}.rcu_trace"), false, me);
            *self.k.trace_words.last_mut().expect("a context was added") = Some(v);
        }
    }

    fn tasks(&mut self) -> Result<(), BootError> {
        let w = self.k.world.clone();
        for (i, t) in w.tasks.iter().enumerate() {
            let code = Code::of(self.s.name(&t.name), &t.body.ops, t.body.locals.len());
            check::locals(&code, &t.name)?;
            let killed = is_named(&w, |c| matches!(c, Call::Kill(k, _) if k.index() == i));
            let signalled = killed.then(|| self.s.var(&format!("{}.signalled", t.name), false));
            let unblocked = t.blocked.then(|| self.s.var(&format!("{}.unblocked", t.name), false));
            let first = self.k.roles.len();
            self.task(t.cpu, &t.name, code, unblocked, signalled);
            if let Some(class) = real_time(t.sched) {
                let parts = first as u16..self.k.roles.len() as u16;
                parts.for_each(|c| self.s.real_time(timerace_core::CtxId(c), class));
            }
            self.k.tasks[i].cap_bpf = t.cap_bpf;
            self.k.tasks[i].cap_net_admin = t.cap_net_admin;
        }
        for c in w.cpu_events.iter().filter(|c| !c.steps.is_empty()) {
            let name = format!("cpu{}", c.cpu);
            let code = Code::of(self.s.name(&name), &c.steps, c.locals.len());
            check::locals(&code, &name)?;
            self.task(c.cpu, &name, code, None, None);
        }
        Ok(())
    }

    fn task(
        &mut self,
        cpu: u16,
        name: &str,
        code: Code,
        unblocked: Option<timerace_core::Var<bool>>,
        signalled: Option<timerace_core::Var<bool>>,
    ) {
        let mut cpus = vec![cpu];
        for op in code.ops() {
            if let OpKind::SetCpu(c) = op.kind
                && !cpus.contains(&c)
            {
                cpus.push(c);
            }
        }
        let raw = code.ops().any(is_rcu);
        let task = self.k.tasks.len();
        let first = |part: usize| if part == 0 { crate::process::BEGIN } else { 0 };
        let handoff = cpus
            .iter()
            .enumerate()
            .map(|(part, c)| self.s.var(&format!("{name}.to_cpu{c}"), first(part)));
        let handoff = handoff.collect();
        for (part, c) in cpus.iter().enumerate() {
            let token = timerace_core::schedule::token_of(name);
            let cpu = Some(usize::from(*c));
            self.add(Role::Task { task, part }, name, &token, cpu, CtxKind::Task);
            self.reader(&format!("{name}.{c}"), raw, true);
        }
        let baton = RefCell::new(None);
        self.k.tasks.push(Task {
            code,
            cap_bpf: true,
            cap_net_admin: true,
            cpus,
            handoff,
            unblocked,
            signalled,
            baton,
        });
    }

    fn sources(&mut self) -> Result<(), BootError> {
        let w = self.k.world.clone();
        self.k.sources = (0..self.k.cpus.len()).map(|_| Vec::new()).collect();
        for c in &w.cpu_events {
            for src in &c.sources {
                let n = self.k.sources[usize::from(c.cpu)].len();
                let (kind, name, does) = match &src.what {
                    Event::Softirq(vec, work) => {
                        let name = format!("{}{n}", vec.to_lowercase().replace('_', "-"));
                        let does = self.work(work, &name)?;
                        (CtxKind::Softirq, name, does)
                    }
                    Event::Irq(work) => {
                        let name = format!("irq{n}");
                        let does = self.work(work, &name)?;
                        (CtxKind::Hardirq, name, does)
                    }
                    Event::Packet(p) => {
                        (CtxKind::Softirq, format!("net-rx{n}"), Does::Packet(p.index()))
                    }
                    Event::Tick => {
                        let none = crate::world::Ns::fixed(0);
                        (CtxKind::Hardirq, format!("tick{n}"), Does::Takes(none))
                    }
                    Event::Step(body) => {
                        let name = format!("event{n}");
                        let does = Does::Body(self.body(body, &name)?);
                        (CtxKind::Task, name, does)
                    }
                    Event::Nmi(work) => {
                        let name = format!("nmi{n}");
                        let does = self.work(work, &name)?;
                        (CtxKind::Nmi, name, does)
                    }
                    Event::CpuDown => (CtxKind::Task, format!("cpuhp{n}"), Does::CpuDown),
                    Event::CpuUp => continue,
                };
                self.source(usize::from(c.cpu), kind, &name, src.when, does, 1);
            }
        }
        self.sampled(&w);
        if w.irqs > 0 && !self.k.timed {
            for cpu in 0..self.k.cpus.len() {
                let does = Does::Takes(crate::world::Ns::fixed(0));
                let limit = u64::from(w.irqs);
                self.source(cpu, CtxKind::Hardirq, "tick", When::Anytime, does, limit);
            }
        }
        Ok(())
    }

    /// Programs on a hardware counter: its overflow is an NMI, on each CPU on which something runs.
    fn sampled(&mut self, w: &crate::world::World) {
        let tasks: Vec<u16> = self.k.tasks.iter().flat_map(|t| t.cpus.iter().copied()).collect();
        for (i, p) in w.progs.iter().enumerate() {
            let Some(Attach::PerfEvent(period)) = p.attach else { continue };
            for cpu in 0..self.k.cpus.len() {
                let runs = tasks.contains(&(cpu as u16)) || !self.k.sources[cpu].is_empty();
                if runs {
                    let (name, does) = (format!("pmi{i}"), Does::Packet(i));
                    self.source(cpu, CtxKind::Nmi, &name, When::Every(period), does, 1);
                }
            }
        }
    }

    fn work(&mut self, work: &Work, name: &str) -> Result<Does, BootError> {
        Ok(match work {
            Work::Takes(ns) => Does::Takes(*ns),
            Work::Body(body) => Does::Body(self.body(body, name)?),
        })
    }

    fn body(&mut self, body: &Body, name: &str) -> Result<Code, BootError> {
        let code = Code::of(self.s.name(name), &body.ops, body.locals.len());
        check::locals(&code, name)?;
        Ok(code)
    }

    fn source(
        &mut self,
        cpu: usize,
        kind: CtxKind,
        name: &str,
        when: When,
        does: Does,
        limit: u64,
    ) {
        let source = self.k.sources[cpu].len();
        let raw = matches!(&does, Does::Body(code) if code.ops().any(is_rcu));
        self.add(Role::Source { cpu, source }, name, name, Some(cpu), kind);
        if kind == CtxKind::Task {
            self.reader(&format!("{name}.{cpu}"), raw, true);
        }
        let came = self.s.var(&format!("{name}.{cpu}.came"), 0u64);
        let (name, vec) = (name.to_string(), crate::trace::softirq_vec(name));
        self.k.sources[cpu].push(SourceVars { name, vec, kind, when, does, came, limit });
    }

    /// Who waits for grace periods gets a watcher for each reader that there can be.
    fn grace_periods(&mut self, busy: &[bool]) {
        // Contexts are named as schedules name them; one that is a reader of both kinds has two names.
        let named = |kind: &str, i: usize| {
            let spec = &self.s.contexts()[i];
            let cpu = spec.cpu.map_or(String::new(), |c| format!("-{}", c.0));
            format!("{kind}{}{cpu}", spec.token)
        };
        let cpus = (0..busy.len()).filter(|c| busy[*c]);
        let of = |words: &[Option<timerace_core::Var<bool>>], kind: &str| -> Vec<(String, Obj)> {
            let words = words.iter().enumerate();
            words.filter_map(|(i, v)| Some((named(kind, i), (*v)?.obj()))).collect()
        };
        let cpus: Vec<(String, Obj)> = cpus.map(|c| (format!("CPU{c}"), self.k.own[c])).collect();
        let rcu = of(&self.k.rcu_words, "rcu-");
        let trace = [cpus.clone(), rcu, of(&self.k.trace_words, "")].concat();
        let readers = [cpus, of(&self.k.rcu_words, "")].concat();
        for ctx in 0..self.k.roles.len() {
            let spec = &self.s.contexts()[ctx];
            let name = spec.name.clone();
            let (readers, cpu, token) = match self.k.roles[ctx] {
                Role::Rcu { cpu, trace: false } => (&readers, cpu, "qs".to_string()),
                Role::Rcu { cpu, trace: true } => (&trace, cpu, "qs-trace".to_string()),
                Role::Task { task, part } if self.k.synchronizes(&self.k.tasks[task]) => {
                    let cpu = usize::from(self.k.tasks[task].cpus[part]);
                    (&readers, cpu, format!("qs-{}", spec.token))
                }
                _ => {
                    self.k.grace.push(None);
                    continue;
                }
            };
            let flow = GracePeriods::new(self.s, &name, &token, cpu as u16, readers);
            self.k.grace.push(Some(flow));
        }
        for (ctx, flow) in self.k.grace.iter().enumerate() {
            let n = flow.as_ref().map_or(0, |f| f.words().len());
            self.k.roles.extend((0..n).map(|watcher| Role::Watcher { ctx, watcher }));
        }
        self.k.rcu_words.resize(self.k.roles.len(), None);
        self.k.trace_words.resize(self.k.roles.len(), None);
    }

    fn daemons(&mut self, cpu: usize, needs: &Needs) {
        if needs.timers {
            self.timer_daemons(cpu);
        }
        if needs.work {
            for (second, token) in [(false, "kworker"), (true, "kworker2")] {
                let name = format!("kworker/u{cpu}:{}", u8::from(second));
                let id = timerace_core::CtxId(self.k.roles.len() as u16);
                self.add(Role::Worker { cpu, second }, &name, token, Some(cpu), CtxKind::Kworker);
                if let Some(current) = self.k.cpus[cpu].current_work {
                    self.s.held_by(current[usize::from(second)].obj(), id);
                }
                // A callback of a bpf_wq is in a read section of RCU-tasks-trace.
                self.reader(&format!("{token}.{cpu}"), false, needs.wq);
            }
        }
        if needs.irq_work {
            let role = Role::IrqWork(cpu);
            self.add(role, "irq_work", "irq-work", Some(cpu), CtxKind::Hardirq);
        }
        for (need, trace, what) in [(needs.rcu, false, "rcu"), (needs.rcu_trace, true, "rcu-trace")]
        {
            if need {
                let token = format!("{what}{cpu}");
                let name = format!("{what} (CPU{cpu})");
                self.add(Role::Rcu { cpu, trace }, &name, &token, None, CtxKind::Helper);
            }
        }
        if needs.rcu_softirq {
            let role = Role::RcuSoftirq(cpu);
            self.add(role, "RCU softirq", "rcu-softirq", Some(cpu), CtxKind::Softirq);
        }
    }

    fn timer_daemons(&mut self, cpu: usize) {
        let clocks = self.k.clocks;
        let (first, last) = (cpu * clocks, cpu * clocks + clocks);
        let rt = self.k.cpus[cpu].expiry_lock.is_some();
        let kind = match (self.k.timed, rt) {
            (true, _) => CtxKind::Hardirq,
            (false, true) => CtxKind::Task,
            (false, false) => CtxKind::Softirq,
        };
        for base in first..last {
            let id = match self.k.timed {
                true => {
                    self.daemon(Role::Interrupt(base), "hrtimer interrupt", "irq-timer", base, kind)
                }
                false => self.daemon(Role::Base(base), "HRTIMER softirq", "timer", base, kind),
            };
            self.s.held_by(self.k.bases[base].running.obj(), id);
            if rt {
                // A thread: its read sections are its own.
                self.reader(&format!("timer.{base}"), true, false);
            }
        }
        if self.k.timed {
            let kind = CtxKind::Softirq;
            let id = timerace_core::CtxId(self.k.roles.len() as u16);
            self.add(Role::Softirq(cpu), "HRTIMER softirq", "timer", Some(cpu), kind);
            for base in first..last {
                self.s.held_by(self.k.bases[base].running.obj(), id);
            }
        }
    }

    fn daemon(
        &mut self,
        role: Role,
        name: &str,
        token: &str,
        base: usize,
        kind: CtxKind,
    ) -> timerace_core::CtxId {
        let id = timerace_core::CtxId(self.k.roles.len() as u16);
        let boot = base % self.k.clocks == 1;
        let token = if boot { format!("{token}-boottime") } else { token.to_string() };
        let name = if boot { format!("{name} (BOOTTIME)") } else { name.to_string() };
        self.add(role, &name, &token, Some(base / self.k.clocks), kind);
        id
    }
}

fn is_rcu(op: &Op) -> bool {
    matches!(op.kind, OpKind::RcuReadLock | OpKind::RcuReadUnlock)
}

fn is_named(w: &crate::world::World, f: impl Fn(&Call) -> bool) -> bool {
    let mut found = false;
    need::each_op_of(w, &mut |op| {
        if let OpKind::Call { call, .. } = &op.kind {
            found |= f(call);
        }
    });
    found
}
