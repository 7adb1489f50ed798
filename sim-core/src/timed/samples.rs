//! Expiries on their way to the watcher.
//!
//! CPUs run ahead of each other, so an expiry waits until no earlier one can come. The watcher sees them in the order in
//! which their callbacks ended, whatever the driver did first.

use super::Watch;
use super::causes::{Cause, History};
use super::matches::Matches;
use crate::ids::CtxId;
use crate::machine::Model;
use crate::result::Expiry;
use std::collections::VecDeque;

const NEVER: u64 = u64::MAX;

/// So many may wait before they are handed on, or twice as many as could not be.
const MANY: usize = 512;

/// So many parts that have been handed on are forgotten together.
const GIVEN: usize = 4_096;

/// An expiry as the model notes it.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Sample {
    pub expiry: Expiry,
    /// What the model numbers its timer by.
    pub name: u64,
}

/// What waits of one CPU, in the order in which its callbacks ended.
#[derive(Clone, Debug, Default)]
struct Waiting {
    /// Each with the number of its causes.
    samples: VecDeque<(Sample, u32)>,
    /// Where causes are wanted; the first `given` of them have been handed on.
    parts: Vec<(Cause, u64)>,
    given: usize,
}

impl Waiting {
    /// When the first callback ended.
    fn first(&self) -> u64 {
        self.samples.front().map_or(NEVER, |(s, _)| s.expiry.exit.0)
    }

    /// So many parts are handed on.
    fn give(&mut self, parts: usize) {
        self.given += parts;
        if self.given >= GIVEN || self.given == self.parts.len() {
            self.parts.drain(..self.given);
            self.given = 0;
        }
    }
}

#[derive(Debug)]
pub(super) struct Samples {
    lanes: Vec<Waiting>,
    /// Whose first callback ended first.
    first: Matches,
    waiting: usize,
    /// How many of them were there before and could not be handed on.
    kept: usize,
}

impl Samples {
    pub fn new(lanes: usize) -> Samples {
        Samples {
            lanes: vec![Waiting::default(); lanes],
            first: Matches::new(lanes),
            waiting: 0,
            kept: 0,
        }
    }

    /// Takes what the last steps of `own` on its CPU have noted; `history`: what the CPU did, where causes are wanted.
    #[inline]
    pub fn take(
        &mut self,
        lane: usize,
        noted: &mut Vec<Sample>,
        history: Option<&History>,
        own: CtxId,
    ) {
        if noted.is_empty() {
            return;
        }
        self.waiting += noted.len();
        let w = &mut self.lanes[lane];
        let was_empty = w.samples.is_empty();
        for s in noted.iter() {
            let mut causes = 0;
            if let Some(h) = history {
                let begin = w.parts.len();
                h.causes(&s.expiry, own, &mut w.parts);
                causes = (w.parts.len() - begin) as u32;
            }
            w.samples.push_back((*s, causes));
        }
        noted.clear();
        if was_empty {
            self.first.play(lane, w.first());
        }
    }

    pub fn are_many(&self) -> bool {
        self.waiting >= MANY.max(2 * self.kept)
    }

    /// Hands on all whose callback ended before `front`: no step comes before that any more.
    pub fn hand_on<M: Model, W: Watch>(&mut self, front: u64, model: &M, watch: &mut W) {
        loop {
            let (at, lane) = self.first.first();
            if at >= front {
                break;
            }
            let w = &mut self.lanes[lane];
            let Some((s, causes)) = w.samples.pop_front() else { break };
            self.waiting -= 1;
            self.first.play(lane, w.first());
            let expiry = Expiry { timer: model.timer_number(s.name), ..s.expiry };
            let parts = w.given..w.given + causes as usize;
            watch.expiry(&expiry, &w.parts[parts.clone()]);
            w.give(parts.len());
        }
        self.kept = self.waiting;
    }
}
