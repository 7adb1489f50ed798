//! Tasks: what they do step by step, their file descriptors, signals, and the move to another CPU.

use crate::arg::Arg;
use crate::compile::{Code, local};
use crate::errno::ETIMEDOUT;
use crate::interp::{Act, allowed};
use crate::kernel::Kernel;
use crate::syscall::Outcome;
use crate::world::{FdRef, LineId, OpKind, Signal};
use std::cell::RefCell;
use timerace_core::mem::FrameName;
use timerace_core::mix::roll;
use timerace_core::step::{Gate, Rel};
use timerace_core::{Cx, Nanos, Var, site};

/// A thread of a process of its own, or the task that takes the steps listed for a CPU.
#[derive(Debug)]
pub(crate) struct Task {
    pub code: Code,
    /// Whether it may load programs with timers.
    pub cap_bpf: bool,
    /// Whether it may load programs of the network.
    pub cap_net_admin: bool,
    /// The CPUs that it runs on, each with a context; the first is where it begins.
    pub cpus: Vec<u16>,
    /// By part: not 0 when the task comes to that CPU.
    pub handoff: Vec<Var<u64>>,
    /// Set when a blocked task may begin.
    pub unblocked: Option<Var<bool>>,
    /// A deadly signal that another task has sent.
    pub signalled: Option<Var<bool>>,
    /// What the task carries from CPU to CPU. Never read before it was written in the same run.
    pub baton: RefCell<Option<Process>>,
}

/// What an open file refers to.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum File {
    /// A map, with a user reference.
    Map(usize),
    /// A program.
    Prog(usize),
    /// A map iterator: before f76fa6b33805 without a user reference.
    Iter(usize),
    /// A link that attaches a program.
    Link(usize),
}

/// The state of a running task: locals, position, file descriptors.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub act: Act,
    pub pc: usize,
    /// Open files by descriptor: index into `files`.
    pub fds: Vec<Option<usize>>,
    /// Files, and how many descriptors share each.
    pub files: Vec<(File, u32)>,
}

/// Why a task stopped for the moment.
enum Stop {
    End,
    Exit(i64),
    /// To that part, for the operation there.
    Move(usize, LineId),
}

impl Process {
    fn new() -> Process {
        // 0, 1 and 2 are taken, as in every process.
        Process { act: Act::empty(), pc: 0, fds: Vec::new(), files: Vec::new() }
    }

    /// Opens a file at the lowest free descriptor.
    pub fn open(&mut self, file: File) -> i64 {
        self.files.push((file, 1));
        self.attach(self.files.len() - 1)
    }

    /// A further descriptor for the same file.
    pub fn dup(&mut self, fd: usize) -> Option<i64> {
        let file = (*self.fds.get(fd)?)?;
        self.files[file].1 += 1;
        Some(self.attach(file))
    }

    fn attach(&mut self, file: usize) -> i64 {
        let free = self.fds.iter().position(Option::is_none).unwrap_or(self.fds.len());
        if free == self.fds.len() {
            self.fds.push(None);
        }
        self.fds[free] = Some(file);
        FIRST_FD + free as i64
    }

    /// Takes the descriptor away; the file if that was its last one.
    pub fn take(&mut self, fd: usize) -> Option<Option<File>> {
        let file = self.fds.get_mut(fd)?.take()?;
        self.files[file].1 -= 1;
        Some((self.files[file].1 == 0).then_some(self.files[file].0))
    }

    /// The file behind a descriptor.
    pub fn file(&self, fd: usize) -> Option<File> {
        Some(self.files[(*self.fds.get(fd)?)?].0)
    }

    /// Whether the task had descriptors of the file and has closed all of them. A task that never had one uses what another
    /// one opened, as if it had inherited it.
    pub fn has_closed(&self, file: File) -> bool {
        let mut of = self.files.iter().filter(|f| f.0 == file).peekable();
        of.peek().is_some() && of.all(|f| f.1 == 0)
    }

    /// The index of the descriptor that an operation names.
    pub fn fd(&self, r: &FdRef) -> Option<usize> {
        let first =
            |f: File| self.fds.iter().position(|fd| fd.is_some_and(|i| self.files[i].0 == f));
        match r {
            FdRef::Local(l) => usize::try_from(self.act.locals[local(*l)] as i64 - FIRST_FD).ok(),
            FdRef::Map(m) => first(File::Map(m.index())),
            FdRef::Prog(p) => first(File::Prog(p.index())),
        }
    }

