//! stateright: the program as a state machine whose states are stored.

use crate::program::{Op, PTR, Program};
use crate::{Measured, Task};
use stateright::{Checker, HasDiscoveries, Model, Property};

/// A state: where the threads are, and what they share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// (operation, register) of each thread.
    threads: Vec<(u8, u8)>,
    flags: Vec<u8>,
    /// The owner of the lock, plus one.
    owner: u8,
    slot: u8,
    freed: bool,
    /// Read-modify-writes of the object's word.
    adds: u8,
    bug: bool,
    /// What is in each thread's store buffer, oldest first: flags and values.
    buffers: Vec<Vec<(u8, u8)>>,
}

/// Actions from here on let a store leave its buffer.
const DRAIN: u8 = 128;

struct Machine(Program);

impl Machine {
    fn enabled(&self, s: &State, t: usize) -> bool {
        match self.0.threads[t].get(usize::from(s.threads[t].0)) {
            None => false,
            Some(Op::Lock) => s.owner == 0,
            Some(Op::WaitZero(from, to)) => s.flags[*from..*to].iter().all(|f| *f == 0),
            Some(Op::Set(..)) => self.0.slots == 0 || s.buffers[t].len() < self.0.slots,
            Some(Op::Barrier) => s.buffers[t].is_empty(),
            Some(_) => true,
        }
    }
}

/// Skips are no steps: goes on to the next operation that is one.
fn settle(ops: &[Op], thread: &mut (u8, u8)) {
    loop {
        let n = match ops.get(usize::from(thread.0)) {
            Some(Op::SkipUnlessPtr(n)) if u64::from(thread.1) != PTR => *n,
            Some(Op::SkipUnlessZero(n)) if thread.1 != 0 => *n,
            Some(Op::SkipUnlessPtr(_) | Op::SkipUnlessZero(_)) => 0,
            _ => return,
        };
        thread.0 += 1 + n as u8;
    }
}

impl Model for Machine {
    type State = State;
    type Action = u8;

    fn init_states(&self) -> Vec<State> {
        let p = &self.0;
        let threads = vec![(0, 0); p.threads.len()];
        let flags = vec![0; p.flags];
        let buffers = if p.slots > 0 { vec![Vec::new(); p.threads.len()] } else { Vec::new() };
        let (owner, slot, freed, adds, bug) = (0, PTR as u8, false, 0, false);
        vec![State { threads, flags, owner, slot, freed, adds, bug, buffers }]
    }

    fn actions(&self, s: &State, actions: &mut Vec<u8>) {
        actions.extend((0..s.threads.len()).filter(|t| self.enabled(s, *t)).map(|t| t as u8));
        let full = s.buffers.iter().enumerate().filter(|b| !b.1.is_empty());
        actions.extend(full.map(|b| DRAIN + b.0 as u8));
    }

    fn next_state(&self, last: &State, action: u8) -> Option<State> {
        let mut s = last.clone();
        if action >= DRAIN {
            let (f, x) = s.buffers[usize::from(action - DRAIN)].remove(0);
            s.flags[usize::from(f)] = x;
            return Some(s);
        }
        let t = usize::from(action);
        let ops = &self.0.threads[t];
        let thread = &mut s.threads[t];
        match ops[usize::from(thread.0)] {
            Op::Lock => s.owner = action + 1,
            Op::Unlock => s.owner = 0,
            Op::ReadSlot => thread.1 = s.slot,
            Op::TakeSlot => {
                thread.1 = s.slot;
                s.slot = 0;
            }
            Op::UseAdd => {
                s.bug |= s.freed;
                s.adds += 1;
            }
            Op::Use => s.bug |= s.freed,
            Op::Free => s.freed = true,
            Op::Set(f, x) if self.0.slots > 0 => s.buffers[t].push((f as u8, x as u8)),
            Op::Set(f, x) => s.flags[f] = x as u8,
            Op::Add(f, n) => s.flags[f] = s.flags[f].wrapping_add(n as u8),
            Op::Read(f) => thread.1 = s.flags[f],
            Op::WaitZero(..) | Op::SkipUnlessPtr(_) | Op::SkipUnlessZero(_) | Op::Barrier => {}
        }
        thread.0 += 1;
        settle(ops, thread);
        Some(s)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no use after free", |_, s: &State| !s.bug),
            Property::always("nobody is stuck", |m: &Machine, s: &State| {
                let ended = |t: usize| usize::from(s.threads[t].0) >= m.0.threads[t].len();
                let mut all = 0..s.threads.len();
                let drains = s.buffers.iter().any(|b| !b.is_empty());
                drains || all.clone().all(ended) || all.any(|t| m.enabled(s, t))
            }),
            // A search ends when every property has failed: this one never does.
            Property::always("search on", |_, _| true),
        ]
    }
}

/// Plays the program; it has no random search of a given number of executions.
pub fn play(program: &Program, task: Task) -> Option<Measured> {
    let checker = Machine(program.clone()).checker().threads(1);
    let checker = match task {
        Task::Random(_) => return None,
        Task::First => checker.finish_when(HasDiscoveries::Any).spawn_dfs().join(),
        Task::Exhaust => checker.spawn_dfs().join(),
    };
    Some(Measured {
        states: checker.unique_state_count() as u64,
        bug: !checker.discoveries().is_empty(),
        complete: checker.is_done() && task == Task::Exhaust,
        ..Measured::default()
    })
}
