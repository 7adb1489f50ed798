//! The contract of a step.
//!
//! A step declares its footprint (which objects it reads and writes) and its guard (when it may happen) before it
//! happens. Both are functions of the context's local state only; the guard is data, a pure function of the values of
//! objects in the footprint. When the step happens, its closure sees shared memory and nothing else, and its return
//! value is all that the context learns. On this rest the reduction, replay and state matching.

use crate::cpu::CpuRule;
use crate::ids::{CtxId, Nanos, Obj};
use crate::machine::Machine;
use crate::mem::Mem;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What a step costs on its CPU in timed runs: a class that the cost model gives a distribution.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CostClass {
    /// Free: bookkeeping that no instruction stands for.
    Free,
    /// A load or store.
    Memory,
    /// A locked read-modify-write or a full barrier.
    Atomic,
    /// Taking or releasing a lock.
    Lock,
    /// Masking or unmasking.
    Mask,
    /// Programming of a timer: queue operation and clock event.
    Hrtimer,
    /// Entry of a hard interrupt.
    IrqEntry,
    /// Exit of a hard interrupt.
    IrqExit,
    /// From raising a softirq to its handler.
    SoftirqEntry,
    /// Exit of a softirq.
    SoftirqExit,
    /// Entry of a system call.
    Syscall,
    /// Call of a BPF program or callback.
    Call,
    /// An allocation or free.
    Alloc,
    /// A look-up or change of a map's table.
    Map,
    /// Wake-up of a kworker or task.
    Wakeup,
    /// A grace period of RCU.
    GracePeriod,
    /// On top of an interrupt's entry when its CPU was idle.
    IdleExit,
    /// From a write until another CPU that spins on it sees it: the transfer of a cache line.
    Handover,
}

/// How many classes there are; the cost model has one entry for each.
pub const COST_CLASSES: usize = CostClass::Handover as usize + 1;

impl CostClass {
    /// All classes.
    pub const ALL: [CostClass; COST_CLASSES] = [
        CostClass::Free,
        CostClass::Memory,
        CostClass::Atomic,
        CostClass::Lock,
        CostClass::Mask,
        CostClass::Hrtimer,
        CostClass::IrqEntry,
        CostClass::IrqExit,
        CostClass::SoftirqEntry,
        CostClass::SoftirqExit,
        CostClass::Syscall,
        CostClass::Call,
        CostClass::Alloc,
        CostClass::Map,
        CostClass::Wakeup,
        CostClass::GracePeriod,
        CostClass::IdleExit,
        CostClass::Handover,
    ];

    /// The name in files of costs.
    pub fn name(self) -> &'static str {
        match self {
            CostClass::Free => "free",
            CostClass::Memory => "memory",
            CostClass::Atomic => "atomic",
            CostClass::Lock => "lock",
            CostClass::Mask => "mask",
            CostClass::Hrtimer => "hrtimer",
            CostClass::IrqEntry => "irq_entry",
            CostClass::IrqExit => "irq_exit",
            CostClass::SoftirqEntry => "softirq_entry",
            CostClass::SoftirqExit => "softirq_exit",
            CostClass::Syscall => "syscall",
            CostClass::Call => "call",
            CostClass::Alloc => "alloc",
            CostClass::Map => "map",
            CostClass::Wakeup => "wakeup",
            CostClass::GracePeriod => "grace_period",
            CostClass::IdleExit => "idle_exit",
            CostClass::Handover => "handover",
        }
    }

    /// What it is the cost of, in a phrase.
    pub fn meaning(self) -> &'static str {
        match self {
            CostClass::Free => "bookkeeping that no instruction stands for",
            CostClass::Memory => "a load or store",
            CostClass::Atomic => "a locked read-modify-write, or a full barrier",
            CostClass::Lock => "taking or releasing a lock that is free",
            CostClass::Mask => "masking or unmasking interrupts, softirqs or preemption",
            CostClass::Hrtimer => "hrtimer_start or hrtimer_cancel: the queue and the clock event",
            CostClass::IrqEntry => "a hard interrupt, from when it is due to its handler",
            CostClass::IrqExit => "from the end of a handler to what comes after the interrupt",
            CostClass::SoftirqEntry => "from the begin of a softirq to its first work",
            CostClass::SoftirqExit => "the exit of a softirq",
            CostClass::Syscall => "the entry of a system call",
            CostClass::Call => "the call of a BPF program or callback, its own steps not counted",
            CostClass::Alloc => "an allocation or free",
            CostClass::Map => "a look-up or change of a map's table",
            CostClass::Wakeup => "from the wake-up of a kworker or task to its run",
            CostClass::GracePeriod => "a grace period of RCU",
            CostClass::IdleExit => "what an interrupt takes longer when its CPU was idle",
            CostClass::Handover => "from a write until another CPU that spins on it sees it",
        }
    }
}

