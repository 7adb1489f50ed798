//! Steps of bodies: what tasks, programs and interrupts do.

use super::names::word_enum;
use super::text::{Cond, Duration, ObjExpr, SignedDuration};
use crate::span::Sp;

/// A list of steps.
pub type Body = Vec<Step>;

/// A step with its place in the file.
pub type Step = Sp<StepKind>;

/// What a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepKind {
    /// A call with a return code: helpers, bpf(2) commands, other system calls.
    Invoke(Invoke),
    /// `if("cond", [..], [..])`
    If {
        /// Sees locals only.
        cond: Sp<Cond>,
        /// Taken when it holds.
        then: Body,
        /// Taken when it does not; may be empty.
        otherwise: Body,
    },
    /// `repeat(n, [..])`
    Repeat {
        /// How often; at least 1.
        times: Sp<u64>,
        /// What.
        body: Body,
    },
    /// `assert("cond")`: sees locals only.
    Assert(Sp<Cond>),
    /// `work(D)`: keeps the CPU so long.
    Work(Sp<Duration>),
    /// `sleep(D)`: gives the CPU away so long.
    Sleep(Sp<Duration>),
    /// `at(D, step)`: waits for that time of the run, then takes the step.
    At {
        /// Time since the start of the run.
        when: Sp<Duration>,
        /// What then.
        step: Box<Step>,
    },
    /// `clock_step(CLOCK_REALTIME, D)`
    ClockStep {
        /// The clock that is set.
        clock: Sp<Clock>,
        /// By how much.
        by: Sp<SignedDuration>,
    },
    /// `suspend(D)`: the machine sleeps so long.
    Suspend(Sp<Duration>),
    /// `signal(SIG)` to itself.
    Signal(Sp<Signal>),
    /// `exit(n)`
    Exit(Sp<i64>),
    /// `unblock("task")`
    Unblock(Sp<String>),
    /// An access of shared memory.
    Access(Access),
    /// A barrier.
    Barrier(Barrier),
    /// A lock or unlock.
    Lock {
        /// Which operation.
        op: LockOp,
        /// The variable.
        lock: Sp<String>,
        /// The local that gets 1 or 0; for `trylock` only.
        into: Option<Sp<String>>,
    },
    /// A change of the context.
    Context(ContextOp),
    /// `alloc("p", "type")`
    Alloc {
        /// The local that gets the pointer.
        into: Sp<String>,
        /// The declared type.
        type_name: Sp<String>,
    },
    /// `free("p")`, at once.
    Free(Sp<String>),
    /// `call_rcu_free("p")`, after a grace period.
    CallRcuFree(Sp<String>),
    /// `rcu_read_lock()`
    RcuReadLock,
    /// `rcu_read_unlock()`
    RcuReadUnlock,
    /// `synchronize_rcu()`
    SynchronizeRcu,
    /// `wait_until("cond")`: spins and keeps the CPU.
    WaitUntil(Sp<Cond>),
    /// `sleep_until("cond")`: gives the CPU away.
    SleepUntil(Sp<Cond>),
}

/// A call, what it may return, and where its result goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoke {
    /// The call.
    pub call: Sp<Call>,
    /// What it may return without being a finding.
    pub returns: Returns,
    /// The local that gets the result.
    pub bind: Option<Sp<String>>,
}

/// The results of a call that are no finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Returns {
    /// What the call returns on success.
    Success,
    /// `ret([..], call)`: only these; an errno is negative. Never empty.
    OneOf(Vec<Sp<i64>>),
    /// `may_fail(call)`: anything.
    Any,
}

impl Returns {
    /// Whether this error (a positive errno) is no finding.
    #[must_use]
    pub fn allows_error(&self, errno: i64) -> bool {
        match self {
            Returns::Success => false,
            Returns::OneOf(codes) => codes.iter().any(|code| code.node == -errno),
            Returns::Any => true,
        }
    }

    /// Whether some error is no finding.
    #[must_use]
    pub fn allows_some_error(&self) -> bool {
        match self {
            Returns::Success => false,
            Returns::OneOf(codes) => codes.iter().any(|code| code.node < 0),
            Returns::Any => true,
        }
    }
}

