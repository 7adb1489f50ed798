//! The kernel's objects as shared memory: timers, map elements, maps, programs, per-CPU variables.
//!
//! Each is a typed name of an allocation whose fields are objects of their own. Fields that stand for no kernel field
//! are ghosts: they carry what a promise is about, and are written in the steps that matter, so that a verdict is a
//! function of shared state.

use timerace_core::mem::{ListVar, QueueVar, TypeId};
use timerace_core::{CtxId, Obj, Ptr, Setup, Var, Word};

/// Marks a pointer to a map element in the words that bodies carry; the rest of the word is the pointer's.
pub(crate) const TAG_ELEM: u64 = 1 << 34;

/// `struct bpf_hrtimer`: the heap object of a timer. The last four fields exist from v7.0 on and are never touched before.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Timer(pub Ptr);

/// Names of the fields of [`Timer`], in order: first those that each expiry and each start ask for.
pub(crate) const TIMER_FIELDS: &[&str] = &[
    "timer.base",
    "parked",
    "map",
    "value",
    "prog",
    "callback_fn",
    "promise",
    "expires",
    "armed",
    "cancelling",
    "refcnt",
    "worker",
    "worker.func",
    "async_cmds",
];

/// So many fields of a [`Timer`] are asked for by each expiry and each start.
pub(crate) const TIMER_FIELDS_OF_EXPIRIES: usize = 9;

/// The last start of a timer, for statistics.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Armed {
    /// When, in nanoseconds of virtual time; below 2^63.
    pub at: u64,
    /// For an absolute time.
    pub abs: bool,
}

impl Word for Armed {
    fn to_word(self) -> u64 {
        self.at | u64::from(self.abs) << 63
    }
    fn from_word(word: u64) -> Armed {
        Armed { at: word & !(1 << 63), abs: word >> 63 != 0 }
    }
}

impl Timer {
    /// `timer.base`: index of the clock base, or [`MIGRATION_BASE`].
    pub fn base(self) -> Var<u64> {
        self.0.field(0)
    }
    /// All its fields.
    pub fn fields(self) -> impl Iterator<Item = Obj> {
        (0..TIMER_FIELDS.len() as u32).map(move |f| self.0.field::<u64>(f).obj())
    }
    /// Ghost: queued, but will never expire; kept out of the queue so that an explored run does not let it.
    pub fn parked(self) -> Var<bool> {
        self.0.field(1)
    }
    /// `map`: index of the map plus one.
    pub fn map(self) -> Var<u64> {
        self.0.field(2)
    }
    /// `value`: the element.
    pub fn value(self) -> Var<Ptr> {
        self.0.field(3)
    }
    /// `prog`: index of the program plus one; 0 is NULL.
    pub fn prog(self) -> Var<u64> {
        self.0.field(4)
    }
    /// `callback_fn`, see [`Callback`].
    pub fn callback_fn(self) -> Var<u64> {
        self.0.field(5)
    }
    /// Ghost: what was promised about its callback, see [`crate::promises`].
    pub fn promise(self) -> Var<u64> {
        self.0.field(6)
    }
    /// `node.expires` of the last start; for readers.
    pub fn expires(self) -> Var<i64> {
        self.0.field(7)
    }
    /// Ghost: how it was armed, in timed runs.
    pub fn armed(self) -> Var<Armed> {
        self.0.field(8)
    }
    /// `cancelling` (d4523831f07a).
    pub fn cancelling(self) -> Var<i64> {
        self.0.field(9)
    }
    /// `refcnt`: the map's reference, and those of operations in progress.
    pub fn refcnt(self) -> Var<i64> {
        self.0.field(10)
    }
    /// The flags of `worker`, see [`crate::irq_work`].
    pub fn worker(self) -> Var<u64> {
        self.0.field(11)
    }
    /// The function of `worker`, see [`crate::irq_work`].
    pub fn worker_func(self) -> Var<u64> {
        self.0.field(12)
    }
    /// `async_cmds`: the newest command, which leads to the others.
    pub fn async_cmds(self) -> Var<Option<Ptr>> {
        self.0.field(13)
    }
}

/// `struct bpf_async_cmd` (v7.0 and later): a start or cancel that an irq_work is to perform.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct AsyncCmd(pub Ptr);

/// Names of the fields of [`AsyncCmd`], in order.
pub(crate) const CMD_FIELDS: &[&str] = &["node.next", "op", "nsec", "mode", "round"];

