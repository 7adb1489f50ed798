//! What the CPUs do when: the stretches of a timed run in which one context has a CPU.

use crate::facts::{Facts, blamed};
use std::collections::BTreeMap;
use timerace_core::record::{Record, StepRecord};
use timerace_core::{CpuId, CtxId, CtxKind};

/// The level of a CPU at which something runs: a lane of the picture.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Hard and non-maskable interrupts.
    Hardirq,
    /// Softirqs.
    Softirq,
    /// Tasks and kworkers.
    Task,
}

/// A stretch. Times in nanoseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slice {
    /// Where.
    pub cpu: CpuId,
    /// At which level.
    pub level: Level,
    /// Who.
    pub ctx: CtxId,
    /// Its beginning.
    pub from: u64,
    /// Its end, not before the beginning.
    pub to: u64,
    /// The callback of a timer runs.
    pub callback: bool,
    /// It waits for another CPU, without letting go of its own.
    pub spins: bool,
    /// What runs, in a word.
    pub name: String,
    /// Numbers of its first and last step.
    pub steps: (u32, u32),
}

/// The stretches of a recorded run, in the order of their beginnings. They do not overlap on a CPU.
pub fn slices(rec: &Record) -> Vec<Slice> {
    let facts = Facts::new(rec);
    let mut all: Vec<Slice> = Vec::new();
    // Per CPU: its last stretch. Per context: whether it was interrupted.
    let mut last: BTreeMap<CpuId, usize> = BTreeMap::new();
    let mut interrupted: BTreeMap<CtxId, bool> = BTreeMap::new();
    for s in &rec.steps {
        let Some(cpu) = facts.spec(s.ctx).and_then(|c| c.cpu) else { continue };
        let Some(level) = level(facts.kind(s.ctx)) else { continue };
        let (at, end) = (s.at.0, s.at.0.saturating_add(s.took));
        let callback = s.stack.iter().any(|c| c.name == "bpf_timer_cb");
        let name = name(&facts, s, callback);
        let one = |from: u64, to: u64, spins: bool| Slice {
            cpu,
            level,
            ctx: s.ctx,
            from,
            to,
            callback,
            spins,
            name: name.clone(),
            steps: (s.no, s.no),
        };
        if let Some(i) = last.get(&cpu).copied() {
            let same = all[i].ctx == s.ctx && all[i].callback == callback && all[i].name == name;
            let gap = at.saturating_sub(all[i].to);
            if all[i].to > at {
                interrupted.insert(all[i].ctx, all[i].ctx != s.ctx);
                all[i].to = at;
            }
            if same && gap == 0 {
                all[i].to = end;
                all[i].steps.1 = s.no;
                continue;
            }
            if gap > 0 && all[i].ctx == s.ctx && spins(s) {
                let from = all[i].to;
                all.push(one(from, at, true));
            } else if gap > 0 && !s.entry && interrupted.get(&s.ctx) == Some(&true) {
                // It got on with the step in which it was interrupted.
                let from = all[i].to;
                all.push(one(from, at, false));
            }
        }
        interrupted.insert(s.ctx, false);
        last.insert(cpu, all.len());
        all.push(one(at, end, false));
    }
    all.retain(|s| s.to > s.from);
    all.sort_by_key(|s| (s.from, s.cpu, s.level));
    merged(all)
}

/// Neighbours of the same kind become one.
fn merged(all: Vec<Slice>) -> Vec<Slice> {
    let mut out: Vec<Slice> = Vec::new();
    for s in all {
        let alike = |o: &&mut Slice| {
            o.cpu == s.cpu
                && o.to == s.from
                && o.ctx == s.ctx
                && o.spins == s.spins
                && o.name == s.name
        };
        let before = out.iter_mut().rev().find(|o| o.cpu == s.cpu).filter(alike);
        match before {
            Some(o) => {
                o.to = s.to;
                o.steps.1 = s.steps.1;
            }
            None => out.push(s),
        }
    }
    out
}

fn level(kind: CtxKind) -> Option<Level> {
    match kind {
        CtxKind::Hardirq | CtxKind::Nmi => Some(Level::Hardirq),
        CtxKind::Softirq => Some(Level::Softirq),
        CtxKind::Task | CtxKind::Kworker => Some(Level::Task),
        CtxKind::Helper => None,
    }
}

/// A loop that waits, or a lock that somebody else had.
fn spins(s: &StepRecord) -> bool {
    s.text.starts_with("while ")
        || s.text.contains("spin_lock(")
        || s.text.contains("spin_lock_irq")
}

/// The callback, the program, the function that findings would blame, or the context.
fn name(facts: &Facts<'_>, s: &StepRecord, callback: bool) -> String {
    let body = s.stack.iter().rev().find(|c| c.body).map(|c| c.name.clone());
    if callback {
        return body.unwrap_or_else(|| "bpf_timer_cb()".to_string());
    }
    let kind = facts.kind(s.ctx);
    if matches!(kind, CtxKind::Task | CtxKind::Kworker) {
        let call = blamed(s).map(|i| s.stack[i].name.clone());
        return body.or(call).unwrap_or_else(|| facts.name(s.ctx));
    }
    facts.name(s.ctx).trim_end_matches(" softirq").to_string()
}
