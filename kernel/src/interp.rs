//! Running bodies: programs and callbacks here, tasks in [`crate::process`]; both share the raw steps of [`crate::raw`].

use crate::compile::{Code, Ins, MAX_LOCALS, local};
use crate::errno::EINVAL;
use crate::kernel::Kernel;
use crate::objects::{Callback, Elem, TAG_ELEM};
use crate::trace::Helper;
use crate::world::{
    Call, CmpOp, Cond, ElemRef, KeyRef, MapRef, Nsecs, ObjRef, Op, OpKind, Operand, Returns,
    UpdateFlag, ValueRef,
};
use timerace_core::detect::Class;
use timerace_core::{Cx, Ptr, Word, site};

/// An activation of a body: its locals and what it was called with.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub locals: [u64; MAX_LOCALS],
    /// For locals that point to elements: index of the map plus one.
    pub maps: [u16; MAX_LOCALS],
    /// The value that the callback was called with.
    pub value: Option<Elem>,
    /// The map that it was called with.
    pub map: usize,
    /// The program (`aux->prog`).
    pub prog: usize,
    /// The body: the program itself, or a callback.
    pub func: usize,
    /// `*key` when the callback began.
    pub key: u64,
    /// Which run of the callback it is, from 1.
    pub run: u64,
}

impl Act {
    /// An activation of nothing.
    pub fn empty() -> Act {
        Act {
            locals: [0; MAX_LOCALS],
            maps: [0; MAX_LOCALS],
            value: None,
            map: 0,
            prog: 0,
            func: 0,
            key: 0,
            run: 0,
        }
    }

    /// What a value is. Places are read by steps, not here.
    pub fn operand(&self, o: &Operand) -> u64 {
        match o {
            Operand::Int(n) => *n as u64,
            Operand::Local(l) => self.locals[local(*l)],
            Operand::Key => self.key,
            Operand::RunNumber => self.run,
            Operand::Map(MapRef::Map(m)) => m.index() as u64,
            Operand::Null | Operand::Map(_) | Operand::Place(_) | Operand::Elem(_) => 0,
        }
    }

    /// The element that a value reference names, and its map, as far as no look-up is needed; `None` if it is absent.
    ///
    /// # Errors
    /// What must be looked up.
    pub fn at_hand<'v>(&self, v: &'v ValueRef) -> Result<Option<(Elem, usize)>, &'v ElemRef> {
        Ok(match v {
            ValueRef::Elem(e) => return Err(e),
            ValueRef::Local(l) => {
                let (word, map) = (self.locals[local(*l)], self.maps[local(*l)]);
                let map = (map as usize).checked_sub(1);
                map.filter(|_| word & TAG_ELEM != 0).map(|map| (Elem(Ptr::from_word(word)), map))
            }
            ValueRef::Value => self.value.map(|e| (e, self.map)),
            // The verifier lets no program do that.
            ValueRef::Context => None,
        })
    }

    /// Whether a condition on locals holds.
    pub fn holds(&self, c: &Cond) -> bool {
        match c {
            Cond::Cmp(a, op, b) => {
                let (a, b) = (self.operand(a) as i64, self.operand(b) as i64);
                match op {
                    CmpOp::Eq => a == b,
                    CmpOp::Ne => a != b,
                    CmpOp::Lt => a < b,
                    CmpOp::Le => a <= b,
                    CmpOp::Gt => a > b,
                    CmpOp::Ge => a >= b,
                }
            }
            Cond::All(all) => all.iter().all(|c| self.holds(c)),
            Cond::Any(all) => all.iter().any(|c| self.holds(c)),
        }
    }

    /// The instruction after `pc`, with jumps taken; `None` at the end.
    pub fn next<'c>(&mut self, code: &'c Code, pc: &mut usize) -> Option<&'c Op> {
        loop {
            let ins = code.ins.get(*pc)?;
            *pc += 1;
            match ins {
                Ins::Do(op) => return Some(op),
                Ins::Unless(cond, to) => {
                    if !self.holds(cond) {
                        *pc = *to;
                    }
                }
                Ins::Jump(to) => *pc = *to,
                Ins::Set(l, v) => self.locals[*l] = *v,
                Ins::Again(l, to) => {
                    self.locals[*l] -= 1;
                    if self.locals[*l] != 0 {
                        *pc = *to;
                    }
                }
            }
        }
    }
}

