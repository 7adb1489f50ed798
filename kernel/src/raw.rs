//! Raw steps of scenarios: each is one step on the variables that the scenario declares.

use crate::arg::Arg;
use crate::compile::{FORGOTTEN, local};
use crate::interp::Act;
use crate::kernel::Kernel;
use crate::objects::{Elem, TAG_ELEM};
use crate::world::{
    Barrier, Cond, ContextOp, FieldDef, FieldIx, FieldKind, LocalId, Op, OpKind, Operand, Order,
    Place, Preempt, TypeIx, VarId, VarKind,
};
use timerace_core::detect::Class;
use timerace_core::lockdep::Take;
use timerace_core::step::{Cmp, CostClass, Learn, Rel, Site, Term};
use timerace_core::{CtxId, Cx, Label, Obj, Ptr, Var, Word, site};

/// A shared variable.
#[derive(Clone, Debug)]
pub(crate) struct RawVar {
    pub kind: VarKind,
    /// One object, or one per CPU.
    pub objs: Vec<Obj>,
}

/// What a raw step touches: the object, and how wide its integer is.
#[derive(Copy, Clone)]
struct Target {
    obj: Obj,
    bits: u32,
    signed: bool,
    refcount: bool,
    arg: u64,
}

impl Target {
    /// The value as the variable keeps it.
    fn fit(self, v: u64) -> u64 {
        let shift = 64 - self.bits.clamp(1, 64);
        if self.signed { (((v << shift) as i64) >> shift) as u64 } else { (v << shift) >> shift }
    }
}

/// What a step has read; forgotten at once where nobody asks for it.
struct Got(u64, bool);

impl Learn for Got {
    fn learn(&self) -> u64 {
        if self.1 { 0 } else { self.0.learn() }
    }
}

impl Kernel {
    /// Performs a step that is no call.
    pub(crate) async fn raw(&self, cx: Cx<'_>, act: &mut Act, op: &Op) {
        match &op.kind {
            OpKind::Read { .. }
            | OpKind::Write { .. }
            | OpKind::FetchAdd { .. }
            | OpKind::Xchg { .. }
            | OpKind::Cmpxchg { .. } => self.access(cx, act, op).await,
            OpKind::Assert(cond) => {
                if !act.holds(cond) {
                    let label = worded(op, site!("assert", Free).into());
                    cx.step(label).run(|m| m.report(Class::Assertion, None)).await;
                }
            }
            OpKind::Work(ns) => {
                let label = worded(op, site!("work", Free).into());
                cx.step(label).takes(ns.min, ns.max).run(|_| ()).await;
            }
            // Under total store order only a store and a later load change places: the others order nothing more.
            OpKind::Barrier(Barrier::Full) => {
                cx.smp_mb(worded(op, site!("smp_mb()", Atomic).into())).await;
            }
            OpKind::Barrier(Barrier::Read | Barrier::Write) => {}
            OpKind::Lock(_)
            | OpKind::Unlock(_)
            | OpKind::Trylock(..)
            | OpKind::LockIrqsave(_)
            | OpKind::UnlockIrqrestore(_) => self.raw_lock(cx, act, op).await,
            OpKind::Context(c) => self.raw_context(cx, *c).await,
            OpKind::WaitUntil(cond) => self.wait(cx, act, op, cond, false).await,
            OpKind::SleepUntil(cond) => {
                self.may_sleep(cx).await;
                self.wait(cx, act, op, cond, true).await;
            }
            _ => self.raw_memory(cx, act, op).await,
        }
    }

    async fn raw_memory(&self, cx: Cx<'_>, act: &mut Act, op: &Op) {
        match &op.kind {
            OpKind::Alloc(into, ty) => {
                let p = self.raw_alloc(cx, op, *ty).await;
                act.locals[local(*into)] = p.to_word();
                act.maps[local(*into)] = 0;
            }
            OpKind::Free(l) => {
                if let Some(p) = self.raw_pointer(cx, act, *l).await {
                    cx.free(worded(op, site!("free", Alloc).into()), p).await;
                }
            }
            OpKind::CallRcuFree(l) => {
                if let Some(p) = self.raw_pointer(cx, act, *l).await {
                    let label = worded(op, site!("call_rcu_free", Memory).into());
                    self.call_rcu(cx, label, p.to_word()).await;
                }
            }
            OpKind::RcuReadLock => cx.rcu_read_lock(self.rcu_words[cx.id().index()]).await,
            OpKind::RcuReadUnlock => cx.rcu_read_unlock(self.rcu_words[cx.id().index()]).await,
            OpKind::SynchronizeRcu => {
                self.may_sleep(cx).await;
                self.synchronize_rcu(cx).await;
            }
            _ => {}
        }
    }

