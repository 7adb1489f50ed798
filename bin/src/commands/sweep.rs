//! `timerace sweep`: a scenario over a grid of its parameters.

use crate::args::{Common, FileArgs, Format, KernelArgs, Mode, SearchArgs};
use crate::commands::explore::default_dir;
use crate::commands::run;
use crate::fail::{Fail, code};
use crate::progress::Bar;
use crate::saved::File;
use crate::search::{Progress, Silent, search};
use crate::session::{self, Session, Source};
use crate::settings;
use crate::{interrupt, output, parallel, saved};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Mutex;
use timerace_kernel::KernelVersion;
use timerace_kernel::world::Stop;
use timerace_reports::json;
use timerace_reports::latency::Histogram;
use timerace_reports::origin;
use timerace_reports::sweep::{Axis, Cell, Kind, Outcome, Sweep};
use timerace_reports::sweep_svg::sweep_svg;
use timerace_scenarios::diag::did_you_mean;
use timerace_scenarios::grid::{self, Settings};

/// Most cells of a sweep.
const MAX_CELLS: u64 = 1_000_000;

/// What to sweep over.
pub struct Wanted<'a> {
    /// The scenario and its settings.
    pub file: &'a FileArgs,
    /// Axes of the command line.
    pub axes: &'a [grid::Axis],
    /// Releases and ranges; several are an axis.
    pub kernels: &'a [String],
    /// Fixes to add.
    pub with: &'a [String],
    /// Fixes to remove.
    pub without: &'a [String],
    /// What to do in each cell.
    pub mode: Option<Mode>,
    /// How to search.
    pub search: &'a SearchArgs,
    /// Seeds of timed runs.
    pub seeds: Option<(u64, u64)>,
    /// Costs of timed runs.
    pub costs: Option<PathBuf>,
}

/// Goes through the grid, prints the map, and writes the rows.
pub fn sweep(common: &Common, wanted: &Wanted<'_>) -> Result<u8, Fail> {
    let source = Source::read(&wanted.file.file)?;
    let kernels = session::kernels(wanted.kernels, wanted.with, wanted.without)?;
    let kernel = match kernels.first() {
        Some(k) => KernelArgs::of(*k),
        None => KernelArgs {
            kernel: None,
            with: wanted.with.to_vec(),
            without: wanted.without.to_vec(),
        },
    };
    let first = Session::of(common, source.clone(), &kernel, &wanted.file.set)?;
    let axes = axes(&first, wanted)?;
    let each = kernels.len().max(1) as u64;
    let cells = grid::cells(&axes);
    let all = cells.saturating_mul(each);
    if all > MAX_CELLS {
        return Err(Fail::usage(format!(
            "error: {}: a sweep over {all} cells; at most {MAX_CELLS} are taken",
            source.name
        )));
    }
    let kind = match (wanted.mode, first.world.stop) {
        (Some(Mode::Explore), _) | (None, Stop::Idle) => Kind::Explored,
        (Some(Mode::Run), _) | (None, _) => Kind::Timed,
    };
    let plan = Plan { common, wanted, source, kernel, kernels: &kernels, axes: &axes, kind };
    if all == 1 {
        let note =
            "note: one cell: no parameter has several values; --axis NAME=FROM..TO/STEP gives them";
        output::note(common, note);
    }
    let bar = Mutex::new((Bar::new(common, "cells"), 0));
    let numbers: Vec<u64> = (0..all).collect();
    let done = parallel::map(&numbers, common.jobs, |n| {
        let cell = (!interrupt::asked()).then(|| plan.cell(*n));
        if let Ok(mut bar) = bar.lock() {
            bar.1 += 1;
            let done = bar.1;
            bar.0.schedules(done);
        }
        // Cut off in the middle, it says nothing.
        cell.filter(|_| !interrupt::asked())
    });
    if let Ok(bar) = bar.lock() {
        bar.0.finish();
    }
    let cells = done.into_iter().map_while(|cell| cell).collect::<Result<Vec<Cell>, Fail>>()?;
    let words = plan.words(&first);
    finish(common, &first, &plan.sweep(&first, cells), words)
}