impl AsyncCmd {
    /// `node.next`: the command that was added before.
    pub fn next(self) -> Var<Option<Ptr>> {
        self.0.field(0)
    }
    /// `op`, see [`crate::bpf_async`].
    pub fn op(self) -> Var<u64> {
        self.0.field(1)
    }
    /// `nsec`
    pub fn nsec(self) -> Var<u64> {
        self.0.field(2)
    }
    /// `mode`: bit 0 for an absolute time, bit 1 for a pinned timer.
    pub fn mode(self) -> Var<u64> {
        self.0.field(3)
    }
    /// Ghost: how many commands led to this one, each while the one before was being performed.
    pub fn round(self) -> Var<u64> {
        self.0.field(4)
    }
    /// All its fields.
    pub fn fields(self) -> impl Iterator<Item = Obj> {
        (0..CMD_FIELDS.len() as u32).map(move |f| self.0.field::<u64>(f).obj())
    }
}

/// `migration_base`: the timer is between two CPUs.
pub(crate) const MIGRATION_BASE: u64 = 1 << 20;

/// A callback function together with the program whose text it is part of.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Callback {
    /// Index of the program that set it.
    pub prog: usize,
    /// Index of the callback.
    pub func: usize,
}

impl Callback {
    pub fn word(self) -> u64 {
        (self.prog as u64 + 1) << 32 | (self.func as u64 + 1)
    }

    pub fn from_word(word: u64) -> Option<Callback> {
        let func = (word as u32).checked_sub(1)? as usize;
        let prog = ((word >> 32) as usize).checked_sub(1)?;
        Some(Callback { prog, func })
    }
}

/// A map element: key and value.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Elem(pub Ptr);

/// Names of the fields that each element has before those of its value's type.
pub(crate) const ELEM_HEADER: &[&str] = &[
    "key",
    "timer",
    "timer.lock",
    "owned",
    "lru.ref",
    "lru.type",
    "lru.hash",
    "wq",
    "wq.lock",
    "lru.orphan",
];

impl Elem {
    /// Puts the locks of elements of this type into the classes that all maps share.
    pub fn lock_classes(s: &mut Setup, ty: TypeId) {
        s.lock_field(ty, 2, "timer->lock");
        s.lock_field(ty, 8, "wq->lock");
    }
    /// The key; for arrays the index.
    pub fn key(self) -> Var<u64> {
        self.0.field(0)
    }
    /// `timer->timer`: the heap object.
    pub fn slot(self) -> Var<Option<Ptr>> {
        self.0.field(1)
    }
    /// `timer->lock`
    pub fn lock(self) -> Var<Option<CtxId>> {
        self.0.field(2)
    }
    /// Ghost: the slot holds a timer whose initialisation is complete.
    pub fn owned(self) -> Var<bool> {
        self.0.field(3)
    }
    /// The reference bit of the LRU list.
    pub fn lru_ref(self) -> Var<bool> {
        self.0.field(4)
    }
    /// `node->type`: which list of an LRU map the element is on, see [`crate::map`].
    pub fn lru_type(self) -> Var<u64> {
        self.0.field(5)
    }
    /// The hash that the lists keep, in the model the key.
    pub fn lru_hash(self) -> Var<u64> {
        self.0.field(6)
    }
    /// `wq->work`: the heap object of the value's `bpf_wq`.
    pub fn wq_slot(self) -> Var<Option<Ptr>> {
        self.0.field(7)
    }
    /// `wq->lock`
    pub fn wq_lock(self) -> Var<Option<CtxId>> {
        self.0.field(8)
    }
    /// It is free but could not be given back, for want of the lists' lock (89edbdfc5d03).
    pub fn lru_orphan(self) -> Var<bool> {
        self.0.field(9)
    }
    /// A member of the value.
    pub fn member(self, field: usize) -> Var<u64> {
        self.0.field((ELEM_HEADER.len() + field) as u32)
    }
    /// The pointer that bodies carry.
    pub fn tagged(self) -> u64 {
        self.0.to_word() | TAG_ELEM
    }
}

