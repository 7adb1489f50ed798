//! Races of an execution, and how each could be reversed.

use super::events::{Cut, Events};
use super::mutant::{Mutant, planted};
use super::{CtxSet, bit};
use crate::ids::{CtxId, Obj};
use crate::step::{Access, Guard};

/// A reversal to be tried: at this event, one of the initials instead.
#[derive(Clone, Debug)]
pub(super) struct Reversal {
    /// The index of the event (and level) at which another context goes first.
    pub at: usize,
    /// Contexts whose first step of the new continuation has nothing before it in it.
    pub initials: CtxSet,
    /// The context whose step is to come earlier: preferred if it is an initial.
    pub wanted: CtxId,
}

/// Finds reversals; keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct Races {
    pub found: Vec<Reversal>,
    rivals: Vec<usize>,
    work: Vec<Cut>,
    seen: Vec<Cut>,
    blamed: Vec<Obj>,
    clock: Vec<u16>,
    mine: Vec<u16>,
    prefix: Vec<u16>,
}

impl Races {
    /// Races of the step that happened as event `at` with events before it.
    pub fn of_event(&mut self, ev: &Events, at: usize) {
        let q = ev.ctx(at);
        self.set_mine(ev, q, ev.index(at));
        let mut rivals = std::mem::take(&mut self.rivals);
        rivals.clear();
        for a in ev.fp(at) {
            ev.rivals(*a, at, &mut rivals);
        }
        rivals.retain(|d| !ev.contains(&self.mine, *d));
        rivals.sort_unstable();
        rivals.dedup();
        self.seen.clear();
        for (i, d) in rivals.iter().enumerate() {
            let (ctx, index) = (ev.ctx(*d), ev.index(*d));
            let later = &rivals[i + 1..];
            if later.iter().any(|r| ev.clock(*r)[ctx.index()] > index) {
                continue; // not maximal: it happens before another rival
            }
            let mut cut = ev.all();
            ev.remove_up(&mut cut, *d);
            ev.remove_up(&mut cut, at);
            self.push(cut);
        }
        self.rivals = rivals;
        self.search(ev, q, ev.declared(at), ev.guard(at));
    }

    /// Virtual races of a context that waits at the end and cannot step.
    pub fn of_waiting(&mut self, ev: &Events, q: CtxId, fp: &[Access], guard: &Guard) {
        self.set_mine(ev, q, ev.of(q).len() as u16);
        self.seen.clear();
        self.push(ev.all());
        self.search(ev, q, fp, guard);
    }

    /// What happens before the step of `q` with this index because of `q` itself.
    fn set_mine(&mut self, ev: &Events, q: CtxId, index: u16) {
        self.mine.clear();
        match index.checked_sub(1) {
            Some(p) => self.mine.extend_from_slice(ev.clock(ev.of(q)[usize::from(p)] as usize)),
            None => self.mine.resize(ev.contexts(), 0),
        }
    }

    fn push(&mut self, cut: Cut) {
        if !self.seen.contains(&cut) {
            self.seen.push(cut.clone());
            self.work.push(cut);
        }
    }

    /// Smaller and smaller sets of events, until the step of `q` is enabled after one.
    fn search(&mut self, ev: &Events, q: CtxId, fp: &[Access], guard: &Guard) {
        while let Some(cut) = self.work.pop() {
            let mut blamed = std::mem::take(&mut self.blamed);
            guard.blame(q, ev.own(q), &|o| ev.value(o, &cut), &mut blamed);
            if blamed.is_empty() || planted(Mutant::GuardNotAsked) {
                self.reverse(ev, &cut, q, fp);
            }
            if planted(Mutant::ImmediateRacesOnly) || planted(Mutant::GuardNotAsked) {
                blamed.clear();
            }
            for o in &blamed {
                if let Some((w, _)) = ev.last_writer(*o, &cut)
                    && !ev.contains(&self.mine, w)
                {
                    let mut smaller = cut.clone();
                    ev.remove_up(&mut smaller, w);
                    self.push(smaller);
                }
            }
            self.blamed = blamed;
        }
    }

    /// The events of `cut`, then the step of `q`, is an execution that differs: where, and who may begin it.
    fn reverse(&mut self, ev: &Events, cut: &Cut, q: CtxId, fp: &[Access]) {
        let excluded = (0..ev.contexts())
            .filter_map(|c| ev.of(CtxId(c as u16)).get(usize::from(cut[c])).copied());
        let Some(at) = excluded.min().map(|e| e as usize) else { return };
        // How many steps of each context come before `at`.
        self.prefix.clear();
        self.prefix.resize(ev.contexts(), 0);
        for c in 0..ev.contexts() {
            let own = ev.of(CtxId(c as u16));
            self.prefix[c] = own.partition_point(|e| (*e as usize) < at) as u16;
        }
        let mut initials: CtxSet = 0;
        for c in (0..ev.contexts()).map(|c| CtxId(c as u16)) {
            let first = self.prefix[c.index()];
            if first >= cut[c.index()] {
                continue; // no step of it in the continuation
            }
            let e = ev.of(c)[usize::from(first)] as usize;
            let clock = ev.clock(e);
            let free = (0..ev.contexts()).all(|x| x == c.index() || clock[x] <= self.prefix[x]);
            if free {
                initials |= bit(c);
            }
        }
        if self.prefix[q.index()] >= cut[q.index()] {
            self.clock.clear();
            self.clock.extend_from_slice(&self.mine);
            ev.join_conflicts(fp, cut, &mut self.clock);
            if self.clock.iter().zip(&self.prefix).all(|(c, p)| c <= p) {
                initials |= bit(q);
            }
        }
        if planted(Mutant::WeakInitials) {
            initials |= self.weak(ev, cut);
        }
        self.found.push(Reversal { at, initials, wanted: q });
    }

    /// Contexts that take no part in the continuation and whose next step conflicts with none of it. (For
    /// [`Mutant::WeakInitials`]: to rely on these is an error.)
    fn weak(&self, ev: &Events, cut: &Cut) -> CtxSet {
        let all = || (0..ev.contexts()).map(|c| CtxId(c as u16));
        let part = |c: CtxId| {
            let of = ev.of(c);
            &of[usize::from(self.prefix[c.index()])
                ..usize::from(cut[c.index()].max(self.prefix[c.index()]))]
        };
        let mut weak = 0;
        for c in all().filter(|c| part(*c).is_empty()) {
            let Some(next) = ev.of(c).get(usize::from(self.prefix[c.index()])) else { continue };
            let fp = ev.declared(*next as usize);
            let guard = ev.guard(*next as usize);
            let enabled = guard.holds(c, ev.own(c), &|o| ev.value(o, &self.prefix));
            let free = |e: &u32| !crate::step::conflict(fp, ev.declared(*e as usize));
            if enabled && all().all(|x| part(x).iter().all(free)) {
                weak |= bit(c);
            }
        }
        weak
    }
}
