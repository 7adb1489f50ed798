//! Which steps of a run a picture of its finding shows.
//!
//! Kept are, most relevant first:
//!
//! | | steps |
//! |---|---|
//! | (a) | the accesses of the finding; where the object was born; of a deadlock, what its contexts hold or made the others wait for |
//! | (b) | how its contexts came to the object and handed it on: reads and writes of the pointers that more than one of them uses, calls that work on the object, what began or freed it; of a leak, what its contexts use against each other from the start of the blamed call; of a finding with one side, what led to it (the value that a call failed for and who wrote it, the lock that is held where nobody may sleep, where the last pointer went) and the call until then |
//! | (c) | lock and unlock, entry and exit of RCU sections, in pairs, around a step that is kept for another reason; of locks, those that more than one context takes: the others order nothing; of RCU sections, those that could have ordered two accesses |
//! | (d) | the calls that contain a kept step: lines of their own, not steps |
//! | (e) | what let a context of the finding begin |
//! | (f) | other writes to the object, other pointers to it, variables over which the contexts conflict: only while there are fewer than [`FEW_LINES`] lines |
//!
//! A pointer that a context clears or sets is not shown to be read by it before. A picture has about [`MAX_LINES`] lines at
//! most, and none after a wrong access. What is too much goes in this order: of (b) calls that work on the object, then (e), down to [`GOOD_LINES`]; then (c), pair by pair; then (b). Within each
//! kind the steps that are farthest from the accesses, counted in steps of the run, go first. Quiet steps are never kept,
//! unless one is an access of the finding.

use crate::facts::{Facts, blamed, home, is_ghost, is_life, is_lock, is_part, other_side, points};
use crate::interleaving::{is_call_of, shown_calls};
use crate::led_to::led_to;
use std::collections::{BTreeMap, BTreeSet};
use timerace_core::record::{Edge, FindingRecord, StepRecord, Touch};
use timerace_core::{Class, CtxId, CtxKind, Obj};

/// Lines that a picture has at most, unless the accesses alone have more. Lines between steps are estimated.
pub const MAX_LINES: usize = 16;
/// Lines up to which causes are kept.
pub const GOOD_LINES: usize = 14;
/// With fewer lines, a picture also gets variables that only explain.
pub const FEW_LINES: usize = 8;

/// Before lines are counted exactly, which costs time: more steps than this are cut without looking.
const MANY: usize = 64;

#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Rank {
    Access,
    Object,
    Cause,
    /// A call that works on the object.
    Part,
    Explains,
}

/// What the finding is about, in indices of the record.
struct Subject<'a> {
    finding: &'a FindingRecord,
    /// Accesses, in order of the run.
    sides: Vec<usize>,
    /// What led to them, where there is no second access: see [`crate::led_to`].
    led_to: Vec<usize>,
    /// The last step that is shown.
    last: usize,
    /// The contexts of the finding.
    who: BTreeSet<CtxId>,
}

/// One flag per step: whether the picture of the finding shows it.
pub(crate) fn choose(facts: &Facts<'_>, finding: &FindingRecord) -> Vec<bool> {
    let subject = subject(facts, finding);
    let mut ranks: Vec<Option<Rank>> = vec![None; facts.rec.steps.len()];
    for &i in subject.sides.iter().chain(&subject.led_to) {
        raise(&mut ranks, i, Rank::Access);
    }
    keep_object(facts, &subject, &mut ranks);
    keep_pointers(facts, &subject, &mut ranks);
    keep_leak(facts, &subject, &mut ranks);
    keep_deadlock(facts, &subject, &mut ranks);
    keep_call(facts, &subject, &mut ranks);
    keep_causes(facts, &subject, &mut ranks);
    keep_unpublished(facts, &subject, &mut ranks);
    if finding.waits.is_empty() || ranks.iter().all(Option::is_none) {
        keep_explaining(facts, &subject, &mut ranks);
    }
    if ranks.iter().all(Option::is_none) {
        keep_last(facts, &mut ranks);
    }
    cut(facts, &subject, ranks)
}

fn raise(ranks: &mut [Option<Rank>], index: usize, rank: Rank) {
    let now = &mut ranks[index];
    *now = Some(now.map_or(rank, |r| r.min(rank)));
}

