//! `timerace test`: the expectations of many scenarios, on one or more kernels.

mod case;
mod files;
mod golden;
mod reports;
mod schedule;

use crate::args::{Annotations, Common, Format, TestArgs};
use crate::fail::{Fail, code};
use crate::progress::Bar;
use crate::{interrupt, output, parallel};
use case::Outcome;
use files::Cell;
use timerace_reports::table::CaseState;

pub use reports::pictures;

/// A suite that was run, or as much of it as there was time for.
pub struct Ran {
    /// In the order of the files and the kernels.
    outcomes: Vec<Outcome>,
    /// How many there are to run.
    wanted: usize,
    /// What a bound cut off is no failure.
    allowed: bool,
}

impl Ran {
    /// Whether the user ended it.
    fn is_partial(&self) -> bool {
        interrupt::asked()
    }
}

/// Runs the expectations and prints the table, or KTAP.
pub fn test(common: &Common, args: &TestArgs) -> Result<u8, Fail> {
    if args.ktap && common.format == Format::Json {
        return Err(Fail::usage("error: --ktap and --format json both want standard output"));
    }
    if args.bless {
        golden::may_bless(args)?;
    }
    let cells = files::cells(common, args)?;
    if cells.is_empty() {
        let message = format!("error: {}; nothing was run", why_nothing(common, args));
        return Err(Fail { code: code::NOTHING, message });
    }
    let mut outcomes = run(common, args, &cells)?;
    if args.bless && !interrupt::asked() {
        golden::bless(common, &cells, &outcomes)?;
        outcomes = run(common, args, &cells)?;
    }
    let ran = Ran { outcomes, wanted: cells.len(), allowed: args.allow_inconclusive };
    reports::write(common, args, &ran)?;
    if let Some(costs) = ran.outcomes.iter().find_map(|o| o.uncalibrated.as_ref()) {
        let note = format!(
            "note: limits in time were judged with costs that are not calibrated ({costs})"
        );
        output::note(common, &note);
    }
    Ok(exit_code(args, &ran))
}

/// Why there is no case.
fn why_nothing(common: &Common, args: &TestArgs) -> String {
    if args.shard.is_some() {
        return "no scenario is in this shard".to_string();
    }
    if !args.pattern.is_empty() {
        return format!("no name of a scenario contains {}", args.pattern.join(" or "));
    }
    match (args.paths.as_slice(), !common.project.config.scenarios.is_empty()) {
        ([], true) => "the patterns of timerace.ron match no scenario".to_string(),
        ([], false) => {
            "no paths are given, and there is no timerace.ron that names scenarios".to_string()
        }
        (paths, _) => {
            let names: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
            format!("no scenario (a file NAME.ron) in {}", names.join(", "))
        }
    }
}

fn run(common: &Common, args: &TestArgs, cells: &[Cell]) -> Result<Vec<Outcome>, Fail> {
    let bar = Bar::new(common, "cases");
    let outcomes = parallel::map(cells, common.jobs, |cell: &Cell| {
        let outcome = (!interrupt::asked()).then(|| case::run(common, cell, args));
        bar.one_more();
        outcome
    });
    bar.finish();
    outcomes.into_iter().flatten().collect()
}

fn exit_code(args: &TestArgs, ran: &Ran) -> u8 {
    let has = |state| ran.outcomes.iter().any(|o| o.suite.state == state);
    let code = if has(CaseState::Failed) {
        code::FAILED
    } else if has(CaseState::Incomplete) && !ran.allowed {
        code::INCONCLUSIVE
    } else if !has(CaseState::Ok) && !has(CaseState::Incomplete) {
        output::complain("error: every scenario was skipped; nothing was run");
        code::NOTHING
    } else {
        code::OK
    };
    // kselftest knows pass, fail and skip; what nobody knows is no pass.
    match code {
        code::INCONCLUSIVE if args.ksft_exit => code::FAILED,
        code => code,
    }
}

impl Annotations {
    /// Whether GitHub's are wanted.
    fn for_github(self) -> bool {
        match self {
            Annotations::Github => true,
            Annotations::None => false,
            Annotations::Auto => std::env::var_os("GITHUB_ACTIONS").is_some_and(|v| v == "true"),
        }
    }
}
