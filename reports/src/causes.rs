//! Why callbacks were late, in words: the worst expiry explained, and what all of them together waited for.

use crate::latency::Histogram;
use crate::num::us;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use timerace_core::mem::FrameName;
use timerace_core::result::Expiry;
use timerace_core::timed::Cause;
use timerace_core::{CtxId, CtxKind, Machine};

/// What a function or body is called.
pub(crate) fn func(f: FrameName, machine: &Machine) -> &str {
    match f {
        FrameName::Fn(f) => f,
        FrameName::Body(b) => machine.names().get(b as usize).map_or("?", String::as_str),
    }
}

/// What a cause is called.
pub fn words(cause: Cause, machine: &Machine) -> String {
    let name = |x: CtxId| machine.contexts()[x.index()].name.as_str();
    let func = |f: FrameName| func(f, machine);
    match cause {
        Cause::ArmedLate => "armed after its expiry".to_string(),
        Cause::Older => "further back than is kept".to_string(),
        Cause::IrqsOff(_, f) => format!("hardirqs off in {}", func(f)),
        Cause::SoftirqsOff(_, f) => format!("softirqs off in {}", func(f)),
        Cause::Task(x) => format!("{} on the CPU", name(x)),
        Cause::Idle => "idle".to_string(),
        Cause::IdleExit => "idle exit".to_string(),
        Cause::Interrupt(x) if machine.contexts()[x.index()].kind == CtxKind::Nmi => {
            format!("NMI {}", name(x))
        }
        Cause::Interrupt(x) => format!("interrupt: {}", name(x)),
        Cause::Softirq(x) => format!("HRTIMER softirq waits behind {}", name(x)),
        Cause::Spin(_, f) => format!("spinning in {}", func(f)),
        Cause::EarlierTimers => "earlier timers of the same base".to_string(),
        Cause::ToCallback => "softirq to callback".to_string(),
    }
}

/// The causes of many expiries.
#[derive(Clone, Debug, Default)]
pub struct Causes {
    /// What each took of the lateness of the expiries that it delayed. They are few; those that came first come often.
    parts: Vec<(Cause, Histogram)>,
    worst: Option<Worst>,
    expiries: u64,
}

/// The expiry that was the latest.
#[derive(Clone, Debug)]
struct Worst {
    /// Which of the run, from 1.
    number: u64,
    expiry: Expiry,
    parts: Vec<(Cause, u64)>,
}

impl Causes {
    /// One expiry with the parts of its lateness.
    pub fn record(&mut self, e: &Expiry, parts: &[(Cause, u64)]) {
        self.expiries += 1;
        for (cause, ns) in parts {
            let at = self.parts.iter().position(|p| p.0 == *cause).unwrap_or_else(|| {
                self.parts.push((*cause, Histogram::default()));
                self.parts.len() - 1
            });
            self.parts[at].1.record(*ns);
        }
        if self.worst.as_ref().is_none_or(|w| e.late_ns() > w.expiry.late_ns()) {
            let number = self.expiries;
            self.worst = Some(Worst { number, expiry: *e, parts: parts.to_vec() });
        }
    }

    /// The expiry that was the latest, the first of equals.
    pub fn latest(&self) -> Option<&Expiry> {
        self.worst.as_ref().map(|w| &w.expiry)
    }

    /// Nanoseconds by cause in words, the greatest first.
    pub fn totals(&self, machine: &Machine) -> Vec<(String, u64)> {
        self.by_words(machine).into_iter().map(|(w, h)| (w, h.sum_ns())).collect()
    }

    /// What each cause, in words, took of the lateness of the expiries that it delayed; the greatest sum first.
    pub fn by_words(&self, machine: &Machine) -> Vec<(String, Histogram)> {
        sorted(self.parts.iter().map(|(cause, h)| (words(*cause, machine), h)))
    }

    /// The block about the worst expiry; nothing if no callback was late.
    pub fn worst(&self, machine: &Machine) -> String {
        let Some(worst) = self.worst.as_ref().filter(|w| w.expiry.late_ns() > 0) else {
            return String::new();
        };
        let (n, e) = (worst.number, worst.expiry);
        let late = e.late_ns();
        let (at, cpu) = (ms(e.programmed.0), e.cpu.0);
        let parts = worst.parts.iter().map(|(cause, ns)| (words(*cause, machine), *ns));
        format!("  worst: expiry {n} at {at} ms on CPU{cpu}, {} us late\n", us(late))
            + &shares(parts, late)
    }
}

/// Histograms of equal names together, the greatest sum first.
pub(crate) fn sorted<'h, K: Ord + Clone>(
    all: impl Iterator<Item = (K, &'h Histogram)>,
) -> Vec<(K, Histogram)> {
    let mut by_name: BTreeMap<K, Histogram> = BTreeMap::new();
    for (name, h) in all {
        by_name.entry(name).or_default().merge(h);
    }
    let mut all: Vec<(K, Histogram)> = by_name.into_iter().collect();
    all.sort_by(|a, b| b.1.sum_ns().cmp(&a.1.sum_ns()).then_with(|| a.0.cmp(&b.0)));
    all
}

/// Parts of a whole for scripts: nanoseconds by name, those of equal names together.
pub(crate) fn sums(parts: impl Iterator<Item = (String, u64)>) -> Map<String, Value> {
    let mut by_name: BTreeMap<String, u64> = BTreeMap::new();
    for (name, ns) in parts {
        *by_name.entry(name).or_default() += ns;
    }
    by_name.into_iter().map(|(name, ns)| (name, json!(ns))).collect()
}

/// Milliseconds with three decimals.
pub(crate) fn ms(ns: u64) -> String {
    format!("{}.{:03}", ns / 1_000_000, ns / 1_000 % 1_000)
}

/// Parts of a whole, one a line with its share, and the whole.
pub(crate) fn shares(parts: impl Iterator<Item = (String, u64)>, whole: u64) -> String {
    let mut lines: Vec<(String, u64)> = Vec::new();
    for (text, ns) in parts {
        match lines.iter_mut().find(|l| l.0 == text) {
            Some(l) => l.1 += ns,
            None => lines.push((text, ns)),
        }
    }
    lines.push(("total".to_string(), whole));
    let width = lines.iter().map(|l| l.0.chars().count()).max().unwrap_or(0).max(36);
    let mut out = String::new();
    for (text, ns) in lines {
        let permille = (u128::from(ns) * 1000 + u128::from(whole) / 2) / u128::from(whole.max(1));
        let share = format!("{}.{} %", permille / 10, permille % 10);
        let _ = writeln!(out, "    {text:<width$} {:>9} us  {share:>7}", us(ns));
    }
    out
}

/// The cause of most of the delay.
pub fn main(parts: &[(Cause, u64)]) -> Option<Cause> {
    let most = parts.iter().map(|p| p.1).max()?;
    parts.iter().find(|p| p.1 == most).map(|p| p.0)
}
