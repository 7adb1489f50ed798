//! Percentiles of lateness as tables: per timer, per CPU and per cause; and of waits.

use crate::causes::Causes;
use crate::holds::LockHolds;
use crate::latency::{Histogram, Latencies, Summary};
use crate::num::{grouped, us};
use crate::waits::{Waits, Words};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use timerace_core::timed::Holds;

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
    /// Per kind of lock that was looked at: how long it was held.
    pub holds: Vec<(String, Summary)>,
    /// Of each of them, what its holder's CPU did: how long in those holds that had it.
    pub held_for: Vec<((String, String), Summary)>,
    /// The longest hold with its parts.
    pub longest_hold: Option<Value>,
}

impl Tables {
    /// The tables of a run.
    pub fn new(
        latencies: &Latencies,
        names: &[String],
        (causes, waits, locks, holds): (&Causes, &Waits, &LockHolds, &Holds),
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
            holds: summed(locks.by_lock(holds)),
            held_for: summed(locks.by_cause(holds, words.machine)),
            longest_hold: locks.longest_json(words),
        }
    }

    /// As text, in microseconds.
    pub fn text(&self) -> String {
        let waits = with_parts(&self.waits, &self.awaited);
        let holds = with_parts(&self.holds, &self.held_for);
        let groups = [
            ("timer", &self.timers),
            ("CPU", &self.cpus),
            ("cause", &self.causes),
            ("wait", &waits),
            ("hold", &holds),
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

    /// For scripts: per CPU and per cause; per wait, and what was waited for; per lock, and what it was held for.
    pub fn json(&self) -> [Value; 6] {
        let of = |rows: &[(String, Summary)]| -> Value {
            let all: Map<String, Value> =
                rows.iter().map(|(n, s)| (n.clone(), crate::json::summary(s))).collect();
            Value::Object(all)
        };
        let parts = |rows: &[((String, String), Summary)]| -> Value {
            let mut all: Map<String, Value> = Map::new();
            for ((whole, part), s) in rows {
                all.entry(whole.clone()).or_insert_with(|| json!({}))[part] =
                    crate::json::summary(s);
            }
            Value::Object(all)
        };
        [
            of(&self.cpus),
            of(&self.causes),
            of(&self.waits),
            parts(&self.awaited),
            of(&self.holds),
            parts(&self.held_for),
        ]
    }
}

/// Below each row its parts.
fn with_parts(
    rows: &[(String, Summary)],
    parts: &[((String, String), Summary)],
) -> Vec<(String, Summary)> {
    let of = |row: &(String, Summary)| {
        let mine = parts.iter().filter(|p| p.0.0 == row.0);
        let mine = mine.map(|(name, s)| (format!("  {}", name.1), *s));
        std::iter::once((row.0.clone(), row.1)).chain(mine).collect::<Vec<_>>()
    };
    rows.iter().flat_map(of).collect()
}
