//! The steps of a run laid out for people: one row per event, a column per CPU, nested by call.
//!
//! Every view of a run (text, table, picture, page) is made from this one list, so that a step has the same number,
//! the same column and the same depth in all of them. Nothing here knows how wide a character is.

use crate::choose::choose;
use crate::facts::{Facts, blamed, home, is_ghost, is_lock};
use crate::led_to::deciding_value;
use crate::marks::{pending_rows, put_marks};
use std::collections::{BTreeMap, BTreeSet};
use timerace_core::record::{Call, FindingRecord, Record, StepRecord, Touch};
use timerace_core::{CpuId, CtxId, CtxKind, Obj};

/// The steps of a long run that a picture without a finding shows.
pub const END: usize = 200;

/// How much of a run is shown.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Detail {
    /// The lines that matter for the finding: about a dozen. Without a finding, as [`Detail::Steps`].
    #[default]
    Chosen,
    /// Every step, but for quiet ones.
    Steps,
    /// The last [`END`] of these, of a long run without a finding.
    End,
    /// Every step.
    Full,
}

/// A CPU with steps to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The CPU.
    pub cpu: CpuId,
    /// What it is doing: `bpf_timer_cancel()`, or the name of a program, task or interrupt. Rows are nested below it.
    pub role: String,
}

impl Column {
    /// CPU and role: `CPU1: bpf_timer_cancel()`.
    pub fn heading(&self) -> String {
        format!("{}: {}", self.cpu, self.role)
    }
}

/// What a row stands for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum RowKind {
    /// The step with this number.
    Step(u32),
    /// An interrupt, a softirq or a grace period begins, or the CPU goes on with another task. The number of the step
    /// that is the entry itself, if that is shown.
    Entry(Option<u32>),
    /// A function is entered whose steps follow, one deeper.
    Call,
    /// A line that waits for ever: it is no step of the run.
    Waiting,
    /// More than five steps of the function were left out here.
    Gap,
}

/// The part of a row's text that is wrong, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// First character of the part, counted in characters from the beginning of the text.
    pub start: usize,
    /// Its length in characters, at least 1.
    pub len: usize,
    /// The reason, such as `t was freed by CPU2`.
    pub reason: String,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Index into [`Interleaving::columns`].
    pub column: usize,
    /// Who.
    pub ctx: CtxId,
    /// Levels of nesting below the column's heading.
    pub depth: u32,
    /// What it stands for.
    pub kind: RowKind,
    /// The line.
    pub text: String,
    /// The same with less detail (a call without its argument), where there is such a form.
    pub short: Option<String>,
    /// What a value was, where that matters: `reads NULL`.
    pub comment: Option<String>,
    /// The wrong part, where the finding shows in this row.
    pub mark: Option<Marked>,
}

/// A run, or the part of it that matters, as rows.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Interleaving {
    /// The CPUs that have rows, by number.
    pub columns: Vec<Column>,
    /// The events, in order.
    pub rows: Vec<Row>,
    /// Who waits for whom, an edge an item: `CPU0 waits for cb_b (on CPU1)`. Empty unless it is a deadlock.
    pub circle: Vec<String>,
    /// Steps of the run that are not shown, quiet ones not counted.
    pub left_out: usize,
    /// Calls are shown with what they are about, which tells them apart.
    pub(crate) with_args: bool,
}

/// Lays out a run around one of its findings (by index; `None`, or an index that does not exist: without).
pub fn interleaving(rec: &Record, finding: Option<usize>, detail: Detail) -> Interleaving {
    let facts = Facts::new(rec);
    let finding = finding.and_then(|i| rec.findings.get(i));
    let kept = match (detail, finding) {
        (Detail::Full, _) => vec![true; rec.steps.len()],
        (Detail::Chosen, Some(f)) => choose(&facts, f),
        (Detail::End, _) => {
            let mut left = END;
            let mut kept: Vec<bool> = rec.steps.iter().map(|s| !s.quiet).collect();
            for k in kept.iter_mut().rev() {
                *k &= left > 0;
                left -= usize::from(*k);
            }
            kept
        }
        _ => rec.steps.iter().map(|s| !s.quiet).collect(),
    };
    build(&facts, finding, &kept, detail == Detail::Chosen && finding.is_some(), true)
}

