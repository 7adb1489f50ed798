//! How long locks were held, and why.

use crate::causes::{func, ms, shares, sorted, sums};
use crate::latency::Histogram;
use crate::num::us;
use crate::waits::Words;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use timerace_core::timed::{Cause, Hold, Holds};
use timerace_core::{CtxId, Machine};

/// The holds of a run's locks, by kind of lock.
#[derive(Clone, Debug, Default)]
pub struct LockHolds {
    by_lock: BTreeMap<u32, Histogram>,
    /// What took how long of those holds that had it.
    parts: BTreeMap<(u32, Part), Histogram>,
    longest: Option<(Hold, Vec<(Part, u64)>)>,
}

/// What the holder's CPU did, and whether that was the holder.
type Part = (Cause, bool);

/// What the holder's CPU did, in words.
fn words((cause, own): Part, machine: &Machine) -> String {
    let name = |x: CtxId| machine.contexts()[x.index()].name.as_str();
    match cause {
        Cause::IrqsOff(_, f) | Cause::SoftirqsOff(_, f) if own => {
            format!("work in {}", func(f, machine))
        }
        Cause::Spin(_, f) if own => format!("spinning in {}", func(f, machine)),
        Cause::Task(_) | Cause::Softirq(_) | Cause::Interrupt(_) if own => "work".to_string(),
        Cause::Softirq(x) => format!("softirq: {}", name(x)),
        Cause::Spin(x, f) => format!("{} spins in {}", name(x), func(f, machine)),
        Cause::IrqsOff(x, _) | Cause::SoftirqsOff(x, _) => format!("{} on the CPU", name(x)),
        Cause::Idle => "asleep, the CPU is idle".to_string(),
        _ => crate::causes::words(cause, machine),
    }
}

/// Who did it, if it was somebody.
fn whose(cause: Cause) -> Option<CtxId> {
    match cause {
        Cause::IrqsOff(x, _)
        | Cause::SoftirqsOff(x, _)
        | Cause::Spin(x, _)
        | Cause::Task(x)
        | Cause::Softirq(x)
        | Cause::Interrupt(x) => Some(x),
        _ => None,
    }
}

impl LockHolds {
    /// One hold with what its CPU did.
    pub fn record(&mut self, hold: &Hold, parts: &[(Cause, u64)]) {
        self.by_lock.entry(hold.name).or_default().record(hold.ns());
        let part = |(cause, ns): &(Cause, u64)| ((*cause, whose(*cause) == Some(hold.ctx)), *ns);
        let parts: Vec<(Part, u64)> = parts.iter().map(part).collect();
        for (what, ns) in &parts {
            self.parts.entry((hold.name, *what)).or_default().record(*ns);
        }
        let key = |h: &Hold| (std::cmp::Reverse(h.ns()), h.from, h.lock);
        if self.longest.as_ref().is_none_or(|l| key(hold) < key(&l.0)) {
            self.longest = Some((*hold, parts));
        }
    }

    /// The holds by kind of lock, the longest sum first.
    pub fn by_lock(&self, holds: &Holds) -> Vec<(String, Histogram)> {
        sorted(self.by_lock.iter().map(|(n, h)| (holds.name(*n).to_string(), h)))
    }

    /// What each kind of lock was held for, the longest sum first.
    pub fn by_cause(&self, holds: &Holds, machine: &Machine) -> Vec<((String, String), Histogram)> {
        let named = |(n, part): (u32, Part)| (holds.name(n).to_string(), words(part, machine));
        sorted(self.parts.iter().map(|(k, h)| (named(*k), h)))
    }

    /// The block about the longest hold; nothing if no lock was looked at.
    pub fn longest(&self, w: &Words<'_>) -> String {
        let Some((h, parts)) = &self.longest else { return String::new() };
        let over = if h.over { "" } else { ", not given back at the end of the run" };
        format!(
            "  longest hold: {} by {} at {} ms, {} us{over}\n",
            w.object(h.lock, h.what, true).0,
            w.who(h.ctx),
            ms(h.from.0),
            us(h.ns())
        ) + &shares(parts.iter().map(|(p, ns)| (words(*p, w.machine), *ns)), h.ns())
    }

    /// The longest hold, for scripts; `None` if no lock was looked at.
    pub fn longest_json(&self, w: &Words<'_>) -> Option<Value> {
        let (h, parts) = self.longest.as_ref()?;
        let parts = parts.iter().map(|(part, ns)| (words(*part, w.machine), *ns));
        let spec = &w.machine.contexts()[h.ctx.index()];
        Some(json!({
            "lock": w.object(h.lock, h.what, true).0,
            "context": spec.name,
            "cpu": spec.cpu.map(|c| c.0),
            "at_ns": h.from.0,
            "ns": h.ns(),
            "over": h.over,
            "parts_ns": sums(parts),
        }))
    }
}
