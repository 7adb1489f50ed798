//! What bodies do: operations, the objects they name, conditions.

use super::{FieldIx, LineId, LocalId, MapId, Ns, PathId, ProgId, TaskId, TypeIx, VarId};

/// The steps of a task, program, callback or interrupt, with the names of its locals.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Body {
    /// In order.
    pub ops: Vec<Op>,
    /// Names of locals, by [`LocalId`].
    pub locals: Vec<String>,
}

/// A step of a body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Op {
    /// What it does.
    pub kind: OpKind,
    /// Where it stands in the source.
    pub at: LineId,
    /// As the user wrote it, such as `bpf_timer_cancel("timers[7]")`.
    pub text: String,
}

/// What an operation does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpKind {
    /// A call with a return code.
    Call {
        /// Which.
        call: Call,
        /// What it may return.
        returns: Returns,
        /// The local that gets the result: the return code, a pointer, or a file descriptor.
        bind: Option<LocalId>,
    },
    /// Sees locals only.
    If {
        /// Decides.
        cond: Cond,
        /// Taken when it holds.
        then: Vec<Op>,
        /// Taken when it does not.
        otherwise: Vec<Op>,
    },
    /// So often in sequence.
    Repeat {
        /// How often.
        times: u64,
        /// What.
        body: Vec<Op>,
    },
    /// Sees locals only; a false one is a finding of class `ASSERTION`.
    Assert(Cond),
    /// Keeps the CPU so long.
    Work(Ns),
    /// Gives the CPU away so long.
    Sleep(Ns),
    /// Waits for that time of the run.
    SleepUntilTime(Ns),
    /// Sets a clock of UAPI by so many nanoseconds.
    ClockStep {
        /// 0 is `CLOCK_REALTIME`.
        clock: u32,
        /// By how much.
        by_ns: i64,
    },
    /// The machine sleeps so long.
    Suspend(Ns),
    /// A signal to itself.
    Signal(Signal),
    /// The end of the process: its file descriptors are closed in the order of their numbers.
    Exit(i64),
    /// The end of a program or callback, with this result.
    Return(Operand),
    /// Lets a blocked task begin.
    Unblock(TaskId),
    /// The task goes on on another CPU.
    SetCpu(u16),
    /// Waits until so many callbacks have begun since the start, or for so long.
    WaitCallbacks {
        /// How many.
        count: u64,
        /// At most so long in timed runs.
        timeout_ns: u64,
    },
    /// READ_ONCE and its relatives.
    Read {
        /// How.
        order: Order,
        /// Gets the value.
        into: LocalId,
        /// What is read.
        from: Place,
    },
    /// WRITE_ONCE and its relatives.
    Write {
        /// How.
        order: Order,
        /// What is written.
        to: Place,
        /// The new value.
        value: Operand,
    },
    /// `fetch_add`, fully ordered.
    FetchAdd {
        /// Gets the old value.
        into: LocalId,
        /// What is changed.
        on: Place,
        /// By how much.
        by: Operand,
    },
    /// `xchg`, fully ordered.
    Xchg {
        /// Gets the old value.
        into: LocalId,
        /// What is changed.
        on: Place,
        /// The new value.
        value: Operand,
    },
    /// `cmpxchg`, fully ordered.
    Cmpxchg {
        /// Gets the old value.
        into: LocalId,
        /// What is changed.
        on: Place,
        /// Compared with.
        old: Operand,
        /// Stored if equal.
        new: Operand,
    },
    /// `smp_mb`, `smp_rmb`, `smp_wmb`.
    Barrier(Barrier),
    /// `lock`
    Lock(VarId),
    /// `unlock`
    Unlock(VarId),
    /// `trylock`: 1 or 0 into the local.
    Trylock(LocalId, VarId),
    /// `lock_irqsave`
    LockIrqsave(VarId),
    /// `unlock_irqrestore`
    UnlockIrqrestore(VarId),
    /// `local_irq_save` and the like.
    Context(ContextOp),
    /// `alloc("p", "type")`
    Alloc(LocalId, TypeIx),
    /// `free("p")`
    Free(LocalId),
    /// `call_rcu_free("p")`
    CallRcuFree(LocalId),
    /// `rcu_read_lock()`
    RcuReadLock,
    /// `rcu_read_unlock()`
    RcuReadUnlock,
    /// `synchronize_rcu()`
    SynchronizeRcu,
    /// Spins until the condition holds and keeps the CPU.
    WaitUntil(Cond),
    /// Sleeps until the condition holds.
    SleepUntil(Cond),
}