fn subject<'a>(facts: &Facts<'_>, finding: &'a FindingRecord) -> Subject<'a> {
    let led_to = led_to(facts, finding);
    // Of a callback without a user reference, birth says nothing.
    let born = finding.born.as_ref().filter(|_| finding.class != Class::CallbackAfterUref);
    let other = if born.is_some() { finding.other.as_ref() } else { other_side(finding) };
    let sides: BTreeSet<usize> = [Some(&finding.at), other, born]
        .into_iter()
        .flatten()
        .filter_map(|s| facts.locate(finding, s))
        .chain(walk_end(facts, finding))
        .collect();
    let mut who: BTreeSet<CtxId> = sides.iter().map(|i| facts.rec.steps[*i].ctx).collect();
    for w in facts.circle(&finding.waits, finding.at.ctx) {
        who.extend([w.waiter, w.holder]);
    }
    if who.is_empty() {
        who.insert(finding.at.ctx);
    }
    if finding.class == Class::Leak {
        who.extend(finding.other.as_ref().map(|o| o.ctx));
    }
    // What comes after a wrong access says no more. A leak shows at the end; who waits or takes locks goes on.
    let goes_on = !finding.waits.is_empty()
        || matches!(finding.class, Class::Leak | Class::LostTimer | Class::LockOrder);
    let last = sides.iter().chain(&led_to).max().copied().filter(|_| !goes_on);
    let last = last.unwrap_or(usize::MAX);
    Subject { finding, sides: sides.into_iter().collect(), led_to, last, who }
}

/// Of a callback after the last user reference: where the walk that should have found its timer ended.
pub(crate) fn walk_end(facts: &Facts<'_>, finding: &FindingRecord) -> Option<usize> {
    if finding.class != Class::CallbackAfterUref {
        return None;
    }
    let (object, walker) = (finding.object.as_ref()?, finding.other.as_ref()?.ctx);
    let at = facts.index_of(finding.at.step)?;
    let ends =
        |s: &StepRecord| s.touches.iter().any(|t| t.write && is_part(t, object) && is_ghost(t));
    facts.rec.steps[..at].iter().rposition(|s| s.ctx == walker && ends(s))
}

/// A variable whose value readers know, and that is no lock.
fn is_shown(t: &Touch) -> bool {
    !t.internal && !is_ghost(t) && !is_lock(t)
}

/// (b): the object's life, and calls that work on it. Its fields are (f).
fn keep_object(facts: &Facts<'_>, subject: &Subject<'_>, ranks: &mut [Option<Rank>]) {
    let Some(object) = &subject.finding.object else { return };
    if subject.finding.class == Class::CallbackAfterUref {
        // A map: where it came from says nothing of its timers.
        return;
    }
    for (i, s) in facts.rec.steps.iter().enumerate().filter(|(_, s)| !s.quiet) {
        let part = |t: &&Touch| is_part(t, object);
        let born_or_freed = s.touches.iter().filter(part).any(is_life);
        let writes = s.touches.iter().filter(part).any(|t| t.write && !t.internal);
        let in_call = s.stack.last().is_some_and(|c| c.leaf);
        if born_or_freed {
            raise(ranks, i, Rank::Object);
        } else if writes && in_call {
            raise(ranks, i, Rank::Part);
        } else if writes || s.touches.iter().any(|t| points(t, object)) {
            raise(ranks, i, Rank::Explains);
        }
    }
}

/// (b): the pointers through which more than one context of the finding, or a context that made the object and another
/// one, reach it.
fn keep_pointers(facts: &Facts<'_>, subject: &Subject<'_>, ranks: &mut [Option<Rank>]) {
    let Some(object) = &subject.finding.object else { return };
    let mut uses: BTreeMap<Obj, Vec<(usize, bool)>> = BTreeMap::new();
    for (i, s) in facts.rec.steps.iter().enumerate().filter(|(_, s)| !s.quiet) {
        for t in s.touches.iter().filter(|t| points(t, object) && is_shown(t)) {
            uses.entry(t.obj).or_default().push((i, t.write));
        }
    }
    let ctx = |i: usize| facts.rec.steps[i].ctx;
    for uses in uses.values() {
        let users: BTreeSet<CtxId> = uses.iter().map(|u| ctx(u.0)).collect();
        if users.len() < 2 || users.is_disjoint(&subject.who) {
            continue;
        }
        for (at, (i, write)) in uses.iter().enumerate() {
            // Said again by a later use of the same context.
            let again = uses[at + 1..].iter().any(|(j, _)| ctx(*j) == ctx(*i));
            raise(ranks, *i, if *write || !again { Rank::Object } else { Rank::Explains });
        }
    }
}

