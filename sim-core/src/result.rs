//! What a search or a timed run found out, as plain data.

use crate::detect::Class;
use crate::ids::{CpuId, Nanos};
use crate::schedule::Schedule;

/// A bound that cuts a search off, and whether it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// `preemptions`, `max_schedules`, `steps`, `expiries`, `memory`.
    pub name: &'static str,
    /// Its value; `None`: no limit.
    pub value: Option<u64>,
    /// Something was cut off.
    pub hit: bool,
}

/// A distinct finding of a search: one per class and pair of functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its class.
    pub class: Class,
    /// The two functions, sorted; the same twice where there is one.
    pub functions: [String; 2],
    /// A schedule that shows it, in the order with the fewest preemptions among those seen.
    pub schedule: Schedule,
    /// Inequivalent schedules that show it.
    pub schedules: u64,
}

/// What a search covered and found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exploration {
    /// `exhaustive`, `random` or `pct`.
    pub policy: &'static str,
    /// Every inequivalent schedule was run: no bound was hit, and the search did not stop at a finding.
    pub complete: bool,
    /// It stopped at a finding.
    pub stopped: bool,
    /// Inequivalent schedules that were run to their end (for `random` and `pct`: executions).
    pub schedules: u64,
    /// Those with a finding.
    pub failing: u64,
    /// Executions given up because all that could step was known to be covered elsewhere.
    pub blocked: u64,
    /// Schedules whose end left a context stuck.
    pub stuck: u64,
    /// Steps of all executions.
    pub steps: u64,
    /// Steps of the longest execution.
    pub longest: u32,
    /// Distinct findings, in the order of (class, functions).
    pub findings: Vec<Found>,
    /// The bounds.
    pub bounds: Vec<Bound>,
    /// Number of different final states.
    pub final_states: u64,
    /// Digest of the sorted set of final states: the same for every order of search.
    pub state_digest: u64,
    /// Digest of all traces: the same for every order of search.
    pub trace_digest: u64,
}

/// One expiry of a timer in a timed run. Times are virtual nanoseconds since the start of the run.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Which timer: index into the run's table of names.
    pub timer: u32,
    /// On which CPU the callback ran.
    pub cpu: CpuId,
    /// When it was armed.
    pub armed: Nanos,
    /// The programmed expiry.
    pub programmed: Nanos,
    /// When the hard interrupt that noticed it began, if one did.
    pub irq: Option<Nanos>,
    /// When the softirq that ran it began.
    pub softirq: Nanos,
    /// When its callback began.
    pub callback: Nanos,
    /// When its callback ended.
    pub exit: Nanos,
}

impl Expiry {
    /// Nanoseconds from the programmed expiry to the beginning of the callback.
    pub fn late_ns(&self) -> u64 {
        self.callback.since(self.programmed)
    }
}