    /// A step that sleeps: in atomic context that is a finding.
    pub(crate) async fn may_sleep(&self, cx: Cx<'_>) {
        if cx.in_atomic() {
            let site = site!("might_sleep()", Free);
            cx.step(site).run(|m| m.report(Class::SleepInAtomic, None)).await;
        }
    }

    /// `kmalloc()`: a fresh object that nobody has written to.
    async fn raw_alloc(&self, cx: Cx<'_>, op: &Op, ty: TypeIx) -> Ptr {
        cx.alloc(worded(op, site!("alloc", Alloc).into()), self.ty.raw[ty.index()]).await
    }

    /// The object behind a local. NULL and words that are no pointers are findings, and nothing is done with them.
    async fn raw_pointer(&self, cx: Cx<'_>, act: &Act, l: LocalId) -> Option<Ptr> {
        let word = act.locals[local(l)];
        let p = crate::rcu::pointer(word);
        if p.is_none() {
            let site = site!("invalid pointer", Free);
            cx.step(site).run(|m| m.report(Class::WildPointer, None)).await;
        }
        p
    }

    async fn target(&self, cx: Cx<'_>, act: &Act, place: &Place) -> Option<Target> {
        match place {
            Place::Var(v) => Some(self.var_target(cx, *v)),
            Place::Member(l, f) => {
                let p = self.raw_pointer(cx, act, *l).await?;
                let word = act.locals[local(*l)];
                if word & TAG_ELEM != 0 {
                    let map = act.maps[local(*l)].saturating_sub(1) as usize;
                    return Some(self.elem_target(Elem(p), map, *f));
                }
                let arg = 0;
                Some(Target { obj: p.field::<u64>(f.0).obj(), ..Target::plain(arg) })
            }
            Place::ValueMember(v, f) => {
                let (e, map) = self.value(cx, act, v).await?;
                Some(self.elem_target(e, map, *f))
            }
        }
    }

    fn var_target(&self, cx: Cx<'_>, v: VarId) -> Target {
        let var = &self.vars[v.index()];
        let cpu = cx.cpu().map_or(0, |c| c.index()).min(var.objs.len() - 1);
        let refcount = matches!(var.kind, VarKind::Refcount(_));
        Target { obj: var.objs[cpu], refcount, ..Target::plain(Arg::Var(v.index()).word()) }
    }

    fn elem_target(&self, e: Elem, map: usize, f: FieldIx) -> Target {
        let field = self.field(map, f);
        let signed = field.is_none_or(|d| d.kind == FieldKind::Signed);
        let bits = field.map_or(64, |d| d.size * 8);
        let arg = Arg::Map(map).word();
        Target { obj: e.member(f.index()).obj(), bits, signed, ..Target::plain(arg) }
    }

    fn field(&self, map: usize, f: FieldIx) -> Option<&FieldDef> {
        let ty = self.world.maps.get(map)?.value;
        self.world.types.get(ty.index())?.fields.get(f.index())
    }

    async fn access(&self, cx: Cx<'_>, act: &mut Act, op: &Op) {
        let (place, into) = match &op.kind {
            OpKind::Read { from, into, .. } => (from, Some(*into)),
            OpKind::Write { to, .. } => (to, None),
            OpKind::FetchAdd { on, into, .. }
            | OpKind::Xchg { on, into, .. }
            | OpKind::Cmpxchg { on, into, .. } => (on, Some(*into)),
            _ => return,
        };
        let Some(t) = self.target(cx, act, place).await else { return };
        let forgotten = into == Some(FORGOTTEN);
        let got = self.access_at(cx, act, op, t, forgotten).await;
        if let Some(into) = into.filter(|_| !forgotten) {
            act.locals[local(into)] = got;
            // A pointer to an element that went through a variable lost its map: raw members only.
            act.maps[local(into)] = 0;
        }
    }

    async fn access_at(&self, cx: Cx<'_>, act: &Act, op: &Op, t: Target, forgotten: bool) -> u64 {
        let var: Var<u64> = Var::at(t.obj);
        let label = worded(op, raw_site(&op.kind).with(t.arg));
        if let OpKind::Write { order, value, .. } = &op.kind {
            let v = t.fit(act.operand(value));
            cx.store(label, var, v, *order == Order::Plain).await;
            return 0;
        }
        let step = cx.step(label);
        match &op.kind {
            OpKind::Read { order: Order::Plain, .. } => {
                step.plain(t.obj, false).run(move |m| Got(m.load(var), forgotten)).await.0
            }
            OpKind::Read { .. } => {
                step.reads(t.obj).run(move |m| Got(m.load(var), forgotten)).await.0
            }
            OpKind::FetchAdd { by, .. } => {
                let by = act.operand(by);
                let add = move |m: &mut timerace_core::Mem| {
                    let old = m.load(var);
                    let new = t.fit(old.wrapping_add(by));
                    if t.refcount && ((new as i64) < 0 || old == 0 && (by as i64) > 0) {
                        m.report(Class::Refcount, Some(t.obj));
                    }
                    m.store(var, new);
                    Got(old, forgotten)
                };
                step.writes(t.obj).run(add).await.0
            }
            OpKind::Xchg { value, .. } => {
                let v = t.fit(act.operand(value));
                step.writes(t.obj).run(move |m| Got(m.update(var, |_| v), forgotten)).await.0
            }
            OpKind::Cmpxchg { old, new, .. } => {
                let (old, new) = (t.fit(act.operand(old)), t.fit(act.operand(new)));
                let swap = move |m: &mut timerace_core::Mem| {
                    let was = m.load(var);
                    if was == old {
                        m.store(var, new);
                    } else {
                        m.changed_nothing();
                    }
                    Got(was, forgotten)
                };
                step.writes(t.obj).run(swap).await.0
            }
            _ => 0,
        }
    }