/// The source line of a step, as people will read it: the kernel's own expression.
#[derive(Debug, PartialEq, Eq)]
pub struct Site {
    /// Such as `t = timer->timer`. `{}` stands for the label's argument, rendered by the model.
    pub text: &'static str,
    /// What it costs in timed runs.
    pub cost: CostClass,
    /// Left out of pictures unless everything is asked for (masking that belongs to a lock, for example).
    pub quiet: bool,
}

/// A site with the argument of this very step.
#[derive(Copy, Clone, Debug)]
pub struct Label {
    /// The source line.
    pub site: &'static Site,
    /// Meaning known to the model only (see [`crate::Model::render`]).
    pub arg: u64,
}

impl From<&'static Site> for Label {
    fn from(site: &'static Site) -> Label {
        Label { site, arg: 0 }
    }
}

impl Site {
    /// This site with an argument.
    pub const fn with(&'static self, arg: u64) -> Label {
        Label { site: self, arg }
    }
}

/// Declares a [`Site`]: `site!("t = timer->timer", Memory)`; add `quiet` to leave it out of pictures.
#[macro_export]
macro_rules! site {
    ($text:expr, $cost:ident) => {{
        static SITE: $crate::step::Site =
            $crate::step::Site { text: $text, cost: $crate::step::CostClass::$cost, quiet: false };
        &SITE
    }};
    ($text:expr, $cost:ident, quiet) => {{
        static SITE: $crate::step::Site =
            $crate::step::Site { text: $text, cost: $crate::step::CostClass::$cost, quiet: true };
        &SITE
    }};
}

/// A step: `step!(declared, act)` is `declared.run(act).await`, and what it returns stays in registers where it happens at
/// once.
#[macro_export]
macro_rules! step {
    ($declared:expr, $act:expr) => {
        match $declared.now($act) {
            Ok(r) => r,
            Err(waits) => waits.await,
        }
    };
}

/// One access of a footprint, packed: object, and whether it writes and is a plain (unmarked) access.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Access(u32);

impl Access {
    /// Reads `obj`.
    pub fn read(obj: Obj) -> Access {
        Access(obj.0 << 2)
    }

    /// Writes `obj` (or reads and writes it).
    pub fn write(obj: Obj) -> Access {
        Access(obj.0 << 2 | 1)
    }

    /// The same, as a plain C access: racing with another one is a data race.
    #[must_use]
    pub fn plain(self) -> Access {
        Access(self.0 | 2)
    }

    /// The same as a read.
    #[must_use]
    pub fn as_read(self) -> Access {
        Access(self.0 & !1)
    }

    /// The object.
    pub fn obj(self) -> Obj {
        Obj(self.0 >> 2)
    }

    /// Whether it writes.
    pub fn is_write(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether it is a plain access.
    pub fn is_plain(self) -> bool {
        self.0 & 2 != 0
    }

    /// Whether two accesses conflict: same object, and one of them writes.
    pub fn conflicts(self, other: Access) -> bool {
        self.0 >> 2 == other.0 >> 2 && (self.0 | other.0) & 1 != 0
    }
}

/// Whether two footprints conflict.
pub fn conflict(a: &[Access], b: &[Access]) -> bool {
    a.iter().any(|x| b.iter().any(|y| x.conflicts(*y)))
}

/// A side of a comparison.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Term {
    /// A constant.
    Const(u64),
    /// The value of an object.
    Obj(Obj),
    /// The value of an object as a context sees it that has a store to it in a slot of its store buffer.
    Forwarded {
        /// The object.
        obj: Obj,
        /// The slot: not 0 while the store is in it.
        slot: Obj,
        /// What the store writes.
        value: u64,
    },
}

