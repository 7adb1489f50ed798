//! A model of a few contexts whose steps are inside of functions.

use timerace_core::machine::{Body, CtxKind, CtxSpec};
use timerace_core::mem::{Mem, Ptr};
use timerace_core::step::Rel;
use timerace_core::{CpuId, CtxId, Cx, Machine, Model, Obj, Setup, Var, site};
use timerace_kernel::Arg;

/// A step, or the beginning or end of a function.
#[derive(Clone, Debug)]
pub enum Op {
    /// A step on nothing: what happens before the first step of a context is not marked.
    Start,
    Read(usize),
    Write(usize),
    Lock,
    Unlock,
    Free,
    Use,
    /// Waits until the variable has this value.
    WaitFor(usize, i64),
    /// An eviction of element 1, in a step that writes this variable.
    Evict(usize),
    Enter(&'static str),
    Leave(i64),
}

/// A program: a list of operations for each context.
#[derive(Clone, Debug)]
pub struct Program {
    pub tasks: Vec<Vec<Op>>,
}

const VARS: usize = 2;
/// The functions of random programs.
pub const NAMES: [&str; 3] = ["f", "g", "h"];

impl Program {
    pub fn of(tasks: Vec<Vec<Op>>) -> Program {
        Program { tasks }
    }

    /// Few enough steps for all schedules; nothing waits for ever, and every call takes a step.
    pub fn random(draw: &mut Draw) -> Program {
        let contexts = 2 + draw.below(2) as usize;
        let steps = if contexts == 2 { 4 } else { 2 };
        let task = |draw: &mut Draw| {
            let mut ops = vec![Op::Start];
            let mut left = steps;
            while left > 0 {
                let name = NAMES[draw.below(3) as usize];
                let called = draw.below(4) > 0;
                if called {
                    ops.push(Op::Enter(name));
                }
                let inside = (1 + draw.below(3)).min(left);
                left -= inside;
                block(draw, inside, &mut ops);
                if called {
                    ops.push(Op::Leave(draw.below(2) as i64));
                }
            }
            ops
        };
        Program { tasks: (0..contexts).map(|_| task(draw)).collect() }
    }
}

/// So many steps; a lock is taken for at least one of them, or not at all.
fn block(draw: &mut Draw, steps: u64, ops: &mut Vec<Op>) {
    let locked = steps == 3 && draw.below(2) == 0;
    let nested = steps == 2 && draw.below(3) == 0;
    if locked {
        ops.push(Op::Lock);
    }
    if nested {
        ops.push(Op::Enter(NAMES[draw.below(3) as usize]));
    }
    for _ in 0..if locked { 1 } else { steps } {
        ops.push(match draw.below(8) {
            0 | 1 => Op::Read(draw.below(2) as usize),
            2..=4 => Op::Write(draw.below(2) as usize),
            5 => Op::Evict(draw.below(2) as usize),
            6 => Op::Use,
            _ => Op::Free,
        });
    }
    if nested {
        ops.push(Op::Leave(draw.below(2) as i64));
    }
    if locked {
        ops.push(Op::Unlock);
    }
}

/// A small generator of its own: tests must not change when a library does.
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Draw {
        Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
}

pub struct Toy {
    program: Program,
    vars: Vec<Var<i64>>,
    lock: Var<Option<CtxId>>,
    object: Ptr,
}

pub fn boot(program: &Program) -> (Machine, Toy) {
    let mut s = Setup::new(program.tasks.len() as u16);
    let vars = (0..VARS).map(|i| s.var(&format!("v{i}"), 0i64)).collect();
    let lock = s.lock("L");
    let ty = s.struct_type("obj", &["word"]);
    let object = s.preallocated(ty);
    s.init(object.field::<u64>(0), 0);
    for i in 0..program.tasks.len() {
        s.context(CtxSpec {
            name: format!("t{i}"),
            token: format!("t{i}"),
            cpu: Some(CpuId(i as u16)),
            kind: CtxKind::Task,
            daemon: false,
        });
    }
    let toy = Toy { program: program.clone(), vars, lock, object };
    (s.build(), toy)
}

impl Model for Toy {
    fn start<'m>(&'m self, cx: Cx<'m>) -> Body<'m> {
        Box::pin(self.task(cx, &self.program.tasks[cx.id().index()]))
    }
}

impl Toy {
    /// A variable, for those who look at the end.
    pub fn var(&self, v: usize) -> Obj {
        self.vars[v].obj()
    }

    async fn task(&self, cx: Cx<'_>, ops: &[Op]) {
        let mut open = Vec::new();
        for op in ops {
            match *op {
                Op::Start => cx.step(site!("start", Free)).run(|_: &mut Mem| ()).await,
                Op::Read(v) => {
                    cx.read(site!("read", Memory), self.vars[v]).await;
                }
                Op::Write(v) => cx.write(site!("write", Memory), self.vars[v], 1).await,
                Op::Lock => cx.lock(site!("lock", Lock), self.lock).await,
                Op::Unlock => cx.unlock(site!("unlock", Lock), self.lock).await,
                Op::Free => cx.free(site!("free", Alloc), self.object).await,
                Op::Use => {
                    cx.read(site!("use", Memory), self.object.field::<u64>(0)).await;
                }
                Op::WaitFor(v, x) => {
                    let step = cx.step(site!("wait", Memory));
                    step.when(self.vars[v].obj(), Rel::Eq, x as u64).run(|_: &mut Mem| ()).await;
                }
                Op::Evict(v) => {
                    let arg = Arg::Elem { map: 0, key: 1 }.word();
                    let step = cx.step(site!("evict", Map)).writes(self.vars[v].obj());
                    step.run(move |m: &mut Mem| m.mark("evicted", arg)).await;
                }
                Op::Enter(name) => open.push(cx.enter(name)),
                Op::Leave(code) => {
                    open.pop().unwrap().ret(code);
                }
            }
        }
    }
}