    async fn raw_lock(&self, cx: Cx<'_>, act: &mut Act, op: &Op) {
        let (OpKind::Lock(v)
        | OpKind::Unlock(v)
        | OpKind::Trylock(_, v)
        | OpKind::LockIrqsave(v)
        | OpKind::UnlockIrqrestore(v)) = &op.kind
        else {
            return;
        };
        let lock: Var<Option<CtxId>> = Var::at(self.vars[v.index()].objs[0]);
        let arg = Arg::Var(v.index()).word();
        let kind = self.vars[v.index()].kind;
        let sleeps = kind == VarKind::Mutex;
        // On PREEMPT_RT interrupts stay on.
        let thread = kind == VarKind::Spinlock && self.is_rt();
        if matches!(op.kind, OpKind::Lock(_) | OpKind::LockIrqsave(_))
            && self.is_invalid_wait(cx, kind)
        {
            let site = site!("invalid wait context: lock({})", Free).with(arg);
            cx.step(site).run(|m| m.report(Class::SleepInAtomic, None)).await;
        }
        match &op.kind {
            OpKind::Lock(_) => {
                let me = cx.id();
                let step = cx.step(site!("lock({})", Lock).with(arg)).writes(lock.obj());
                let step = if sleeps { step.asleep() } else { step };
                step.when(lock.obj(), Rel::Eq, 0).run(move |m| m.store(lock, Some(me))).await;
                cx.acquired(lock.obj(), Take::Waits);
            }
            OpKind::Trylock(into, _) => {
                let got = cx.trylock(site!("trylock({})", Lock).with(arg), lock).await;
                act.locals[local(*into)] = u64::from(got);
            }
            OpKind::LockIrqsave(_) => {
                if !thread {
                    cx.irq_save(site!("local_irq_save(flags)", Mask, quiet)).await;
                }
                cx.lock(site!("lock_irqsave({})", Lock).with(arg), lock).await;
            }
            OpKind::Unlock(_) => cx.unlock(site!("unlock({})", Lock).with(arg), lock).await,
            _ => {
                cx.unlock(site!("unlock_irqrestore({})", Lock).with(arg), lock).await;
                if !thread {
                    cx.irq_restore(site!("local_irq_restore(flags)", Mask, quiet)).await;
                }
            }
        }
    }

    /// lockdep's rule of wait types: under a raw spinlock only raw spinlocks, under a spinlock no mutex; and what sleeps not
    /// with preemption, softirqs or interrupts off, or in a read section of RCU. A spinlock sleeps on PREEMPT_RT; that it is
    /// taken under a raw one is wrong everywhere (CONFIG_PROVE_RAW_LOCK_NESTING).
    fn is_invalid_wait(&self, cx: Cx<'_>, kind: VarKind) -> bool {
        match kind {
            VarKind::Mutex => cx.in_atomic() || cx.holds(|o| self.is_spinlock(o, false)),
            VarKind::Spinlock => {
                let off = cx.irqs_disabled() || cx.preempt_depth() > 0;
                self.is_rt() && off || cx.holds(|o| self.is_spinlock(o, true))
            }
            _ => false,
        }
    }

    fn is_rt(&self) -> bool {
        self.world.machine.preempt == Preempt::Rt
    }

    /// Whether a lock is a spinlock, or a raw one: all locks but those of the scenario are.
    fn is_spinlock(&self, lock: Obj, raw: bool) -> bool {
        let var = self.vars.iter().find(|v| v.objs.contains(&lock)).map(|v| v.kind);
        var.is_none_or(|k| k == VarKind::RawSpinlock || !raw && k == VarKind::Spinlock)
    }

    /// Whether a spinlock that sleeps on PREEMPT_RT is of the wrong kind here: under a raw lock of the kernel's.
    pub(crate) fn is_spinlock_invalid(&self, cx: Cx<'_>) -> bool {
        let followed = !self.timed && !self.is_rt();
        if followed { cx.holds(|o| self.is_spinlock(o, true)) } else { cx.irqs_disabled() }
    }

