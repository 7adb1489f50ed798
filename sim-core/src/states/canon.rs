//! The name of a state: a digest that is the same for states that differ only in who is who among interchangeable
//! contexts.
//!
//! The members of an orbit are put in the order of what is theirs: what they have learned, the values of their objects,
//! whether they sleep, which locks name them. Then everything is named by rank instead of by member, also inside of
//! values that name contexts. Any order would do, as every one is a renaming of the state; this one makes most equal
//! states look equal (Ip, Dill 1996).

use crate::cpu;
use crate::dpor::mutant::{Mutant, planted};
use crate::dpor::{CtxSet, bit};
use crate::exec::Exec;
use crate::ids::{CtxId, Obj};
use crate::machine::{Machine, Model, Orbit};
use crate::mem::Holder;
use crate::mix::{mix, roll};

/// Whose something is: of which orbit and member, and the manyeth of that member.
#[derive(Copy, Clone, Debug)]
struct Seat {
    orbit: u16,
    member: u16,
    index: u16,
}

#[derive(Debug)]
pub(crate) struct Canon {
    orbits: Vec<Orbit>,
    of_ctx: Vec<Option<Seat>>,
    of_obj: Vec<Option<Seat>>,
    /// By orbit and member: what is theirs, and their rank.
    digests: Vec<Vec<u64>>,
    ranks: Vec<Vec<u16>>,
    order: Vec<u16>,
}

/// 128 bits, the same for every order of the parts.
#[derive(Default)]
struct Sum(u64, u64);

impl Sum {
    fn add(&mut self, name: u64, word: u64) {
        self.0 = self.0.wrapping_add(roll(mix(name), word));
        self.1 = self.1.wrapping_add(roll(mix(word ^ 0x5851_f42d_4c95_7f2d), name));
    }
}

const CONTEXT: u64 = 1 << 40;
const FREED_BY: u64 = 1 << 41;

