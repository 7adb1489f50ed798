//! A saved schedule as a test: the run that once failed, again.
//!
//! On the kernel that it was made for it must fit step by step, and a bug that the scenario expects there must show. On
//! another kernel it is followed as far as it fits. Either way the expectations are judged on this one run.

use super::case::{Judging, Outcome, outcome, shown, unmet};
use super::files::Saved;
use crate::fail::{Fail, code};
use crate::finals::Finals;
use crate::session::Session;
use timerace_core::dpor::View;
use timerace_core::exec::Exec;
use timerace_core::policy::{Ended, Follow, Replay};
use timerace_core::record::{Record, record};
use timerace_reports::suite::{Check, Failure, Reach};
use timerace_reports::table::CaseState;
use timerace_scenarios::judge::{self, Judge, Judged};

/// Plays a schedule and judges the run.
pub fn replayed(s: &Session, saved: &Saved) -> Result<Outcome, Fail> {
    let (machine, model) = s.boot(false)?;
    let mut exec = Exec::new(&machine, &model);
    let at_home = s.kernel_name() == saved.schedule.kernel;
    let fits = saved.schedule.picks(machine.contexts());
    let picks = match &fits {
        Ok(picks) => picks.clone(),
        Err(_) => timerace_core::schedule::Schedule::default(),
    };
    let end = Finals(&model);
    let mut judge = Judge::new(&s.scenario, &s.source.text, &s.world, Some(&end));
    let mut follow = Follow::new(&picks);
    let rec = record(&mut exec, &mut follow, s.limits());
    let left_out = follow.left_out();
    // Once more with the functions marked, for the expectations that ask for them.
    machine.set_marking(true);
    exec.restart();
    let ended = timerace_core::policy::run(&mut exec, &mut Follow::new(&picks), s.limits());
    let stuck = if ended == Ended::Complete { exec.stuck() } else { Vec::new() };
    let cut_off = ended != Ended::Complete;
    machine.with_mem(|m| judge.timed(&View::linear(&machine, m, &ended, &stuck), cut_off));
    machine.set_marking(false);
    let mut judged = judge.replayed_results();
    if at_home {
        judged.iter_mut().filter(|j| j.bug_expected && j.ok.is_none()).for_each(|j| {
            j.ok = Some(false);
            j.detail = Some("the schedule does not show it any more".to_string());
        });
    }
    let misfit = match &fits {
        _ if !at_home => None,
        Err(why) => Some(why.clone()),
        Ok(picks) => misfit(&mut exec, s, saved, picks),
    };
    let case = Judging {
        verdict: judge::verdict(!rec.findings.is_empty(), &judged, cut_off),
        exit_code: if misfit.is_some() { code::FAILED } else { judge::exit_code(&judged, cut_off) },
        complete: false,
        judged: &judged,
    };
    let note = match rec.findings.first() {
        Some(f) => format!("finds {}", f.class.name()),
        None if left_out > 0 => "fits in part".to_string(),
        None => "replayed".to_string(),
    };
    let failure = |_: usize, j: &Judged| match finding_of(&rec, j) {
        Some(i) => shown(s, j, &rec, Some(i)),
        None => unmet(j, s.origin().replay(&saved.file.display().to_string())),
    };
    let reach =
        if cut_off { Reach::Cut("steps of one schedule".to_string()) } else { Reach::OneRun };
    let mut outcome = outcome(s, &case, None, note, reach, &failure);
    if at_home {
        add_fit(&mut outcome, s, saved, misfit);
    }
    Ok(outcome)
}

fn finding_of(rec: &Record, j: &Judged) -> Option<usize> {
    rec.findings.iter().position(|f| j.classes.contains(&f.class))
}

/// Where the schedule and the run differ.
fn misfit(
    exec: &mut Exec<'_, timerace_kernel::Kernel>,
    s: &Session,
    saved: &Saved,
    picks: &timerace_core::schedule::Schedule,
) -> Option<String> {
    let rec = record(exec, &mut Replay::new(picks), s.limits());
    if let Ended::Diverged(d) = &rec.ended {
        return Some(format!("step {}: {}", d.step, d.reason));
    }
    let (no, was, is) = saved.schedule.first_difference(&rec)?;
    Some(format!("step {no} was `{was}` and is `{is}`"))
}

/// The check that the schedule fits, before those of the scenario.
fn add_fit(outcome: &mut Outcome, s: &Session, saved: &Saved, misfit: Option<String>) {
    let file = saved.file.display().to_string();
    let failure = misfit.as_ref().map(|why| Failure {
        kind: "DIVERGED".to_string(),
        message: format!("the schedule of {file} does not fit: {why}"),
        schedule: None,
        race: None,
        repeat: s.origin().replay(&file),
        flow: Vec::new(),
    });
    if let Some(f) = &failure {
        outcome.suite.state = CaseState::Failed;
        outcome.shown.state = CaseState::Failed;
        outcome.shown.details.insert(0, f.message.clone());
        outcome.shown.repeat = Some(f.repeat.clone());
    }
    let check = Check {
        name: "replays".to_string(),
        ok: Some(misfit.is_none()),
        known_bug: None,
        line: 1,
        detail: misfit,
        failure,
    };
    outcome.json.iter_mut().for_each(|c| {
        c.expectations.insert(
            0,
            timerace_reports::json::ExpectationResult {
                name: check.name.clone(),
                ok: check.ok,
                detail: check.detail.clone(),
                schedule: None,
            },
        );
    });
    outcome.suite.checks.insert(0, check);
}
