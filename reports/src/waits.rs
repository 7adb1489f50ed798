//! How long contexts waited, where, and for what: locks, running callbacks, grace periods, work.

use crate::causes::{func, ms, shares, sorted, sums};
use crate::latency::Histogram;
use crate::num::us;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use timerace_core::mem::FrameName;
use timerace_core::timed::{Awaited, Wait};
use timerace_core::{CtxId, Machine, Obj};

/// The waits of a run, spinning and asleep: in cancel, delete and close for a callback, for locks, for grace periods.
/// Interrupts that come in between are part of a wait.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    by_place: BTreeMap<Place, Histogram>,
    /// What was waited for, of each: how long in those waits that had it.
    parts: BTreeMap<(Place, Awaited), Histogram>,
    longest: Option<(Wait, Vec<(Awaited, u64)>)>,
}

/// The function that waits, and whether it sleeps.
type Place = (bool, FrameName);

/// What a run's waits are named with.
pub struct Words<'m> {
    /// Its machine.
    pub machine: &'m Machine,
    /// What the model says of what is waited for ([`timerace_core::Model::render_awaited`]).
    pub model: &'m dyn Fn(Obj, &str, u64) -> Option<String>,
}

impl std::fmt::Debug for Words<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Words").finish_non_exhaustive()
    }
}

impl Words<'_> {
    fn place(&self, (sleeps, f): Place) -> String {
        let how = if sleeps { "sleeping" } else { "spinning" };
        format!("{how} in {}", func(f, self.machine))
    }

    fn cpu(&self, x: CtxId) -> String {
        let cpu = self.machine.contexts()[x.index()].cpu;
        cpu.map_or_else(String::new, |c| format!(" on CPU{}", c.0))
    }

    /// A context with its CPU.
    pub(crate) fn who(&self, x: CtxId) -> String {
        format!("{}{}", self.machine.contexts()[x.index()].name, self.cpu(x))
    }

    /// What the model says of an object, else its name; which of the two.
    pub(crate) fn object(&self, o: Obj, what: u64, which: bool) -> (String, bool) {
        let kind = self.machine.kind_name(o);
        match (self.model)(o, &kind, what) {
            Some(text) => (text, true),
            None if which => (self.machine.obj_name(o), false),
            None => (kind, false),
        }
    }

    /// What is waited for. `which`: the object itself, not only what kind of object it is.
    fn awaited(&self, what: Awaited, which: bool) -> String {
        match what {
            Awaited::Lock { lock, what, holder } => {
                let name = self.object(lock, what, which).0;
                name + &holder.map_or_else(String::new, |h| format!(", held by {}", self.who(h)))
            }
            Awaited::Change { of, what, by } => match (self.object(of, what, which), by) {
                ((text, true), Some(x)) => text + &self.cpu(x),
                ((text, true), None) => text,
                ((name, false), _) => format!("{name} to change"),
            },
            Awaited::Reader(None) => "RCU reader".to_string(),
            Awaited::Reader(Some(x)) => format!("RCU reader {}", self.who(x)),
            Awaited::GracePeriod => "RCU grace period".to_string(),
            Awaited::Handover => "transfer of the cache line".to_string(),
            Awaited::Wakeup => "wake-up".to_string(),
            Awaited::Cpu(None) => "its CPU is busy".to_string(),
            Awaited::Cpu(Some(x)) => {
                format!("its CPU is busy: {}", self.machine.contexts()[x.index()].name)
            }
        }
    }
}

impl Waits {
    /// One wait with its parts.
    pub fn record(&mut self, wait: &Wait, parts: &[(Awaited, u64)]) {
        let place = (wait.sleeps, wait.func);
        self.by_place.entry(place).or_default().record(wait.ns());
        for (what, ns) in parts {
            self.parts.entry((place, *what)).or_default().record(*ns);
        }
        // Of equals the first: they come in any order of different CPUs.
        let key = |w: &Wait| (std::cmp::Reverse(w.ns()), w.from, w.ctx);
        if self.longest.as_ref().is_none_or(|l| key(wait) < key(&l.0)) {
            self.longest = Some((*wait, parts.to_vec()));
        }
    }

    /// The waits by function, in words, the longest sum first.
    pub fn by_function(&self, words: &Words<'_>) -> Vec<(String, Histogram)> {
        sorted(self.by_place.iter().map(|(p, h)| (words.place(*p), h)))
    }

    /// What was waited for in each function, the longest sum first.
    pub fn by_cause(&self, words: &Words<'_>) -> Vec<((String, String), Histogram)> {
        let named = |(p, what): (Place, Awaited)| (words.place(p), words.awaited(what, false));
        sorted(self.parts.iter().map(|(k, h)| (named(*k), h)))
    }

    /// The block about the longest wait; nothing if nobody waited.
    pub fn longest(&self, words: &Words<'_>) -> String {
        let Some((w, parts)) = &self.longest else { return String::new() };
        let of = match w.call == w.func {
            true => String::new(),
            false => format!(", called by {}", func(w.call, words.machine)),
        };
        let over = if w.over { "" } else { ", not over at the end of the run" };
        let parts = parts.iter().map(|(what, ns)| (words.awaited(*what, true), *ns));
        format!(
            "  longest wait: {} at {} ms, {}{of}, {} us{over}\n",
            words.who(w.ctx),
            ms(w.from.0),
            words.place((w.sleeps, w.func)),
            us(w.ns())
        ) + &shares(parts, w.ns())
    }

    /// The longest wait, for scripts; `None` if nobody waited.
    pub fn longest_json(&self, words: &Words<'_>) -> Option<Value> {
        let (w, parts) = self.longest.as_ref()?;
        let parts = parts.iter().map(|(what, ns)| (words.awaited(*what, true), *ns));
        let spec = &words.machine.contexts()[w.ctx.index()];
        Some(json!({
            "context": spec.name,
            "cpu": spec.cpu.map(|c| c.0),
            "at_ns": w.from.0,
            "ns": w.ns(),
            "function": func(w.func, words.machine),
            "call": func(w.call, words.machine),
            "sleeps": w.sleeps,
            "over": w.over,
            "parts_ns": sums(parts),
        }))
    }
}
