//! Injected failures of allocations.

use timerace_core::Var;
use timerace_core::ctx::Decl;
use timerace_core::mem::Mem;

/// Which allocations of a kernel function fail.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) enum FaultPlan {
    /// None.
    #[default]
    Never,
    /// All.
    Always,
    /// Those whose bit is set, counted from 0 by a shared counter.
    Nth { mask: u128, count: Var<u64> },
    /// The schedule chooses.
    May,
}

/// Plans by function.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// `bpf_timer_init`
    pub timer_init: FaultPlan,
    /// `bpf_async_schedule_op` (v7.0 and later)
    pub schedule_op: FaultPlan,
    /// `bpf_wq_init`
    pub wq_init: FaultPlan,
    /// `bpf_map_update_elem`: elements that are not preallocated.
    pub map_update: FaultPlan,
}

impl FaultPlan {
    /// Declares what the decision needs.
    pub fn declare<'m>(&self, step: Decl<'m>) -> Decl<'m> {
        match self {
            FaultPlan::Nth { count, .. } => step.writes(count.obj()),
            FaultPlan::May => step.choices(2),
            FaultPlan::Never | FaultPlan::Always => step,
        }
    }

    /// Whether this allocation fails.
    pub fn fails(self, m: &mut Mem) -> bool {
        match self {
            FaultPlan::Never => false,
            FaultPlan::Always => true,
            FaultPlan::Nth { mask, count } => {
                let n = m.update(count, |n| n + 1);
                n < 128 && mask >> n & 1 != 0
            }
            FaultPlan::May => m.chosen() == 1,
        }
    }
}