/// (b) of a leak, which has no second access: what one of its contexts writes and another one touches, from the begin of
/// the call that is blamed to the last chance. Of a timer that a walk has missed: what anybody writes and another one
/// touches during the walk.
fn keep_leak(facts: &Facts<'_>, subject: &Subject<'_>, ranks: &mut [Option<Rank>]) {
    let missed = subject.finding.class == Class::CallbackAfterUref;
    if subject.finding.class != Class::Leak && !missed {
        return;
    }
    let (Some(first), Some(last)) = (subject.sides.first(), subject.sides.last()) else { return };
    let last = if missed { first } else { last };
    let step = &facts.rec.steps[*first];
    let call = blamed(step).map(|i| step.stack[i].id);
    let inside = |s: &StepRecord| s.stack.iter().any(|c| Some(c.id) == call);
    let from = facts.rec.steps.iter().position(inside).unwrap_or(*first);
    // Who made the walk miss the timer is no side of the finding.
    let takes_part = |c: &CtxId| missed || subject.who.contains(c);
    let window = || (from..=*last).filter(|i| takes_part(&facts.rec.steps[*i].ctx));
    let mut users: Users = BTreeMap::new();
    for s in window().map(|i| &facts.rec.steps[i]) {
        for t in s.touches.iter().filter(|t| is_shown(t)) {
            users.entry(t.obj).or_default().insert((s.ctx, t.write));
        }
    }
    let contested = |t: &&Touch| is_shown(t) && users.get(&t.obj).is_some_and(is_contested);
    let mut met: Vec<usize> = window()
        .filter(|i| !facts.rec.steps[*i].quiet)
        .filter(|i| facts.rec.steps[*i].touches.iter().any(|t| contested(&t)))
        .collect();
    if missed {
        // What others wrote, and the walk's looks just before and after it.
        let writes =
            |i: &usize| facts.rec.steps[*i].touches.iter().filter(contested).any(|t| t.write);
        let others = |i: &&usize| facts.rec.steps[**i].ctx != step.ctx && writes(i);
        let walks = |i: &&usize| facts.rec.steps[**i].ctx == step.ctx;
        let written: Vec<usize> = met.iter().filter(others).copied().collect();
        let (Some(a), Some(b)) = (written.first(), written.last()) else { return };
        let before = met.iter().filter(walks).rfind(|i| *i < a).copied();
        let after = met.iter().filter(walks).find(|i| *i > b).copied();
        met = written.into_iter().chain(before).chain(after).collect();
    }
    met.into_iter().for_each(|i| raise(ranks, i, Rank::Object));
}

/// Who touches a variable, and whether they write it.
type Users = BTreeMap<Obj, BTreeSet<(CtxId, bool)>>;

fn is_contested(users: &BTreeSet<(CtxId, bool)>) -> bool {
    users.iter().any(|(c, w)| *w && users.iter().any(|(d, _)| d != c))
}

