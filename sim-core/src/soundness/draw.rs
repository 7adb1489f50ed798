//! Random programs.

use super::common::{Line, Op, Program};
use timerace_core::machine::CtxKind;

/// A small generator of its own: tests must not change when a library does.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn index(&mut self, n: usize) -> usize {
        self.below(n as u64) as usize
    }

    fn of(&mut self, ops: &[Op]) -> Op {
        ops[self.index(ops.len())].clone()
    }
}

/// A random program: 2 to 4 contexts. Every third is well paired: what it takes, it gives back. A quarter has store
/// buffers, of one to three slots.
pub fn program(seed: u64) -> Program {
    let d = &mut Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let cpus = 1 + d.below(3) as u16;
    let lines = d.index(3);
    let mut p = Program { cpus, vars: 3, locks: 2, worker: d.below(4) == 0, ..Program::default() };
    for l in 0..lines {
        let kinds = [CtxKind::Hardirq, CtxKind::Hardirq, CtxKind::Softirq, CtxKind::Nmi];
        let kind = kinds[d.index(kinds.len())];
        p.lines.push(Line { cpu: l as u16 % cpus, kind, body: Vec::new() });
    }
    for l in 0..lines {
        let mut body: Vec<Op> = (0..1 + d.index(2)).map(|_| handler_step(d, &p, l)).collect();
        if p.lines[l].kind == CtxKind::Softirq && d.below(3) == 0 {
            body.insert(0, Op::IrqOff);
            body.push(Op::IrqOn);
        }
        p.lines[l].body = body;
    }
    let tso = seed % 8 < 2;
    p.slots = if tso { 1 + d.below(3) as u32 } else { 0 };
    let paired = seed.is_multiple_of(3);
    let tasks = 2 + d.index(3 - usize::from(lines > 0));
    for t in 0..tasks {
        let mut body = if paired { paired_body(d, &p) } else { body(d, &p, t) };
        if tso && d.below(3) == 0 {
            body.insert(d.index(body.len() + 1), Op::Mb);
        }
        p.tasks.push((d.below(u64::from(cpus)) as u16, body));
    }
    p
}

/// A random program with two or three interchangeable tasks. Each has a variable of its own, the one with its number
/// from 3 on; another task may wait for all of these together, or for none.
pub fn symmetric(seed: u64) -> Program {
    let d = &mut Draw(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1);
    let n = 2 + d.index(2);
    let own = 3..3 + n;
    let mut p = Program { cpus: n as u16 + 1, vars: 3, locks: 2, ..Program::default() };
    let paired = d.below(2) == 0;
    let mut other = if paired { paired_body(d, &p) } else { body(d, &p, 0) };
    other.retain(|op| *op != Op::Sync);
    let at = d.index(other.len() + 1);
    if d.below(2) == 0 {
        other.insert(at, Op::WaitAllZero(own.start, own.end - 1));
    }
    let mut member = if paired { paired_body(d, &p) } else { body(d, &p, 1) };
    member.retain(|op| *op != Op::Sync);
    member.truncate(5);
    let at = d.index(member.len() + 1);
    let mine = [Op::Write(99, 1), Op::Write(99, 0), Op::Add(99, 1), Op::Read(99)];
    member.insert(at, mine[d.index(4)].clone());
    p.vars = own.end;
    p.tasks.push((0, other));
    for (i, v) in own.enumerate() {
        let body = member.iter().map(|op| match op {
            Op::Write(99, x) => Op::Write(v, *x),
            Op::Add(99, x) => Op::Add(v, *x),
            Op::Read(99) => Op::Read(v),
            op => op.clone(),
        });
        p.tasks.push((i as u16 + 1, body.collect()));
        p.orbit.push((i + 1, v));
    }
    p
}

fn body(d: &mut Draw, p: &Program, me: usize) -> Vec<Op> {
    let len = 2 + d.index(4);
    (0..len).map(|_| step(d, p, true, me)).collect()
}

