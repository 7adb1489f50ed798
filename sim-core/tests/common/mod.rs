//! A toy model for the tests of the engine: programs of raw steps, and an oracle that shares only their meaning.
#![allow(dead_code)]

use std::collections::{BTreeSet, HashMap, HashSet};
use timerace_core::machine::{Body, CtxKind, CtxSpec};
use timerace_core::mem::{Mem, Ptr, TypeId};
use timerace_core::rcu::GracePeriods;
use timerace_core::step::{Cmp, Gate, Rel, Term};
use timerace_core::{CpuId, CtxId, Cx, Machine, Model, Setup, Var, site};

/// A step of a program. Registers are local; `r` is the last value read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    Read(usize),
    Write(usize, u64),
    Add(usize, i64),
    /// Writes and gives the old value.
    Xchg(usize, u64),
    /// Waits until all variables from the first to the last are 0.
    WaitAllZero(usize, usize),
    /// Writes the register plus a constant.
    WriteReg(usize, u64),
    /// Skips so many of the following steps unless the register is this.
    SkipUnless(u64, usize),
    Lock(usize),
    Unlock(usize),
    TryLock(usize),
    /// Frees / uses the one allocation.
    Free,
    Use,
    /// Adds to the word of the allocation.
    UseAdd,
    RcuLock,
    RcuUnlock,
    /// A grace period of all readers.
    Sync,
    WaitEq(usize, u64),
    WaitGe(usize, u64),
    WaitAnyEq(usize, u64, usize, u64),
    IrqOff,
    IrqOn,
    PreemptOff,
    PreemptOn,
    /// Arms the timer of a line, with an order.
    Arm(usize, u64),
    Cancel(usize),
    /// Waits until no handler of the line runs.
    WaitHandler(usize),
    /// A data choice among n, into the register.
    Choose(u8),
    /// Queues an item; a worker adds it to variable 0.
    Queue(u64),
}

/// A program: tasks with their CPU, and interrupt lines with their handlers.
#[derive(Clone, Debug, Default)]
pub struct Program {
    pub cpus: u16,
    pub vars: usize,
    pub locks: usize,
    pub tasks: Vec<(u16, Vec<Op>)>,
    pub lines: Vec<(u16, Vec<Op>)>,
    pub worker: bool,
}

pub struct Toy {
    pub prog: Program,
    vars: Vec<Var<i64>>,
    locks: Vec<Var<Option<CtxId>>>,
    rcu: Vec<Var<bool>>,
    /// Grace periods of each task that waits for some.
    grace: Vec<Option<GracePeriods>>,
    running: Vec<Var<bool>>,
    queues: Vec<timerace_core::mem::QueueVar>,
    work: timerace_core::mem::ListVar,
    object: Ptr,
    ty: TypeId,
}

/// Builds machine and model.
pub fn boot(prog: &Program) -> (Machine, Toy) {
    let mut s = Setup::new(prog.cpus);
    let vars = (0..prog.vars).map(|i| s.var(&format!("v{i}"), 0i64)).collect();
    let locks = (0..prog.locks).map(|i| s.lock(&format!("L{i}"))).collect();
    let ty = s.struct_type("obj", &["word"]);
    let object = s.preallocated(ty);
    s.init(object.field::<u64>(0), 0);
    let mut rcu = Vec::new();
    for (i, (c, _)) in prog.tasks.iter().enumerate() {
        s.context(spec(&format!("t{i}"), *c, CtxKind::Task, false));
        rcu.push(s.var(&format!("rcu{i}"), false));
    }
    let mut running = Vec::new();
    let mut queues = Vec::new();
    for (i, (c, _)) in prog.lines.iter().enumerate() {
        let id = s.context(spec(&format!("irq{i}"), *c, CtxKind::Hardirq, true));
        running.push(s.var_of(&format!("running{i}"), false, id));
        queues.push(s.timer_queue(&format!("queue{i}")));
    }
    let work = s.list("work");
    if prog.worker {
        s.context(CtxSpec {
            name: "worker".into(),
            token: "worker0".into(),
            cpu: None,
            kind: CtxKind::Helper,
            daemon: true,
        });
    }
    let readers: Vec<_> = rcu.iter().enumerate().map(|(i, v)| (format!("t{i}"), v.obj())).collect();
    let grace = (0..prog.tasks.len())
        .map(|t| {
            let others: Vec<_> =
                readers.iter().enumerate().filter(|r| r.0 != t).map(|r| r.1.clone()).collect();
            let waits = prog.tasks[t].1.contains(&Op::Sync);
            waits.then(|| GracePeriods::new(&mut s, &format!("t{t}"), t as u16, &others))
        })
        .collect();
    let toy =
        Toy { prog: prog.clone(), vars, locks, rcu, grace, running, queues, work, object, ty };
    (s.build(), toy)
}

