//! What can be read off a record: who holds what when, which steps come after which, where the sides of a finding lie.
//!
//! Records come from models that this crate does not know, and from files: nothing here assumes that a number exists.

use std::collections::{BTreeMap, BTreeSet};
use timerace_core::record::{Edge, FindingRecord, Record, Side, StepRecord, Touch, Wait};
pub(crate) use timerace_core::schedule::{home, short_token};
use timerace_core::{Class, CtxId, CtxKind, CtxSpec, Obj};

/// The stretch of steps in which a context holds a lock or is inside an RCU read section.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub ctx: CtxId,
    /// The lock, or the text of the step that enters the read section.
    pub name: String,
    /// The lock; `None` for a read section.
    pub obj: Option<Obj>,
    /// Index of the step that begins it.
    pub from: usize,
    /// Index of the step that ends it; `None`: it lasts to the end of the run.
    pub to: Option<usize>,
    /// It is a read section, or a lock that another context takes too.
    pub shared: bool,
}

impl Section {
    pub fn covers(&self, ctx: CtxId, index: usize) -> bool {
        self.ctx == ctx && self.from <= index && self.to.is_none_or(|t| index <= t)
    }
}

/// A record with its indices.
pub(crate) struct Facts<'r> {
    pub rec: &'r Record,
    by_no: BTreeMap<u32, usize>,
    pub sections: Vec<Section>,
}

impl<'r> Facts<'r> {
    pub fn new(rec: &'r Record) -> Facts<'r> {
        let by_no = rec.steps.iter().enumerate().map(|(i, s)| (s.no, i)).collect();
        Facts { rec, by_no, sections: sections(rec) }
    }

    pub fn index_of(&self, no: u32) -> Option<usize> {
        self.by_no.get(&no).copied()
    }

    pub fn spec(&self, ctx: CtxId) -> Option<&'r CtxSpec> {
        self.rec.contexts.get(ctx.index())
    }

    pub fn kind(&self, ctx: CtxId) -> CtxKind {
        self.spec(ctx).map_or(CtxKind::Helper, |s| s.kind)
    }

    pub fn name(&self, ctx: CtxId) -> String {
        self.spec(ctx).map_or_else(|| format!("context {}", ctx.0), |s| s.name.clone())
    }

    /// `CPU1`; the name of a context that is on no CPU.
    pub fn place(&self, ctx: CtxId) -> String {
        match self.spec(ctx).and_then(|s| s.cpu) {
            Some(cpu) => cpu.to_string(),
            None => self.name(ctx),
        }
    }

    /// `cancel on CPU1`.
    pub fn name_and_place(&self, ctx: CtxId) -> String {
        match self.spec(ctx).and_then(|s| s.cpu) {
            Some(cpu) => format!("{} on {cpu}", self.name(ctx)),
            None => self.name(ctx),
        }
    }

    /// What the context runs, for readers: the body that its last step was in, or its name.
    pub fn running(&self, ctx: CtxId) -> String {
        let last = self.rec.steps.iter().rev().find(|s| s.ctx == ctx);
        let body = last.and_then(|s| s.stack.iter().rev().find(|c| c.body));
        body.map_or_else(|| self.name(ctx), |b| b.name.clone())
    }

    /// The step where a side of a finding lies; `None` for what lies before the start, for a context that waits for
    /// ever (its step never came), and for what only the end of the run showed.
    pub fn locate(&self, finding: &FindingRecord, side: &Side) -> Option<usize> {
        if !finding.waits.is_empty() {
            return None;
        }
        let index = self.index_of(side.step)?;
        let step = &self.rec.steps[index];
        if step.ctx != side.ctx || step.text != side.text {
            return None;
        }
        let at_end = matches!(finding.class, Class::Leak | Class::LostTimer)
            && index + 1 == self.rec.steps.len()
            && *side == finding.at;
        let about = |t: &Touch| finding.object.as_ref().is_none_or(|o| concerns(t, o));
        (!at_end || step.touches.iter().any(about)).then_some(index)
    }