/// Every row of a run in one column of text: with the outermost calls, which a heading would say.
pub(crate) fn sequence(rec: &Record, detail: Detail) -> Interleaving {
    let facts = Facts::new(rec);
    let kept: Vec<bool> = rec.steps.iter().map(|s| detail == Detail::Full || !s.quiet).collect();
    build(&facts, None, &kept, false, false)
}

fn build(
    facts: &Facts<'_>,
    finding: Option<&FindingRecord>,
    kept: &[bool],
    sparse: bool,
    headings: bool,
) -> Interleaving {
    let mut b = Builder::new(facts, finding, kept, sparse, headings);
    for (i, step) in facts.rec.steps.iter().enumerate() {
        if kept[i] {
            b.step(i, step);
        } else if !step.quiet {
            b.left_out(step);
        }
    }
    let mut il = Interleaving {
        columns: b.columns,
        rows: b.rows,
        circle: Vec::new(),
        left_out: b.left_out,
        with_args: b.with_args,
    };
    if let Some(f) = finding {
        pending_rows(facts, f, &mut il);
        put_marks(facts, f, &mut il);
    }
    il
}

/// An interrupt, a task or a helper that is open in a column.
struct Level {
    ctx: CtxId,
    /// Which of its activations: an interrupt may come twice.
    turn: u32,
    /// Depth of its outermost lines.
    base: u32,
    /// Calls that have a line, with the depth of that line.
    open: Vec<(u32, u32)>,
}

#[derive(Default)]
struct ColumnState {
    levels: Vec<Level>,
    depth: u32,
    started: bool,
}

struct Builder<'a, 'r> {
    facts: &'a Facts<'r>,
    columns: Vec<Column>,
    states: Vec<ColumnState>,
    of_cpu: BTreeMap<CpuId, usize>,
    /// Per column: the context that the heading is about, and how many calls of its stack the heading stands for.
    main: Vec<(CtxId, usize)>,
    /// Calls that get a line; `None`: all.
    shown_calls: Option<BTreeSet<u32>>,
    with_args: bool,
    /// Calls that one line can stand for.
    single_calls: BTreeSet<u32>,
    /// The finding is that contexts wait.
    waits: bool,
    contested: BTreeSet<Obj>,
    /// The step whose value decides the finding.
    decides: Option<usize>,
    /// Objects that are told apart by the element that they belong to: `bpf_hrtimer #1` is that of `timers[0]`.
    elements: BTreeMap<String, String>,
    turns: BTreeMap<CtxId, u32>,
    rows: Vec<Row>,
    left_out: usize,
    /// Per column: steps left out since its last row.
    gap: BTreeMap<usize, usize>,
}

impl<'a, 'r> Builder<'a, 'r> {
    fn new(
        facts: &'a Facts<'r>,
        finding: Option<&FindingRecord>,
        kept: &[bool],
        sparse: bool,
        headings: bool,
    ) -> Self {
        let steps: Vec<&StepRecord> =
            facts.rec.steps.iter().zip(kept).filter(|(_, k)| **k).map(|(s, _)| s).collect();
        let cpus = cpus_of(facts, finding, &steps);
        let waits = finding.is_some_and(|f| !f.waits.is_empty());
        let mut b = Builder {
            facts,
            columns: Vec::new(),
            states: cpus.iter().map(|_| ColumnState::default()).collect(),
            of_cpu: cpus.iter().enumerate().map(|(i, c)| (*c, i)).collect(),
            main: Vec::new(),
            shown_calls: sparse.then(|| shown_calls(facts, &steps)),
            with_args: !headings || args_matter(&steps) || waits && bodies_differ(&steps),
            single_calls: if sparse { single_calls(&steps) } else { BTreeSet::new() },
            waits,
            contested: contested(facts, &steps),
            decides: finding.and_then(|f| deciding_value(facts, f)).map(|v| v.read),
            elements: facts.elements(),
            turns: BTreeMap::new(),
            rows: Vec::new(),
            left_out: 0,
            gap: BTreeMap::new(),
        };
        for (column, cpu) in cpus.into_iter().enumerate() {
            let here: Vec<&StepRecord> =
                steps.iter().copied().filter(|s| b.column_of(s.ctx) == column).collect();
            let waiter = finding
                .and_then(|f| f.waits.iter().map(|w| w.waiter).find(|c| b.column_of(*c) == column));
            let (main, skip, role) = role(facts, &here, waiter, headings);
            b.main.push((main, skip));
            b.columns.push(Column { cpu, role });
        }
        b
    }

