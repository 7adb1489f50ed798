//! From arguments to a scenario that is ready to run: reading, checking, choosing the kernel.

use crate::args::{Common, FileArgs, KernelArgs, KernelsArgs};
use crate::fail::Fail;
use crate::{output, settings};
use std::path::{Path, PathBuf};
use timerace_core::Machine;
use timerace_core::policy::Limits;
use timerace_core::timed::Costs;
use timerace_kernel::versions::VersionError;
use timerace_kernel::world::Stop;
use timerace_kernel::{Kernel, KernelVersion, World};
use timerace_reports::origin::Origin;
use timerace_scenarios::ast::Scenario;
use timerace_scenarios::diag::Diagnostic;
use timerace_scenarios::grid::{self, Settings};
use timerace_scenarios::load::{self, Checked};
pub use timerace_scenarios::source::Source;
use timerace_scenarios::{costs, lower};

/// A scenario, checked and resolved for one kernel.
pub struct Session {
    /// Where it came from.
    pub source: Source,
    /// The tree.
    pub scenario: Scenario,
    /// The kernel that it runs on.
    pub kernel: KernelVersion,
    /// The resolved form.
    pub world: World,
    /// What steps cost in timed runs.
    pub costs: Costs,
    /// The file that they are from; `None`: the generic costs.
    pub costs_file: Option<PathBuf>,
    /// Arguments that select the kernel again, beside `--kernel`.
    options: Vec<String>,
}

impl Session {
    /// Reads, checks and resolves a scenario; everything that is wrong is in the failure.
    pub fn open(common: &Common, file: &FileArgs, kernel: &KernelArgs) -> Result<Session, Fail> {
        let source = Source::read(&file.file)?;
        Session::of(common, source, kernel, &file.set)
    }

    /// The same for a scenario that is read already.
    pub fn of(
        common: &Common,
        source: Source,
        kernel: &KernelArgs,
        set: &[(String, String)],
    ) -> Result<Session, Fail> {
        let complain = |d: &[Diagnostic]| Fail::usage(source.render_all(d, output::style(common)));
        let checked = load::check_source(&source, set);
        let scenario = checked.scenario.ok_or_else(|| complain(&checked.diagnostics))?;
        let version = choose_kernel(&scenario, kernel).map_err(|e| match e {
            KernelError::Usage(m) => Fail::usage(m),
            KernelError::File(d) => complain(&[*d]),
        })?;
        let rules = load::kernel_rules(&scenario, numbers(version));
        if rules.iter().any(Diagnostic::is_error) {
            return Err(complain(&rules));
        }
        let world = lower::lower(&scenario, &source.text, version).map_err(|d| complain(&d))?;
        let name = |f: timerace_kernel::Fix| f.info().commit.unwrap_or(f.info().name).to_string();
        let mut options = Vec::new();
        options.extend(version.added().flat_map(|f| ["--with".to_string(), name(f)]));
        options.extend(version.removed().flat_map(|f| ["--without".to_string(), name(f)]));
        options.extend(set.iter().flat_map(|(k, v)| ["--set".to_string(), format!("{k}={v}")]));
        let costs = Costs::default();
        Ok(Session { source, scenario, kernel: version, world, costs, costs_file: None, options })
    }

    /// The same with the costs of a file, if one is given.
    pub fn with_costs(mut self, file: Option<&Path>) -> Result<Session, Fail> {
        if let Some(file) = file {
            self.costs = costs::read(file).map_err(|e| Fail::usage(e.to_string()))?;
            self.costs_file = Some(file.to_path_buf());
        }
        Ok(self)
    }

    /// The flag that names the file of costs.
    pub fn costs_flag(&self) -> Vec<String> {
        let file = self.costs_file.iter();
        file.flat_map(|f| ["--costs".to_string(), f.display().to_string()]).collect()
    }

    /// So many ticks may come at any point, instead of what the scenario says.
    pub fn set_irqs(&mut self, irqs: Option<u32>) {
        if let Some(irqs) = irqs {
            self.world.irqs = irqs;
            self.options.extend(["--irqs".to_string(), irqs.to_string()]);
        }
    }

    /// A timed run goes on for so many nanoseconds, instead of what the scenario says.
    pub fn set_length(&mut self, ns: Option<u64>) {
        if let Some(ns) = ns {
            self.world.stop = Stop::Time(ns);
            self.options.extend(["--for".to_string(), length(ns)]);
        }
    }

