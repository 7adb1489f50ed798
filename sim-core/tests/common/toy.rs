//! The model: programs of raw steps on the machine.

use super::{Op, Outcome, Program};
use std::collections::BTreeSet;
use timerace_core::machine::{Body, CtxKind, CtxSpec, Member, Orbit};
use timerace_core::mem::{Mem, Ptr, TypeId};
use timerace_core::rcu::GracePeriods;
use timerace_core::step::{Cmp, Gate, Rel, Term};
use timerace_core::{CpuId, CtxId, Cx, Machine, Model, Setup, Var, site};

pub struct Toy {
    pub prog: Program,
    vars: Vec<Var<i64>>,
    locks: Vec<Var<Option<CtxId>>>,
    rcu: Vec<Var<bool>>,
    /// The reader-writer lock: who writes, and by context who reads.
    writer: Var<Option<CtxId>>,
    readers: Vec<Var<bool>>,
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
    let vars: Vec<Var<i64>> = (0..prog.vars).map(|i| s.var(&format!("v{i}"), 0i64)).collect();
    let locks = (0..prog.locks).map(|i| s.lock(&format!("L{i}"))).collect();
    let ty = s.struct_type("obj", &["word"]);
    let object = s.preallocated(ty);
    s.init(object.field::<u64>(0), 0);
    let mut rcu: Vec<Var<bool>> = Vec::new();
    for (i, (c, _)) in prog.tasks.iter().enumerate() {
        s.context(spec(&format!("t{i}"), *c, CtxKind::Task, false));
        rcu.push(s.var(&format!("rcu{i}"), false));
    }
    let mut running = Vec::new();
    let mut queues = Vec::new();
    for (i, line) in prog.lines.iter().enumerate() {
        let id = s.context(spec(&format!("irq{i}"), line.cpu, line.kind, true));
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
            let home = prog.tasks[t].0;
            waits.then(|| GracePeriods::new(&mut s, &format!("t{t}"), "qs", home, &others))
        })
        .collect();
    let writer = s.lock("W");
    let bodies = prog.tasks.len() + prog.lines.len();
    let readers: Vec<Var<bool>> =
        (0..bodies).map(|i| s.var(&format!("reader{i}"), false)).collect();
    if !prog.orbit.is_empty() {
        let members = prog.orbit.iter().map(|(t, v)| {
            let own = s.own(CpuId(prog.tasks[*t].0));
            let objects = [vars[*v].obj(), rcu[*t].obj(), readers[*t].obj(), own];
            Member { contexts: vec![CtxId(*t as u16)], objects: objects.to_vec() }
        });
        let members = members.collect();
        s.interchangeable(Orbit { members });
    }
    let plain = |o: &Op| matches!(o, Op::PlainRead(_) | Op::PlainWrite(..));
    let mut bodies = prog.tasks.iter().map(|t| &t.1).chain(prog.lines.iter().map(|l| &l.body));
    if prog.slots == 0 && bodies.any(|b| b.iter().any(plain)) {
        s.watch_plain();
    }
    if prog.slots > 0 {
        s.store_buffers(prog.slots);
    }
    let prog = prog.clone();
    let toy =
        Toy { prog, vars, locks, rcu, writer, readers, grace, running, queues, work, object, ty };
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
                self.body(cx, &self.prog.tasks[i].1, Some(self.rcu[i]), 0).await;
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
        let line = &self.prog.lines[n];
        loop {
            let entry = cx.enter_level(
                site!("<interrupt>", IrqEntry),
                line.kind,
                |d| d.writes(q.obj()).writes(run.obj()).when(q.obj(), Rel::Ne, 0),
                move |m: &mut Mem| {
                    m.store(run, true);
                    m.with_queue(q, |q| q.pop().map_or(0, |e| e.timer))
                },
            );
            let armed_by = entry.await;
            cx.entered_level(line.kind);
            self.body(cx, &line.body, None, armed_by).await;
            cx.exit_level(
                site!("<exit>", IrqExit),
                line.kind,
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

    async fn body(&self, cx: Cx<'_>, ops: &[Op], rcu: Option<Var<bool>>, r: u64) {
        let mut r = r;
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
            Op::PlainRead(v) => {
                let v = self.vars[v];
                let read = cx.step(site!("plain read", Memory)).plain(v.obj(), false);
                return Some(read.run(move |m: &mut Mem| m.load(v)).await as u64);
            }
            Op::PlainWrite(v, x) => {
                cx.store(site!("plain write", Memory), self.vars[v], x as i64, true).await;
            }
            Op::WriteReg(v, x) => {
                cx.write(site!("write", Memory), self.vars[v], (r + x) as i64).await;
            }
            Op::Add(v, n) => {
                return Some(cx.fetch_add(site!("add", Atomic), self.vars[v], n).await as u64);
            }
            Op::Xchg(v, x) => {
                return Some(cx.xchg(site!("xchg", Atomic), self.vars[v], x as i64).await as u64);
            }
            Op::Cmpxchg(v, old, new) => {
                let (old, new) = (old as i64, new as i64);
                let was = cx.cmpxchg(site!("cmpxchg", Atomic), self.vars[v], old, new).await;
                return Some(was as u64);
            }
            Op::ReadLock => {
                let (mine, w) = (self.readers[cx.id().index()], self.writer);
                let step = cx.step(site!("read_lock", Lock)).writes(mine.obj());
                step.when(w.obj(), Rel::Eq, 0).run(move |m: &mut Mem| m.store(mine, true)).await;
            }
            Op::ReadUnlock => {
                let mine = self.readers[cx.id().index()];
                let step = cx.step(site!("read_unlock", Lock)).writes(mine.obj());
                step.run(move |m: &mut Mem| m.store(mine, false)).await;
            }
            Op::WriteLock => {
                let (w, me) = (self.writer, cx.id());
                let mut step = cx.step(site!("write_lock", Lock)).writes(w.obj());
                step = step.when(w.obj(), Rel::Eq, 0);
                for r in &self.readers {
                    step = step.when(r.obj(), Rel::Eq, 0);
                }
                step.run(move |m: &mut Mem| m.store(w, Some(me))).await;
            }
            Op::WriteUnlock => cx.unlock(site!("write_unlock", Lock), self.writer).await,
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
            // What is read is not looked at: nothing is learned.
            Op::Use => {
                let step = cx.step(site!("use", Memory)).reads(word.obj());
                step.run(move |m: &mut Mem| {
                    m.load(word);
                })
                .await;
            }
            Op::UseAdd => {
                let step = cx.step(site!("use add", Atomic)).writes(word.obj());
                step.run(move |m: &mut Mem| {
                    m.update(word, |w| w + 1);
                })
                .await;
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
            Op::BhOff => cx.bh_disable(site!("bh off", Mask)).await,
            Op::BhOn => cx.bh_enable(site!("bh on", Mask)).await,
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
            Op::Mb => cx.smp_mb(site!("smp_mb()", Atomic)).await,
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
