//! What the recorded machine did besides: background load, as scenarios use it.

use super::Recording;
use super::check::Rounds;
use super::rounds::{Plan, text_of_rounds};
use crate::ast::Scenario;
use crate::diag::{Diagnostic, Style};
use crate::load::{self, ReadError};
use crate::lower;
use crate::source::Source;
use std::fmt;
use std::path::Path;
use timerace_core::timed::Costs;
use timerace_kernel::world::ProgKind;
use timerace_kernel::{KernelVersion, World};

/// A load under which none of these expires keeps timers for ever.
const TRIAL_ROUNDS: usize = 64;

/// A fragment of load that the rounds of a recording are simulated under.
#[derive(Clone, Debug)]
pub struct Load {
    /// The file, as given.
    pub name: String,
    /// What the fragment's parameters are set to.
    pub set: Vec<(String, String)>,
    /// It has bpf timers of its own. A trace does not tell them from those that are measured.
    pub has_timers: bool,
    /// What a round says in `use:`.
    uses: String,
    source: Source,
}

/// Why a file is no load.
#[derive(Debug)]
pub enum LoadError {
    /// It cannot be read.
    Read(ReadError),
    /// It is wrong, or it does not go with the round of a recording.
    Wrong {
        /// The text that the diagnostics are about.
        source: Box<Source>,
        /// What is wrong.
        diagnostics: Vec<Diagnostic>,
    },
    /// No timer expires under it.
    Starves(String),
}

impl LoadError {
    /// For people.
    pub fn text(&self, style: Style) -> String {
        match self {
            LoadError::Read(e) => e.to_string(),
            LoadError::Starves(what) => format!("error: {what}"),
            LoadError::Wrong { source, diagnostics } => {
                let note = "note: the load is simulated on one CPU, number 0, that of the timers\n";
                source.render_all(diagnostics, style) + note
            }
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Style::default()))
    }
}

impl std::error::Error for LoadError {}

impl Load {
    /// Reads a fragment (`Fragment( .. )`); where there is no such file, the built-in one of this name. `set`: values of
    /// its parameters.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, is no fragment, is refused by the kernel, names another CPU than 0, or keeps a timer
    /// from expiring for ever.
    pub fn read(
        file: &Path,
        set: &[(String, String)],
        kernel: KernelVersion,
    ) -> Result<Load, LoadError> {
        let plan = Plan::trial();
        let text = |uses: &str| text_of_rounds(&plan, Some(uses));
        let (source, uses) = Source::using(file, "round", &text).map_err(LoadError::Read)?;
        let name = file.display().to_string();
        let mut load = Load { name, set: set.to_vec(), has_timers: false, uses, source };
        let scenario = load.scenario(&load.source, kernel)?;
        let world = load.world(&scenario, &load.source, kernel)?;
        let callbacks = world.progs.iter().filter(|p| p.kind == ProgKind::TimerCb);
        load.has_timers = callbacks.count() > 1;
        if Rounds::loaded(&plan, world).run(&Costs::default(), 1, TRIAL_ROUNDS).is_empty() {
            let what = format!("{}: under this load timers do not expire", load.name);
            return Err(LoadError::Starves(what));
        }
        Ok(load)
    }

    /// The rounds of a recording under this load.
    pub(super) fn rounds(&self, r: &Recording, kernel: KernelVersion) -> Rounds {
        let plan = Plan::loaded(r);
        let source = self.source.with_text(&text_of_rounds(&plan, Some(&self.uses)));
        let scenario = self.scenario(&source, kernel).expect("it was right for one timer");
        let world = self.world(&scenario, &source, kernel).expect("it was right for one timer");
        Rounds::loaded(&plan, world)
    }

    fn world(
        &self,
        scenario: &Scenario,
        source: &Source,
        kernel: KernelVersion,
    ) -> Result<World, LoadError> {
        let lowered = lower::lower(scenario, &source.text, kernel);
        lowered.map_err(|diagnostics| LoadError::Wrong {
            source: Box::new(source.clone()),
            diagnostics,
        })
    }

    fn scenario(&self, source: &Source, kernel: KernelVersion) -> Result<Scenario, LoadError> {
        let wrong =
            |diagnostics| LoadError::Wrong { source: Box::new(source.clone()), diagnostics };
        let checked = load::check_source(source, &self.set);
        let Some(scenario) = checked.scenario else { return Err(wrong(checked.diagnostics)) };
        let r = kernel.release();
        let release = (u32::from(r.major), u32::from(r.minor), u32::from(r.patch));
        let rules = load::kernel_rules(&scenario, release);
        if rules.iter().any(Diagnostic::is_error) {
            return Err(wrong(rules));
        }
        Ok(scenario)
    }
}