    /// Says which parameters have several values, of which only the first is taken.
    pub fn note_first_values(&self, common: &Common) {
        if let Some(note) = grid::first_taken(&self.scenario) {
            output::note(common, &format!("note: {note}"));
        }
    }

    /// Arguments that select the kernel and the parameters again.
    pub fn arguments(&self) -> Vec<String> {
        let kernel = ["--kernel".to_string(), self.kernel.release().to_string()];
        kernel.into_iter().chain(self.options.iter().cloned()).collect()
    }

    /// The machine and the model, for explored or for timed runs.
    pub fn boot(&self, timed: bool) -> Result<(Machine, Kernel), Fail> {
        timerace_kernel::boot(&self.world, timed).map_err(|e| {
            let at = boot_place(&e);
            let place = match at.line {
                0 => self.source.name.clone(),
                line => format!("{}:{}", self.source.place_of_line(line), at.col),
            };
            Fail::usage(format!("error: {place}: {e}"))
        })
    }

    /// What reports say about where the run came from.
    pub fn origin(&self) -> Origin {
        Origin {
            scenario: self.scenario.name.node.clone(),
            file: self.source.name.clone(),
            kernel: self.kernel.release().to_string(),
            options: self.options.clone(),
            born_line: None,
            fragments: self.source.parts()[1..]
                .iter()
                .map(|p| (p.first_line, p.name.clone()))
                .collect(),
        }
    }

    /// The kernel as results name it: release, and fixes added or removed.
    pub fn kernel_name(&self) -> String {
        self.kernel.to_string()
    }

    /// Limits of one explored execution.
    pub fn limits(&self) -> Limits {
        let default = Limits::default();
        let l = &self.world.limits;
        Limits {
            steps: l.steps.map_or(default.steps, |n| u32::try_from(n).unwrap_or(u32::MAX)),
            expiries: l.expiries.unwrap_or(default.expiries),
        }
    }
}

/// Everything that is wrong with a scenario, warnings included: on each of these kernels, else on its own, else on those
/// of timerace.ron.
pub fn problems(
    common: &Common,
    source: &Source,
    kernels: &KernelsArgs,
    set: &Settings,
) -> Result<Checked, Fail> {
    let mut checked = load::check_source(source, set);
    let Some(scenario) = &checked.scenario else { return Ok(checked) };
    let mut named = kernels.kernel.clone();
    if named.is_empty() && scenario.kernel.is_none() {
        named.extend(common.project.config.kernels.iter().map(|k| k.node.clone()));
    }
    let mut versions = self::kernels(&named, &kernels.with, &kernels.without)?;
    let several = versions.len() > 1;
    if versions.is_empty() {
        let args = KernelArgs {
            kernel: None,
            with: kernels.with.clone(),
            without: kernels.without.clone(),
        };
        match choose_kernel(scenario, &args) {
            Ok(v) => versions.push(v),
            Err(KernelError::Usage(m)) => return Err(Fail::usage(m)),
            Err(KernelError::File(d)) => checked.diagnostics.push(*d),
        }
    }
    let mut more = Vec::new();
    for version in &versions {
        more.extend(load::kernel_rules(scenario, numbers(*version)));
        more.extend(lower::lower(scenario, &source.text, *version).err().unwrap_or_default());
    }
    let costs = settings::costs(common, None).map(|file| costs::read(&file)).transpose();
    let costs = costs.map_err(|e| Fail::usage(e.to_string()))?.unwrap_or_default();
    more.extend(load::uncalibrated(scenario, &costs));
    if several {
        more.extend(load::never_apply(scenario, &versions));
    }
    for diag in more {
        if !checked.diagnostics.contains(&diag) {
            checked.diagnostics.push(diag);
        }
    }
    Ok(checked)
}

/// What a kernel lacks for a scenario that is right in itself: the first thing that it refuses, in words.
pub fn lacks(
    source: &Source,
    kernel: &KernelArgs,
    set: &[(String, String)],
) -> Result<Option<String>, Fail> {
    let Some(scenario) = load::check_source(source, set).scenario else { return Ok(None) };
    let version = match choose_kernel(&scenario, kernel) {
        Ok(v) => v,
        Err(KernelError::Usage(m)) => return Err(Fail::usage(m)),
        Err(KernelError::File(_)) => return Ok(None),
    };
    let rules = load::kernel_rules(&scenario, numbers(version));
    Ok(rules.into_iter().find(Diagnostic::is_error).map(|d| d.message))
}

