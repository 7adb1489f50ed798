//! `timerace replay`: one schedule again, step by step.

use crate::args::{Common, FileArgs, Format, KernelArgs};
use crate::fail::{Fail, code};
use crate::output;
use crate::pictures;
use crate::saved;
use crate::search::explain;
use crate::session::Session;
use crate::settings;
use std::path::Path;
use timerace_core::exec::Exec;
use timerace_core::policy::{Ended, Policy, Replay};
use timerace_core::record::{Record, record};
use timerace_core::schedule::ShortSchedule;
use timerace_reports::page::shortened;
use timerace_reports::schedule_ron::{self, SavedSchedule};
use timerace_reports::{json, steps};

/// What to show of it.
pub struct Show {
    /// The last step.
    pub until: Option<u32>,
    /// Every step, also those that belong to another.
    pub full: bool,
}

/// Replays a schedule and prints its steps.
pub fn replay(
    common: &Common,
    file: &FileArgs,
    kernel: &KernelArgs,
    schedule: &str,
    irqs: Option<u32>,
    show: &Show,
) -> Result<u8, Fail> {
    let mut s = Session::open(common, file, kernel)?;
    s.set_irqs(irqs.or_else(|| settings::irqs(common, &s.scenario)));
    let (mut rec, saved) = given(&s, schedule)?;
    print(common, &s, &rec, show);
    if let Some(dir) = &common.out {
        explain(&s, &mut rec, 0)?;
        write(common, &s, &rec, dir)?;
    }
    fits(&s, &rec, saved.as_ref())?;
    Ok(if rec.findings.is_empty() { code::OK } else { code::FAILED })
}

/// The run of a schedule as it is given on the command line, as far as it fits; and the file that it came from.
fn given(s: &Session, schedule: &str) -> Result<(Record, Option<SavedSchedule>), Fail> {
    if let Some(saved) = read_saved(schedule)? {
        return Ok((recorded(s, &saved)?, Some(saved)));
    }
    let (machine, model) = s.boot(false)?;
    let short = ShortSchedule::parse(schedule, &machine);
    let mut short = short.map_err(|e| Fail::usage(format!("error: {e}")))?;
    let mut exec = Exec::new(&machine, &model);
    Ok((record(&mut exec, &mut short as &mut dyn Policy, s.limits()), None))
}

/// The same for one that must fit.
pub fn fitting(s: &Session, schedule: &str) -> Result<Record, Fail> {
    let (rec, saved) = given(s, schedule)?;
    fits(s, &rec, saved.as_ref())?;
    Ok(rec)
}

/// The run of a saved schedule, step for step.
pub fn played(s: &Session, saved: &SavedSchedule) -> Result<Record, Fail> {
    let mut rec = recorded(s, saved)?;
    fits(s, &rec, Some(saved))?;
    explain(s, &mut rec, 0)?;
    Ok(rec)
}

fn recorded(s: &Session, saved: &SavedSchedule) -> Result<Record, Fail> {
    let (machine, model) = s.boot(false)?;
    let picks = saved.picks(machine.contexts()).map_err(|e| diverged(s, &e, Some(saved)))?;
    Ok(record(&mut Exec::new(&machine, &model), &mut Replay::new(&picks), s.limits()))
}

/// An error where the run went another way than its schedule.
fn fits(s: &Session, rec: &Record, saved: Option<&SavedSchedule>) -> Result<(), Fail> {
    if let Ended::Diverged(d) = &rec.ended {
        return Err(diverged(s, &format!("step {}: {}", d.step, d.reason), saved));
    }
    if let Some((no, was, is)) = saved.and_then(|s| s.first_difference(rec)) {
        return Err(diverged(s, &format!("step {no} was `{was}` and is `{is}`"), saved));
    }
    Ok(())
}

fn print(common: &Common, s: &Session, rec: &Record, show: &Show) {
    if common.format == Format::Json {
        let kernel = s.kernel_name();
        output::print_json(&json::replay(rec, &s.origin(), &kernel, show.until));
    } else {
        output::print(&steps::steps_table(rec, show.until, show.full));
    }
}

/// The run and its first finding as files.
fn write(common: &Common, s: &Session, rec: &Record, dir: &Path) -> Result<(), Fail> {
    // Whoever wants all steps of a long run replays it.
    let (short, left_out) = shortened(rec, (!rec.findings.is_empty()).then_some(0));
    let mut result = json::replay(&short, &s.origin(), &s.kernel_name(), None);
    if left_out > 0 {
        result["steps_left_out"] = serde_json::json!(left_out);
    }
    let head = ["replay".to_string(), s.source.name.clone()].into_iter();
    let tail = ["--schedule".to_string(), rec.text.clone()];
    let command = head.chain(s.arguments()).chain(tail).collect();
    let mut files = saved::files(common, s, result, command);
    let finding = (!rec.findings.is_empty()).then_some(0);
    files.extend(pictures::files(common, s, rec, finding, ""));
    saved::write(common, dir, files)
}

/// A schedule that is a file is a saved one; everything else is the short text.
fn read_saved(schedule: &str) -> Result<Option<SavedSchedule>, Fail> {
    let path = Path::new(schedule);
    if path.extension().is_none_or(|e| e != "ron") {
        return Ok(None);
    }
    let text = timerace_scenarios::load::read_file(path).map_err(|e| Fail::usage(e.to_string()))?;
    let saved = schedule_ron::read(&text)
        .map_err(|e| Fail::usage(format!("error: {}: {e}", path.display())))?;
    Ok(Some(saved))
}

fn diverged(s: &Session, reason: &str, saved: Option<&SavedSchedule>) -> Fail {
    let mut message = format!("error[E0501]: the schedule does not fit: {reason}");
    if let Some(saved) = saved {
        let here = s.kernel_name();
        if saved.scenario != s.scenario.name.node {
            message.push_str(&format!("\n  = note: it was made for `{}`", saved.scenario));
        } else if saved.kernel != here {
            message
                .push_str(&format!("\n  = note: it was made for {}, this is {here}", saved.kernel));
        }
    }
    Fail { code: code::DIVERGED, message }
}
