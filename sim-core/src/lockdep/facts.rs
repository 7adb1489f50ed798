//! Facts about classes of locks: within a run, by number; of a search, by name, with a schedule that shows each.

use crate::ids::Obj;
use crate::machine::Machine;
use crate::mem::{FrameName, Place};
use crate::schedule::Pick;
use std::collections::BTreeMap;

/// In what circumstances a lock was taken.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Use {
    /// Outside of NMIs.
    Anywhere,
    /// With hard interrupts on.
    IrqsOn,
    /// With hard interrupts and softirqs on.
    SoftirqsOn,
    /// In a hard interrupt, and waited for.
    InHardirq,
    /// The same, but refused where its own CPU holds the lock.
    InHardirqForOthers,
    /// In a softirq.
    InSoftirq,
    /// The same, but refused where its own CPU holds the lock.
    InSoftirqForOthers,
    /// In an NMI.
    InNmi,
    /// The same, but refused where its own CPU holds the lock.
    InNmiForOthers,
}

impl Use {
    pub const ALL: [Use; 9] = [
        Use::Anywhere,
        Use::IrqsOn,
        Use::SoftirqsOn,
        Use::InHardirq,
        Use::InHardirqForOthers,
        Use::InSoftirq,
        Use::InSoftirqForOthers,
        Use::InNmi,
        Use::InNmiForOthers,
    ];

    pub fn bit(self) -> u16 {
        1 << self as u16
    }

    pub fn in_hardirq(others: bool) -> Use {
        if others { Use::InHardirqForOthers } else { Use::InHardirq }
    }

    pub fn in_softirq(others: bool) -> Use {
        if others { Use::InSoftirqForOthers } else { Use::InSoftirq }
    }

    pub fn in_nmi(others: bool) -> Use {
        if others { Use::InNmiForOthers } else { Use::InNmi }
    }

    /// Of a use in an interrupt: the use that lets the interrupt come while the lock is held, and whether the lock is
    /// refused to the CPU that holds it.
    pub fn interrupts(self) -> Option<(Use, bool)> {
        match self {
            Use::InHardirq => Some((Use::IrqsOn, false)),
            Use::InHardirqForOthers => Some((Use::IrqsOn, true)),
            Use::InSoftirq => Some((Use::SoftirqsOn, false)),
            Use::InSoftirqForOthers => Some((Use::SoftirqsOn, true)),
            Use::InNmi => Some((Use::Anywhere, false)),
            Use::InNmiForOthers => Some((Use::Anywhere, true)),
            Use::Anywhere | Use::IrqsOn | Use::SoftirqsOn => None,
        }
    }
}

/// A fact, with classes by number or by name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum What<C = u16> {
    /// `to` was waited for while `from` was held; `pair`: which of them, where both are of one class.
    Order { from: C, to: C, pair: (u64, u64) },
    /// The class was taken so.
    Use(C, Use),
    /// A run ended with a context that waits for a lock of the class.
    Hung(C),
}

impl<C> What<C> {
    pub fn map<D>(&self, f: impl Fn(&C) -> D) -> What<D> {
        match self {
            What::Order { from, to, pair } => What::Order { from: f(from), to: f(to), pair: *pair },
            What::Use(c, u) => What::Use(f(c), *u),
            What::Hung(c) => What::Hung(f(c)),
        }
    }
}

/// A fact of a run.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub what: What,
    /// Where the lock was taken or waited for.
    pub at: Place,
    /// Of an order: where the lock was taken that was held.
    pub held: Option<Place>,
    /// Of an order: the two locks; else the same one twice.
    pub objs: [Obj; 2],
}

/// A fact of a search.
#[derive(Clone, Debug)]
pub(crate) struct Witness {
    /// The execution that showed it first.
    pub picks: Vec<Pick>,
    pub func: FrameName,
}

/// The facts of a search.
#[derive(Clone, Debug, Default)]
pub(crate) struct LockFacts(pub BTreeMap<What<String>, Witness>);

