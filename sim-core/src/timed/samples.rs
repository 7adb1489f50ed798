//! Expiries on their way to the watcher.
//!
//! CPUs run ahead of each other, so an expiry waits until no earlier one can come. The watcher sees them in the order in
//! which their callbacks ended, whatever the driver did first.

use super::Watch;
use super::causes::{Cause, History};
use crate::ids::{CpuId, CtxId};
use crate::machine::Model;
use crate::result::Expiry;

/// So many may wait before they are handed on, or twice as many as could not be.
const MANY: usize = 512;

/// An expiry as the model notes it.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Sample {
    pub expiry: Expiry,
    /// What the model numbers its timer by.
    pub name: u64,
}

#[derive(Debug, Default)]
pub(super) struct Samples {
    waiting: Vec<Sample>,
    /// How many of them were there before and could not be handed on.
    kept: usize,
    /// Of each: where its causes begin and end in `parts`. Empty where causes are not wanted.
    causes: Vec<(u32, u32)>,
    parts: Vec<(Cause, u64)>,
    /// When the callback of each ended, on which CPU, and its place in `waiting`; the first in the upper bits.
    order: Vec<u128>,
}

impl Samples {
    /// Takes what the last steps of `own` have noted; `history`: what its CPU did, where causes are wanted.
    #[inline]
    pub fn take(&mut self, noted: &mut Vec<Sample>, history: Option<&History>, own: CtxId) {
        if noted.is_empty() {
            return;
        }
        if let Some(h) = history {
            for s in noted.iter() {
                let begin = self.parts.len() as u32;
                h.causes(&s.expiry, own, &mut self.parts);
                self.causes.push((begin, self.parts.len() as u32));
            }
        }
        self.waiting.append(noted);
    }

    pub fn are_many(&self) -> bool {
        self.waiting.len() >= MANY.max(2 * self.kept)
    }

    /// Hands on all whose callback ended before `front`: no step comes before that any more.
    pub fn hand_on<M: Model, W: Watch>(&mut self, front: u64, model: &M, watch: &mut W) {
        let key = |(i, s): (usize, &Sample)| {
            let CpuId(cpu) = s.expiry.cpu;
            u128::from(s.expiry.exit.0) << 64 | u128::from(cpu) << 32 | i as u128
        };
        let place = |key: &u128| *key as u32 as usize;
        self.order.clear();
        self.order.extend(self.waiting.iter().enumerate().map(key));
        // CPUs bring theirs in order: a stable sort merges such runs.
        self.order.sort();
        let ready = self.order.partition_point(|k| ((k >> 64) as u64) < front);
        self.kept = self.order.len() - ready;
        for i in self.order[..ready].iter().map(place) {
            let s = &self.waiting[i];
            let parts = self.causes.get(i).map_or(0..0, |c| c.0 as usize..c.1 as usize);
            let expiry = Expiry { timer: model.timer_number(s.name), ..s.expiry };
            watch.expiry(&expiry, &self.parts[parts]);
        }
        let (waiting, causes) =
            (std::mem::take(&mut self.waiting), std::mem::take(&mut self.causes));
        let parts = std::mem::take(&mut self.parts);
        for i in self.order[ready..].iter().map(place) {
            self.waiting.push(waiting[i]);
            if let Some((from, to)) = causes.get(i) {
                let begin = self.parts.len() as u32;
                self.parts.extend_from_slice(&parts[*from as usize..*to as usize]);
                self.causes.push((begin, self.parts.len() as u32));
            }
        }
    }
}
