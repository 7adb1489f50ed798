//! The race of a timed run on its clock: the steps that are numbered 1, 2, 3 in `timeline.svg`, and the window between them.

use crate::facts::Facts;
use crate::order::{Kind, missing, other_step};
use timerace_core::record::Record;
use timerace_core::{CpuId, CtxId};

/// A numbered step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mark {
    /// When it begins, in nanoseconds.
    pub at: u64,
    pub cpu: CpuId,
    pub ctx: CtxId,
    /// Its line.
    pub text: String,
    /// The wrong access.
    pub bad: bool,
    /// The other side of the finding.
    pub other: bool,
}

/// A race that lies in a recorded stretch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RaceMarks {
    /// In the order of time.
    pub marks: Vec<Mark>,
    /// From the first to the last of them, in nanoseconds.
    pub window: (u64, u64),
    /// Nothing orders its two sides.
    pub unordered: bool,
}

/// The first finding of the record with two sides in it: where the access lost its protection, and both sides.
pub(crate) fn race_marks(rec: &Record) -> Option<RaceMarks> {
    let facts = Facts::new(rec);
    rec.findings.iter().find_map(|f| {
        let at = facts.locate(f, &f.at)?;
        let other = other_step(&facts, f)?;
        let missing = missing(&facts, f);
        let since = missing.as_ref().and_then(|m| m.since);
        let mut steps: Vec<usize> = [since, Some(other), Some(at)].into_iter().flatten().collect();
        steps.sort_unstable();
        steps.dedup();
        let mark = |i: &usize| {
            let s = &rec.steps[*i];
            let cpu = facts.spec(s.ctx)?.cpu?;
            let text = s.text.clone();
            let (at, ctx, bad, other) = (s.at.0, s.ctx, *i == at, *i == other);
            Some(Mark { at, cpu, ctx, text, bad, other })
        };
        let marks: Vec<Mark> = steps.iter().map(mark).collect::<Option<_>>()?;
        let window = (marks.first()?.at, marks.last()?.at);
        Some(RaceMarks { marks, window, unordered: missing?.kind == Kind::Unordered })
    })
}

/// The stretch of time around the race of a record, if it has one with two sides: three times as long before it, and half
/// of that after it.
pub fn around_race(rec: &Record) -> Option<(u64, u64)> {
    let (from, to) = race_marks(rec)?.window;
    let before = ((to - from) * 3).max(500);
    Some((from.saturating_sub(before), to.saturating_add(before / 2)))
}
