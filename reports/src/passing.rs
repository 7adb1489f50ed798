//! The nearest schedule that passes, in words.

use crate::facts::Facts;
use serde_json::{Value, json};
use timerace_core::nearest::{Change, Passing};

/// What is different there, empty if that cannot be told by steps: `step 12 (CPU1: kfree(t)) comes before step 11 (CPU2: kfree(t))`.
pub(crate) fn changes_text(facts: &Facts<'_>, passing: &Passing) -> String {
    let all: Vec<String> = passing.changes.iter().map(|c| change_text(facts, *c)).collect();
    all.join(" and ")
}

fn change_text(facts: &Facts<'_>, change: Change) -> String {
    match change {
        Change::Earlier { step: Some(step), before, .. } => {
            format!("{} comes before {}", step_text(facts, step), step_text(facts, before))
        }
        Change::Earlier { step: None, ctx, before } => format!(
            "the step in which {} is stuck comes before {}",
            facts.name_and_place(ctx),
            step_text(facts, before)
        ),
        Change::Alternative { step, alt } => {
            format!("{} takes alternative {alt}", step_text(facts, step))
        }
        Change::Missing { step } => format!("{} does not happen", step_text(facts, step)),
    }
}

fn step_text(facts: &Facts<'_>, no: u32) -> String {
    match facts.index_of(no).map(|i| &facts.rec.steps[i]) {
        Some(s) => format!("step {no} ({}: {})", facts.place(s.ctx), s.text),
        None => format!("step {no}"),
    }
}

/// The same for scripts.
pub(crate) fn passing_json(passing: &Passing) -> Value {
    let change = |c: &Change| match *c {
        Change::Earlier { step, before, .. } => json!({ "step": step, "before": before }),
        Change::Alternative { step, alt } => json!({ "step": step, "alternative": alt }),
        Change::Missing { step } => json!({ "step": step, "missing": true }),
    };
    json!({
        "schedule": passing.text,
        "changes": passing.changes.iter().map(change).collect::<Vec<_>>(),
    })
}
