//! `timerace compare`: a scenario on two kernels, or with two settings.

use crate::args::{Common, CompareArgs, Format, KernelArgs, Mode, SearchArgs};
use crate::fail::{Fail, code};
use crate::saved;
use crate::search::{Silent, search};
use crate::session::{Session, Source, with_fixes};
use crate::{commands::run, output, parallel, settings};
use clap::ValueEnum as _;
use std::path::Path;
use timerace_core::exec::Exec;
use timerace_core::policy::Follow;
use timerace_core::record::{Record, record};
use timerace_core::schedule::{Pick, Schedule};
use timerace_kernel::KernelVersion;
use timerace_kernel::versions::FIXES;
use timerace_kernel::world::Stop;
use timerace_reports::compare::{Comparison, Difference, Explored, Rule, Side, Timed, difference};
use timerace_reports::json;
use timerace_reports::latency::Histogram;
use timerace_reports::rank_sum;
use timerace_scenarios::grid::Settings;

/// Compares and prints.
pub fn compare(common: &Common, args: &CompareArgs) -> Result<u8, Fail> {
    let (ends, file) = ends(args)?;
    let source = Source::read(Path::new(&file))?;
    let seeds = args.seeds.unwrap_or((1, 10));
    if seeds.1 - seeds.0 >= rank_sum::MAX as u64 {
        return Err(Fail::usage(format!("error: at most {} seeds can be compared", rank_sum::MAX)));
    }
    let first = open(common, &source, &ends[0], &args.set)?;
    let second = open(common, &source, &ends[1], &second_set(args))?;
    let sessions = [first, second];
    let timed_only = sessions[0].world.stop != Stop::Idle;
    let mode = args.mode.unwrap_or(if timed_only { Mode::Run } else { Mode::Explore });
    let (mut explored, mut diff, mut cut_off) = ([None, None], None, false);
    if mode == Mode::Explore {
        let searched = searches(common, &sessions, args)?;
        diff = parted(&sessions, &searched)?;
        cut_off = searched.iter().any(|s| s.0.bounds_hit);
        explored = searched.map(|s| Some(s.1));
    }
    let timed = runs(common, &sessions, seeds)?;
    let names = names(&sessions, args);
    let mut sides = names.into_iter().zip(explored).zip(timed);
    let mut side = || {
        let ((name, explored), timed) = sides.next().expect("there are two sides");
        Side { name, explored, timed }
    };
    let comparison = Comparison {
        scenario: sessions[0].scenario.name.node.clone(),
        sides: [side(), side()],
        difference: diff,
        rules: rules(sessions[0].kernel, sessions[1].kernel),
        seeds,
    };
    if let Some(dir) = &common.out {
        let words = words(&sessions[0], args);
        let mut files = saved::files(common, &sessions[0], comparison.json(), words);
        files.extend(saved::costs(&sessions[0]));
        saved::write(common, dir, files)?;
    }
    match common.format {
        Format::Json => output::print(&json::text(&comparison.json())),
        _ => output::print(&comparison.text()),
    }
    Ok(if cut_off { code::INCONCLUSIVE } else { code::OK })
}

/// The command, as the result keeps it.
fn words(s: &Session, args: &CompareArgs) -> Vec<String> {
    let mut words = vec!["compare".to_string()];
    words.extend(args.what.iter().cloned());
    let mut flag = |name: &str, value: String| words.extend([name.to_string(), value]);
    if args.what.len() == 1 {
        flag("--kernel", s.kernel.release().to_string());
    }
    args.with.iter().for_each(|f| flag("--with", f.clone()));
    args.without.iter().for_each(|f| flag("--without", f.clone()));
    args.set.iter().for_each(|(k, v)| flag("--set", format!("{k}={v}")));
    args.versus.iter().for_each(|(k, v)| flag("--versus", format!("{k}={v}")));
    if let Some((a, b)) = args.seeds {
        flag("--seeds", format!("{a}..{b}"));
    }
    if let Some(mode) = args.mode.and_then(|m| m.to_possible_value()) {
        flag("--mode", mode.get_name().to_string());
    }
    if let Some(n) = args.max_schedules {
        flag("--max-schedules", n.to_string());
    }
    words
}

/// The kernels of both sides, and the file.
fn ends(args: &CompareArgs) -> Result<([KernelArgs; 2], String), Fail> {
    let usage = |m: String| Fail::usage(format!("error: {m}"));
    let base = KernelArgs {
        kernel: args.kernel.clone(),
        with: args.with.clone(),
        without: args.without.clone(),
    };
    let (range, file) = match &args.what[..] {
        [range, file] => (Some(range), file.clone()),
        [file] => (None, file.clone()),
        _ => return Err(usage("expected [A..B] FILE".to_string())),
    };
    let Some(range) = range else {
        if args.versus.is_empty() {
            let help = "name two kernels (`timerace compare v6.7..v6.8 FILE`) or a second setting (--versus KEY=VALUE)";
            return Err(usage(format!("there is nothing to compare: {help}")));
        }
        return Ok(([base.clone(), base], file));
    };
    if args.kernel.is_some() {
        return Err(usage("--kernel and a pair of kernels exclude each other".to_string()));
    }
    let (a, b) = range.split_once("..").ok_or_else(|| {
        usage(format!("`{range}` is no pair of kernels A..B, such as v6.7..v6.8"))
    })?;
    let end = |text: &str| -> Result<KernelArgs, Fail> {
        let k = KernelVersion::parse(text).map_err(|e| usage(e.to_string()))?;
        let k = with_fixes(k, &args.with, &args.without).map_err(Fail::usage)?;
        Ok(KernelArgs::of(k))
    };
    Ok(([end(a)?, end(b)?], file))
}