/// A relation between two words. Orders are those of signed 64-bit integers.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Rel {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl Rel {
    #[inline(always)]
    pub(crate) fn holds(self, l: u64, r: u64) -> bool {
        match self {
            Rel::Eq => l == r,
            Rel::Ne => l != r,
            Rel::Lt => (l as i64) < r as i64,
            Rel::Le => l as i64 <= r as i64,
            Rel::Gt => l as i64 > r as i64,
            Rel::Ge => l as i64 >= r as i64,
        }
    }
}

/// A comparison in a guard.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Cmp {
    /// Left side.
    pub lhs: Term,
    /// Relation.
    pub rel: Rel,
    /// Right side.
    pub rhs: Term,
}

impl Cmp {
    /// `obj rel value`.
    pub fn new(obj: Obj, rel: Rel, value: u64) -> Cmp {
        Cmp { lhs: Term::Obj(obj), rel, rhs: Term::Const(value) }
    }

    /// Whether it holds, given the values of objects.
    #[inline(always)]
    pub fn holds(&self, value: &impl Fn(Obj) -> u64) -> bool {
        // By far the most.
        if let (Term::Obj(o), Term::Const(r)) = (self.lhs, self.rhs) {
            return self.rel.holds(value(o), r);
        }
        self.terms_hold(value)
    }

    #[inline(never)]
    fn terms_hold(&self, value: &impl Fn(Obj) -> u64) -> bool {
        let of = |t| match t {
            Term::Const(v) => v,
            Term::Obj(o) => value(o),
            Term::Forwarded { obj, slot, value: v } => {
                if value(slot) != 0 {
                    v
                } else {
                    value(obj)
                }
            }
        };
        self.rel.holds(of(self.lhs), of(self.rhs))
    }

    /// Appends the objects that it reads.
    #[inline]
    pub(crate) fn add_objs(self, out: &mut Vec<Obj>) {
        if let (Term::Obj(o), Term::Const(_)) = (self.lhs, self.rhs) {
            out.push(o);
        } else {
            out.extend(self.objs());
        }
    }

    /// The objects that it reads.
    pub fn objs(self) -> impl Iterator<Item = Obj> {
        let of = |t| match t {
            Term::Const(_) => [None, None],
            Term::Obj(o) => [Some(o), None],
            Term::Forwarded { obj, slot, .. } => [Some(obj), Some(slot)],
        };
        [self.lhs, self.rhs].into_iter().flat_map(of).flatten()
    }
}

/// When a step may happen: the CPU's rule, and all (or any) of some comparisons.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Guard {
    /// The rule of the context's CPU.
    pub cpu: CpuRule,
    /// One comparison suffices; otherwise all must hold.
    pub any: bool,
    /// The comparisons; none means always.
    pub cmps: Vec<Cmp>,
    /// Objects that must all be 0 besides: slots of store buffers.
    pub empty: Vec<Obj>,
}

impl Guard {
    /// Whether the step of context `me`, whose CPU's word is the object `own`, may happen with these values.
    #[inline]
    pub fn holds(&self, me: CtxId, own: Option<Obj>, value: &impl Fn(Obj) -> u64) -> bool {
        if let Some(own) = own
            && !self.cpu.allows(value(own), me)
        {
            return false;
        }
        if !self.empty.iter().all(|o| value(*o) == 0) {
            return false;
        }
        if self.any && !self.cmps.is_empty() {
            return self.cmps.iter().any(|c| c.holds(value));
        }
        self.cmps.iter().all(|c| c.holds(value))
    }

    /// Objects such that the guard stays false while their values stay; empty if it holds. Of a conjunction one that
    /// fails suffices, of a disjunction all are needed.
    pub fn blame(
        &self,
        me: CtxId,
        own: Option<Obj>,
        value: &impl Fn(Obj) -> u64,
        out: &mut Vec<Obj>,
    ) {
        out.clear();
        if let Some(own) = own
            && !self.cpu.allows(value(own), me)
        {
            out.push(own);
            return;
        }
        if let Some(o) = self.empty.iter().find(|o| value(**o) != 0) {
            out.push(*o);
            return;
        }
        if self.any {
            if !self.cmps.iter().any(|c| c.holds(value)) {
                self.cmps.iter().for_each(|c| c.add_objs(out));
            }
        } else if let Some(c) = self.cmps.iter().find(|c| !c.holds(value)) {
            c.add_objs(out);
        }
    }
}