    /// A word that stands for the whole state; neither 0 nor [`BEGIN`].
    fn digest(&self) -> u64 {
        let mut h = self.act.locals.iter().fold(self.pc as u64, |h, l| roll(h, *l));
        for fd in &self.fds {
            let file = fd.map(|i| self.files[i].0);
            h = roll(
                h,
                match file {
                    None => 0,
                    Some(File::Map(m)) => 1 << 32 | m as u64,
                    Some(File::Prog(p)) => 2 << 32 | p as u64,
                    Some(File::Iter(m)) => 3 << 32 | m as u64,
                    Some(File::Link(p)) => 4 << 32 | p as u64,
                },
            );
        }
        h | 2
    }
}

/// The first hand-over of a task: it begins.
pub(crate) const BEGIN: u64 = 1;

/// The first descriptor that a process opens.
pub(crate) const FIRST_FD: i64 = 3;

impl Kernel {
    /// A task, or the part of one that runs on one CPU.
    pub(crate) async fn task(&self, cx: Cx<'_>, task: usize, part: usize) {
        let t = &self.tasks[task];
        // A task that moves waits for itself at every part, also at the first: an idle context is at its beginning.
        let mut p = match t.cpus.len() {
            1 => Process::new(),
            _ => self.arrive(cx, t, part).await,
        };
        if part == 0
            && p.pc == 0
            && let Some(v) = t.unblocked
            && self.wait_for_start(cx, t, v).await
        {
            return;
        }
        loop {
            let f = cx.enter_frame(FrameName::Body(t.code.name), 0, false);
            match self.run_task(cx, t, &mut p).await {
                Stop::Move(to, at) => {
                    drop(f);
                    // For the log only; the part of the task that arrives goes on with what comes after.
                    self.log_op(cx, at, Some(0), &[]);
                    self.depart(cx, t, p, to).await;
                    p = self.arrive(cx, t, part).await;
                }
                Stop::Exit(code) => {
                    self.do_exit(cx, &mut p).await;
                    f.ret(code);
                    return self.task_ends(cx).await;
                }
                Stop::End => {
                    drop(f);
                    return self.task_ends(cx).await;
                }
            }
        }
    }

    /// A blocked task: until another one unblocks it, or kills it (then true).
    async fn wait_for_start(&self, cx: Cx<'_>, t: &Task, unblocked: Var<bool>) -> bool {
        let mut step = cx.step(site!("blocked", Wakeup)).asleep().any();
        step = step.when(unblocked.obj(), Rel::Ne, 0);
        let signalled = t.signalled;
        if let Some(s) = signalled {
            step = step.when(s.obj(), Rel::Ne, 0);
        }
        step.run(move |m| signalled.is_some_and(|s| m.load(s))).await
    }

    async fn run_task(&self, cx: Cx<'_>, t: &Task, p: &mut Process) -> Stop {
        loop {
            if let Some(s) = t.signalled
                && cx.read(site!("fatal_signal_pending()", Free, quiet), s).await
            {
                return Stop::Exit(-1);
            }
            let mut pc = p.pc;
            let Some(op) = p.act.next(&t.code, &mut pc) else {
                self.set_line(cx, LineId(u32::MAX));
                return Stop::End;
            };
            p.pc = pc;
            self.set_line(cx, op.at);
            match &op.kind {
                OpKind::Call { call, returns, bind } => {
                    let done: Outcome = self.syscall(cx, p, call).await;
                    self.log_op(cx, op.at, Some(done.ret), &done.data);
                    if let Some(l) = bind {
                        p.act.locals[local(*l)] = done.ret as u64;
                        p.act.maps[local(*l)] = 0;
                    }
                    if !allowed(call, returns, done.ret) {
                        self.report_ret(cx, done.ret).await;
                    }
                    if done.killed {
                        return Stop::Exit(-1);
                    }
                }
                OpKind::Exit(code) => return Stop::Exit(*code),
                OpKind::Signal(s) if is_deadly(*s) => return Stop::Exit(-1),
                OpKind::SetCpu(cpu) => {
                    let to = t.cpus.iter().position(|c| c == cpu).unwrap_or(0);
                    if t.cpus.get(to).copied() != cx.cpu().map(|c| c.0) {
                        return Stop::Move(to, op.at);
                    }
                    self.log_op(cx, op.at, Some(0), &[]);
                }
                _ => {
                    let ret = self.task_step(cx, p, op).await;
                    self.log_op(cx, op.at, Some(ret), &[]);
                }
            }
        }
    }