fn spec(name: &str, cpu: u16, kind: CtxKind, daemon: bool) -> CtxSpec {
    CtxSpec { name: name.into(), token: name.into(), cpu: Some(CpuId(cpu)), kind, daemon }
}

impl Model for Toy {
    fn start<'m>(&'m self, cx: Cx<'m>) -> Body<'m> {
        let i = cx.id().index();
        let (tasks, lines) = (self.prog.tasks.len(), self.prog.lines.len());
        if i < tasks {
            Box::pin(async move {
                let _f = cx.enter("task");
                self.body(cx, &self.prog.tasks[i].1, Some(self.rcu[i])).await;
            })
        } else if i < tasks + lines {
            Box::pin(self.line(cx, i - tasks))
        } else {
            let watched = self.grace.iter().flatten().find_map(|g| Some((g, g.watcher(cx.id())?)));
            match watched {
                Some((g, w)) => Box::pin(g.watch(cx, w)),
                None => Box::pin(self.worker(cx)),
            }
        }
    }
}

impl Toy {
    async fn line(&self, cx: Cx<'_>, n: usize) {
        let (q, run) = (self.queues[n], self.running[n]);
        loop {
            cx.enter_level(
                site!("<interrupt>", IrqEntry),
                CtxKind::Hardirq,
                |d| d.writes(q.obj()).writes(run.obj()).when(q.obj(), Rel::Ne, 0),
                move |m: &mut Mem| {
                    m.with_queue(q, |q| {
                        q.pop();
                    });
                    m.store(run, true);
                },
            )
            .await;
            cx.entered_level(CtxKind::Hardirq);
            self.body(cx, &self.prog.lines[n].1, None).await;
            cx.exit_level(
                site!("<exit>", IrqExit),
                CtxKind::Hardirq,
                |d| d.writes(run.obj()),
                move |m: &mut Mem| m.store(run, false),
            )
            .await;
        }
    }

    async fn worker(&self, cx: Cx<'_>) {
        let (work, v) = (self.work, self.vars[0]);
        loop {
            let item = cx
                .step(site!("take", Wakeup))
                .writes(work.obj())
                .when(work.obj(), Rel::Ne, 0)
                .idle()
                .run(move |m: &mut Mem| m.pop_front(work).unwrap_or(0))
                .await;
            cx.fetch_add(site!("work", Atomic), v, item as i64).await;
        }
    }

    async fn body(&self, cx: Cx<'_>, ops: &[Op], rcu: Option<Var<bool>>) {
        let mut r = 0u64;
        let mut at = 0;
        while at < ops.len() {
            let op = &ops[at];
            at += 1;
            if let Op::SkipUnless(v, n) = op {
                if r != *v {
                    at += n;
                }
                continue;
            }
            if let Some(v) = self.step(cx, op, rcu, r).await {
                r = v;
            }
        }
    }

