//! Newtypes for every index and unit, so that none is taken for another.

use std::fmt;

/// A CPU of the machine, counted from 0.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CpuId(pub u16);

impl CpuId {
    /// The index into per-CPU tables.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for CpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CPU{}", self.0)
    }
}

/// A context: a task, or a daemon such as an interrupt line, a softirq or a kworker. Numbered by the scenario, in the
/// order of [`crate::Setup::context`], never by the order of creation in a run.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CtxId(pub u16);

impl CtxId {
    /// The index into per-context tables.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A shared object: one 64-bit value in [`crate::Mem`], the unit of conflict.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Obj(pub u32);

impl Obj {
    /// The index into the table of values.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Virtual time in nanoseconds since the start of the run; never the time of the machine that simulates.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Nanos(pub u64);

impl Nanos {
    /// Later than everything.
    pub const NEVER: Nanos = Nanos(u64::MAX);

    /// This instant plus `ns`, at most [`Nanos::NEVER`].
    #[must_use]
    pub fn plus(self, ns: u64) -> Nanos {
        Nanos(self.0.saturating_add(ns))
    }

    /// Nanoseconds from `earlier` to this instant; 0 if it is not earlier.
    pub fn since(self, earlier: Nanos) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