    /// Steps that only tasks can take; the others are raw steps. 0, or -ETIMEDOUT of a wait for callbacks that did not come.
    async fn task_step(&self, cx: Cx<'_>, p: &mut Process, op: &crate::world::Op) -> i64 {
        match &op.kind {
            // Explored runs have no clock: the step that falls asleep takes as long as the sleep.
            OpKind::Sleep(ns) if !self.timed => {
                self.may_sleep(cx).await;
                let step = cx.step(site!("sleep", Free)).takes(ns.min, ns.max);
                step.asleep().run(|_| ()).await;
            }
            OpKind::SleepUntilTime(ns) if !self.timed => {
                self.may_sleep(cx).await;
                let step = cx.step(site!("sleep", Free)).gate(Gate::At(Nanos(ns.min)));
                step.takes(0, ns.max - ns.min).asleep().run(|_| ()).await;
            }
            OpKind::Sleep(ns) => {
                self.may_sleep(cx).await;
                let until = cx.done_at().plus(crate::time::draw(cx, *ns));
                cx.step(site!("sleep", Free)).asleep().gate(Gate::At(until)).run(|_| ()).await;
            }
            OpKind::SleepUntilTime(ns) => {
                self.may_sleep(cx).await;
                let at = Nanos(crate::time::draw(cx, *ns));
                cx.step(site!("sleep", Free)).asleep().gate(Gate::At(at)).run(|_| ()).await;
            }
            // A step of CLOCK_REALTIME moves no bpf_timer: relative timers are on the monotonic base.
            OpKind::ClockStep { .. } => {
                cx.step(site!("clock_settime(CLOCK_REALTIME)", Syscall)).run(|_| ()).await;
            }
            OpKind::Unblock(task) => {
                if let Some(v) = self.tasks[task.index()].unblocked {
                    let label = site!("unblock({})", Wakeup).with(Arg::Task(task.index()).word());
                    cx.write(label, v, true).await;
                }
            }
            OpKind::WaitCallbacks { count, timeout_ns } => {
                return self.wait_callbacks(cx, *count, *timeout_ns).await;
            }
            _ => self.raw(cx, &mut p.act, op).await,
        }
        0
    }

    /// Whether a task waits for grace periods itself.
    pub(crate) fn synchronizes(&self, t: &Task) -> bool {
        t.code.ops().any(|op| match &op.kind {
            OpKind::SynchronizeRcu => true,
            OpKind::Call { call, .. } => self.waits_for_programs(call),
            _ => false,
        })
    }

    async fn wait_callbacks(&self, cx: Cx<'_>, count: u64, timeout_ns: u64) -> i64 {
        let Some(v) = self.callbacks_begun else { return 0 };
        if !self.timed {
            let step = cx.step(site!("wait for callbacks", Free)).when(v.obj(), Rel::Ge, count);
            step.asleep().run(|_| ()).await;
            return 0;
        }
        let end = cx.now().plus(timeout_ns);
        while cx.read(site!("callbacks", Free, quiet), v).await < count as i64 {
            if cx.now() >= end {
                return ETIMEDOUT;
            }
            let until = cx.done_at().plus(POLL_NS);
            cx.step(site!("sleep", Free)).asleep().gate(Gate::At(until)).run(|_| ()).await;
        }
        0
    }

    /// The task goes to another CPU: its state is handed over in one step.
    async fn depart(&self, cx: Cx<'_>, t: &Task, p: Process, to: usize) {
        let digest = p.digest();
        *t.baton.borrow_mut() = Some(p);
        cx.write(site!("sched_setaffinity()", Syscall), t.handoff[to], digest).await;
    }

    async fn arrive(&self, cx: Cx<'_>, t: &Task, part: usize) -> Process {
        let v = t.handoff[part];
        let word = cx
            .step(site!("migrate", Wakeup))
            .when(v.obj(), Rel::Ne, 0)
            .writes(v.obj())
            .asleep()
            .idle()
            .run(move |m| m.update(v, |_: u64| 0))
            .await;
        if word == BEGIN {
            return Process::new();
        }
        let baton = t.baton.borrow_mut().take();
        baton.unwrap_or_else(Process::new)
    }

    /// `do_exit()`: descriptors are closed in the order of their numbers.
    async fn do_exit(&self, cx: Cx<'_>, p: &mut Process) {
        let f = cx.enter("do_exit");
        let section = self.enter_kernel(cx, site!("do_exit()", Syscall)).await;
        for fd in 0..p.fds.len() {
            if let Some(Some(file)) = p.take(fd) {
                self.fput(cx, file).await;
            }
        }
        self.leave_kernel(cx, section).await;
        f.ret(0);
    }
}

/// How often a polling task looks.
pub(crate) const POLL_NS: u64 = 1_000_000;

/// Whether a signal ends a process that does not handle it: all modelled ones do.
pub(crate) fn is_deadly(_: Signal) -> bool {
    true
}
