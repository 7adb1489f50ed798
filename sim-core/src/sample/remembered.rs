//! States that sampled executions came through, and where each step led from there.
//!
//! A state decides what can happen next, whatever way led to it. So an execution through remembered states need not be
//! run: it is walked, with the same choices, step by step, and ends where it would have ended. What a walk cannot see is
//! made part of the state: which findings there were so far, and which marks that the observer follows, in their order.

use crate::detect::{FindingKey, RawFinding};
use crate::dpor::Observer;
use crate::dpor::mutant::{Mutant, planted};
use crate::exec::Exec;
use crate::ids::CtxId;
use crate::machine::Model;
use crate::mem::{Mark, Mem};
use crate::mix::roll;
use crate::policy::Choice;
use crate::schedule::Pick;
use crate::states::Canon;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A state, by its place in the list of states.
pub(super) type Node = u32;

const NONE: u32 = u32::MAX;

/// How an execution ended that came to its own end.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// What it was to the observer ([`Observer::outcome`]).
    pub outcome: u64,
    pub found: Vec<FindingKey>,
    /// Digest of its final state.
    pub state: u64,
    pub stuck: bool,
    /// Executions that were walked to here.
    pub walked: u64,
}

#[derive(Debug)]
struct State {
    /// Its moves: from where, how many.
    first: u32,
    moves: u32,
    history: u64,
    /// Place in the list of ends.
    end: u32,
}

/// A context that can step in a state.
#[derive(Copy, Clone, Debug)]
struct Move {
    alts: u8,
    idle: bool,
    /// Where its alternatives lead: from here on in the list of edges.
    edges: u32,
}

#[derive(Copy, Clone, Debug)]
struct Edge {
    to: Node,
    expiries: u32,
}

#[derive(Debug)]
pub(super) struct Remembered {
    canon: Canon,
    places: HashMap<u128, Node>,
    states: Vec<State>,
    /// By move: whose.
    who: Vec<CtxId>,
    moves: Vec<Move>,
    edges: Vec<Edge>,
    pub ends: Vec<End>,
    // Where the execution that is run is.
    history: u64,
    marks: usize,
    findings: usize,
    expiries: u64,
}

impl Remembered {
    pub fn new() -> Remembered {
        Remembered {
            canon: Canon::plain(),
            places: HashMap::new(),
            states: Vec::new(),
            who: Vec::new(),
            moves: Vec::new(),
            edges: Vec::new(),
            ends: Vec::new(),
            history: 0,
            marks: 0,
            findings: 0,
            expiries: 0,
        }
    }

    /// Where all executions begin, if there was one.
    pub fn start(&self) -> Option<Node> {
        (!self.states.is_empty()).then_some(0)
    }

