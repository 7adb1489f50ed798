//! Two kernels, or two settings, side by side: what a search finds on each, where one schedule goes two ways, and whether
//! latencies differ by more than runs with other seeds do.

use crate::json::{SCHEMA, summary};
use crate::latency::Summary;
use crate::num::{count, grouped, us};
use crate::rank_sum::p_per_10_000;
use serde_json::{Value, json};
use std::fmt::Write as _;
use timerace_core::record::{Record, StepRecord};

/// Differences with a smaller probability are larger than the noise: in parts of 10 000.
const SURE: u64 = 100;
/// Rows of the aligned steps that are shown.
const ROWS_MAX: usize = 16;
/// Steps before the first difference that are shown.
const BEFORE: usize = 2;
/// Widest cell of a step.
const CELL: usize = 34;
/// Between a step and what is said of it.
const SAID: &str = "  // ";
/// Most steps that are aligned: the table of lengths is the square of it.
const STEPS_MAX: usize = 3_000;

/// What a search found on one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explored {
    /// In words: `use-after-free`, `no bug`.
    pub verdict: String,
    /// Inequivalent schedules.
    pub schedules: u64,
    /// All of them were run.
    pub complete: bool,
    /// Those with a finding.
    pub failing: u64,
    /// Different final states.
    pub final_states: u64,
}

/// What timed runs found on one side: one entry per seed.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Timed {
    /// Runs with a finding.
    pub bugs: u64,
    /// How late callbacks were, by seed.
    pub by_seed: Vec<Summary>,
    /// The same for all seeds together.
    pub all: Summary,
}

/// One side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// Its head: `v6.7`, `cb_len=1us`.
    pub name: String,
    /// Of a search, if there was one.
    pub explored: Option<Explored>,
    /// Of timed runs, if there were any.
    pub timed: Option<Timed>,
}

/// A fix that only one of two kernels has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The second one has it; else the first.
    pub added: bool,
    /// Its stable name.
    pub name: String,
    /// The first mainline release with it.
    pub since: String,
    /// The commit, where there is one.
    pub commit: Option<String>,
    /// What it changes.
    pub what: String,
}

/// A step of both runs, or of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aligned {
    /// CPU, or `-`.
    pub cpu: String,
    /// Number and text in the first run.
    pub a: Option<(u32, String)>,
    /// In the second.
    pub b: Option<(u32, String)>,
}

/// One schedule on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The schedule as people write it.
    pub schedule: String,
    /// The steps of both runs, in order, from a little before the first difference on.
    pub rows: Vec<Aligned>,
    /// How many more there are.
    pub left_out: usize,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The scenario's name.
    pub scenario: String,
    /// Both sides.
    pub sides: [Side; 2],
    /// Where they part; `None`: they do not, or there was no schedule to look at.
    pub difference: Option<Difference>,
    /// Fixes that only one of them has.
    pub rules: Vec<Rule>,
    /// Seeds of timed runs.
    pub seeds: (u64, u64),
}

/// Aligns two runs of one schedule; `None` where they are the same.
pub fn difference(schedule: &str, a: &Record, b: &Record) -> Option<Difference> {
    let (left, right) = (steps(a), steps(b));
    let rows = aligned(&left, &right);
    let differs = |r: &Aligned| match (&r.a, &r.b) {
        (Some(a), Some(b)) => a.1 != b.1,
        _ => true,
    };
    let first = rows.iter().position(differs)?;
    let from = first.saturating_sub(BEFORE);
    let shown: Vec<Aligned> = rows[from..].iter().take(ROWS_MAX).cloned().collect();
    let left_out = rows.len() - from - shown.len();
    Some(Difference { schedule: schedule.to_string(), rows: shown, left_out })
}

/// A step for the alignment: who, where, what, and what is said of it.
struct Step {
    no: u32,
    ctx: String,
    cpu: String,
    text: String,
    shown: String,
}

fn steps(rec: &Record) -> Vec<Step> {
    let one = |s: &StepRecord| {
        let spec = rec.contexts.get(s.ctx.index());
        let bug = rec.findings.iter().find(|f| f.at.step == s.no);
        let mark = bug.map_or_else(String::new, |f| format!("{SAID}{}", f.class.words()));
        Step {
            no: s.no,
            ctx: spec.map_or_else(String::new, |c| c.name.clone()),
            cpu: spec.and_then(|c| c.cpu).map_or_else(|| "-".to_string(), |c| c.to_string()),
            text: s.text.clone(),
            shown: format!("{}{mark}", s.text),
        }
    };
    rec.steps.iter().filter(|s| !s.quiet).take(STEPS_MAX).map(one).collect()
}

