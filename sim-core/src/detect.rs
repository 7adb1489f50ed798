//! Findings: what went wrong, where, and who was on the other side.

use crate::ids::Obj;
use crate::mem::{FrameName, Place};
use std::fmt;

/// The class of a finding. Names are stable: scripts and scenario files use them.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// An access to freed memory.
    UseAfterFree,
    /// A second free of the same memory.
    DoubleFree,
    /// Memory that nothing reaches is left at the end, or a map without users still holds a timer.
    Leak,
    /// Contexts that wait for each other, or one that waits for what nobody will do.
    Deadlock,
    /// A context waits for what it interrupted, or for itself.
    SelfDeadlock,
    /// Work that makes itself again for ever.
    SpinUnbounded,
    /// A callback started after a cancel of its timer had returned.
    CallbackAfterCancel,
    /// A callback started after the last user reference of its map was gone.
    CallbackAfterUref,
    /// A callback started for an element that had been deleted.
    CallbackAfterDelete,
    /// A timer that is armed but will never expire.
    LostTimer,
    /// Sleeping, or taking a sleeping lock, in atomic context.
    SleepInAtomic,
    /// Locks taken in opposite orders, or an interrupt-safe lock taken with interrupts on.
    LockOrder,
    /// Two unordered accesses, one of them a write, one of them plain.
    DataRace,
    /// A reference count that went below zero or was taken from zero.
    Refcount,
    /// A call returned what the scenario does not allow.
    WrongErrno,
    /// A read of memory that was never written.
    UninitRead,
    /// A pointer that points to nothing.
    WildPointer,
    /// A grace period that cannot end.
    RcuStall,
    /// An `assert` of the scenario failed.
    Assertion,
}

/// All classes, in the order of the documentation.
pub const CLASSES: [Class; 19] = [
    Class::UseAfterFree,
    Class::DoubleFree,
    Class::Leak,
    Class::Deadlock,
    Class::SelfDeadlock,
    Class::SpinUnbounded,
    Class::CallbackAfterCancel,
    Class::CallbackAfterUref,
    Class::CallbackAfterDelete,
    Class::LostTimer,
    Class::SleepInAtomic,
    Class::LockOrder,
    Class::DataRace,
    Class::Refcount,
    Class::WrongErrno,
    Class::UninitRead,
    Class::WildPointer,
    Class::RcuStall,
    Class::Assertion,
];

