//! The truth about predicates, by running every schedule and placing what happens between steps wherever it may be.
//!
//! It shares the words of predicates with the judge, and nothing else: here there are no traces, but each schedule with
//! its own order of steps. A function begins at any time after what its first step must wait for, and at the latest with
//! that step; its end is bounded alike. A predicate is possible if some schedule has room for it.

use super::toy::{Draw, NAMES, Program, Toy, boot};
use std::fmt;
use timerace_core::CtxId;
use timerace_core::exec::Exec;
use timerace_core::policy::{Limits, Replay};
use timerace_core::record::{Record, record};
use timerace_core::schedule::{Pick, Schedule};

/// A predicate.
#[derive(Clone, Debug)]
pub enum P {
    Called(&'static str),
    Running(&'static str),
    Returned(&'static str, i64),
    Evicted,
    UseAfterFree,
    Overlap(&'static str, &'static str),
    After(Box<P>, Box<P>),
    During(Box<P>, Box<P>),
    Within(&'static str, Box<P>),
}

impl P {
    pub fn random(draw: &mut Draw, depth: usize) -> P {
        let name = NAMES[draw.below(3) as usize];
        let other = NAMES[draw.below(3) as usize];
        let inner = |draw: &mut Draw| Box::new(P::random(draw, depth - 1));
        match draw.below(if depth > 0 { 12 } else { 6 }) {
            0 => P::Called(name),
            1 => P::Running(name),
            2 => P::Returned(name, draw.below(2) as i64),
            3 => P::Evicted,
            // A finding says less about its place than other things do; as part of others it is tested apart.
            4 if depth == 2 => P::UseAfterFree,
            4 | 5 => P::Overlap(name, other),
            6..=8 => P::After(inner(draw), inner(draw)),
            9 | 10 => P::During(inner(draw), inner(draw)),
            _ => P::Within(name, inner(draw)),
        }
    }

    pub fn depth(&self) -> usize {
        match self {
            P::After(p, q) | P::During(p, q) => 1 + p.depth().max(q.depth()),
            P::Within(_, p) => 1 + p.depth(),
            _ => 0,
        }
    }
}

impl fmt::Display for P {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            P::Called(name) => write!(f, "called(\"{name}\")"),
            P::Running(name) => write!(f, "running(\"{name}\")"),
            P::Returned(name, code) => write!(f, "returned(\"{name}\", {code})"),
            P::Evicted => write!(f, "evicted(\"m[1]\")"),
            P::UseAfterFree => write!(f, "USE_AFTER_FREE"),
            P::Overlap(a, b) => write!(f, "overlap(\"{a}\", \"{b}\")"),
            P::After(p, q) => write!(f, "after({p}, {q})"),
            P::During(p, q) => write!(f, "during({p}, {q})"),
            P::Within(name, p) => write!(f, "within(\"{name}\", {p})"),
        }
    }
}

/// A moment: where it may be put, and its place in its context.
#[derive(Copy, Clone, PartialEq, Debug)]
struct Moment {
    ctx: CtxId,
    low: f64,
    high: f64,
    /// The step that it belongs to.
    step: usize,
    /// Steps of the run before it, and which mark it is.
    seq: (u32, usize),
}

#[derive(Clone, Debug)]
struct Call {
    name: String,
    ret: i64,
    enter: Moment,
    leave: Moment,
}

/// What comes before what.
type Wishes = Vec<(Moment, Moment)>;

#[derive(Clone, Debug)]
struct Occurrence {
    from: Moment,
    to: Moment,
    sides: Vec<(Moment, Moment)>,
    wishes: Wishes,
}

struct Run {
    /// Which steps come before which in all orders.
    before: Vec<Vec<bool>>,
    calls: Vec<Call>,
    evicted: Vec<Moment>,
    uses: Vec<Moment>,
}

/// What is true of a program.
pub struct Brute {
    pub possible: Vec<bool>,
    /// `None`: too many ways to try.
    pub avoidable: Vec<Option<bool>>,
}

impl Brute {
    pub fn of(program: &Program, predicates: &[P]) -> Brute {
        let (machine, toy) = boot(program);
        let mut exec = Exec::new(&machine, &toy);
        let n = predicates.len();
        let mut brute = Brute { possible: vec![false; n], avoidable: vec![Some(false); n] };
        brute.go(&mut exec, &mut Vec::new(), predicates);
        brute
    }

    fn go(&mut self, exec: &mut Exec<'_, Toy>, path: &mut Vec<Pick>, predicates: &[P]) {
        exec.restart();
        path.iter().for_each(|p| exec.step(p.ctx, p.alt));
        let mut ready = Vec::new();
        exec.ready(&mut ready);
        if ready.is_empty() {
            let schedule = Schedule { picks: path.clone() };
            let r = record(exec, &mut Replay::new(&schedule), Limits::default());
            let run = Run::of(&r);
            for (i, p) in predicates.iter().enumerate() {
                let all = run.occurrences(p);
                self.possible[i] = self.possible[i] || all.iter().any(|o| run.feasible(&o.wishes));
                if self.avoidable[i] == Some(false) {
                    // Occurrences that this schedule avoids anyhow need nothing.
                    let left: Vec<_> = all.iter().filter(|o| run.feasible(&o.wishes)).collect();
                    let found = run.avoid(&left, &mut Vec::new(), &mut 3_000);
                    self.avoidable[i] = found;
                }
            }
            return;
        }
        for ctx in ready {
            path.push(Pick { ctx, alt: 0 });
            self.go(exec, path, predicates);
            path.pop();
        }
    }
}

impl Run {
    fn of(r: &Record) -> Run {
        let n = r.steps.len();
        let mut before = vec![vec![false; n]; n];
        for (i, step) in r.steps.iter().enumerate() {
            for edge in &step.after {
                let from = edge.from as usize - 1;
                before[from][i] = true;
                for row in &mut before {
                    row[i] |= row[from];
                }
            }
        }
        // A function around these steps of its context.
        let call = |ctx: CtxId, name: &str, enter: (u32, usize), leave: (u32, usize), ret: i64| {
            let own = |i: &usize| r.steps[*i].ctx == ctx;
            let mut inside = (enter.0 as usize..leave.0 as usize).filter(own);
            let first = inside.next().unwrap();
            let last = inside.next_back().unwrap_or(first);
            let low = (0..n).filter(|i| before[*i][first]).max().map_or(-1.0, |i| i as f64);
            let high = (0..n).find(|i| before[last][*i]).map_or(n as f64, |i| i as f64);
            let moment = |low, high, step, seq| Moment { ctx, low, high, step, seq };
            Call {
                name: name.to_string(),
                ret,
                enter: moment(low, first as f64, first, enter),
                leave: moment(last as f64, high, last, leave),
            }
        };
        let (mut calls, mut evicted, mut uses) = (Vec::new(), Vec::new(), Vec::new());
        let mut open: Vec<(CtxId, String, (u32, usize))> = Vec::new();
        for (seq, mark) in r.marks.iter().enumerate() {
            match mark.ret {
                None if mark.name == "evicted" => {
                    evicted.push(fixed(mark.ctx, mark.at + 1));
                }
                None => open.push((mark.ctx, mark.name.clone(), (mark.at, seq + 1))),
                Some(ret) => {
                    let at = open.iter().rposition(|o| o.0 == mark.ctx).unwrap();
                    let (ctx, name, enter) = open.remove(at);
                    calls.push(call(ctx, &name, enter, (mark.at, seq + 1), ret));
                }
            }
        }
        for finding in &r.findings {
            if finding.class == timerace_core::Class::UseAfterFree {
                uses.push(fixed(finding.at.ctx, finding.at.step));
            }
        }
        Run { before, calls, evicted, uses }
    }

    fn named(&self, name: &'static str) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| call.name == name)
    }

    fn occurrences(&self, p: &P) -> Vec<Occurrence> {
        match p {
            P::Called(f) => self.named(f).map(|c| between(c.enter, c.enter)).collect(),
            P::Running(f) => self.named(f).map(|c| between(c.enter, c.leave)).collect(),
            P::Returned(f, code) => {
                let returned = self.named(f).filter(|c| c.ret == *code);
                returned.map(|c| between(c.leave, c.leave)).collect()
            }
            P::Evicted => self.evicted.iter().map(|m| between(*m, *m)).collect(),
            P::UseAfterFree => self.uses.iter().map(|m| between(*m, *m)).collect(),
            P::Overlap(f, g) => {
                let pairs = self.named(f).flat_map(|a| self.named(g).map(move |b| (a, b)));
                pairs
                    .filter(|(a, b)| a.enter.ctx != b.enter.ctx)
                    .map(|(a, b)| Occurrence {
                        from: a.enter,
                        to: a.leave,
                        sides: vec![(a.enter, a.leave), (b.enter, b.leave)],
                        wishes: vec![(a.enter, b.leave), (b.enter, a.leave)],
                    })
                    .collect()
            }
            P::After(p, q) => self.pairs(p, q, &|p, q| vec![(p.to, q.from)]),
            P::During(p, q) => self.pairs(p, q, &|p, q| vec![(p.from, q.from), (q.from, p.to)]),
            P::Within(f, p) => {
                let inside = |(from, to): &(Moment, Moment)| {
                    self.named(f).any(|c| {
                        c.enter.ctx == from.ctx && c.enter.seq < to.seq && from.seq < c.leave.seq
                    })
                };
                let mut all = self.occurrences(p);
                all.retain(|o| o.sides.iter().any(inside));
                all
            }
        }
    }

    fn pairs(
        &self,
        p: &P,
        q: &P,
        relation: &dyn Fn(&Occurrence, &Occurrence) -> Wishes,
    ) -> Vec<Occurrence> {
        let (ps, qs) = (self.occurrences(p), self.occurrences(q));
        let mut out = Vec::new();
        for q in &qs {
            for p in &ps {
                let mut wishes = relation(p, q);
                wishes.extend(p.wishes.iter().chain(&q.wishes));
                out.push(Occurrence { wishes, ..q.clone() });
            }
        }
        out
    }
}

/// A step of the run, counted from 1.
fn fixed(ctx: CtxId, no: u32) -> Moment {
    let at = f64::from(no) - 1.0;
    Moment { ctx, low: at, high: at, step: no as usize - 1, seq: (no, 0) }
}

fn between(from: Moment, to: Moment) -> Occurrence {
    Occurrence { from, to, sides: vec![(from, to)], wishes: Vec::new() }
}

impl Run {
    /// Whether all moments can be put somewhere so that every wish comes true.
    fn feasible(&self, wishes: &[(Moment, Moment)]) -> bool {
        const TINY: f64 = 1e-6;
        let mut nodes: Vec<Moment> = Vec::new();
        for m in wishes.iter().flat_map(|(a, b)| [a, b]) {
            if !nodes.contains(m) {
                nodes.push(*m);
            }
        }
        let at = |m: &Moment| nodes.iter().position(|n| n == m).unwrap();
        let mut edges: Vec<(usize, usize, f64)> =
            wishes.iter().map(|(a, b)| (at(a), at(b), TINY)).collect();
        for (i, a) in nodes.iter().enumerate() {
            for (j, b) in nodes.iter().enumerate() {
                // Moments of one context keep their order; what waits for the end of a function waits for all of it.
                if a.ctx == b.ctx && a.seq < b.seq {
                    edges.push((i, j, TINY));
                } else if a.ctx != b.ctx && self.before[a.step][b.step] {
                    edges.push((i, j, 0.0));
                }
            }
        }
        // As early as possible, in tiny steps.
        let mut time: Vec<f64> = nodes.iter().map(|n| n.low).collect();
        for _ in 0..=nodes.len() {
            let mut moved = false;
            for (i, j, gap) in &edges {
                if time[*j] < time[*i] + gap * 0.5 {
                    time[*j] = time[*i] + gap;
                    moved = true;
                }
            }
            if !moved {
                return nodes.iter().zip(&time).all(|(n, t)| *t <= n.high + TINY * 0.1);
            }
        }
        false
    }

    /// Whether all can be avoided at once, by turning one wish of each around.
    fn avoid(
        &self,
        all: &[&Occurrence],
        turned: &mut Vec<(Moment, Moment)>,
        budget: &mut u32,
    ) -> Option<bool> {
        let Some((first, rest)) = all.split_first() else { return Some(true) };
        for (a, b) in &first.wishes {
            *budget = budget.checked_sub(1)?;
            turned.push((*b, *a));
            let done = self.feasible(turned) && self.avoid(rest, turned, budget)?;
            turned.pop();
            if done {
                return Some(true);
            }
        }
        Some(false)
    }
}