impl LockFacts {
    /// Takes over what is new on the machine; `picks` is the execution so far.
    pub fn note(&mut self, machine: &Machine, picks: impl FnOnce() -> Vec<Pick>) {
        let lockdep = &mut machine.mem.borrow_mut().lockdep;
        if lockdep.fresh.is_empty() {
            return;
        }
        let picks = picks();
        for fact in std::mem::take(&mut lockdep.fresh) {
            let what = fact.what.map(|c| lockdep.name(*c).to_string());
            let new = || Witness { picks: picks.clone(), func: fact.at.func };
            self.0.entry(what).or_insert_with(new);
        }
    }

    /// Adds those of another part of the search; the earlier part's schedules are kept.
    pub fn absorb(&mut self, other: LockFacts) {
        for (what, witness) in other.0 {
            self.0.entry(what).or_insert(witness);
        }
    }

    /// As reports read it.
    pub fn graph(&self, names: &[String]) -> LockGraph {
        let mut graph = LockGraph::default();
        let mut classes: BTreeMap<&str, u16> = BTreeMap::new();
        for (what, w) in &self.0 {
            match what {
                What::Order { from, to, .. } => {
                    classes.entry(from).or_default();
                    classes.entry(to).or_default();
                    let func = match w.func {
                        FrameName::Fn(f) => f.to_string(),
                        FrameName::Body(i) => names.get(i as usize).cloned().unwrap_or_default(),
                    };
                    graph.edges.push(LockEdge { from: from.clone(), to: to.clone(), func });
                }
                What::Use(c, u) => *classes.entry(c).or_default() |= u.bit(),
                What::Hung(_) => {}
            }
        }
        graph.edges.dedup_by(|a, b| a.from == b.from && a.to == b.to);
        let class = |(name, uses): (&str, u16)| {
            let is = |all: &[Use]| all.iter().any(|u| uses & u.bit() != 0);
            LockClass {
                name: name.to_string(),
                in_hardirq: is(&[Use::InHardirq, Use::InHardirqForOthers]),
                irqs_on: is(&[Use::IrqsOn]),
                in_softirq: is(&[Use::InSoftirq, Use::InSoftirqForOthers]),
                softirqs_on: is(&[Use::SoftirqsOn]),
                in_nmi: is(&[Use::InNmi, Use::InNmiForOthers]),
            }
        };
        graph.classes = classes.into_iter().map(class).collect();
        graph
    }
}

/// A class of locks, and how its locks were taken in a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockClass {
    /// Its name: that of the lock, or of what its locks have in common.
    pub name: String,
    /// In a hard interrupt.
    pub in_hardirq: bool,
    /// With hard interrupts on.
    pub irqs_on: bool,
    /// In a softirq.
    pub in_softirq: bool,
    /// With hard interrupts and softirqs on.
    pub softirqs_on: bool,
    /// In an NMI.
    pub in_nmi: bool,
}

impl LockClass {
    /// The marks that lockdep prints: for hard interrupts and softirqs `+` taken with them on, `-` taken inside, `?` both,
    /// `.` neither.
    pub fn marks(&self) -> String {
        let mark = |inside, on| match (inside, on) {
            (true, true) => '?',
            (true, false) => '-',
            (false, true) => '+',
            (false, false) => '.',
        };
        let hard = mark(self.in_hardirq, self.irqs_on);
        let soft = mark(self.in_softirq, self.softirqs_on);
        [hard, soft].iter().collect()
    }
}

/// A lock of class `to` was waited for while one of class `from` was held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockEdge {
    /// Held.
    pub from: String,
    /// Waited for.
    pub to: String,
    /// In this function.
    pub func: String,
}

/// The classes of locks of a search and the orders in which they were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockGraph {
    /// In the order of names.
    pub classes: Vec<LockClass>,
    /// In the order of names, one per pair of classes.
    pub edges: Vec<LockEdge>,
}
