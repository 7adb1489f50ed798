//! What a model's code calls: steps on shared memory, locks, masks, RCU, waiting, functions.
//!
//! Every `.await` of one of these is one step (or none, where nothing visible happens, as in a nested mask). The code
//! between two of them is local to its context.

use crate::cpu::{self, CpuRule, Mask};
use crate::dpor::mutant::{Mutant, planted};
use crate::ids::{CpuId, CtxId, Obj};
use crate::lockdep::Take;
use crate::machine::{CtxKind, Machine};
use crate::mem::{FrameName, Mem, Ptr, TypeId, Var, Word};
use crate::step::{
    Access, Cmp, Cost, CostClass, Declared, Gate, Label, Learn, Rel, Slot, Stage, StepFut, Term,
    Waiting,
};
use crate::{site, step};
use std::cell::RefMut;

/// A context's handle on its machine. Small and `Copy`: pass it by value.
#[derive(Copy, Clone, Debug)]
pub struct Cx<'m> {
    pub(crate) machine: &'m Machine,
    pub(crate) id: CtxId,
}

/// A step being declared; [`Decl::run`] completes it.
#[must_use = "a declared step happens when run(..) is awaited"]
pub struct Decl<'m> {
    pub(crate) cx: Cx<'m>,
    /// Where footprint and conditions go. A timed run asks for no footprint, since it sees what is written
    /// ([`Mem::wrote`]): then the slot is taken only if the step must wait for its turn, or has more than two conditions.
    /// What follows stays in registers up to then.
    pub(crate) slot: Option<RefMut<'m, Slot>>,
    pub(crate) step: Declared,
    /// `None`: that of an ordinary step.
    rule: Option<CpuRule>,
    any: bool,
    first: Option<Simple>,
    second: Option<Simple>,
}

/// A comparison of an object with a constant.
#[derive(Copy, Clone)]
struct Simple {
    obj: Obj,
    rel: Rel,
    value: u64,
}

impl Simple {
    #[inline(always)]
    fn holds(self, values: &[u64]) -> bool {
        self.rel.holds(values[self.obj.index()], self.value)
    }

    #[inline(always)]
    fn cmp(self) -> Cmp {
        Cmp::new(self.obj, self.rel, self.value)
    }
}

impl<'m> Decl<'m> {
    #[inline(always)]
    fn access(mut self, a: Access) -> Self {
        if let Some(slot) = &mut self.slot {
            self.cx.machine.access_of_search(&mut slot.fp, a);
        }
        self
    }

    /// The step reads `obj`.
    #[inline(always)]
    pub fn reads(self, obj: Obj) -> Self {
        self.access(Access::read(obj))
    }

    /// The step writes (or reads and writes) `obj`.
    #[inline(always)]
    pub fn writes(self, obj: Obj) -> Self {
        self.access(Access::write(obj))
    }

    /// The step writes `obj`, whether its allocation lives or not.
    pub(crate) fn writes_only(mut self, obj: Obj) -> Self {
        self.slot().fp.push(Access::write(obj));
        self
    }

    /// Adds to the footprint what `declare` says; it is not asked where no footprint is.
    #[inline(always)]
    pub fn footprint(self, declare: impl FnOnce(Self) -> Self) -> Self {
        if self.slot.is_some() { declare(self) } else { self }
    }

    /// What the step writes is no store of the modelled kernel, or nobody else can see it yet: it waits for no store
    /// buffer.
    #[inline(always)]
    pub fn unordered(mut self) -> Self {
        self.step.unordered = true;
        self
    }

    /// The step accesses `obj` without any marking, as plain C does.
    #[inline(always)]
    pub fn plain(self, obj: Obj, write: bool) -> Self {
        let a = if write { Access::write(obj) } else { Access::read(obj) };
        self.access(a.plain())
    }

    /// The step may happen only while `obj rel value`. The object is read. Several conditions must all hold, or any
    /// after [`Decl::any`].
    #[inline(always)]
    pub fn when(self, obj: Obj, rel: Rel, value: u64) -> Self {
        self.when_cmp(Cmp::new(obj, rel, value))
    }