    fn column_of(&self, ctx: CtxId) -> usize {
        let cpu = self.facts.spec(ctx).map_or(CpuId(0), home);
        self.of_cpu.get(&cpu).copied().unwrap_or(0)
    }

    fn left_out(&mut self, step: &StepRecord) {
        self.left_out += 1;
        if step.entry {
            *self.turns.entry(step.ctx).or_default() += 1;
        }
        // What comes before a column's first line is no gap in it.
        let known = self.facts.spec(step.ctx).is_some_and(|s| self.of_cpu.contains_key(&home(s)));
        let column = self.column_of(step.ctx);
        if known && self.rows.iter().any(|r| r.column == column) {
            *self.gap.entry(column).or_default() += 1;
        }
    }

    fn step(&mut self, index: usize, step: &StepRecord) {
        if step.entry {
            *self.turns.entry(step.ctx).or_default() += 1;
        }
        let column = self.column_of(step.ctx);
        if self.arrive(column, step) {
            return; // the line of the entry is the step
        }
        let before = self.rows.len();
        let (depth, text) = self.calls(column, step);
        if self.rows.len() == before {
            self.put_gap(column, step.ctx, depth);
        }
        let row = Row {
            column,
            ctx: step.ctx,
            depth,
            kind: RowKind::Step(step.no),
            text,
            short: None,
            comment: self.comment(index, step),
            mark: None,
        };
        self.push(row);
    }

    fn push(&mut self, row: Row) {
        let state = &mut self.states[row.column];
        state.depth = row.depth;
        state.started = true;
        self.gap.remove(&row.column);
        self.rows.push(row);
    }

    /// Says that steps are missing above a line of the same function. A call or an entry above the line says it by
    /// itself: nobody takes it for the next step.
    fn put_gap(&mut self, column: usize, ctx: CtxId, depth: u32) {
        let missing = self.gap.get(&column).copied().unwrap_or(0);
        let same = |r: &&Row| r.column == column && r.ctx == ctx && r.depth == depth;
        let last = self.rows.iter().rfind(|r| r.column == column);
        if missing > 5 && last.as_ref().is_some_and(same) {
            self.rows.push(Row {
                column,
                ctx,
                depth,
                kind: RowKind::Gap,
                text: "...".to_string(),
                short: None,
                comment: None,
                mark: None,
            });
        }
    }

    /// Makes the step's context the top of its column; whether the line for that stands for the step itself.
    fn arrive(&mut self, column: usize, step: &StepRecord) -> bool {
        let ctx = step.ctx;
        let turn = self.turns.get(&ctx).copied().unwrap_or(0);
        let state = &mut self.states[column];
        if let Some(at) = state.levels.iter().position(|l| l.ctx == ctx && l.turn == turn) {
            state.levels.truncate(at + 1);
            return false;
        }
        let again = state.levels.iter().position(|l| l.ctx == ctx);
        let above = again.map(|at| state.levels[at].base.saturating_sub(1));
        if let Some(at) = again {
            state.levels.truncate(at);
        }
        let kind = self.facts.kind(ctx);
        let facts = self.facts;
        let inside = |l: &Level| matches!(facts.kind(l.ctx), CtxKind::Softirq | CtxKind::Hardirq);
        let is_main = self.main[column].0 == ctx;
        let is_task = matches!(kind, CtxKind::Task | CtxKind::Kworker);
        let named = is_task || !step.entry || self.shown_calls.is_some();
        if is_main && !state.started && named {
            // The heading says who it is.
            state.levels = vec![Level { ctx, turn, base: 0, open: Vec::new() }];
            state.started = true;
            return step.entry && !is_task && step.text.starts_with('<');
        }
        let depth = match above {
            Some(depth) => depth,
            // A grace period that ends in an interrupt's time stands inside of it.
            None if kind == CtxKind::Helper && state.levels.last().is_some_and(inside) => {
                state.levels.last().map_or(0, |l| l.base)
            }
            None if is_task || kind == CtxKind::Helper || (is_main && !state.started) => 0,
            None if state.started => state.depth + 1,
            None => 1,
        };
        if is_task {
            state.levels.clear();
        }
        let base = if is_task { depth } else { depth + 1 };
        state.levels.push(Level { ctx, turn, base, open: Vec::new() });
        let name = self.facts.name(ctx);
        let text = if is_task {
            format!("[{name}]")
        } else if step.entry && step.text.starts_with('<') {
            step.text.clone()
        } else {
            format!("<{name}>")
        };
        let entry = (step.entry && !is_task).then_some(step.no);
        let kind = RowKind::Entry(entry);
        self.push(Row { column, ctx, depth, kind, text, short: None, comment: None, mark: None });
        entry.is_some()
    }