fn step(d: &mut Draw, p: &Program, in_task: bool, me: usize) -> Op {
    let v = d.index(p.vars);
    let x = d.below(3);
    loop {
        return match d.below(29) {
            0..=2 => Op::Read(v),
            3..=4 => Op::Write(v, x),
            5 => Op::WriteReg(v, x),
            6 => Op::Add(v, 1),
            7 => Op::SkipUnless(x, 1 + d.index(2)),
            8 => Op::Lock(d.index(p.locks)),
            9 => Op::Unlock(d.index(p.locks)),
            10 => Op::TryLock(d.index(p.locks)),
            11 => Op::Free,
            12 => d.of(&[Op::Use, Op::UseAdd]),
            13 if in_task => Op::RcuLock,
            14 if in_task => Op::RcuUnlock,
            15 if in_task => Op::Sync,
            16 => Op::WaitEq(v, x),
            17 => Op::WaitGe(v, x),
            18 => Op::WaitAnyEq(v, x, d.index(p.vars), d.below(3)),
            19 if in_task => {
                let masks = [Op::IrqOff, Op::IrqOn, Op::PreemptOff, Op::PreemptOn];
                if d.below(3) == 0 { d.of(&[Op::BhOff, Op::BhOn]) } else { d.of(&masks) }
            }
            // A handler that arms itself would run for ever.
            20 if in_task && !p.lines.is_empty() => Op::Arm(d.index(p.lines.len()), d.below(3)),
            21 if !p.lines.is_empty() => match d.below(2) {
                0 => Op::Cancel(d.index(p.lines.len())),
                _ if in_task || p.lines.len() > 1 && me != 0 => Op::WaitHandler(0),
                _ => continue,
            },
            22 if in_task => Op::Choose(2),
            23 if p.worker => Op::Queue(1 + x),
            24 => Op::Xchg(v, x),
            25 => Op::WaitAllZero(0, v),
            26..=27 => Op::Cmpxchg(v, x, 1 + d.below(2)),
            28 => d.of(&[Op::ReadLock, Op::ReadUnlock, Op::WriteLock, Op::WriteUnlock]),
            _ => continue,
        };
    }
}

fn handler_step(d: &mut Draw, p: &Program, me: usize) -> Op {
    step(d, p, false, me)
}

/// Sections, each closed, with a few accesses in and between them. Most failures of these need preemptions.
fn paired_body(d: &mut Draw, p: &Program) -> Vec<Op> {
    let mut body = Vec::new();
    while body.len() < 3 {
        let l = d.index(p.locks);
        let (open, close) = match d.below(9) {
            0 | 1 => (Op::Lock(l), Op::Unlock(l)),
            2 => (Op::ReadLock, Op::ReadUnlock),
            3 => (Op::WriteLock, Op::WriteUnlock),
            4 => (Op::RcuLock, Op::RcuUnlock),
            5 => (Op::IrqOff, Op::IrqOn),
            6 => (Op::PreemptOff, Op::PreemptOn),
            7 => (Op::BhOff, Op::BhOn),
            _ => {
                body.push(simple(d, p));
                continue;
            }
        };
        body.push(open);
        body.extend((0..1 + d.index(2)).map(|_| simple(d, p)));
        body.push(close);
    }
    body
}

fn simple(d: &mut Draw, p: &Program) -> Op {
    let v = d.index(p.vars);
    match d.below(12) {
        0..=2 => Op::Read(v),
        3 => Op::Write(v, 1),
        4 => Op::SkipUnless(d.below(2), 1),
        5 => Op::Add(v, 1),
        6 => Op::Cmpxchg(v, d.below(2), 2),
        7 if !p.lines.is_empty() => Op::Arm(d.index(p.lines.len()), d.below(2)),
        8 if p.worker => Op::Queue(1),
        9 => Op::Free,
        10 => Op::UseAdd,
        _ => Op::Use,
    }
}
