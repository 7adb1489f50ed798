//! Which cases there are: files, parameters, kernels, filters, shards.

use crate::args::{Common, Shard, TestArgs};
use crate::fail::{Fail, code};
use crate::output;
use crate::session::{self, Source, with_fixes};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use timerace_kernel::KernelVersion;
use timerace_reports::certificate::sha256;
use timerace_reports::schedule_ron::{self, SavedSchedule};
use timerace_scenarios::ast::Scenario;
use timerace_scenarios::grid::{self, Settings};
use timerace_scenarios::library;
use timerace_scenarios::{load, source};

/// A scenario, or a saved schedule of one, on a kernel.
pub struct Cell {
    /// How results call it.
    pub name: String,
    /// The scenario's file.
    pub file: PathBuf,
    /// The kernel; `None`: what the scenario says.
    pub kernel: Option<KernelVersion>,
    /// What parameters are set to, by the command line and by the cell of the grid.
    pub set: Settings,
    /// A schedule to be played, instead of a search.
    pub schedule: Option<Saved>,
}

/// A `schedule.ron` in a suite.
#[derive(Clone)]
pub struct Saved {
    /// Its file.
    pub file: PathBuf,
    /// What it holds.
    pub schedule: SavedSchedule,
    /// The text of the scenario, where that is a built-in one.
    pub built_in: Option<&'static str>,
}

/// A file of the suite.
struct Found {
    path: PathBuf,
    text: String,
    /// It was named on the command line.
    named: bool,
}

/// All cases, in the order of the files and of the kernels.
pub fn cells(common: &Common, args: &TestArgs) -> Result<Vec<Cell>, Fail> {
    let kernels = kernels(&args.kernels.kernel, args)?;
    let config = &common.project.config;
    let configured: Vec<String> = config.kernels.iter().map(|k| k.node.clone()).collect();
    let configured = self::kernels(&configured, args)?;
    let paths = match args.paths.is_empty() {
        true => common.project.scenario_files().map_err(|e| Fail::usage(e.to_string()))?,
        false => args.paths.clone(),
    };
    let files = read_all(&paths, !args.paths.is_empty())?;
    let (schedules, mut scenarios): (Vec<Found>, Vec<Found>) =
        files.into_iter().partition(|f| source::kind(&f.text).as_deref() == Some("Schedule"));
    // In a folder of results the scenario is there for the schedule's sake.
    scenarios.retain(|f| f.named || !schedules.iter().any(|s| of_result(&s.path) == f.path));
    let mut cells = Vec::new();
    let mut by_name: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut unknown: Vec<&str> = args.set.iter().map(|(key, _)| key.as_str()).collect();
    let mut broken = Vec::new();
    for found in scenarios {
        let source = Source::read(&found.path).map_err(|e| Fail::usage(e.to_string()))?;
        // No kernel is asked yet: what the newest one refuses another one may allow.
        let checked = load::check_source(&source, &[]);
        let Some(scenario) = checked.scenario else {
            broken.push(source.render_all(&checked.diagnostics, output::style(common)));
            continue;
        };
        let name = scenario.name.node.clone();
        if let Some(other) = by_name.insert(name.clone(), found.path.clone()) {
            broken.push(format!(
                "error: two scenarios are called `{name}`: {} and {}",
                other.display(),
                found.path.display()
            ));
        }
        if !matches(args, &name) {
            continue;
        }
        let has = |key: &str| scenario.params.iter().any(|(name, _)| name.node == key);
        let set: Settings = args.set.iter().filter(|(key, _)| has(key)).cloned().collect();
        unknown.retain(|key| !has(key));
        for cell in grid_of(&source, &scenario, &set, args.max_cells)? {
            let name = match cell.is_empty() {
                true => name.clone(),
                false => format!("{name} ({})", grid::words(&cell)),
            };
            // A scenario that names its kernel means that one, unless the command line says otherwise.
            let open = args.kernels.kernel.is_empty() && scenario.kernel.is_none();
            let kernels = if open { &configured } else { &kernels };
            cells.extend(kernels.iter().map(|kernel| Cell {
                name: name.clone(),
                file: found.path.clone(),
                kernel: *kernel,
                set: set.iter().chain(&cell).cloned().collect(),
                schedule: None,
            }));
        }
    }
    for found in schedules {
        match saved_cells(&found, &by_name, &kernels) {
            Ok(more) => cells.extend(more.into_iter().filter(|c| matches(args, &c.name))),
            Err(message) => broken.push(message),
        }
    }
    if !broken.is_empty() {
        return Err(Fail::usage(broken.join("\n")));
    }
    if let Some(key) = unknown.first().filter(|_| !cells.is_empty()) {
        return Err(Fail::usage(format!("error: no scenario here has a parameter `{key}` to set")));
    }
    if let Some(shard) = args.shard {
        cells.retain(|c| is_in(shard, c));
    }
    Ok(cells)
}

fn matches(args: &TestArgs, name: &str) -> bool {
    args.pattern.is_empty() || args.pattern.iter().any(|p| name.contains(p.as_str()))
}

/// The kernels that are named, with the fixes of the command line; one `None` if none is named.
fn kernels(texts: &[String], args: &TestArgs) -> Result<Vec<Option<KernelVersion>>, Fail> {
    let named = session::kernels(texts, &args.kernels.with, &args.kernels.without)?;
    let mut kernels: Vec<Option<KernelVersion>> = Vec::new();
    for kernel in named.into_iter().map(Some) {
        if !kernels.contains(&kernel) {
            kernels.push(kernel);
        }
    }
    if kernels.is_empty() {
        kernels.push(None);
    }
    Ok(kernels)
}

