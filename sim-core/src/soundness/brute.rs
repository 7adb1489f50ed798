//! Brute force on the engine: sleep sets with every branch tried, so each trace is run to its end once.

use super::common::{Outcome, Toy, outcome};
use super::stuck;
use std::collections::BTreeSet;
use timerace_core::exec::Exec;
use timerace_core::step::{Access, conflict};
use timerace_core::{CtxId, Machine};

/// A context that need not be tried, and what its step touches.
type Sleeper = (CtxId, Vec<Access>);

pub struct Brute<'a> {
    machine: &'a Machine,
    toy: &'a Toy,
    pub traces: u64,
    pub outcomes: BTreeSet<Outcome>,
}

impl<'a> Brute<'a> {
    pub fn new(machine: &'a Machine, toy: &'a Toy) -> Brute<'a> {
        Brute { machine, toy, traces: 0, outcomes: BTreeSet::new() }
    }

    /// False if there are more traces than this can run.
    pub fn run(&mut self, exec: &mut Exec<'_, Toy>) -> bool {
        exec.restart();
        self.go(exec, &mut Vec::new(), Vec::new())
    }

    /// Goes on from where the execution is, which is after `path`.
    fn go(
        &mut self,
        exec: &mut Exec<'_, Toy>,
        path: &mut Vec<(CtxId, u8)>,
        mut asleep: Vec<Sleeper>,
    ) -> bool {
        let mut ready = Vec::new();
        exec.ready(&mut ready);
        if ready.is_empty() {
            self.traces += 1;
            let stuck = stuck(exec);
            self.outcomes.insert(self.machine.with_mem(|m| outcome(self.toy, m, stuck)));
            return self.traces < 3_000;
        }
        let mut moved = false;
        for c in ready {
            if asleep.iter().any(|s| s.0 == c) {
                continue;
            }
            let mut alternatives = 1;
            let mut fp = Vec::new();
            let mut alt = 0;
            while alt < alternatives {
                if moved {
                    exec.restart();
                    path.iter().for_each(|(c, a)| exec.step(*c, *a));
                }
                moved = true;
                alternatives = exec.alternatives(c);
                fp = exec.footprint(c);
                exec.step(c, alt);
                if exec.changed_nothing() {
                    fp.iter_mut().for_each(|a| *a = a.as_read());
                }
                let below = asleep.iter().filter(|s| !conflict(&s.1, &fp)).cloned().collect();
                path.push((c, alt));
                let go_on = self.go(exec, path, below);
                path.pop();
                if !go_on {
                    return false;
                }
                alt += 1;
            }
            asleep.push((c, fp));
        }
        true
    }
}
