//! What `bpf_timer` promises, and how a broken promise is found.
//!
//! The ghost word [`crate::objects::Timer::promise`] is written in the locked step of `hrtimer_cancel` and cleared by
//! the next start; a callback that starts reads it. [`crate::objects::MapObj::released`] says that the walk of
//! `map_release_uref` is over. Both are shared objects in the footprints of those steps, so that the verdict is a
//! function of the state.
//!
//! What a kernel's own rules allow is no finding: a callback whose element was unlinked but whose timer is cancelled
//! only after a grace period (NO_PREALLOC up to v6.0), or one that deletes its own element and goes on.

use crate::kernel::Kernel;
use crate::objects::{AsyncCmd, BpfWork, MapObj, Timer};
use std::collections::BTreeSet;
use timerace_core::detect::Class;
use timerace_core::mem::{FrameName, Mem, Place, Ptr, Word};
use timerace_core::{CtxId, Obj};

/// Nothing is promised: the timer may fire.
pub(crate) const NONE: u64 = 0;
/// `bpf_timer_cancel` has returned, or is about to.
pub(crate) const CANCELLED: u64 = 1;
/// The element's timer was cancelled for good: by delete, update, eviction, or the last user reference.
pub(crate) const FREED: u64 = 2;

/// A callback starts: reports what this breaks. The step declares reads of both ghosts.
pub(crate) fn callback_starts(m: &mut Mem, t: Timer, map: MapObj) {
    match m.load(t.promise()) {
        CANCELLED => m.report(Class::CallbackAfterCancel, Some(t.promise().obj())),
        FREED => m.report(Class::CallbackAfterDelete, Some(t.promise().obj())),
        _ => {}
    }
    let released = m.load(map.released());
    if released != 0 {
        let walker = walker(m, released);
        m.report_with(Class::CallbackAfterUref, Some(map.released().obj()), walker);
    }
}

/// A timer was put into a map whose release walk is over: nobody will look for it. `released` names the walker.
pub(crate) fn late_timer(m: &mut Mem, t: Timer, released: u64) {
    let walker = walker(m, released);
    m.report_with(Class::Leak, Some(t.promise().obj()), walker);
}

/// The one whose walk is over.
fn walker(m: &Mem, released: u64) -> Place {
    let ctx = CtxId((released - 1) as u16);
    Place { ctx, func: FrameName::Fn("bpf_map_put_uref"), ..m.place() }
}

/// The release walk of a map is over and a slot holds a timer that it did not see.
pub(crate) fn timer_left(m: &mut Mem, t: Option<Ptr>, slot: Obj) {
    m.report(Class::Leak, Some(t.map_or(slot, Ptr::alive)));
}

impl Kernel {
    /// Judges the end of an execution: heap objects that no map, queue, list or variable reaches.
    ///
    /// A timer is reached by the slot of an element (the walk at the last user reference frees it), by a queue, or by
    /// work and callbacks that wait; an object of a raw type by a variable, a member of a reached object, or a callback.
    pub(crate) fn judge_end(&self, m: &mut Mem) {
        self.judge_offline(m);
        let mut timers = m.living(self.ty.timer);
        timers.extend(m.living(self.ty.cmd));
        timers.extend(m.living(self.ty.work));
        let raw: Vec<Ptr> = self.ty.raw.iter().flat_map(|ty| m.living(*ty)).collect();
        if timers.is_empty() && raw.is_empty() {
            return;
        }
        // What a stuck context was about to free or publish is in its locals: the deadlock is the finding.
        if m.findings(&[]).iter().any(|f| f.class.is_stuck()) {
            return;
        }
        let reached = self.reached(m);
        for p in timers.into_iter().chain(raw) {
            if !reached.contains(&p.to_word()) {
                m.report(Class::Leak, Some(p.alive()));
            }
        }
    }

    fn reached(&self, m: &Mem) -> BTreeSet<u64> {
        let mut words = Vec::new();
        for (map, ty) in self.maps.iter().zip(&self.ty.elems) {
            let living = m.living(*ty);
            let elems = living.iter().copied().chain(map.elems.iter().map(|e| e.0));
            let fields =
                crate::objects::ELEM_HEADER.len() as u32 + 64 - map.scalars.leading_zeros();
            for e in elems {
                words.extend((0..fields).map(|f| m.peek(e.field::<u64>(f).obj())));
            }
        }
        for b in &self.bases {
            words.extend(m.peek_queue(b.queue).in_order().iter().map(|e| e.timer));
        }
        for c in &self.cpus {
            for l in [c.work, c.rcu, c.rcu_trace, c.rcu_done, c.irq_work] {
                words.extend(m.peek_items(l));
            }
        }
        words.extend(self.vars.iter().flat_map(|v| &v.objs).map(|o| m.peek(*o)));
        let mut reached = BTreeSet::new();
        while let Some(w) = words.pop() {
            let Some(p) = crate::rcu::pointer(w) else { continue };
            let word = p.to_word();
            if !reached.insert(word) {
                continue;
            }
            words.extend(self.commands_of(m, p));
            if let Some(n) = self.raw_fields(m, p) {
                words.extend((0..n).map(|f| m.peek(p.field::<u64>(f).obj())));
            }
        }
        reached
    }

    /// What a timer's list of commands, or a command, leads to.
    fn commands_of(&self, m: &Mem, p: Ptr) -> Option<u64> {
        let ty = m.type_of(p)?;
        if self.flags.lock_free && ty == self.ty.timer {
            return Some(m.peek(Timer(p).async_cmds().obj()));
        }
        if self.flags.lock_free && ty == self.ty.work {
            return Some(m.peek(BpfWork(p).cb().async_cmds.obj()));
        }
        (ty == self.ty.cmd).then(|| m.peek(AsyncCmd(p).next().obj()))
    }

    /// How many members an object of a raw type has; `None` for other objects.
    fn raw_fields(&self, m: &Mem, p: Ptr) -> Option<u32> {
        let ty = m.type_of(p)?;
        let at = self.ty.raw.iter().position(|raw| *raw == ty)?;
        Some(self.world.types[at].fields.len() as u32)
    }
}
