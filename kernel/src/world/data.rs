//! What exists: the computer, types, variables, maps, programs, tasks, events, faults.

use super::{Body, FieldIx, LineId, LocalId, MapId, MemcgId, Ns, Op, ProgId, TypeIx};

/// Preemption model.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Preempt {
    /// Kernel code is never preempted.
    #[default]
    None,
    /// Kernel code is preempted where it says so; for the modelled paths the same as none.
    Voluntary,
    /// Kernel code is preempted anywhere but in sections that forbid it.
    Full,
    /// As full; it differs in when, which the model does not decide.
    Lazy,
    /// Softirqs and most locks are preemptible too.
    Rt,
}

impl Preempt {
    /// Whether kernel code outside of critical sections can be preempted.
    pub fn is_preemptible(self) -> bool {
        !matches!(self, Preempt::None | Preempt::Voluntary)
    }
}

/// When the tick stops.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Nohz {
    /// Never.
    Periodic,
    /// On idle CPUs.
    #[default]
    Idle,
    /// Also on CPUs with one task.
    Full,
}

/// Memory model.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Memory {
    /// Sequential consistency.
    #[default]
    Sc,
    /// Total store order: a store buffer per CPU.
    Tso,
}

/// The computer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MachineSpec {
    /// Number of CPUs, 1 to 256.
    pub cpus: u16,
    /// Preemption model.
    pub preempt: Preempt,
    /// Ticks per second.
    pub hz: u32,
    /// Whether there is a tick; `None`: in timed runs only.
    pub tick: Option<bool>,
    /// When the tick stops.
    pub nohz: Nohz,
    /// Whether hrtimers have their full resolution.
    pub high_res: bool,
    /// Whether timers may be queued on a busy CPU instead of an idle one.
    pub timer_migration: bool,
    /// Memory model.
    pub memory: Memory,
    /// How long a grace period takes in timed runs; `None`: the cost model's value.
    pub grace_period: Option<Ns>,
}

impl Default for MachineSpec {
    fn default() -> MachineSpec {
        MachineSpec {
            cpus: 1,
            preempt: Preempt::None,
            hz: 250,
            tick: None,
            nohz: Nohz::Idle,
            high_res: true,
            timer_migration: true,
            memory: Memory::Sc,
            grace_period: None,
        }
    }
}

/// Whether durations limit exploration.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Timing {
    /// Every order is taken.
    #[default]
    Ignore,
    /// Only orders that the durations allow.
    Respect,
}

/// The layout of a struct.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeDef {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u32,
    /// Its members in the order of their offsets. Nested structs and arrays are flattened: `inner.x`, `a[2]`.
    pub fields: Vec<FieldDef>,
}

impl TypeDef {
    /// The struct of one `bpf_timer` that maps hold when nothing else is said.
    pub fn one_timer() -> TypeDef {
        let timer =
            FieldDef { name: "timer".into(), offset: 0, size: 16, kind: FieldKind::BpfTimer };
        TypeDef { name: "map_elem".into(), size: 16, fields: vec![timer] }
    }

    /// The first member of a kind.
    pub fn first(&self, kind: FieldKind) -> Option<FieldIx> {
        self.fields.iter().position(|f| f.kind == kind).map(|i| FieldIx(i as u32))
    }
}

/// A member of a struct.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldDef {
    /// Its name.
    pub name: String,
    /// Offset in bytes.
    pub offset: u32,
    /// Size in bytes.
    pub size: u32,
    /// What it is.
    pub kind: FieldKind,
}

/// What a member is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum FieldKind {
    /// A signed integer.
    Signed,
    /// An unsigned integer.
    Unsigned,
    /// A pointer.
    Ptr,
    /// A pointer to a kernel object.
    Kptr,
    /// `struct bpf_timer`.
    BpfTimer,
    /// `struct bpf_wq`.
    BpfWq,
    /// `struct bpf_spin_lock`.
    BpfSpinLock,
    /// `struct rcu_head`.
    RcuHead,
}

/// A shared variable of raw steps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VarDef {
    /// Its name.
    pub name: String,
    /// What it is, with its first value.
    pub kind: VarKind,
    /// Where it is declared.
    pub at: LineId,
}