    /// A condition between two terms; objects in it are read.
    #[inline(always)]
    pub fn when_cmp(mut self, cmp: Cmp) -> Self {
        match (cmp.lhs, cmp.rhs, &self.slot) {
            (Term::Obj(obj), Term::Const(value), None) if self.second.is_none() => {
                let c = Some(Simple { obj, rel: cmp.rel, value });
                match self.first {
                    None => self.first = c,
                    Some(_) => self.second = c,
                }
            }
            _ => {
                let cx = self.cx;
                cx.guard_of_search(self.slot(), cmp);
            }
        }
        self
    }

    /// One of the conditions suffices.
    #[inline(always)]
    pub fn any(mut self) -> Self {
        self.any = true;
        self
    }

    /// The step enters or leaves a level of its CPU: it writes the CPU's word, under this rule.
    #[inline(always)]
    pub fn on_cpu(mut self, rule: CpuRule) -> Self {
        self.rule = Some(rule);
        (self.step.masks, self.step.opens) = (true, true);
        if let Some(slot) = &mut self.slot
            && let Some(own) = slot.own
        {
            match slot.fp.first_mut() {
                Some(a) if a.obj() == own => *a = Access::write(own),
                _ => slot.fp.insert(0, Access::write(own)),
            }
        }
        self
    }

    /// In timed runs the step happens no earlier than this.
    #[inline(always)]
    pub fn gate(mut self, gate: Gate) -> Self {
        self.step.gate = gate;
        self
    }

    /// In timed runs the step takes this many nanoseconds, drawn evenly from the range.
    #[inline(always)]
    pub fn takes(mut self, min_ns: u64, max_ns: u64) -> Self {
        self.step.cost = Cost::Range(min_ns, max_ns);
        self
    }

    /// While it waits, the context does not keep its CPU.
    #[inline(always)]
    pub fn asleep(mut self) -> Self {
        self.step.waiting = Waiting::Sleep;
        self
    }

    /// The schedule chooses among `n` alternatives ([`Mem::chosen`]).
    #[inline(always)]
    pub fn choices(mut self, n: u8) -> Self {
        self.step.alts = n.max(1);
        self
    }

    /// The context is a daemon that waits for work here and carries no local state past this point.
    #[inline(always)]
    pub fn idle(mut self) -> Self {
        self.step.idle = true;
        let slot = self.slot();
        slot.at_home = true;
        // Back at its named state: what it learned before no longer matters to it.
        slot.learned = 0;
        self
    }

    /// Until this context has gone on, no other can touch what the step touches: it belongs to the CPU, or a lock that
    /// the context holds protects it. The step always happens, without conditions or alternatives. A timed run then
    /// takes it together with the one before; exploration makes no difference.
    #[inline(always)]
    pub fn exclusive(self) -> Self {
        self.exclusive_if(true)
    }

    #[inline(always)]
    fn exclusive_if(mut self, yes: bool) -> Self {
        self.step.exclusive = yes;
        self
    }

    /// What the step changes in the word of its CPU only keeps more away.
    #[inline(always)]
    fn closes(mut self) -> Self {
        self.step.opens = false;
        self
    }

    /// The context is a daemon that waits for work here, and `place` is all of its local state.
    pub(crate) fn resting(mut self, place: u32) -> Self {
        self.step.idle = true;
        let slot = self.slot();
        slot.at_home = place == 0;
        slot.learned = u64::from(place);
        self
    }

    /// The step: `act` sees shared memory, and what it returns is all that the context learns.
    #[inline(always)]
    pub fn run<R: Learn, F: FnOnce(&mut Mem) -> R + Unpin + 'static>(
        self,
        act: F,
    ) -> StepFut<'m, F, R> {
        let (machine, ctx) = (self.cx.machine, self.cx.id);
        match self.now(act) {
            Ok(r) => StepFut { machine, ctx, stage: Stage::Over(r) },
            Err(waits) => waits,
        }
    }

    /// The step, if it may follow the one before it right away.
    #[inline(always)]
    pub fn now<R: Learn, F: FnOnce(&mut Mem) -> R + Unpin + 'static>(
        self,
        act: F,
    ) -> Result<R, StepFut<'m, F, R>> {
        // In parts, so that they stay in registers where the step happens at once.
        let Decl { cx, slot, mut step, rule, any, first, second } = self;
        let (machine, ctx) = (cx.machine, cx.id);
        let mut slot = match slot {
            Some(mut slot) => {
                if machine.tso {
                    step.drains |= cx.order(&mut slot, step.unordered);
                }
                slot
            }
            None => {
                let mem = &mut *machine.mem.borrow_mut();
                let holds = |c: Option<Simple>| c.is_none_or(|c| c.holds(&mem.values));
                let free = match any && second.is_some() {
                    true => holds(first) || holds(second),
                    false => holds(first) && holds(second),
                };
                if free && machine.goes_on(ctx, &step, mem) {
                    return Ok(act(mem));
                }
                cx.slot_of(first, second)
            }
        };
        // The step waits for its turn.
        slot.guard.cpu = match (rule, slot.own) {
            (Some(rule), _) => rule,
            (None, Some(_)) => CpuRule::Run,
            (None, None) => CpuRule::None,
        };
        slot.guard.any = any;
        slot.declare(step);
        Err(StepFut { machine, ctx, stage: Stage::Declared(act) })
    }

    /// The slot, with what stayed in registers up to now.
    #[inline(always)]
    pub(crate) fn slot(&mut self) -> &mut Slot {
        let (cx, first, second) = (self.cx, self.first.take(), self.second.take());
        self.slot.get_or_insert_with(|| cx.slot_of(first, second))
    }
}

