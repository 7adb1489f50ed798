//! Data races, as KCSAN and the kernel's memory model call them: two accesses of one object by different contexts, of which
//! one writes and one is plain, with nothing that orders them.
//!
//! What orders is what conflicts: locks, marked accesses of one object, the beginning and end of interrupts, grace periods.
//! Each context has a vector clock, each object the clocks of its marked accesses (Flanagan, Freund 2009, without the
//! compression). That a context runs on its CPU orders nothing after it, or an interrupt could not come in the middle of a
//! plain access. Who spins until an object has some value reads it all the time. The order is that of the trace, so all schedules of a trace have the same races. Nothing is watched unless
//! the model says that it has plain accesses ([`Setup::watch_plain`]).

use crate::detect::{Class, RawFinding};
use crate::exec::Exec;
use crate::ids::{CtxId, Obj};
use crate::machine::{Model, Setup};
use crate::mem::{Mem, Place};
use crate::step::{Access, Status};
use std::collections::BTreeMap;

type Clock = Vec<u32>;

#[derive(Copy, Clone, Debug)]
struct Past {
    ctx: CtxId,
    /// The context's own clock at that step.
    when: u32,
    plain: bool,
    place: Place,
}

#[derive(Clone, Debug, Default)]
struct Accesses {
    write: Option<Past>,
    /// The last plain write of each context, for those who spin.
    plain_writes: Vec<Past>,
    /// Since the last write, the last of each context.
    reads: Vec<Past>,
    /// Marked writes, and marked reads since: what they knew.
    written: Clock,
    read: Clock,
}

/// The clocks of an execution.
#[derive(Clone, Debug, Default)]
pub(crate) struct DataRaces {
    clocks: Vec<Clock>,
    objects: BTreeMap<Obj, Accesses>,
}

impl Setup {
    /// The model has plain accesses ([`crate::ctx::Decl::plain`]): races of them are looked for.
    pub fn watch_plain(&mut self) {
        self.races().get_or_insert_default();
    }
}

fn join(into: &mut Clock, from: &Clock) {
    if into.len() < from.len() {
        into.resize(from.len(), 0);
    }
    for (x, y) in into.iter_mut().zip(from) {
        *x = (*x).max(*y);
    }
}

impl DataRaces {
    pub fn reset(&mut self) {
        self.clocks.clear();
        self.objects.clear();
    }

    /// A context has taken a step. `own` is the word of its CPU.
    fn step(
        &mut self,
        ctx: CtxId,
        own: Option<Obj>,
        fp: &[Access],
        spun: &[Obj],
        place: Place,
        found: &mut impl FnMut(Obj, Place),
    ) {
        if self.clocks.len() <= ctx.index() {
            self.clocks.resize(ctx.index() + 1, Clock::new());
        }
        let mut clock = std::mem::take(&mut self.clocks[ctx.index()]);
        if clock.len() <= ctx.index() {
            clock.resize(ctx.index() + 1, 0);
        }
        for obj in spun {
            let writes = self.objects.get(obj).map_or(&[][..], |o| &o.plain_writes);
            let known = |p: &Past| clock.get(p.ctx.index()).copied().unwrap_or(0);
            let unknown = writes.iter().filter(|p| p.ctx != ctx && known(p) < p.when);
            unknown.for_each(|p| found(*obj, p.place));
        }
        clock[ctx.index()] += 1;
        for a in fp.iter().filter(|a| !a.is_plain()) {
            let Some(o) = self.objects.get(&a.obj()) else { continue };
            join(&mut clock, &o.written);
            if a.is_write() {
                join(&mut clock, &o.read);
            }
        }
        let when = clock[ctx.index()];
        for a in fp {
            let o = self.objects.entry(a.obj()).or_default();
            let races = |p: &&Past| {
                let known = clock.get(p.ctx.index()).copied().unwrap_or(0);
                p.ctx != ctx && (p.plain || a.is_plain()) && known < p.when
            };
            if let Some(p) = o.write.as_ref().filter(races) {
                found(a.obj(), p.place);
            }
            if a.is_write() {
                o.reads.iter().filter(races).for_each(|p| found(a.obj(), p.place));
            }
            let me = Past { ctx, when, plain: a.is_plain(), place };
            if a.is_write() {
                o.write = Some(me);
                o.reads.clear();
            } else {
                o.reads.retain(|p| p.ctx != ctx);
                o.reads.push(me);
            }
            if a.is_plain() {
                if a.is_write() {
                    o.plain_writes.retain(|p| p.ctx != ctx);
                    o.plain_writes.push(me);
                }
                continue;
            }
            if a.is_write() {
                o.written.clone_from(&clock);
                o.read.clear();
            } else if Some(a.obj()) != own {
                join(&mut o.read, &clock);
            }
        }
        self.clocks[ctx.index()] = clock;
    }
}

impl Mem {
    /// The step that has just happened, with what it declared, and what its context may have spun on before it; `place` is
    /// where.
    pub(crate) fn look_for_races(
        &mut self,
        own: Option<Obj>,
        fp: &mut [Access],
        spun: &[Obj],
        place: Place,
    ) {
        let Some(mut races) = self.races.take() else { return };
        if self.is_unchanged() {
            fp.iter_mut().for_each(|a| *a = a.as_read());
        }
        let mut found = Vec::new();
        races.step(place.ctx, own, fp, spun, place, &mut |obj, other| found.push((obj, other)));
        self.races = Some(races);
        for (obj, other) in found {
            let alloc = self.meta[obj.index()].alloc;
            let (at, other) = (place, Some(other));
            let raw = RawFinding { class: Class::DataRace, at, other, obj: Some(obj), alloc };
            let again = |f: &RawFinding| f.key() == raw.key() && f.obj == raw.obj;
            if !self.findings.iter().any(again) {
                self.findings.push(raw);
            }
        }
    }
}

/// Whether two contexts are about to make accesses that race, here and now: what a search that forgets how it came to a
/// state can ask the state. An interrupted context is in the middle of its access, and one that waits is reading.
pub(crate) fn about_to_race<M: Model>(exec: &Exec<'_, M>) -> bool {
    let machine = exec.machine();
    let mem = machine.mem.borrow();
    let value = |o: Obj| mem.values[o.index()];
    let slots: Vec<_> = machine.slots.iter().map(std::cell::RefCell::borrow).collect();
    let pending: Vec<_> = slots.iter().filter(|s| s.status == Status::Waiting).collect();
    let can: Vec<bool> = pending.iter().map(|s| s.guard.holds(CtxId(0), None, &value)).collect();
    let makes = |i: usize, a: &Access| {
        can[i] || pending[i].guard.cmps.iter().any(|c| c.objs().any(|o| o == a.obj()))
    };
    (0..pending.len()).any(|i| {
        pending[i].fp.iter().filter(|x| makes(i, x)).any(|x| {
            let races = |y: &Access| x.conflicts(*y) && (x.is_plain() || y.is_plain());
            (0..i).any(|j| pending[j].fp.iter().any(|y| races(y) && makes(j, y)))
        })
    })
}