    async fn step(&self, cx: Cx<'_>, op: &Op, rcu: Option<Var<bool>>, r: u64) -> Option<u64> {
        let word: Var<u64> = self.object.field(0);
        match *op {
            Op::Read(v) => return Some(cx.read(site!("read", Memory), self.vars[v]).await as u64),
            Op::Write(v, x) => cx.write(site!("write", Memory), self.vars[v], x as i64).await,
            Op::WriteReg(v, x) => {
                cx.write(site!("write", Memory), self.vars[v], (r + x) as i64).await;
            }
            Op::Add(v, n) => {
                return Some(cx.fetch_add(site!("add", Atomic), self.vars[v], n).await as u64);
            }
            Op::Xchg(v, x) => {
                return Some(cx.xchg(site!("xchg", Atomic), self.vars[v], x as i64).await as u64);
            }
            Op::WaitAllZero(from, to) => {
                let all: Vec<_> = (from..=to).map(|v| (v, Rel::Eq, 0)).collect();
                self.wait(cx, &all, false).await;
            }
            Op::Lock(l) => cx.lock(site!("lock", Lock), self.locks[l]).await,
            Op::Unlock(l) => cx.unlock(site!("unlock", Lock), self.locks[l]).await,
            Op::TryLock(l) => {
                return Some(u64::from(cx.trylock(site!("trylock", Lock), self.locks[l]).await));
            }
            Op::Free => cx.free(site!("free", Alloc), self.object).await,
            Op::Use => {
                cx.read(site!("use", Memory), word).await;
            }
            Op::UseAdd => {
                cx.fetch_add(site!("use add", Atomic), self.object.field(0), 1).await;
            }
            Op::RcuLock if rcu.is_some() => cx.rcu_read_lock(rcu).await,
            Op::RcuUnlock if rcu.is_some() => cx.rcu_read_unlock(rcu).await,
            Op::Sync => {
                let g = self.grace[cx.id().index()].as_ref().unwrap();
                let mut begin = cx.step(site!("gp", GracePeriod));
                for o in g.objects() {
                    begin = begin.writes(o);
                }
                let words = g.words();
                begin.run(move |m: &mut Mem| GracePeriods::begin(&words, m)).await;
                g.end(cx, site!("gp end", GracePeriod), Gate::Open).await;
            }
            Op::WaitEq(v, x) => self.wait(cx, &[(v, Rel::Eq, x)], false).await,
            Op::WaitGe(v, x) => self.wait(cx, &[(v, Rel::Ge, x)], false).await,
            Op::WaitAnyEq(v, x, w, y) => {
                self.wait(cx, &[(v, Rel::Eq, x), (w, Rel::Eq, y)], true).await;
            }
            Op::IrqOff => cx.irq_save(site!("irq off", Mask)).await,
            Op::IrqOn => cx.irq_restore(site!("irq on", Mask)).await,
            Op::PreemptOff => cx.preempt_disable(site!("preempt off", Mask)).await,
            Op::PreemptOn => cx.preempt_enable(site!("preempt on", Mask)).await,
            Op::Arm(l, x) => {
                let q = self.queues[l];
                let me = u32::from(cx.id().0);
                cx.step(site!("arm", Hrtimer))
                    .writes(q.obj())
                    .run(move |m: &mut Mem| {
                        m.with_queue(q, |q| {
                            q.remove(me);
                            q.insert(u64::from(me), me, x as i64, x as i64);
                        });
                    })
                    .await;
            }
            Op::Cancel(l) => {
                let q = self.queues[l];
                let me = u32::from(cx.id().0);
                let was = cx
                    .step(site!("cancel", Hrtimer))
                    .writes(q.obj())
                    .run(move |m: &mut Mem| m.with_queue(q, |q| q.remove(me)))
                    .await;
                return Some(u64::from(was));
            }
            Op::WaitHandler(l) => {
                cx.step(site!("wait handler", Memory))
                    .when(self.running[l].obj(), Rel::Eq, 0)
                    .run(|_: &mut Mem| ())
                    .await;
            }
            Op::Choose(n) => {
                let c = cx.step(site!("choose", Free)).choices(n).run(|m: &mut Mem| m.chosen());
                return Some(u64::from(c.await));
            }
            Op::Queue(x) => {
                let w = self.work;
                let queue = cx.step(site!("queue", Wakeup)).writes(w.obj());
                queue.run(move |m: &mut Mem| m.push_back(w, x)).await;
            }
            Op::RcuLock | Op::RcuUnlock | Op::SkipUnless(..) => {}
        }
        None
    }

