//! What is on the machine: a scenario in resolved form.
//!
//! Plain owned data. Names are indices, durations nanoseconds, layouts computed, parameters gone. Nothing here knows the
//! file format that it came from; [`At`] and the `text` of an [`Op`] are all that is kept of it, for messages and
//! pictures. `boot` turns a world into a machine.

mod data;
mod make;
mod op;

pub use data::*;
pub use op::*;

use crate::versions::KernelVersion;

/// A scenario, resolved.
#[derive(Clone, Debug)]
pub struct World {
    /// The scenario's name.
    pub name: String,
    /// The kernel that runs on the machine.
    pub kernel: KernelVersion,
    /// The computer.
    pub machine: MachineSpec,
    /// Whether durations limit the orders that exploration takes. Timed runs always respect time.
    pub timing: Timing,
    /// Struct layouts, declared ones and those of map values.
    pub types: Vec<TypeDef>,
    /// Shared variables of raw steps.
    pub vars: Vec<VarDef>,
    /// Maps. An inner map is a map of its own, named `outer[0]`.
    pub maps: Vec<MapDef>,
    /// Programs and callbacks.
    pub progs: Vec<ProgDef>,
    /// Memory cgroups.
    pub memcgs: Vec<MemcgDef>,
    /// Threads of processes, in the order of the file.
    pub tasks: Vec<TaskDef>,
    /// What happens on CPUs, by CPU number; at most one entry for a CPU.
    pub cpu_events: Vec<CpuEvents>,
    /// Paths in bpffs that operations name.
    pub paths: Vec<String>,
    /// Injected faults.
    pub faults: Vec<Fault>,
    /// How many ticks may come at any point of an explored run.
    pub irqs: u32,
    /// Limits of one run.
    pub limits: Limits,
    /// When a run ends.
    pub stop: Stop,
    /// Source positions that [`Op::at`] and others index.
    pub lines: Vec<At>,
}

impl World {
    /// A world with nothing but CPUs: the start of worlds that are built in code.
    pub fn new(name: &str, kernel: KernelVersion, cpus: u16) -> World {
        World {
            name: name.to_string(),
            kernel,
            machine: MachineSpec { cpus, ..MachineSpec::default() },
            timing: Timing::Ignore,
            types: Vec::new(),
            vars: Vec::new(),
            maps: Vec::new(),
            progs: Vec::new(),
            memcgs: Vec::new(),
            tasks: Vec::new(),
            cpu_events: Vec::new(),
            paths: Vec::new(),
            faults: Vec::new(),
            irqs: 0,
            limits: Limits::default(),
            stop: Stop::Idle,
            lines: Vec::new(),
        }
    }

    /// The source position with this index; line 0 if there is none.
    pub fn at(&self, line: LineId) -> At {
        self.lines.get(line.index()).copied().unwrap_or_default()
    }
}

macro_rules! index {
    ($(#[$doc:meta] $name:ident),* $(,)?) => {$(
        #[$doc]
        #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub u32);

        impl $name {
            /// The index into the world's list.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

index! {
    /// An index into [`World::types`].
    TypeIx,
    /// An index into [`TypeDef::fields`].
    FieldIx,
    /// An index into [`World::vars`].
    VarId,
    /// An index into [`World::maps`].
    MapId,
    /// An index into [`World::progs`].
    ProgId,
    /// An index into [`World::memcgs`].
    MemcgId,
    /// An index into [`World::tasks`].
    TaskId,
    /// An index into [`World::paths`].
    PathId,
    /// An index into [`World::lines`].
    LineId,
    /// An index into [`Body::locals`].
    LocalId,
}

/// A position in the source of a scenario, both from 1; 0 where there is none.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct At {
    /// Line.
    pub line: u32,
    /// Column.
    pub col: u32,
}

/// A length of time in nanoseconds, or a range of lengths with both ends included.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Ns {
    /// Shortest.
    pub min: u64,
    /// Longest; not below `min`.
    pub max: u64,
}

impl Ns {
    /// One length.
    pub const fn fixed(ns: u64) -> Ns {
        Ns { min: ns, max: ns }
    }
}
