//! The arrows of a picture: which of its rows come after which for a reason, and which should but do not.
//!
//! A conflict over a variable orders two steps of this run only; in the next run they come the other way round. So an arrow
//! stands for what orders steps in every run: a lock that is handed on, work that must be queued before it runs. The sides
//! of a finding get their own arrow.

use crate::facts::{Facts, is_lock};
use crate::interleaving::{Interleaving, Row, RowKind};
use crate::order::{Kind, missing, other_step};
use std::collections::BTreeSet;
use timerace_core::CtxId;
use timerace_core::record::{FindingRecord, StepRecord};

/// What an arrow says.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Says {
    /// The second comes after the first in every run.
    Ordered,
    /// The second should come before the first, but nothing makes it.
    NotOrdered,
    /// The first waits for the second.
    Waits,
}

/// An arrow between two rows, by index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrow {
    /// The row where it begins.
    pub from: usize,
    /// The row that it points to.
    pub to: usize,
    /// What it says.
    pub says: Says,
    /// The reason in a word or two.
    pub label: &'static str,
}

/// The number of the step that a row stands for.
pub fn step_of(row: &Row) -> Option<u32> {
    match row.kind {
        RowKind::Step(no) | RowKind::Entry(Some(no)) => Some(no),
        _ => None,
    }
}

/// The arrows between the rows of a picture.
pub(crate) fn arrows(
    facts: &Facts<'_>,
    finding: Option<&FindingRecord>,
    il: &Interleaving,
) -> Vec<Arrow> {
    let row_of = |index: usize| {
        let no = facts.rec.steps[index].no;
        il.rows.iter().position(|r| step_of(r) == Some(no))
    };
    let mut out = Vec::new();
    for (to, row) in il.rows.iter().enumerate() {
        let Some(index) = step_of(row).and_then(|no| facts.index_of(no)) else { continue };
        for (before, label) in reasons(facts, index) {
            if let Some(from) = row_of(before) {
                out.push(Arrow { from, to, says: Says::Ordered, label });
            }
        }
    }
    if let Some(f) = finding {
        out.extend(of_finding(facts, f, &row_of));
        out.extend(waiting(facts, f, il));
    }
    out
}

/// The steps that come before one in every run, with the reason.
pub(crate) fn reasons(facts: &Facts<'_>, index: usize) -> Vec<(usize, &'static str)> {
    let steps = &facts.rec.steps;
    let step = &steps[index];
    let takes = |s: &StepRecord, over: &str, free: bool| {
        let lock = s.touches.iter().find(|t| t.name == over);
        lock.is_some_and(|t| is_lock(t) && (t.before == "free") == free)
    };
    let words: BTreeSet<&str> =
        step.touches.iter().filter(|t| t.internal).map(|t| t.name.as_str()).collect();
    let mut out = Vec::new();
    for (from, e) in facts.before(index) {
        let Some(over) = e.over.as_deref().filter(|o| !words.contains(o)) else { continue };
        if steps[from].ctx == step.ctx {
            continue;
        }
        if takes(&steps[from], over, false) && takes(step, over, true) {
            out.push((from, "unlock \u{2192} lock"));
        } else if step.entry && !takes(step, over, true) && adds_to(&steps[from], over) {
            out.push((from, "queue \u{2192} run"));
        }
    }
    // A step has one cause: the last one.
    out.sort();
    out.split_off(out.len().saturating_sub(1))
}

/// Whether the step puts something into a queue, as far as its values tell: who takes something out of it starts nothing.
fn adds_to(step: &StepRecord, queue: &str) -> bool {
    let queued = |value: &str| match value.split(' ').next() {
        Some("empty") => Some(0u64),
        Some(n) => n.parse().ok(),
        None => None,
    };
    let touch = step.touches.iter().find(|t| t.name == queue && t.write);
    touch.is_none_or(|t| match (queued(&t.before), queued(&t.after)) {
        (Some(before), Some(after)) => after > before,
        _ => true,
    })
}

fn of_finding(
    facts: &Facts<'_>,
    finding: &FindingRecord,
    row_of: &dyn Fn(usize) -> Option<usize>,
) -> Option<Arrow> {
    let at = row_of(facts.locate(finding, &finding.at)?)?;
    let other = row_of(other_step(facts, finding)?)?;
    let (from, to) = (at.min(other), at.max(other));
    let (says, label) = match missing(facts, finding)?.kind {
        Kind::Unordered => (Says::NotOrdered, "not ordered"),
        Kind::Ordered => (Says::Ordered, "ordered"),
        Kind::SameContext => return None,
    };
    (from != to).then_some(Arrow { from, to, says, label })
}

fn waiting(facts: &Facts<'_>, finding: &FindingRecord, il: &Interleaving) -> Vec<Arrow> {
    let row = |ctx: CtxId| {
        let waits = |r: &Row| r.ctx == ctx && r.kind == RowKind::Waiting;
        il.rows.iter().position(waits).or_else(|| il.rows.iter().rposition(|r| r.ctx == ctx))
    };
    let circle = facts.circle(&finding.waits, finding.at.ctx);
    let arrow = |w: &&timerace_core::record::Wait| {
        let (from, to) = (row(w.waiter)?, row(w.holder)?);
        let arrow = Arrow { from, to, says: Says::Waits, label: "waits for" };
        (from != to).then_some(arrow)
    };
    circle.iter().filter_map(arrow).collect()
}
