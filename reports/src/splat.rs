//! The block that is printed for a finding: what, who, where, where born, where freed, what order is missing, the
//! picture, and the command that shows it again. The order of its parts is that of KASAN's reports, which kernel people
//! read without thinking; its first words are our own, so that nobody files it as a report of a real kernel.

use crate::choose::walk_end;
use crate::estimate::span;
use crate::facts::{Facts, blamed, is_part, other_side};
use crate::interleaving::{Detail, interleaving};
use crate::led_to::{pointer_lost, spent};
use crate::marks::edge_text;
use crate::num::{count, us};
use crate::order::{missing, other_step};
use crate::origin::Origin;
use crate::passing::changes_text;
use crate::race_text::{WIDTH, race_text};
use crate::why;
use std::fmt::Write as _;
use timerace_core::record::{FindingRecord, NO_FUNCTION, Record, Side, StepRecord};
use timerace_core::timing::Times;
use timerace_core::{Class, CtxId};

/// Width of the rules: that of the kernel's own reports.
const RULE: usize = 66;

/// The block for one finding of a record, by index; empty if there is no such finding.
pub fn splat(rec: &Record, finding: usize, origin: &Origin) -> String {
    let Some(f) = rec.findings.get(finding) else { return String::new() };
    let facts = Facts::new(rec);
    let rule = "=".repeat(RULE);
    let mut parts = vec![format!("{rule}\nBUG: TIMERACE: {}\n", f.title())];
    if !f.locks.is_empty() {
        parts.push(locks(&facts, f));
    } else if f.waits.is_empty() {
        parts.extend(sides(&facts, f, origin));
    } else {
        parts.push(waiting(&facts, f));
    }
    parts.push(closing(&facts, f));
    parts.push(indented(&race_text(&interleaving(rec, Some(finding), Detail::Chosen), WIDTH)));
    parts.push(format!("Repeat: {}\n{rule}\n", origin.replay_lines(&rec.text, 10)));
    parts.join("\n")
}

fn indented(text: &str) -> String {
    let line = |l: &str| if l.is_empty() { "\n".to_string() } else { format!("    {l}\n") };
    text.lines().map(line).collect()
}

/// Who did what where; then the other side; then the birth of the object.
fn sides(facts: &Facts<'_>, f: &FindingRecord, origin: &Origin) -> Vec<String> {
    let mut parts = Vec::new();
    match facts.locate(f, &f.at) {
        Some(i) => {
            let step = &facts.rec.steps[i];
            let what = format!("{} in step {}", what_happened(facts, f, step), step.no);
            parts.push(with_stack(facts, &what, step, origin));
        }
        None if f.at.func == NO_FUNCTION => parts.push(format!("{}\n", at_the_end(f))),
        None => parts.push(format!("{}, in:\n  {}\n", at_the_end(f), f.at.func)),
    }
    if let Some(other) = other_side(f) {
        let look = match f.class {
            Class::Leak => other_step(facts, f).map(|i| ("Last look at it", i)),
            Class::CallbackAfterUref => {
                walk_end(facts, f).map(|i| ("Last user reference dropped, its walk over", i))
            }
            _ => None,
        };
        parts.push(match look.map(|(what, i)| (what, &facts.rec.steps[i])) {
            Some((what, s)) => with_stack(facts, &format!("{what} in step {}", s.no), s, origin),
            None => other_text(facts, f, other, origin),
        });
    }
    if let Some(i) = spent(facts, f).and_then(|s| s.before) {
        let s = &facts.rec.steps[i];
        parts.push(with_stack(facts, &format!("Put before in step {}", s.no), s, origin));
    }
    let known = f.object.is_some() && about_memory(f.class);
    match &f.born {
        // Of memory that was never written the birth is the other side.
        Some(b) if b.step > 0 && f.class == Class::UninitRead && f.other.is_some() => {}
        // Where the map came from says nothing of its timers.
        Some(_) if f.class == Class::CallbackAfterUref => {}
        Some(b) if b.step > 0 => parts.push(side_text(facts, f, "Allocated", b, origin)),
        Some(_) if known => {
            let line = origin.born_line.map(|l| origin.at(l));
            parts.push(format!("Allocated before the start{}\n", line.unwrap_or_default()));
        }
        _ => {}
    }
    parts
}

fn about_memory(class: Class) -> bool {
    matches!(class, Class::UseAfterFree | Class::DoubleFree | Class::Leak | Class::UninitRead)
}