    /// Opens the calls that lead to the step; the depth of the step's own line, and its text.
    fn calls(&mut self, column: usize, step: &StepRecord) -> (u32, String) {
        let skip = if self.main[column].0 == step.ctx { self.main[column].1 } else { 0 };
        let path: Vec<&Call> = step
            .stack
            .iter()
            .skip(skip)
            .filter(|c| self.shown_calls.as_ref().is_none_or(|s| s.contains(&c.id)))
            .collect();
        let at = self.states[column].levels.len() - 1;
        let (base, common) = {
            let level = &mut self.states[column].levels[at];
            let same = level.open.iter().zip(&path).take_while(|(o, c)| o.0 == c.id).count();
            level.open.truncate(same);
            (level.base, same)
        };
        for (j, call) in path.iter().enumerate().skip(common) {
            let depth = base + j as u32;
            self.states[column].levels[at].open.push((call.id, depth));
            if j + 1 == path.len() {
                // The step's line is the call.
                if is_call_of(&step.text, &call.name) {
                    return (depth, step.text.clone());
                }
                if self.single_calls.contains(&call.id)
                    && let Some(text) = as_call_of(&step.text, &call.name)
                {
                    // Where a context waits, the part that fails is what matters.
                    return (depth, if self.waits { step.text.clone() } else { text });
                }
            }
            let (text, short) = call_text(call, self.with_args);
            let kind = RowKind::Call;
            let ctx = step.ctx;
            self.push(Row { column, ctx, depth, kind, text, short, comment: None, mark: None });
        }
        (base + path.len() as u32, step.text.clone())
    }

    /// The value that the step read or left, where another context changes that variable and the line does not say it.
    /// A step that touches several variables is more than an access: no single value says what it did, unless it is an
    /// assignment to one of them. That a call failed is always said.
    fn comment(&self, index: usize, step: &StepRecord) -> Option<String> {
        if let Some(ret) = step.ret.filter(|r| *r < 0) {
            return Some(format!("returns {ret}"));
        }
        let touches = &self.facts.rec.steps[index].touches;
        let shown: Vec<&Touch> = touches.iter().filter(|t| !t.internal && !is_ghost(t)).collect();
        let t = match shown.as_slice() {
            [one] => one,
            many => many.iter().find(|t| assigns(&step.text, t))?,
        };
        if self.with_args
            && t.write
            && let Some(element) = self.elements.get(&t.after)
        {
            return Some(element.clone());
        }
        if self.decides == Some(index) && !t.write {
            return Some(format!("reads {}", t.before));
        }
        if is_lock(t) || !self.contested.contains(&t.obj) || !is_plain(&t.before) {
            return None;
        }
        if !t.write {
            return Some(format!("reads {}", t.before));
        }
        let telling = if self.shown_calls.is_some() { is_nothing } else { is_plain };
        let says = step.text.contains(" = ") && step.text.ends_with(t.after.as_str());
        (t.before != t.after && telling(&t.after) && !says)
            .then(|| format!("{} -> {}", t.before, t.after))
    }
}

/// Whether the line is an assignment to the variable: `base->running = timer` to `MONOTONIC_SOFT.0.running`.
fn assigns(text: &str, t: &Touch) -> bool {
    let field = |path: &str| path.rsplit(['.', '>']).next().unwrap_or_default().to_string();
    text.split_once(" = ").is_some_and(|(left, _)| t.write && field(left) == field(&t.name))
}

/// What a count or a pointer is in the end: of other values that a step leaves, a short picture has only the line.
fn is_nothing(value: &str) -> bool {
    matches!(value, "NULL" | "0")
}