/// The pictures of a saved sweep.
pub fn pictures(common: &Common, result: &Value, words: &[String]) -> Option<Vec<File>> {
    let sweep = Sweep::of_json(result, line(words))?;
    let theme = common.theme.map(|t| t.of()).unwrap_or_default();
    Some(vec![("sweep.svg".to_string(), sweep_svg(&sweep, theme).into_bytes())])
}

/// The command as it is typed.
fn line(words: &[String]) -> String {
    let words: Vec<String> =
        std::iter::once("timerace".to_string()).chain(words.iter().cloned()).collect();
    origin::line(&words)
}

fn finish(common: &Common, first: &Session, sweep: &Sweep, words: Vec<String>) -> Result<u8, Fail> {
    let fail = |e: &dyn std::fmt::Display| Fail::usage(format!("error: {e}"));
    let dir = common.out.clone().unwrap_or_else(|| match sweep.kernel.is_empty() {
        true => settings::out(common).join(&sweep.scenario).join("sweep"),
        false => default_dir(common, first),
    });
    let value = sweep.json();
    let theme = common.theme.map(|t| t.of()).unwrap_or_default();
    let files = vec![
        ("result.json".to_string(), saved::result_json(common, value.clone(), words)),
        ("sweep.csv".to_string(), sweep.csv().map_err(|e| fail(&e))?),
        ("sweep.svg".to_string(), sweep_svg(sweep, theme).into_bytes()),
    ];
    if common.format == Format::Json {
        output::print(&json::text(&value));
    } else {
        output::print(&sweep.text());
    }
    saved::write(common, &dir, files)?;
    let has = |code: &u8| sweep.cells.iter().any(|c| c.exit_code == *code);
    Ok([code::FAILED, code::INCONCLUSIVE].into_iter().find(has).unwrap_or(code::OK))
}

/// The axes of the file, with the values of the command line where it names one; then those that only it names.
fn axes(s: &Session, wanted: &Wanted<'_>) -> Result<Vec<grid::Axis>, Fail> {
    let mut axes = grid::axes(&s.scenario);
    for axis in wanted.axes {
        let names = || s.scenario.params.iter().map(|(name, _)| name.node.as_str());
        if !names().any(|name| name == axis.name) {
            let all: Vec<&str> = names().collect();
            let meant = did_you_mean(&axis.name, names());
            return Err(Fail::usage(format!(
                "error: {}: there is no parameter `{}`{}\n  = note: parameters are {}",
                s.source.name,
                axis.name,
                meant.map_or(String::new(), |m| format!("; {m}")),
                if all.is_empty() { "none".to_string() } else { all.join(", ") },
            )));
        }
        if s.scenario.params.iter().any(|(name, p)| name.node == axis.name && p.set) {
            return Err(Fail::usage(format!("error: `{}` is both set and an axis", axis.name)));
        }
        match axes.iter_mut().find(|old| old.name == axis.name) {
            Some(old) => *old = axis.clone(),
            None => axes.push(axis.clone()),
        }
    }
    Ok(axes)
}

/// What is the same for all cells.
struct Plan<'a> {
    common: &'a Common,
    wanted: &'a Wanted<'a>,
    source: Source,
    /// The kernel, or the first one.
    kernel: KernelArgs,
    /// An axis if there are several.
    kernels: &'a [KernelVersion],
    axes: &'a [grid::Axis],
    kind: Kind,
}