/// The results of a call that are no finding.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Returns {
    /// 0; for cancels also 1; for lookups anything; for calls that give a file descriptor, one.
    #[default]
    Success,
    /// Only these; an errno is negative.
    OneOf(Vec<i64>),
    /// Anything.
    Any,
}

/// A call with a return code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// `bpf_timer_init(timer, flags)`; the low four bits of `flags` are the clock's number in UAPI.
    TimerInit(ObjRef, u64),
    /// `bpf_timer_init` with a map that may be another one than the timer's: the verifier refuses that.
    TimerInitOf {
        /// The timer.
        timer: ObjRef,
        /// The map argument.
        map: MapId,
        /// As in [`Call::TimerInit`].
        flags: u64,
    },
    /// `bpf_timer_set_callback`
    TimerSetCallback(ObjRef, ProgId),
    /// `bpf_timer_start(timer, nsecs, flags)`
    TimerStart(ObjRef, Nsecs, u64),
    /// `bpf_timer_cancel`
    TimerCancel(ObjRef),
    /// `bpf_timer_cancel_async`
    TimerCancelAsync(ObjRef),
    /// `bpf_wq_init(wq, flags)`
    WqInit(ObjRef, u64),
    /// `bpf_wq_set_callback`
    WqSetCallback(ObjRef, ProgId),
    /// `bpf_wq_start(wq, flags)`
    WqStart(ObjRef, u64),
    /// `bpf_spin_lock` of the value's lock.
    SpinLock(ObjRef),
    /// `bpf_spin_unlock`
    SpinUnlock(ObjRef),
    /// `bpf_map_lookup_elem`; of an outer map's slot: the inner map.
    MapLookup(ElemRef),
    /// `bpf_map_update_elem(elem, flags, value)`
    MapUpdate {
        /// Element, or slot of an outer map.
        elem: ElemRef,
        /// The flag.
        flag: UpdateFlag,
        /// What the value's first integer becomes; of an outer map's slot: the inner map.
        value: Option<Operand>,
    },
    /// `bpf_map_delete_elem`
    MapDelete(ElemRef),
    /// `bpf_map_lookup_and_delete_elem`
    MapLookupAndDelete(ElemRef),
    /// `BPF_MAP_UPDATE_BATCH` of these keys and values; 0 or the first error. How many were done is logged as data.
    MapUpdateBatch(MapRef, Vec<(i64, i64)>, UpdateFlag),
    /// `BPF_MAP_DELETE_BATCH` of these keys.
    MapDeleteBatch(MapRef, Vec<i64>),
    /// `BPF_MAP_LOOKUP_BATCH` of all elements.
    MapLookupBatch(MapRef),
    /// `BPF_MAP_LOOKUP_AND_DELETE_BATCH` of all elements.
    MapLookupAndDeleteBatch(MapRef),
    /// All keys, by `BPF_MAP_GET_NEXT_KEY`.
    MapKeys(MapRef),
    /// `bpf_for_each_map_elem(map, callback)`: in programs.
    ForEachElem(MapRef, ProgId),
    /// `bpf_ktime_get_ns`: in programs.
    KtimeGetNs,
    /// `bpf_copy_from_user`, which stands for every helper that may sleep: in programs.
    CopyFromUser,
    /// `BPF_PROG_TEST_RUN`, or a hit of the attach point.
    ProgRun(ProgId),
    /// `BPF_MAP_CREATE`
    MapCreate(MapId),
    /// `BPF_PROG_LOAD`
    ProgLoad(ProgId),
    /// `BPF_LINK_CREATE`
    LinkCreate(ProgId),
    /// `BPF_OBJ_PIN`
    ObjPin(FdRef, PathId),
    /// `BPF_OBJ_GET`
    ObjGet(PathId),
    /// `BPF_MAP_GET_FD_BY_ID`
    MapGetFdById(MapId),
    /// `BPF_ITER_CREATE`
    IterCreate(MapId),
    /// Pins what the call gives, at a path of its own.
    Pin(Box<Call>, PathId),
    /// `unlink`
    Unlink(PathId),
    /// `dup`
    Dup(FdRef),
    /// `close`
    Close(FdRef),
    /// `kill`
    Kill(TaskId, Signal),
    /// Whether a program with that id still exists: 1 or 0. Polled: waits until it is gone, at most 0.4 s.
    ProgExistsById(ProgId),
    /// Whether a map with that id still exists: 1 or 0. Polled as for programs.
    MapExistsById(MapId),
}