/// A value that says something by itself: a number, or nothing at all.
fn is_plain(value: &str) -> bool {
    value == "NULL" || value.parse::<i64>().is_ok()
}

/// Whether the line is itself a call of the function: `kfree(t)`, `ret = hrtimer_cancel(&t->timer)`.
pub(crate) fn is_call_of(text: &str, function: &str) -> bool {
    let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(function).any(|(at, _)| {
        text[at + function.len()..].starts_with('(') && !text[..at].ends_with(in_word)
    })
}

/// The call of the function that the line stands for, if the line calls the part of it that does the work:
/// `hrtimer_cancel(&t->timer)` for `hrtimer_try_to_cancel(&t->timer)`. Such parts are named after the function, with words
/// put in.
fn as_call_of(text: &str, function: &str) -> Option<String> {
    let (callee, args) = text.split_once('(')?;
    let callee = callee.rsplit(' ').next().unwrap_or(callee);
    let mut words = callee.split('_').filter(|w| !w.is_empty());
    let named = function.split('_').all(|want| words.any(|w| w == want));
    (named && args.ends_with(')')).then(|| format!("{function}({args}"))
}

/// Calls of functions without calls of their own, of which a single step is shown.
fn single_calls(steps: &[&StepRecord]) -> BTreeSet<u32> {
    let mut uses: BTreeMap<u32, usize> = BTreeMap::new();
    for call in steps.iter().filter_map(|s| s.stack.last()).filter(|c| c.leaf) {
        *uses.entry(call.id).or_default() += 1;
    }
    uses.into_iter().filter(|(_, n)| *n == 1).map(|(id, _)| id).collect()
}

/// The line of a call, and the same without its argument if it has one.
pub(crate) fn call_text(call: &Call, with_args: bool) -> (String, Option<String>) {
    let bare = function(&call.name);
    if with_args && !call.arg.is_empty() {
        (format!("{}({})", call.name, call.arg), Some(bare))
    } else {
        (bare, None)
    }
}

/// The CPUs that get a column: those of the steps, and of the contexts that wait for each other.
fn cpus_of(
    facts: &Facts<'_>,
    finding: Option<&FindingRecord>,
    steps: &[&StepRecord],
) -> Vec<CpuId> {
    let mut cpus: BTreeSet<CpuId> =
        steps.iter().filter_map(|s| facts.spec(s.ctx)).filter_map(|s| s.cpu).collect();
    if let Some(f) = finding {
        let circle = facts.circle(&f.waits, f.at.ctx);
        cpus.extend(circle.iter().filter_map(|w| facts.spec(w.waiter)).map(home));
    }
    if cpus.is_empty() {
        // Only helpers, or contexts that the record does not name.
        cpus.extend(steps.iter().map(|s| facts.spec(s.ctx).map_or(CpuId(0), home)).take(1));
    }
    cpus.into_iter().collect()
}

/// Of each step: the innermost call, the innermost that findings may blame, and in interrupts the innermost body.
pub(crate) fn shown_calls(facts: &Facts<'_>, steps: &[&StepRecord]) -> BTreeSet<u32> {
    let mut shown = BTreeSet::new();
    for s in steps.iter().filter(|s| facts.kind(s.ctx) != CtxKind::Helper) {
        shown.extend(s.stack.last().map(|c| c.id));
        shown.extend(blamed(s).map(|i| s.stack[i].id));
        // A program in an interrupt, and one that runs inside of another: what it calls does not call itself.
        let inside = s.stack.iter().skip(1).filter(|c| c.body).count() > 1;
        if inside || !matches!(facts.kind(s.ctx), CtxKind::Task | CtxKind::Kworker) {
            shown.extend(s.stack.iter().rev().find(|c| c.body).map(|c| c.id));
        }
    }
    // A function that has a line in one call has a line in each, or the two would not look alike.
    let named = |c: &&Call| !c.leaf && !c.body && shown.contains(&c.id);
    let calls = || steps.iter().flat_map(|s| s.stack.iter().map(|c| (s.ctx, c)));
    let names: BTreeSet<(CtxId, &str)> =
        calls().filter(|(_, c)| named(c)).map(|(x, c)| (x, c.name.as_str())).collect();
    let again = calls().filter(|(x, c)| names.contains(&(*x, c.name.as_str()))).map(|(_, c)| c.id);
    let again: Vec<u32> = again.collect();
    shown.extend(again);
    shown
}