impl Plan<'_> {
    fn cell(&self, number: u64) -> Result<Cell, Fail> {
        let of_params = grid::cells(self.axes);
        let settings = grid::cell(self.axes, number % of_params);
        let kernel = match self.kernels {
            [] | [_] => self.kernel.clone(),
            all => KernelArgs::of(all[(number / of_params) as usize]),
        };
        let at = self.numbers(number);
        let set: Settings = self.wanted.file.set.iter().chain(&settings).cloned().collect();
        let opened = Session::of(self.common, self.source.clone(), &kernel, &set)
            .and_then(|s| s.with_costs(self.wanted.costs.as_deref()));
        let done = opened.and_then(|s| match self.kind {
            Kind::Explored => self.explored(s),
            Kind::Timed => self.timed(&s),
        });
        match done {
            Ok((outcome, class, exit_code)) => Ok(Cell { at, outcome, class, exit_code }),
            Err(fail) if settings.is_empty() => Err(fail),
            Err(Fail { code, message }) => {
                let message = format!("{message}\nin the cell {}", grid::words(&settings));
                Err(Fail { code, message })
            }
        }
    }

    /// The number of the value on each axis.
    fn numbers(&self, number: u64) -> Vec<usize> {
        let mut rest = number;
        let lengths = self.axes.iter().map(grid::Axis::len).rev();
        let mut at: Vec<usize> = lengths
            .map(|n| {
                let i = rest % n;
                rest /= n;
                i as usize
            })
            .collect();
        if self.kernels.len() > 1 {
            at.push(rest as usize);
        }
        at.reverse();
        at
    }

    fn explored(&self, mut s: Session) -> Result<(Outcome, Option<String>, u8), Fail> {
        // A share of schedules needs all of them.
        let args = settings::search(self.common, &s.scenario, self.wanted.search);
        let args = SearchArgs { keep_going: true, ..args };
        s.set_irqs(args.irqs);
        let found = search(&s, &args, 1, &mut Silent)?;
        let e = &found.exploration;
        let class = e.findings.first().map(|f| f.class.name().to_string());
        let outcome =
            Outcome::Explored { schedules: e.schedules, bugs: e.failing, complete: e.complete };
        Ok((outcome, class, found.exit_code()))
    }

    fn timed(&self, s: &Session) -> Result<(Outcome, Option<String>, u8), Fail> {
        let seed = self.wanted.search.seed;
        let (from, to) = self.wanted.seeds.unwrap_or((seed, seed));
        let mut late = Histogram::default();
        let mut class = None;
        let (mut runs, mut bugs) = (0, 0);
        let mut worst = code::OK;
        for seed in from..=to {
            let t = run::once(s, seed)?;
            if interrupt::asked() {
                // The cell is left out.
                break;
            }
            late.merge(t.latencies.overall());
            runs += 1;
            bugs += u64::from(!t.findings.is_empty());
            class = class.or(t.findings.first().map(|f| f.class.clone()));
            if worst != code::FAILED && t.exit_code != code::OK {
                worst = t.exit_code;
            }
        }
        Ok((Outcome::Timed { runs, bugs, late: late.summary() }, class, worst))
    }

    fn sweep(&self, first: &Session, cells: Vec<Cell>) -> Sweep {
        let params =
            self.axes.iter().map(|a| Axis { name: a.name.clone(), values: a.texts(), ns: a.ns() });
        let several = self.kernels.len() > 1;
        let kernels = several.then(|| Axis {
            name: "kernel".to_string(),
            values: self.kernels.iter().map(ToString::to_string).collect(),
            ns: None,
        });
        Sweep {
            scenario: first.scenario.name.node.clone(),
            kernel: if several { String::new() } else { first.kernel_name() },
            kind: self.kind,
            axes: kernels.into_iter().chain(params).collect(),
            cells,
            command: line(&self.words(first)),
        }
    }

    /// The command that does the same again.
    fn words(&self, first: &Session) -> Vec<String> {
        let mut words: Vec<String> = ["sweep", &first.source.name].map(String::from).into();
        let mut flag = |name: &str, value: String| words.extend([name.to_string(), value]);
        match self.wanted.kernels {
            [] => flag("--kernel", first.kernel.release().to_string()),
            all => all.iter().for_each(|k| flag("--kernel", k.clone())),
        }
        self.wanted.with.iter().for_each(|f| flag("--with", f.clone()));
        self.wanted.without.iter().for_each(|f| flag("--without", f.clone()));
        self.wanted.file.set.iter().for_each(|(k, v)| flag("--set", format!("{k}={v}")));
        for axis in self.wanted.axes {
            flag("--axis", axis.to_string());
        }
        if let Some((a, b)) = self.wanted.seeds {
            flag("--seeds", format!("{a}..{b}"));
        }
        if let Some(irqs) = self.wanted.search.irqs {
            flag("--irqs", irqs.to_string());
        }
        words.extend(self.wanted.search.flags().into_iter().filter(|f| f != "--keep-going"));
        words
    }
}