/// The result of a call of a program.
struct Done {
    /// `None`: the element was absent, so the call was not made.
    ret: Option<i64>,
    /// What a bound local gets.
    word: u64,
    /// For pointers to elements: index of the map plus one.
    map: u16,
}

impl Done {
    fn code(ret: i64) -> Done {
        Done { ret: Some(ret), word: ret as u64, map: 0 }
    }

    const NOT_CALLED: Done = Done { ret: None, word: 0, map: 0 };
}

impl Kernel {
    /// Runs a program or callback to its end; what it returns.
    pub(crate) async fn run_prog(&self, cx: Cx<'_>, code: &Code, act: &mut Act) -> u64 {
        let (mut pc, mut r0) = (0, 0);
        let outer = self.lines[cx.id().index()].get();
        while let Some(op) = act.next(code, &mut pc) {
            self.set_line(cx, op.at);
            match &op.kind {
                OpKind::Call { call, returns, bind } => {
                    let done = match call.timer_or_lock() {
                        Some(obj) => {
                            let ret = self.value_call(cx, act, call, obj).await;
                            ret.map_or(Done::NOT_CALLED, Done::code)
                        }
                        None => self.prog_call(cx, act, call).await,
                    };
                    if self.log.is_on() {
                        self.log_op(cx, op.at, done.ret, &self.read_data(cx, call, &done));
                    }
                    if let Some(l) = bind {
                        act.locals[local(*l)] = done.word;
                        act.maps[local(*l)] = done.map;
                    }
                    if let Some(ret) = done.ret
                        && !allowed(call, returns, ret)
                    {
                        self.report_ret(cx, ret).await;
                    }
                }
                OpKind::Return(v) => {
                    r0 = act.operand(v);
                    break;
                }
                _ => self.raw(cx, act, op).await,
            }
        }
        self.set_line(cx, outer);
        r0
    }

    /// What a look-up read, for the log: the first integer of the value.
    fn read_data(&self, cx: Cx<'_>, call: &Call, done: &Done) -> Vec<i64> {
        let found = matches!(call, Call::MapLookup(_)) && done.word & TAG_ELEM != 0;
        let first = (done.map as usize).checked_sub(1).and_then(|m| self.maps[m].first_integer);
        let Some(first) = first.filter(|_| found) else { return Vec::new() };
        let member = Elem(Ptr::from_word(done.word)).member(first);
        vec![cx.machine().with_mem(|m| m.peek(member.obj()) as i64)]
    }

    async fn prog_call(&self, cx: Cx<'_>, act: &Act, call: &Call) -> Done {
        match call {
            Call::MapLookup(e) => {
                let Some((found, map)) = self.lookup(cx, act, e).await else {
                    return Done { ret: Some(0), word: 0, map: 0 };
                };
                Done { ret: Some(1), word: found.tagged(), map: map as u16 + 1 }
            }
            Call::MapUpdate { elem, flag, value } => {
                let Some(map) = self.map_of(cx, act, elem.map).await else {
                    return Done::NOT_CALLED;
                };
                let key = self.key_of(cx, act, elem.key).await;
                let v = value.as_ref().map(|v| act.operand(v));
                Done::code(self.map_update(cx, map, key, *flag, v).await)
            }
            Call::MapDelete(elem) => {
                let Some(map) = self.map_of(cx, act, elem.map).await else {
                    return Done::NOT_CALLED;
                };
                let key = self.key_of(cx, act, elem.key).await;
                Done::code(self.map_delete(cx, map, key).await)
            }
            Call::ForEachElem(map, func) => {
                let Some(map) = self.map_of(cx, act, *map).await else {
                    return Done::NOT_CALLED;
                };
                let callback = Callback { prog: act.prog, func: func.index() };
                Done::code(self.bpf_for_each_map_elem(cx, map, callback).await)
            }
            Call::KtimeGetNs => Done::code(self.bpf_ktime_get_ns(cx).await),
            Call::CopyFromUser => {
                let f = cx.enter("bpf_copy_from_user");
                self.helper_sleeps(cx).await;
                Done::code(f.ret(0))
            }
            Call::WqInit(obj, _) | Call::WqSetCallback(obj, _) | Call::WqStart(obj, _) => {
                let Some((e, map)) = self.value(cx, act, &obj.value).await else {
                    return Done::NOT_CALLED;
                };
                Done::code(match call {
                    Call::WqInit(_, flags) => self.bpf_wq_init(cx, e, map, *flags).await,
                    Call::WqSetCallback(_, f) => {
                        let callback = Callback { prog: act.prog, func: f.index() };
                        self.bpf_wq_set_callback(cx, e, map, callback).await
                    }
                    Call::WqStart(_, flags) => self.bpf_wq_start(cx, e, map, *flags).await,
                    _ => EINVAL,
                })
            }
            _ => Done::code(EINVAL),
        }
    }