/// Arguments tell calls apart where a function is called on different things.
fn args_matter(steps: &[&StepRecord]) -> bool {
    let mut args: BTreeMap<&str, &str> = BTreeMap::new();
    let mut calls = steps.iter().flat_map(|s| &s.stack).filter(|c| !c.arg.is_empty());
    calls.any(|c| *args.entry(&c.name).or_insert(&c.arg) != c.arg)
}

/// Whether programs were called on different things: who waits for whom is about these.
fn bodies_differ(steps: &[&StepRecord]) -> bool {
    let calls = steps.iter().flat_map(|s| &s.stack);
    let args: BTreeSet<&str> =
        calls.filter(|c| c.body && !c.arg.is_empty()).map(|c| c.arg.as_str()).collect();
    args.len() > 1
}

/// Variables that one context writes and another one touches, among the steps that are shown.
fn contested(facts: &Facts<'_>, steps: &[&StepRecord]) -> BTreeSet<Obj> {
    let mut users: BTreeMap<Obj, (BTreeSet<CtxId>, BTreeSet<CtxId>)> = BTreeMap::new();
    for s in steps {
        for t in s.touches.iter().filter(|t| !t.internal && !is_ghost(t)) {
            let (all, writers) = users.entry(t.obj).or_default();
            all.insert(s.ctx);
            if t.write {
                writers.insert(s.ctx);
            }
        }
    }
    let locks: BTreeSet<Obj> = facts.sections.iter().filter_map(|s| s.obj).collect();
    users
        .into_iter()
        .filter(|(o, (all, writers))| !locks.contains(o) && !writers.is_empty() && all.len() > 1)
        .map(|(o, _)| o)
        .collect()
}

/// Whom a column's heading is about, how many calls of that context's stack it stands for, and its words.
fn role(
    facts: &Facts<'_>,
    steps: &[&StepRecord],
    waiter: Option<CtxId>,
    headings: bool,
) -> (CtxId, usize, String) {
    let of =
        |want: &dyn Fn(CtxKind) -> bool| steps.iter().map(|s| s.ctx).find(|c| want(facts.kind(*c)));
    let main = of(&|k| matches!(k, CtxKind::Task | CtxKind::Kworker))
        .or_else(|| of(&|k| k != CtxKind::Helper))
        .or(waiter)
        .or_else(|| of(&|_| true))
        .unwrap_or_default();
    if !headings {
        return (main, 0, facts.name(main));
    }
    // A line for the entry itself belongs to the interrupt, not to what it calls.
    let entered = steps.iter().any(|s| s.ctx == main && s.entry && !s.text.starts_with('<'));
    if entered && matches!(facts.kind(main), CtxKind::Softirq | CtxKind::Hardirq) {
        return (main, 0, format!("<{}>", facts.name(main)));
    }
    let stacks: Vec<&[Call]> =
        steps.iter().filter(|s| s.ctx == main && !s.entry).map(|s| s.stack.as_slice()).collect();
    let common = common_calls(&stacks);
    let body = common.iter().rposition(|c| c.body);
    let call = common.iter().enumerate().find(|(i, c)| !c.body && body.is_none_or(|b| *i > b));
    let is_task = matches!(facts.kind(main), CtxKind::Task | CtxKind::Kworker);
    let chosen = match (body, call) {
        (Some(b), _) if !is_task => Some(b),
        (_, Some((c, _))) if is_task => Some(c),
        (b, _) => b,
    };
    match chosen {
        Some(i) => (main, i + 1, function(&common[i].name)),
        None if is_task => (main, 0, facts.name(main)),
        None => (main, common.len(), format!("<{}>", facts.name(main))),
    }
}

/// `cb()`; what is not one word, such as `prog cb`, is not written as a call.
pub(crate) fn function(name: &str) -> String {
    if name.contains(' ') { name.to_string() } else { format!("{name}()") }
}

fn common_calls<'s>(stacks: &[&'s [Call]]) -> &'s [Call] {
    let Some((first, rest)) = stacks.split_first() else { return &[] };
    let same = |other: &&[Call]| first.iter().zip(*other).take_while(|(a, b)| a.id == b.id).count();
    let n = rest.iter().map(same).min().unwrap_or(first.len());
    &first[..n]
}
