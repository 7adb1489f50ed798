//! A timer or task that its CPU never got to, and what the CPU did instead.

use crate::causes::{ms, shares, sums, words};
use crate::num::us;
use serde_json::{Value, json};
use timerace_core::Machine;
use timerace_core::timed::{Starved, Victim};

/// The same in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Starving {
    timer: bool,
    name: String,
    cpu: Option<u16>,
    since_ns: u64,
    for_ns: u64,
    /// What the CPU did, of as much of that time as is kept.
    doing: Vec<(String, u64)>,
}

impl Starving {
    /// At the end of a run of `virtual_ns`.
    pub fn new(s: &Starved, virtual_ns: u64, machine: &Machine) -> Starving {
        let (timer, name) = match &s.who {
            Victim::Timer(name) => (true, name.clone()),
            Victim::Task(x) => (false, machine.contexts()[x.index()].name.clone()),
        };
        Starving {
            timer,
            name,
            cpu: s.cpu.map(|c| c.0),
            since_ns: s.since.0,
            for_ns: virtual_ns.saturating_sub(s.since.0),
            doing: s.doing.iter().map(|(cause, ns)| (words(*cause, machine), *ns)).collect(),
        }
    }

    /// The block about it.
    pub fn text(&self) -> String {
        let what = if self.timer { "was due" } else { "could go on" };
        let mut out = format!("  starved: {} {what} at {} ms, and ", self.name, ms(self.since_ns));
        match self.cpu {
            Some(c) => out += &format!("CPU{c} did not get to it"),
            None => out += "no CPU got to it",
        }
        out += &format!(" for {} us\n", us(self.for_ns));
        let seen: u64 = self.doing.iter().map(|d| d.1).sum();
        if seen > 0 {
            if seen < self.for_ns {
                out += &format!("  what the CPU did in the last {} us of them:\n", us(seen));
            }
            out += &shares(self.doing.iter().cloned(), seen);
        }
        out
    }

    /// The same for scripts.
    pub fn json(&self) -> Value {
        let doing = sums(self.doing.iter().cloned());
        let mut out = json!({
            "cpu": self.cpu, "since_ns": self.since_ns, "for_ns": self.for_ns, "doing_ns": doing,
        });
        out[if self.timer { "timer" } else { "task" }] = json!(self.name);
        out
    }
}