/// The longest common sequence of steps, with what is only in one run between.
fn aligned(a: &[Step], b: &[Step]) -> Vec<Aligned> {
    let same = |i: usize, j: usize| a[i].ctx == b[j].ctx && a[i].text == b[j].text;
    let mut long = vec![vec![0u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            long[i][j] = match same(i, j) {
                true => long[i + 1][j + 1] + 1,
                false => long[i + 1][j].max(long[i][j + 1]),
            };
        }
    }
    let cell = |s: &Step| Some((s.no, s.shown.clone()));
    let mut rows: Vec<Aligned> = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        let both = i < a.len() && j < b.len();
        if both && same(i, j) {
            rows.push(Aligned { cpu: a[i].cpu.clone(), a: cell(&a[i]), b: cell(&b[j]) });
            (i, j) = (i + 1, j + 1);
        } else if both && a[i].ctx == b[j].ctx && long[i + 1][j + 1] == long[i][j] {
            // One step in the place of another: side by side.
            rows.push(Aligned { cpu: a[i].cpu.clone(), a: cell(&a[i]), b: cell(&b[j]) });
            (i, j) = (i + 1, j + 1);
        } else if j >= b.len() || (i < a.len() && long[i + 1][j] >= long[i][j + 1]) {
            rows.push(Aligned { cpu: a[i].cpu.clone(), a: cell(&a[i]), b: None });
            i += 1;
        } else {
            rows.push(Aligned { cpu: b[j].cpu.clone(), a: None, b: cell(&b[j]) });
            j += 1;
        }
    }
    rows
}

/// A percentile of a set of samples, in nanoseconds.
type Of = fn(&Summary) -> u64;

/// The percentiles that are compared.
const FIGURES: [(&str, Of); 4] =
    [("p50", |s| s.p50_ns), ("p99", |s| s.p99_ns), ("p99.9", |s| s.p999_ns), ("max", |s| s.max_ns)];

/// A percentile on both sides.
struct Figure {
    name: &'static str,
    all: [u64; 2],
    /// In parts of 10 000: how likely the difference is by chance. `None`: one seed says nothing.
    p: Option<u64>,
}

impl Comparison {
    fn figures(&self) -> Vec<Figure> {
        let [Some(a), Some(b)] = self.sides.each_ref().map(|s| s.timed.as_ref()) else {
            return Vec::new();
        };
        if a.all.count == 0 && b.all.count == 0 {
            return Vec::new();
        }
        let figure = |(name, of): &(&'static str, Of)| {
            let each =
                |t: &Timed| t.by_seed.iter().filter(|s| s.count > 0).map(of).collect::<Vec<u64>>();
            let (x, y) = (each(a), each(b));
            let p = if x.len() > 1 && y.len() > 1 { p_per_10_000(&x, &y) } else { None };
            Figure { name, all: [of(&a.all), of(&b.all)], p }
        };
        FIGURES.iter().map(figure).collect()
    }

    /// What people read.
    pub fn text(&self) -> String {
        let mut out = format!("{}\n", self.scenario);
        self.searches(&mut out);
        if let Some(d) = &self.difference {
            self.steps(&mut out, d);
        }
        self.changed(&mut out);
        self.latencies(&mut out);
        out
    }

    fn head(&self, out: &mut String) {
        let [a, b] = &self.sides;
        line(out, "", &a.name, &b.name);
    }

    fn searches(&self, out: &mut String) {
        let [Some(a), Some(b)] = self.sides.each_ref().map(|s| s.explored.as_ref()) else {
            return;
        };
        out.push('\n');
        self.head(out);
        let schedules = |e: &Explored| {
            let all = if e.complete { "complete" } else { "not complete" };
            format!("{} ({all})", grouped(e.schedules))
        };
        line(out, "verdict", &a.verdict, &b.verdict);
        line(out, "schedules", &schedules(a), &schedules(b));
        line(out, "with a bug", &grouped(a.failing), &grouped(b.failing));
        line(out, "final states", &grouped(a.final_states), &grouped(b.final_states));
        if self.difference.is_none() {
            let none = a.failing == 0 && b.failing == 0;
            let why = if none {
                "no schedule fails on either"
            } else {
                "the failing schedule is the same on both"
            };
            let _ = writeln!(out, "\nNo difference of steps: {why}.");
        }
    }

    fn steps(&self, out: &mut String, d: &Difference) {
        let [a, b] = &self.sides;
        let _ = writeln!(out, "\nFirst difference, schedule {}:", d.schedule);
        // What is said of a step stays; its text is shortened for it.
        let cut = |text: &str| {
            let (text, said) = text.split_at(text.find(SAID).unwrap_or(text.len()));
            let room = CELL.saturating_sub(said.len());
            match text.char_indices().nth(room.saturating_sub(2)) {
                Some((at, _)) if text.chars().count() > room => format!("{}..{said}", &text[..at]),
                _ => format!("{text}{said}"),
            }
        };
        let cell =
            |c: &Option<(u32, String)>| c.as_ref().map_or_else(|| "-".to_string(), |c| cut(&c.1));
        let width = d.rows.iter().map(|r| cell(&r.a).chars().count()).max().unwrap_or(0);
        let width = width.max(a.name.len());
        let _ = writeln!(out, "   step  CPU   {:<width$}  {}", a.name, b.name);
        for row in &d.rows {
            let no = row.a.as_ref().or(row.b.as_ref()).map_or(0, |c| c.0);
            let _ = writeln!(
                out,
                "   {no:>4}  {:<4}  {:<width$}  {}",
                row.cpu,
                cell(&row.a),
                cell(&row.b)
            );
        }
        if d.left_out > 0 {
            let _ = writeln!(out, "   ({} more)", count(d.left_out as u64, "step", "steps"));
        }
    }

