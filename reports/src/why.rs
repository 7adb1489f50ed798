//! Why a finding is possible, in a sentence or two: below `race.svg`, and in the note of the page.

use crate::facts::{Facts, blamed};
use crate::interleaving::{Interleaving, function};
use crate::led_to::{closed_before, deciding_value, held_at, last_uref, queued, spent};
use crate::order::missing;
use crate::splat::{capital, why_leaked};
use timerace_core::record::{FindingRecord, LockStep, Wait};
use timerace_core::{Class, CtxKind};

/// The sentence; `None`: the picture says all there is.
pub(crate) fn why(facts: &Facts<'_>, finding: &FindingRecord, il: &Interleaving) -> Option<String> {
    if !il.circle.is_empty() {
        return Some(circle(facts, finding, il));
    }
    let text = match finding.class {
        Class::Leak => {
            return Some(capital(why_leaked(facts, finding).trim_start_matches("Leak: ")));
        }
        Class::WrongErrno | Class::Assertion => value(facts, finding)?,
        Class::WildPointer => wild(facts, finding)?,
        Class::SleepInAtomic => asleep(facts, finding)?,
        Class::LostTimer => lost(facts, finding)?,
        Class::LockOrder => locks(&finding.locks)?,
        Class::SpinUnbounded => spin(facts, finding)?,
        Class::Refcount => count(facts, finding)?,
        Class::CallbackAfterUref => match last_uref(facts, finding) {
            Some(i) => uref(facts, finding, i),
            None => missing(facts, finding)?.text,
        },
        _ => missing(facts, finding)?.text,
    };
    Some(capital(&format!("{text}.")))
}

/// `step 6 (CPU1: old_base->online = 0)`; `seen_by`: who stands beside it, so that one CPU does not seem to be one context.
fn step(facts: &Facts<'_>, index: usize, seen_by: Option<usize>) -> String {
    let s = &facts.rec.steps[index];
    let (place, name) = (facts.place(s.ctx), facts.name(s.ctx));
    let other = seen_by.map(|i| facts.rec.steps[i].ctx);
    let who = match other {
        Some(o) if o == s.ctx => return format!("step {} ({})", s.no, s.text),
        Some(o) if facts.place(o) == place => name,
        _ => place,
    };
    format!("step {} ({who}: {})", s.no, s.text)
}

fn value(facts: &Facts<'_>, finding: &FindingRecord) -> Option<String> {
    let v = deciding_value(facts, finding)?;
    let read = step(facts, v.read, Some(v.read));
    let written = step(facts, v.written, Some(v.read));
    let order = if v.written < v.read { "before" } else { "only after" };
    Some(format!("{read} finds {} in {}: {written} came {order} it", v.value, v.name))
}

fn wild(facts: &Facts<'_>, finding: &FindingRecord) -> Option<String> {
    let v = deciding_value(facts, finding)?;
    let written = step(facts, v.written, Some(v.read));
    Some(format!("{written} put {} into {}, which is no pointer", v.value, v.name))
}

fn asleep(facts: &Facts<'_>, finding: &FindingRecord) -> Option<String> {
    let at = facts.locate(finding, &finding.at)?;
    let s = &facts.rec.steps[at];
    // On PREEMPT_RT a spinlock_t is a lock that sleeps; a raw one never is.
    let sleeps = s.text.contains("spin_lock") && !s.text.contains("raw");
    let what = if sleeps { "a spinlock_t sleeps on PREEMPT_RT, and " } else { "" };
    let name = facts.running(s.ctx);
    if let Some(held) = held_at(facts, finding).last() {
        let from = facts.rec.steps[held.from].no;
        return Some(format!("{what}{} is held since step {from}", held.name));
    }
    let body = function(s.stack.iter().rev().find(|c| c.body).map_or(&name, |c| &c.name));
    match facts.kind(s.ctx) {
        CtxKind::Softirq => Some(format!("{what}{body} runs in a softirq, where nobody may sleep")),
        CtxKind::Hardirq => {
            Some(format!("{what}{body} runs in a hard interrupt, where nobody may sleep"))
        }
        CtxKind::Nmi => Some(format!("{what}{body} runs in an NMI, where nobody may sleep")),
        _ => Some(format!("{what}{body} cannot be preempted there")),
    }
}

