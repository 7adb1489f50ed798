//! What ordering a finding lacks, in the words of kernel people.

use crate::facts::{Facts, is_part, other_side, points};
use crate::marks::edge_text;
use timerace_core::Class;
use timerace_core::record::{Edge, FindingRecord, StepRecord, Touch};

/// The missing order, and since which step the access is without protection (index), if that can be said.
pub(crate) struct Missing {
    pub text: String,
    pub kind: Kind,
    pub since: Option<usize>,
}

/// What orders the two sides of a finding.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Nothing.
    Unordered,
    /// Something that lies between them.
    Ordered,
    /// They are of one context.
    SameContext,
}

/// Why the two sides of a finding may come in this order; `None` if order is not what it is about.
pub(crate) fn missing(facts: &Facts<'_>, finding: &FindingRecord) -> Option<Missing> {
    let at = facts.locate(finding, &finding.at)?;
    let other = other_step(facts, finding)?;
    let steps = &facts.rec.steps;
    let (a, b) = (&steps[at], &steps[other]);
    if !is_about_order(finding.class) {
        return None;
    }
    if a.ctx == b.ctx {
        let text = format!("both steps are of {}: no other context is needed", facts.name(a.ctx));
        return Some(Missing { text, kind: Kind::SameContext, since: None });
    }
    // That the last look came first is what a leak is.
    if finding.class != Class::Leak && b.no < a.no && is_ordered(facts, finding, other, at) {
        let text = ordered(facts, finding, other, at);
        return Some(Missing { text, kind: Kind::Ordered, since: None });
    }
    let since = unprotected_since(facts, finding, at);
    let text = unordered(facts, finding, at, other, since);
    Some(Missing { text, kind: Kind::Unordered, since })
}

/// The step of the other side. Of a leak, which shows at the end of the run only: the last look of another context at the
/// pointer that the object was put into too late.
pub(crate) fn other_step(facts: &Facts<'_>, finding: &FindingRecord) -> Option<usize> {
    let located = other_side(finding).and_then(|o| facts.locate(finding, o));
    if located.is_some() || finding.class != Class::Leak {
        return located;
    }
    let at = facts.locate(finding, &finding.at)?;
    let object = finding.object.as_deref()?;
    let steps = &facts.rec.steps;
    let put = steps[at].touches.iter().find(|t| t.write && !t.internal && t.after == object)?;
    let looks = |s: &StepRecord| {
        s.ctx != steps[at].ctx && s.touches.iter().any(|t| t.obj == put.obj && !t.write)
    };
    steps[..at].iter().rposition(looks)
}

fn is_about_order(class: Class) -> bool {
    matches!(
        class,
        Class::UseAfterFree
            | Class::DoubleFree
            | Class::DataRace
            | Class::Leak
            | Class::CallbackAfterCancel
            | Class::CallbackAfterUref
            | Class::CallbackAfterDelete
            | Class::Refcount
            | Class::UninitRead
    )
}

/// Of a deadlock: who waits for whom.
pub(crate) fn waiting(facts: &Facts<'_>, finding: &FindingRecord) -> Option<String> {
    let circle = facts.circle(&finding.waits, finding.at.ctx);
    let edges: Vec<String> = circle.iter().map(|w| edge_text(facts, w)).collect();
    (!edges.is_empty()).then(|| edges.join("; "))
}

/// Whether `from` comes before `to` for another reason than the memory over which they meet and the words of CPUs.
fn is_ordered(facts: &Facts<'_>, finding: &FindingRecord, from: usize, to: usize) -> bool {
    before(facts, finding, from, to)[from]
}

/// The steps that come before `to` for such a reason.
fn before(facts: &Facts<'_>, finding: &FindingRecord, from: usize, to: usize) -> Vec<bool> {
    let object = finding.object.as_deref().unwrap_or("");
    let (a, b) = (&facts.rec.steps[from], &facts.rec.steps[to]);
    let met =
        |t: &&Touch| t.internal || is_part(t, object) || b.touches.iter().any(|u| u.obj == t.obj);
    let both = a.touches.iter().filter(met).chain(b.touches.iter().filter(|t| t.internal));
    let names: Vec<&str> = both.map(|t| t.name.as_str()).collect();
    let pass = |e: &Edge| e.over.as_deref().is_none_or(|o| !names.contains(&o));
    facts.ancestors(to, &pass)
}

/// What makes the access come after the other side: the last step of that side's context that it waited for.
fn ordered(facts: &Facts<'_>, finding: &FindingRecord, from: usize, to: usize) -> String {
    let steps = &facts.rec.steps;
    let (a, b) = (&steps[from], &steps[to]);
    let earlier = before(facts, finding, from, to);
    let last = (from + 1..to).rfind(|i| earlier[*i] && steps[*i].ctx == a.ctx && !steps[*i].quiet);
    match last.map(|i| &steps[i]) {
        Some(s) => format!(
            "step {} always comes after step {}: {} waits for step {} ({}), which {} does after it",
            b.no,
            a.no,
            facts.place(b.ctx),
            s.no,
            s.text,
            facts.place(s.ctx)
        ),
        None => format!("step {} always comes after step {}, which it waits for", b.no, a.no),
    }
}

fn unordered(
    facts: &Facts<'_>,
    finding: &FindingRecord,
    at: usize,
    other: usize,
    since: Option<usize>,
) -> String {
    let steps = &facts.rec.steps;
    let (a, b) = (steps[at].no, steps[other].no);
    let ctx = steps[at].ctx;
    let me = facts.place(ctx);
    let is_lifetime = matches!(finding.class, Class::UseAfterFree | Class::DoubleFree);
    let Some(since) = since.filter(|s| is_lifetime && *s < at) else {
        return match finding.class {
            Class::Leak => format!("nothing orders step {a} before step {b}"),
            _ => format!("nothing orders step {b} and step {a}"),
        };
    };
    let other_ctx = steps[other].ctx;
    if me == facts.place(other_ctx) {
        let (from, who) = (steps[since].no, facts.name(other_ctx));
        return format!("nothing keeps {who} out of {me} between step {from} and step {a}");
    }
    let covering = facts.sections.iter().find(|s| s.covers(ctx, since) && s.covers(ctx, at));
    let from = steps[since].no;
    match covering {
        Some(s) => format!(
            "nothing orders step {b} after step {a}: {me} is inside {} in steps {from} to {a}, but {} does not wait for that",
            s.name,
            facts.place(steps[other].ctx),
        ),
        None => format!(
            "nothing orders step {b} after step {a}: no lock, RCU section or reference of {me} covers steps {from} to {a}"
        ),
    }
}

/// Where the access's context lost its hold on the object: the end of the last section in which it read the pointer, or
/// that read itself.
fn unprotected_since(facts: &Facts<'_>, finding: &FindingRecord, at: usize) -> Option<usize> {
    let object = finding.object.as_deref()?;
    let steps = &facts.rec.steps;
    let ctx = steps[at].ctx;
    let reads = |s: &StepRecord| s.ctx == ctx && s.touches.iter().any(|t| points(t, object));
    let read = steps[..at].iter().rposition(reads)?;
    let ends = facts.sections.iter().filter(|s| s.covers(ctx, read)).filter_map(|s| s.to);
    ends.filter(|to| *to < at).max().or(Some(read))
}