pub enum KernelError {
    /// The command line is wrong.
    Usage(String),
    /// The file is.
    File(Box<Diagnostic>),
}

/// `--kernel` (or the environment), else the scenario's, else the newest; then the flags' fixes.
pub fn choose_kernel(scenario: &Scenario, args: &KernelArgs) -> Result<KernelVersion, KernelError> {
    let file = lower::kernel_of(scenario).map_err(|d| KernelError::File(Box::new(d)))?;
    let base = match &args.kernel {
        Some(text) => one_kernel(text).map_err(KernelError::Usage)?,
        None => file.unwrap_or_else(KernelVersion::newest),
    };
    with_fixes(base, &args.with, &args.without).map_err(KernelError::Usage)
}

/// The kernel of `--kernel`, where it must be one.
fn one_kernel(text: &str) -> Result<KernelVersion, String> {
    if text.contains("..") && KernelVersion::range(text).is_ok() {
        return Err(format!(
            "error: `{text}` is several kernels, and this command takes one; `timerace test` takes ranges"
        ));
    }
    KernelVersion::parse(text).map_err(|e| format!("error: {e}"))
}

/// The kernel of a command that has no scenario: `--kernel`, else the newest; then the flags' fixes.
pub fn kernel(args: &KernelArgs) -> Result<KernelVersion, Fail> {
    let base = match &args.kernel {
        Some(text) => one_kernel(text).map_err(Fail::usage)?,
        None => KernelVersion::newest(),
    };
    with_fixes(base, &args.with, &args.without).map_err(Fail::usage)
}

/// The kernels of `--kernel`, ranges taken apart, each with the flags' fixes.
pub fn kernels(
    texts: &[String],
    with: &[String],
    without: &[String],
) -> Result<Vec<KernelVersion>, Fail> {
    let mut all = Vec::new();
    for text in texts {
        let range = KernelVersion::range(text).map_err(|e| Fail::usage(format!("error: {e}")))?;
        for k in range {
            all.push(with_fixes(k, with, without).map_err(Fail::usage)?);
        }
    }
    Ok(all)
}

impl KernelArgs {
    /// Whether a flag or the environment says which kernel is meant.
    pub fn is_named(&self) -> bool {
        self.kernel.is_some() || !self.with.is_empty() || !self.without.is_empty()
    }

    /// The flags that name this kernel.
    pub fn of(kernel: KernelVersion) -> KernelArgs {
        let name = |f: timerace_kernel::Fix| f.info().commit.unwrap_or(f.info().name).to_string();
        KernelArgs {
            kernel: Some(kernel.release().to_string()),
            with: kernel.added().map(name).collect(),
            without: kernel.removed().map(name).collect(),
        }
    }
}

/// Adds and removes fixes by name or commit.
pub fn with_fixes(
    base: KernelVersion,
    with: &[String],
    without: &[String],
) -> Result<KernelVersion, String> {
    let find = |text: &String| {
        let unknown = || VersionError::UnknownFix { text: text.clone() };
        timerace_kernel::Fix::find(text).ok_or_else(|| format!("error: {}", unknown()))
    };
    let mut kernel = base;
    for f in with {
        kernel = kernel.with(find(f)?);
    }
    for f in without {
        kernel = kernel.without(find(f)?);
    }
    Ok(kernel)
}

fn numbers(kernel: KernelVersion) -> (u32, u32, u32) {
    let r = kernel.release();
    (u32::from(r.major), u32::from(r.minor), u32::from(r.patch))
}

/// A length of time as it is written: in the largest unit that leaves no fraction.
fn length(ns: u64) -> String {
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
    match units.iter().find(|(factor, _)| ns.is_multiple_of(*factor)) {
        Some((factor, unit)) => format!("{}{unit}", ns / factor),
        None => format!("{ns}ns"),
    }
}

/// Where in the file something stands that the model cannot boot; line 0 if nowhere.
fn boot_place(e: &timerace_kernel::BootError) -> timerace_kernel::world::At {
    use timerace_kernel::BootError::{Refused, TooMany, Unsupported};
    match e {
        Unsupported { at, .. } | Refused { at, .. } => *at,
        TooMany { .. } => timerace_kernel::world::At::default(),
    }
}
