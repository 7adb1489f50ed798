//! `timerace run --seeds A..B`: a scenario once per seed, and what all runs came to.

use super::{Timed, command, once};
use crate::args::{Common, Format};
use crate::fail::{Fail, code};
use crate::saved;
use crate::session::Session;
use crate::{interrupt, output, parallel};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use timerace_core::timed::TimedEnd;
use timerace_reports::estimate::{Rate, span};
use timerace_reports::json;
use timerace_reports::latency::Histogram;

/// Seeds that are run before their results are added up: not all of them need memory at once.
const CHUNK: u64 = 1024;

/// What runs with many seeds came to.
#[derive(Default)]
struct Merged {
    runs: u64,
    late: Histogram,
    by_timer: BTreeMap<String, Histogram>,
    /// By message: how many runs, and the first seed.
    findings: BTreeMap<String, (u64, u64)>,
    codes: BTreeSet<u8>,
    first_failing: Option<u64>,
    /// Runs that were ended because they got nowhere, and the first seed.
    starved: u64,
    first_starved: Option<u64>,
    watched_ns: u64,
}

impl Merged {
    fn add(&mut self, seed: u64, t: &Timed) {
        self.runs += 1;
        self.watched_ns = self.watched_ns.saturating_add(t.run.virtual_ns);
        self.late.merge(t.latencies.overall());
        t.latencies.add_to(&mut self.by_timer, &t.names);
        for f in &t.findings {
            self.findings.entry(f.message.clone()).or_insert((0, seed)).0 += 1;
        }
        if t.exit_code == code::FAILED {
            self.first_failing.get_or_insert(seed);
        }
        if t.run.ended == TimedEnd::Starved {
            self.starved += 1;
            self.first_starved.get_or_insert(seed);
        }
        self.codes.insert(t.exit_code);
    }
}

/// The results of all seeds, or of as many as there was time for.
fn merged(common: &Common, s: &Session, from: u64, to: u64) -> Result<Merged, Fail> {
    let mut all = Merged::default();
    let mut next = Some(from);
    while let Some(first) = next.filter(|n| *n <= to && !interrupt::asked()) {
        let last = first.saturating_add(CHUNK - 1).min(to);
        let seeds: Vec<u64> = (first..=last).collect();
        let runs = parallel::map(&seeds, common.jobs, |seed| {
            (!interrupt::asked()).then(|| once(s, *seed).map(|t| (*seed, t)))
        });
        for run in runs.into_iter().flatten() {
            let (seed, t) = run?;
            if t.run.ended != TimedEnd::Stopped {
                all.add(seed, &t);
            }
        }
        next = last.checked_add(1);
    }
    Ok(all)
}

/// Runs a scenario once per seed.
pub fn seeds(common: &Common, s: &Session, (from, to): (u64, u64)) -> Result<u8, Fail> {
    s.note_first_values(common);
    let all = merged(common, s, from, to)?;
    let partial = interrupt::asked();
    if all.runs == 0 {
        return Ok(code::INTERRUPTED);
    }
    let Merged {
        late,
        by_timer,
        findings,
        codes,
        first_failing,
        starved,
        first_starved,
        watched_ns,
        runs,
    } = all;
    let rate = |hits| Rate { hits, watched_ns };
    let list: Vec<_> = findings
        .iter()
        .map(|(m, (n, first))| {
            json!({ "message": m, "runs": n, "first_seed": first, "rate": rate(*n).value() })
        })
        .collect();
    let latency: serde_json::Map<String, serde_json::Value> =
        by_timer.into_iter().map(|(n, h)| (n, json::summary(&h.summary()))).collect();
    let mut value = json!({
        "schema": 1, "scenario": s.scenario.name.node, "kernel": s.kernel_name(),
        "seeds": [from, to], "runs": runs, "findings": list,
        "first_failing_seed": first_failing, "latency": latency,
    });
    if partial {
        value["partial"] = json!(true);
    }
    if let Some(seed) = first_starved {
        value["starved"] = json!({ "runs": starved, "first_seed": seed });
    }
    if let Some(dir) = &common.out {
        let mut files = saved::files(common, s, value.clone(), words_of_seeds(s, (from, to)));
        files.extend(saved::costs(s));
        saved::write(common, dir, files)?;
    }
    if common.format == Format::Json {
        output::print_json(&value);
    } else {
        let n = runs;
        let mut out =
            format!("{}  {}  seeds {from}..{to}\n\n", s.scenario.name.node, s.kernel_name());
        if partial {
            let _ =
                writeln!(out, "interrupted: {n} of {} seeds were run\n", u128::from(to - from) + 1);
        }
        if late.count() > 0 {
            out.push_str(&late.terminal());
        }
        for (m, (count, first)) in &findings {
            let _ = writeln!(out, "\nBUG   {m}  in {count} of {n} runs, first with seed {first}");
            let _ = writeln!(out, "      {}", rate(*count).text());
        }
        if findings.is_empty() {
            let _ = writeln!(
                out,
                "\nNo bug in {} of virtual time: {}",
                span(watched_ns),
                rate(0).text()
            );
        }
        if let Some(seed) = first_failing {
            let _ = writeln!(out, "\nrepeat: {}", command(s, seed));
        }
        if let Some(seed) = first_starved {
            let _ = writeln!(
                out,
                "\nINCONCLUSIVE: {starved} of {n} runs were ended early, their CPUs did not get to a timer or task; see: {}",
                command(s, seed)
            );
        }
        output::print(&out);
    }
    let worst = [code::FAILED, code::INCONCLUSIVE].into_iter().find(|w| codes.contains(w));
    Ok(worst.unwrap_or(code::OK))
}

fn words_of_seeds(s: &Session, (from, to): (u64, u64)) -> Vec<String> {
    let mut words = vec!["run".to_string(), s.source.name.clone()];
    words.extend(s.arguments());
    words.extend(s.costs_flag());
    words.extend(["--seeds".to_string(), format!("{from}..{to}")]);
    words
}