/// (a) of an order of locks: where each was taken. Of a deadlock: what its contexts took and did not give back, the interrupts that are stuck, and of contexts that
/// wait for something else, the last step and what it found.
fn keep_deadlock(facts: &Facts<'_>, subject: &Subject<'_>, ranks: &mut [Option<Rank>]) {
    if !subject.finding.class.is_stuck() && subject.finding.class != Class::LockOrder {
        return;
    }
    for a in &subject.finding.locks {
        for side in [&a.held, &a.taken] {
            let Some(i) = facts.locate(subject.finding, side) else { continue };
            raise(ranks, i, Rank::Access);
            let ends = facts.sections.iter().filter(|s| s.from == i).filter_map(|s| s.to);
            ends.for_each(|to| raise(ranks, to, Rank::Object));
        }
    }
    if subject.finding.class == Class::LockOrder {
        return;
    }
    let mut holders = BTreeSet::new();
    for section in &facts.sections {
        let held = section.to.is_none() && subject.who.contains(&section.ctx);
        if held && !facts.rec.steps[section.from].quiet {
            holders.insert(section.ctx);
            raise(ranks, section.from, Rank::Access);
        }
    }
    for ctx in subject.who.iter().filter(|c| is_interrupt(facts.kind(**c))) {
        let entry = facts.rec.steps.iter().rposition(|s| s.ctx == *ctx && s.entry);
        if let Some(i) = entry {
            raise(ranks, i, Rank::Object);
        }
    }
    for ctx in subject.who.difference(&holders) {
        let last = facts.rec.steps.iter().rposition(|s| s.ctx == *ctx && !s.quiet);
        let Some(last) = last else { continue };
        raise(ranks, last, Rank::Access);
        for t in facts.rec.steps[last].touches.iter().filter(|t| is_shown(t)) {
            let writes = |s: &StepRecord| s.touches.iter().any(|u| u.obj == t.obj && u.write);
            let of_other =
                |s: &StepRecord| s.ctx != *ctx && subject.who.contains(&s.ctx) && !s.quiet;
            let from = facts.rec.steps[..last].iter().rposition(|s| of_other(s) && writes(s));
            if let Some(from) = from {
                raise(ranks, from, Rank::Object);
            }
        }
    }
}

/// (b) of a finding with one side: the steps before it of the call that is blamed; where it is known what led to it, only
/// to fill up.
fn keep_call(facts: &Facts<'_>, subject: &Subject<'_>, ranks: &mut [Option<Rank>]) {
    let rank = if subject.led_to.is_empty() { Rank::Object } else { Rank::Explains };
    let ([at], None) = (subject.sides.as_slice(), &subject.finding.other) else { return };
    let step = &facts.rec.steps[*at];
    let Some(call) = blamed(step).map(|i| step.stack[i].id) else { return };
    for (i, s) in facts.rec.steps.iter().enumerate().filter(|(_, s)| !s.quiet) {
        if s.ctx == step.ctx && s.stack.iter().any(|c| c.id == call) {
            raise(ranks, i, rank);
        }
    }
}

/// A finding that no step leads to: the end of the run is better than nothing.
fn keep_last(facts: &Facts<'_>, ranks: &mut [Option<Rank>]) {
    let steps = facts.rec.steps.iter().enumerate().rev().filter(|(_, s)| !s.quiet);
    for (i, _) in steps.take(GOOD_LINES) {
        ranks[i] = Some(Rank::Object);
    }
}

/// (f): variables over which the contexts of the finding meet.
fn keep_explaining(facts: &Facts<'_>, subject: &Subject<'_>, ranks: &mut [Option<Rank>]) {
    let steps = &facts.rec.steps;
    let plain = |s: &StepRecord| -> Vec<(Obj, bool)> {
        let shared = s.touches.iter().filter(|t| is_shown(t));
        shared.map(|t| (t.obj, t.write)).collect()
    };
    let kept: BTreeSet<usize> = (0..steps.len()).filter(|i| ranks[*i].is_some()).collect();
    let read: BTreeSet<(CtxId, Obj)> = kept
        .iter()
        .flat_map(|i| plain(&steps[*i]).into_iter().map(|(o, _)| (steps[*i].ctx, o)))
        .collect();
    let read_objs: BTreeSet<Obj> = read.iter().map(|(_, o)| *o).collect();
    // Of the variables that nothing kept touches: those that the contexts of the finding use against each other.
    let locks: BTreeSet<Obj> = facts.sections.iter().filter_map(|s| s.obj).collect();
    let mut users: Users = BTreeMap::new();
    for s in steps.iter().filter(|s| subject.who.contains(&s.ctx)) {
        for (o, write) in plain(s) {
            users.entry(o).or_default().insert((s.ctx, write));
        }
    }
    let contested = |o: &Obj| users.get(o).is_some_and(is_contested) && !locks.contains(o);
    for (i, s) in steps.iter().enumerate().filter(|(_, s)| !s.quiet) {
        let wanted = plain(s).iter().any(|(o, write)| {
            (*write && read_objs.contains(o) && read.iter().any(|(c, x)| x == o && *c != s.ctx))
                || (subject.who.contains(&s.ctx) && contested(o))
        });
        if wanted {
            raise(ranks, i, Rank::Explains);
        }
    }
}

