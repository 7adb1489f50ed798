//! A sweep: a scenario over a grid of parameters, as rows of `sweep.csv`, as JSON, and as a map in the terminal.

use crate::json::{SCHEMA, summary};
use crate::latency::Summary;
use crate::num::{count, grouped, us};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::io;

/// Most columns of cells in the terminal.
const COLUMNS_MAX: usize = 60;
/// Most rows of cells in the terminal, for each map.
const ROWS_MAX: usize = 24;
/// Most maps in the terminal.
const MAPS_MAX: usize = 12;

/// What was done in each cell.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A search.
    Explored,
    /// Timed runs.
    Timed,
}

/// A parameter (or `kernel`) with the values that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Its name.
    pub name: String,
    /// The values as they are written, in their order; never empty.
    pub values: Vec<String>,
    /// The same in nanoseconds, if each is one duration.
    pub ns: Option<Vec<i64>>,
}

/// What came of one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The number of the value on each axis, from 0.
    pub at: Vec<usize>,
    /// Counts.
    pub outcome: Outcome,
    /// The class of the first finding: `USE_AFTER_FREE`.
    pub class: Option<String>,
    /// 0: every expectation holds; 1: one does not; 3: a bound was hit before all was decided.
    pub exit_code: u8,
}

/// Counts of one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Of a search.
    Explored {
        /// Inequivalent schedules that were run.
        schedules: u64,
        /// Those with a finding.
        bugs: u64,
        /// Every inequivalent schedule was run.
        complete: bool,
    },
    /// Of timed runs.
    Timed {
        /// Runs, one per seed.
        runs: u64,
        /// Those with a finding.
        bugs: u64,
        /// How late callbacks were, all runs together.
        late: Summary,
    },
}

/// All cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// The scenario's name.
    pub scenario: String,
    /// The kernel; empty where it is an axis.
    pub kernel: String,
    /// What was done in each cell.
    pub kind: Kind,
    /// The axes; the values of the last one change first.
    pub axes: Vec<Axis>,
    /// All combinations, in this order; of a sweep that was interrupted as many as were done.
    pub cells: Vec<Cell>,
    /// The command that makes it again.
    pub command: String,
}

impl Cell {
    /// Schedules or runs with a finding.
    pub fn bugs(&self) -> u64 {
        match self.outcome {
            Outcome::Explored { bugs, .. } | Outcome::Timed { bugs, .. } => bugs,
        }
    }

    /// How late 99 % of the callbacks were at most, in nanoseconds; `None` if there was none, or nothing was timed.
    pub fn p99_ns(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Timed { late, .. } => (late.count > 0).then_some(late.p99_ns),
            Outcome::Explored { .. } => None,
        }
    }

    /// Tenths of the schedules or runs that have a finding, rounded up: 0 only without any, 10 only for all.
    pub fn tenths(&self) -> u64 {
        let (bugs, all) = match self.outcome {
            Outcome::Explored { schedules, bugs, .. } => (bugs, schedules),
            Outcome::Timed { runs, bugs, .. } => (bugs, runs),
        };
        match (bugs.min(all), all) {
            (0, _) | (_, 0) => 0,
            (bugs, all) if bugs == all => 10,
            (bugs, all) => ((u128::from(bugs) * 10).div_ceil(u128::from(all)) as u64).clamp(1, 9),
        }
    }
}

impl Sweep {
    /// The cell with these numbers of values.
    pub fn cell(&self, at: &[usize]) -> Option<&Cell> {
        let index = self.axes.iter().zip(at).fold(0, |i, (axis, at)| i * axis.values.len() + at);
        self.cells.get(index)
    }

    /// How many cells there would be.
    fn wanted(&self) -> u64 {
        self.axes.iter().map(|a| a.values.len() as u64).product()
    }

    /// Whether it was interrupted.
    fn is_partial(&self) -> bool {
        (self.cells.len() as u64) < self.wanted()
    }

