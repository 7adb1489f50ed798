//! Types, variables, maps and memory cgroups.

use super::names::word_enum;
use super::text::Duration;
use crate::span::{Sp, Span};

/// A struct: `"name": [ member, .. ]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeDef {
    /// Its members, in order. Offsets: [`crate::layout`].
    pub members: Vec<Member>,
    /// The whole list.
    pub span: Span,
}

/// A member of a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: Sp<String>,
    /// What it is.
    pub kind: MemberKind,
    /// The offset in bytes that `offset(n, ..)` forces.
    pub offset: Option<Sp<u32>>,
    /// The whole member as written.
    pub span: Span,
}

/// What a member is. Sizes and alignments are those of x86-64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberKind {
    /// `char`, `short`, .. `rcu_head`.
    Plain(PlainKind),
    /// A member of another declared type.
    Struct(Sp<String>),
    /// So many (at least 1) of the same.
    Array {
        /// Number of elements.
        len: Sp<u32>,
        /// What each of them is; its name says nothing.
        elem: Box<Member>,
    },
}

word_enum! {
    /// Types that need no declaration.
    PlainKind {
        Char = "char",
        Short = "short",
        Int = "int",
        Long = "long",
        U8 = "u8",
        U16 = "u16",
        U32 = "u32",
        U64 = "u64",
        Ptr = "ptr",
        Kptr = "kptr",
        BpfTimer = "bpf_timer",
        BpfWq = "bpf_wq",
        BpfSpinLock = "bpf_spin_lock",
        RcuHead = "rcu_head",
    }
}

impl PlainKind {
    /// Size and alignment in bytes on x86-64.
    #[must_use]
    pub fn size_align(self) -> (u32, u32) {
        match self {
            PlainKind::Char | PlainKind::U8 => (1, 1),
            PlainKind::Short | PlainKind::U16 => (2, 2),
            PlainKind::Int | PlainKind::U32 | PlainKind::BpfSpinLock => (4, 4),
            PlainKind::Long | PlainKind::U64 | PlainKind::Ptr | PlainKind::Kptr => (8, 8),
            PlainKind::BpfTimer | PlainKind::BpfWq | PlainKind::RcuHead => (16, 8),
        }
    }

    /// Whether only helpers and the kernel may touch it.
    #[must_use]
    pub fn is_opaque(self) -> bool {
        matches!(
            self,
            PlainKind::BpfTimer | PlainKind::BpfWq | PlainKind::BpfSpinLock | PlainKind::RcuHead
        )
    }
}

/// A shared variable of raw steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Var {
    /// An integer with its first value.
    Int(i64),
    /// One integer per CPU, each with this first value.
    PerCpu(i64),
    /// A reference count with its first value, 0 or more.
    Refcount(i64),
    /// A pointer to a fresh object of this type.
    New(Sp<String>),
    /// A pointer that is NULL at first.
    NullPtr,
    /// A lock that never sleeps.
    RawSpinlock,
    /// A lock that sleeps on `PREEMPT_RT`.
    Spinlock,
    /// A lock that sleeps.
    Mutex,
}

impl Var {
    /// Whether `lock` and `unlock` take it.
    #[must_use]
    pub fn is_lock(&self) -> bool {
        matches!(self, Var::RawSpinlock | Var::Spinlock | Var::Mutex)
    }

    /// Whether it holds a pointer.
    #[must_use]
    pub fn is_pointer(&self) -> bool {
        matches!(self, Var::New(_) | Var::NullPtr)
    }
}

word_enum! {
    /// `BPF_MAP_TYPE_` without the prefix.
    MapKind {
        Hash = "HASH",
        LruHash = "LRU_HASH",
        Array = "ARRAY",
        Rhash = "RHASH",
        ArrayOfMaps = "ARRAY_OF_MAPS",
        HashOfMaps = "HASH_OF_MAPS",
        PercpuHash = "PERCPU_HASH",
        PercpuArray = "PERCPU_ARRAY",
        LruPercpuHash = "LRU_PERCPU_HASH",
        LpmTrie = "LPM_TRIE",
        TaskStorage = "TASK_STORAGE",
        InodeStorage = "INODE_STORAGE",
        SkStorage = "SK_STORAGE",
        CgrpStorage = "CGRP_STORAGE",
        CgroupStorage = "CGROUP_STORAGE",
        Queue = "QUEUE",
        Stack = "STACK",
        Ringbuf = "RINGBUF",
    }
}

impl MapKind {
    /// Whether values may hold timers and work queues (`RHASH`: where the kernel has it).
    #[must_use]
    pub fn supports_timers(self) -> bool {
        matches!(self, MapKind::Hash | MapKind::LruHash | MapKind::Array | MapKind::Rhash)
    }

    /// Whether its values are maps.
    #[must_use]
    pub fn is_outer(self) -> bool {
        matches!(self, MapKind::ArrayOfMaps | MapKind::HashOfMaps)
    }

    /// Whether its keys are the indices below `max_entries`.
    #[must_use]
    pub fn is_array(self) -> bool {
        matches!(self, MapKind::Array | MapKind::PercpuArray | MapKind::ArrayOfMaps)
    }
}

word_enum! {
    /// Flags of `BPF_MAP_CREATE`.
    MapFlag {
        NoPrealloc = "BPF_F_NO_PREALLOC",
        NoCommonLru = "BPF_F_NO_COMMON_LRU",
        NumaNode = "BPF_F_NUMA_NODE",
        Rdonly = "BPF_F_RDONLY",
        Wronly = "BPF_F_WRONLY",
        ZeroSeed = "BPF_F_ZERO_SEED",
        RdonlyProg = "BPF_F_RDONLY_PROG",
        WronlyProg = "BPF_F_WRONLY_PROG",
        Mmapable = "BPF_F_MMAPABLE",
        InnerMap = "BPF_F_INNER_MAP",
    }
}

/// A map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// Its type.
    pub kind: Sp<MapKind>,
    /// Number of elements; at least 1.
    pub max_entries: Sp<u32>,
    /// Flags, each once.
    pub flags: Vec<Sp<MapFlag>>,
    /// Size of a key in bytes, 1 to 512; not written: 4.
    pub key_size: Sp<u32>,
    /// The type of its values; `None`: a struct of one `bpf_timer`.
    pub value: Option<Sp<String>>,
    /// The declared map that is the template of the inner maps.
    pub inner: Option<Sp<String>>,
    /// The memory cgroup that pays.
    pub memcg: Option<Sp<String>>,
    /// Elements that are there at the start.
    pub init: Vec<(Sp<i64>, Sp<Init>)>,
    /// The whole `HASH( .. )`.
    pub span: Span,
}

impl Map {
    /// Whether the flag was given.
    #[must_use]
    pub fn has_flag(&self, flag: MapFlag) -> bool {
        self.flags.iter().any(|given| given.node == flag)
    }
}

/// The state of an element at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Init {
    /// It is there; its timer was never initialised.
    Present,
    /// Its timer is initialised, without callback.
    Initialised,
    /// Its timer is armed.
    Armed {
        /// Time from the start to the expiry.
        after: Sp<Duration>,
        /// The `TIMER_CB` program.
        callback: Sp<String>,
    },
}

/// A memory cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memcg {
    /// Its limit in bytes.
    pub max_bytes: Sp<u64>,
    /// The whole `( .. )`.
    pub span: Span,
}