impl<'m> Cx<'m> {
    /// The slot, for the declaration of a step with these conditions.
    #[inline(never)]
    fn slot_of(self, first: Option<Simple>, second: Option<Simple>) -> RefMut<'m, Slot> {
        let mut slot = self.slot();
        slot.begin_declaration();
        slot.guard.cmps.extend(first.into_iter().chain(second).map(Simple::cmp));
        slot
    }
}

impl Machine {
    /// A search asks a footprint for reads too, and for the life of what is touched.
    #[inline(never)]
    fn access_of_search(&self, fp: &mut Vec<Access>, a: Access) {
        fp.push(a);
        if let Some(life) = self.mem.borrow().life_of(a.obj()) {
            fp.push(Access::read(life));
        }
    }
}

impl Cx<'_> {
    #[inline(never)]
    fn guard_of_search(self, slot: &mut Slot, cmp: Cmp) {
        let cmp = if self.machine.tso { self.as_seen(cmp) } else { cmp };
        slot.guard.cmps.push(cmp);
        for o in cmp.objs() {
            self.machine.access_of_search(&mut slot.fp, Access::read(o));
        }
    }

    /// The comparison as the context sees it, with its own stores before those of others.
    fn as_seen(self, cmp: Cmp) -> Cmp {
        let mem = self.machine.mem.borrow();
        let seen = |term| {
            let Term::Obj(obj) = term else { return term };
            match mem.buffers.as_ref().and_then(|b| b.newest(self.id, obj)) {
                Some((slot, value)) => Term::Forwarded { obj, slot, value },
                None => term,
            }
        };
        Cmp { lhs: seen(cmp.lhs), rhs: seen(cmp.rhs), ..cmp }
    }
}

/// A function that a context is in; left when dropped.
#[derive(Debug)]
pub struct Entered<'m> {
    cx: Cx<'m>,
    ret: Option<i64>,
}

impl Entered<'_> {
    /// The function returns this.
    #[inline(always)]
    pub fn ret(mut self, code: i64) -> i64 {
        self.ret = Some(code);
        code
    }
}

impl Drop for Entered<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // A body may be dropped in the middle when an execution is abandoned; then nobody looks at frames any more.
        if let Ok(mut mem) = self.cx.machine.mem.try_borrow_mut() {
            mem.leave(self.cx.id, self.ret);
        }
    }
}

impl<'m> Cx<'m> {
    /// The context's number.
    #[inline]
    pub fn id(self) -> CtxId {
        self.id
    }