/// A call. In a program `"m[7]"` as an argument is a lookup followed by the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `bpf_timer_init(E, CLOCK)`
    TimerInit {
        /// Element or its timer.
        timer: Sp<ObjExpr>,
        /// The clock.
        clock: Sp<Clock>,
    },
    /// `bpf_timer_set_callback(E, "cb")`
    TimerSetCallback {
        /// Element or its timer.
        timer: Sp<ObjExpr>,
        /// A `TIMER_CB` program.
        callback: Sp<String>,
    },
    /// `bpf_timer_start(E, D, [flag])`, `bpf_timer_start(E, "t + D", [flag])`
    TimerStart {
        /// Element or its timer.
        timer: Sp<ObjExpr>,
        /// A local that `after` is added to: a time that was read from a clock.
        since: Option<Sp<String>>,
        /// `nsecs`.
        after: Sp<Duration>,
        /// Flags; may be empty.
        flags: Vec<Sp<TimerFlag>>,
    },
    /// `bpf_timer_cancel(E)`
    TimerCancel {
        /// Element or its timer.
        timer: Sp<ObjExpr>,
    },
    /// `bpf_timer_cancel_async(E)`
    TimerCancelAsync {
        /// Element or its timer.
        timer: Sp<ObjExpr>,
    },
    /// `bpf_wq_init(E)`
    WqInit {
        /// Element or its work queue.
        wq: Sp<ObjExpr>,
    },
    /// `bpf_wq_set_callback(E, "cb")`
    WqSetCallback {
        /// Element or its work queue.
        wq: Sp<ObjExpr>,
        /// A `WQ_CB` program.
        callback: Sp<String>,
    },
    /// `bpf_wq_start(E)`
    WqStart {
        /// Element or its work queue.
        wq: Sp<ObjExpr>,
    },
    /// `bpf_map_lookup_elem(E)`
    MapLookup {
        /// Element, or slot of an outer map.
        elem: Sp<ObjExpr>,
    },
    /// `bpf_map_update_elem(E, flag, V)`
    MapUpdate {
        /// Element, or slot of an outer map.
        elem: Sp<ObjExpr>,
        /// The flag.
        flag: Sp<UpdateFlag>,
        /// What is stored; for an outer map the inner one.
        value: Option<Sp<Value>>,
    },
    /// `bpf_map_delete_elem(E)`
    MapDelete {
        /// Element, or slot of an outer map.
        elem: Sp<ObjExpr>,
    },
    /// `bpf_map_lookup_and_delete_elem(E)`
    MapLookupAndDelete {
        /// Element.
        elem: Sp<ObjExpr>,
    },
    /// `bpf_for_each_map_elem(M, "cb")`
    ForEachMapElem {
        /// The map, or the inner map in a slot.
        map: Sp<ObjExpr>,
        /// A `FOR_EACH_CB` program.
        callback: Sp<String>,
    },
    /// `bpf_ktime_get_ns()`
    KtimeGetNs,
    /// `bpf_copy_from_user()`: stands for every helper that may sleep.
    CopyFromUser,
    /// `prog_run("prog")`: `BPF_PROG_TEST_RUN`, or a hit of the attach point.
    ProgRun {
        /// The program.
        prog: Sp<String>,
    },
    /// `bpf_map_create("m")`
    MapCreate {
        /// A map, or a slot of an outer map for its inner map.
        map: Sp<ObjExpr>,
    },
    /// `bpf_prog_load("p")`
    ProgLoad {
        /// The program.
        prog: Sp<String>,
    },
    /// `bpf_link_create("p")`
    LinkCreate {
        /// The program.
        prog: Sp<String>,
    },
    /// `bpf_obj_pin("fd", "path")`
    ObjPin {
        /// A local, map or program.
        fd: Sp<ObjExpr>,
        /// Where.
        path: Sp<String>,
    },
    /// `bpf_obj_get("path")`
    ObjGet {
        /// Where.
        path: Sp<String>,
    },
    /// `bpf_map_get_fd_by_id("m")`
    MapGetFdById {
        /// A map, or a slot of an outer map for its inner map.
        map: Sp<ObjExpr>,
    },
    /// `bpf_iter_create("m")`
    IterCreate {
        /// A map, or a slot of an outer map for its inner map.
        map: Sp<ObjExpr>,
    },
    /// `pin(call)`: pins what the call gives.
    Pin(Box<Sp<Call>>),
    /// `unlink("path")`
    Unlink {
        /// What.
        path: Sp<String>,
    },
    /// `dup("fd")`
    Dup {
        /// A local, map or program.
        fd: Sp<ObjExpr>,
    },
    /// `close("fd")`
    Close {
        /// A local, map or program.
        fd: Sp<ObjExpr>,
    },
    /// `kill("task", SIG)`
    Kill {
        /// The task.
        task: Sp<String>,
        /// What it gets.
        signal: Sp<Signal>,
    },
}