    async fn wait(&self, cx: Cx<'_>, on: &[(usize, Rel, u64)], any: bool) {
        let mut d = cx.step(site!("wait", Memory));
        if any {
            d = d.any();
        }
        for (v, rel, x) in on {
            let lhs = Term::Obj(self.vars[*v].obj());
            d = d.when_cmp(Cmp { lhs, rel: *rel, rhs: Term::Const(*x) });
        }
        d.run(|_: &mut Mem| ()).await;
    }
}

// The oracle: states by copying, with a meaning of steps of its own.

#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
struct Ctx {
    at: usize,
    r: u64,
    /// Steps (irq, preempt, rcu) nesting.
    irq: u32,
    preempt: u32,
    rcu: u32,
    /// Readers that a grace period in progress still waits for.
    gp: Option<Vec<usize>>,
    /// Of a line: inside its handler. Of the worker: the item taken.
    inside: bool,
    item: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct State {
    vars: Vec<i64>,
    locks: Vec<Option<usize>>,
    alive: bool,
    uaf: BTreeSet<(usize, bool)>,
    stacks: Vec<Vec<usize>>,
    irq_off: Vec<bool>,
    queues: Vec<Vec<(u64, u64, usize)>>,
    work: Vec<u64>,
    ctx: Vec<Ctx>,
    seq: Vec<u64>,
}

/// What an execution ends in, in terms that oracle and engine share.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Outcome {
    pub vars: Vec<i64>,
    pub alive: bool,
    /// (context, double free rather than use after free).
    pub bugs: BTreeSet<(usize, bool)>,
    pub stuck: BTreeSet<usize>,
}

pub struct Oracle<'a> {
    p: &'a Program,
}

impl<'a> Oracle<'a> {
    pub fn new(p: &'a Program) -> Oracle<'a> {
        Oracle { p }
    }

    pub fn start(&self) -> State {
        let n = self.p.tasks.len() + self.p.lines.len() + usize::from(self.p.worker);
        let ctx =
            Ctx { at: 0, r: 0, irq: 0, preempt: 0, rcu: 0, gp: None, inside: false, item: None };
        let mut s = State {
            vars: vec![0; self.p.vars],
            locks: vec![None; self.p.locks],
            alive: true,
            uaf: BTreeSet::new(),
            stacks: vec![Vec::new(); usize::from(self.p.cpus)],
            irq_off: vec![false; usize::from(self.p.cpus)],
            queues: vec![Vec::new(); self.p.lines.len()],
            work: Vec::new(),
            ctx: vec![ctx; n],
            seq: vec![0; self.p.lines.len()],
        };
        for c in 0..n {
            self.settle(&mut s, c);
        }
        s
    }

    fn ops(&self, c: usize) -> &'a [Op] {
        let t = self.p.tasks.len();
        if c < t {
            &self.p.tasks[c].1
        } else if c < t + self.p.lines.len() {
            &self.p.lines[c - t].1
        } else {
            &[]
        }
    }

    fn cpu(&self, c: usize) -> Option<usize> {
        let t = self.p.tasks.len();
        if c < t {
            Some(usize::from(self.p.tasks[c].0))
        } else if c < t + self.p.lines.len() {
            Some(usize::from(self.p.lines[c - t].0))
        } else {
            None
        }
    }

    fn line(&self, c: usize) -> Option<usize> {
        let t = self.p.tasks.len();
        (c >= t && c < t + self.p.lines.len()).then(|| c - t)
    }

    fn is_worker(&self, c: usize) -> bool {
        self.p.worker && c == self.p.tasks.len() + self.p.lines.len()
    }

