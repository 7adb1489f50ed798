//! The typed tree of a scenario file.
//!
//! Everything is owned, public and plain; nothing of the file format is left in it. Parameters are
//! replaced by their values, names are looked up, durations are nanoseconds. Each node that a
//! message may point at is a [`Sp`], with its place in the file. Lists and maps keep the order of
//! the file: contexts are numbered by it.
//!
//! Start with [`Scenario`]; the steps are in [`step`], the strings inside strings in [`text`].

pub(crate) mod names;

pub mod act;
pub mod data;
pub mod expect;
pub mod setup;
pub mod step;
pub mod text;

pub use act::{
    Attach, Event, IrqWork, Prog, ProgKind, Sched, SoftirqVec, Source, Task, Timed, When,
};
pub use data::{Init, Map, MapFlag, MapKind, Member, MemberKind, Memcg, PlainKind, TypeDef, Var};
pub use expect::{BugClass, Expectation, Fault, LatencyLimits, Predicate};
pub use setup::{
    Count, Explore, KernelChoice, Limits, Machine, Memory, Nohz, Param, ParamValue, PolicyKind,
    Preempt, Preemptions, Stop, Timing,
};
pub use step::{
    Access, Barrier, Body, Call, Clock, ContextOp, Invoke, LockOp, ReadKind, Returns, Signal, Step,
    StepKind, TimerFlag, UpdateFlag, Value, WriteKind,
};
pub use text::{
    CmpOp, Cond, Duration, KernelCond, KernelTerm, Key, ObjBase, ObjExpr, Operand, PathSeg,
    SignedDuration, Version,
};

use crate::span::{Sp, Span};

/// A section `{ "name": item, .. }` in the order of the file. No name stands twice in it.
pub type Named<T> = Vec<(Sp<String>, T)>;

/// A whole scenario file, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Version of the file format; 1.
    pub schema: Sp<u32>,
    /// Name of the scenario: `[a-z0-9-]+`.
    pub name: Sp<String>,
    /// Commits and CVEs that the scenario is about.
    pub refs: Vec<Sp<String>>,
    /// Kernel that the file asks for; `None`: the command line or the configuration decides.
    pub kernel: Option<Sp<KernelChoice>>,
    /// The computer.
    pub machine: Machine,
    /// Whether durations limit the orders that a search takes.
    pub timing: Sp<Timing>,
    /// Parameters; their values are already put where they are used.
    pub params: Named<Param>,
    /// Struct layouts.
    pub types: Named<TypeDef>,
    /// Shared variables of raw steps.
    pub vars: Named<Sp<Var>>,
    /// Maps.
    pub maps: Named<Map>,
    /// Programs and callbacks.
    pub progs: Named<Prog>,
    /// Memory cgroups.
    pub memcgs: Named<Memcg>,
    /// Threads of processes.
    pub tasks: Named<Task>,
    /// What happens on each CPU, by its number.
    pub cpus: Vec<(Sp<u32>, Vec<Sp<Event>>)>,
    /// Faults to inject.
    pub faults: Vec<Sp<Fault>>,
    /// What the file says about the search; flags of the command line override it.
    pub explore: Explore,
    /// Limits of one run.
    pub limits: Limits,
    /// When a run ends; not written: [`Stop::Idle`].
    pub stop: Sp<Stop>,
    /// What must hold.
    pub expect: Vec<Sp<Expectation>>,
    /// Digests of the interleavings that it shows, by kernel.
    pub golden: Vec<(Sp<String>, Sp<String>)>,
    /// The whole `Scenario( .. )`.
    pub span: Span,
}

/// The item with this name in a section.
#[must_use]
pub fn find<'a, T>(section: &'a Named<T>, name: &str) -> Option<&'a T> {
    section.iter().find(|(key, _)| key.node == name).map(|(_, item)| item)
}

impl Scenario {
    /// The map with this name.
    #[must_use]
    pub fn map(&self, name: &str) -> Option<&Map> {
        find(&self.maps, name)
    }

    /// The program or callback with this name.
    #[must_use]
    pub fn prog(&self, name: &str) -> Option<&Prog> {
        find(&self.progs, name)
    }

    /// The type with this name.
    #[must_use]
    pub fn type_def(&self, name: &str) -> Option<&TypeDef> {
        find(&self.types, name)
    }

    /// The shared variable with this name.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&Var> {
        find(&self.vars, name).map(|var| &var.node)
    }

    /// The task with this name.
    #[must_use]
    pub fn task(&self, name: &str) -> Option<&Task> {
        find(&self.tasks, name)
    }
}