word_enum! {
    /// Clocks of UAPI. A bpf_timer takes three of them; the others are there to be refused.
    Clock {
        Realtime = "CLOCK_REALTIME",
        Monotonic = "CLOCK_MONOTONIC",
        ProcessCputime = "CLOCK_PROCESS_CPUTIME_ID",
        ThreadCputime = "CLOCK_THREAD_CPUTIME_ID",
        MonotonicRaw = "CLOCK_MONOTONIC_RAW",
        RealtimeCoarse = "CLOCK_REALTIME_COARSE",
        MonotonicCoarse = "CLOCK_MONOTONIC_COARSE",
        Boottime = "CLOCK_BOOTTIME",
        RealtimeAlarm = "CLOCK_REALTIME_ALARM",
        BoottimeAlarm = "CLOCK_BOOTTIME_ALARM",
        Tai = "CLOCK_TAI",
    }
}

impl Clock {
    /// The number in UAPI.
    #[must_use]
    pub fn id(self) -> u32 {
        match self {
            Clock::Realtime => 0,
            Clock::Monotonic => 1,
            Clock::ProcessCputime => 2,
            Clock::ThreadCputime => 3,
            Clock::MonotonicRaw => 4,
            Clock::RealtimeCoarse => 5,
            Clock::MonotonicCoarse => 6,
            Clock::Boottime => 7,
            Clock::RealtimeAlarm => 8,
            Clock::BoottimeAlarm => 9,
            Clock::Tai => 11,
        }
    }
}

word_enum! {
    /// Flags of `bpf_timer_start`.
    TimerFlag {
        Abs = "BPF_F_TIMER_ABS",
        CpuPin = "BPF_F_TIMER_CPU_PIN",
    }
}

word_enum! {
    /// Flags of `bpf_map_update_elem`.
    UpdateFlag {
        Any = "BPF_ANY",
        Noexist = "BPF_NOEXIST",
        Exist = "BPF_EXIST",
        Lock = "BPF_F_LOCK",
    }
}

word_enum! {
    /// Signals.
    Signal {
        Hup = "SIGHUP",
        Int = "SIGINT",
        Quit = "SIGQUIT",
        Kill = "SIGKILL",
        Usr1 = "SIGUSR1",
        Segv = "SIGSEGV",
        Usr2 = "SIGUSR2",
        Alrm = "SIGALRM",
        Term = "SIGTERM",
    }
}

/// A value that is stored or compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Int(i64),
    /// `NULL`
    Null,
    /// What a local holds.
    Local(String),
    /// A map, where an outer map is updated.
    Map(ObjExpr),
}

/// An access of a shared variable or member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// `read`, `plain_read`, `load_acquire`
    Read {
        /// How.
        kind: ReadKind,
        /// The local that gets the value.
        into: Sp<String>,
        /// What is read.
        from: Sp<ObjExpr>,
    },
    /// `write`, `plain_write`, `store_release`
    Write {
        /// How.
        kind: WriteKind,
        /// What is written.
        to: Sp<ObjExpr>,
        /// The new value.
        value: Sp<Value>,
    },
    /// `fetch_add("r", X, n)`, fully ordered.
    FetchAdd {
        /// The local that gets the old value.
        into: Sp<String>,
        /// What is changed.
        on: Sp<ObjExpr>,
        /// By how much.
        by: Sp<Value>,
    },
    /// `xchg("r", X, V)`, fully ordered.
    Xchg {
        /// The local that gets the old value.
        into: Sp<String>,
        /// What is changed.
        on: Sp<ObjExpr>,
        /// The new value.
        value: Sp<Value>,
    },
    /// `cmpxchg("r", X, old, new)`, fully ordered.
    Cmpxchg {
        /// The local that gets the old value.
        into: Sp<String>,
        /// What is changed.
        on: Sp<ObjExpr>,
        /// Stored only if this is there.
        old: Sp<Value>,
        /// What is stored.
        new: Sp<Value>,
    },
}

word_enum! {
    /// How something is read.
    ReadKind {
        Once = "read",
        Plain = "plain_read",
        Acquire = "load_acquire",
    }
}

word_enum! {
    /// How something is written.
    WriteKind {
        Once = "write",
        Plain = "plain_write",
        Release = "store_release",
    }
}

word_enum! {
    /// Barriers.
    Barrier {
        Full = "smp_mb",
        Read = "smp_rmb",
        Write = "smp_wmb",
    }
}

word_enum! {
    /// Operations on locks.
    LockOp {
        Lock = "lock",
        Unlock = "unlock",
        Trylock = "trylock",
        LockIrqsave = "lock_irqsave",
        UnlockIrqrestore = "unlock_irqrestore",
    }
}

word_enum! {
    /// Changes of the context.
    ContextOp {
        IrqSave = "local_irq_save",
        IrqRestore = "local_irq_restore",
        BhDisable = "local_bh_disable",
        BhEnable = "local_bh_enable",
        PreemptDisable = "preempt_disable",
        PreemptEnable = "preempt_enable",
    }
}