    /// Moves over what is local: skips, nested masks, sections of lines, finished grace periods.
    fn settle(&self, s: &mut State, c: usize) {
        let is_line = self.line(c).is_some();
        if is_line && !s.ctx[c].inside {
            return;
        }
        loop {
            let ops = self.ops(c);
            let Some(op) = ops.get(s.ctx[c].at) else { return };
            let x = &mut s.ctx[c];
            match op {
                Op::SkipUnless(v, n) => {
                    x.at += 1;
                    if x.r != *v {
                        x.at = (x.at + n).min(ops.len());
                    }
                }
                Op::IrqOff if is_line || x.irq > 0 => {
                    x.irq += 1;
                    x.at += 1;
                }
                Op::IrqOn if is_line && x.irq > 0 || !is_line && x.irq != 1 => {
                    x.irq = x.irq.saturating_sub(1);
                    x.at += 1;
                }
                // A line that re-enables what it did not disable: the engine counts its own level as one.
                Op::PreemptOff if is_line || x.irq + x.preempt > 0 => {
                    x.preempt += 1;
                    x.at += 1;
                }
                Op::PreemptOn if is_line || x.preempt != 1 || x.irq > 0 => {
                    x.preempt = x.preempt.saturating_sub(1);
                    x.at += 1;
                }
                Op::RcuLock if is_line || x.rcu > 0 => {
                    x.rcu += u32::from(!is_line);
                    x.at += 1;
                }
                Op::RcuUnlock if is_line || x.rcu != 1 => {
                    x.rcu = x.rcu.saturating_sub(u32::from(!is_line));
                    x.at += 1;
                }
                _ => return,
            }
        }
    }

    fn on_cpu(&self, s: &State, c: usize) -> bool {
        self.cpu(c).is_none_or(|cpu| s.stacks[cpu].last().is_none_or(|t| *t == c))
    }

    pub fn enabled(&self, s: &State, c: usize) -> bool {
        let x = &s.ctx[c];
        if let Some(l) = self.line(c)
            && !x.inside
        {
            return !s.irq_off[self.cpu(c).unwrap()] && !s.queues[l].is_empty();
        }
        if self.is_worker(c) {
            return x.item.is_some() || !s.work.is_empty();
        }
        if !self.on_cpu(s, c) {
            return false;
        }
        match self.ops(c).get(x.at) {
            None => self.line(c).is_some(),
            Some(Op::Lock(l)) => s.locks[*l].is_none(),
            Some(Op::WaitEq(v, n)) => s.vars[*v] == *n as i64,
            Some(Op::WaitGe(v, n)) => s.vars[*v] >= *n as i64,
            Some(Op::WaitAnyEq(v, n, w, k)) => s.vars[*v] == *n as i64 || s.vars[*w] == *k as i64,
            Some(Op::WaitAllZero(from, to)) => s.vars[*from..=*to].iter().all(|v| *v == 0),
            Some(Op::WaitHandler(l)) => !s.ctx[self.p.tasks.len() + l].inside,
            Some(Op::Sync) => x.gp.as_ref().is_none_or(Vec::is_empty),
            Some(_) => true,
        }
    }

    pub fn alternatives(&self, s: &State, c: usize) -> u8 {
        match self.ops(c).get(s.ctx[c].at) {
            Some(Op::Choose(n)) => *n,
            _ => 1,
        }
    }

    pub fn step(&self, s: &mut State, c: usize, alt: u8) {
        if self.line(c).is_some() && !s.ctx[c].inside {
            let (l, cpu) = (self.line(c).unwrap(), self.cpu(c).unwrap());
            s.queues[l].remove(0);
            s.irq_off[cpu] = true;
            s.stacks[cpu].push(c);
            let x = &mut s.ctx[c];
            x.inside = true;
            x.at = 0;
            x.r = 0;
            x.preempt = 0;
            x.irq = 0;
        } else if self.is_worker(c) {
            match s.ctx[c].item.take() {
                None => s.ctx[c].item = Some(s.work.remove(0)),
                Some(i) => s.vars[0] += i as i64,
            }
            return;
        } else if let Some(op) = self.ops(c).get(s.ctx[c].at) {
            self.act(s, c, op.clone(), alt);
        } else {
            let cpu = self.cpu(c).unwrap();
            s.stacks[cpu].pop();
            s.irq_off[cpu] = false;
            s.ctx[c].inside = false;
        }
        self.settle(s, c);
    }