    /// `cb_len=1us offset=-1us`, as `--set` takes each.
    pub fn settings(&self, cell: &Cell) -> String {
        let one = |(axis, at): (&Axis, &usize)| format!("{}={}", axis.name, axis.values[*at]);
        let all: Vec<String> = self.axes.iter().zip(&cell.at).map(one).collect();
        all.join(" ")
    }

    /// The least and the greatest p99 of all cells, in nanoseconds.
    pub fn p99_range(&self) -> Option<(u64, u64)> {
        let all = || self.cells.iter().filter_map(Cell::p99_ns);
        Some((all().min()?, all().max()?))
    }

    /// `sweep.csv`: a row per cell. A column per axis (`_ns` behind its name where the values are durations), then
    /// counts: integers, and the class. An empty field: there is none.
    ///
    /// # Errors
    /// Those of a writer into memory: none in practice.
    pub fn csv(&self) -> io::Result<Vec<u8>> {
        let mut out = csv::WriterBuilder::new()
            .terminator(csv::Terminator::Any(b'\n'))
            .from_writer(Vec::new());
        let mut header: Vec<String> = self
            .axes
            .iter()
            .map(|a| if a.ns.is_some() { format!("{}_ns", a.name) } else { a.name.clone() })
            .collect();
        let counts: &[&str] = match self.kind {
            Kind::Explored => &["schedules", "bugs", "complete", "class"],
            Kind::Timed => &[
                "expiries", "min_ns", "p50_ns", "p99_ns", "p999_ns", "max_ns", "runs", "bugs",
                "class",
            ],
        };
        header.extend(counts.iter().map(|c| (*c).to_string()));
        out.write_record(&header)?;
        for cell in &self.cells {
            let mut row: Vec<String> = self
                .axes
                .iter()
                .zip(&cell.at)
                .map(|(a, at)| a.ns.as_ref().map_or(a.values[*at].clone(), |n| n[*at].to_string()))
                .collect();
            match &cell.outcome {
                Outcome::Explored { schedules, bugs, complete } => {
                    row.extend([*schedules, *bugs, u64::from(*complete)].map(|n| n.to_string()));
                }
                Outcome::Timed { runs, bugs, late } => {
                    let times = [late.min_ns, late.p50_ns, late.p99_ns, late.p999_ns, late.max_ns];
                    let time =
                        |ns: u64| if late.count > 0 { ns.to_string() } else { String::new() };
                    row.push(late.count.to_string());
                    row.extend(times.map(time));
                    row.extend([*runs, *bugs].map(|n| n.to_string()));
                }
            }
            row.push(cell.class.clone().unwrap_or_default());
            out.write_record(&row)?;
        }
        out.into_inner().map_err(|e| io::Error::other(e.to_string()))
    }

    /// The object of `sweep`.
    pub fn json(&self) -> Value {
        let axes: Vec<Value> = self
            .axes
            .iter()
            .map(|a| json!({ "name": a.name, "values": a.values, "ns": a.ns }))
            .collect();
        let cell = |c: &Cell| {
            let at: Map<String, Value> = self
                .axes
                .iter()
                .zip(&c.at)
                .map(|(a, at)| (a.name.clone(), json!(a.values[*at])))
                .collect();
            let mut v = json!({ "at": at, "class": c.class, "bugs": c.bugs() });
            match &c.outcome {
                Outcome::Explored { schedules, complete, .. } => {
                    v["schedules"] = json!(schedules);
                    v["complete"] = json!(complete);
                }
                Outcome::Timed { runs, late, .. } => {
                    v["runs"] = json!(runs);
                    v["latency"] = summary(late);
                }
            }
            v["ok"] = match c.exit_code {
                0 => json!(true),
                1 => json!(false),
                _ => Value::Null,
            };
            v
        };
        let mut out = json!({
            "schema": SCHEMA,
            "scenario": self.scenario,
            "kernel": if self.kernel.is_empty() { Value::Null } else { json!(self.kernel) },
            "kind": match self.kind { Kind::Explored => "explore", Kind::Timed => "run" },
            "axes": axes,
            "cells": self.cells.iter().map(cell).collect::<Vec<_>>(),
        });
        if self.is_partial() {
            out["partial"] = json!(true);
        }
        out
    }

