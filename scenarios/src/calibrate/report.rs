//! What came of a calibration, for people and for scripts.

use super::{Calibration, Recording, families};
use serde_json::{Value, json};
use std::fmt::Write as _;
use timerace_core::step::CostClass;

impl Calibration {
    /// Classes that no recording tells about, by name.
    pub fn kept(&self) -> Vec<&'static str> {
        let fitted = |c: CostClass| self.fitted.iter().any(|f| f.class == c);
        let all = CostClass::ALL.into_iter();
        all.filter(|c| !fitted(*c) && *c != CostClass::IdleExit && *c != CostClass::Free)
            .map(CostClass::name)
            .collect()
    }

    /// The table of costs, the check of each recording, and what is missing.
    pub fn text(&self, recordings: &[Recording]) -> String {
        let mut out = String::new();
        for r in recordings {
            let (n, timers) = (r.samples(), r.timers());
            let together = match (timers, r.same_expiry) {
                (1, _) => "one timer at a time".to_string(),
                (_, true) => format!("{timers} timers with one expiry at a time"),
                (_, false) => format!("{timers} timers at a time"),
            };
            let _ = writeln!(out, "{}: {}, {n} expiries, {together}", r.name, r.kind);
        }
        let _ = writeln!(
            out,
            "  {:<16}{:>8}{:>10}{:>10}{:>11}  fit",
            "cost", "samples", "p50", "p99", "max"
        );
        for f in &self.fitted {
            let q = |of: usize| us(f.quantile(of));
            let fit = families::name(&f.fit.dist);
            let far = f.fit.distance;
            let (name, n) = (f.class.name(), f.measured.len());
            let _ = writeln!(
                out,
                "  {name:<16}{n:>8}{:>10}{:>10}{:>11}  {fit} ({far:.3})",
                q(500),
                q(990),
                q(1000)
            );
        }
        if self.idle_is_part() {
            out.push_str(
                "  idle_exit is part of irq_entry: the recordings do not tell them apart\n",
            );
        }
        let _ = writeln!(out, "  not in the recordings, kept: {}", self.kept().join(", "));
        for c in &self.checks {
            let word = if c.ok() { "ok" } else { "NOT GOOD" };
            let _ = writeln!(
                out,
                "check: {}: simulated against recorded lateness, {} samples in {} rounds, largest distance {:.3} (KS; limit {:.3}) {word}",
                c.file, c.samples, c.independent, c.ks, c.limit
            );
            if c.halves > c.limit.min(0.05) {
                let _ = writeln!(
                    out,
                    "note: {}: the two halves of the recording are {:.3} apart themselves",
                    c.file, c.halves
                );
            }
        }
        for r in recordings {
            for (n, why) in &r.left_out {
                let _ = writeln!(out, "warning: {}: {n} {why}; left out", r.name);
            }
        }
        out
    }

    /// The same for scripts.
    pub fn json(&self, recordings: &[Recording]) -> Value {
        let fitted: Vec<Value> = self
            .fitted
            .iter()
            .map(|f| {
                json!({
                    "cost": f.class.name(), "samples": f.measured.len(),
                    "fit": families::name(&f.fit.dist), "fit_ks_ppm": ppm(f.fit.distance),
                    "p50_ns": f.quantile(500), "p99_ns": f.quantile(990), "max_ns": f.quantile(1000),
                })
            })
            .collect();
        let checks: Vec<Value> = self
            .checks
            .iter()
            .map(|c| {
                json!({
                    "file": c.file, "samples": c.samples, "ok": c.ok(),
                    "ks_ppm": ppm(c.ks), "limit_ppm": ppm(c.limit), "halves_ks_ppm": ppm(c.halves),
                    "rounds": c.independent,
                })
            })
            .collect();
        let files: Vec<Value> = recordings
            .iter()
            .map(|r| {
                let left_out: Vec<Value> =
                    r.left_out.iter().map(|(n, why)| json!({ "count": n, "why": why })).collect();
                json!({ "file": r.name, "kind": r.kind, "expiries": r.samples(), "left_out": left_out })
            })
            .collect();
        json!({
            "schema": 1, "costs": self.costs.name, "calibrated": self.costs.calibrated,
            "fitted": fitted, "kept": self.kept(), "checks": checks, "recordings": files,
        })
    }
}

impl super::Fitted {
    /// The least value that is not below this many thousandths of the measured ones.
    fn quantile(&self, thousandths: usize) -> u64 {
        let n = self.measured.len();
        let rank = (n * thousandths).div_ceil(1000).max(1);
        self.measured.get(rank - 1).copied().unwrap_or(0)
    }
}

fn ppm(x: f64) -> u64 {
    (x * 1e6).round() as u64
}

fn us(ns: u64) -> String {
    format!("{}.{:02}us", ns / 1000, ns % 1000 / 10)
}
