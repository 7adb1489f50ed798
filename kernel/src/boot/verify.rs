//! What map creation and the verifier refuse (maps.md section 7), as far as a world can say it.
//!
//! A program is walked as the verifier does: operation by operation, the first error counts; callbacks after the program
//! that sets them.

use super::need::{self, each_op};
use crate::errno::{EACCES, EINVAL, EOPNOTSUPP};
use crate::flags::Flags;
use crate::world::{
    Call, CmpOp, Cond, ElemRef, FieldDef, FieldIx, FieldKind, KeyRef, LocalId, MapDef, MapKind,
    MapRef, ObjRef, Op, OpKind, Operand, Place, ProgDef, ProgKind, TypeDef, ValueRef, World,
};
use std::collections::BTreeMap;

/// What `BPF_MAP_CREATE` gives: `map_check_btf()`.
pub(super) fn create_ret(w: &World, m: &MapDef, flags: &Flags) -> i64 {
    // Without BTF the kernel does not know what is in a value.
    let value = w.types.get(m.value.index()).filter(|_| !m.flags.no_btf && !m.kind.is_outer());
    let has = |k| value.is_some_and(|t| t.fields.iter().any(|f| f.kind == k));
    if matches!(m.kind, MapKind::Queue | MapKind::Stack) && !m.flags.no_btf {
        // They take no BTF at all.
        return EINVAL;
    }
    if m.kind == MapKind::CgrpStorage && !flags.cgrp_storage {
        return EINVAL;
    }
    if m.kind == MapKind::Rhash && !(flags.rhash && m.flags.no_prealloc) {
        return EINVAL;
    }
    let special = has(FieldKind::BpfTimer) || flags.bpf_wq && has(FieldKind::BpfWq);
    if !special {
        return 0;
    }
    // The consolidation of special fields in v6.2 brought the second flag.
    if m.flags.rdonly_prog || m.flags.wronly_prog && flags.map_free_fields {
        return EACCES;
    }
    match m.kind {
        MapKind::Hash | MapKind::LruHash | MapKind::Array | MapKind::Rhash => 0,
        _ => EOPNOTSUPP,
    }
}

/// What loading the program gives.
pub(super) fn load_ret(w: &World, p: &ProgDef, flags: &Flags) -> i64 {
    if matches!(p.kind, ProgKind::TimerCb | ProgKind::WqCb | ProgKind::ForEachCb) {
        // A subprogram: judged with each program that names it.
        return 0;
    }
    if p.kind == ProgKind::Netfilter && !flags.netfilter_progs {
        return EINVAL;
    }
    // 5e0bc3082e2e: by the maps that the program uses.
    let classic = matches!(p.kind, ProgKind::Kprobe | ProgKind::PerfEvent);
    if classic && flags.no_timers_in_tracing && uses_timer_map(w, p) {
        return EINVAL;
    }
    let mut v = Verifier { w, flags, callbacks: Vec::new(), locked: false };
    let mut walked = v.walk(&p.body.ops, &mut BTreeMap::new());
    let mut at = 0;
    while walked.is_ok() && at < v.callbacks.len() {
        walked = v.callback(v.callbacks[at]);
        at += 1;
    }
    match walked {
        Err(code) => code,
        Ok(_) if sleeps_where_it_must_not(w, p, flags) => EINVAL,
        Ok(_) => 0,
    }
}

fn uses_timer_map(w: &World, p: &ProgDef) -> bool {
    let at = w.progs.iter().position(|other| std::ptr::eq(other, p));
    let used = at.map_or_else(Vec::new, |at| need::used_maps(w, at));
    let timer = |t: &TypeDef| t.fields.iter().any(|f| f.kind == FieldKind::BpfTimer);
    used.iter().any(|m| {
        !w.maps[*m].flags.no_btf && w.types.get(w.maps[*m].value.index()).is_some_and(timer)
    })
}

