//! `timerace test`: the expectations of many scenarios, on one or more kernels.

use crate::args::{Common, Format, KernelArgs, SearchArgs};
use crate::commands::run::{self, Timed};
use crate::fail::{Fail, code};
use crate::search::{Silent, search};
use crate::session::{self, Session, Source};
use crate::{output, parallel};
use std::path::{Path, PathBuf};
use timerace_kernel::KernelVersion;
use timerace_kernel::world::Stop;
use timerace_reports::json::{self, TestCase};
use timerace_reports::matrix_svg::matrix_svg;
use timerace_reports::out_dir::write_dir;
use timerace_reports::table::{Case, CaseState, table};
use timerace_scenarios::grid::{self, Settings};
use timerace_scenarios::judge::Judged;
use timerace_scenarios::source;

/// What to test.
pub struct Wanted<'a> {
    /// Files and folders.
    pub paths: &'a [PathBuf],
    /// Releases and ranges; empty: what each scenario says.
    pub kernels: &'a [String],
    /// Fixes to add and remove.
    pub with: &'a [String],
    /// Fixes to remove.
    pub without: &'a [String],
    /// Part of a scenario's name.
    pub pattern: Option<&'a str>,
    /// Bound on schedules.
    pub max_schedules: Option<u64>,
    /// Settings, for the scenarios that have such a parameter.
    pub set: &'a [(String, String)],
    /// Bound on combinations of parameters.
    pub max_cells: u64,
}

/// A scenario on a kernel.
struct Cell {
    file: PathBuf,
    kernel: Option<KernelVersion>,
    /// What parameters are set to, by the command line and by the cell of the grid.
    set: Settings,
    /// Of these, what the cell says; for the name.
    cell: Settings,
}

struct Outcome {
    case: TestCase,
    shown: Case,
}

/// Runs the expectations and prints the table.
pub fn test(common: &Common, wanted: &Wanted<'_>) -> Result<u8, Fail> {
    let cells = cells(common, wanted)?;
    if cells.is_empty() {
        let message = "error: no scenario matched; nothing was run".to_string();
        return Err(Fail { code: code::NOTHING, message });
    }
    let outcomes = parallel::map(&cells, common.jobs, |c| one(common, c, wanted));
    let outcomes: Vec<Outcome> = outcomes.into_iter().collect::<Result<_, _>>()?;
    let shown: Vec<Case> = outcomes.iter().map(|o| o.shown.clone()).collect();
    let cases: Vec<TestCase> = outcomes.into_iter().map(|o| o.case).collect();
    let value = json::test(&cases);
    if let Some(dir) = &common.out {
        let theme = common.theme.map(|t| t.of()).unwrap_or_default();
        let files = vec![
            ("result.json".to_string(), json::text(&value).into_bytes()),
            ("matrix.txt".to_string(), table(&shown).into_bytes()),
            ("matrix.svg".to_string(), matrix_svg(&shown, &command(wanted), theme).into_bytes()),
        ];
        write_dir(dir, &files).map_err(|e| Fail::usage(format!("error: {e}")))?;
    }
    if common.format == Format::Json {
        output::print(&json::text(&value));
    } else {
        output::print(&table(&shown));
    }
    let has = |code: &u8| cases.iter().any(|c| c.exit_code == *code);
    let worst = [code::FAILED, code::INCONCLUSIVE].into_iter().find(has);
    Ok(worst.unwrap_or(code::OK))
}

/// The command that makes the matrix again.
fn command(wanted: &Wanted<'_>) -> String {
    let paths = wanted.paths.iter().map(|p| p.display().to_string());
    let mut words: Vec<String> =
        ["timerace", "test"].map(String::from).into_iter().chain(paths).collect();
    let flags =
        [("--kernel", wanted.kernels), ("--with", wanted.with), ("--without", wanted.without)];
    words.extend(
        flags.iter().flat_map(|(f, v)| v.iter().flat_map(|v| [(*f).to_string(), v.clone()])),
    );
    words.extend(wanted.set.iter().flat_map(|(k, v)| ["--set".to_string(), format!("{k}={v}")]));
    words.extend(wanted.pattern.into_iter().flat_map(|p| ["-k".to_string(), p.to_string()]));
    words.join(" ")
}

fn cells(common: &Common, wanted: &Wanted<'_>) -> Result<Vec<Cell>, Fail> {
    let named = session::kernels(wanted.kernels, wanted.with, wanted.without)?;
    let mut kernels: Vec<Option<KernelVersion>> = named.into_iter().map(Some).collect();
    if kernels.is_empty() {
        kernels.push(None);
    }
    let mut files = Vec::new();
    for path in wanted.paths {
        collect(path, &mut files)?;
    }
    let mut cells = Vec::new();
    let mut unknown: Vec<&str> = wanted.set.iter().map(|(key, _)| key.as_str()).collect();
    for file in files {
        let source = Source::read(&file)?;
        let s = Session::of(common, source, &KernelArgs::default(), &[])?;
        if wanted.pattern.is_some_and(|p| !s.scenario.name.contains(p)) {
            continue;
        }
        let has = |key: &str| s.scenario.params.iter().any(|(name, _)| name.node == key);
        let set: Settings = wanted.set.iter().filter(|(key, _)| has(key)).cloned().collect();
        unknown.retain(|key| !has(key));
        for cell in grid_of(&s, &set, wanted.max_cells)? {
            let set: Settings = set.iter().chain(&cell).cloned().collect();
            cells.extend(kernels.iter().map(|kernel| Cell {
                file: file.clone(),
                kernel: *kernel,
                set: set.clone(),
                cell: cell.clone(),
            }));
        }
    }
    match unknown.first() {
        Some(key) if !cells.is_empty() => {
            Err(Fail::usage(format!("error: no scenario here has a parameter `{key}` to set")))
        }
        _ => Ok(cells),
    }
}