fn what_happened(facts: &Facts<'_>, f: &FindingRecord, step: &StepRecord) -> String {
    let object = f.object.as_deref().map_or_else(|| "memory".to_string(), struct_name);
    let part = f.object.as_deref().unwrap_or("");
    let writes = step.touches.iter().any(|t| t.write && !t.internal && is_part(t, part));
    let verb = if writes { "Write to" } else { "Read of" };
    match f.class {
        Class::UseAfterFree | Class::DataRace => format!("{verb} {object}"),
        Class::UninitRead => format!("Read of {object}, never written,"),
        Class::DoubleFree => format!("Second free of {object}"),
        Class::Leak => format!("Leak of {object}"),
        Class::LostTimer => format!("Loss of the armed {object}"),
        Class::SleepInAtomic => "Sleep in atomic context".to_string(),
        Class::LockOrder => format!("Lock of {object} taken in the wrong order"),
        Class::WrongErrno => capital(&step.text),
        Class::Refcount if spent(facts, f).is_some_and(|s| s.taken) => {
            format!("Reference of {object} taken at 0")
        }
        Class::Refcount => format!("One put too many of {object}"),
        Class::CallbackAfterCancel => "Callback started after a cancel had returned".to_string(),
        Class::CallbackAfterUref => "Callback started without a user reference".to_string(),
        Class::CallbackAfterDelete => "Callback started for a deleted element".to_string(),
        _ => capital(&f.class.words().replace('-', " ")),
    }
}

fn at_the_end(f: &FindingRecord) -> String {
    let object =
        f.object.as_deref().map_or_else(String::new, |o| format!(" of {}", struct_name(o)));
    format!("{}{object}, seen at the end of the run", capital(&f.class.words().replace('-', " ")))
}

fn struct_name(object: &str) -> String {
    let is_struct = object.contains(" #");
    if is_struct { format!("struct {object}") } else { object.to_string() }
}