    fn changed(&self, out: &mut String) {
        for (i, rule) in self.rules.iter().enumerate() {
            let commit = rule.commit.as_ref().map_or_else(String::new, |c| format!(", {c}"));
            let word = if rule.added { "+" } else { "-" };
            let head = if i == 0 { "\nRules changed:\n" } else { "" };
            let _ = writeln!(
                out,
                "{head}  {word} {} ({}{commit}): {}",
                rule.name, rule.since, rule.what
            );
        }
    }

    fn latencies(&self, out: &mut String) {
        let figures = self.figures();
        if figures.is_empty() {
            return;
        }
        let (from, to) = self.seeds;
        let seeds = if from == to { format!("seed {from}") } else { format!("seeds {from}..{to}") };
        let _ = writeln!(out, "\nLatency, {seeds}, in us:");
        self.head(out);
        let mut said = Vec::new();
        for f in &figures {
            line(out, f.name, &us(f.all[0]), &us(f.all[1]));
            let change = match (f.all[0], f.all[1]) {
                (a, b) if a == b => "the same".to_string(),
                (a, b) if a < b => format!("+{} us", us(b - a)),
                (a, b) => format!("-{} us", us(a - b)),
            };
            said.push(match f.p {
                None => format!("  {}: {change}", f.name),
                Some(p) if p <= SURE => {
                    format!(
                        "  {}: {change}, larger than the noise between seeds (p = {})",
                        f.name,
                        share(p)
                    )
                }
                Some(p) => format!(
                    "  {}: {change}, within the noise between seeds (p = {})",
                    f.name,
                    share(p)
                ),
            });
        }
        let _ = writeln!(out, "\n{}", said.join("\n"));
        let how = match figures.iter().all(|f| f.p.is_none()) {
            true => "One seed says nothing about noise: --seeds 1..10 does.".to_string(),
            false => {
                format!("Rank-sum test over the seeds, exact; larger means p <= {}.", share(SURE))
            }
        };
        let _ = writeln!(out, "{how} Times are simulated.");
    }

    /// The object of `compare`.
    pub fn json(&self) -> Value {
        let side = |s: &Side| {
            let mut v = json!({ "name": s.name });
            if let Some(e) = &s.explored {
                v["verdict"] = json!(e.verdict);
                v["schedules"] = json!(e.schedules);
                v["complete"] = json!(e.complete);
                v["failing"] = json!(e.failing);
                v["final_states"] = json!(e.final_states);
            }
            if let Some(t) = &s.timed {
                v["runs"] = json!(t.by_seed.len());
                v["runs_with_bug"] = json!(t.bugs);
                v["latency"] = summary(&t.all);
                v["latency_by_seed"] = t.by_seed.iter().map(summary).collect();
            }
            v
        };
        let cell = |c: &Option<(u32, String)>| {
            c.as_ref().map(|(no, text)| json!({ "step": no, "text": text }))
        };
        let row = |r: &Aligned| json!({ "cpu": r.cpu, "a": cell(&r.a), "b": cell(&r.b) });
        let difference = self.difference.as_ref().map(|d| {
            json!({
                "schedule": d.schedule,
                "rows": d.rows.iter().map(row).collect::<Vec<_>>(),
                "left_out": d.left_out,
            })
        });
        let rule = |r: &Rule| json!({ "added": r.added, "name": r.name, "since": r.since, "commit": r.commit, "what": r.what });
        let figure = |f: &Figure| {
            let larger = f.p.map(|p| p <= SURE);
            json!({ "name": f.name, "a_ns": f.all[0], "b_ns": f.all[1], "p_per_10000": f.p, "larger_than_noise": larger })
        };
        json!({
            "schema": SCHEMA,
            "scenario": self.scenario,
            "sides": self.sides.iter().map(side).collect::<Vec<_>>(),
            "first_difference": difference,
            "rules": self.rules.iter().map(rule).collect::<Vec<_>>(),
            "seeds": [self.seeds.0, self.seeds.1],
            "latency": self.figures().iter().map(figure).collect::<Vec<_>>(),
        })
    }
}

fn line(out: &mut String, name: &str, a: &str, b: &str) {
    let text = format!("{name:<14}  {a:<26}  {b}");
    let _ = writeln!(out, "{}", text.trim_end());
}

/// Parts of 10 000 as a number below 1.
fn share(p: u64) -> String {
    if p >= 10_000 { "1".to_string() } else { format!("0.{p:04}") }
}