/// What a shared variable is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum VarKind {
    /// An integer.
    Int(i64),
    /// One integer per CPU; a step sees that of its own CPU.
    PerCpu(i64),
    /// A reference count: below 0, and from 0 upwards, is a finding.
    Refcount(i64),
    /// A pointer to a fresh object of this type, its integers 0 and its pointers NULL.
    New(TypeIx),
    /// A pointer that is NULL.
    NullPtr,
    /// A lock that never sleeps.
    RawSpinlock,
    /// A lock that sleeps on `PREEMPT_RT`.
    Spinlock,
    /// A lock that sleeps.
    Mutex,
}

/// `BPF_MAP_TYPE_` without the prefix. Types that no timer and no modelled operation can use are refused at boot.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum MapKind {
    Hash,
    LruHash,
    Array,
    Rhash,
    ArrayOfMaps,
    HashOfMaps,
    PercpuHash,
    PercpuArray,
    LruPercpuHash,
    LpmTrie,
    TaskStorage,
    InodeStorage,
    SkStorage,
    CgrpStorage,
    CgroupStorage,
    Queue,
    Stack,
    Ringbuf,
    BloomFilter,
}

impl MapKind {
    /// Whether its values are maps.
    pub fn is_outer(self) -> bool {
        matches!(self, MapKind::ArrayOfMaps | MapKind::HashOfMaps)
    }

    /// Whether its keys are the indices below `max_entries`.
    pub fn is_array(self) -> bool {
        matches!(self, MapKind::Array | MapKind::PercpuArray | MapKind::ArrayOfMaps)
    }
}

/// `BPF_F_` flags of `BPF_MAP_CREATE`.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct MapFlags {
    /// `BPF_F_NO_PREALLOC`
    pub no_prealloc: bool,
    /// `BPF_F_NO_COMMON_LRU`
    pub no_common_lru: bool,
    /// `BPF_F_RDONLY_PROG`
    pub rdonly_prog: bool,
    /// `BPF_F_WRONLY_PROG`
    pub wronly_prog: bool,
    /// `BPF_F_MMAPABLE`
    pub mmapable: bool,
    /// Created without BTF: the kernel does not know what is in a value.
    pub no_btf: bool,
}

/// A map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MapDef {
    /// Its name; `outer[0]` for an inner map.
    pub name: String,
    /// Its type.
    pub kind: MapKind,
    /// Number of elements, at least 1.
    pub max_entries: u32,
    /// Flags.
    pub flags: MapFlags,
    /// Size of a key in bytes.
    pub key_size: u32,
    /// Layout of its values; of no use in an outer map.
    pub value: TypeIx,
    /// For an outer map: what its slots hold at the start. Inner maps that a task creates come into slots by updates.
    pub slots: Vec<(i64, MapId)>,
    /// The memory cgroup that pays.
    pub memcg: Option<MemcgId>,
    /// Elements that are there at the start, by key. In an array all elements are there anyhow.
    pub init: Vec<(i64, ElemInit)>,
    /// Where it is declared.
    pub at: LineId,
}

/// The state of an element at the start.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum ElemInit {
    /// It is there; its timer was never initialised.
    Present,
    /// Its timer is initialised, without callback.
    Initialised,
    /// Its timer is armed, on the CPU with number 0.
    Armed {
        /// From the start to the expiry.
        after: Ns,
        /// The callback.
        callback: ProgId,
    },
}

/// `BPF_PROG_TYPE_` without the prefix; the last three are callbacks, subprograms of every program that names them.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum ProgKind {
    Syscall,
    Xdp,
    Tc,
    Tracing,
    PerfEvent,
    Kprobe,
    StructOps,
    Netfilter,
    /// A type that no rule about timers tells from the others: sockets, cgroups, tunnels, LSM.
    Other,
    TimerCb,
    WqCb,
    /// Called by `bpf_for_each_map_elem()` for each element.
    ForEachCb,
}

/// Where a program is attached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Attach {
    /// `tp_btf("tracepoint")`
    TpBtf(String),
    /// `fentry("function")`
    Fentry(String),
    /// `fexit("function")`
    Fexit(String),
    /// `perf_event(period)`
    PerfEvent(Ns),
    /// `sched_ext("op")`
    SchedExt(String),
}

impl std::fmt::Display for Attach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Attach::TpBtf(name) => write!(f, "tp_btf(\"{name}\")"),
            Attach::Fentry(name) => write!(f, "fentry(\"{name}\")"),
            Attach::Fexit(name) => write!(f, "fexit(\"{name}\")"),
            Attach::PerfEvent(_) => write!(f, "perf_event"),
            Attach::SchedExt(op) => write!(f, "sched_ext(\"{op}\")"),
        }
    }
}

