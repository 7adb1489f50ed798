//! timerace: the program on the machine of `timerace-core`.

use crate::program::{Op, PTR, Program};
use crate::{Measured, Task};
use timerace_core::dpor::{Ignore, Observer, Options};
use timerace_core::exec::Exec;
use timerace_core::exhaustive::{self, Team};
use timerace_core::machine::{Body, CtxKind, CtxSpec, Member, Orbit};
use timerace_core::mem::{Mem, Ptr};
use timerace_core::policy::Random;
use timerace_core::result::{Engine, Exploration};
use timerace_core::sample::sample;
use timerace_core::step::Rel;
use timerace_core::{CpuId, CtxId, Cx, Machine, Model, Setup, Var, site};

struct Raw {
    program: Program,
    flags: Vec<Var<i64>>,
    slot: Var<i64>,
    lock: Var<Option<CtxId>>,
    object: Ptr,
}

fn boot(program: &Program) -> (Machine, Raw) {
    let mut s = Setup::new(program.threads.len() as u16);
    let flags: Vec<Var<i64>> = (0..program.flags).map(|i| s.var(&format!("flag{i}"), 0)).collect();
    let slot = s.var("slot", PTR as i64);
    let lock = s.lock("L");
    let ty = s.struct_type("obj", &["word"]);
    let object = s.preallocated(ty);
    s.init(object.field::<u64>(0), 0);
    for i in 0..program.threads.len() {
        let name = format!("t{i}");
        let token = name.clone();
        s.context(CtxSpec {
            name,
            token,
            cpu: Some(CpuId(i as u16)),
            kind: CtxKind::Task,
            daemon: false,
        });
    }
    if !program.alike.is_empty() {
        let member = |&(t, f): &(usize, usize)| Member {
            contexts: vec![CtxId(t as u16)],
            objects: vec![flags[f].obj(), s.own(CpuId(t as u16))],
        };
        let members = program.alike.iter().map(member).collect();
        s.interchangeable(Orbit { members });
    }
    if program.slots > 0 {
        s.store_buffers(program.slots as u32);
    }
    let model = Raw { program: program.clone(), flags, slot, lock, object };
    (s.build(), model)
}

impl Model for Raw {
    fn start<'m>(&'m self, cx: Cx<'m>) -> Body<'m> {
        Box::pin(self.thread(cx, &self.program.threads[cx.id().index()]))
    }
}

impl Raw {
    async fn thread(&self, cx: Cx<'_>, ops: &[Op]) {
        let _f = cx.enter("thread");
        let word: Var<u64> = self.object.field(0);
        let (mut r, mut at) = (0, 0);
        while let Some(op) = ops.get(at) {
            at += 1;
            match *op {
                Op::Lock => cx.lock(site!("lock", Lock), self.lock).await,
                Op::Unlock => cx.unlock(site!("unlock", Lock), self.lock).await,
                Op::ReadSlot => r = cx.read(site!("read", Memory), self.slot).await as u64,
                Op::TakeSlot => r = cx.xchg(site!("xchg", Atomic), self.slot, 0).await as u64,
                Op::SkipUnlessPtr(n) => at += if r == PTR { 0 } else { n },
                Op::SkipUnlessZero(n) => at += if r == 0 { 0 } else { n },
                Op::UseAdd => {
                    let step = cx.step(site!("use add", Atomic)).writes(word.obj());
                    step.run(move |m: &mut Mem| {
                        m.update(word, |w| w + 1);
                    })
                    .await;
                }
                Op::Use => {
                    let step = cx.step(site!("use", Memory)).reads(word.obj());
                    step.run(move |m: &mut Mem| {
                        m.load(word);
                    })
                    .await;
                }
                Op::Free => cx.free(site!("free", Alloc), self.object).await,
                Op::Set(f, x) => cx.write(site!("write", Memory), self.flags[f], x as i64).await,
                Op::Add(f, n) => {
                    cx.fetch_add(site!("add", Atomic), self.flags[f], n as i64).await;
                }
                Op::Read(f) => r = cx.read(site!("read", Memory), self.flags[f]).await as u64,
                Op::WaitZero(from, to) => {
                    let mut step = cx.step(site!("wait", Memory));
                    for f in &self.flags[from..to] {
                        step = step.when(f.obj(), Rel::Eq, 0);
                    }
                    step.run(|_: &mut Mem| ()).await;
                }
                Op::Barrier => cx.smp_mb(site!("smp_mb()", Atomic)).await,
            }
        }
    }
}

struct Alone<'p>(&'p Program);

impl Team for Alone<'_> {
    type Model = Raw;
    type Seen = ();

    fn boot(&self) -> (Machine, Raw) {
        boot(self.0)
    }

    fn observe(&self, _: &Raw, search: &mut dyn FnMut(&mut dyn Observer)) {
        search(&mut Ignore);
    }
}

/// Plays the program.
pub fn play(program: &Program, task: Task) -> Measured {
    let options =
        |keep_going, max_schedules| Options { keep_going, max_schedules, ..Options::default() };
    let e: Exploration = match task {
        Task::First => exhaustive::explore(&Alone(program), 1, true, &options(false, None)).0,
        Task::Exhaust => exhaustive::explore(&Alone(program), 1, true, &options(true, None)).0,
        Task::Random(n) => {
            let (machine, model) = boot(program);
            let mut exec = Exec::new(&machine, &model);
            sample(&mut exec, "random", &mut Random::new(1), &options(true, Some(n)), &mut Ignore)
        }
    };
    Measured {
        executions: if e.engine == Engine::States { 0 } else { e.schedules + e.blocked },
        states: e.states,
        bug: !e.findings.is_empty() || e.stuck > 0,
        complete: e.complete,
        ..Measured::default()
    }
}