    /// A call on a timer or a lock in a value; `None`: the element was absent.
    async fn value_call(&self, cx: Cx<'_>, act: &Act, call: &Call, obj: &ObjRef) -> Option<i64> {
        // As `value`, whose coroutine nearly no call needs.
        let (e, map) = match act.at_hand(&obj.value) {
            Ok(value) => value?,
            Err(elem) => self.lookup(cx, act, elem).await?,
        };
        if let Call::SpinLock(_) | Call::SpinUnlock(_) = call {
            return self.spin_call(cx, e, map, matches!(call, Call::SpinLock(_))).await;
        }
        let probe = |h, a: u64, b: u64| {
            self.probe(cx, h, e, a, b);
            h
        };
        let (helper, ret) = match call {
            Call::TimerInit(_, flags) | Call::TimerInitOf { flags, .. } => {
                let h = probe(Helper::Init, map as u64, *flags);
                (h, self.bpf_timer_init(cx, e, map, *flags).await)
            }
            Call::TimerSetCallback(_, f) => {
                let callback = Callback { prog: act.prog, func: f.index() };
                let h = probe(Helper::SetCallback, f.index() as u64, act.prog as u64);
                (h, self.bpf_timer_set_callback(cx, e, map, callback).await)
            }
            Call::TimerStart(_, nsecs, flags) => {
                let nsecs = self.nsecs(cx, act, *nsecs);
                let h = probe(Helper::Start, nsecs, *flags);
                (h, self.bpf_timer_start(cx, e, map, nsecs, *flags).await)
            }
            Call::TimerCancelAsync(_) => {
                let h = probe(Helper::CancelAsync, 0, 0);
                (h, self.bpf_timer_cancel_async(cx, e, map).await)
            }
            _ => (probe(Helper::Cancel, 0, 0), self.bpf_timer_cancel(cx, e, map).await),
        };
        self.probe_ret(cx, helper, ret);
        Some(ret)
    }

    /// `bpf_spin_lock()`, `bpf_spin_unlock()`: interrupts off, an arch spinlock in the value.
    async fn spin_call(&self, cx: Cx<'_>, e: Elem, map: usize, lock: bool) -> Option<i64> {
        let field = self.maps[map].lock_member?;
        let word = e.member(field).cast();
        if lock {
            cx.irq_save(site!("local_irq_save(flags)", Mask, quiet)).await;
            cx.lock(site!("bpf_spin_lock(&value->lock)", Lock), word).await;
        } else {
            cx.unlock(site!("bpf_spin_unlock(&value->lock)", Lock), word).await;
            cx.irq_restore(site!("local_irq_restore(flags)", Mask, quiet)).await;
        }
        Some(0)
    }

    /// The element that a value reference names, and its map. `None`: it is absent, and no call on it is made.
    pub(crate) async fn value(&self, cx: Cx<'_>, act: &Act, v: &ValueRef) -> Option<(Elem, usize)> {
        match act.at_hand(v) {
            Ok(value) => value,
            Err(elem) => self.lookup(cx, act, elem).await,
        }
    }

