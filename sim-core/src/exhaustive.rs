//! Exhaustive exploration by the engine that suits the model: traces and states in turns.
//!
//! Neither engine is better everywhere: models with much symmetry or many independent failures have few states, models
//! with store buffers few traces. Both search in turns, with budgets in steps that double, and the first that is through
//! answers. Steps, not seconds, so the choice is the same every time.
//!
//! The engine of states answers only what a state can answer: there is nothing to find, and these are the final states.
//! It does not run for an observer who judges the order of events or counts schedules ([`Observer::needs_traces`]), and it
//! gives up at a finding when the search is to go on, because it cannot say how many schedules show it.

use crate::dpor::{Observer, Options, Traces, Turn};
use crate::exec::Exec;
use crate::machine::Model;
use crate::result::Exploration;
use crate::states::States;

/// Steps of the first turn of each engine.
pub const FIRST_TURN: u64 = 100_000;

/// Explores all schedules of a model. `symmetry`: the observer does not tell interchangeable contexts apart.
///
/// # Panics
/// As [`crate::dpor::explore`].
pub fn explore<M: Model>(
    exec: &mut Exec<'_, M>,
    symmetry: bool,
    options: &Options,
    observer: &mut dyn Observer,
) -> Exploration {
    let mut traces = Traces::new(exec);
    if observer.needs_traces() {
        traces.turn(exec, options, observer, u64::MAX);
        return traces.into_exploration(exec, options);
    }
    let mut states = States::new(exec, symmetry);
    let mut budget = FIRST_TURN;
    loop {
        if traces.turn(exec, options, observer, budget) == Turn::Done {
            return traces.into_exploration(exec, options);
        }
        if !states.gave_up() && states.turn(exec, options, observer, budget) == Turn::Done {
            return states.into_exploration(exec, options);
        }
        budget *= 2;
    }
}
