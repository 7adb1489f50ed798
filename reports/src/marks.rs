//! Where a finding shows in its picture: the wrong part of a line with the reason, and the lines that wait for ever.

use crate::facts::{Facts, home, is_life, other_side};
use crate::interleaving::{Interleaving, Marked, Row, RowKind, call_text, function};
use crate::led_to::{last_uref, pointer_lost, queued};
use timerace_core::record::{FindingRecord, Side, Wait};
use timerace_core::{Class, CtxId};

/// Adds the lines on which the contexts of a deadlock wait, and the circle in words.
pub(crate) fn pending_rows(facts: &Facts<'_>, finding: &FindingRecord, il: &mut Interleaving) {
    let circle = facts.circle(&finding.waits, finding.at.ctx);
    // What an interrupt keeps from going on stands below the interrupt's own lines.
    let (interrupted, others): (Vec<&Wait>, Vec<&Wait>) =
        circle.iter().copied().partition(|w| w.through_cpu);
    for w in others.into_iter().chain(interrupted) {
        let cpu = facts.spec(w.waiter).map(home);
        let Some(column) = il.columns.iter().position(|c| Some(c.cpu) == cpu) else { continue };
        let depth = waiting_depth(facts, w, column, il);
        let comment = if w.through_cpu { "waits for the CPU" } else { "waits for ever" };
        il.rows.push(Row {
            column,
            ctx: w.waiter,
            depth,
            kind: RowKind::Waiting,
            text: w.text.clone(),
            short: None,
            comment: Some(comment.to_string()),
            mark: None,
        });
    }
    il.circle = circle.iter().map(|w| edge_text(facts, w)).collect();
}

/// `CPU0 waits for cb_b (on CPU1)`.
pub(crate) fn edge_text(facts: &Facts<'_>, w: &Wait) -> String {
    let (waiter, holder) = (facts.place(w.waiter), facts.place(w.holder));
    let runs = |c: CtxId| match &w.body {
        Some(body) if c == w.waiter => body.clone(),
        _ => facts.running(c),
    };
    let what = runs(w.holder);
    let waiter = if waiter == holder && w.waiter != w.holder {
        runs(w.waiter) // both on one CPU: the CPU would not tell them apart
    } else {
        waiter
    };
    if w.waiter == w.holder {
        format!("{waiter} waits for itself ({what})")
    } else if w.through_cpu {
        format!("{waiter} waits for {holder} (taken by {what})")
    } else {
        format!("{waiter} waits for {what} (on {holder})")
    }
}

/// The depth of a line that waits in the function `w.func`, whose line or heading may be there already; else that gets a
/// line of its own.
fn waiting_depth(facts: &Facts<'_>, w: &Wait, column: usize, il: &mut Interleaving) -> u32 {
    let call = format!("{}(", w.func);
    let bare = function(&w.func);
    if il.columns[column].role == bare && !w.nested || w.text.starts_with(&call) {
        let last = il.rows.iter().rfind(|r| r.column == column && r.ctx == w.waiter);
        return match last {
            Some(r) if il.columns[column].role != bare => r.depth,
            _ => 0,
        };
    }
    let own = |r: &&Row| r.column == column && r.ctx == w.waiter;
    if let Some(r) = il.rows.iter().rev().filter(own).find(|r| r.text.starts_with(&call)) {
        return r.depth + 1;
    }
    let depth = match il.rows.iter().rfind(|r| r.column == column && r.ctx == w.waiter) {
        Some(r) if matches!(r.kind, RowKind::Entry(_)) => r.depth + 1,
        Some(r) => r.depth,
        None => 0,
    };
    if w.func == facts.name(w.waiter) || w.func.starts_with('(') {
        return depth;
    }
    // A program that waits in its first step has no line yet.
    let body = w.body.as_ref().filter(|b| **b != facts.running(w.waiter) && **b != w.func);
    if let Some(body) = body {
        il.rows.push(call_row(w, column, depth, function(body)));
    }
    let depth = depth + u32::from(body.is_some());
    // Its argument is that of the call that the last step was in.
    let last = facts.rec.steps.iter().rfind(|s| s.ctx == w.waiter);
    let call = last.and_then(|s| s.stack.iter().rfind(|c| c.name == w.func));
    let (text, short) = match call {
        Some(call) => call_text(call, il.with_args),
        None => (bare, None),
    };
    il.rows.push(Row { short, ..call_row(w, column, depth, text) });
    depth + 1
}

