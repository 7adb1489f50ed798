//! The oracle: states by copying, with a meaning of steps of its own.

use super::{Op, Program};
use std::collections::{BTreeSet, HashMap, HashSet};
use timerace_core::machine::CtxKind;

/// A store that has not reached memory.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
enum Store {
    Var(usize, i64),
    Unlock(usize),
    WriteUnlock,
    RcuUnlock,
}

/// What a step has to do with the store buffer of its context.
enum Order {
    Free,
    Stores,
    /// Waits for the store that ends the last read section.
    AfterRcu,
    /// Waits until the buffer is empty.
    Drains,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
struct Ctx {
    at: usize,
    r: u64,
    /// Steps (irq, preempt, rcu) nesting.
    irq: u32,
    bh: u32,
    preempt: u32,
    rcu: u32,
    /// Seen inside of a read section by others.
    inside_rcu: bool,
    /// Oldest first.
    buffer: Vec<Store>,
    /// It has stored since it last waited for its buffer.
    stored: bool,
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
    writer: Option<usize>,
    readers: BTreeSet<usize>,
    alive: bool,
    uaf: BTreeSet<(usize, bool)>,
    stacks: Vec<Vec<usize>>,
    irq_off: Vec<bool>,
    bh_off: Vec<bool>,
    nmi: Vec<bool>,
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
        let (inside, gp, item) = (false, None, None);
        let (buffer, inside_rcu) = (Vec::new(), false);
        let ctx = Ctx {
            at: 0,
            r: 0,
            irq: 0,
            bh: 0,
            preempt: 0,
            rcu: 0,
            inside_rcu,
            buffer,
            stored: false,
            gp,
            inside,
            item,
        };
        let cpus = usize::from(self.p.cpus);
        let mut s = State {
            vars: vec![0; self.p.vars],
            locks: vec![None; self.p.locks],
            alive: true,
            uaf: BTreeSet::new(),
            writer: None,
            readers: BTreeSet::new(),
            stacks: vec![Vec::new(); cpus],
            irq_off: vec![false; cpus],
            bh_off: vec![false; cpus],
            nmi: vec![false; cpus],
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
            &self.p.lines[c - t].body
        } else {
            &[]
        }
    }