/// All combinations of the parameters that are not set; one without settings if there is nothing to combine.
fn grid_of(s: &Session, set: &Settings, max: u64) -> Result<Vec<Settings>, Fail> {
    let mut axes = grid::axes(&s.scenario);
    axes.retain(|axis| set.iter().all(|(key, _)| *key != axis.name));
    let cells = grid::cells(&axes);
    if cells <= max {
        return Ok((0..cells).map(|i| grid::cell(&axes, i)).collect());
    }
    let each: Vec<String> = axes.iter().map(|a| format!("{} {}", a.name, a.len())).collect();
    let first = &axes[0];
    Err(Fail::usage(format!(
        "error: {file}: its parameters have {cells} combinations ({}); at most {max} are tested\n\
         help: `timerace sweep {file}` takes all, --set {}={} takes one, --max-cells {cells} tests all",
        each.join(", "),
        first.name,
        first.value(0),
        file = s.source.name,
    )))
}

/// Whether a file that nobody named is there for others: a fragment, costs, the configuration.
fn is_help(path: &Path) -> bool {
    let kind = std::fs::read_to_string(path).ok().and_then(|text| source::kind(&text));
    kind.is_some_and(|k| matches!(k.as_str(), "Fragment" | "Costs" | "Config"))
}

/// All scenario files below a path, in the order of their names.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Fail> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    let fail = |e: std::io::Error| Fail::usage(format!("error: {}: {e}", path.display()));
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
        .map_err(fail)?
        .map(|e| e.map(|e| e.path()))
        .collect::<Result<_, _>>()
        .map_err(fail)?;
    entries.sort();
    for e in entries {
        if e.is_dir() {
            collect(&e, files)?;
        } else if e.extension().is_some_and(|x| x == "ron") && !is_help(&e) {
            files.push(e);
        }
    }
    Ok(())
}

fn one(common: &Common, cell: &Cell, wanted: &Wanted<'_>) -> Result<Outcome, Fail> {
    let source = Source::read(&cell.file)?;
    let kernel = match cell.kernel {
        Some(k) => KernelArgs::of(k),
        None => KernelArgs {
            kernel: None,
            with: wanted.with.to_vec(),
            without: wanted.without.to_vec(),
        },
    };
    let mut s = Session::of(common, source, &kernel, &cell.set)?;
    if !cell.cell.is_empty() {
        s.scenario.name.node += &format!(" ({})", grid::words(&cell.cell));
    }
    // A scenario that says when its run ends is about time; all others are about orders.
    if s.world.stop == Stop::Idle { explored(&s, wanted) } else { timed(&s) }
}

fn explored(s: &Session, wanted: &Wanted<'_>) -> Result<Outcome, Fail> {
    let args = SearchArgs { max_schedules: wanted.max_schedules, ..SearchArgs::default() };
    let found = search(s, &args, 1, &mut Silent)?;
    let classes = found.exploration.findings.iter().map(|f| f.class.name());
    let mut classes: Vec<&str> = classes.collect();
    classes.dedup();
    let (count, note) = if classes.is_empty() {
        let e = &found.exploration;
        let hit = e.bounds.iter().find(|b| b.hit).map(|b| b.name.replace('_', "-"));
        (Some(e.schedules), hit.unwrap_or_else(|| "complete".to_string()))
    } else {
        (None, format!("finds {}", classes.join(", ")))
    };
    let kernel = s.kernel_name();
    let repeat = found.findings(&kernel).first().map(|f| s.origin().replay(&f.schedule));
    let case = TestCase {
        scenario: s.scenario.name.node.clone(),
        verdict: found.verdict(),
        complete: found.exploration.complete,
        expectations: found.expectations(),
        exit_code: found.exit_code(),
        kernel,
    };
    Ok(outcome(s, case, count, note, &found.judged, repeat))
}

fn timed(s: &Session) -> Result<Outcome, Fail> {
    let Timed { expectations, judged, verdict, exit_code, findings, run, .. } = run::once(s, 1)?;
    let note = match findings.first() {
        Some(f) => format!("finds {}", f.class),
        None => format!("{} expiries", run.expiries),
    };
    let repeat = run::command(s, 1);
    let case = TestCase {
        scenario: s.scenario.name.node.clone(),
        kernel: s.kernel_name(),
        verdict,
        complete: false,
        expectations,
        exit_code,
    };
    Ok(outcome(s, case, None, note, &judged, Some(repeat)))
}

fn outcome(
    s: &Session,
    case: TestCase,
    count: Option<u64>,
    note: String,
    judged: &[Judged],
    repeat: Option<String>,
) -> Outcome {
    let state = match case.exit_code {
        code::OK => CaseState::Ok,
        code::FAILED => CaseState::Failed,
        _ => CaseState::Incomplete,
    };
    let details = judged.iter().filter(|j| j.ok == Some(false)).map(|j| {
        let detail = j.detail.as_ref().map_or(String::new(), |d| format!(": {d}"));
        format!("{}{detail}   ({}:{})", j.name, s.source.name, j.line)
    });
    let ok = state == CaseState::Ok;
    let shown = Case {
        scenario: case.scenario.clone(),
        kernel: case.kernel.clone(),
        state,
        count,
        note,
        details: details.collect(),
        repeat: repeat.filter(|_| !ok),
    };
    Outcome { case, shown }
}