/// Helpers that sleep are for sleepable programs. A timer callback runs in softirq, but was judged as the program that
/// sets it (469d638d1520).
fn sleeps_where_it_must_not(w: &World, p: &ProgDef, flags: &Flags) -> bool {
    let sleepable = p.sleepable || p.kind == ProgKind::Syscall;
    let mut refused = !sleepable && sleeps(p);
    each_op(&p.body.ops, &mut |op| {
        // A callback of a walk is judged as the program that walks.
        if let OpKind::Call { call: Call::ForEachElem(_, f), .. } = &op.kind {
            refused |= !sleepable && w.progs.get(f.index()).is_some_and(sleeps);
        }
    });
    each_op(&p.body.ops, &mut |op| {
        if let OpKind::Call { call: Call::TimerSetCallback(_, f), .. } = &op.kind {
            let accepted = sleepable && !flags.callback_not_sleepable;
            refused |= !accepted && w.progs.get(f.index()).is_some_and(sleeps);
        }
    });
    refused
}

/// Whether the body calls a helper that may sleep.
fn sleeps(p: &ProgDef) -> bool {
    let mut sleeps = false;
    each_op(&p.body.ops, &mut |op| {
        sleeps |= matches!(&op.kind, OpKind::Call { call: Call::CopyFromUser, .. });
    });
    sleeps
}

/// Locals that hold the result of a look-up: whether it is known not to be NULL, and the map.
type Pointers = BTreeMap<LocalId, (bool, Option<usize>)>;

struct Verifier<'w> {
    w: &'w World,
    flags: &'w Flags,
    /// Callbacks that were set, in order.
    callbacks: Vec<usize>,
    /// A `bpf_spin_lock` is held.
    locked: bool,
}

