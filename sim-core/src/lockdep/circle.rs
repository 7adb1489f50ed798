//! Circles among facts: what lockdep reports.
//!
//! A lock that was waited for while another was held is an arrow from the held one. An interrupt is an arrow as well: from
//! a lock that was taken while the interrupt could come, to one that was taken in such an interrupt. So lockdep's rules are
//! one: a circle can hang. An arrow from a class to itself counts if an interrupt makes it, or if two of its locks were
//! taken in both orders. Where a run did hang on a lock, its class is left out: the deadlock is the finding.

use super::facts::{Use, What};
use crate::detect::{Class, FindingKey, RawFinding};
use crate::dpor::{Observer, View};
use crate::exec::Exec;
use crate::machine::Model;
use crate::mem::{Mem, Place};
use crate::order;
use crate::policy::{Limits, Replay, run};
use crate::result::Tally;
use crate::schedule::{Pick, Schedule};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// An arrow and the facts that make it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Arrow {
    pub from: String,
    pub to: String,
    pub by: Vec<What<String>>,
}

/// Arrows from each class to the next, and back to the first.
pub(crate) type Circle = Vec<Arrow>;

/// An arrow of a finding: where its facts were taken down.
#[derive(Clone, Debug)]
pub(crate) struct ShownArrow {
    pub from: String,
    pub to: String,
    /// An interrupt makes it: what kind.
    pub interrupt: Option<&'static str>,
    /// Where `to` was taken or waited for. Step 0: in another run.
    pub at: Place,
    /// Where `from` was taken.
    pub held: Place,
}

/// The circle of a finding.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// Index among the findings of the run.
    pub finding: usize,
    pub arrows: Vec<ShownArrow>,
}

/// One circle, the shortest, of each set of classes that lead to each other.
pub(crate) fn circles<'f>(facts: impl Iterator<Item = &'f What<String>>) -> Vec<Circle> {
    let arrows = arrows(&facts.collect());
    let mut graph: DiGraph<&str, &Arrow> = DiGraph::new();
    let mut nodes: BTreeMap<&str, NodeIndex> = BTreeMap::new();
    for a in &arrows {
        for name in [&a.from, &a.to] {
            nodes.entry(name).or_insert_with(|| graph.add_node(name));
        }
        graph.add_edge(nodes[a.from.as_str()], nodes[a.to.as_str()], a);
    }
    let shortest_in = |set: &BTreeSet<NodeIndex>| {
        set.iter().filter_map(|n| shortest(&graph, *n, set)).min_by_key(|c| (c.len(), c.clone()))
    };
    let mut all: Vec<Circle> = petgraph::algo::tarjan_scc(&graph)
        .into_iter()
        .filter_map(|scc| shortest_in(&scc.into_iter().collect()))
        .collect();
    all.sort();
    all
}

fn arrows(facts: &BTreeSet<&What<String>>) -> BTreeSet<Arrow> {
    let hung: BTreeSet<&String> =
        facts.iter().filter_map(|f| if let What::Hung(c) = f { Some(c) } else { None }).collect();
    let uses: Vec<(&String, Use)> = facts
        .iter()
        .filter_map(|f| if let What::Use(c, u) = f { Some((c, *u)) } else { None })
        .collect();
    let mut out = BTreeSet::new();
    let mut put = |from: &String, to: &String, by: Vec<What<String>>| {
        if !hung.contains(from) && !hung.contains(to) {
            out.insert(Arrow { from: from.clone(), to: to.clone(), by });
        }
    };
    for f in facts {
        match f {
            What::Order { from, to, pair } if from == to => {
                let (from, to, pair) = (from.clone(), to.clone(), (pair.1, pair.0));
                let back = What::Order { from, to, pair };
                // Of the two, one speaks for both.
                if back != **f
                    && facts.contains(&back)
                    && **f < back
                    && let What::Order { from, to, .. } = f
                {
                    put(from, to, vec![(*f).clone(), back]);
                }
            }
            What::Order { from, to, .. } => put(from, to, vec![(*f).clone()]),
            What::Use(to, inside) => {
                let Some((on, others)) = inside.interrupts() else { continue };
                for (from, _) in uses.iter().filter(|(c, u)| *u == on && !(others && *c == to)) {
                    let by = vec![What::Use((*from).clone(), on), (*f).clone()];
                    put(from, to, by);
                }
            }
            What::Hung(_) => {}
        }
    }
    out
}

/// The shortest circle through a node, by breadth-first search; of several the first in the order of names.
fn shortest(
    graph: &DiGraph<&str, &Arrow>,
    start: NodeIndex,
    within: &BTreeSet<NodeIndex>,
) -> Option<Circle> {
    let mut came: BTreeMap<NodeIndex, (NodeIndex, &Arrow)> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(n) = queue.pop_front() {
        let mut next: Vec<_> = graph.edges(n).filter(|e| within.contains(&e.target())).collect();
        next.sort_by_key(|e| *e.weight());
        for e in next {
            if e.target() == start {
                let mut circle = vec![(*e.weight()).clone()];
                let mut at = n;
                while at != start {
                    let (before, arrow) = came[&at];
                    circle.push(arrow.clone());
                    at = before;
                }
                circle.reverse();
                return Some(circle);
            }
            if let Entry::Vacant(new) = came.entry(e.target()) {
                new.insert((n, e.weight()));
                queue.push_back(e.target());
            }
        }
    }
    None
}

