//! One file per command.

mod calibrate;
mod check;
mod compare;
mod conform;
mod demo;
mod explain;
mod explore;
mod generate;
mod kernels;
mod new;
mod replay;
mod report;
mod run;
mod shrink;
mod sweep;
mod test;
mod verify;

use crate::args::{Cli, Command, Common, Format, KernelsWhat};
use crate::fail::{Fail, code};
use crate::output;
use crate::session::Session;
use crate::settings;
use std::path::Path;
use std::sync::Arc;
use timerace_scenarios::config::Project;

/// Whether a command that is interrupted has results to write, marked as partial.
pub fn can_be_partial(cli: &Cli) -> bool {
    let partial = |c: &Command| {
        use Command::{Explore, Run, Sweep, Test};
        matches!(c, Explore { .. } | Run { .. } | Test(_) | Sweep { .. })
    };
    cli.command.as_ref().is_some_and(partial)
}

/// Runs the command; its exit code.
pub fn dispatch(cli: &Cli) -> Result<u8, Fail> {
    let Some(command) = &cli.command else {
        output::print(WELCOME);
        return Ok(code::OK);
    };
    let common = &in_project(&cli.common, command)?;
    let of_run = matches!(common.format, Format::Rtla | Format::Timehist);
    if of_run && !matches!(command, Command::Run { .. }) {
        return Err(Fail::usage("error: --format rtla and timehist are for `timerace run`"));
    }
    match command {
        Command::New { kind, file } => new::new(common, *kind, file),
        Command::Check { files, fix: true, .. } => check::fix(common, files),
        Command::Check { files, kernel, set, .. } => check::check(common, files, kernel, set),
        Command::Explore { file, kernel, search, costs, full } => {
            let costs = settings::costs(common, costs.as_deref());
            let s = Session::open(common, file, kernel)?.with_costs(costs.as_deref())?;
            let named = kernel.is_named() || s.scenario.kernel.is_some();
            explore::explore(common, s, search, *full, named)
        }
        Command::Demo { list: true, .. } => demo::list(),
        Command::Demo { name, .. } => demo::demo(common, name.as_deref()),
        Command::Run { file, kernel, costs, seed, seeds, length, trace } => {
            let costs = settings::costs(common, costs.as_deref());
            let mut s = Session::open(common, file, kernel)?.with_costs(costs.as_deref())?;
            s.set_length(*length);
            match seeds {
                Some(seeds) => run::seeds(common, &s, *seeds),
                None => run::run(common, &s, *seed, trace.is_some()),
            }
        }
        Command::Replay { file, kernel, schedule, irqs, until, full } => {
            let show = replay::Show { until: *until, full: *full };
            replay::replay(common, file, kernel, schedule, *irqs, &show)
        }
        Command::Report { path, only } => report::report(common, path, only.as_deref()),
        Command::Shrink { file, kernel, schedule } => {
            shrink::shrink(common, file, kernel, schedule)
        }
        Command::Verify { file, recount } => verify::verify(common, file, *recount),
        Command::Test(args) => test::test(common, args),
        Command::Sweep { file, axis, kernel, with, without, mode, search, seeds, costs } => {
            let wanted = sweep::Wanted {
                file,
                axes: axis,
                kernels: kernel,
                with,
                without,
                mode: *mode,
                search,
                seeds: *seeds,
                costs: settings::costs(common, costs.as_deref()),
            };
            sweep::sweep(common, &wanted)
        }
        Command::Conform { files, pattern } => conform::conform(common, files, pattern.as_deref()),
        Command::Calibrate { files, kernel, costs, load, set, name } => {
            let load = load.as_deref().map(|file| (file, set.as_slice()));
            calibrate::calibrate(common, files, kernel, costs.as_deref(), load, name)
        }
        Command::Gen { kind, dir } => generate::generate(*kind, dir),
        Command::Compare(args) => compare::compare(common, args),
        Command::Kernels { what: None } => kernels::kernels(common),
        Command::Kernels { what: Some(KernelsWhat::Diff { a, b }) } => kernels::diff(common, a, b),
        Command::Explain { topic } => explain::explain(common, topic.as_deref()),
    }
}

/// The flags with the configuration of the working directory, for commands that have to do with scenarios.
fn in_project(common: &Common, command: &Command) -> Result<Common, Fail> {
    let mut common = common.clone();
    if matches!(
        command,
        Command::Check { .. }
            | Command::Run { .. }
            | Command::Explore { .. }
            | Command::Replay { .. }
            | Command::Shrink { .. }
            | Command::Test { .. }
            | Command::Sweep { .. }
            | Command::Compare(_)
    ) {
        let project = Project::find(Path::new("."), output::style(&common));
        common.project = Arc::new(project.map_err(|e| Fail::usage(e.to_string()))?);
    }
    Ok(common)
}

const WELCOME: &str = "\
Explore races of bpf_timer on a simulated kernel.

  timerace demo                     see a use after free in one second
  timerace new --kind cancel a.ron  start a scenario of your own
  timerace explore a.ron            try every interleaving
  timerace test scenarios/          run a suite

Help: timerace help COMMAND, timerace explain TOPIC
";
