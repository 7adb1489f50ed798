//! The machine, the kernel, the parameters, and how long and how widely to look.

use super::names::word_enum;
use super::text::{Duration, Version};
use crate::span::{Sp, Span};

/// Which kernel a file asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelChoice {
    /// The release.
    pub base: Sp<Version>,
    /// Fixes to add, by name or 12-digit commit id. Whether they exist is the kernel's knowledge.
    pub with: Vec<Sp<String>>,
    /// Fixes to take away.
    pub without: Vec<Sp<String>>,
}

word_enum! {
    /// Preemption model, as in Kconfig without `CONFIG_`.
    Preempt {
        None = "PREEMPT_NONE",
        Voluntary = "PREEMPT_VOLUNTARY",
        Full = "PREEMPT",
        Lazy = "PREEMPT_LAZY",
        Rt = "PREEMPT_RT",
    }
}

word_enum! {
    /// When the tick stops.
    Nohz {
        Periodic = "HZ_PERIODIC",
        Idle = "NO_HZ_IDLE",
        Full = "NO_HZ_FULL",
    }
}

word_enum! {
    /// Memory model.
    Memory {
        Sc = "SC",
        Tso = "TSO",
    }
}

/// The computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Number of CPUs, 1 to 256.
    pub cpus: Sp<u32>,
    /// Preemption model; not written: `PREEMPT_NONE`.
    pub preempt: Sp<Preempt>,
    /// Ticks per second: 100, 250, 300 or 1000; not written: 250.
    pub hz: Sp<u32>,
    /// Whether there is a periodic tick; `None`: yes in timed runs, no when exploring.
    pub tick: Option<Sp<bool>>,
    /// When the tick stops; not written: `NO_HZ_IDLE`.
    pub nohz: Sp<Nohz>,
    /// High resolution timers; not written: `true`.
    pub high_res: Sp<bool>,
    /// Whether timers may move to a busy CPU; not written: `true`.
    pub timer_migration: Sp<bool>,
    /// Memory model; not written: `SC`.
    pub memory: Sp<Memory>,
    /// How long a grace period takes; `None`: the cost model's value, any length when exploring.
    pub grace_period: Option<Sp<Duration>>,
    /// The whole `( .. )`.
    pub span: Span,
}

word_enum! {
    /// Whether durations limit the orders that a search takes. A timed run always respects time.
    Timing {
        Ignore = "Ignore",
        Respect = "Respect",
    }
}

/// A parameter of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// What the file declares.
    pub value: ParamValue,
    /// The text that stands for `$name` in this tree: the fixed value, the first of several, or
    /// what the caller has set.
    pub chosen: String,
    /// Whether the caller has set it (`--set name=value`).
    pub set: bool,
    /// Where the value stands.
    pub span: Span,
}

/// What a file declares for a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamValue {
    /// One text.
    Fixed(String),
    /// `sweep(from:, to:, step:)`: `from`, `from + step`, .. up to and including `to`.
    Sweep {
        /// First value.
        from: i64,
        /// Last value, included if a step reaches it; not below `from`.
        to: i64,
        /// Distance; above 0.
        step: i64,
        /// Whether the values are durations in nanoseconds (and not plain integers).
        durations: bool,
    },
    /// `choice([..])`: these texts; never empty.
    Choice(Vec<Sp<String>>),
}

/// Sweeps of more values than this are a mistake in the step.
const SWEEP_MAX_VALUES: u64 = 1_000_000;

impl ParamValue {
    /// A sweep.
    ///
    /// # Errors
    ///
    /// A step that is not above 0, an end below the start, more than a million values.
    pub fn sweep(from: i64, to: i64, step: i64, durations: bool) -> Result<Self, &'static str> {
        match () {
            () if step <= 0 => Err("the step of a sweep must be above 0"),
            () if to < from => Err("a sweep goes up: `to` is below `from`"),
            () if to.abs_diff(from) / step.unsigned_abs() >= SWEEP_MAX_VALUES => {
                Err("a sweep has at most a million values")
            }
            () => Ok(ParamValue::Sweep { from, to, step, durations }),
        }
    }

    /// How many values there are; at least 1.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            ParamValue::Fixed(_) => 1,
            ParamValue::Sweep { from, to, step, .. } => {
                // All differences of two i64 fit into a u64.
                to.abs_diff(*from) / step.unsigned_abs().max(1) + 1
            }
            ParamValue::Choice(values) => values.len() as u64,
        }
    }

    /// Never: a parameter has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The value number `index` (from 0) as a text that can be given back as `--set name=text`.
    #[must_use]
    pub fn value(&self, index: u64) -> Option<String> {
        match self {
            ParamValue::Fixed(text) => (index == 0).then(|| text.clone()),
            ParamValue::Sweep { from, step, durations, .. } => {
                if index >= self.len() {
                    return None;
                }
                let value = i128::from(*from) + i128::from(*step) * i128::from(index);
                let value = i64::try_from(value).ok()?;
                Some(if *durations {
                    super::text::SignedDuration::fixed(value).to_string()
                } else {
                    value.to_string()
                })
            }
            ParamValue::Choice(values) => {
                values.get(usize::try_from(index).ok()?).map(|text| text.node.clone())
            }
        }
    }
}

word_enum! {
    /// Who answers at the choice points of a search.
    PolicyKind {
        Exhaustive = "exhaustive",
        Random = "random",
        Pct = "pct",
    }
}

/// How many preemptions a schedule may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preemptions {
    /// Any number.
    All,
    /// At most so many: the scope that the author of the file chose.
    AtMost(u32),
}

/// `explore: ( .. )`. A field that is `None` was not written; the methods know the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Explore {
    /// Who chooses.
    pub policy: Option<Sp<PolicyKind>>,
    /// Bound on preemptions.
    pub preemptions: Option<Sp<Preemptions>>,
    /// How many ticks may come at any point.
    pub irqs: Option<Sp<u32>>,
    /// Bound on schedules.
    pub max_schedules: Option<Sp<u64>>,
}

impl Explore {
    /// The policy; not written: exhaustive.
    #[must_use]
    pub fn policy(&self) -> PolicyKind {
        self.policy.map_or(PolicyKind::Exhaustive, |policy| policy.node)
    }

    /// The bound on preemptions; not written: none.
    #[must_use]
    pub fn preemptions(&self) -> Preemptions {
        self.preemptions.map_or(Preemptions::All, |bound| bound.node)
    }

    /// Ticks that may come at any point; not written: 0.
    #[must_use]
    pub fn irqs(&self) -> u32 {
        self.irqs.map_or(0, |irqs| irqs.node)
    }
}

/// Limits of one run. Reaching one is inconclusive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// Steps; at least 1.
    pub steps: Option<Sp<u64>>,
    /// Expiries of timers; at least 1.
    pub expiries: Option<Sp<u64>>,
}

/// When a run ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// When nothing can run and no timer is queued.
    Idle,
    /// At this time.
    Time(Sp<Duration>),
    /// After so many expiries; at least 1.
    Expiries(Sp<u64>),
}

/// `count(schedules: n, failing: n)`; at least one of the two is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Inequivalent schedules of a complete search.
    pub schedules: Option<Sp<u64>>,
    /// Those with a finding.
    pub failing: Option<Sp<u64>>,
}