    /// The sweep of such an object; `None`: it is none.
    pub fn of_json(v: &Value, command: String) -> Option<Sweep> {
        let text = |v: &Value| v.as_str().map(str::to_string);
        let axis = |v: &Value| {
            let values: Option<Vec<String>> = v["values"].as_array()?.iter().map(text).collect();
            let ns = v["ns"].as_array().and_then(|n| n.iter().map(Value::as_i64).collect());
            Some(Axis { name: text(&v["name"])?, values: values?, ns })
        };
        let axes: Option<Vec<Axis>> = v["axes"].as_array()?.iter().map(axis).collect();
        let axes = axes?;
        let kind = match v["kind"].as_str()? {
            "explore" => Kind::Explored,
            "run" => Kind::Timed,
            _ => return None,
        };
        let cell = |v: &Value| {
            let place = |a: &Axis| a.values.iter().position(|x| v["at"][&a.name] == json!(x));
            let at: Option<Vec<usize>> = axes.iter().map(place).collect();
            let bugs = v["bugs"].as_u64()?;
            let outcome = match kind {
                Kind::Explored => Outcome::Explored {
                    schedules: v["schedules"].as_u64()?,
                    bugs,
                    complete: v["complete"].as_bool()?,
                },
                Kind::Timed => {
                    let n = |key: &str| v["latency"][key].as_u64();
                    let late = Summary {
                        count: n("count")?,
                        min_ns: n("min_ns")?,
                        p50_ns: n("p50_ns")?,
                        p99_ns: n("p99_ns")?,
                        p999_ns: n("p999_ns")?,
                        max_ns: n("max_ns")?,
                    };
                    Outcome::Timed { runs: v["runs"].as_u64()?, bugs, late }
                }
            };
            let exit_code = match v["ok"].as_bool() {
                Some(true) => 0,
                Some(false) => 1,
                None => 3,
            };
            Some(Cell { at: at?, outcome, class: text(&v["class"]), exit_code })
        };
        let cells: Option<Vec<Cell>> = v["cells"].as_array()?.iter().map(cell).collect();
        let cells = cells?;
        let all = axes.iter().map(|a| a.values.len()).product::<usize>();
        let whole = cells.len() == all || v["partial"] == true && cells.len() < all;
        let kernel = v["kernel"].as_str().unwrap_or_default().to_string();
        let sweep = Sweep { scenario: text(&v["scenario"])?, kernel, kind, axes, cells, command };
        whole.then_some(sweep)
    }

    /// What people read: a table for one axis, maps for two and more, and a last line that counts.
    pub fn text(&self) -> String {
        let mut out = self.scenario.clone();
        if !self.kernel.is_empty() {
            let _ = write!(out, "  {}", self.kernel);
        }
        out.push('\n');
        let axes: Vec<String> = self.axes.iter().rev().map(Axis::words).collect();
        let cells = count(self.wanted(), "cell", "cells");
        let _ =
            writeln!(out, "{}{cells}\n", axes.iter().map(|a| format!("{a}, ")).collect::<String>());
        // An axis with one value is no direction of a map.
        let wide: Vec<usize> =
            (0..self.axes.len()).filter(|i| self.axes[*i].values.len() > 1).collect();
        match wide[..] {
            [] | [_] => out.push_str(&self.table()),
            [.., y, x] => out.push_str(&self.maps(&wide[..wide.len() - 2], y, x)),
        }
        out.push_str(&self.sum());
        out
    }