impl Canon {
    /// Names without regard to orbits.
    pub fn plain() -> Canon {
        Canon {
            orbits: Vec::new(),
            of_ctx: Vec::new(),
            of_obj: Vec::new(),
            digests: Vec::new(),
            ranks: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Names by the orbits of a machine.
    pub fn of(machine: &Machine) -> Canon {
        let orbits = machine.orbits().to_vec();
        let mut of_ctx = vec![None; machine.contexts().len()];
        let mut of_obj = Vec::new();
        for (o, orbit) in orbits.iter().enumerate() {
            for (m, member) in orbit.members.iter().enumerate() {
                let seat =
                    |i: usize| Some(Seat { orbit: o as u16, member: m as u16, index: i as u16 });
                for (i, c) in member.contexts.iter().enumerate() {
                    of_ctx[c.index()] = seat(i);
                }
                for (i, obj) in member.objects.iter().enumerate() {
                    if of_obj.len() <= obj.index() {
                        of_obj.resize(obj.index() + 1, None);
                    }
                    of_obj[obj.index()] = seat(i);
                }
            }
        }
        let zeros = |n: usize| vec![0; n];
        Canon {
            digests: orbits.iter().map(|o| vec![0; o.members.len()]).collect(),
            ranks: orbits.iter().map(|o| zeros(o.members.len())).collect(),
            orbits,
            of_ctx,
            of_obj,
            order: Vec::new(),
        }
    }

    /// The key of the present state, and the sleep set in the names of the key. (What contexts learn must be noted.)
    pub fn key<M: Model>(&mut self, exec: &Exec<'_, M>, sleep: CtxSet) -> (u128, CtxSet) {
        if !self.orbits.is_empty() {
            self.rank(exec, sleep);
        }
        let mut sum = Sum::default();
        let mem = exec.machine().mem.borrow();
        exec.each_change(&mem, &mut |o, v, holder| {
            sum.add(u64::from(self.name_of(o).0), self.renamed(v, holder));
            if let Some(place) = mem.freed_at(o) {
                // Who freed it is what a later finding says.
                sum.add(FREED_BY | u64::from(self.name_of(o).0), self.place(place));
            }
        });
        exec.each_learned(&mem, &mut |c, word| {
            if !planted(Mutant::LearnedForgotten) {
                sum.add(CONTEXT | u64::from(self.rename(c).0), word);
            }
        });
        let key = u128::from(sum.0) << 64 | u128::from(sum.1);
        (key.max(1), self.renamed_set(sleep))
    }

    /// The members that a set in the names of the last key means.
    pub fn actual(&self, set: CtxSet) -> CtxSet {
        if self.orbits.is_empty() {
            return set;
        }
        let mut out = 0;
        for c in (0..self.of_ctx.len() as u16).map(CtxId) {
            if set & bit(self.rename(c)) != 0 {
                out |= bit(c);
            }
        }
        out
    }

    fn renamed_set(&self, set: CtxSet) -> CtxSet {
        if self.orbits.is_empty() {
            return set;
        }
        let mut out = 0;
        let mut left = set;
        while left != 0 {
            let c = CtxId(left.trailing_zeros() as u16);
            left &= left - 1;
            out |= bit(self.rename(c));
        }
        out
    }

    fn rank<M: Model>(&mut self, exec: &Exec<'_, M>, sleep: CtxSet) {
        self.digests.iter_mut().for_each(|d| d.fill(0));
        let mut digests = std::mem::take(&mut self.digests);
        let mut add = |s: Seat, name: u64, word: u64| {
            let d = &mut digests[usize::from(s.orbit)][usize::from(s.member)];
            *d = d.wrapping_add(roll(mix(name), word));
        };
        let mem = exec.machine().mem.borrow();
        exec.each_change(&mem, &mut |o, v, holder| match self.seat(o) {
            Some(s) => add(s, u64::from(s.index), self.seen_from(s, v, holder)),
            None => {
                each_name(v, holder, &mut |c| {
                    if let Some(s) = self.of_ctx.get(c.index()).copied().flatten() {
                        add(s, CONTEXT << 2 | u64::from(o.0), u64::from(s.index));
                    }
                });
            }
        });
        exec.each_learned(&mem, &mut |c, word| {
            if let Some(s) = self.of_ctx[c.index()] {
                add(s, CONTEXT | u64::from(s.index), word);
            }
        });
        self.digests = digests;
        for (o, (digests, ranks)) in self.digests.iter().zip(&mut self.ranks).enumerate() {
            self.order.clear();
            self.order.extend(0..digests.len() as u16);
            let members = &self.orbits[o].members;
            // Who sleeps decides among equals only: it is no part of the state.
            self.order.sort_by_key(|m| {
                let contexts = members[usize::from(*m)].contexts.iter();
                let asleep = contexts.fold(0u128, |s, c| s << 1 | sleep >> c.0 & 1);
                (digests[usize::from(*m)], asleep, *m)
            });
            for (rank, m) in self.order.iter().enumerate() {
                ranks[usize::from(*m)] = rank as u16;
            }
        }
    }

    fn seat(&self, o: Obj) -> Option<Seat> {
        self.of_obj.get(o.index()).copied().flatten()
    }

    fn rank_of(&self, s: Seat) -> usize {
        usize::from(self.ranks[usize::from(s.orbit)][usize::from(s.member)])
    }

    fn name_of(&self, o: Obj) -> Obj {
        let Some(s) = self.seat(o) else { return o };
        self.orbits[usize::from(s.orbit)].members[self.rank_of(s)].objects[usize::from(s.index)]
    }

    fn rename(&self, c: CtxId) -> CtxId {
        let Some(s) = self.of_ctx.get(c.index()).copied().flatten() else { return c };
        self.orbits[usize::from(s.orbit)].members[self.rank_of(s)].contexts[usize::from(s.index)]
    }

    fn renamed(&self, v: u64, holder: Holder) -> u64 {
        if self.orbits.is_empty() || planted(Mutant::NamesKept) {
            return v;
        }
        match holder {
            Holder::Value => {
                v.checked_sub(1).map_or(0, |c| u64::from(self.rename(CtxId(c as u16)).0) + 1)
            }
            Holder::Cpu => cpu::renamed(v, |c| self.rename(c)),
            Holder::LastWriter | Holder::Ctx(_) => v,
        }
    }

    /// A value of a member's own object, with the member's own names made alike.
    fn seen_from(&self, me: Seat, v: u64, holder: Holder) -> u64 {
        let alike = |c: CtxId| match self.of_ctx.get(c.index()).copied().flatten() {
            Some(s) if (s.orbit, s.member) == (me.orbit, me.member) => CtxId(s.index),
            Some(_) => CtxId(cpu::MAX_CONTEXTS as u16 - 1),
            None => c,
        };
        match holder {
            Holder::Value => {
                v.checked_sub(1).map_or(0, |c| u64::from(alike(CtxId(c as u16)).0) + 1)
            }
            Holder::Cpu => cpu::renamed(v, alike),
            Holder::LastWriter | Holder::Ctx(_) => v,
        }
    }

    fn place(&self, place: &crate::mem::Place) -> u64 {
        let func = match place.func {
            crate::mem::FrameName::Fn(f) => f.bytes().fold(1, |h, b| roll(h, u64::from(b))),
            crate::mem::FrameName::Body(_) => 0,
        };
        roll(u64::from(self.rename(place.ctx).0), func)
    }
}

/// The contexts that a value names.
fn each_name(v: u64, holder: Holder, f: &mut dyn FnMut(CtxId)) {
    match holder {
        Holder::Value if v > 0 => f(CtxId((v - 1) as u16)),
        Holder::Cpu => cpu::stack(v).for_each(f),
        _ => {}
    }
}