fn lost(facts: &Facts<'_>, finding: &FindingRecord) -> Option<String> {
    let at = queued(facts, finding)?;
    let armed = step(facts, at, Some(at));
    Some(match closed_before(facts, finding) {
        Some(i) => {
            let closed = step(facts, i, Some(at));
            format!("{closed} came before {armed}: nobody empties that queue any more")
        }
        None => format!("nobody takes the timer from the queue into which {armed} puts it"),
    })
}

fn locks(circle: &[LockStep]) -> Option<String> {
    let edge = |a: &LockStep| match a.interrupt {
        Some(i) => {
            let article = if i == "NMI" { "an" } else { "a" };
            let (to, from) = (&a.to, &a.from);
            format!(
                "{} takes {to} in {article} {i}, which can come while {} holds {from}",
                a.taken.func, a.held.func
            )
        }
        None => format!("{} takes {} under {}", a.taken.func, a.to, a.from),
    };
    let text: Vec<String> = circle.iter().map(edge).collect();
    (!text.is_empty()).then(|| text.join("; "))
}

fn spin(facts: &Facts<'_>, finding: &FindingRecord) -> Option<String> {
    let at = facts.locate(finding, &finding.at)?;
    let s = &facts.rec.steps[at];
    let rounds = facts.rec.steps[..=at].iter().filter(|o| o.ctx == s.ctx && o.text == s.text);
    let n = rounds.count();
    let func = blamed(s).map_or_else(|| facts.name(s.ctx), |i| s.stack[i].name.clone());
    Some(format!(
        "what {func} runs in step {} queues the same again; {n} rounds so far, and nothing ends them",
        s.no
    ))
}

/// Where the reference went that a put or a get relies on.
pub(crate) fn count(facts: &Facts<'_>, finding: &FindingRecord) -> Option<String> {
    let at = facts.locate(finding, &finding.at);
    let s = spent(facts, finding)?;
    let no = |i: usize| facts.rec.steps[i].no;
    let Some(before) = s.before else {
        return Some(format!("{} is {} from the start", s.name, s.value));
    };
    if let Some(shared) = &s.shared {
        let [early, late] = shared.reads.map(|i| step(facts, i, None));
        return Some(format!(
            "{early} and {late} both find {} in {}, which nobody clears in between: the one reference that it stands for \
             is put twice, in step {} and in step {}",
            shared.value,
            shared.name,
            no(before),
            finding.at.step
        ));
    }
    let put = step(facts, before, at);
    Some(match s.taken {
        true => format!("{put} put the last reference of {}: from there none can be taken", s.name),
        false => format!("{put} had put that reference of {} before", s.name),
    })
}

fn uref(facts: &Facts<'_>, finding: &FindingRecord, dropped: usize) -> String {
    let at = facts.locate(finding, &finding.at);
    let object = finding.object.as_deref().unwrap_or("this timer");
    let dropped = step(facts, dropped, at);
    format!(
        "{dropped} dropped the last user reference, and what cancels timers then did not meet {object}"
    )
}

/// Who waits for whom; of a context that waits for itself, why that never ends.
fn circle(facts: &Facts<'_>, finding: &FindingRecord, il: &Interleaving) -> String {
    let edges = facts.circle(&finding.waits, finding.at.ctx);
    if let [one] = edges.as_slice()
        && one.waiter == one.holder
    {
        return capital(&format!("{}.", itself(facts, one)));
    }
    format!("{}.", il.circle.join("; "))
}

fn itself(facts: &Facts<'_>, w: &Wait) -> String {
    let what = w.body.clone().unwrap_or_else(|| facts.running(w.waiter));
    let place = facts.place(w.waiter);
    if let Some(lock) = argument(&w.text).filter(|_| w.text.contains("lock(")) {
        let mine = |s: &&crate::facts::Section| {
            let taken = &facts.rec.steps[s.from].text;
            s.ctx == w.waiter && s.to.is_none() && s.obj.is_some() && argument(taken) == Some(lock)
        };
        return match facts.sections.iter().rev().find(mine) {
            Some(s) => format!(
                "{place} waits for {lock}, which it took itself in step {}",
                facts.rec.steps[s.from].no
            ),
            None => format!("nobody holds {lock}, so nobody will ever release it"),
        };
    }
    format!(
        "{place} waits in {} for something that it does itself, and only after it",
        function(&what)
    )
}

/// `&timer->lock` of `spin_lock(&timer->lock)`.
fn argument(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('(')?;
    rest.split([',', ')']).next().filter(|a| !a.is_empty())
}