/// (b): the pointer to the object that a call clears, where another step of that call is kept: it hands the object on.
fn keep_unpublished(facts: &Facts<'_>, subject: &Subject<'_>, ranks: &mut [Option<Rank>]) {
    let Some(object) = &subject.finding.object else { return };
    let steps = &facts.rec.steps;
    let call = |s: &StepRecord| blamed(s).map(|i| (s.ctx, s.stack[i].id));
    let relevant = |i: &usize| matches!(ranks[*i], Some(r) if r < Rank::Part);
    let calls: BTreeSet<_> = (0..steps.len()).filter(relevant).map(|i| call(&steps[i])).collect();
    for (i, s) in steps.iter().enumerate().filter(|(_, s)| !s.quiet && call(s).is_some()) {
        let clears = |t: &Touch| is_shown(t) && t.write && t.before == *object && t.after == "NULL";
        if calls.contains(&call(s)) && s.touches.iter().any(clears) {
            raise(ranks, i, Rank::Object);
        }
    }
}

fn is_interrupt(kind: CtxKind) -> bool {
    matches!(kind, CtxKind::Softirq | CtxKind::Hardirq | CtxKind::Nmi)
}

/// (e): what another context did so that a context of the finding could begin: queued the work, raised the softirq, ended
/// the grace period.
fn keep_causes(facts: &Facts<'_>, subject: &Subject<'_>, ranks: &mut [Option<Rank>]) {
    let steps = &facts.rec.steps;
    let cpu_words: BTreeSet<&str> = steps
        .iter()
        .flat_map(|s| s.touches.iter().filter(|t| t.internal).map(|t| t.name.as_str()))
        .collect();
    let pass = |e: &Edge| e.over.as_deref().is_some_and(|o| !cpu_words.contains(o));
    for &side in &subject.sides {
        // An interrupt that was there before the other side did its part must not seem to begin after it.
        let ctx = steps[side].ctx;
        let entry = steps[..=side].iter().rposition(|s| s.ctx == ctx && s.entry && !s.quiet);
        if let Some(i) = entry.filter(|_| is_interrupt(facts.kind(ctx))) {
            raise(ranks, i, Rank::Object);
        }
        let mut at = side;
        // From each access back to the entry of its context, then to whoever caused the entry, and so on.
        for _ in 0..MANY {
            let ctx = steps[at].ctx;
            let entry = steps[..=at].iter().rposition(|s| s.ctx == ctx && s.entry);
            let Some(entry) = entry else { break };
            let cause = facts
                .before(entry)
                .filter(|(from, e)| pass(e) && steps[*from].ctx != ctx)
                .map(|(from, _)| from)
                .max();
            let Some(cause) = cause else { break };
            if !steps[cause].quiet {
                raise(ranks, cause, Rank::Cause);
            }
            at = cause;
        }
    }
}

/// The steps of the ranks with their brackets, cut to size.
fn cut(facts: &Facts<'_>, subject: &Subject<'_>, mut ranks: Vec<Option<Rank>>) -> Vec<bool> {
    for r in ranks.iter_mut().skip(subject.last.saturating_add(1)) {
        *r = None;
    }
    let far = |i: usize| {
        let near = subject.sides.iter().chain(&subject.led_to).map(|s| s.abs_diff(i)).min();
        near.unwrap_or(facts.rec.steps.len() - i)
    };
    let order = |ranks: &[Option<Rank>], rank: Rank| -> Vec<usize> {
        let mut found: Vec<usize> = (0..ranks.len()).filter(|i| ranks[*i] == Some(rank)).collect();
        found.sort_by_key(|i| (far(*i), *i));
        found
    };
    let explains = order(&ranks, Rank::Explains);
    for i in &explains {
        ranks[*i] = None;
    }
    let mut fillers = order(&ranks, Rank::Cause);
    let parts = order(&ranks, Rank::Part);
    for i in parts.iter().skip(MANY) {
        ranks[*i] = None;
    }
    fillers.extend(parts.into_iter().take(MANY));
    let mut objects = order(&ranks, Rank::Object);
    for i in objects.drain(objects.len().min(MANY)..) {
        ranks[i] = None;
    }
    while lines(facts, &with_brackets(facts, subject, &ranks, &[])) > GOOD_LINES {
        let Some(i) = fillers.pop() else { break };
        ranks[i] = None;
    }
    // A mark has two lines of its own.
    let mark = if subject.sides.is_empty() { 0 } else { 2 };
    for i in explains.into_iter().take(MANY) {
        if mark + lines(facts, &with_brackets(facts, subject, &ranks, &[])) >= FEW_LINES {
            break;
        }
        ranks[i] = Some(Rank::Explains);
    }
    let mut dropped: Vec<usize> = Vec::new();
    let mut pairs = bracket_pairs(facts, subject, &ranks);
    pairs.sort_by_key(|p| (far(facts.sections[*p].from), *p));
    let fits = |ranks: &[Option<Rank>], dropped: &[usize]| {
        lines(facts, &with_brackets(facts, subject, ranks, dropped)) <= MAX_LINES
    };
    while !fits(&ranks, &dropped) {
        if let Some(p) = pairs.pop() {
            dropped.push(p);
        } else if let Some(i) = objects.pop() {
            ranks[i] = None;
        } else {
            break;
        }
    }
    with_brackets(facts, subject, &ranks, &dropped)
}