    fn act(&self, s: &mut State, c: usize, op: Op, alt: u8) {
        let cpu = self.cpu(c).unwrap();
        if op != Op::Sync || s.ctx[c].gp.is_some() {
            s.ctx[c].at += 1;
        }
        let r = s.ctx[c].r;
        match op {
            Op::Read(v) => s.ctx[c].r = s.vars[v] as u64,
            Op::Write(v, x) => s.vars[v] = x as i64,
            Op::WriteReg(v, x) => s.vars[v] = (r + x) as i64,
            Op::Add(v, n) => {
                s.ctx[c].r = s.vars[v] as u64;
                s.vars[v] += n;
            }
            Op::Xchg(v, x) => {
                s.ctx[c].r = s.vars[v] as u64;
                s.vars[v] = x as i64;
            }
            Op::Lock(l) => s.locks[l] = Some(c),
            Op::Unlock(l) => s.locks[l] = None,
            Op::TryLock(l) => {
                s.ctx[c].r = u64::from(s.locks[l].is_none());
                if s.locks[l].is_none() {
                    s.locks[l] = Some(c);
                }
            }
            Op::Free => {
                if s.alive {
                    s.alive = false;
                } else {
                    s.uaf.insert((c, true));
                }
            }
            Op::Use | Op::UseAdd => {
                if !s.alive {
                    s.uaf.insert((c, false));
                }
            }
            Op::RcuLock => s.ctx[c].rcu = 1,
            Op::RcuUnlock => s.ctx[c].rcu = 0,
            Op::Sync => {
                // Begins; or, all readers seen outside, ends.
                let others = (0..self.p.tasks.len()).filter(|t| *t != c).collect();
                s.ctx[c].gp = if s.ctx[c].gp.is_some() { None } else { Some(others) };
            }
            Op::IrqOff => {
                s.ctx[c].irq = 1;
                s.irq_off[cpu] = true;
                if s.stacks[cpu].last() != Some(&c) {
                    s.stacks[cpu].push(c);
                }
            }
            Op::IrqOn => {
                s.ctx[c].irq = 0;
                s.irq_off[cpu] = false;
                if s.ctx[c].preempt == 0 {
                    s.stacks[cpu].pop();
                }
            }
            Op::PreemptOff => {
                s.ctx[c].preempt = 1;
                s.stacks[cpu].push(c);
            }
            Op::PreemptOn => {
                s.ctx[c].preempt = 0;
                s.stacks[cpu].pop();
            }
            Op::Arm(l, x) => {
                s.queues[l].retain(|e| e.2 != c);
                let seq = s.seq[l];
                s.seq[l] += 1;
                s.queues[l].push((x, seq, c));
                s.queues[l].sort_unstable();
            }
            Op::Cancel(l) => {
                let n = s.queues[l].len();
                s.queues[l].retain(|e| e.2 != c);
                s.ctx[c].r = u64::from(n != s.queues[l].len());
            }
            Op::Choose(_) => s.ctx[c].r = u64::from(alt),
            Op::Queue(x) => s.work.push(x),
            Op::WaitEq(..)
            | Op::WaitGe(..)
            | Op::WaitAnyEq(..)
            | Op::WaitAllZero(..)
            | Op::WaitHandler(_) => {}
            Op::SkipUnless(..) => unreachable!("local"),
        }
    }

    /// Whether the context has begun something and has not ended.
    fn unfinished(&self, s: &State, c: usize) -> bool {
        let x = &s.ctx[c];
        if self.line(c).is_some() {
            x.inside
        } else if self.is_worker(c) {
            x.item.is_some()
        } else {
            x.at < self.ops(c).len()
        }
    }