    fn cpu(&self, c: usize) -> Option<usize> {
        let t = self.p.tasks.len();
        if c < t {
            Some(usize::from(self.p.tasks[c].0))
        } else if c < t + self.p.lines.len() {
            Some(usize::from(self.p.lines[c - t].cpu))
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
            let Some(op) = ops.get(s.ctx[c].at) else {
                // Nobody asks for it any more.
                s.ctx[c].r = 0;
                return;
            };
            let x = &mut s.ctx[c];
            match op {
                Op::SkipUnless(v, n) => {
                    x.at += 1;
                    if x.r != *v {
                        x.at = (x.at + n).min(ops.len());
                    }
                }
                Op::Mb if !x.stored => x.at += 1,
                // Nested masks, and unmasking what is not masked, are no steps.
                Op::IrqOff if x.irq > 0 => {
                    x.irq += 1;
                    x.at += 1;
                }
                Op::IrqOn if x.irq != 1 => {
                    x.irq = x.irq.saturating_sub(1);
                    x.at += 1;
                }
                Op::BhOff if x.bh > 0 => {
                    x.bh += 1;
                    x.at += 1;
                }
                Op::BhOn if x.bh != 1 => {
                    x.bh = x.bh.saturating_sub(1);
                    x.at += 1;
                }
                Op::PreemptOff if x.irq + x.bh + x.preempt > 0 => {
                    x.preempt += 1;
                    x.at += 1;
                }
                Op::PreemptOn if x.preempt != 1 || x.irq + x.bh > 0 => {
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

    /// A variable as the context sees it.
    fn seen(&self, s: &State, c: usize, v: usize) -> i64 {
        let own = s.ctx[c].buffer.iter().rev().find_map(|b| match b {
            Store::Var(w, x) if *w == v => Some(*x),
            _ => None,
        });
        own.unwrap_or(s.vars[v])
    }

    /// What the next step of the context has to do with its store buffer.
    fn order(&self, s: &State, c: usize) -> Order {
        if self.p.slots == 0 || self.cpu(c).is_none() {
            return Order::Free;
        }
        let x = &s.ctx[c];
        if self.line(c).is_some() && !x.inside {
            return Order::Drains;
        }
        match self.ops(c).get(x.at) {
            Some(
                Op::Write(..) | Op::WriteReg(..) | Op::Unlock(_) | Op::WriteUnlock | Op::RcuUnlock,
            ) => Order::Stores,
            Some(Op::RcuLock) => Order::AfterRcu,
            Some(
                Op::Read(_)
                | Op::Use
                | Op::Choose(_)
                | Op::WaitEq(..)
                | Op::WaitGe(..)
                | Op::WaitAnyEq(..)
                | Op::WaitAllZero(..)
                | Op::WaitHandler(_)
                | Op::IrqOff
                | Op::IrqOn
                | Op::BhOff
                | Op::BhOn
                | Op::PreemptOff
                | Op::PreemptOn,
            ) => Order::Free,
            Some(Op::Sync) if x.gp.is_some() => Order::Free,
            // The exit of a handler, and whatever is locked.
            None | Some(_) => Order::Drains,
        }
    }

    /// Whether the store buffers let the next step of the context happen.
    fn ordered(&self, s: &State, c: usize) -> bool {
        let shares = |o: usize| o != c && self.cpu(c).is_some() && self.cpu(o) == self.cpu(c);
        if (0..s.ctx.len()).any(|o| shares(o) && !s.ctx[o].buffer.is_empty()) {
            return false;
        }
        let buffer = &s.ctx[c].buffer;
        match self.order(s, c) {
            Order::Free => true,
            Order::Stores => buffer.len() < self.p.slots as usize,
            Order::AfterRcu => !buffer.contains(&Store::RcuUnlock),
            Order::Drains => buffer.is_empty(),
        }
    }

    fn store(&self, s: &mut State, c: usize, store: Store) {
        if self.p.slots > 0 && self.cpu(c).is_some() {
            s.ctx[c].buffer.push(store);
            s.ctx[c].stored = true;
        } else {
            Self::reach_memory(s, c, store);
        }
    }

    fn reach_memory(s: &mut State, c: usize, store: Store) {
        match store {
            Store::Var(v, x) => s.vars[v] = x,
            Store::Unlock(l) => s.locks[l] = None,
            Store::WriteUnlock => s.writer = None,
            Store::RcuUnlock => s.ctx[c].inside_rcu = false,
        }
    }

    pub fn enabled(&self, s: &State, c: usize) -> bool {
        self.ordered(s, c) && self.may_happen(s, c)
    }

    fn may_happen(&self, s: &State, c: usize) -> bool {
        let x = &s.ctx[c];
        if let Some(l) = self.line(c)
            && !x.inside
        {
            let cpu = self.cpu(c).unwrap();
            let masked = match self.p.lines[l].kind {
                CtxKind::Nmi => s.nmi[cpu],
                CtxKind::Hardirq => s.nmi[cpu] || s.irq_off[cpu],
                _ => s.nmi[cpu] || s.irq_off[cpu] || s.bh_off[cpu],
            };
            return !masked && !s.queues[l].is_empty();
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
            Some(Op::ReadLock) => s.writer.is_none(),
            Some(Op::WriteLock) => s.writer.is_none() && s.readers.is_empty(),
            Some(Op::WaitEq(v, n)) => self.seen(s, c, *v) == *n as i64,
            Some(Op::WaitGe(v, n)) => self.seen(s, c, *v) >= *n as i64,
            Some(Op::WaitAnyEq(v, n, w, k)) => {
                self.seen(s, c, *v) == *n as i64 || self.seen(s, c, *w) == *k as i64
            }
            Some(Op::WaitAllZero(from, to)) => (*from..=*to).all(|v| self.seen(s, c, v) == 0),
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
        if let Order::Drains = self.order(s, c) {
            s.ctx[c].stored = false;
        }
        if self.line(c).is_some() && !s.ctx[c].inside {
            let (l, cpu) = (self.line(c).unwrap(), self.cpu(c).unwrap());
            let (_, _, armed_by) = s.queues[l].remove(0);
            *self.level(s, l) = true;
            s.stacks[cpu].push(c);
            let soft = self.p.lines[l].kind == CtxKind::Softirq;
            let x = &mut s.ctx[c];
            x.inside = true;
            x.at = 0;
            x.r = armed_by as u64;
            x.preempt = 0;
            x.irq = u32::from(!soft);
            x.bh = u32::from(soft);
        } else if self.is_worker(c) {
            match s.ctx[c].item.take() {
                None => s.ctx[c].item = Some(s.work.remove(0)),
                Some(i) => s.vars[0] += i as i64,
            }
            return;
        } else if let Some(op) = self.ops(c).get(s.ctx[c].at) {
            self.act(s, c, op.clone(), alt);
        } else {
            let (l, cpu) = (self.line(c).unwrap(), self.cpu(c).unwrap());
            s.stacks[cpu].pop();
            *self.level(s, l) = false;
            s.ctx[c].inside = false;
        }
        self.settle(s, c);
    }

    /// The mask that a handler of the line sets.
    fn level<'s>(&self, s: &'s mut State, l: usize) -> &'s mut bool {
        let line = &self.p.lines[l];
        let cpu = usize::from(line.cpu);
        match line.kind {
            CtxKind::Nmi => &mut s.nmi[cpu],
            CtxKind::Hardirq => &mut s.irq_off[cpu],
            _ => &mut s.bh_off[cpu],
        }
    }

    fn off(s: &mut State, c: usize, cpu: usize) {
        if s.stacks[cpu].last() != Some(&c) {
            s.stacks[cpu].push(c);
        }
    }

    fn on(s: &mut State, c: usize, cpu: usize) {
        let x = &s.ctx[c];
        if x.irq + x.bh + x.preempt == 0 {
            s.stacks[cpu].pop();
        }
    }

    fn act(&self, s: &mut State, c: usize, op: Op, alt: u8) {
        let cpu = self.cpu(c).unwrap();
        if op != Op::Sync || s.ctx[c].gp.is_some() {
            s.ctx[c].at += 1;
        }
        let r = s.ctx[c].r;
        match op {
            Op::Read(v) | Op::PlainRead(v) => s.ctx[c].r = self.seen(s, c, v) as u64,
            Op::Write(v, x) | Op::PlainWrite(v, x) => {
                self.store(s, c, Store::Var(v, x as i64));
            }
            Op::WriteReg(v, x) => self.store(s, c, Store::Var(v, (r + x) as i64)),
            Op::Add(v, n) => {
                s.ctx[c].r = s.vars[v] as u64;
                s.vars[v] += n;
            }
            Op::Xchg(v, x) => {
                s.ctx[c].r = s.vars[v] as u64;
                s.vars[v] = x as i64;
            }
            Op::Cmpxchg(v, old, new) => {
                s.ctx[c].r = s.vars[v] as u64;
                if s.vars[v] == old as i64 {
                    s.vars[v] = new as i64;
                }
            }
            Op::ReadLock => {
                s.readers.insert(c);
            }
            Op::ReadUnlock => {
                s.readers.remove(&c);
            }
            Op::WriteLock => s.writer = Some(c),
            Op::WriteUnlock => self.store(s, c, Store::WriteUnlock),
            Op::Lock(l) => s.locks[l] = Some(c),
            Op::Unlock(l) => self.store(s, c, Store::Unlock(l)),
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
            Op::RcuLock => {
                s.ctx[c].rcu = 1;
                s.ctx[c].inside_rcu = true;
            }
            Op::RcuUnlock => {
                s.ctx[c].rcu = 0;
                self.store(s, c, Store::RcuUnlock);
            }
            Op::Sync => {
                // Begins; or, all readers seen outside, ends.
                let others = (0..self.p.tasks.len()).filter(|t| *t != c).collect();
                s.ctx[c].gp = if s.ctx[c].gp.is_some() { None } else { Some(others) };
            }
            Op::IrqOff => {
                s.ctx[c].irq = 1;
                s.irq_off[cpu] = true;
                Self::off(s, c, cpu);
            }
            Op::IrqOn => {
                s.ctx[c].irq = 0;
                s.irq_off[cpu] = false;
                Self::on(s, c, cpu);
            }
            Op::BhOff => {
                s.ctx[c].bh = 1;
                s.bh_off[cpu] = true;
                Self::off(s, c, cpu);
            }
            Op::BhOn => {
                s.ctx[c].bh = 0;
                s.bh_off[cpu] = false;
                Self::on(s, c, cpu);
            }
            Op::PreemptOff => {
                s.ctx[c].preempt = 1;
                Self::off(s, c, cpu);
            }
            Op::PreemptOn => {
                s.ctx[c].preempt = 0;
                Self::on(s, c, cpu);
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
            | Op::WaitHandler(_)
            | Op::Mb => {}
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

    /// States after something that no context does: a grace period in progress saw one more reader outside, or a store
    /// has reached memory.
    fn by_itself(&self, s: &State) -> Vec<State> {
        let mut out = Vec::new();
        for c in (0..s.ctx.len()).filter(|c| !s.ctx[*c].buffer.is_empty()) {
            let mut n = s.clone();
            let store = n.ctx[c].buffer.remove(0);
            Self::reach_memory(&mut n, c, store);
            out.push(n);
        }
        for c in 0..self.p.tasks.len() {
            for t in s.ctx[c].gp.iter().flatten().filter(|t| !s.ctx[**t].inside_rcu) {
                let mut n = s.clone();
                n.ctx[c].gp.as_mut().unwrap().retain(|x| x != t);
                out.push(n);
            }
        }
        out
    }

    /// All outcomes, by visiting every reachable state; `None` if there are more states than `max`.
    pub fn outcomes(&self, max: usize) -> Option<BTreeSet<Outcome>> {
        self.explore(max).map(|e| e.0)
    }

    /// All outcomes, and how many states are reachable.
    pub fn explore(&self, max: usize) -> Option<(BTreeSet<Outcome>, usize)> {
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
            for n in self.by_itself(&s) {
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
        Some((out, seen.len()))
    }

    /// The fewest preemptions with which some outcome with a bug or a stuck context is reached.
    pub fn fewest_preemptions(&self) -> Option<u32> {
        // Who stepped last, and who was left for interrupts while it could go on.
        type Place = (Option<usize>, Vec<usize>);
        let mut best: HashMap<(State, Place), u32> = HashMap::new();
        let mut open: Vec<Vec<(State, Place)>> = vec![vec![(self.start(), Place::default())]];
        let mut cost = 0;
        while cost < open.len() {
            while let Some((s, place)) = open[cost].pop() {
                if best.get(&(s.clone(), place.clone())).is_some_and(|b| *b as usize <= cost) {
                    continue;
                }
                best.insert((s.clone(), place.clone()), cost as u32);
                let ready: Vec<usize> = (0..s.ctx.len()).filter(|c| self.enabled(&s, *c)).collect();
                let stuck = (0..s.ctx.len()).any(|c| self.unfinished(&s, c));
                let outside = self.by_itself(&s);
                for n in &outside {
                    open[cost].push((n.clone(), place.clone()));
                }
                if ready.is_empty() && outside.is_empty() && (stuck || !s.uaf.is_empty()) {
                    return Some(cost as u32);
                }
                let idle = |c: usize| self.line(c).is_some() && !s.ctx[c].inside;
                let could = |c: &usize| ready.contains(c) && !idle(*c);
                let (last, left) = &place;
                // The innermost of those who could go on is the one that does, if nobody is preempted.
                let stack: Vec<usize> = left.iter().copied().chain(*last).collect();
                let going = stack.iter().rposition(could);
                for c in ready.iter().copied() {
                    let mut add = 0;
                    let new = if self.is_worker(c) || *last == Some(c) {
                        place.clone()
                    } else if idle(c) {
                        let mut left = left.clone();
                        left.extend(last.filter(could));
                        (Some(c), left)
                    } else {
                        match going {
                            Some(i) if stack[i] != c => {
                                add = 1;
                                (Some(c), Vec::new())
                            }
                            Some(i) => (Some(c), stack[..i].to_vec()),
                            None => (Some(c), left.clone()),
                        }
                    };
                    for alt in 0..self.alternatives(&s, c) {
                        let mut n = s.clone();
                        self.step(&mut n, c, alt);
                        if open.len() <= cost + add {
                            open.resize(cost + add + 1, Vec::new());
                        }
                        open[cost + add].push((n, new.clone()));
                    }
                }
            }
            cost += 1;
        }
        None
    }
}
