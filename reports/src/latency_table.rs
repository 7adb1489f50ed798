//! Percentiles of lateness as tables: per timer, per CPU and per cause; and of waits.

use crate::causes::{Causes, Waits};
use crate::latency::{Histogram, Latencies, Summary};
use crate::num::{grouped, us};
use serde_json::{Map, Value};
use std::fmt::Write as _;
use timerace_core::Machine;

/// So many timers are shown; all are in the JSON.
const SHOWN: usize = 20;

/// A table of percentiles by name.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Tables {
    /// Per timer, in the order of their first expiries.
    pub timers: Vec<(String, Summary)>,
    /// Per CPU.
    pub cpus: Vec<(String, Summary)>,
    /// Per cause: what it took of the lateness of those expiries that it delayed; the greatest sum first.
    pub causes: Vec<(String, Summary)>,
    /// Per function in which contexts spun: how long.
    pub waits: Vec<(String, Summary)>,
}

impl Tables {
    /// The tables of a run.
    pub fn new(
        latencies: &Latencies,
        names: &[String],
        (causes, waits): (&Causes, &Waits),
        machine: &Machine,
    ) -> Tables {
        let name = |t: u32| names.get(t as usize).cloned().unwrap_or_else(|| format!("timer {t}"));
        let summed = |all: Vec<(String, Histogram)>| {
            all.into_iter().map(|(words, h)| (words, h.summary())).collect()
        };
        Tables {
            timers: latencies.timers().map(|(t, h)| (name(t), h.summary())).collect(),
            cpus: latencies.cpus().map(|(c, h)| (c.to_string(), h.summary())).collect(),
            causes: summed(causes.by_words(machine)),
            waits: summed(waits.by_words(machine)),
        }
    }

    /// As text, in microseconds.
    pub fn text(&self) -> String {
        let groups = [
            ("timer", &self.timers),
            ("CPU", &self.cpus),
            ("cause", &self.causes),
            ("wait", &self.waits),
        ];
        let all = groups.iter().flat_map(|g| g.1.iter().take(SHOWN));
        let width = all.map(|r| r.0.chars().count()).max().unwrap_or(0).max(12);
        let mut out = String::new();
        for (head, rows) in groups.iter().filter(|g| !g.1.is_empty()) {
            let _ = writeln!(
                out,
                "\n  {head:<width$} {:>11} {:>9} {:>9} {:>9} {:>9} {:>9}",
                "count", "min", "p50", "p99", "p99.9", "max us"
            );
            for (name, s) in rows.iter().take(SHOWN) {
                let _ = writeln!(
                    out,
                    "  {name:<width$} {:>11} {:>9} {:>9} {:>9} {:>9} {:>9}",
                    grouped(s.count),
                    us(s.min_ns),
                    us(s.p50_ns),
                    us(s.p99_ns),
                    us(s.p999_ns),
                    us(s.max_ns)
                );
            }
            if rows.len() > SHOWN {
                let _ = writeln!(out, "  ({} more)", grouped((rows.len() - SHOWN) as u64));
            }
        }
        out
    }

    /// Per CPU, per cause and per wait, for scripts.
    pub fn json(&self) -> [Value; 3] {
        let of = |rows: &[(String, Summary)]| -> Value {
            let all: Map<String, Value> =
                rows.iter().map(|(n, s)| (n.clone(), crate::json::summary(s))).collect();
            Value::Object(all)
        };
        [of(&self.cpus), of(&self.causes), of(&self.waits)]
    }
}