fn call_row(w: &Wait, column: usize, depth: u32, text: String) -> Row {
    let kind = RowKind::Call;
    Row { column, ctx: w.waiter, depth, kind, text, short: None, comment: None, mark: None }
}

/// Marks the line of the finding; if that is no step of the run, the line of its other side.
pub(crate) fn put_marks(facts: &Facts<'_>, finding: &FindingRecord, il: &mut Interleaving) {
    if !finding.waits.is_empty() {
        return; // the lines that wait speak for themselves
    }
    let at = facts.locate(finding, &finding.at);
    let other = finding.other.as_ref().and_then(|o| facts.locate(finding, o));
    let born = finding.born.as_ref().and_then(|b| facts.locate(finding, b));
    let lost = match finding.class {
        Class::Leak => pointer_lost(facts, finding),
        Class::LostTimer => queued(facts, finding),
        _ => None,
    };
    let (index, is_access) = match (at, lost, other, born) {
        (Some(i), ..) => (i, true),
        (None, Some(i), ..) => (i, false),
        (None, None, Some(i), _) | (None, None, None, Some(i)) => (i, false),
        _ => return,
    };
    let no = facts.rec.steps[index].no;
    let is_row =
        |r: &&mut Row| matches!(r.kind, RowKind::Step(n) | RowKind::Entry(Some(n)) if n == no);
    let Some(row) = il.rows.iter_mut().find(is_row) else { return };
    let (start, len) = wrong_part(&row.text);
    let part: String = row.text.chars().skip(start).take(len).collect();
    let reason = if is_access || finding.class == Class::LostTimer {
        reason(facts, finding, &part)
    } else if finding.class == Class::Leak && lost.is_some() {
        let dies = facts.rec.steps[index].touches.iter().any(|t| is_life(t) && t.after == "FREED");
        let verb = if dies { "frees" } else { "overwrites" };
        format!("{verb} the last pointer to {}", finding.object.as_deref().unwrap_or("it"))
    } else if finding.class == Class::Leak {
        "nobody frees it".to_string()
    } else {
        format!("freed here, still used by {}", facts.place(finding.at.ctx))
    };
    row.mark = Some(Marked { start, len, reason });
}

/// The part of a line to point at, in characters: what is reached through a pointer (`t->state`) among the arguments of
/// a call or on the side of an assignment that names memory; else these arguments, that side, or all of it.
fn wrong_part(text: &str) -> (usize, usize) {
    let chars: Vec<char> = text.chars().collect();
    if let Some(called) = text.split_once('(').map(|(f, _)| f).filter(|f| f.ends_with("_fn")) {
        let name = called.chars().rev().take_while(|c| c.is_ascii_alphanumeric() || *c == '_');
        let name = name.count();
        return (called.chars().count() - name, name); // what it calls is what it jumps to
    }
    let (start, len) = region(&chars);
    let in_path = |c: &char| c.is_ascii_alphanumeric() || "_->.&*[]".contains(*c);
    let (mut at, end) = (start, (start + len).min(chars.len()));
    while at < end {
        let word = chars[at..end].iter().take_while(|c| in_path(c)).count();
        if chars[at..at + word].windows(2).any(|w| w == ['-', '>']) {
            return (at, word);
        }
        at += word + 1;
    }
    (start, len)
}

fn region(chars: &[char]) -> (usize, usize) {
    let all = (0, chars.len().max(1));
    let open = chars.iter().position(|c| *c == '(');
    let close = chars.iter().rposition(|c| *c == ')');
    if let (Some(open), Some(close)) = (open, close)
        && close > open + 1
    {
        return (open + 1, close - open - 1);
    }
    match chars.windows(3).position(|w| w == [' ', '=', ' ']) {
        // In `x->y = z` memory is written; in `z = x->y` it is read.
        Some(at) if chars[..at].iter().any(|c| matches!(c, '>' | '.')) => (0, at),
        Some(at) if at + 3 < all.1 => (at + 3, all.1 - at - 3),
        _ => all,
    }
}

/// The variable that leads to the memory: `t` of `&t->timer`.
fn pointer_in(part: &str) -> Option<&str> {
    let part = part.trim_start_matches(['&', '*', '(']);
    let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
    let is_pointer =
        end == part.len() || part[end..].starts_with("->") || part[end..].starts_with(',');
    (end > 0 && is_pointer && !part.starts_with(|c: char| c.is_ascii_digit())).then(|| &part[..end])
}