impl Mem {
    /// Judges what was taken down in the run that has ended, and in those before it that were not forgotten: `earlier` many
    /// facts. Gives the circles of the findings that it makes.
    pub(crate) fn judge_locks(&mut self, earlier: usize) -> Vec<(Circle, FindingKey)> {
        let named: Vec<What<String>> = {
            let l = &self.lockdep;
            l.fresh.iter().map(|f| f.what.map(|c| l.name(*c).to_string())).collect()
        };
        let mut out = Vec::new();
        for circle in circles(named.iter()) {
            let at = |w: &What<String>| named.iter().position(|n| n == w).unwrap_or_default();
            let mut facts: Vec<usize> = circle.iter().flat_map(|a| &a.by).map(at).collect();
            facts.sort_unstable();
            let place = |i: usize, held: bool| {
                let f = &self.lockdep.fresh[i];
                let p = f.held.filter(|_| held).unwrap_or(f.at);
                if i < earlier { Place { step: 0, ..p } } else { p }
            };
            let arrows = circle.iter().map(|a| shown(a, &at, &place)).collect();
            let last = facts.pop().unwrap_or_default();
            let raw = RawFinding {
                class: Class::LockOrder,
                at: place(last, false),
                other: facts.last().map(|o| place(*o, false)),
                obj: Some(self.lockdep.fresh[last].objs[1]),
                alloc: 0,
            };
            out.push((circle, raw.key()));
            let finding = self.findings.len();
            self.lockdep.circles.push(Shown { finding, arrows });
            self.findings.push(raw);
        }
        out
    }
}

fn shown(
    a: &Arrow,
    index: &impl Fn(&What<String>) -> usize,
    place: &impl Fn(usize, bool) -> Place,
) -> ShownArrow {
    let (first, last) = (index(&a.by[0]), index(&a.by[a.by.len() - 1]));
    let interrupt = match &a.by[a.by.len() - 1] {
        What::Use(_, Use::InHardirq | Use::InHardirqForOthers) => Some("hard interrupt"),
        What::Use(_, Use::InSoftirq | Use::InSoftirqForOthers) => Some("softirq"),
        What::Use(..) => Some("NMI"),
        _ => None,
    };
    let held = place(first, interrupt.is_none());
    ShownArrow { from: a.from.clone(), to: a.to.clone(), interrupt, at: place(last, false), held }
}

/// Ends a search: judges its facts, finds executions that show each circle, and shows these to the observer.
pub(crate) fn conclude<M: Model>(
    exec: &mut Exec<'_, M>,
    tally: &mut Tally,
    limits: Limits,
    observer: &mut dyn Observer,
) {
    // What a search that stopped at a finding has not seen would make another answer.
    if tally.stopped {
        return;
    }
    for circle in circles(tally.locks.0.keys()) {
        let facts = circle.iter().flat_map(|a| &a.by);
        let mut runs: Vec<Vec<Pick>> =
            facts.filter_map(|f| tally.locks.0.get(f)).map(|w| w.picks.clone()).collect();
        runs.sort_by_key(|r| (r.len(), r.clone()));
        runs.dedup();
        let alone = runs.iter().position(|r| show(exec, &circle, &[], r, limits).is_some());
        let mut run = runs.remove(alone.unwrap_or(runs.len() - 1));
        let mut cost = order::Cost::MAX;
        order::improve(exec, &mut run, &mut cost, limits);
        let before = if alone.is_some() { Vec::new() } else { runs };
        exec.machine().mem.borrow_mut().marking = observer.needs_marks();
        let key = show(exec, &circle, &before, &run, limits);
        exec.machine().mem.borrow_mut().marking = false;
        let Some((key, ended)) = key else { continue };
        let stuck = exec.stuck();
        let machine = exec.machine();
        observer.again(&View::linear(machine, &machine.mem.borrow(), &ended, &stuck));
        let kept = tally.found(key, || run);
        kept.before = before.into_iter().map(|picks| Schedule { picks }).collect();
    }
}

/// Runs one execution after others; whether it shows the circle, as which finding.
fn show<M: Model>(
    exec: &mut Exec<'_, M>,
    circle: &Circle,
    before: &[Vec<Pick>],
    picks: &[Pick],
    limits: Limits,
) -> Option<(FindingKey, crate::policy::Ended)> {
    exec.machine().mem.borrow_mut().lockdep.forget();
    let mut earlier = 0;
    let mut ended = crate::policy::Ended::Complete;
    let runs = before.iter().map(Vec::as_slice).chain([picks]);
    for picks in runs {
        earlier = exec.machine().mem.borrow().lockdep.fresh.len();
        let schedule = Schedule { picks: picks.to_vec() };
        exec.restart();
        ended = run(exec, &mut Replay::new(&schedule), limits);
    }
    let found = exec.machine().mem.borrow_mut().judge_locks(earlier);
    found.into_iter().find(|(c, _)| c == circle).map(|(_, key)| (key, ended))
}