/// A program or callback.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProgDef {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: ProgKind,
    /// Whether it runs in a sleepable read section.
    pub sleepable: bool,
    /// Where it is attached.
    pub attach: Option<Attach>,
    /// What it does.
    pub body: Body,
    /// Where it is declared.
    pub at: LineId,
}

/// A memory cgroup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemcgDef {
    /// Its name.
    pub name: String,
    /// Its limit in bytes.
    pub max_bytes: u64,
}

/// Scheduling class of a task.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Sched {
    /// `SCHED_OTHER`
    #[default]
    Other,
    /// `SCHED_FIFO(prio)`
    Fifo(u8),
    /// `SCHED_RR(prio)`
    Rr(u8),
}

/// A thread of a process of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskDef {
    /// Its name.
    pub name: String,
    /// The CPU that it starts on.
    pub cpu: u16,
    /// How it is scheduled.
    pub sched: Sched,
    /// Whether it has `CAP_BPF` (or `CAP_SYS_ADMIN`).
    pub cap_bpf: bool,
    /// Whether it has `CAP_NET_ADMIN` (or `CAP_SYS_ADMIN`), which programs of the network need.
    pub cap_net_admin: bool,
    /// The memory cgroup that pays for what it does.
    pub memcg: Option<MemcgId>,
    /// Whether it waits for `unblock` before its first step.
    pub blocked: bool,
    /// What it does.
    pub body: Body,
    /// Where it is declared.
    pub at: LineId,
}

/// What happens on a CPU.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CpuEvents {
    /// The CPU.
    pub cpu: u16,
    /// Steps that one task of that CPU takes in this order; may be empty.
    pub steps: Vec<Op>,
    /// The locals of those steps.
    pub locals: Vec<String>,
    /// Sources of their own.
    pub sources: Vec<Source>,
}

/// A source of events of a CPU.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// When it comes.
    pub when: When,
    /// What comes.
    pub what: Event,
    /// Where it is declared.
    pub at: LineId,
}

/// When an event comes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum When {
    /// Once, at any moment; in timed runs at a drawn one.
    Anytime,
    /// Once, at this time.
    At(Ns),
    /// With this period, each time anew from the range.
    Every(Ns),
    /// At random with this mean distance.
    Poisson(Ns),
}

/// What comes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A softirq of this vector, such as `NET_RX`.
    Softirq(String, Work),
    /// A hard interrupt.
    Irq(Work),
    /// A non-maskable interrupt.
    Nmi(Work),
    /// A `NET_RX` softirq that runs an XDP or TC program.
    Packet(ProgId),
    /// A tick.
    Tick,
    /// The CPU is taken offline.
    CpuDown,
    /// The CPU is brought online.
    CpuUp,
    /// A step in a task of its own.
    Step(Body),
}

/// What an interrupt does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Work {
    /// It only takes time.
    Takes(Ns),
    /// It takes these steps.
    Body(Body),
}

/// An injected fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// These allocations of a kernel function fail, counted from 1 over the run; all of them if the list is empty.
    Enomem {
        /// The kernel function, such as `bpf_timer_init`.
        function: String,
        /// Which of its allocations.
        nth: Vec<u32>,
        /// Where it is declared.
        at: LineId,
    },
    /// Each allocation of a kernel function may fail: a choice of the schedule.
    MayEnomem {
        /// The kernel function.
        function: String,
        /// Where it is declared.
        at: LineId,
    },
    /// A memory cgroup is at its limit from the start.
    MemcgFull(MemcgId),
}

/// Limits of one run; reaching one is inconclusive.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// Steps.
    pub steps: Option<u64>,
    /// Expiries of timers.
    pub expiries: Option<u64>,
}

/// When a run ends.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Stop {
    /// When nothing can run and no timer is queued.
    #[default]
    Idle,
    /// At this time.
    Time(u64),
    /// After so many expiries.
    Expiries(u64),
}

impl Body {
    /// A body without locals.
    pub fn of(ops: Vec<Op>) -> Body {
        Body { ops, locals: Vec::new() }
    }

    /// The index of a local, added if it is new.
    pub fn local(&mut self, name: &str) -> LocalId {
        let at = self.locals.iter().position(|l| l == name).unwrap_or_else(|| {
            self.locals.push(name.to_string());
            self.locals.len() - 1
        });
        LocalId(at as u32)
    }
}