/// With a capital letter, unless it begins with a name.
pub(crate) fn capital(text: &str) -> String {
    if text.split(' ').next().is_some_and(|w| w.contains(['_', '('])) {
        return text.to_string();
    }
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

fn other_text(facts: &Facts<'_>, f: &FindingRecord, other: &Side, origin: &Origin) -> String {
    let verb = match f.class {
        Class::UseAfterFree => "Freed",
        Class::DoubleFree => "Freed before",
        Class::UninitRead => "Allocated",
        Class::CallbackAfterCancel => "Cancelled",
        Class::CallbackAfterUref => "Last user reference dropped",
        Class::CallbackAfterDelete => "Deleted",
        Class::Leak => "Last chance to free it",
        _ => "The other side",
    };
    side_text(facts, f, verb, other, origin)
}

fn side_text(
    facts: &Facts<'_>,
    f: &FindingRecord,
    verb: &str,
    side: &Side,
    origin: &Origin,
) -> String {
    if side.step == 0 {
        return format!("{verb} before the start\n");
    }
    let what = format!("{verb} in step {}", side.step);
    match facts.locate(f, side) {
        Some(i) => with_stack(facts, &what, &facts.rec.steps[i], origin),
        None => format!("{what} by {}:\n  {}\n", facts.name_and_place(side.ctx), side.func),
    }
}

/// A sentence, and the functions that the step was in, innermost first.
fn with_stack(facts: &Facts<'_>, what: &str, step: &StepRecord, origin: &Origin) -> String {
    let mut out = format!("{what} by {}:\n", facts.name_and_place(step.ctx));
    let line = step.line.map(|l| origin.at(l)).unwrap_or_default();
    // The line of the file belongs to the innermost body; a system call has none, then to the outermost function.
    let owner = step.stack.iter().rposition(|c| c.body).unwrap_or(0);
    if step.stack.is_empty() {
        let _ = writeln!(out, "  {}{line}", step.text);
    }
    for (i, call) in step.stack.iter().enumerate().rev() {
        let _ = writeln!(out, "  {}{}", call.name, if i == owner { &line } else { "" });
    }
    out
}

/// Of a deadlock: who waits for whom, and what they hold meanwhile.
fn waiting(facts: &Facts<'_>, f: &FindingRecord) -> String {
    let circle = facts.circle(&f.waits, f.at.ctx);
    let mut out = String::from("Waiting for each other:\n");
    if circle.len() == 1 {
        out = String::from("Waiting for ever:\n");
    }
    for w in &circle {
        let _ = writeln!(out, "  {} in {}:", facts.name_and_place(w.waiter), w.func);
        let _ = writeln!(out, "    at {}", w.text);
        let _ = writeln!(out, "    waits for {}", w.over);
        for (name, no) in held(facts, w.waiter) {
            let _ = writeln!(out, "    holds {name} since step {no}");
        }
    }
    if let Some(reader) = f.other.as_ref().filter(|o| spins_alone(f, o)) {
        let _ = writeln!(out, "  {} in {}:", facts.name_and_place(reader.ctx), reader.func);
        let _ = writeln!(out, "    at {}", reader.text);
        for (name, no) in held(facts, reader.ctx) {
            let _ = writeln!(out, "    holds {name} since step {no}");
        }
    }
    let others: Vec<_> =
        f.waits.iter().filter(|w| !circle.iter().any(|c| c.waiter == w.waiter)).collect();
    for w in others {
        let _ = writeln!(out, "  Also: {}", edge_text(facts, w));
    }
    out
}

/// Whether the reader of a grace period that cannot end waits for nobody in particular.
fn spins_alone(f: &FindingRecord, reader: &Side) -> bool {
    f.class == Class::RcuStall && !f.waits.iter().any(|w| w.waiter == reader.ctx)
}

/// Of an order of locks: where each was taken, and how the circle can hang.
fn locks(facts: &Facts<'_>, f: &FindingRecord) -> String {
    let mut out = String::from("Taken in a circle:\n");
    let side = |s: &Side| {
        let place = facts.name_and_place(s.ctx);
        match s.step {
            0 => format!("in another schedule, {place}, {}", s.func),
            no => format!("in step {no} by {place}, {}", s.func),
        }
    };
    for a in &f.locks {
        let _ = match a.interrupt {
            None => writeln!(out, "  {} under {}:", a.to, a.from),
            Some(i) => {
                writeln!(out, "  {} in a {i}, which can come while {} is held:", a.to, a.from)
            }
        };
        let _ = writeln!(out, "    {} {}", a.from, side(&a.held));
        let _ = writeln!(out, "    {} {}", a.to, side(&a.taken));
    }
    out.push_str("\nIt can hang like this:\n\n");
    out.push_str(&can_hang(f));
    out
}

/// The way into the deadlock, drawn as lockdep does: a CPU for each step of the circle, which holds the first lock and
/// wants the second.
fn can_hang(f: &FindingRecord) -> String {
    let pairs: Vec<(String, String, bool)> = match f.locks.as_slice() {
        // Two locks of one class, in both orders.
        [a] if a.from == a.to && a.interrupt.is_none() => {
            let (one, two) = (format!("{} #1", a.from), format!("{} #2", a.from));
            vec![(one.clone(), two.clone(), false), (two, one, false)]
        }
        all => all.iter().map(|a| (a.from.clone(), a.to.clone(), a.interrupt.is_some())).collect(),
    };
    let width = (RULE - 2) / pairs.len().max(2);
    let cell = |text: &str| format!("{text:width$}");
    let line = |c: usize, text: &str| format!("  {:1$}{text}\n", "", c * width);
    let head = |of: &dyn Fn(usize) -> String| {
        let cells: String = (0..pairs.len()).map(|c| cell(&of(c))).collect();
        format!("  {}\n", cells.trim_end())
    };
    let mut out = head(&|c| format!("CPU{c}")) + &head(&|_| "----".to_string());
    for (c, (from, _, _)) in pairs.iter().enumerate() {
        out.push_str(&line(c, &format!("lock({from});")));
    }
    for (c, (_, to, interrupt)) in pairs.iter().enumerate() {
        if *interrupt {
            out.push_str(&line(c, "<interrupt>"));
        }
        out.push_str(&line(c, &format!("{}lock({to});", if *interrupt { "  " } else { "" })));
    }
    out
}

fn held(facts: &Facts<'_>, ctx: CtxId) -> Vec<(String, u32)> {
    let open = facts.sections.iter().filter(|s| s.ctx == ctx && s.to.is_none());
    open.map(|s| (s.name.clone(), facts.rec.steps[s.from].no)).collect()
}

fn closing(facts: &Facts<'_>, f: &FindingRecord) -> String {
    let rec = facts.rec;
    let mut out = String::new();
    if let Some(m) = missing(facts, f) {
        let _ = writeln!(out, "{}", wrapped(&format!("Order: {}.", m.text), 7));
        let window = m
            .since
            .zip(facts.locate(f, &f.at))
            .map(|(from, to)| rec.steps[to].at.since(rec.steps[from].at));
        if let Some(ns) = window.filter(|ns| *ns > 0) {
            let _ = writeln!(out, "Window: {} us.", us(ns));
        }
        if let Some(text) = rec.times.as_ref().map(|t| window_text(facts, f, t, m.since)) {
            let _ = writeln!(out, "{}", wrapped(&text, 8));
        }
    }
    if let Some(text) = why::count(facts, f) {
        let _ = writeln!(out, "{}", wrapped(&format!("Count: {text}."), 7));
    }
    if f.class == Class::Leak {
        let _ = writeln!(out, "{}", wrapped(&why_leaked(facts, f), 6));
    }
    if let Some(code) = facts.locate(f, &f.at).and_then(|i| returned(f, &rec.steps[i])) {
        let _ = writeln!(
            out,
            "Allow: if the call may return this, say so where it stands:\n       \
             ret([.., {code}], ..), or may_fail(..) for any code."
        );
    }
    if let Some(p) = &rec.passing {
        let text = match changes_text(facts, p) {
            told if told.is_empty() => "Passes: in another order,".to_string(),
            told => format!("Passes: if {told},"),
        };
        let _ = writeln!(out, "{}\n        as in {}", wrapped(&text, 8), p.text);
    }
    let _ = writeln!(
        out,
        "Needs: {}, {}, {}.",
        count(rec.switches.into(), "switch", "switches"),
        count(rec.preemptions.into(), "preemption", "preemptions"),
        count(rec.interrupts.into(), "interrupt", "interrupts"),
    );
    out
}

/// The code that a call returned and the scenario does not allow, as `ret(..)` takes it.
fn returned<'s>(f: &FindingRecord, step: &'s StepRecord) -> Option<&'s str> {
    let code = step.text.strip_prefix("return ").filter(|_| f.class == Class::WrongErrno)?;
    // Names of errno are written without minus there, numbers with it.
    let name = code.strip_prefix('-').filter(|name| name.starts_with(|c: char| c.is_alphabetic()));
    Some(name.unwrap_or(code))
}

