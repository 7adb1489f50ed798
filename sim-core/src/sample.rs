//! Sampling: executions with random choices, for scenarios too big to exhaust. Never complete.

use crate::detect::FindingKey;
use crate::dpor::{Observer, Options, View};
use crate::exec::Exec;
use crate::lockdep::circle::conclude;
use crate::machine::Model;
use crate::policy::{Choice, Diverged, Ended, Policy, run};
use crate::result::{Exploration, Tally};
use crate::schedule::Pick;

/// Executions of a sample when nothing else is said.
pub const DEFAULT_EXECUTIONS: u64 = 10_000;

/// Wraps a policy and keeps its answers, so that an execution can be replayed.
struct Recorded<'p> {
    policy: &'p mut dyn Policy,
    picks: Vec<Pick>,
}

impl Policy for Recorded<'_> {
    fn begin(&mut self) {
        self.picks.clear();
        self.policy.begin();
    }

    fn pick(&mut self, choice: &Choice<'_>) -> Result<Pick, Diverged> {
        let pick = self.policy.pick(choice)?;
        self.picks.push(pick);
        Ok(pick)
    }
}

/// Runs executions with a sampling policy ([`crate::policy::Random`], [`crate::policy::Pct`]), named `name` in the result.
pub fn sample<M: Model>(
    exec: &mut Exec<'_, M>,
    name: &'static str,
    policy: &mut dyn Policy,
    options: &Options,
    observer: &mut dyn Observer,
) -> Exploration {
    let mut recorded = Recorded { policy, picks: Vec::new() };
    let mut tally = Tally::default();
    let machine = exec.machine();
    {
        let mem = &mut *machine.mem.borrow_mut();
        mem.marking = observer.needs_marks();
        mem.lockdep.forget();
    }
    let executions = options.max_schedules.unwrap_or(DEFAULT_EXECUTIONS);
    let ends =
        |t: &mut Tally| t.schedules + t.impossible >= executions || t.stopped || t.is_full(options);
    while !ends(&mut tally) && observer.go_on() {
        exec.restart();
        let ended = run(exec, &mut recorded, options.limits);
        if observer.respects_durations() && !observer.possible(&recorded.picks) {
            tally.impossible += 1;
            continue;
        }
        tally.locks.note(machine, || recorded.picks.clone());
        let stuck = if ended == Ended::Complete { exec.stuck() } else { Vec::new() };
        let mem = machine.mem.borrow();
        tally.count(&mem, exec.state_digest(), &ended, !stuck.is_empty());
        let taken = || recorded.picks.clone();
        let picks: Option<&dyn Fn() -> Vec<Pick>> = Some(&taken);
        observer.execution(&View { picks, ..View::linear(machine, &mem, &ended, &stuck) });
        let keys: Vec<FindingKey> = mem.finding_keys();
        drop(mem);
        if tally.schedules.is_multiple_of(1024) {
            observer.progress(tally.schedules);
        }
        if !keys.is_empty() {
            tally.failing += 1;
            for k in keys {
                tally.found(k, || recorded.picks.clone());
            }
            tally.stopped = !options.keep_going;
        }
    }
    machine.mem.borrow_mut().marking = false;
    tally.max_hit = !tally.stopped && !tally.is_full(options);
    conclude(exec, &mut tally, options.limits, observer);
    tally.into_exploration(name, machine.names(), options)
}
