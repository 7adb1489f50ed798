//! The table of `replay`: every step with what it changed.
//!
//! Only changed state is shown: a dump of all state at every step hides the one value that matters.

use crate::facts::{Facts, is_ghost, is_life};
use crate::interleaving::{Detail, Row, RowKind, sequence};
use crate::marks::edge_text;
use crate::num::us;
use timerace_core::record::{Record, StepRecord};

/// The table. `until`: the last step shown; `full`: quiet steps and the bookkeeping of CPUs too.
pub fn steps_table(rec: &Record, until: Option<u32>, full: bool) -> String {
    let facts = Facts::new(rec);
    let detail = if full { Detail::Full } else { Detail::Steps };
    let il = sequence(rec, detail);
    let shown = match il.rows.iter().position(|r| number(r).is_some_and(|n| Some(n) > until)) {
        Some(at) if until.is_some() => before_calls(&il.rows[..at]),
        _ => &il.rows[..],
    };
    let timed = rec.steps.iter().any(|s| s.at.0 > 0);
    let mut lines = vec![header(timed)];
    let mut current: Option<String> = None;
    for row in shown {
        let place = facts.place(row.ctx);
        if let Some(last) = current.as_ref().filter(|l| **l != place) {
            lines.push(Line::Between(format!("---- {last} -> {place} ----")));
        }
        current = Some(place);
        lines.push(line(&facts, row, full, timed));
        let no = number(row);
        for f in rec
            .findings
            .iter()
            .filter(|f| no.is_some() && facts.locate(f, &f.at).map(|i| rec.steps[i].no) == no)
        {
            lines.push(Line::Between(format!(">>>>  {}", f.title())));
        }
    }
    match next_step(rec, until) {
        Some(s) => {
            let (until, place) = (until.unwrap_or(0), facts.place(s.ctx));
            let text = format!("stopped by --until {until}; next: {place} ({})", s.text);
            lines.push(Line::Between(text));
        }
        None => {
            for f in rec.findings.iter().filter(|f| facts.locate(f, &f.at).is_none()) {
                lines.push(Line::Between(format!(">>>>  {} (at the end)", f.title())));
                for w in facts.circle(&f.waits, f.at.ctx) {
                    let text = format!("      {}, at {}", edge_text(&facts, w), w.text);
                    lines.push(Line::Between(text));
                }
            }
        }
    }
    written(&lines)
}

/// What a step changed, as `(name, value after it)`, in the order of the step's own list.
pub fn changes(step: &StepRecord, full: bool) -> Vec<(&str, &str)> {
    let changed = step.touches.iter().filter(|t| t.write && t.before != t.after && !is_ghost(t));
    let shown = changed.filter(|t| full || !t.internal || is_life(t));
    shown.map(|t| (t.name.as_str(), t.after.as_str())).collect()
}

enum Line {
    Cells { no: String, cpu: String, at: Option<String>, event: String, changes: String },
    Between(String),
}

fn header(timed: bool) -> Line {
    Line::Cells {
        no: "step".to_string(),
        cpu: "CPU".to_string(),
        at: timed.then(|| "us".to_string()),
        event: "event".to_string(),
        changes: "changes".to_string(),
    }
}

fn number(row: &Row) -> Option<u32> {
    match row.kind {
        RowKind::Step(n) | RowKind::Entry(Some(n)) => Some(n),
        _ => None,
    }
}

/// Calls that no step follows say nothing.
fn before_calls(rows: &[Row]) -> &[Row] {
    let end = rows.iter().rposition(|r| number(r).is_some()).map_or(0, |i| i + 1);
    &rows[..end]
}

fn next_step(rec: &Record, until: Option<u32>) -> Option<&StepRecord> {
    let until = until?;
    rec.steps.iter().find(|s| s.no > until)
}

fn line(facts: &Facts<'_>, row: &Row, full: bool, timed: bool) -> Line {
    let step = number(row).and_then(|n| facts.index_of(n)).map(|i| &facts.rec.steps[i]);
    let cpu = facts.spec(row.ctx).and_then(|s| s.cpu);
    let changes = step.map_or_else(String::new, |s| {
        let all: Vec<String> =
            changes(s, full).iter().map(|(name, after)| format!("{name}: {after}")).collect();
        all.join(", ")
    });
    let no_time = timed.then(String::new);
    Line::Cells {
        no: step.map_or_else(String::new, |s| s.no.to_string()),
        cpu: cpu.map_or_else(|| "-".to_string(), |c| c.to_string()),
        at: step.filter(|_| no_time.is_some()).map(|s| us(s.at.0)).or(no_time),
        event: format!("{:1$}{2}", "", 2 * row.depth as usize, row.text),
        changes,
    }
}

fn written(lines: &[Line]) -> String {
    let (mut no_w, mut cpu_w, mut at_w, mut event_w) = (4, 4, 0, 5);
    for l in lines {
        if let Line::Cells { no, cpu, at, event, .. } = l {
            no_w = no_w.max(no.len());
            cpu_w = cpu_w.max(cpu.len());
            at_w = at_w.max(at.as_ref().map_or(0, String::len));
            event_w = event_w.max(event.chars().count());
        }
    }
    let mut out = String::new();
    for l in lines {
        let text = match l {
            Line::Between(text) => text.clone(),
            Line::Cells { no, cpu, at, event, changes } => {
                let at = at.as_ref().map_or_else(String::new, |a| format!("  {a:>at_w$}"));
                format!("{no:>no_w$}  {cpu:<cpu_w$}{at}  {event:<event_w$}  {changes}")
            }
        };
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}
