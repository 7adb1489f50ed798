//! The final states of a search, as long as they are few: how many schedules end in each, and one that does.

use crate::detect::Class;
use crate::mem::Mem;
use crate::schedule::{Pick, Schedule};
use std::collections::{BTreeMap, BTreeSet};

/// Of more different final states, only the number and the digest are known.
pub const MOST_ENDS: usize = 256;

/// A final state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Schedules that end in it: inequivalent ones, or executions of a sample. The engine of states counts the ways into it
    /// that it went, which are fewer.
    pub schedules: u64,
    /// Those with a finding.
    pub failing: u64,
    /// The classes of their findings.
    pub classes: BTreeSet<Class>,
    /// The first of the schedules.
    pub schedule: Schedule,
}

/// Final states by digest, until they are too many.
#[derive(Default)]
pub(crate) struct Ends {
    kept: BTreeMap<u64, End>,
    too_many: bool,
}

impl Ends {
    /// Counts an execution that has come to its end.
    pub fn count(&mut self, mem: &Mem, state: u64, picks: impl FnOnce() -> Vec<Pick>) {
        let failed = !mem.findings.is_empty();
        let Some(end) = self.entry(state, || Schedule { picks: picks() }) else { return };
        end.schedules += 1;
        end.failing += u64::from(failed);
        end.classes.extend(mem.findings.iter().map(|f| f.class));
    }

    /// Counts so many more executions that ended in a known state.
    pub fn again(&mut self, state: u64, times: u64, failed: bool) {
        if let Some(end) = self.kept.get_mut(&state) {
            end.schedules += times;
            end.failing += if failed { times } else { 0 };
        }
    }

    fn entry(&mut self, state: u64, schedule: impl FnOnce() -> Schedule) -> Option<&mut End> {
        let known = self.kept.contains_key(&state);
        if self.too_many || !known && self.kept.len() == MOST_ENDS {
            self.too_many = true;
            self.kept.clear();
            return None;
        }
        Some(self.kept.entry(state).or_insert_with(|| End {
            schedules: 0,
            failing: 0,
            classes: BTreeSet::new(),
            schedule: schedule(),
        }))
    }

    /// Adds what a later part of the same search counted.
    pub fn absorb(&mut self, other: Ends) {
        if other.too_many {
            (self.too_many, self.kept) = (true, BTreeMap::new());
        }
        for (state, new) in other.kept {
            let Some(end) = self.entry(state, || new.schedule) else { return };
            end.schedules += new.schedules;
            end.failing += new.failing;
            end.classes.extend(new.classes);
        }
    }

    /// All of them, in the order of their digests; empty if they were too many.
    pub fn into_list(self) -> Vec<End> {
        self.kept.into_values().collect()
    }
}
