//! Percentiles of lateness as tables: per timer, per CPU and per cause; and of waits.

use crate::causes::Causes;
use crate::latency::{Histogram, Latencies, Summary};
use crate::num::{grouped, us};
use crate::waits::{Waits, Words};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

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
    /// Per function that waited, spinning or asleep: how long.
    pub waits: Vec<(String, Summary)>,
    /// Of each of them, what was waited for: how long in those waits that had it.
    pub awaited: Vec<((String, String), Summary)>,
    /// The longest wait with its parts.
    pub longest_wait: Option<Value>,
}

impl Tables {
    /// The tables of a run.
    pub fn new(
        latencies: &Latencies,
        names: &[String],
        (causes, waits): (&Causes, &Waits),
        words: &Words<'_>,
    ) -> Tables {
        let name = |t: u32| names.get(t as usize).cloned().unwrap_or_else(|| format!("timer {t}"));
        fn summed<K>(all: Vec<(K, Histogram)>) -> Vec<(K, Summary)> {
            all.into_iter().map(|(words, h)| (words, h.summary())).collect()
        }
        Tables {
            timers: latencies.timers().map(|(t, h)| (name(t), h.summary())).collect(),
            cpus: latencies.cpus().map(|(c, h)| (c.to_string(), h.summary())).collect(),
            causes: summed(causes.by_words(words.machine)),
            waits: summed(waits.by_function(words)),
            awaited: summed(waits.by_cause(words)),
            longest_wait: waits.longest_json(words),
        }
    }

    /// As text, in microseconds.
    pub fn text(&self) -> String {
        let waits = self.waits_with_parts();
        let groups = [
            ("timer", &self.timers),
            ("CPU", &self.cpus),
            ("cause", &self.causes),
            ("wait", &waits),
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

    /// Below each function what it waited for.
    fn waits_with_parts(&self) -> Vec<(String, Summary)> {
        let parts = |of: &str| {
            let of = of.to_string();
            let mine = self.awaited.iter().filter(move |p| p.0.0 == of);
            mine.map(|(name, s)| (format!("  {}", name.1), *s))
        };
        let with_parts =
            |(name, s): &(String, Summary)| std::iter::once((name.clone(), *s)).chain(parts(name));
        self.waits.iter().flat_map(with_parts).collect()
    }

    /// For scripts: per CPU, per cause, per wait; and what was waited for.
    pub fn json(&self) -> [Value; 4] {
        let of = |rows: &[(String, Summary)]| -> Value {
            let all: Map<String, Value> =
                rows.iter().map(|(n, s)| (n.clone(), crate::json::summary(s))).collect();
            Value::Object(all)
        };
        let mut awaited: Map<String, Value> = Map::new();
        for ((function, what), s) in &self.awaited {
            awaited.entry(function.clone()).or_insert_with(|| json!({}))[what] =
                crate::json::summary(s);
        }
        [of(&self.cpus), of(&self.causes), of(&self.waits), Value::Object(awaited)]
    }
}