/// The sections that contain a kept step of their context, and have an end.
fn bracket_pairs(facts: &Facts<'_>, subject: &Subject<'_>, ranks: &[Option<Rank>]) -> Vec<usize> {
    let steps = &facts.rec.steps;
    let kept: Vec<usize> = (0..ranks.len()).filter(|i| ranks[*i].is_some()).collect();
    let contains_one = |s: &crate::facts::Section| {
        let after = kept.partition_point(|i| *i <= s.from);
        let inside = kept[after..].iter().take_while(|i| s.to.is_none_or(|to| **i <= to));
        inside.into_iter().any(|i| steps[*i].ctx == s.ctx)
    };
    (0..facts.sections.len())
        .filter(|p| {
            let s = &facts.sections[*p];
            let visible = !steps[s.from].quiet && s.to.is_none_or(|t| !steps[t].quiet);
            // Without a second access, which a leak has not either, a read section could have ordered nothing.
            let missed = subject.finding.class == Class::CallbackAfterUref;
            let two = subject.sides.len() > 1 && subject.finding.class != Class::Leak;
            // The walk that missed a timer takes no lock that others hold.
            let orders = !missed && (s.obj.is_some() || two);
            visible && orders && s.shared && contains_one(s)
        })
        .collect()
}

fn with_brackets(
    facts: &Facts<'_>,
    subject: &Subject<'_>,
    ranks: &[Option<Rank>],
    dropped: &[usize],
) -> Vec<bool> {
    let mut kept: Vec<bool> = ranks.iter().map(Option::is_some).collect();
    for p in bracket_pairs(facts, subject, ranks).into_iter().filter(|p| !dropped.contains(p)) {
        let s = &facts.sections[p];
        kept[s.from] = true;
        if let Some(to) = s.to.filter(|to| *to <= subject.last) {
            kept[to] = true;
        }
    }
    kept
}

/// About how many lines a picture of these steps has: a line per step, and one per call below the outermost.
fn lines(facts: &Facts<'_>, kept: &[bool]) -> usize {
    let steps = facts.rec.steps.iter().zip(kept).filter(|(_, k)| **k).map(|(s, _)| s);
    let steps: Vec<&StepRecord> = steps.collect();
    let mut calls = shown_calls(facts, &steps);
    let (mut tasks, mut columns, mut with_task) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for s in &steps {
        let cpu = facts.spec(s.ctx).map(home);
        columns.insert(cpu);
        if matches!(facts.kind(s.ctx), CtxKind::Task | CtxKind::Kworker) {
            tasks.insert(s.ctx);
            with_task.insert(cpu);
        }
        if let Some(c) = s.stack.last().filter(|c| is_call_of(&s.text, &c.name)) {
            calls.remove(&c.id); // the step's line is the call's
        }
    }
    // A heading stands for a call; of several tasks on a CPU, all but one have a line for their name.
    steps.len() + calls.len().saturating_sub(columns.len()) + tasks.len() - with_task.len()
}