/// How long the window of an explored race can be open, and whether durations let the race happen in it.
fn window_text(
    facts: &Facts<'_>,
    f: &FindingRecord,
    times: &Times,
    since: Option<usize>,
) -> String {
    let no = |i: usize| facts.rec.steps[i].no;
    let ends = since.zip(facts.locate(f, &f.at)).filter(|(a, b)| a != b);
    match times.delay_needed() {
        Some(0) => match ends.map(|(a, b)| times.widest(no(a), no(b))) {
            Some(Some(ns)) => {
                format!("Window: at most {}; no extra delay is needed for the bug.", span(ns))
            }
            _ => "Window: of any length; no extra delay is needed for the bug.".to_string(),
        },
        Some(ns) => format!(
            "Window: too short with these durations; one step must be delayed by {}.",
            span(ns)
        ),
        None => "Window: too short with these durations, also with one step delayed.".to_string(),
    }
}

pub(crate) fn why_leaked(facts: &Facts<'_>, f: &FindingRecord) -> String {
    let object = f.object.as_deref().unwrap_or("it");
    match (other_step(facts, f), facts.locate(f, &f.at)) {
        (Some(o), Some(i)) if o < i => {
            let look = &facts.rec.steps[o];
            let func = blamed(look).map_or("", |c| look.stack[c].name.as_str());
            format!(
                "Leak: {func} ({}) looked in step {}, before step {} ({}); nobody looks again, so nobody frees {object}.",
                facts.place(look.ctx),
                look.no,
                facts.rec.steps[i].no,
                f.at.func,
            )
        }
        _ => match pointer_lost(facts, f).map(|i| &facts.rec.steps[i]) {
            Some(s) => format!(
                "Leak: the last pointer to {object} goes in step {} ({}: {}), and nobody frees it before.",
                s.no,
                facts.place(s.ctx),
                s.text
            ),
            None => {
                format!("Leak: at the end of the run nothing leads to {object} that could free it.")
            }
        },
    }
}

/// Breaks a sentence at spaces so that it fits a changelog; later lines are indented.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        if !lines[last].trim().is_empty() && lines[last].len() + 1 + word.len() > WIDTH {
            lines.push(format!("{:indent$}{word}", ""));
        } else {
            let gap = if lines[last].is_empty() { "" } else { " " };
            lines[last].push_str(gap);
            lines[last].push_str(word);
        }
    }
    lines.join("\n")
}
