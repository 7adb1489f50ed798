//! What came of a calibration, for people and for scripts.

use super::fit::GOOD;
use super::{Calibration, Checked, Distance, Recording, families};
use serde_json::{Value, json};
use std::collections::BTreeMap;
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
            let cpus = match r.cpus() {
                1 => String::new(),
                n => format!(" on each of {n} CPUs"),
            };
            let _ = writeln!(out, "{}: {}, {n} expiries, {together}{cpus}", r.name, r.kind);
        }
        if let Some((file, set)) = &self.load {
            let set: String = set.iter().map(|(k, v)| format!(", {k} = {v}")).collect();
            let _ = writeln!(
                out,
                "under the load of {file}{set}: costs are those of the machine without it"
            );
        }
        let _ = writeln!(
            out,
            "  {:<16}{:>8}{:>11}{:>11}{:>11}  fit",
            "cost", "samples", "p50", "p99", "max"
        );
        for f in &self.fitted {
            let q = |of: usize| us(f.quantile(of));
            let fit = families::name(&f.fit.dist);
            let far = f.fit.distance;
            let (name, n) = (f.class.name(), f.samples);
            let _ = writeln!(
                out,
                "  {name:<16}{n:>8}{:>11}{:>11}{:>11}  {fit} ({far:.3})",
                q(500),
                q(990),
                q(1000)
            );
        }
        if self.fitted.iter().any(|f| f.weighted) {
            out.push_str("  irq_entry is weighted: drawn by itself, it leads to the lateness of the fitted half\n");
        }
        if self.idle_is_part() {
            out.push_str(
                "  idle_exit is part of irq_entry: the recordings do not tell them apart\n",
            );
        }
        let _ = writeln!(out, "  not in the recordings, kept: {}", self.kept().join(", "));
        self.checks.iter().for_each(|c| c.tell(&mut out));
        match self.load {
            Some(_) => out.push_str(
                "  The load is taken as named: another one, with other costs, could lead to the same lateness.\n",
            ),
            None if !self.costs.calibrated => out.push_str(
                "  What else the machine did meanwhile is part of the recorded lateness: a load that is known can be named (--load).\n",
            ),
            None => {}
        }
        for r in recordings {
            for (n, why) in &r.left_out {
                let _ = writeln!(out, "warning: {}: {n} {why}; left out", r.name);
            }
            if r.outrun() > 0 {
                let _ = writeln!(
                    out,
                    "warning: {}: of {} of {} rounds timers were due before the last one was started; simulated starts do not take so long",
                    r.name,
                    r.outrun(),
                    r.rounds.len()
                );
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
                    "cost": f.class.name(), "samples": f.samples, "weighted": f.weighted,
                    "fit": families::name(&f.fit.dist), "fit_ks_ppm": ppm(f.fit.distance),
                    "p50_ns": f.quantile(500), "p99_ns": f.quantile(990), "max_ns": f.quantile(1000),
                })
            })
            .collect();
        let checks: Vec<Value> = self.checks.iter().map(Checked::json).collect();
        let files: Vec<Value> = recordings
            .iter()
            .map(|r| {
                let left_out: Vec<Value> =
                    r.left_out.iter().map(|(n, why)| json!({ "count": n, "why": why })).collect();
                json!({ "file": r.name, "kind": r.kind, "expiries": r.samples(), "cpus": r.cpus(), "outrun_rounds": r.outrun(), "left_out": left_out })
            })
            .collect();
        json!({
            "schema": 1, "costs": self.costs.name, "calibrated": self.costs.calibrated,
            "load": self.load.as_ref().map(|(file, set)| {
                let set: BTreeMap<&str, &str> = set.iter().map(|(k, v)| (&**k, &**v)).collect();
                json!({ "file": file, "set": set })
            }),
            "fitted": fitted, "kept": self.kept(), "checks": checks, "recordings": files,
        })
    }
}

impl Checked {
    fn tell(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "check: {}: simulated against recorded lateness, largest distance (KS)",
            self.file
        );
        let mut line = |d: &Distance, of: String| {
            let word = if d.ok() { "ok" } else { "NOT GOOD" };
            let (ks, limit, halves) = (d.ks, d.limit, d.halves);
            let apart = match halves > GOOD {
                true => format!("; the recording's own halves are {halves:.3} apart"),
                false => String::new(),
            };
            let _ = writeln!(out, "  {ks:.3} (limit {limit:.3}) {word}: {of}{apart}");
        };
        let (s, r) = (&self.samples, &self.rounds);
        if s.simulated == 0 {
            out.push_str(
                "  NOT GOOD: no simulated timer expired: with these costs the load leaves no time for them.\n",
            );
            return;
        }
        if self.timers == 1 {
            line(s, format!("{} samples that were not fitted", s.samples));
            return;
        }
        let rounds = |n: usize| if n == 1 { "1 round".to_string() } else { format!("{n} rounds") };
        line(s, format!("{} samples that were not fitted, of {}", s.samples, rounds(s.rounds)));
        let not = if r.rounds == 1 { "was not" } else { "were not" };
        line(r, format!("{} that {not} fitted, {} samples", rounds(r.rounds), r.samples));
        if let Some(enough) = self.too_few_rounds() {
            let _ = writeln!(
                out,
                "  {} too few to judge by, and to fit to: chance alone is further than the limit; record {enough} rounds or more",
                if r.rounds == 1 {
                    "1 round is".to_string()
                } else {
                    format!("{} rounds are", r.rounds)
                }
            );
        }
        out.push_str(
            "  The timers of a round share its delay: only the second distance, of costs that were fitted to the\n  \
               other rounds, says how new rounds come out. The first says that the shape is right.\n",
        );
    }

    /// The distance by rounds stands at the top, that by samples in an object of its own.
    fn json(&self) -> Value {
        let (s, r) = (&self.samples, &self.rounds);
        json!({
            "file": self.file, "samples": r.samples, "ok": self.ok(),
            "ks_ppm": ppm(r.ks), "limit_ppm": ppm(r.limit), "halves_ks_ppm": ppm(r.halves),
            "rounds": r.rounds, "too_few_rounds": self.too_few_rounds().is_some(),
            "same_rounds": {
                "samples": s.samples, "rounds": s.rounds, "ok": s.ok(),
                "ks_ppm": ppm(s.ks), "limit_ppm": ppm(s.limit), "halves_ks_ppm": ppm(s.halves),
            },
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