impl Class {
    /// The stable name, such as `USE_AFTER_FREE`.
    pub fn name(self) -> &'static str {
        match self {
            Class::UseAfterFree => "USE_AFTER_FREE",
            Class::DoubleFree => "DOUBLE_FREE",
            Class::Leak => "LEAK",
            Class::Deadlock => "DEADLOCK",
            Class::SelfDeadlock => "SELF_DEADLOCK",
            Class::SpinUnbounded => "SPIN_UNBOUNDED",
            Class::CallbackAfterCancel => "CALLBACK_AFTER_CANCEL",
            Class::CallbackAfterUref => "CALLBACK_AFTER_UREF",
            Class::CallbackAfterDelete => "CALLBACK_AFTER_DELETE",
            Class::LostTimer => "LOST_TIMER",
            Class::SleepInAtomic => "SLEEP_IN_ATOMIC",
            Class::LockOrder => "LOCK_ORDER",
            Class::DataRace => "DATA_RACE",
            Class::Refcount => "REFCOUNT",
            Class::WrongErrno => "WRONG_ERRNO",
            Class::UninitRead => "UNINIT_READ",
            Class::WildPointer => "WILD_POINTER",
            Class::RcuStall => "RCU_STALL",
            Class::Assertion => "ASSERTION",
        }
    }

    /// One sentence for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Class::UseAfterFree => "an access to freed memory",
            Class::DoubleFree => "a second free of the same memory",
            Class::Leak => {
                "memory that nothing reaches, or a timer in a map that nobody will walk again"
            }
            Class::Deadlock => "contexts that wait for each other, or for what nobody will do",
            Class::SelfDeadlock => "a context waits for itself, or for what it interrupted",
            Class::SpinUnbounded => "work that makes itself again for ever",
            Class::CallbackAfterCancel => "a callback started after a cancel of its timer returned",
            Class::CallbackAfterUref => "a callback started after the last user reference was gone",
            Class::CallbackAfterDelete => "a callback started for an element that was deleted",
            Class::LostTimer => "a timer that is armed but will never expire",
            Class::SleepInAtomic => "sleeping, or taking a sleeping lock, in atomic context",
            Class::LockOrder => "locks taken in opposite orders, or unsafely against interrupts",
            Class::DataRace => "two unordered accesses, one a write, one of them plain",
            Class::Refcount => "a reference count that went below 0 or came back from 0",
            Class::WrongErrno => "a call returned what the scenario does not allow",
            Class::UninitRead => "a read of memory that was never written",
            Class::WildPointer => "a pointer that points to nothing",
            Class::RcuStall => "a grace period that cannot end",
            Class::Assertion => "an assert of the scenario failed",
        }
    }

    /// What is looked for, and how far that reaches, in a few lines, and what to look at.
    pub fn details(self) -> &'static str {
        match self {
            Class::LockOrder => {
                "As lockdep: locks have classes (all timers' locks are one, the bucket locks of a map are one).
A class that was waited for while another was held comes after it; a class that an interrupt
takes comes after all that are held with that interrupt on. A circle is a finding, over all
schedules of a search, and in runs that did not hang. Where a schedule does hang on one of the
locks, DEADLOCK is the finding. A trylock and an rqspinlock wait for nobody, so they make no
order. Two locks of one class are a finding only if they were taken in both orders. Waiting for
a callback is no lock: such deadlocks are found by the schedules that hang. `lock-order.dot`
has the graph. Timed runs do not look for it."
            }
            Class::DataRace => {
                "As KCSAN in its strict mode: two accesses of one variable by different contexts, one a write, one
of them plain (plain_read, plain_write), and nothing orders them: no lock, no marked access of
the same variable, no interrupt that was off, no grace period. A plain write of a word counts,
too (CONFIG_KCSAN_ASSUME_PLAIN_WRITES_ATOMIC=n). Steps of the kernel model are marked accesses
or made under locks. Not looked for under memory: TSO, and by a search that is bounded by
preemptions only along the schedules that it runs."
            }
            Class::RcuStall => {
                "Somebody waits for a grace period, and a reader of it cannot go on: it waits for the one who waits
for the grace period, or spins for something that nobody else is left to do. Readers that hang
for a reason of their own are a DEADLOCK."
            }
            Class::SleepInAtomic => {
                "A mutex, or another step that sleeps, with preemption, softirqs or interrupts off, in a read section
of RCU, or under a spinlock. The same for a spinlock on PREEMPT_RT. A spinlock under a raw
spinlock is an invalid wait context on every configuration (CONFIG_PROVE_RAW_LOCK_NESTING)."
            }
            Class::UninitRead => {
                "Memory of alloc(..), or of an element that the kernel does not clear, is read before it is written."
            }
            Class::WrongErrno => {
                "A call must return what it returns on success, unless the scenario allows more where the call stands:
ret([0, EBUSY], call) these codes, may_fail(call) all. The finding names what came back."
            }
            Class::Leak => {
                "At the end of a run tasks exit, references are dropped and grace periods pass; what is then reached by
no variable, map or queue is leaked. Before that: a map without users, whose last walk over its
timers is over, still holds one."
            }
            Class::Deadlock => {
                "Contexts wait for each other, by locks, by spinning or by sleeping, or for what nobody is left to do.
The finding says who waits where, and what each holds. One that waits for itself alone is a
SELF_DEADLOCK; locks in opposite orders in a run that did not hang are a LOCK_ORDER."
            }
            Class::WildPointer => {
                "Something is reached through a word that is NULL or points to no object."
            }
            Class::UseAfterFree => {
                "As KASAN: a step reads or writes an object that was freed before, or takes a lock in it. A freed
object is kept apart (in a timed run for a while), so a late access is seen as well. In the picture look
at the free (`kfree`, `kfree_rcu`, a delete) and upwards from the access for the step that got
the pointer: `Order` says which lock, read section or reference should have covered the two."
            }
            Class::DoubleFree => {
                "An object is freed that is free already. The picture has both frees: what both were decided by
(a flag, a pointer that was not yet NULL, a count) was read by both before either wrote it.
No built-in scenario has it; raw steps can: free(\"p\") in two tasks."
            }
            Class::SelfDeadlock => {
                "At the end of a run contexts wait, and those that wait for each other are all on one CPU: one waits
for a lock that it holds, for a callback that it runs in, or for what it interrupted, which
cannot go on before it is done. It needs no second CPU: read the column from the first `lock`
or callback downwards. Where another CPU has a part in it, it is a DEADLOCK."
            }
            Class::SpinUnbounded => {
                "Work on this CPU makes more work for itself before it is done, so that it never is: from v7.0 on a
command to a timer or a work queue that is carried out may queue the next one. Real kernels go
on for ever; the model stops a chain of commands after a few links. The picture repeats one
pattern: look for the step that queues what runs next."
            }
            Class::CallbackAfterCancel => {
                "bpf_timer_cancel() has waited for the callback and taken the timer off its queue; until somebody
starts the timer again its callback must not begin. A start after the cancel takes the promise
back. In the picture look for what put the timer on the queue after `hrtimer_cancel()`.
No built-in scenario has it."
            }
            Class::CallbackAfterUref => {
                "When the last user reference of a map goes (close, exit, unpin), all its timers are cancelled and may
not be armed again: a callback that begins after that walk is a finding. In the picture look
for where the walk was when the timer was armed or moved, and for the check of `usercnt`
that came before."
            }
            Class::CallbackAfterDelete => {
                "Delete, update, eviction and the walk at the last user reference cancel the timer of an element for
good: a callback that begins after that is a finding. One that deletes its own element and goes
on is none, nor one that begins before the cancel, which may wait for a grace period. In the
picture look for `hrtimer_cancel` of bpf_timer_cancel_and_free() and the start that passed it.
No built-in scenario has it."
            }
            Class::LostTimer => {
                "At the end of a run a timer is in the queue of a CPU that is offline: nobody will take it out. In the
picture look for where timers moved off the dying CPU, and for the start that came after."
            }
            Class::Refcount => {
                "As refcount_t: a count of a map, a program, a timer or a refcount(..) variable went below 0, or one
that had reached 0 was taken again. A program that the scenario itself holds must not reach 0
either. In the picture count gets and puts: one side dropped a reference that it did not take."
            }
            Class::Assertion => {
                "The condition of an assert(..) step did not hold when the step ran. `replay` shows what was read into
each local before, and who had written it."
            }
        }
    }

    /// Whether it is seen at the end of a run, because contexts cannot go on.
    pub fn is_stuck(self) -> bool {
        matches!(self, Class::Deadlock | Class::SelfDeadlock | Class::RcuStall)
    }

    /// The class with this name.
    pub fn from_name(name: &str) -> Option<Class> {
        CLASSES.into_iter().find(|c| c.name() == name)
    }

    /// In words, for titles: `use-after-free`.
    pub fn words(self) -> String {
        self.name().to_ascii_lowercase().replace('_', "-")
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A finding as it is made during a run: no names yet, nothing allocated.
#[derive(Copy, Clone, Debug)]
pub(crate) struct RawFinding {
    pub class: Class,
    pub at: Place,
    pub other: Option<Place>,
    pub obj: Option<Obj>,
    pub alloc: u32,
}

/// A finding of one execution.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What kind.
    pub class: Class,
    /// The two functions involved, sorted; the same twice where there is one.
    pub functions: [String; 2],
    /// The step that shows it.
    pub at: Place,
    /// The other side: who freed, who holds.
    pub other: Option<Place>,
    /// The object that it is about.
    pub obj: Option<Obj>,
}

/// Identifies a finding across schedules: class and the two functions, as KCSAN titles its reports.
pub type FindingKey = (Class, FrameName, FrameName);

impl RawFinding {
    pub fn key(&self) -> FindingKey {
        let (a, b) = (self.at.func, self.other.map_or(self.at.func, |o| o.func));
        (self.class, a.min(b), a.max(b))
    }

    pub fn named(&self, names: &[String]) -> Finding {
        let name = |f: FrameName| match f {
            FrameName::Fn(f) => f.to_string(),
            FrameName::Body(i) => names.get(i as usize).cloned().unwrap_or_default(),
        };
        let mut functions = [name(self.at.func), name(self.other.map_or(self.at.func, |o| o.func))];
        functions.sort();
        Finding { class: self.class, functions, at: self.at, other: self.other, obj: self.obj }
    }
}