/// `struct bpf_async_cb`, which a timer and the work of a `bpf_wq` begin with (v7.0 and later).
#[derive(Copy, Clone, Debug)]
pub(crate) struct AsyncCb {
    /// `type`, and the object that it is the begin of.
    pub of: AsyncObj,
    /// `prog`: index of the program plus one; 0 is NULL.
    pub prog: Var<u64>,
    /// `callback_fn`, see [`Callback`].
    pub callback_fn: Var<u64>,
    /// `refcnt`: the map's reference, and those of operations in progress.
    pub refcnt: Var<i64>,
    /// The flags of `worker`, see [`crate::irq_work`].
    pub worker: Var<u64>,
    /// The function of `worker`, see [`crate::irq_work`].
    pub worker_func: Var<u64>,
    /// `async_cmds`: the newest command, which leads to the others.
    pub async_cmds: Var<Option<Ptr>>,
}

/// What a `struct bpf_async_cb` is part of.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum AsyncObj {
    /// `BPF_ASYNC_TYPE_TIMER`
    Timer(Timer),
    /// `BPF_ASYNC_TYPE_WQ`
    Wq(BpfWork),
}

impl AsyncCb {
    /// The address of the object.
    pub fn ptr(self) -> Ptr {
        match self.of {
            AsyncObj::Timer(t) => t.0,
            AsyncObj::Wq(w) => w.0,
        }
    }

    /// The object in a word of a callback or of an irq_work.
    pub fn word(self) -> u64 {
        match self.of {
            AsyncObj::Timer(t) => t.0.to_word(),
            AsyncObj::Wq(w) => w.0.to_word() | crate::rcu::TAG_WQ_WORK,
        }
    }

    /// The object that [`AsyncCb::word`] stands for.
    pub fn of_word(word: u64) -> AsyncCb {
        let p = Ptr::from_word(word);
        if word & crate::rcu::TAG_WQ_WORK != 0 { BpfWork(p).cb() } else { Timer(p).cb() }
    }
}

impl Timer {
    /// `cb`
    pub fn cb(self) -> AsyncCb {
        AsyncCb {
            of: AsyncObj::Timer(self),
            prog: self.prog(),
            callback_fn: self.callback_fn(),
            refcnt: self.refcnt(),
            worker: self.worker(),
            worker_func: self.worker_func(),
            async_cmds: self.async_cmds(),
        }
    }
}

/// `struct bpf_work`: the heap object of a `bpf_wq`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct BpfWork(pub Ptr);

/// Names of the fields of [`BpfWork`], in order.
pub(crate) const WORK_FIELDS: &[&str] = &[
    "map",
    "value",
    "prog",
    "callback_fn",
    "work.PENDING",
    "refcnt",
    "worker",
    "worker.func",
    "async_cmds",
];

impl BpfWork {
    /// All its fields.
    pub fn fields(self) -> impl Iterator<Item = Obj> {
        (0..WORK_FIELDS.len() as u32).map(move |f| self.0.field::<u64>(f).obj())
    }
    /// `cb.map`: index of the map plus one.
    pub fn map(self) -> Var<u64> {
        self.0.field(0)
    }
    /// `cb.value`: the element.
    pub fn value(self) -> Var<Ptr> {
        self.0.field(1)
    }
    /// `cb.prog`: index of the program plus one; 0 is NULL.
    pub fn prog(self) -> Var<u64> {
        self.0.field(2)
    }
    /// `cb.callback_fn`, see [`Callback`].
    pub fn callback_fn(self) -> Var<u64> {
        self.0.field(3)
    }
    /// `cb`
    pub fn cb(self) -> AsyncCb {
        AsyncCb {
            of: AsyncObj::Wq(self),
            prog: self.prog(),
            callback_fn: self.callback_fn(),
            refcnt: self.0.field(5),
            worker: self.0.field(6),
            worker_func: self.0.field(7),
            async_cmds: self.0.field(8),
        }
    }
    /// `WORK_STRUCT_PENDING` of `work`.
    pub fn pending(self) -> Var<bool> {
        self.0.field(4)
    }
}

/// `struct bpf_map`, the part that is counted.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct MapObj(pub Ptr);

/// Names of the fields of [`MapObj`].
pub(crate) const MAP_FIELDS: &[&str] = &["usercnt", "refcnt", "released", "free_after_gp"];