/// A map, as an operation names it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum MapRef {
    /// A map. In a task: through its file descriptor.
    Map(MapId),
    /// In a program: what a lookup of the outer map's slot gives.
    Slot(MapId, i64),
}

/// A key, as an operation names it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum KeyRef {
    /// A number.
    Int(i64),
    /// `self`: what `*key` of the callback is now.
    Itself,
    /// A local.
    Local(LocalId),
}

/// An element, or a slot of an outer map.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ElemRef {
    /// The map.
    pub map: MapRef,
    /// The key.
    pub key: KeyRef,
}

/// The value that a helper works on.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum ValueRef {
    /// A lookup followed by the call; the call is not made if the element is absent.
    Elem(ElemRef),
    /// A pointer from a lookup.
    Local(LocalId),
    /// The value that the callback was called with.
    Value,
    /// The program's context, which is no value: the verifier refuses it.
    Context,
}

/// A timer or work queue: a value, and the member in it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ObjRef {
    /// The value.
    pub value: ValueRef,
    /// The member; `None`: the only one of its kind.
    pub field: Option<FieldIx>,
    /// A byte of the value instead of a member (what the verifier refuses).
    pub byte: Option<u32>,
}

/// The expiry of a timer.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Nsecs {
    /// So many nanoseconds, as the helper gets them.
    Of(Ns),
    /// The current time of a clock of UAPI plus so many nanoseconds.
    NowOf {
        /// 0 is `CLOCK_REALTIME`, 1 `CLOCK_MONOTONIC`, 7 `CLOCK_BOOTTIME`.
        clock: u32,
        /// Added to it; may be negative.
        plus: i64,
    },
    /// What a local holds plus so many nanoseconds.
    Local {
        /// A time that was read from a clock, say.
        base: LocalId,
        /// Added to it.
        plus: Ns,
    },
}

/// Flags of `bpf_map_update_elem`.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum UpdateFlag {
    /// `BPF_ANY`
    #[default]
    Any,
    /// `BPF_NOEXIST`
    NoExist,
    /// `BPF_EXIST`
    Exist,
    /// `BPF_F_LOCK`
    Lock,
    /// A number that is none of these.
    Other(u64),
}

/// A file descriptor, as an operation names it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum FdRef {
    /// What the local holds.
    Local(LocalId),
    /// The task's first open one of the map.
    Map(MapId),
    /// The task's first open one of the program.
    Prog(ProgId),
}

/// Signals.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Signal {
    Hup,
    Int,
    Quit,
    Kill,
    Usr1,
    Segv,
    Usr2,
    Alrm,
    Term,
}

/// What a raw step touches.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A variable.
    Var(VarId),
    /// A member of the object that the local points to.
    Member(LocalId, FieldIx),
    /// A member of an element (a lookup followed by the access), or of the callback's value.
    ValueMember(ValueRef, FieldIx),
}

/// How a raw step reads or writes.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// READ_ONCE, WRITE_ONCE.
    #[default]
    Once,
    /// An unmarked access, which can be a data race.
    Plain,
    /// `load_acquire`, `store_release`.
    AcquireRelease,
}

/// Barriers.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Barrier {
    /// `smp_mb`
    Full,
    /// `smp_rmb`
    Read,
    /// `smp_wmb`
    Write,
}

/// Changes of the context.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum ContextOp {
    IrqSave,
    IrqRestore,
    BhDisable,
    BhEnable,
    PreemptDisable,
    PreemptEnable,
}

/// A value.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Operand {
    /// A number.
    Int(i64),
    /// `NULL`
    Null,
    /// What a local holds.
    Local(LocalId),
    /// A map, where an outer map is updated.
    Map(MapRef),
    /// A shared variable or member; only in conditions of waits.
    Place(Place),
    /// The `*key` that a callback was called with, read when it began.
    Key,
    /// The number of this run of the callback, from 1, counted per callback over the run.
    RunNumber,
    /// Whether an element is absent (as NULL) or present; only at the end of a run.
    Elem(ElemRef),
}

/// How two values are compared.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum CmpOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// A condition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cond {
    /// A comparison.
    Cmp(Operand, CmpOp, Operand),
    /// All hold.
    All(Vec<Cond>),
    /// At least one holds.
    Any(Vec<Cond>),
}