/// When a timed run lets the step happen at the earliest. Exploration ignores it, unless it respects durations
/// ([`crate::timing`]).
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Gate {
    /// At once.
    #[default]
    Open,
    /// From this instant on.
    At(Nanos),
    /// The same, of which [`crate::timing`] does not know how much later it may be.
    NotBefore(Nanos),
    /// When the first timer of one of these queues (indices of the machine's timer queues: from, to) is due.
    Queues(u32, u32),
}

/// What the step costs in a timed run.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Cost {
    /// A draw from the distribution of the site's class.
    Class(CostClass),
    /// Nanoseconds drawn evenly from a range, both ends included.
    Range(u64, u64),
}

/// How a context waits while its guard is false.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Waiting {
    /// It spins: in a timed run its CPU is busy.
    #[default]
    Spin,
    /// It has given its CPU away.
    Sleep,
}

/// What a context says of its next step beside footprint and guard.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Declared {
    pub label: Label,
    pub gate: Gate,
    pub cost: Cost,
    pub waiting: Waiting,
    /// The context is a daemon that waits for work.
    pub idle: bool,
    /// Nobody else can touch what the step touches until the context has gone on.
    pub exclusive: bool,
    /// The step writes the word of its CPU; and not only to keep more away.
    pub masks: bool,
    pub opens: bool,
    /// Number of alternatives among which the schedule chooses (1: none).
    pub alts: u8,
    /// The step waits for the own store buffer; or it writes memory without any order to it.
    pub drains: bool,
    pub unordered: bool,
}

impl Declared {
    /// A step that may happen at once, takes what its site says, and is nothing special.
    #[inline(always)]
    pub fn new(label: Label) -> Declared {
        Declared {
            label,
            gate: Gate::Open,
            cost: Cost::Class(label.site.cost),
            waiting: Waiting::Spin,
            idle: false,
            exclusive: false,
            masks: false,
            opens: false,
            alts: 1,
            drains: false,
            unordered: false,
        }
    }
}

/// The declared next step of a context, and the context's own counters.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub status: Status,
    pub step: Declared,
    pub fp: Vec<Access>,
    pub guard: Guard,
    /// Depths of preempt-off, irq-off and BH-off sections of this context.
    pub preempt: u16,
    pub irq: u16,
    pub bh: u16,
    /// Nesting of rcu_read_lock().
    pub rcu: u16,
    /// How many objects this context has allocated, work items queued: names are local.
    pub allocs: u32,
    pub items: u32,
    /// The daemon has no local state where it is idle: it need not be started anew.
    pub at_home: bool,
    /// Steps that the context has taken in this execution.
    pub taken: u32,
    /// Digest of everything that its steps have returned.
    pub learned: u64,
    /// The word of the context's CPU.
    pub own: Option<Obj>,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    /// Not started in this execution.
    Unborn,
    /// Its next step is declared.
    Waiting,
    /// Its next step is declared, and it is a daemon that waits for work with no local state.
    Idle,
    /// Its body has ended.
    Done,
}

static NO_SITE: Site = Site { text: "", cost: CostClass::Free, quiet: true };

impl Slot {
    pub fn new(own: Option<Obj>) -> Slot {
        Slot {
            status: Status::Unborn,
            step: Declared::new(Label { site: &NO_SITE, arg: 0 }),
            fp: Vec::with_capacity(8),
            guard: Guard::default(),
            preempt: 0,
            irq: 0,
            bh: 0,
            rcu: 0,
            allocs: 0,
            items: 0,
            at_home: false,
            taken: 0,
            learned: 0,
            own,
        }
    }

    /// A step is about to be declared: of the one before nothing is left.
    #[inline]
    pub fn begin_declaration(&mut self) {
        self.fp.clear();
        self.guard.cmps.clear();
        self.guard.empty.clear();
    }

    /// The context waits for its turn, or for work.
    #[inline]
    pub fn declare(&mut self, step: Declared) {
        self.status = if step.idle { Status::Idle } else { Status::Waiting };
        self.step = step;
    }

    /// A step with this label begins.
    #[inline(always)]
    pub fn begin(&mut self, ctx: CtxId, label: Label, alt: u8, mem: &mut Mem) {
        self.taken += 1;
        mem.cur = ctx;
        mem.label = label;
        mem.alt = alt;
        mem.step_no += 1;
        mem.taken = self.taken;
        #[cfg(debug_assertions)]
        mem.declared.clone_from(&self.fp);
    }

