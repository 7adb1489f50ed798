//! Moments of a run, and which orders of them its trace allows.
//!
//! A search runs one order of each trace. What it says about a trace must not depend on which one that was, so moments
//! are compared by the happens-before order of the steps that they belong to: `a` is *forced* before `b` if it comes
//! first in every order of the trace. Any further wishes ("this comes before that") are possible together exactly if
//! they and the forced order have no cycle.

use timerace_core::CtxId;
use timerace_core::dpor::View;

/// Where in a context a moment is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Spot {
    /// At a step: the first and the last index that it may have, as far as that is known.
    Step(u32, u32),
    /// Between two steps; the index of the second.
    Gap(u32),
    /// The end of the run.
    End,
}

/// A point of a run.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Moment {
    /// Whose; `None` for the end of the run as such.
    pub ctx: Option<CtxId>,
    pub spot: Spot,
    /// Its place in the order that was run: right for what one context does, which no other order changes.
    pub tick: (u64, u32),
}

impl Moment {
    /// The end of a run; of what a context was doing then.
    pub fn end(ctx: Option<CtxId>) -> Moment {
        Moment { ctx, spot: Spot::End, tick: (u64::MAX - 1, 0) }
    }

    /// Later than the end: where calls end that never return.
    pub fn never(ctx: CtxId) -> Moment {
        Moment { ctx: Some(ctx), spot: Spot::End, tick: (u64::MAX, 0) }
    }
}

/// "The first comes before the second."
pub(super) type Edge = (Moment, Moment);

/// How many possibilities are tried before a question counts as too hard.
const BUDGET: u32 = 20_000;

/// The orders of a trace.
pub(super) struct Orders<'v> {
    view: &'v View<'v>,
    /// Whether the view knows more than the order that was run.
    partial: bool,
}

impl<'v> Orders<'v> {
    pub fn new(view: &'v View<'v>) -> Self {
        let first = (CtxId(0), 0);
        Orders { view, partial: view.before(first, first).is_some() }
    }

    /// Whether `a` comes no later than `b` in every order.
    pub fn forced(&self, a: &Moment, b: &Moment) -> bool {
        if a == b || b.spot == Spot::End {
            return a.spot != Spot::End || a.tick <= b.tick;
        }
        let (Some(x), Some(y)) = (a.ctx, b.ctx) else { return false };
        if x == y || !self.partial {
            return a.tick <= b.tick;
        }
        let last = match a.spot {
            Spot::Step(_, last) => last,
            // What lies between two steps can wait until the second.
            Spot::Gap(next) => next,
            Spot::End => return false,
        };
        let first = match b.spot {
            Spot::Step(first, _) => first,
            Spot::Gap(0) | Spot::End => return false,
            Spot::Gap(next) => next - 1,
        };
        self.view.before((x, last), (y, first)).unwrap_or(false)
    }

    /// Whether some order fulfils all wishes.
    pub fn possible(&self, wishes: &[Edge]) -> bool {
        match wishes {
            [] => true,
            [(a, b)] => !self.forced(b, a),
            _ => self.acyclic(wishes),
        }
    }

    fn acyclic(&self, wishes: &[Edge]) -> bool {
        let mut nodes: Vec<Moment> = Vec::new();
        let mut number = |m: &Moment| {
            nodes.iter().position(|known| known == m).unwrap_or_else(|| {
                nodes.push(*m);
                nodes.len() - 1
            })
        };
        let edges: Vec<(usize, usize)> =
            wishes.iter().map(|(a, b)| (number(a), number(b))).collect();
        let n = nodes.len();
        let mut reach = vec![false; n * n];
        for (i, a) in nodes.iter().enumerate() {
            for (j, b) in nodes.iter().enumerate() {
                reach[i * n + j] = self.forced(a, b);
            }
        }
        edges.iter().for_each(|(a, b)| reach[a * n + b] = true);
        for via in 0..n {
            for i in 0..n {
                if !reach[i * n + via] {
                    continue;
                }
                for j in 0..n {
                    reach[i * n + j] |= reach[via * n + j];
                }
            }
        }
        edges.iter().all(|(a, b)| !reach[b * n + a])
    }

    /// Whether some order fulfils none of these sets of wishes. `None`: too many possibilities.
    pub fn avoidable(&self, sets: &[Vec<Edge>]) -> Option<bool> {
        let mut open: Vec<Vec<Edge>> = Vec::new();
        for set in sets {
            // What no order can avoid does not help; what no order can fulfil is avoided already.
            let mut free = set.clone();
            free.retain(|(a, b)| !self.forced(a, b));
            if !self.possible(set) {
                continue;
            }
            if free.is_empty() {
                return Some(false);
            }
            if !open.contains(&free) {
                open.push(free);
            }
        }
        open.sort_by_key(Vec::len);
        let mut budget = BUDGET;
        self.avoid(&open, &mut Vec::new(), &mut budget)
    }

    fn avoid(&self, sets: &[Vec<Edge>], turned: &mut Vec<Edge>, budget: &mut u32) -> Option<bool> {
        let Some((set, rest)) = sets.split_first() else { return Some(true) };
        for (a, b) in set {
            *budget = budget.checked_sub(1)?;
            turned.push((*b, *a));
            let found =
                if self.possible(turned) { self.avoid(rest, turned, budget)? } else { false };
            turned.pop();
            if found {
                return Some(true);
            }
        }
        Some(false)
    }
}