    /// States in which one more reader was seen outside by a grace period in progress.
    fn seen_outside(&self, s: &State) -> Vec<State> {
        let mut out = Vec::new();
        for c in 0..self.p.tasks.len() {
            for t in s.ctx[c].gp.iter().flatten().filter(|t| s.ctx[**t].rcu == 0) {
                let mut n = s.clone();
                n.ctx[c].gp.as_mut().unwrap().retain(|x| x != t);
                out.push(n);
            }
        }
        out
    }

    /// All outcomes, by visiting every reachable state; `None` if there are more states than `max`.
    pub fn outcomes(&self, max: usize) -> Option<BTreeSet<Outcome>> {
        let mut seen = HashSet::new();
        let mut open = vec![self.start()];
        let mut out = BTreeSet::new();
        seen.insert(open[0].clone());
        while let Some(s) = open.pop() {
            let mut any = false;
            for c in 0..s.ctx.len() {
                if !self.enabled(&s, c) {
                    continue;
                }
                any = true;
                for alt in 0..self.alternatives(&s, c) {
                    let mut n = s.clone();
                    self.step(&mut n, c, alt);
                    if seen.insert(n.clone()) {
                        open.push(n);
                    }
                }
            }
            for n in self.seen_outside(&s) {
                any = true;
                if seen.insert(n.clone()) {
                    open.push(n);
                }
            }
            if !any {
                let stuck = (0..s.ctx.len()).filter(|c| self.unfinished(&s, *c)).collect();
                let bugs = s.uaf.clone();
                out.insert(Outcome { vars: s.vars.clone(), alive: s.alive, bugs, stuck });
            }
            if seen.len() > max {
                return None;
            }
        }
        Some(out)
    }

    /// The fewest preemptions with which some outcome with a bug or a stuck context is reached.
    pub fn fewest_preemptions(&self) -> Option<u32> {
        let mut best: HashMap<(State, Option<usize>), u32> = HashMap::new();
        let mut open: Vec<Vec<(State, Option<usize>)>> = vec![vec![(self.start(), None)]];
        let mut cost = 0;
        while cost < open.len() {
            while let Some((s, last)) = open[cost].pop() {
                if best.get(&(s.clone(), last)).is_some_and(|b| *b as usize <= cost) {
                    continue;
                }
                best.insert((s.clone(), last), cost as u32);
                let ready: Vec<usize> = (0..s.ctx.len()).filter(|c| self.enabled(&s, *c)).collect();
                let stuck = (0..s.ctx.len()).any(|c| self.unfinished(&s, c));
                let outside = self.seen_outside(&s);
                for n in &outside {
                    open[cost].push((n.clone(), last));
                }
                if ready.is_empty() && outside.is_empty() && (stuck || !s.uaf.is_empty()) {
                    return Some(cost as u32);
                }
                for c in ready.iter().copied() {
                    let entry = self.line(c).is_some() && !s.ctx[c].inside;
                    let helper = self.is_worker(c);
                    let going = last.is_some_and(|l| {
                        let idle = self.line(l).is_some() && !s.ctx[l].inside;
                        l != c && ready.contains(&l) && !idle
                    });
                    let add = usize::from(going && !entry && !helper);
                    for alt in 0..self.alternatives(&s, c) {
                        let mut n = s.clone();
                        self.step(&mut n, c, alt);
                        if open.len() <= cost + add {
                            open.resize(cost + add + 1, Vec::new());
                        }
                        open[cost + add].push((n, if helper { last } else { Some(c) }));
                    }
                }
            }
            cost += 1;
        }
        None
    }
}

/// The outcome of the engine's present (complete) execution.
pub fn outcome(toy: &Toy, mem: &Mem, stuck: BTreeSet<usize>) -> Outcome {
    let bugs = mem
        .findings(&[])
        .iter()
        .filter_map(|f| match f.class {
            timerace_core::Class::UseAfterFree => Some((f.at.ctx.index(), false)),
            timerace_core::Class::DoubleFree => Some((f.at.ctx.index(), true)),
            _ => None,
        })
        .collect();
    Outcome {
        vars: toy.vars.iter().map(|v| mem.peek(v.obj()) as i64).collect(),
        alive: mem.is_alive(toy.object),
        bugs,
        stuck,
    }
}