/// The settings of the second side: those of the first, with what `--versus` says.
fn second_set(args: &CompareArgs) -> Settings {
    args.set.iter().chain(&args.versus).cloned().collect()
}

fn open(
    common: &Common,
    source: &Source,
    kernel: &KernelArgs,
    set: &Settings,
) -> Result<Session, Fail> {
    let s = Session::of(common, source.clone(), kernel, set)?;
    s.with_costs(settings::costs(common, None).as_deref())
}

/// What tells the sides apart: kernels if they differ, and settings if they do.
fn names(s: &[Session; 2], args: &CompareArgs) -> [String; 2] {
    let kernels = s.each_ref().map(Session::kernel_name);
    let differ = kernels[0] != kernels[1];
    let side = |i: usize| {
        let mut words = Vec::new();
        if differ || args.versus.is_empty() {
            words.push(kernels[i].clone());
        }
        for (key, _) in &args.versus {
            let param = s[i].scenario.params.iter().find(|(name, _)| name.node == *key);
            words.extend(param.map(|(_, p)| format!("{key}={}", p.chosen)));
        }
        words.join(" ")
    };
    [side(0), side(1)]
}

struct Found {
    bounds_hit: bool,
    schedule: Option<Schedule>,
    record: Option<Record>,
}

fn searches(
    common: &Common,
    sessions: &[Session; 2],
    args: &CompareArgs,
) -> Result<[(Found, Explored); 2], Fail> {
    let all: Vec<&Session> = sessions.iter().collect();
    let done = parallel::map(&all, common.jobs, |s| {
        let wanted = SearchArgs {
            keep_going: true,
            max_schedules: args.max_schedules,
            ..SearchArgs::default()
        };
        let wanted = settings::search(common, &s.scenario, &wanted);
        let found = search(s, &wanted, 1, &mut Silent)?;
        let e = &found.exploration;
        let mut classes: Vec<String> = e.findings.iter().map(|f| f.class.words()).collect();
        classes.dedup();
        let explored = Explored {
            verdict: if classes.is_empty() { "no bug".to_string() } else { classes.join(", ") },
            schedules: e.schedules,
            complete: e.complete,
            failing: e.failing,
            final_states: e.final_states,
        };
        let found = Found {
            bounds_hit: found.bounds_hit,
            schedule: e.findings.first().map(|f| f.schedule.clone()),
            record: found.records.first().map(|r| r.0.clone()),
        };
        Ok::<_, Fail>((found, explored))
    });
    let mut done = done.into_iter();
    let mut next = || done.next().expect("there are two sides");
    Ok([next()?, next()?])
}

/// The schedule that fails on one side, on both: where they part.
fn parted(
    sessions: &[Session; 2],
    found: &[(Found, Explored); 2],
) -> Result<Option<Difference>, Fail> {
    let with = |f: &(Found, Explored)| f.0.schedule.clone().zip(f.0.record.clone());
    let (home, (schedule, rec)) = match (with(&found[0]), with(&found[1])) {
        (Some(a), _) => (0, a),
        (None, Some(b)) => (1, b),
        (None, None) => return Ok(None),
    };
    let other = follow(&sessions[1 - home], &schedule, &rec)?;
    let (a, b) = if home == 0 { (&rec, &other) } else { (&other, &rec) };
    Ok(difference(&rec.text, a, b))
}

/// A schedule of another kernel, followed as far as it fits; contexts are found by their names.
fn follow(s: &Session, schedule: &Schedule, home: &Record) -> Result<Record, Fail> {
    let (machine, model) = s.boot(false)?;
    let contexts = machine.contexts();
    let same = |pick: &Pick| {
        let name = &home.contexts.get(pick.ctx.index())?.name;
        let at = contexts.iter().position(|c| c.name == *name)?;
        Some(Pick { ctx: timerace_core::CtxId(at as u16), alt: pick.alt })
    };
    let picks = Schedule { picks: schedule.picks.iter().filter_map(same).collect() };
    let mut exec = Exec::new(&machine, &model);
    Ok(record(&mut exec, &mut Follow::new(&picks), s.limits()))
}

/// Timed runs of both sides with the same seeds; `None` where the model cannot time them.
fn runs(
    common: &Common,
    sessions: &[Session; 2],
    (from, to): (u64, u64),
) -> Result<[Option<Timed>; 2], Fail> {
    if let Some(why) = sessions.iter().find_map(|s| s.boot(true).err()) {
        output::note(common, &format!("note: latencies are left out: {}", why.message));
        return Ok([None, None]);
    }
    let all: Vec<(usize, u64)> =
        [0, 1].iter().flat_map(|i| (from..=to).map(move |n| (*i, n))).collect();
    let done = parallel::map(&all, common.jobs, |(i, seed)| run::once(&sessions[*i], *seed));
    let mut sides =
        [(Timed::default(), Histogram::default()), (Timed::default(), Histogram::default())];
    for ((i, _), t) in all.iter().zip(done) {
        let (t, (side, merged)) = (t?, &mut sides[*i]);
        side.bugs += u64::from(!t.findings.is_empty());
        side.by_seed.push(t.latencies.overall().summary());
        merged.merge(t.latencies.overall());
    }
    Ok(sides.map(|(side, merged)| Some(Timed { all: merged.summary(), ..side })))
}

/// The fixes that only one of two kernels has.
pub fn rules(a: KernelVersion, b: KernelVersion) -> Vec<Rule> {
    let differs = FIXES.iter().filter(|f| a.has(f.fix) != b.has(f.fix));
    let rule = |f: &timerace_kernel::versions::FixInfo| Rule {
        added: b.has(f.fix),
        name: f.name.to_string(),
        since: f.since.to_string(),
        commit: f.commit.map(str::to_string),
        what: f.what.to_string(),
    };
    differs.map(rule).collect()
}