fn reason(facts: &Facts<'_>, finding: &FindingRecord, part: &str) -> String {
    let object = finding.object.as_deref();
    let named = pointer_in(part).filter(|p| !p.ends_with("_fn"));
    let what = named.or(object).unwrap_or("it");
    let by = |verb: &str| match &finding.other {
        Some(o) if o.step == 0 => format!("{verb} before the start"),
        Some(o) if o.ctx == finding.at.ctx => format!("{verb} above"),
        // On one CPU, the CPU would not tell who did it.
        Some(o) if facts.place(o.ctx) == facts.place(finding.at.ctx) => {
            format!("{verb} by {}", facts.name(o.ctx))
        }
        Some(o) => format!("{verb} by {}", facts.place(o.ctx)),
        None => format!("{verb} before"),
    };
    let on = |other: &Option<Side>| {
        other.as_ref().map_or_else(String::new, |o| format!(" ({})", facts.place(o.ctx)))
    };
    let uref = || match (other_side(finding), last_uref(facts, finding)) {
        (Some(o), _) => format!(" ({})", facts.place(o.ctx)),
        (None, Some(i)) => format!(" ({})", facts.place(facts.rec.steps[i].ctx)),
        (None, None) => String::new(),
    };
    match finding.class {
        Class::UseAfterFree => format!("{what} was {}", by("freed")),
        Class::DoubleFree => format!("{what} was {} already", by("freed")),
        Class::Leak => "nobody frees it".to_string(),
        Class::Deadlock | Class::SelfDeadlock => "waits for ever".to_string(),
        Class::SpinUnbounded => "makes itself again for ever".to_string(),
        Class::CallbackAfterCancel => format!("cancel had returned{}", on(&finding.other)),
        Class::CallbackAfterUref => format!("no user reference is left{}", uref()),
        Class::CallbackAfterDelete => format!("the element was deleted{}", on(&finding.other)),
        Class::LostTimer => "armed, but will never expire".to_string(),
        Class::SleepInAtomic => "must not sleep here".to_string(),
        Class::LockOrder => match finding.locks.iter().find_map(|a| a.interrupt) {
            Some("NMI") => format!("an NMI can come while it is held{}", on(&finding.other)),
            Some("softirq") => format!("taken with softirqs on as well{}", on(&finding.other)),
            Some(_) => format!("taken with interrupts on as well{}", on(&finding.other)),
            None => format!("the other order was taken before{}", on(&finding.other)),
        },
        Class::DataRace => {
            format!("not ordered with the access of {}", other_place(facts, finding))
        }
        Class::Refcount => "the count is used up".to_string(),
        Class::WrongErrno => "the scenario does not allow this value".to_string(),
        Class::UninitRead => format!("{what} was never written"),
        Class::WildPointer if part.contains("->") => format!("{part} is no pointer"),
        Class::WildPointer => format!("{what} points to nothing"),
        Class::RcuStall => "the grace period cannot end".to_string(),
        Class::Assertion => "the assertion fails".to_string(),
    }
}

fn other_place(facts: &Facts<'_>, finding: &FindingRecord) -> String {
    finding.other.as_ref().map_or_else(|| "another context".to_string(), |o| facts.place(o.ctx))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> String {
        let (start, len) = wrong_part(text);
        text.chars().skip(start).take(len).collect()
    }

    #[test]
    fn the_wrong_part_is_what_goes_through_a_pointer() {
        for (text, wrong) in [
            ("hrtimer_cancel(&t->timer)", "&t->timer"),
            ("mode = t->mode", "t->mode"),
            ("t->prog = NULL", "t->prog"),
            ("index >= array->map.max_entries", "array->map.max_entries"),
            ("if (READ_ONCE(t->x) == y)", "t->x"),
            ("kfree(t)", "t"),
            ("callback_fn(map, key, value)", "callback_fn"),
            ("ret = t->callback_fn(map)", "callback_fn"),
            ("schedule()", "schedule()"),
            ("x = ", "x = "),
            ("", ""),
        ] {
            assert_eq!(part(text), wrong, "{text}");
        }
    }

    #[test]
    fn the_variable_is_named_where_the_line_says_it() {
        for (part, pointer) in [
            ("&t->timer", Some("t")),
            ("t", Some("t")),
            ("array->map.max_entries", Some("array")),
            ("schedule()", None),
            ("0", None),
            ("", None),
        ] {
            assert_eq!(pointer_in(part), pointer, "{part}");
        }
    }
}
