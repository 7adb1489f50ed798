//! Durations in explorations: which schedules they allow.

use crate::fail::Fail;
use crate::session::Session;
use timerace_core::Machine;
use timerace_core::dpor::{Observer, View};
use timerace_core::exec::Exec;
use timerace_core::schedule::Pick;
use timerace_core::timed::Costs;
use timerace_core::timing::Times;
use timerace_kernel::Kernel;
use timerace_kernel::world::Timing;
use timerace_reports::cover::Missed;

/// Asks of each schedule whether durations allow it, on a machine of its own.
pub struct Clock {
    machine: Machine,
    model: Kernel,
    costs: Costs,
    /// Findings in those that they do not.
    pub missed: Missed,
}

impl Clock {
    /// A clock for a scenario with `timing: Respect`; `None` for others.
    pub fn of(s: &Session) -> Result<Option<Clock>, Fail> {
        if s.world.timing != Timing::Respect {
            return Ok(None);
        }
        let (machine, model) = s.boot(false)?;
        Ok(Some(Clock { machine, model, costs: s.costs.clone(), missed: Missed::default() }))
    }

    /// Whether durations allow a schedule.
    pub fn possible(&mut self, schedule: &[Pick]) -> bool {
        let mut exec = Exec::new(&self.machine, &self.model);
        let times = Times::of(&mut exec, schedule, &self.costs);
        let possible = times.possible();
        let names = self.machine.names();
        if !possible && self.machine.with_mem(|m| !m.findings(names).is_empty()) {
            self.missed.absorb(Missed { failing: 1, delay_ns: times.delay_needed() });
        }
        possible
    }
}

/// Looks at nothing but durations.
pub struct Timely(pub Option<Clock>);

impl Observer for Timely {
    fn needs_marks(&self) -> bool {
        false
    }
    fn respects_durations(&self) -> bool {
        self.0.is_some()
    }
    fn possible(&mut self, schedule: &[Pick]) -> bool {
        self.0.as_mut().is_none_or(|c| c.possible(schedule))
    }
    fn execution(&mut self, _: &View<'_>) {}
}