    /// The machine.
    pub fn machine(self) -> &'m Machine {
        self.machine
    }

    /// The CPU that the context is on; `None` for helpers.
    #[inline]
    pub fn cpu(self) -> Option<CpuId> {
        self.machine.specs[self.id.index()].cpu
    }

    /// The virtual time on the context's CPU at its last step; 0 in explored runs, which have no clock.
    #[inline]
    pub fn now(self) -> crate::Nanos {
        self.machine.mem.borrow().now
    }

    /// In a timed run: when the work of the context's last step is done, unless an interrupt prolongs it; 0 in explored
    /// runs.
    pub fn done_at(self) -> crate::Nanos {
        if !self.machine.is_timed() {
            return crate::Nanos(0);
        }
        self.machine.mem.borrow().clock.done_at()
    }

    /// In a timed run: a length of time in nanoseconds from the distribution of a class.
    pub fn draw(self, class: CostClass) -> u64 {
        self.machine.mem.borrow_mut().clock.draw_here(class)
    }

    /// The seed of the timed run.
    pub fn seed(self) -> u64 {
        self.machine.mem.borrow().seed
    }

    /// A tracepoint between two steps says this, with so many spinlocks held. The text is made only if the run is traced.
    #[inline(always)]
    pub fn trace(self, name: &'static str, locks: u8, args: impl FnOnce() -> String) {
        self.trace_with(name, locks, |_| args());
    }

    /// The same with a look at shared memory, for the text only.
    #[inline(always)]
    pub fn trace_with(self, name: &'static str, locks: u8, args: impl FnOnce(&Mem) -> String) {
        if self.machine.traced.get() {
            self.note_traced(name, locks, args);
        }
    }

    #[cold]
    #[inline(never)]
    fn note_traced(self, name: &'static str, locks: u8, args: impl FnOnce(&Mem) -> String) {
        let mem = &mut *self.machine.mem.borrow_mut();
        let says = (name, args(mem));
        mem.note_traced(self.id, None, says, locks);
    }

    /// The level of the context.
    #[inline]
    pub fn kind(self) -> CtxKind {
        self.machine.specs[self.id.index()].kind
    }

    #[inline]
    fn slot(self) -> RefMut<'m, Slot> {
        self.machine.slots[self.id.index()].borrow_mut()
    }

    /// Declares a step. Contexts on a CPU step under [`CpuRule::Run`] unless said otherwise.
    #[inline]
    pub fn step(self, label: impl Into<Label>) -> Decl<'m> {
        let slot = self.machine.footprints.get().then(|| {
            let mut slot = self.slot();
            slot.begin_declaration();
            if let Some(own) = slot.own {
                slot.fp.push(Access::read(own));
            }
            slot
        });
        let step = Declared::new(label.into());
        Decl { cx: self, slot, step, rule: None, any: false, first: None, second: None }
    }

    // Variables.

    /// READ_ONCE().
    #[inline]
    pub fn read<T: Word>(
        self,
        label: impl Into<Label>,
        v: Var<T>,
    ) -> StepFut<'m, impl FnOnce(&mut Mem) -> T + Unpin + 'static, T> {
        self.step(label).reads(v.obj()).run(move |m: &mut Mem| m.load(v))
    }

    /// WRITE_ONCE(), also smp_store_release(): through the store buffer if there is one.
    pub async fn write<T: Word>(self, label: impl Into<Label>, v: Var<T>, x: T) {
        if self.machine.tso {
            return self.store(label, v, x, false).await;
        }
        let (raw, word): (Var<u64>, u64) = (v.cast(), x.to_word());
        self.step(label).writes(v.obj()).run(move |m| m.store(raw, word)).await;
    }

    /// xchg(): fully ordered; returns the old value.
    pub async fn xchg<T: Word>(self, label: impl Into<Label>, v: Var<T>, x: T) -> T {
        let x = x.to_word();
        let raw: Var<u64> = v.cast();
        T::from_word(self.step(label).writes(v.obj()).run(move |m| m.update(raw, |_| x)).await)
    }

    /// cmpxchg(): fully ordered on success; returns the old value. One that fails is logged as a read.
    pub async fn cmpxchg<T: Word>(self, label: impl Into<Label>, v: Var<T>, old: T, new: T) -> T {
        let (old, new) = (old.to_word(), new.to_word());
        let raw: Var<u64> = v.cast();
        let was = self
            .step(label)
            .writes(v.obj())
            .run(move |m| {
                let was = m.load(raw);
                if was == old {
                    m.store(raw, new);
                }
                if was != old || planted(Mutant::SuccessIsRead) {
                    m.changed_nothing();
                }
                was
            })
            .await;
        T::from_word(was)
    }

    /// atomic_fetch_add(): fully ordered; returns the old value.
    #[inline]
    pub fn fetch_add(
        self,
        label: impl Into<Label>,
        v: Var<i64>,
        n: i64,
    ) -> StepFut<'m, impl FnOnce(&mut Mem) -> i64 + Unpin + 'static, i64> {
        self.step(label)
            .writes(v.obj())
            .run(move |m: &mut Mem| m.update(v, |x: i64| x.wrapping_add(n)))
    }

    // Locks.

    /// Takes a lock: spins until it is free.
    pub async fn lock(self, label: impl Into<Label>, l: Var<Option<CtxId>>) {
        let me = self.id;
        step!(self.step(label).writes(l.obj()).when(l.obj(), Rel::Eq, 0), move |m| m
            .store(l, Some(me)));
        self.acquired(l.obj(), Take::Waits);
    }

    /// Tries to take a lock; whether it did. A failed try is logged as a read.
    pub async fn trylock(self, label: impl Into<Label>, l: Var<Option<CtxId>>) -> bool {
        let me = self.id;
        let got = self
            .step(label)
            .writes(l.obj())
            .run(move |m| {
                let free = m.load(l).is_none();
                if free {
                    m.store(l, Some(me));
                } else {
                    m.changed_nothing();
                }
                free
            })
            .await;
        if got {
            self.acquired(l.obj(), Take::Tries);
        }
        got
    }

    /// Releases a lock.
    pub async fn unlock(self, label: impl Into<Label>, l: Var<Option<CtxId>>) {
        // A store with release semantics; not locked.
        if self.machine.tso {
            self.store(label, l, None, false).await;
        } else {
            step!(self.step(label).writes(l.obj()), move |m| m.store(l, None));
        }
        self.released(l.obj());
    }

    // Masks.

    /// `counts` changes the depths of the context's sections; whether the outermost one begins or ends. If so, the CPU's
    /// word, and the depth of all sections together.
    #[inline]
    fn outermost(self, counts: impl FnOnce(&mut Slot) -> bool) -> Option<(Var<u64>, u16)> {
        let s = &mut *self.slot();
        let depth = |s: &Slot| s.preempt + s.irq + s.bh;
        if counts(s) { s.own.map(|own| (Var::fixed(own), depth(s))) } else { None }
    }

    #[inline(always)]
    fn mask(
        self,
        label: Label,
        mask: Mask,
        (word, depth): (Var<u64>, u16),
    ) -> Result<(), StepFut<'m, impl FnOnce(&mut Mem) + Unpin + 'static, ()>> {
        let me = self.id;
        // Grace periods watch whether a CPU's stack is empty.
        let nested = depth > 1;
        self.step(label).on_cpu(CpuRule::Run).closes().exclusive_if(nested).now(
            move |m: &mut Mem| {
                m.update(word, |w| cpu::push(w, me, mask));
            },
        )
    }

    #[inline(always)]
    fn unmask(
        self,
        label: Label,
        mask: Mask,
        (word, depth): (Var<u64>, u16),
    ) -> Result<(), StepFut<'m, impl FnOnce(&mut Mem) + Unpin + 'static, ()>> {
        let me = self.id;
        let leave = depth == 0;
        self.step(label).on_cpu(CpuRule::Run).exclusive_if(!leave).now(move |m: &mut Mem| {
            m.update(word, |w| cpu::pop(w, me, mask, leave));
        })
    }

    /// local_irq_save(): no step when nested.
    pub async fn irq_save(self, label: impl Into<Label>) {
        let outer = self.outermost(|s| {
            s.irq += 1;
            s.irq == 1
        });
        if let Some(at) = outer
            && let Err(waits) = self.mask(label.into(), Mask::Irq, at)
        {
            waits.await;
        }
    }

    /// local_irq_restore(). Without a matching save nothing happens.
    pub async fn irq_restore(self, label: impl Into<Label>) {
        let outer = self.outermost(|s| {
            let was = s.irq;
            s.irq = was.saturating_sub(1);
            was == 1
        });
        if let Some(at) = outer
            && let Err(waits) = self.unmask(label.into(), Mask::Irq, at)
        {
            waits.await;
        }
    }

    /// local_bh_disable().
    pub async fn bh_disable(self, label: impl Into<Label>) {
        let outer = self.outermost(|s| {
            s.bh += 1;
            s.bh == 1
        });
        if let Some(at) = outer
            && let Err(waits) = self.mask(label.into(), Mask::Bh, at)
        {
            waits.await;
        }
    }

    /// local_bh_enable().
    pub async fn bh_enable(self, label: impl Into<Label>) {
        let outer = self.outermost(|s| {
            let was = s.bh;
            s.bh = was.saturating_sub(1);
            was == 1
        });
        if let Some(at) = outer
            && let Err(waits) = self.unmask(label.into(), Mask::Bh, at)
        {
            waits.await;
        }
    }

    /// preempt_disable(), also the entry of kernel code on a kernel that is not preemptible.
    pub async fn preempt_disable(self, label: impl Into<Label>) {
        let outer = self.outermost(|s| {
            let on_stack = s.preempt + s.irq + s.bh > 0;
            s.preempt += 1;
            !on_stack
        });
        if let Some(at) = outer
            && let Err(waits) = self.mask(label.into(), Mask::Preempt, at)
        {
            waits.await;
        }
    }

    /// preempt_enable().
    pub async fn preempt_enable(self, label: impl Into<Label>) {
        let outer = self.outermost(|s| {
            let was = s.preempt;
            s.preempt = was.saturating_sub(1);
            was == 1 && s.preempt + s.irq + s.bh == 0
        });
        if let Some(at) = outer
            && let Err(waits) = self.unmask(label.into(), Mask::Preempt, at)
        {
            waits.await;
        }
    }

    /// Whether interrupts are off in this context: in a handler, or masked by it.
    pub fn irqs_disabled(self) -> bool {
        self.slot().irq > 0
    }

    /// Whether the context must not sleep.
    pub fn in_atomic(self) -> bool {
        let s = self.slot();
        s.preempt + s.irq + s.bh > 0 || s.rcu > 0
    }

    /// In how many sections the context is that forbid sleeping.
    pub fn atomic_depth(self) -> u16 {
        let s = self.slot();
        s.preempt + s.irq + s.bh + s.rcu
    }

    /// How deep the context is in preempt-off sections.
    pub fn preempt_depth(self) -> u16 {
        self.slot().preempt
    }

    // Levels of a CPU.

    /// A daemon waits for its interrupt and enters it. `when` are the conditions beside the CPU's masks; `act` happens
    /// in the same step (it clears the pending bit, say). The caller's declaration names the objects of both.
    pub fn enter_level<R: Learn, F: FnOnce(&mut Mem) -> R + Unpin + 'static>(
        self,
        label: impl Into<Label>,
        kind: CtxKind,
        declare: impl FnOnce(Decl<'m>) -> Decl<'m>,
        act: F,
    ) -> StepFut<'m, impl FnOnce(&mut Mem) -> R + Unpin + 'static, R> {
        let (rule, mask) = match kind {
            CtxKind::Hardirq => (CpuRule::IrqEntry, Mask::Irq),
            CtxKind::Nmi => (CpuRule::NmiEntry, Mask::Nmi),
            _ => (CpuRule::SoftirqEntry, Mask::Bh),
        };
        let me = self.id;
        let own = self.slot().own.expect("an interrupt has a CPU");
        let word: Var<u64> = Var::fixed(own);
        let decl = declare(self.step(label).on_cpu(rule)).idle();
        decl.run(move |m: &mut Mem| {
            m.update(word, |w| cpu::push(w, me, mask));
            act(m)
        })
    }

    /// To be called right after [`Cx::enter_level`]: the context's own masks.
    pub fn entered_level(self, kind: CtxKind) {
        let mut s = self.slot();
        match kind {
            CtxKind::Hardirq | CtxKind::Nmi => s.irq = 1,
            _ => s.bh = 1,
        }
    }

    /// A daemon leaves its interrupt; `act` happens in the same step.
    #[inline(always)]
    pub fn exit_level<R: Learn, F: FnOnce(&mut Mem) -> R + Unpin + 'static>(
        self,
        label: impl Into<Label>,
        kind: CtxKind,
        declare: impl FnOnce(Decl<'m>) -> Decl<'m>,
        act: F,
    ) -> StepFut<'m, impl FnOnce(&mut Mem) -> R + Unpin + 'static, R> {
        let mask = match kind {
            CtxKind::Hardirq => Mask::Irq,
            CtxKind::Nmi => Mask::Nmi,
            _ => Mask::Bh,
        };
        let me = self.id;
        let own = {
            // It masks nothing any more; nobody asks before the step has happened.
            let mut s = self.slot();
            (s.irq, s.bh) = (0, 0);
            s.own.expect("an interrupt has a CPU")
        };
        let word: Var<u64> = Var::fixed(own);
        declare(self.step(label).on_cpu(CpuRule::Run)).run(move |m: &mut Mem| {
            let r = act(m);
            m.update(word, |w| cpu::pop(w, me, mask, true));
            r
        })
    }

    // RCU.

    /// rcu_read_lock(). With preemptible RCU the outermost is a step on the context's word `inside`; without (`None`) it
    /// is preempt_disable(), as the kernel has it.
    pub async fn rcu_read_lock(self, inside: Option<Var<bool>>) {
        let outer = {
            let mut s = self.slot();
            s.rcu += 1;
            s.rcu == 1
        };
        match inside {
            // The reader is seen inside at once; an earlier unlock must be out of the store buffer by then.
            Some(v) if outer => {
                let step = self.step(site!("rcu_read_lock()", Memory)).writes(v.obj());
                step.after_own(v.obj()).run(move |m: &mut Mem| m.store(v, true)).await;
            }
            None => self.preempt_disable(site!("rcu_read_lock()", Mask)).await,
            Some(_) => {}
        }
    }

    /// rcu_read_unlock().
    pub async fn rcu_read_unlock(self, inside: Option<Var<bool>>) {
        let outer = {
            let mut s = self.slot();
            let was = s.rcu;
            s.rcu = was.saturating_sub(1);
            was == 1
        };
        match inside {
            Some(v) if outer => self.write(site!("rcu_read_unlock()", Memory), v, false).await,
            None => self.preempt_enable(site!("rcu_read_unlock()", Mask)).await,
            Some(_) => {}
        }
    }

    // Memory.

    /// Allocates an object of this type, its fields poisoned. The object's name is (context, how manyeth), so that
    /// independent allocations do not conflict.
    pub async fn alloc(self, label: impl Into<Label>, ty: TypeId) -> Ptr {
        let seq = {
            let mut s = self.slot();
            s.allocs += 1;
            s.allocs - 1
        };
        let p = if self.machine.is_timed() {
            self.machine.reuse(ty, self.id, seq)
        } else {
            self.machine.place_of(ty, self.id, seq)
        };
        self.step(label).writes(p.alive()).unordered().run(move |m| m.bring_to_life(p)).await;
        p
    }

    /// Allocates as part of another step: declares the allocation, and gives the pointer to use in its closure with
    /// [`Mem::revive`].
    pub fn reserve(self, ty: TypeId) -> Ptr {
        let seq = {
            let mut s = self.slot();
            s.allocs += 1;
            s.allocs - 1
        };
        if self.machine.is_timed() {
            self.machine.reuse(ty, self.id, seq)
        } else {
            self.machine.place_of(ty, self.id, seq)
        }
    }

    /// Frees an object.
    pub async fn free(self, label: impl Into<Label>, p: Ptr) {
        self.step(label).writes(p.alive()).run(move |m| m.free(p)).await;
    }

    // Functions.

    /// Enters a kernel function; it is left when the value is dropped.
    #[inline(always)]
    pub fn enter(self, func: &'static str) -> Entered<'m> {
        self.enter_frame(FrameName::Fn(func), 0, false)
    }

    /// Enters a kernel function with an argument for readers.
    #[inline(always)]
    pub fn enter_with(self, func: &'static str, arg: u64) -> Entered<'m> {
        self.enter_frame(FrameName::Fn(func), arg, false)
    }

    /// Enters a function that findings do not blame: its caller is blamed.
    #[inline(always)]
    pub fn enter_leaf(self, func: &'static str) -> Entered<'m> {
        self.enter_frame(FrameName::Fn(func), 0, true)
    }

    /// Enters a function or body.
    #[inline(always)]
    pub fn enter_frame(self, name: FrameName, arg: u64, leaf: bool) -> Entered<'m> {
        let mut mem = self.machine.mem.borrow_mut();
        mem.enter(self.id, name, arg, leaf);
        Entered { cx: self, ret: None }
    }

    /// The n-th item of work that this context makes: for names that do not depend on the schedule.
    pub fn next_item(self) -> u32 {
        let mut s = self.slot();
        s.items += 1;
        s.items - 1
    }
}

impl Mem {
    /// Brings a reserved allocation to life (see [`Cx::reserve`]); the step declares a write of `p.alive()`.
    pub fn revive(&mut self, p: Ptr) {
        self.bring_to_life(p);
    }
}