    async fn raw_context(&self, cx: Cx<'_>, op: ContextOp) {
        match op {
            ContextOp::IrqSave => cx.irq_save(site!("local_irq_save(flags)", Mask)).await,
            ContextOp::IrqRestore => cx.irq_restore(site!("local_irq_restore(flags)", Mask)).await,
            ContextOp::BhDisable => cx.bh_disable(site!("local_bh_disable()", Mask)).await,
            ContextOp::BhEnable => cx.bh_enable(site!("local_bh_enable()", Mask)).await,
            ContextOp::PreemptDisable => {
                cx.preempt_disable(site!("preempt_disable()", Mask)).await;
            }
            ContextOp::PreemptEnable => cx.preempt_enable(site!("preempt_enable()", Mask)).await,
        }
    }

    /// One step that is enabled when the condition holds; all shared operands are read in it.
    async fn wait(&self, cx: Cx<'_>, act: &Act, op: &Op, cond: &Cond, sleeps: bool) {
        let single = std::slice::from_ref(cond);
        let (parts, any) = match cond {
            Cond::Cmp(..) => (single, false),
            Cond::All(parts) => (parts.as_slice(), false),
            Cond::Any(parts) => (parts.as_slice(), true),
        };
        let mut step = cx.step(worded(op, site!("wait", Memory).into()));
        for part in parts {
            // Nested conditions are refused at boot.
            let Cond::Cmp(a, op, b) = part else { continue };
            let (lhs, rhs) = (self.term(cx, act, a), self.term(cx, act, b));
            step = step.when_cmp(Cmp { lhs, rel: rel(*op), rhs });
        }
        step = if any { step.any() } else { step };
        step = if sleeps { step.asleep() } else { step };
        step.run(|_| ()).await;
    }

    fn term(&self, cx: Cx<'_>, act: &Act, o: &Operand) -> Term {
        match o {
            Operand::Place(Place::Var(v)) => Term::Obj(self.var_target(cx, *v).obj),
            Operand::Place(Place::Member(l, f)) => {
                let word = act.locals[local(*l)];
                match crate::rcu::pointer(word) {
                    Some(p) if word & TAG_ELEM != 0 => Term::Obj(Elem(p).member(f.index()).obj()),
                    Some(p) => Term::Obj(p.field::<u64>(f.0).obj()),
                    None => Term::Const(0),
                }
            }
            o => Term::Const(act.operand(o)),
        }
    }
}

impl Target {
    fn plain(arg: u64) -> Target {
        Target { obj: Obj(0), bits: 64, signed: true, refcount: false, arg }
    }
}

fn rel(op: crate::world::CmpOp) -> Rel {
    use crate::world::CmpOp;
    match op {
        CmpOp::Eq => Rel::Eq,
        CmpOp::Ne => Rel::Ne,
        CmpOp::Lt => Rel::Lt,
        CmpOp::Le => Rel::Le,
        CmpOp::Gt => Rel::Gt,
        CmpOp::Ge => Rel::Ge,
    }
}

/// The label of a step that the user wrote: his own words, at the cost of the step.
fn worded(op: &Op, plain: Label) -> Label {
    if op.text.is_empty() {
        return plain;
    }
    let site = match plain.site.cost {
        CostClass::Memory => site!("{}", Memory),
        CostClass::Atomic => site!("{}", Atomic),
        CostClass::Alloc => site!("{}", Alloc),
        _ => site!("{}", Free),
    };
    site.with(Arg::Text(op.at.index()).word())
}

fn raw_site(op: &OpKind) -> &'static Site {
    match op {
        OpKind::Read { order: Order::AcquireRelease, .. } => site!("smp_load_acquire(&{})", Memory),
        OpKind::Read { order: Order::Plain, .. } => site!("= {}", Memory),
        OpKind::Read { .. } => site!("READ_ONCE({})", Memory),
        OpKind::Write { order: Order::AcquireRelease, .. } => {
            site!("smp_store_release(&{})", Memory)
        }
        OpKind::Write { order: Order::Plain, .. } => site!("{} =", Memory),
        OpKind::Write { .. } => site!("WRITE_ONCE({})", Memory),
        OpKind::FetchAdd { .. } => site!("fetch_add({})", Atomic),
        OpKind::Xchg { .. } => site!("xchg({})", Atomic),
        _ => site!("cmpxchg({})", Atomic),
    }
}

/// What several words teach a context.
pub(crate) struct Words(pub Vec<u64>);

impl Learn for Words {
    fn learn(&self) -> u64 {
        self.0.iter().fold(0, |h, w| timerace_core::mix::roll(h, *w))
    }
}