    /// Forgets the execution, keeps the declared step (for daemons at their idle point) and the buffers.
    pub fn reset(&mut self) {
        self.preempt = 0;
        self.irq = 0;
        self.bh = 0;
        self.rcu = 0;
        self.allocs = 0;
        self.items = 0;
        self.taken = 0;
        self.learned = 0;
    }
}

/// What a step's return value adds to the context's digest. All that a context learns goes through here.
pub trait Learn {
    /// A word that determines the value.
    fn learn(&self) -> u64;
}

impl Learn for () {
    fn learn(&self) -> u64 {
        0
    }
}

impl<A: Learn, B: Learn> Learn for (A, B) {
    fn learn(&self) -> u64 {
        crate::mix::roll(self.0.learn(), self.1.learn())
    }
}

impl<A: Learn, B: Learn, C: Learn> Learn for (A, B, C) {
    fn learn(&self) -> u64 {
        crate::mix::roll(crate::mix::roll(self.0.learn(), self.1.learn()), self.2.learn())
    }
}

impl<T: Learn, E: Learn> Learn for Result<T, E> {
    fn learn(&self) -> u64 {
        match self {
            Ok(v) => crate::mix::roll(1, v.learn()),
            Err(e) => crate::mix::roll(2, e.learn()),
        }
    }
}

/// The future of one step: declared by the time it exists. It has happened if it might follow the step before it right
/// away; otherwise it happens when the scheduler polls it again.
#[must_use = "a step happens when it is awaited"]
pub struct StepFut<'m, F, R> {
    pub(crate) machine: &'m Machine,
    pub(crate) ctx: CtxId,
    pub(crate) stage: Stage<F, R>,
}

pub(crate) enum Stage<F, R> {
    Declared(F),
    /// The scheduler knows of it: the next poll is its turn.
    Waits(F),
    Over(R),
    Taken,
}

impl<F, R> Unpin for StepFut<'_, F, R> {}

impl<R: Learn, F: FnOnce(&mut Mem) -> R + Unpin + 'static> Future for StepFut<'_, F, R> {
    type Output = R;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<R> {
        let this = self.get_mut();
        match std::mem::replace(&mut this.stage, Stage::Taken) {
            Stage::Over(r) => Poll::Ready(r),
            Stage::Declared(act) => {
                this.stage = Stage::Waits(act);
                Poll::Pending
            }
            Stage::Waits(act) => Poll::Ready(this.machine.perform(this.ctx, act)),
            Stage::Taken => panic!("a step happens once"),
        }
    }
}

impl Machine {
    /// The scheduler has begun the step of the context: it happens.
    fn perform<R: Learn>(&self, ctx: CtxId, act: impl FnOnce(&mut Mem) -> R) -> R {
        let mem = &mut *self.mem.borrow_mut();
        let r = act(mem);
        let mut slot = self.slots[ctx.index()].borrow_mut();
        if self.learning.get() {
            slot.learned = crate::mix::roll(slot.learned, r.learn());
        }
        if slot.step.drains {
            mem.all_flushed(ctx);
        }
        r
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_need_a_write() {
        let (r, w) = (Access::read(Obj(5)), Access::write(Obj(5)));
        assert!(!r.conflicts(r) && r.conflicts(w) && w.conflicts(w));
        assert!(!w.conflicts(Access::write(Obj(6))));
        assert!(w.plain().is_plain() && w.plain().is_write() && w.plain().obj() == Obj(5));
    }

    #[test]
    fn blame_of_conjunction_and_disjunction() {
        let value = |o: Obj| u64::from(o.0);
        let cmps = vec![Cmp::new(Obj(1), Rel::Eq, 0), Cmp::new(Obj(2), Rel::Eq, 0)];
        let mut out = Vec::new();
        let all = Guard { cmps: cmps.clone(), ..Guard::default() };
        all.blame(CtxId(0), None, &value, &mut out);
        assert_eq!(out, [Obj(1)]);
        let any = Guard { any: true, ..all };
        any.blame(CtxId(0), None, &value, &mut out);
        assert_eq!(out, [Obj(1), Obj(2)]);
        assert!(any.holds(CtxId(0), None, &|o| if o == Obj(2) { 0 } else { 9 }));
    }

    #[test]
    fn order_is_signed() {
        assert!(Cmp::new(Obj(0), Rel::Lt, 0).holds(&|_| -1i64 as u64));
    }
}