    fn sum(&self) -> String {
        let mut out = String::new();
        let all = self.cells.len() as u64;
        let with: Vec<&Cell> = self.cells.iter().filter(|c| c.bugs() > 0).collect();
        let n = with.len() as u64;
        let cells = |n: u64| count(n, "cell has", "cells have");
        let _ = match with.first() {
            Some(first) => writeln!(
                out,
                "  {} of {} {} a bug; first: {}",
                grouped(n),
                grouped(all),
                if n == 1 { "cells has" } else { "cells have" },
                self.settings(first)
            ),
            None => writeln!(out, "  no cell has a bug"),
        };
        let mut left = |code: u8, what: &str| {
            let n = self.cells.iter().filter(|c| c.exit_code == code).count() as u64;
            if n > 0 {
                let _ = writeln!(out, "  {} {what}", cells(n));
            }
        };
        left(1, "an expectation that fails");
        left(3, "hit a bound before all was decided");
        if self.is_partial() {
            let (done, all) = (grouped(all), grouped(self.wanted()));
            let _ =
                writeln!(out, "  interrupted: {done} of {all} cells were done; this is partial");
        }
        out
    }

    fn table(&self) -> String {
        let head: &[&str] = match self.kind {
            Kind::Explored => &["schedules", "bugs", "complete", "class"],
            Kind::Timed => &["expiries", "min us", "p50 us", "p99 us", "max us", "bugs", "class"],
        };
        let mut rows: Vec<Vec<String>> = vec![
            self.axes
                .iter()
                .map(|a| a.name.clone())
                .chain(head.iter().map(|h| (*h).to_string()))
                .collect(),
        ];
        for cell in &self.cells {
            let mut row: Vec<String> =
                self.axes.iter().zip(&cell.at).map(|(a, at)| a.values[*at].clone()).collect();
            match &cell.outcome {
                Outcome::Explored { schedules, bugs, complete } => {
                    row.extend([grouped(*schedules), grouped(*bugs)]);
                    row.push(if *complete { "yes" } else { "no" }.to_string());
                }
                Outcome::Timed { bugs, late, .. } => {
                    let time = |ns: u64| if late.count > 0 { us(ns) } else { "-".to_string() };
                    row.push(grouped(late.count));
                    row.extend([late.min_ns, late.p50_ns, late.p99_ns, late.max_ns].map(time));
                    row.push(grouped(*bugs));
                }
            }
            row.push(cell.class.clone().unwrap_or_else(|| "-".to_string()));
            rows.push(row);
        }
        let widths: Vec<usize> = (0..rows[0].len())
            .map(|i| rows.iter().map(|r| r[i].len()).max().unwrap_or(0))
            .collect();
        let last = widths.len() - 1;
        let mut out = String::new();
        for row in &rows {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(i, (text, w))| if i == last { text.clone() } else { format!("{text:>w$}") })
                .collect();
            let _ = writeln!(out, "  {}", cells.join("  "));
        }
        out.push('\n');
        out
    }

    /// A map for each combination of the axes `outer`.
    fn maps(&self, outer: &[usize], y: usize, x: usize) -> String {
        let columns = shown(self.axes[x].values.len(), COLUMNS_MAX);
        let rows = shown(self.axes[y].values.len(), ROWS_MAX);
        let combinations: usize = outer.iter().map(|i| self.axes[*i].values.len()).product();
        let range = self.p99_range();
        let mut out = String::new();
        for n in 0..combinations.min(MAPS_MAX) {
            let mut at = vec![0; self.axes.len()];
            let mut rest = n;
            for i in outer.iter().rev() {
                at[*i] = rest % self.axes[*i].values.len();
                rest /= self.axes[*i].values.len();
            }
            if !outer.is_empty() {
                let one =
                    |i: &usize| format!("{}={}", self.axes[*i].name, self.axes[*i].values[at[*i]]);
                let all: Vec<String> = outer.iter().map(one).collect();
                let _ = writeln!(out, "  {}", all.join(" "));
            }
            out.push_str(&self.map(&mut at, (y, &rows), (x, &columns), range));
            out.push('\n');
        }
        out.push_str(&self.legend(range));
        let left = [
            (self.axes[y].values.len() - rows.len(), "row", "rows"),
            (self.axes[x].values.len() - columns.len(), "column", "columns"),
            (combinations.saturating_sub(MAPS_MAX), "map", "maps"),
        ];
        let left: Vec<String> = left
            .iter()
            .filter(|l| l.0 > 0)
            .map(|(n, one, many)| count(*n as u64, one, many))
            .collect();
        if !left.is_empty() {
            let _ = writeln!(out, "  ({} left out; all cells in sweep.csv)", left.join(", "));
        }
        out
    }

    fn map(
        &self,
        at: &mut [usize],
        (y, rows): (usize, &[usize]),
        (x, columns): (usize, &[usize]),
        range: Option<(u64, u64)>,
    ) -> String {
        let (ys, xs) = (&self.axes[y].values, &self.axes[x].values);
        let label = rows.iter().map(|r| ys[*r].len()).max().unwrap_or(0);
        let mut out = String::new();
        // Upwards, as in a chart.
        for row in rows.iter().rev() {
            at[y] = *row;
            let _ = write!(out, "  {:>label$}  ", ys[*row]);
            for column in columns {
                at[x] = *column;
                out.push(self.cell(at).map_or(' ', |c| self.glyph(c, range)));
            }
            out.push('\n');
        }
        let first = format!("^{}", xs[columns[0]]);
        let end = columns.len() - 1;
        let _ = write!(out, "  {:label$}  {first}", "");
        let last = &xs[columns[end]];
        if first.len() < end {
            let _ = write!(out, "{:gap$}^{last}", "", gap = end - first.len());
        } else if end > 0 {
            let _ = write!(out, "..{last}");
        }
        out.push('\n');
        out
    }

    fn glyph(&self, cell: &Cell, range: Option<(u64, u64)>) -> char {
        let digit = |n: u64| char::from_digit(n.min(9) as u32, 10).unwrap_or('9');
        match (self.kind, cell.p99_ns(), range) {
            (Kind::Explored, ..) => match (cell.tenths(), cell.exit_code, &cell.outcome) {
                (0, 0, Outcome::Explored { complete: true, .. }) => '.',
                (0, 1, _) => '!',
                (0, ..) => '?',
                (10, ..) => '#',
                (n, ..) => digit(n),
            },
            _ if cell.bugs() > 0 => 'B',
            _ if cell.exit_code == 1 => '!',
            (_, Some(p99), Some((least, most))) => {
                digit((u128::from(p99 - least) * 9 / u128::from((most - least).max(1))) as u64)
            }
            _ => '-',
        }
    }

    fn legend(&self, range: Option<(u64, u64)>) -> String {
        match (self.kind, range) {
            (Kind::Explored, _) => "  . no bug   1-9 tenths of schedules with a bug   # all\n  \
                                    ? not complete   ! expectation fails\n"
                .to_string(),
            (Kind::Timed, Some((least, most))) => format!(
                "  0-9 p99 from {} us to {} us\n  - no expiry   B bug   ! expectation fails\n",
                us(least),
                us(most)
            ),
            (Kind::Timed, None) => "  - no expiry   B bug   ! expectation fails\n".to_string(),
        }
    }
}

impl Axis {
    /// `offset -8us .. 12us (21)`.
    fn words(&self) -> String {
        let n = self.values.len();
        match &self.values[..] {
            [one] => format!("{} {one}", self.name),
            [first, .., last] => format!("{} {first} .. {last} ({n})", self.name),
            [] => self.name.clone(),
        }
    }
}

/// Which of `n` values are shown where at most `max` fit: evenly, with both ends.
fn shown(n: usize, max: usize) -> Vec<usize> {
    if n <= max { (0..n).collect() } else { (0..max).map(|i| i * (n - 1) / (max - 1)).collect() }
}