/// A shard is a matter of the case's own name, so that other cases come and go without moving it.
fn is_in(shard: Shard, cell: &Cell) -> bool {
    let kernel = cell.kernel.map_or_else(String::new, |k| k.to_string());
    let digest = sha256(&format!("{}\n{kernel}", cell.name));
    let number = u64::from_str_radix(&digest[..12], 16).expect("a digest has hexadecimal digits");
    number % u64::from(shard.of) + 1 == u64::from(shard.number)
}

/// A saved schedule on each kernel, or on the one that it was made for.
fn saved_cells(
    found: &Found,
    scenarios: &BTreeMap<String, PathBuf>,
    kernels: &[Option<KernelVersion>],
) -> Result<Vec<Cell>, String> {
    let shown = found.path.display();
    let schedule = schedule_ron::read(&found.text).map_err(|e| format!("error: {shown}: {e}"))?;
    let built_in = library::LIBRARY.iter().find(|e| e.name() == schedule.scenario);
    let beside = of_result(&found.path);
    let (file, built_in) = match (scenarios.get(&schedule.scenario), built_in) {
        _ if beside.is_file() => (beside, None),
        (Some(path), _) => (path.clone(), None),
        (None, Some(entry)) => (PathBuf::from(entry.path), Some(entry.source)),
        (None, None) => {
            return Err(format!(
                "error: {shown}: its scenario `{}` is neither in this suite nor built in\n\
                 help: name the scenario's file or folder too",
                schedule.scenario
            ));
        }
    };
    let made_for = kernel_of(&schedule.kernel).map_err(|e| format!("error: {shown}: {e}"))?;
    let name = format!("{}@{}", schedule.scenario, stem(&found.path));
    let saved = Saved { file: found.path.clone(), schedule, built_in };
    let cell = |kernel: &Option<KernelVersion>| Cell {
        name: name.clone(),
        file: file.clone(),
        kernel: Some(kernel.unwrap_or(made_for)),
        set: Settings::new(),
        schedule: Some(saved.clone()),
    };
    Ok(kernels.iter().map(cell).collect())
}

/// The scenario of a folder of results that holds this schedule.
fn of_result(schedule: &Path) -> PathBuf {
    match schedule.file_name() {
        Some(name) if name == "schedule.ron" => schedule.with_file_name(crate::saved::SCENARIO),
        _ => PathBuf::new(),
    }
}

/// What tells one schedule from another: the file's name, and that of the folder where all are called the same.
fn stem(path: &Path) -> String {
    let stem = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    let folder = path.parent().and_then(Path::file_name).map(|f| f.to_string_lossy().into_owned());
    match folder {
        Some(folder) if stem == "schedule" => format!("{folder}/{stem}"),
        _ => stem,
    }
}

/// `v6.7 with 0281b919e175`, as results write it.
fn kernel_of(text: &str) -> Result<KernelVersion, String> {
    let mut words = text.split_whitespace();
    let base = words.next().unwrap_or_default();
    let base = KernelVersion::parse(base).map_err(|e| e.to_string())?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    while let Some(word) = words.next() {
        let fix = words.next().unwrap_or_default().to_string();
        match word {
            "with" => with.push(fix),
            "without" => without.push(fix),
            _ => return Err(format!("`{text}` is no kernel")),
        }
    }
    with_fixes(base, &with, &without)
}

/// All combinations of the parameters that are not set; one without settings if there is nothing to combine.
fn grid_of(
    source: &Source,
    scenario: &Scenario,
    set: &Settings,
    max: u64,
) -> Result<Vec<Settings>, Fail> {
    let mut axes = grid::axes(scenario);
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
        file = source.name,
    )))
}

/// The files of a suite: those that are named, and below folders those that hold scenarios or schedules. Each once.
fn read_all(paths: &[PathBuf], named: bool) -> Result<Vec<Found>, Fail> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, named, &mut files)?;
    }
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (path, named) in files {
        if !seen.insert(std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone())) {
            continue;
        }
        let text = load::read_file(&path).map_err(|e| Fail::usage(e.to_string()))?;
        let found = Found { path, text, named };
        // Fragments, costs and the project's own file lie in the same folders and are no tests.
        let other = |word: String| matches!(word.as_str(), "Fragment" | "Costs" | "Config");
        if found.named || !source::kind(&found.text).is_some_and(other) {
            all.push(found);
        }
    }
    Ok(all)
}

/// All files with the ending `.ron` below a path, in the order of their names.
fn collect(path: &Path, named: bool, files: &mut Vec<(PathBuf, bool)>) -> Result<(), Fail> {
    if !path.is_dir() {
        files.push((path.to_path_buf(), named));
        return Ok(());
    }
    let fail = |e: std::io::Error| Fail {
        code: code::USAGE,
        message: format!("error: {}: {e}", path.display()),
    };
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
        .map_err(fail)?
        .map(|e| e.map(|e| e.path()))
        .collect::<Result<_, _>>()
        .map_err(fail)?;
    entries.sort();
    for e in entries {
        let hidden = e.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if e.is_dir() {
            // A link may lead back up; what a folder of results holds was tested already.
            if !hidden && !e.is_symlink() && !e.join("result.json").is_file() {
                collect(&e, false, files)?;
            }
        } else if !hidden && e.extension().is_some_and(|x| x == "ron") {
            files.push((e, false));
        }
    }
    Ok(())
}
