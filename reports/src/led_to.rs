//! What led to a finding that has no second access: which value made a call fail, which lock is held where nobody may
//! sleep, which step took the last pointer to what is never freed.

use crate::facts::{Facts, Section, is_ghost, is_life, is_lock, is_part};
use std::collections::BTreeSet;
use timerace_core::record::{FindingRecord, StepRecord, Touch};
use timerace_core::{Class, Obj};

/// A read, the value that it found, and the step that had written it; if nobody had, the step that came too late.
pub(crate) struct Value {
    pub read: usize,
    pub written: usize,
    /// The variable.
    pub name: String,
    pub value: String,
}

/// The steps (by index) without which the finding cannot be understood, beside its own sides.
pub(crate) fn led_to(facts: &Facts<'_>, finding: &FindingRecord) -> Vec<usize> {
    let mut out = Vec::new();
    match finding.class {
        Class::WrongErrno | Class::Assertion | Class::WildPointer => {
            if let Some(v) = deciding_value(facts, finding) {
                out.extend([v.read, v.written]);
                // A step of a program says when, not what: the call before it does.
                out.extend(call_before(facts, v.written));
            }
        }
        Class::SleepInAtomic => out.extend(held_at(facts, finding).map(|s| s.from)),
        Class::Leak => out.extend(pointer_lost(facts, finding)),
        Class::LostTimer => {
            out.extend(queued(facts, finding));
            out.extend(closed_before(facts, finding));
        }
        Class::CallbackAfterUref => out.extend(last_uref(facts, finding)),
        Class::Refcount => {
            let spent = spent(facts, finding);
            let reads = spent.iter().flat_map(|s| &s.shared).flat_map(|s| s.reads);
            out.extend(spent.iter().filter_map(|s| s.before).chain(reads));
        }
        _ => {}
    }
    out
}

/// The last value before the finding that its context read and that a step of the run writes.
pub(crate) fn deciding_value(facts: &Facts<'_>, finding: &FindingRecord) -> Option<Value> {
    if !matches!(finding.class, Class::WrongErrno | Class::Assertion | Class::WildPointer) {
        return None;
    }
    let at = facts.locate(finding, &finding.at)?;
    let steps = &facts.rec.steps;
    let ctx = steps[at].ctx;
    let locks: BTreeSet<Obj> = facts.sections.iter().filter_map(|s| s.obj).collect();
    let known = |t: &&Touch| !t.internal && !is_ghost(t) && !is_lock(t) && !locks.contains(&t.obj);
    let end = if finding.class == Class::WildPointer { at + 1 } else { at };
    let mine = (0..end).rev().filter(|i| steps[*i].ctx == ctx && !steps[*i].quiet);
    mine.flat_map(|i| steps[i].touches.iter().filter(known).map(move |t| (i, t)))
        .filter(|(_, t)| !t.write)
        .find_map(|(read, t)| {
            let writes = |s: &StepRecord| s.touches.iter().any(|u| u.obj == t.obj && u.write);
            let late = |s: &StepRecord| s.ctx != ctx && writes(s);
            let before = steps[..read].iter().rposition(writes);
            let written = before.or_else(|| steps.iter().position(late))?;
            Some(Value { read, written, name: t.name.clone(), value: t.before.clone() })
        })
}

/// Of a step that a program does itself: the last step of the call that its context made before.
fn call_before(facts: &Facts<'_>, index: usize) -> Option<usize> {
    let steps = &facts.rec.steps;
    let in_call = |s: &StepRecord| s.stack.last().is_some_and(|c| !c.body);
    if in_call(&steps[index]) {
        return None;
    }
    let ctx = steps[index].ctx;
    let tells = |s: &StepRecord| {
        s.ctx == ctx && in_call(s) && !s.quiet && !s.entry && !s.touches.iter().any(is_lock)
    };
    steps[..index].iter().rposition(tells)
}

/// The locks that the context of a finding holds there.
pub(crate) fn held_at<'f>(
    facts: &'f Facts<'_>,
    finding: &FindingRecord,
) -> impl Iterator<Item = &'f Section> + use<'f> {
    let at = facts.locate(finding, &finding.at);
    let ctx = finding.at.ctx;
    let holds = move |s: &&Section| {
        at.is_some_and(|at| s.obj.is_some() && s.from < at && s.covers(ctx, at))
    };
    facts.sections.iter().filter(holds)
}

/// Where the last pointer to an object went that is never freed: it was overwritten, or its owner was freed.
pub(crate) fn pointer_lost(facts: &Facts<'_>, finding: &FindingRecord) -> Option<usize> {
    if finding.class != Class::Leak || facts.locate(finding, &finding.at).is_some() {
        return None; // where the pointer came too late, that step is the finding
    }
    let object = finding.object.as_deref()?;
    let steps = &facts.rec.steps;
    let owner = |i: usize, name: &str| {
        let dies = |t: &Touch| is_life(t) && t.after == "FREED" && is_part_of(name, &t.name);
        (i + 1..steps.len()).rfind(|j| steps[*j].touches.iter().any(dies))
    };
    let put = |t: &&Touch| t.write && !t.internal && t.after == object;
    let freed = |i: usize| owner(i, &steps[i].touches.iter().find(put)?.name);
    let clears = |t: &Touch| t.write && !t.internal && t.before == object && t.after != object;
    (0..steps.len())
        .rev()
        .find_map(freed)
        .or_else(|| steps.iter().rposition(|s| s.touches.iter().any(clears)))
}

fn is_part_of(field: &str, owner: &str) -> bool {
    field.strip_prefix(owner).is_some_and(|rest| rest.starts_with('.'))
}

