//! What must hold, and which faults are injected.

use super::names::word_enum;
use super::setup::Count;
use super::text::{Cond, Duration, KernelCond, ObjExpr};
use crate::span::Sp;

/// Something that must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// In no schedule.
    Never(Sp<Predicate>),
    /// In every schedule.
    Always(Sp<Predicate>),
    /// In at least one schedule.
    Sometimes(Sp<Predicate>),
    /// Only for these kernels.
    On(Sp<KernelCond>, Box<Sp<Expectation>>),
    /// Known to fail, with a reference; that it holds is a failure too.
    KnownBug(Sp<String>, Box<Sp<Expectation>>),
    /// Limits on how late callbacks are.
    Latency(LatencyLimits),
    /// A limit on the drift of a periodic timer.
    Drift {
        /// Element or map.
        of: Sp<ObjExpr>,
        /// The limit.
        max: Sp<Duration>,
    },
    /// A limit on how long a lock is held.
    Hold {
        /// The name of a variable, of a map's lock (`flows.lru_lock`), or of a kernel lock.
        lock: Sp<String>,
        /// The limit.
        max: Sp<Duration>,
    },
    /// Exact numbers of schedules of a complete search.
    Count(Count),
}

/// Limits on how late callbacks are; at least one is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatencyLimits {
    /// Element or map.
    pub of: Sp<ObjExpr>,
    /// Median.
    pub p50: Option<Sp<Duration>>,
    /// 99th percentile.
    pub p99: Option<Sp<Duration>>,
    /// 99.9th percentile.
    pub p999: Option<Sp<Duration>>,
    /// The largest one.
    pub max: Option<Sp<Duration>>,
}

/// Something that is true of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    /// A finding of that class.
    Class(BugClass),
    /// The second comes after the first.
    After(Box<Sp<Predicate>>, Box<Sp<Predicate>>),
    /// The second comes while the first is going on.
    During(Box<Sp<Predicate>>, Box<Sp<Predicate>>),
    /// It comes inside a call of the function.
    Within(Sp<String>, Box<Sp<Predicate>>),
    /// Two functions run at the same time.
    Overlap(Sp<String>, Sp<String>),
    /// A callback starts.
    Entered(Sp<String>),
    /// A callback is running.
    Running(Sp<String>),
    /// An object of the type is never freed.
    Leaked(Sp<String>),
    /// The last user reference of a map goes.
    UrefZero(Sp<ObjExpr>),
    /// An element is evicted.
    Evicted(Sp<ObjExpr>),
    /// True at the end of the run.
    Final(Sp<Cond>),
    /// A function, program or task returned the code; an errno is negative.
    Returned(Sp<String>, Sp<i64>),
    /// A function was entered.
    Called(Sp<String>),
}

impl Predicate {
    /// Calls `f` with this predicate and each one inside it.
    pub fn for_each<'a>(&'a self, f: &mut dyn FnMut(&'a Predicate)) {
        f(self);
        match self {
            Predicate::After(a, b) | Predicate::During(a, b) => {
                a.for_each(f);
                b.for_each(f);
            }
            Predicate::Within(_, inner) => inner.for_each(f),
            _ => {}
        }
    }

    /// Whether it names a class of bugs or a leak.
    #[must_use]
    pub fn names_bug(&self) -> bool {
        let mut found = false;
        self.for_each(&mut |p| found |= matches!(p, Predicate::Class(_) | Predicate::Leaked(_)));
        found
    }
}

word_enum! {
    /// Classes of findings; the names are stable.
    BugClass {
        UseAfterFree = "USE_AFTER_FREE",
        DoubleFree = "DOUBLE_FREE",
        Leak = "LEAK",
        Deadlock = "DEADLOCK",
        SelfDeadlock = "SELF_DEADLOCK",
        SpinUnbounded = "SPIN_UNBOUNDED",
        CallbackAfterCancel = "CALLBACK_AFTER_CANCEL",
        CallbackAfterUref = "CALLBACK_AFTER_UREF",
        LostTimer = "LOST_TIMER",
        SleepInAtomic = "SLEEP_IN_ATOMIC",
        LockOrder = "LOCK_ORDER",
        DataRace = "DATA_RACE",
        Refcount = "REFCOUNT",
        WrongErrno = "WRONG_ERRNO",
        CallbackAfterDelete = "CALLBACK_AFTER_DELETE",
        UninitRead = "UNINIT_READ",
        WildPointer = "WILD_POINTER",
        RcuStall = "RCU_STALL",
        Assertion = "ASSERTION",
        AnyBug = "ANY_BUG",
    }
}

/// A fault to inject. Kernel functions are open names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Allocations in a function fail.
    Enomem {
        /// The function.
        function: Sp<String>,
        /// Which of them, from 1; empty: all.
        nth: Vec<Sp<u32>>,
    },
    /// Each allocation in a function may fail: a choice.
    MayEnomem {
        /// The function.
        function: Sp<String>,
    },
    /// The limit of a memory cgroup is reached from the start.
    MemcgFull(Sp<String>),
}