    /// `bpf_map_lookup_elem()` in a program; through an outer map first where the reference says so.
    async fn lookup(&self, cx: Cx<'_>, act: &Act, e: &ElemRef) -> Option<(Elem, usize)> {
        let map = self.map_of(cx, act, e.map).await?;
        let key = self.key_of(cx, act, e.key).await;
        let found = self.map_lookup(cx, map, key).await?;
        Some((found, map))
    }

    async fn map_of(&self, cx: Cx<'_>, _: &Act, m: MapRef) -> Option<usize> {
        match m {
            MapRef::Map(m) => Some(m.index()),
            MapRef::Slot(outer, slot) => self.outer_lookup(cx, outer.index(), slot as u64).await,
        }
    }

    /// `self` is what the callback's key pointer shows now: for arrays a number on its stack, else the element's key.
    async fn key_of(&self, cx: Cx<'_>, act: &Act, key: KeyRef) -> u64 {
        match (key, act.value) {
            (KeyRef::Int(n), _) => n as u64,
            (KeyRef::Local(l), _) => act.locals[local(l)],
            (KeyRef::Itself, Some(e)) if !self.maps[act.map].kind.is_array() => {
                cx.read(site!("*key", Memory), e.key()).await
            }
            (KeyRef::Itself, _) => act.key,
        }
    }

    /// The expiry that a start is given. Explored runs take the shortest of a range; timed runs draw.
    fn nsecs(&self, cx: Cx<'_>, act: &Act, nsecs: Nsecs) -> u64 {
        match nsecs {
            Nsecs::Local { base, plus } => {
                act.locals[local(base)].wrapping_add(crate::time::draw(cx, plus))
            }
            Nsecs::Of(ns) => crate::time::draw(cx, ns),
            // A time before the start of the run is as good as its start: both are over.
            Nsecs::NowOf { clock, plus } => self.clock_now(cx, clock).saturating_add_signed(plus),
        }
    }

    /// A call returned a code that the scenario does not allow, which is a finding.
    pub(crate) async fn report_ret(&self, cx: Cx<'_>, ret: i64) {
        let label = site!("return {}", Free).with(crate::arg::Arg::Code(ret).word());
        cx.step(label).run(|m| m.report(Class::WrongErrno, None)).await;
    }
}

impl Call {
    /// The timer or lock in a value that it is about.
    fn timer_or_lock(&self) -> Option<&ObjRef> {
        match self {
            Call::TimerInit(obj, _)
            | Call::TimerInitOf { timer: obj, .. }
            | Call::TimerSetCallback(obj, _)
            | Call::TimerStart(obj, ..)
            | Call::TimerCancel(obj)
            | Call::TimerCancelAsync(obj)
            | Call::SpinLock(obj)
            | Call::SpinUnlock(obj) => Some(obj),
            _ => None,
        }
    }
}

/// Whether a call may return this.
pub(crate) fn allowed(call: &Call, returns: &Returns, ret: i64) -> bool {
    match returns {
        Returns::Any => true,
        Returns::OneOf(codes) => codes.contains(&ret),
        Returns::Success => match call {
            Call::TimerCancel(_) | Call::TimerCancelAsync(_) => ret == 0 || ret == 1,
            Call::MapLookup(_)
            | Call::KtimeGetNs
            | Call::ProgExistsById(_)
            | Call::MapExistsById(_) => true,
            Call::MapCreate(_)
            | Call::ProgLoad(_)
            | Call::LinkCreate(_)
            | Call::ObjGet(_)
            | Call::MapGetFdById(_)
            | Call::IterCreate(_)
            | Call::Dup(_)
            | Call::Pin(..)
            | Call::MapKeys(_)
            | Call::MapUpdateBatch(..)
            | Call::MapDeleteBatch(..)
            | Call::MapLookupBatch(_)
            | Call::MapLookupAndDeleteBatch(_)
            | Call::ForEachElem(..) => ret >= 0,
            _ => ret == 0,
        },
    }
}

impl UpdateFlag {
    /// Its bits.
    pub(crate) fn bits(self) -> u64 {
        match self {
            UpdateFlag::Any => 0,
            UpdateFlag::NoExist => 1,
            UpdateFlag::Exist => 2,
            UpdateFlag::Lock => 4,
            UpdateFlag::Other(n) => n,
        }
    }
}