/// Where a timer that will never expire was put into its queue: the last step that writes a part of it.
pub(crate) fn queued(facts: &Facts<'_>, finding: &FindingRecord) -> Option<usize> {
    let object = finding.object.as_deref()?;
    let writes = |s: &StepRecord| {
        s.touches.iter().any(|t| t.write && !t.internal && !is_ghost(t) && is_part(t, object))
    };
    facts.rec.steps.iter().rposition(|s| !s.quiet && writes(s))
}

/// What another context did before to the queue of a timer that will never expire: its last write under the same lock.
pub(crate) fn closed_before(facts: &Facts<'_>, finding: &FindingRecord) -> Option<usize> {
    let at = queued(facts, finding)?;
    let steps = &facts.rec.steps;
    let ctx = steps[at].ctx;
    let under = facts.sections.iter().filter(|s| s.obj.is_some() && s.covers(ctx, at));
    let locks: BTreeSet<Obj> = under.filter_map(|s| s.obj).collect();
    let theirs = facts
        .sections
        .iter()
        .filter(|s| s.ctx != ctx && s.from < at && s.obj.is_some_and(|o| locks.contains(&o)));
    let writes = |i: &usize, s: &Section| {
        let known = |t: &Touch| t.write && !t.internal && !is_ghost(t) && !is_lock(t);
        steps[*i].ctx == s.ctx && !steps[*i].quiet && steps[*i].touches.iter().any(known)
    };
    theirs.filter_map(|s| (s.from..s.to.unwrap_or(at).min(at)).rfind(|i| writes(i, s))).max()
}

/// Where the last user reference went before a callback that starts without one.
pub(crate) fn last_uref(facts: &Facts<'_>, finding: &FindingRecord) -> Option<usize> {
    if finding.class != Class::CallbackAfterUref {
        return None;
    }
    let at = facts.locate(finding, &finding.at)?;
    let drops = |t: &Touch| t.write && t.after == "0" && t.name.ends_with("usercnt");
    facts.rec.steps[..at].iter().rposition(|s| s.touches.iter().any(drops))
}

/// What became of a reference count before it was used up, or taken again at 0.
pub(crate) struct Spent {
    /// The count.
    pub name: String,
    /// Its value before the step of the finding.
    pub value: String,
    /// That step takes a reference, it does not put one.
    pub taken: bool,
    /// The put before: of another context, if there is one.
    pub before: Option<usize>,
    /// The variable in which both found what they put.
    pub shared: Option<Shared>,
}

/// A variable that two contexts read the same from.
pub(crate) struct Shared {
    pub name: String,
    pub value: String,
    /// The reads, that of the earlier put first.
    pub reads: [usize; 2],
}

pub(crate) fn spent(facts: &Facts<'_>, finding: &FindingRecord) -> Option<Spent> {
    if finding.class != Class::Refcount {
        return None;
    }
    let at = facts.locate(finding, &finding.at)?;
    let object = finding.object.as_deref()?;
    let steps = &facts.rec.steps;
    let is_count = |t: &&Touch| t.write && !t.internal && is_part(t, object) && falls(t).is_some();
    let count = steps[at].touches.iter().find(is_count)?;
    let puts =
        |s: &StepRecord| s.touches.iter().any(|t| t.obj == count.obj && falls(t) == Some(true));
    let ctx = steps[at].ctx;
    let of_others = steps[..at].iter().rposition(|s| s.ctx != ctx && puts(s));
    let before = of_others.or_else(|| steps[..at].iter().rposition(puts));
    Some(Spent {
        name: count.name.clone(),
        value: count.before.clone(),
        taken: falls(count) == Some(false),
        before,
        shared: before.and_then(|b| shared(facts, b, at)),
    })
}

/// Whether a number becomes smaller.
fn falls(t: &Touch) -> Option<bool> {
    let (before, after) = (t.before.parse::<i64>().ok()?, t.after.parse::<i64>().ok()?);
    Some(t.write && after < before)
}

/// The last thing that the contexts of two steps both read before them, in the calls of these steps, and that did not change
/// in between.
fn shared(facts: &Facts<'_>, first: usize, second: usize) -> Option<Shared> {
    let steps = &facts.rec.steps;
    let (a, b) = (&steps[first], &steps[second]);
    if a.ctx == b.ctx {
        return None;
    }
    let call = |s: &StepRecord| s.stack.first().map(|c| c.id);
    let known = |t: &&Touch| {
        !t.write
            && !t.internal
            && !is_ghost(t)
            && !matches!(t.before.as_str(), "NULL" | "0" | "free")
    };
    let reads = |of: &StepRecord, until: usize| {
        let (ctx, id) = (of.ctx, call(of));
        let mine =
            move |i: &usize| steps[*i].ctx == ctx && !steps[*i].quiet && call(&steps[*i]) == id;
        (0..until).rev().filter(mine)
    };
    reads(b, second).find_map(|late| {
        steps[late].touches.iter().filter(known).find_map(|t| {
            let same = |i: &usize| {
                steps[*i].touches.iter().any(|u| u.obj == t.obj && !u.write && u.before == t.before)
            };
            let early = reads(a, first).find(same)?;
            let (from, to) = (early.min(late), early.max(late));
            let changes = |s: &StepRecord| s.touches.iter().any(|u| u.obj == t.obj && u.write);
            let (name, value) = (t.name.clone(), t.before.clone());
            (!steps[from..to].iter().any(changes)).then_some(Shared {
                name,
                value,
                reads: [early, late],
            })
        })
    })
}
