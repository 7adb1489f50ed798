//! Errors that the tests plant in the reduction, to see that the comparison with brute force finds them. Outside of tests
//! there are none: [`planted`] is constantly false.

use crate::ids::Obj;
use crate::step::{Access, Slot};

/// An error of the reduction, or of the table that says what a step touches.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Mutant {
    /// Contexts that wait at the end get no races.
    WaitingForgotten,
    /// A step that is not enabled before its last rival is given up.
    ImmediateRacesOnly,
    /// Reversals are scheduled without asking the guard.
    GuardNotAsked,
    /// A context that takes no part in the new continuation counts as able to begin it.
    WeakInitials,
    /// A compare-and-exchange that succeeds is logged as a read.
    SuccessIsRead,
    /// Entry of an interrupt does not write its CPU's word.
    EntryLeavesCpu,
    /// A wait declares all but the last of its variables.
    UndeclaredVariable,
    /// A grace period does not read its readers.
    ReadersNotRead,
    /// A writer does not read the readers of a reader-writer lock.
    WriterIgnoresReaders,
    /// A sleeping context sleeps on when its step conflicts with the one that was taken (in the search by states).
    NeverWoken,
    /// What contexts have learned is no part of a state.
    LearnedForgotten,
    /// What a sampled execution has shown so far is no part of a remembered state.
    HistoryForgotten,
    /// Names of contexts in values are not renamed with their contexts.
    NamesKept,
}

#[cfg(test)]
pub(crate) use hook::{planted, with};

/// Whether the error is planted.
#[cfg(not(test))]
pub(crate) const fn planted(_: Mutant) -> bool {
    false
}

/// Leaves out of a declared footprint, `fps` from `from` on, what the planted error of the table leaves out.
pub(crate) fn spoil_footprint(fps: &mut Vec<Access>, from: usize, slot: &Slot, own: Option<Obj>) {
    use crate::cpu::CpuRule;
    let entry = matches!(slot.guard.cpu, CpuRule::IrqEntry | CpuRule::SoftirqEntry);
    if planted(Mutant::EntryLeavesCpu) && entry {
        fps[from..].iter_mut().filter(|a| Some(a.obj()) == own).for_each(|a| *a = a.as_read());
    }
    let last = slot.guard.cmps.last().and_then(|c| c.objs().last());
    let reads_last = |a: &Access| Some(a.obj()) == last && !a.is_write();
    let watcher = slot.guard.cpu == CpuRule::None;
    let writer = slot.guard.cmps.len() > 1 && !slot.guard.any;
    if planted(Mutant::UndeclaredVariable) && !watcher
        || planted(Mutant::ReadersNotRead) && watcher
        || planted(Mutant::WriterIgnoresReaders) && writer && !watcher
    {
        let mut at = 0;
        fps.retain(|a| {
            at += 1;
            at <= from || !reads_last(a)
        });
    }
}

#[cfg(test)]
mod hook {
    use super::Mutant;
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Runs `f` with the error planted.
    pub(crate) fn with<R>(mutant: Option<Mutant>, f: impl FnOnce() -> R) -> R {
        struct Restore(Option<Mutant>);
        impl Drop for Restore {
            fn drop(&mut self) {
                PLANTED.set(self.0);
            }
        }
        let _restore = Restore(PLANTED.replace(mutant));
        f()
    }

    pub(crate) fn planted(mutant: Mutant) -> bool {
        PLANTED.get() == Some(mutant)
    }
}