impl MapObj {
    /// `usercnt`
    pub fn usercnt(self) -> Var<i64> {
        self.0.field(0)
    }
    /// `refcnt`
    pub fn refcnt(self) -> Var<i64> {
        self.0.field(1)
    }
    /// Ghost: who finished the walk of `map_release_uref`, as context plus one; 0 if user references are there.
    pub fn released(self) -> Var<u64> {
        self.0.field(2)
    }
    /// `free_after_mult_rcu_gp`
    pub fn free_after_gp(self) -> Var<bool> {
        self.0.field(3)
    }
}

/// `struct bpf_prog`, the part that is counted.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct ProgObj(pub Ptr);

/// Names of the fields of [`ProgObj`].
pub(crate) const PROG_FIELDS: &[&str] = &["refcnt", "insns"];

impl ProgObj {
    /// `aux->refcnt`
    pub fn refcnt(self) -> Var<i64> {
        self.0.field(0)
    }
    /// Its text: read where it is called.
    pub fn insns(self) -> Var<u64> {
        self.0.field(1)
    }
}

/// A soft clock base of a CPU.
#[derive(Copy, Clone, Debug)]
pub(crate) struct ClockBase {
    /// Its CPU.
    pub cpu: usize,
    /// Queued timers by hard expiry.
    pub queue: QueueVar,
    /// The timer whose function runs.
    pub running: Var<Option<Ptr>>,
}

/// Per-CPU variables.
#[derive(Clone, Debug)]
pub(crate) struct CpuVars {
    /// `hrtimer_running`
    pub hrtimer_running: Var<Option<Ptr>>,
    /// The time as far as this CPU's bases know it: in explored runs that of the last expiry, in timed runs that at
    /// which the current pass began.
    pub now: Var<i64>,
    /// Timed runs: when the last clock event's interrupt came.
    pub irq_at: Var<u64>,
    /// Timed runs: 0 no soft timer is due, 1 HRTIMER_SOFTIRQ raised, 2 it runs (`softirq_activated`).
    pub hrtimer_softirq: Var<u64>,
    /// Work of unbound workqueues, in order.
    pub work: ListVar,
    /// Whether the lane's first worker is busy.
    pub worker_busy: Var<bool>,
    /// `worker->current_work` of the lane's workers, where some map has a `bpf_wq`.
    pub current_work: Option<[Var<u64>; 2]>,
    /// Callbacks that wait for a grace period.
    pub rcu: ListVar,
    /// Callbacks that wait for a tasks-trace grace period.
    pub rcu_trace: ListVar,
    /// Callbacks whose grace period is over and that run in RCU_SOFTIRQ.
    pub rcu_done: ListVar,
    /// `hrtimer_cpu_base.lock`, where programs run inside.
    pub base_lock: Option<Var<Option<CtxId>>>,
    /// `softirq_expiry_lock`, on PREEMPT_RT.
    pub expiry_lock: Option<Var<Option<CtxId>>>,
    /// Where the CPU goes offline.
    pub hotplug: Option<crate::hotplug::Hotplug>,
    /// `rq->__lock`, where programs run with it held.
    pub rq_lock: Option<Var<Option<CtxId>>>,
    /// The lock of this CPU's part of RCU-tasks-trace, where an NMI can come while a callback is queued.
    pub rcu_trace_lock: Option<Var<Option<CtxId>>>,
    /// `pool->lock` of the CPU's workers, where an NMI can come while work is queued.
    pub pool_lock: Option<Var<Option<CtxId>>>,
    /// `raised_list`: irq_work that waits for its interrupt.
    pub irq_work: ListVar,
    /// `async_cb_running` (v7.0 and later): whose commands this CPU performs.
    pub async_cb_running: Var<Option<Ptr>>,
    /// Ghost: [`AsyncCmd::round`] of the command that is being performed.
    pub async_round: Var<u64>,
}

/// Registered struct types.
#[derive(Clone, Debug)]
pub(crate) struct Types {
    pub timer: TypeId,
    pub cmd: TypeId,
    pub work: TypeId,
    pub map: TypeId,
    pub prog: TypeId,
    /// Element types by map.
    pub elems: Vec<TypeId>,
    /// Types of raw objects by [`crate::world::TypeIx`].
    pub raw: Vec<TypeId>,
}

/// Drops a reference; what is left. Below 0 is a finding.
pub(crate) fn put(m: &mut timerace_core::Mem, count: Var<i64>) -> i64 {
    let left = m.update(count, |n: i64| n - 1) - 1;
    if left < 0 {
        m.report(timerace_core::Class::Refcount, Some(count.obj()));
    }
    left
}
