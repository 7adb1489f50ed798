//! How big a scenario is, in the terms of those who write one.

use crate::ast::{Event, Scenario};
use crate::check::visit::for_each_step_of;

/// What a scenario is made of.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// CPUs of the machine.
    pub cpus: u64,
    /// Tasks, those that run the steps of a CPU included.
    pub tasks: u64,
    /// Steps of tasks, programs and interrupts, as they are written.
    pub operations: u64,
    /// Elements that maps have from the start.
    pub map_entries: u64,
    /// Sources of events: interrupts, softirqs, packets, ticks.
    pub events: u64,
}

impl Size {
    /// The size of a scenario.
    #[must_use]
    pub fn of(s: &Scenario) -> Size {
        let is_step = |e: &Event| matches!(e, Event::Step(_));
        let acting = s.cpus.iter().filter(|c| c.1.iter().any(|e| is_step(&e.node))).count();
        let events = s.cpus.iter().flat_map(|c| &c.1).filter(|e| !is_step(&e.node)).count();
        let mut operations = 0;
        for_each_step_of(s, &mut |_| operations += 1);
        Size {
            cpus: u64::from(s.machine.cpus.node),
            tasks: (s.tasks.len() + acting) as u64,
            operations,
            map_entries: s.maps.iter().map(|m| m.1.init.len() as u64).sum(),
            events: events as u64,
        }
    }
}