impl Verifier<'_> {
    fn callback(&mut self, f: usize) -> Result<bool, i64> {
        let Some(p) = self.w.progs.get(f) else { return Ok(false) };
        let body = &p.body.ops;
        self.walk(body, &mut BTreeMap::new())?;
        let mut bad = false;
        if p.kind == ProgKind::ForEachCb {
            // It may stop the walk with 1.
            return Ok(false);
        }
        // "At async callback return the register R0 should have been 0."
        each_op(body, &mut |op| {
            bad |= matches!(op.kind, OpKind::Return(v) if v != Operand::Int(0))
        });
        if bad { Err(EINVAL) } else { Ok(false) }
    }

    /// Walks operations; whether they end the program.
    fn walk(&mut self, ops: &[Op], known: &mut Pointers) -> Result<bool, i64> {
        for op in ops {
            match &op.kind {
                OpKind::Call { call, bind, .. } => {
                    self.call(call, known)?;
                    if let (Call::MapLookup(e), Some(l)) = (call, bind) {
                        known.insert(*l, (self.is_sure(e), self.map_of(e)));
                    }
                }
                OpKind::If { cond, then, otherwise } => {
                    let (mut yes, mut no) = (known.clone(), known.clone());
                    tell(cond, true, &mut yes);
                    tell(cond, false, &mut no);
                    let ends = (self.walk(then, &mut yes)?, self.walk(otherwise, &mut no)?);
                    match ends {
                        (true, true) => return Ok(true),
                        (true, false) => *known = no,
                        (false, true) => *known = yes,
                        (false, false) => {
                            for (l, p) in known.iter_mut() {
                                let sure = |of: &Pointers| of.get(l).is_some_and(|p| p.0);
                                p.0 = sure(&yes) && sure(&no);
                            }
                        }
                    }
                }
                OpKind::Repeat { body, .. } => {
                    self.walk(body, known)?;
                }
                OpKind::Return(_) => return Ok(true),
                OpKind::Read { from, .. } => self.access(from, false, known)?,
                OpKind::Write { to, .. } => self.access(to, true, known)?,
                OpKind::FetchAdd { on, .. }
                | OpKind::Xchg { on, .. }
                | OpKind::Cmpxchg { on, .. } => self.access(on, true, known)?,
                _ => {}
            }
        }
        Ok(false)
    }

    fn call(&mut self, call: &Call, known: &Pointers) -> Result<(), i64> {
        match call {
            Call::SpinLock(_) => self.locked = true,
            Call::SpinUnlock(_) => self.locked = false,
            // "function calls are not allowed while holding a lock"
            _ if self.locked => return Err(EINVAL),
            // A kfunc that this kernel does not have.
            Call::TimerCancelAsync(_) if !self.flags.cancel_async => return Err(EINVAL),
            // "write into map forbidden"
            Call::MapUpdate { elem, .. } | Call::MapDelete(elem)
                if self.map(elem).is_some_and(|m| m.flags.rdonly_prog) =>
            {
                return Err(EACCES);
            }
            _ => {}
        }
        if let Call::ForEachElem(_, f) = call {
            if !self.callbacks.contains(&f.index()) {
                self.callbacks.push(f.index());
            }
            return Ok(());
        }
        if let Call::WqInit(o, _) | Call::WqStart(o, _) = call {
            return self.work(o, known);
        }
        if let Call::WqSetCallback(o, f) = call {
            self.work(o, known)?;
            if !self.callbacks.contains(&f.index()) {
                self.callbacks.push(f.index());
            }
            return Ok(());
        }
        let Some(obj) = timer_of(call) else { return Ok(()) };
        self.timer(obj, known)?;
        if let Call::TimerInitOf { timer, map, .. } = call
            && self.value_map(timer, known) != Some(map.index())
        {
            // "timer pointer in R1 doesn't match map pointer in R2"
            return Err(EINVAL);
        }
        if let Call::TimerSetCallback(_, f) = call
            && !self.callbacks.contains(&f.index())
        {
            self.callbacks.push(f.index());
        }
        Ok(())
    }

    /// `process_timer_func()`: what points to a timer.
    fn timer(&self, o: &ObjRef, known: &Pointers) -> Result<(), i64> {
        let refused = if self.flags.verifier_einval { EINVAL } else { EACCES };
        match &o.value {
            // "R1 type=ctx expected=map_value", and of a pointer that may be NULL alike.
            ValueRef::Context => return Err(EACCES),
            ValueRef::Local(l) if known.get(l).is_some_and(|p| !p.0) => return Err(EACCES),
            _ => {}
        }
        let map = self.value_map(o, known).and_then(|m| self.w.maps.get(m));
        if let Some(m) = map {
            let ty = self.w.types.get(m.value.index());
            let timer = FieldKind::BpfTimer;
            if m.flags.no_btf || ty.is_some_and(|t| !self.names_the(timer, t, o)) {
                return Err(refused);
            }
        }
        // e25ddfb388c8
        if self.flags.rt_refused {
            return Err(if self.flags.verifier_einval { EOPNOTSUPP } else { EACCES });
        }
        Ok(())
    }

    /// `process_wq_func()`: what points to a work queue. There are none before 81f1d7a583fa.
    fn work(&self, o: &ObjRef, known: &Pointers) -> Result<(), i64> {
        match &o.value {
            _ if !self.flags.bpf_wq => return Err(EINVAL),
            ValueRef::Context => return Err(EINVAL),
            ValueRef::Local(l) if known.get(l).is_some_and(|p| !p.0) => return Err(EACCES),
            _ => {}
        }
        let Some(m) = self.value_map(o, known).and_then(|m| self.w.maps.get(m)) else {
            return Ok(());
        };
        let ty = self.w.types.get(m.value.index());
        let named = ty.is_none_or(|t| self.names_the(FieldKind::BpfWq, t, o));
        if m.flags.no_btf || !named { Err(EINVAL) } else { Ok(()) }
    }

    /// A load or store of a member: never of a timer's bytes, and as the map's flags allow.
    fn access(&self, place: &Place, write: bool, known: &Pointers) -> Result<(), i64> {
        let (map, field) = match place {
            Place::ValueMember(ValueRef::Elem(e), f) => (self.map_of(e), *f),
            Place::ValueMember(ValueRef::Local(l), f) | Place::Member(l, f) => match known.get(l) {
                Some((false, _)) => return Err(EACCES),
                Some((true, map)) => (*map, *f),
                None => return Ok(()),
            },
            // The value of a callback: that of the maps whose timers it is set for, which all have such a member.
            Place::ValueMember(_, f) => (self.w.maps.iter().position(|m| self.timer_at(m, *f)), *f),
            Place::Var(_) => return Ok(()),
        };
        let Some(m) = map.and_then(|m| self.w.maps.get(m)) else { return Ok(()) };
        let own = |f: &FieldDef| matches!(f.kind, FieldKind::BpfTimer | FieldKind::BpfWq);
        let ty = self.w.types.get(m.value.index()).and_then(|t| t.fields.get(field.index()));
        let forbidden = write && m.flags.rdonly_prog || !write && m.flags.wronly_prog;
        if forbidden || !m.flags.no_btf && ty.is_some_and(own) { Err(EACCES) } else { Ok(()) }
    }

    fn timer_at(&self, m: &MapDef, f: FieldIx) -> bool {
        let ty = self.w.types.get(m.value.index()).and_then(|t| t.fields.get(f.index()));
        ty.is_some_and(|f| matches!(f.kind, FieldKind::BpfTimer | FieldKind::BpfWq))
    }

    fn map_of(&self, e: &ElemRef) -> Option<usize> {
        match e.map {
            MapRef::Map(m) => Some(m.index()),
            MapRef::Slot(..) => None,
        }
    }

    fn map(&self, e: &ElemRef) -> Option<&MapDef> {
        self.w.maps.get(self.map_of(e)?)
    }

    fn value_map(&self, o: &ObjRef, known: &Pointers) -> Option<usize> {
        match &o.value {
            ValueRef::Elem(e) => self.map_of(e),
            ValueRef::Local(l) => known.get(l)?.1,
            ValueRef::Value | ValueRef::Context => None,
        }
    }

    /// d2102f2f5d75: a constant index inside an array needs no test.
    fn is_sure(&self, e: &ElemRef) -> bool {
        let (Some(m), KeyRef::Int(k)) = (self.map(e), e.key) else { return false };
        let inside = (0..i64::from(m.max_entries)).contains(&k);
        self.flags.lookup_nullness && m.kind == MapKind::Array && inside
    }

    /// One of its kind in the value, at an aligned place, and the argument points to it. Nested ones count with 64e8ee814819.
    fn names_the(&self, kind: FieldKind, ty: &TypeDef, o: &ObjRef) -> bool {
        let seen = |f: &&FieldDef| {
            let nested = f.name.contains(['.', '[']);
            f.kind == kind && (!nested || self.flags.nested_fields)
        };
        let all: Vec<_> = ty.fields.iter().filter(seen).collect();
        let [one] = all[..] else { return false };
        let field = o.field.and_then(|f| ty.fields.get(f.index()));
        let aligned = one.offset % 8 == 0;
        aligned && field.is_none_or(|f| f == one) && o.byte.is_none_or(|b| b == one.offset)
    }
}

/// What a branch knows of the pointers that its condition names.
fn tell(cond: &Cond, holds: bool, known: &mut Pointers) {
    match cond {
        Cond::Cmp(a, op, b) => {
            let ((Operand::Local(l), other) | (other, Operand::Local(l))) = (a, b) else { return };
            let null = matches!(other, Operand::Null | Operand::Int(0));
            let differs = *op == if holds { CmpOp::Ne } else { CmpOp::Eq };
            if let Some(p) = known.get_mut(l).filter(|_| null && differs) {
                p.0 = true;
            }
        }
        Cond::All(all) if holds => all.iter().for_each(|c| tell(c, true, known)),
        Cond::Any(all) if !holds => all.iter().for_each(|c| tell(c, false, known)),
        Cond::All(_) | Cond::Any(_) => {}
    }
}

fn timer_of(call: &Call) -> Option<&ObjRef> {
    match call {
        Call::TimerInit(o, _)
        | Call::TimerInitOf { timer: o, .. }
        | Call::TimerSetCallback(o, _)
        | Call::TimerStart(o, ..)
        | Call::TimerCancel(o)
        | Call::TimerCancelAsync(o) => Some(o),
        _ => None,
    }
}