    /// The steps directly before one in the order of the record; edges that lead nowhere are left out.
    pub fn before(&self, index: usize) -> impl Iterator<Item = (usize, &'r Edge)> + '_ {
        let after = &self.rec.steps[index].after;
        after.iter().filter_map(move |e| {
            self.index_of(e.from).filter(|from| *from < index).map(|from| (from, e))
        })
    }

    /// Every step that comes before `index` in the order of dependencies, itself included, along edges that pass.
    pub fn ancestors(&self, index: usize, pass: &dyn Fn(&Edge) -> bool) -> Vec<bool> {
        let mut seen = vec![false; self.rec.steps.len()];
        let mut open = vec![index];
        while let Some(i) = open.pop() {
            if std::mem::replace(&mut seen[i], true) {
                continue;
            }
            open.extend(self.before(i).filter(|(_, e)| pass(e)).map(|(from, _)| from));
        }
        seen
    }

    /// The element that an object belongs to, by the object's name, where a step saw its pointer to that element.
    pub fn elements(&self) -> BTreeMap<String, String> {
        let of = |t: &Touch| {
            let object = t.name.strip_suffix(".value")?;
            let value = [&t.after, &t.before].into_iter().find(|v| v.ends_with(']'))?;
            Some((object.to_string(), value.clone()))
        };
        self.rec.steps.iter().flat_map(|s| &s.touches).filter_map(of).collect()
    }

    /// The circle of waiting contexts, starting with `first`; without a circle, the chain that starts there.
    pub fn circle(&self, waits: &'r [Wait], first: CtxId) -> Vec<&'r Wait> {
        let mut chain: Vec<&Wait> = Vec::new();
        let mut ctx = first;
        loop {
            if let Some(start) = chain.iter().position(|w| w.waiter == ctx) {
                return chain.split_off(start);
            }
            let next = waits.iter().filter(|w| w.waiter == ctx);
            // An edge that stays inside the circle is better than one that leaves it.
            let next = next.min_by_key(|w| !waits.iter().any(|n| n.waiter == w.holder));
            let Some(next) = next else { return chain };
            chain.push(next);
            ctx = next.holder;
        }
    }
}

/// The other side of a finding. Of an object that was never freed, the machine names its birth: that is no other side.
pub(crate) fn other_side(finding: &FindingRecord) -> Option<&Side> {
    let other = finding.other.as_ref()?;
    (finding.born.as_ref() != Some(other) || finding.class == Class::UninitRead).then_some(other)
}

/// Whether the touch is of the object itself, of one of its fields, or of a pointer to it.
pub(crate) fn concerns(t: &Touch, object: &str) -> bool {
    is_part(t, object) || points(t, object)
}

/// The object itself or one of its fields.
pub(crate) fn is_part(t: &Touch, object: &str) -> bool {
    t.name == object || t.name.strip_prefix(object).is_some_and(|rest| rest.starts_with('.'))
}

/// A pointer to the object, before the step or after it.
pub(crate) fn points(t: &Touch, object: &str) -> bool {
    !t.internal && (t.before == object || t.after == object)
}

/// A word that only the model has: no state of the kernel, so no reader is shown its value. Models render such words as
/// nothing; those of a timer that was freed, which has no values left to render, are known by their names.
pub(crate) fn is_ghost(t: &Touch) -> bool {
    let of_timer = t.name.starts_with("bpf_hrtimer #");
    let field = t.name.rsplit('.').next().unwrap_or_default();
    let rendered = t.before.is_empty() || t.after.is_empty();
    rendered || field == "came" || of_timer && matches!(field, "parked" | "promise" | "armed")
}

/// A lock word: it was free and is not, or the other way round.
pub(crate) fn is_lock(t: &Touch) -> bool {
    t.write && !t.internal && (t.before == "free") != (t.after == "free")
}

/// Memory that comes to life or dies in the step.
pub(crate) fn is_life(t: &Touch) -> bool {
    t.internal && t.write && t.before != t.after && matches!(t.after.as_str(), "alive" | "FREED")
}

fn sections(rec: &Record) -> Vec<Section> {
    let mut open: Vec<Section> = Vec::new();
    let mut done = Vec::new();
    for (i, s) in rec.steps.iter().enumerate() {
        for t in s.touches.iter().filter(|t| is_lock(t)) {
            if t.before == "free" {
                let name = t.name.clone();
                open.push(Section {
                    ctx: s.ctx,
                    name,
                    obj: Some(t.obj),
                    from: i,
                    to: None,
                    shared: false,
                });
            } else {
                close(&mut open, &mut done, i, |o| o.obj == Some(t.obj) && o.ctx == s.ctx);
            }
        }
        if s.text.starts_with("rcu_read_lock") {
            let name = s.text.clone();
            open.push(Section { ctx: s.ctx, name, obj: None, from: i, to: None, shared: true });
        } else if s.text.starts_with("rcu_read_unlock") {
            let entry = s.text.replacen("rcu_read_unlock", "rcu_read_lock", 1);
            close(&mut open, &mut done, i, |o| {
                o.obj.is_none() && o.ctx == s.ctx && o.name == entry
            });
        }
    }
    done.extend(open);
    let takers: BTreeSet<(Obj, CtxId)> =
        done.iter().filter_map(|s: &Section| s.obj.map(|o| (o, s.ctx))).collect();
    for s in &mut done {
        s.shared |= takers.iter().any(|(o, c)| Some(*o) == s.obj && *c != s.ctx);
    }
    done.sort_by_key(|s| (s.from, s.ctx));
    done
}

fn close(
    open: &mut Vec<Section>,
    done: &mut Vec<Section>,
    at: usize,
    which: impl Fn(&Section) -> bool,
) {
    if let Some(i) = open.iter().rposition(which) {
        let mut section = open.remove(i);
        section.to = Some(at);
        done.push(section);
    }
}

/// The step's stack position of the innermost call that findings may blame.
pub(crate) fn blamed(step: &StepRecord) -> Option<usize> {
    step.stack.iter().rposition(|c| !c.leaf)
}