    /// What a policy is told in a state.
    pub fn with_choice<R>(
        &self,
        at: Node,
        last: Option<CtxId>,
        f: impl FnOnce(&Choice<'_>) -> R,
    ) -> R {
        let s = &self.states[at as usize];
        let range = s.first as usize..(s.first + s.moves) as usize;
        let (ready, moves) = (&self.who[range.clone()], &self.moves[range]);
        let of = |c: CtxId| ready.iter().position(|r| *r == c).map(|i| moves[i]);
        f(&Choice {
            ready,
            idle: &|c| of(c).is_some_and(|m| m.idle),
            last,
            alternatives: &|c| of(c).map_or(0, |m| m.alts),
        })
    }

    /// Whether nothing can step in a state.
    pub fn is_end(&self, at: Node) -> bool {
        self.states[at as usize].moves == 0
    }

    /// The end in a state, if an execution has come to it.
    pub fn end(&mut self, at: Node) -> Option<&mut End> {
        self.ends.get_mut(self.states[at as usize].end as usize)
    }

    /// An execution has come to its end in a state.
    pub fn ended(&mut self, at: Node, end: End) {
        self.states[at as usize].end = self.ends.len() as u32;
        self.ends.push(end);
    }

    fn edge(&mut self, at: Node, pick: Pick) -> Option<&mut Edge> {
        let s = &self.states[at as usize];
        let range = s.first as usize..(s.first + s.moves) as usize;
        let i = self.who[range.clone()].iter().position(|c| *c == pick.ctx)?;
        let m = self.moves[range][i];
        (pick.alt < m.alts).then(|| &mut self.edges[m.edges as usize + usize::from(pick.alt)])
    }

    /// Where a step leads, and how many timers expire in it, if it was run once.
    pub fn next(&mut self, at: Node, pick: Pick) -> Option<(Node, u64)> {
        let e = self.edge(at, pick)?;
        (e.to != NONE).then_some((e.to, u64::from(e.expiries)))
    }

    /// An execution that is run stands in this state; `None`: at its start, the first time.
    pub fn run_from<M: Model>(
        &mut self,
        at: Option<Node>,
        exec: &Exec<'_, M>,
        ready: &[CtxId],
    ) -> Node {
        {
            let mem = exec.machine().mem.borrow();
            (self.marks, self.findings) = (mem.marks.len(), mem.findings.len());
            self.expiries = mem.expiries;
            self.history = at.map_or(0, |n| self.states[n as usize].history);
        }
        at.unwrap_or_else(|| self.place(exec, ready))
    }

    /// An execution that is run has made a step; where that has led.
    pub fn ran<M: Model>(
        &mut self,
        at: Node,
        pick: Pick,
        exec: &Exec<'_, M>,
        ready: &[CtxId],
        observer: &dyn Observer,
    ) -> Node {
        let expiries = {
            let mem = exec.machine().mem.borrow();
            self.read(&mem, exec.machine().names(), observer);
            let now = mem.expiries;
            now - std::mem::replace(&mut self.expiries, now)
        };
        let to = self.place(exec, ready);
        if let Some(e) = self.edge(at, pick) {
            *e = Edge { to, expiries: expiries as u32 };
        }
        to
    }

    /// Takes what the last step has shown into the history.
    fn read(&mut self, mem: &Mem, names: &[String], observer: &dyn Observer) {
        if mem.findings.len() == self.findings && mem.marks.len() == self.marks {
            return;
        }
        let mut new = 0;
        for f in &mem.findings[self.findings..] {
            new = roll(new, of_finding(f));
            // Where its sides lie among the marks.
            for side in [Some(f.at), f.other].into_iter().flatten() {
                let followed = mem.marks.iter().filter(|m| observer.follows(m, names));
                let before = followed.clone().filter(|m| m.at < side.step).count();
                let at = followed.filter(|m| m.at == side.step).count();
                new = roll(new, (before as u64) << 32 | at as u64);
            }
        }
        for m in mem.marks[self.marks..].iter().filter(|m| observer.follows(m, names)) {
            new = roll(new, of_mark(m));
        }
        if new != 0 {
            self.history = roll(self.history, new);
        }
        (self.marks, self.findings) = (mem.marks.len(), mem.findings.len());
    }

    /// The present state's place in the list.
    fn place<M: Model>(&mut self, exec: &Exec<'_, M>, ready: &[CtxId]) -> Node {
        let (key, _) = self.canon.key(exec, 0);
        let history = if planted(Mutant::HistoryForgotten) { 0 } else { self.history };
        let key = key ^ u128::from(history) << 32;
        let here = self.states.len() as Node;
        match self.places.entry(key) {
            Entry::Occupied(e) => return *e.get(),
            Entry::Vacant(e) => e.insert(here),
        };
        let first = self.moves.len() as u32;
        for c in ready {
            let m = Move {
                alts: exec.alternatives(*c).max(1),
                idle: exec.is_idle(*c),
                edges: self.edges.len() as u32,
            };
            self.who.push(*c);
            self.moves.push(m);
            let unknown = Edge { to: NONE, expiries: 0 };
            self.edges.resize(self.edges.len() + usize::from(m.alts), unknown);
        }
        let moves = ready.len() as u32;
        self.states.push(State { first, moves, history: self.history, end: NONE });
        here
    }

    /// About so many bytes.
    pub fn bytes(&self) -> u64 {
        let states = self.states.len() * (size_of::<State>() + 2 * size_of::<(u128, Node)>());
        let moves = self.moves.len() * (size_of::<Move>() + size_of::<CtxId>());
        let edges = self.edges.len() * size_of::<Edge>();
        (states + moves + edges + self.ends.len() * size_of::<End>()) as u64
    }
}

fn of_mark(m: &Mark) -> u64 {
    let left = m.ret.map_or(0, |r| roll(1, r as u64));
    let name = roll(m.name.digest(), m.arg);
    roll(roll(u64::from(m.ctx.0) << 32 | u64::from(m.taken), name), left)
}

fn of_finding(f: &RawFinding) -> u64 {
    let (class, a, b) = f.key();
    let obj = f.obj.map_or(0, |o| u64::from(o.0) + 1);
    let at = roll(u64::from(f.at.ctx.0), obj);
    roll(roll(at, class as u64), roll(a.digest(), b.digest()))
}
