//! Why callbacks were late, in words: the worst expiry explained, and what all of them together waited for.

use crate::latency::Histogram;
use crate::num::us;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use timerace_core::mem::FrameName;
use timerace_core::result::Expiry;
use timerace_core::timed::Cause;
use timerace_core::{CtxId, CtxKind, Machine};

/// What a cause is called.
pub fn words(cause: Cause, machine: &Machine) -> String {
    let name = |x: CtxId| machine.contexts()[x.index()].name.as_str();
    let func = |f: FrameName| match f {
        FrameName::Fn(f) => f,
        FrameName::Body(b) => machine.names().get(b as usize).map_or("?", String::as_str),
    };
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

/// How long contexts spun, by the function that waited: cancel, delete and close that wait for a callback, locks.
/// Interrupts that come in between are part of the wait.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    by_function: BTreeMap<FrameName, Histogram>,
    /// Who spins: where, and since when.
    spinning: BTreeMap<CtxId, (FrameName, u64)>,
}

impl Waits {
    /// From `at` on a CPU does this, and `ctx` has it ([`timerace_core::timed::Watch::doing`]).
    pub fn doing(&mut self, at: u64, ctx: Option<CtxId>, cause: Cause) {
        if let Cause::Spin(x, f) = cause {
            self.spinning.entry(x).or_insert((f, at));
        } else if let Some((f, since)) = ctx.and_then(|x| self.spinning.remove(&x)) {
            self.by_function.entry(f).or_default().record(at.saturating_sub(since));
        }
    }

    /// The waits by function, in words, the longest sum first.
    pub fn by_words(&self, machine: &Machine) -> Vec<(String, Histogram)> {
        let named = |f: &FrameName| words(Cause::Spin(CtxId(0), *f), machine);
        let mut all: Vec<(String, Histogram)> =
            self.by_function.iter().map(|(f, h)| (named(f), h.clone())).collect();
        all.sort_by(|a, b| b.1.sum_ns().cmp(&a.1.sum_ns()).then_with(|| a.0.cmp(&b.0)));
        all
    }
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
        let mut by_words: BTreeMap<String, Histogram> = BTreeMap::new();
        for (cause, h) in &self.parts {
            by_words.entry(words(*cause, machine)).or_default().merge(h);
        }
        let mut all: Vec<(String, Histogram)> = by_words.into_iter().collect();
        all.sort_by(|a, b| b.1.sum_ns().cmp(&a.1.sum_ns()).then_with(|| a.0.cmp(&b.0)));
        all
    }

    /// The block about the worst expiry; nothing if no callback was late.
    pub fn worst(&self, machine: &Machine) -> String {
        let Some(worst) = self.worst.as_ref().filter(|w| w.expiry.late_ns() > 0) else {
            return String::new();
        };
        let (n, e) = (worst.number, worst.expiry);
        let late = e.late_ns();
        let mut out = format!(
            "  worst: expiry {n} at {}.{:03} ms on CPU{}, {} us late\n",
            e.programmed.0 / 1_000_000,
            e.programmed.0 / 1_000 % 1_000,
            e.cpu.0,
            us(late)
        );
        let mut lines: Vec<(String, u64)> = Vec::new();
        for (cause, ns) in &worst.parts {
            let text = words(*cause, machine);
            match lines.iter_mut().find(|l| l.0 == text) {
                Some(l) => l.1 += ns,
                None => lines.push((text, *ns)),
            }
        }
        lines.push(("total".to_string(), late));
        let width = lines.iter().map(|l| l.0.chars().count()).max().unwrap_or(0).max(36);
        for (text, ns) in lines {
            let permille = (u128::from(ns) * 1000 + u128::from(late) / 2) / u128::from(late);
            let share = format!("{}.{} %", permille / 10, permille % 10);
            let _ = writeln!(out, "    {text:<width$} {:>9} us  {share:>7}", us(ns));
        }
        out
    }
}

/// The cause of most of the delay.
pub fn main(parts: &[(Cause, u64)]) -> Option<Cause> {
    let most = parts.iter().map(|p| p.1).max()?;
    parts.iter().find(|p| p.1 == most).map(|p| p.0)
}
