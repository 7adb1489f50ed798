//! `timerace run`: one timed, deterministic execution; [`seeds()`] has the same for many seeds.

mod seeds;

pub use seeds::seeds;

use crate::args::{Common, Format};
use crate::commands::explore::expectations;
use crate::fail::Fail;
use crate::finals::Finals;
use crate::saved::{self, File};
use crate::session::Session;
use crate::{interrupt, output};
use std::fmt::Write as _;
use std::io::BufWriter;
use timerace_core::dpor::{Observer, View};
use timerace_core::exec::Exec;
use timerace_core::machine::Model;
use timerace_core::policy::Ended;
use timerace_core::record::record_timed;
use timerace_core::result::{Expiry, Verdict};
use timerace_core::schedule::Pick;
use timerace_core::timed::trace::Tracer;
use timerace_core::timed::{
    Awaited, Cause, Holds, TimedEnd, TimedOptions, TimedRun, Wait, Watch, run_timed,
};
use timerace_core::{CpuId, CtxId, Nanos};
use timerace_kernel::world::Stop;
use timerace_reports::causes::Causes;
use timerace_reports::ftrace::FtraceText;
use timerace_reports::hdr_log::hdr_log;
use timerace_reports::holds::LockHolds;
use timerace_reports::json::{self, ExpectationResult, FindingLine, RunResult};
use timerace_reports::latency::{Histogram, Latencies, LatencyRecorder};
use timerace_reports::latency_svg::{LatencyPlot, Limit, Series, latency_svg};
use timerace_reports::latency_table::Tables;
use timerace_reports::num::{count, grouped, seconds, us};
use timerace_reports::origin;
use timerace_reports::out_dir::OutDir;
use timerace_reports::page::{Page, TimedParts, report_html};
use timerace_reports::pftrace::pftrace;
use timerace_reports::race_marks::around_race;
use timerace_reports::rows::{Rows, Sink};
use timerace_reports::starved::Starving;
use timerace_reports::theme::Theme;
use timerace_reports::timeline_svg::{TimelinePlot, timeline_svg};
use timerace_reports::waits::{Waits, Words};
use timerace_scenarios::judge::{self, Judge, Judged, Measured};

/// A run without an end of its own stops here; that is a bound, never a pass.
pub const MAX_STEPS: u64 = 100_000_000;

/// So many steps in which no timer's function returns, and one that is due does not get its CPU, are enough. A scenario
/// that gives a time or its own bound on steps has said how long it goes on.
pub const PATIENCE: u64 = 1_000_000;

/// Most of a run that `timeline.svg` shows before an expiry, in nanoseconds.
const TIMELINE_NS: u64 = 200_000;

/// The longest run, in steps, that is looked through for the place of its finding.
const MOST_SEARCHED: u64 = 200_000;

/// What came of a timed run.
pub struct Timed {
    /// The engine's account.
    pub run: TimedRun,
    /// How late timers were.
    pub latencies: Latencies,
    /// Names of timers.
    pub names: Vec<String>,
    /// Findings.
    pub findings: Vec<FindingLine>,
    /// Expectations, judged.
    pub judged: Vec<Judged>,
    /// The same as results name them.
    pub expectations: Vec<ExpectationResult>,
    /// What is said of it.
    pub verdict: Verdict,
    /// The exit code.
    pub exit_code: u8,
    /// A limit ended the run before its own end.
    cut_off: bool,
    /// Limits on latencies, for the picture.
    limits: Vec<Limit>,
    /// Why they were late, in words: the worst expiry, the longest wait and hold, and nanoseconds by cause.
    worst: [String; 3],
    causes: Vec<(String, u64)>,
    /// The expiry that was the latest.
    latest: Option<Expiry>,
    /// Percentiles per timer, CPU and cause.
    tables: Tables,
    /// A timer or task that its CPU did not get to.
    starved: Option<Starving>,
}

/// Where a run writes to as it goes.
#[derive(Default)]
pub struct Streams {
    csv: Option<Sink>,
    timehist: Option<Sink>,
    trace: Option<Sink>,
    /// All locks are looked at, not only those with a limit.
    all_locks: bool,
}

struct Collect<'m> {
    latencies: LatencyRecorder,
    causes: Causes,
    rows: Rows<'m>,
    holds: Holds,
    lock_holds: LockHolds,
    waits: Waits,
}

impl Watch for Collect<'_> {
    fn wants_causes(&self) -> bool {
        true
    }

    fn expiry(&mut self, e: &Expiry, causes: &[(Cause, u64)]) {
        self.latencies.record(e);
        self.causes.record(e, causes);
        self.rows.expiry(e, causes);
    }

    fn wait(&mut self, wait: &Wait, parts: &[(Awaited, u64)]) {
        self.waits.record(wait, parts);
    }

    fn doing(&mut self, cpu: CpuId, at: u64, ctx: Option<CtxId>, cause: Cause) {
        self.holds.doing(cpu, at, ctx, cause);
    }

    fn before<M: Model>(&mut self, exec: &Exec<'_, M>, pick: Pick) {
        if !self.holds.is_empty() {
            self.holds.before(exec, pick);
            self.record_holds();
        }
    }

    fn go_on(&mut self) -> bool {
        !interrupt::asked()
    }
}

impl Collect<'_> {
    fn record_holds(&mut self) {
        for (hold, parts) in self.holds.take() {
            self.lock_holds.record(&hold, &parts);
        }
    }
}

/// How the scenario is run.
fn options(s: &Session, seed: u64) -> TimedOptions {
    let (until, expiries) = match s.world.stop {
        Stop::Idle => (None, None),
        Stop::Time(ns) => (Some(Nanos(ns)), None),
        Stop::Expiries(n) => (None, Some(n)),
    };
    let limits = &s.world.limits;
    TimedOptions {
        seed,
        costs: s.costs.clone(),
        until,
        expiries: [expiries, limits.expiries].into_iter().flatten().min(),
        max_steps: limits.steps.unwrap_or(MAX_STEPS),
        patience: (limits.steps.is_none() && until.is_none()).then_some(PATIENCE),
        goes_on: true,
    }
}

/// Runs a scenario once.
pub fn once(s: &Session, seed: u64) -> Result<Timed, Fail> {
    once_into(s, seed, Streams::default())
}

fn cannot(e: &dyn std::fmt::Display) -> Fail {
    Fail::usage(format!("error: {e}"))
}

fn once_into(s: &Session, seed: u64, to: Streams) -> Result<Timed, Fail> {
    let (machine, model) = s.boot(true)?;
    let mut options = options(s, seed);
    let end = Finals(&model);
    let mut judge = Judge::new(&s.scenario, &s.source.text, &s.world, Some(&end));
    let rows = Rows::new(&machine, |t| model.timer_name(t), to.csv, to.timehist);
    let rows = rows.map_err(|e| cannot(&e))?;
    let mut watch = Collect {
        latencies: LatencyRecorder::default(),
        causes: Causes::default(),
        rows,
        holds: Holds::new(judge.locks(), to.all_locks),
        lock_holds: LockHolds::default(),
        waits: Waits::default(),
    };
    machine.set_marking(judge.needs_marks());
    // Who looks at locks must see every step.
    options.goes_on &= watch.holds.is_empty();
    let (run, exec) = match to.trace {
        None => run_timed(&machine, &model, &options, &mut watch),
        Some(out) => {
            let mut text = FtraceText::new(out, &machine);
            let mut both = (watch, Tracer::new(&machine, |e| text.event(e)));
            let done = run_timed(&machine, &model, &options, &mut both);
            watch = both.0;
            both.1.finish();
            text.finish().map_err(|e| cannot(&e))?;
            done
        }
    };
    watch.holds.end(&machine, run.virtual_ns);
    watch.record_holds();
    let own_end = match s.world.stop {
        Stop::Idle => run.ended == TimedEnd::Idle,
        Stop::Time(_) => matches!(run.ended, TimedEnd::Idle | TimedEnd::Time),
        Stop::Expiries(n) => run.ended == TimedEnd::Idle || run.expiries >= n,
    };
    let ended = if own_end { Ended::Complete } else { Ended::StepLimit };
    let stuck = if run.ended == TimedEnd::Idle { exec.stuck() } else { Vec::new() };
    machine.with_mem(|m| judge.timed(&View::linear(&machine, m, &ended, &stuck), !own_end));
    watch.rows.finish().map_err(|e| cannot(&e))?;
    let latencies = watch.latencies.finish();
    let limits = judge.latency_limits().into_iter();
    let limits = limits.map(|l| Limit { of: l.of, share: l.share, ns: l.ns }).collect();
    let names = model.timer_names();
    let reasons = (&watch.causes, &watch.waits, &watch.lock_holds, &watch.holds);
    let say = |over, kind: &str, what| model.render_awaited(over, kind, what);
    let words = Words { machine: &machine, model: &say };
    let tables = Tables::new(&latencies, &names, reasons, &words);
    let found = machine.with_mem(|m| m.findings(machine.names()));
    let findings = distinct(&found, &s.kernel_name());
    let judged = judge.timed_results(&Late { of: &latencies, names: &names, holds: &watch.holds });
    let expectations = expectation_results(&judged);
    let starved = run.starved.as_ref().map(|s| Starving::new(s, run.virtual_ns, &machine));
    Ok(Timed {
        starved,
        verdict: judge::verdict(!findings.is_empty(), &judged, !own_end),
        exit_code: judge::exit_code(&judged, !own_end),
        run,
        latencies,
        names,
        findings,
        judged,
        expectations,
        cut_off: !own_end,
        limits,
        worst: [
            watch.causes.worst(&machine),
            watch.waits.longest(&words),
            watch.lock_holds.longest(&words),
        ],
        causes: watch.causes.totals(&machine),
        latest: watch.causes.latest().copied(),
        tables,
    })
}

/// Judgements as results name them.
pub fn expectation_results(judged: &[Judged]) -> Vec<ExpectationResult> {
    let one = |j: &Judged| ExpectationResult {
        name: j.name.clone(),
        ok: j.ok,
        detail: j.detail.clone(),
        schedule: None,
    };
    judged.iter().map(one).collect()
}

/// Latencies as limits ask for them: of an element, or of all elements of a map.
struct Late<'l> {
    of: &'l Latencies,
    names: &'l [String],
    holds: &'l Holds,
}

impl Late<'_> {
    /// Timers of an element, or of all elements of a map.
    fn meant<'n>(&'n self, of: &'n str) -> impl Fn(u32) -> bool + 'n {
        move |timer| {
            self.names.get(timer as usize).is_some_and(|name| {
                name == of || name.strip_prefix(of).is_some_and(|rest| rest.starts_with('['))
            })
        }
    }
}

impl Measured for Late<'_> {
    fn late_ns(&self, of: &str, share: (u64, u64)) -> Option<u64> {
        let mut all = Histogram::default();
        let meant = self.meant(of);
        for (_, h) in self.of.timers().filter(|(i, _)| meant(*i)) {
            all.merge(h);
        }
        let n = all.count();
        (n > 0).then(|| {
            if share.0 == share.1 { all.max_ns() } else { all.percentile_ns(share.0, share.1) }
        })
    }

    fn drift_ns(&self, of: &str) -> Option<u64> {
        let meant = self.meant(of);
        let timers = self.of.timers().map(|(i, _)| i).filter(|i| meant(*i));
        timers.filter_map(|i| self.of.drift_ns(i)).max()
    }

    fn held_ns(&self, lock: &str) -> Option<u64> {
        self.holds.longest_ns(lock)
    }
}

fn distinct(found: &[timerace_core::Finding], kernel: &str) -> Vec<FindingLine> {
    let mut lines: Vec<FindingLine> = Vec::new();
    for f in found {
        let class = f.class.name().to_string();
        if lines.iter().any(|l| l.class == class && l.functions == f.functions) {
            continue;
        }
        let [a, b] = &f.functions;
        let both = if a == b { a.clone() } else { format!("{a} / {b}") };
        lines.push(FindingLine {
            message: format!("{} in {both}", f.class.words()),
            class,
            functions: f.functions.clone(),
            schedule: String::new(),
            switches: 0,
            kernel: kernel.to_string(),
            step: f.at.step,
            other_step: f.other.map(|o| o.step),
            object: None,
            order: None,
            passing: None,
            delay_ns: None,
        });
    }
    lines
}

/// Runs a scenario with one seed. `trace`: with the text of what tracepoints say.
pub fn run(common: &Common, s: &Session, seed: u64, trace: bool) -> Result<u8, Fail> {
    s.note_first_values(common);
    let mut out = common.out.as_deref().map(OutDir::open).transpose().map_err(|e| cannot(&e))?;
    let on_stdout = trace && out.is_none();
    if on_stdout && common.format != Format::Human {
        return Err(Fail::usage(
            "error: --trace without -o DIR prints the trace instead of a result; leave --format out or name a folder",
        ));
    }
    let stdout = || -> Sink { Box::new(BufWriter::new(output::Stdout)) };
    let mut to = Streams { all_locks: common.verbose, ..Streams::default() };
    if let Some(out) = &mut out {
        to.csv = Some(Box::new(out.file("latency.csv").map_err(|e| cannot(&e))?));
        if trace {
            to.trace = Some(Box::new(out.file("trace.txt").map_err(|e| cannot(&e))?));
        }
    } else if trace {
        to.trace = Some(stdout());
    }
    to.timehist = (common.format == Format::Timehist).then(stdout);
    let t = once_into(s, seed, to)?;
    let result = result(s, seed, &t);
    match common.format {
        _ if on_stdout => {}
        Format::Json => output::print(&json::text(&json::run(&result))),
        Format::Rtla => output::print(&t.latencies.hist_txt()),
        Format::Timehist => {}
        Format::Human | Format::Short => output::print(&human(common, s, seed, &t)),
    }
    if let Some(out) = out {
        saved::write_into(common, out, files(common, s, seed, &t)?)?;
    }
    Ok(t.exit_code)
}

fn result(s: &Session, seed: u64, t: &Timed) -> RunResult {
    RunResult {
        scenario: s.scenario.name.node.clone(),
        kernel: s.kernel_name(),
        seed,
        virtual_ns: t.run.virtual_ns,
        steps: t.run.steps,
        expiries: t.run.expiries,
        verdict: t.verdict,
        findings: t.findings.clone(),
        expectations: t.expectations.clone(),
        latency: t.latencies.summaries(&t.names),
        causes: t.causes.clone(),
        tables: t.tables.clone(),
        digest: t.run.digest.iter().map(|b| format!("{b:02x}")).collect(),
        partial: matches!(t.run.ended, TimedEnd::Stopped | TimedEnd::Starved),
        starved: t.starved.clone(),
    }
}

fn human(common: &Common, s: &Session, seed: u64, t: &Timed) -> String {
    let mut out = format!(
        "{}  {}  seed {seed}  {} in {}\n\n",
        s.scenario.name.node,
        s.kernel_name(),
        count(t.run.expiries, "expiry", "expiries"),
        length(t.run.virtual_ns)
    );
    if t.latencies.overall().count() > 0 {
        out.push_str(&t.latencies.overall().terminal());
    }
    for block in t.worst.iter().filter(|b| !b.is_empty()) {
        out.push('\n');
        out.push_str(block);
    }
    if let Some(starved) = &t.starved {
        out.push('\n');
        out.push_str(&starved.text());
    }
    if common.verbose {
        out.push_str(&t.tables.text());
    }
    for f in &t.findings {
        let _ = writeln!(out, "\nBUG   {}  (step {})", f.message, f.step);
        let _ = writeln!(out, "      repeat: {}", command(s, seed));
    }
    out.push_str(&expectations(s, &t.judged, &|_| Some(command(s, seed))));
    if t.run.ended == TimedEnd::Stopped {
        out.push_str("\nINCONCLUSIVE: the run was interrupted; the result is partial\n");
    } else if t.run.ended == TimedEnd::Starved {
        let steps = grouped(PATIENCE);
        let _ = writeln!(
            out,
            "\nINCONCLUSIVE: the run was ended early, the result is partial: no timer's function has returned for {steps} steps\nHint: `stop: time(..)` or `limits: (steps: ..)` lets such a load go on"
        );
    } else if t.cut_off {
        out.push_str("\nINCONCLUSIVE: the run was cut off by a limit of steps or expiries\n");
    }
    let how = if s.costs.calibrated { "calibrated" } else { "not calibrated" };
    let _ = writeln!(out, "\nCosts: {} ({how}). Times are simulated.", s.costs.name);
    out
}

/// How long a run was: in seconds, unless it was too short for them.
fn length(ns: u64) -> String {
    if ns < 10_000_000 { format!("{} us", us(ns)) } else { format!("{} s", seconds(ns)) }
}

/// The command that makes a run again.
pub fn command(s: &Session, seed: u64) -> String {
    let words = std::iter::once("timerace".to_string()).chain(words(s, seed));
    origin::line(&words.collect::<Vec<_>>())
}

fn words(s: &Session, seed: u64) -> Vec<String> {
    let mut words = vec!["run".to_string(), s.source.name.clone()];
    words.extend(s.arguments());
    words.extend(s.costs_flag());
    words.extend(["--seed".to_string(), seed.to_string()]);
    words
}

/// The files of a run, without those that are written as it goes.
pub fn files(common: &Common, s: &Session, seed: u64, t: &Timed) -> Result<Vec<File>, Fail> {
    let mut files = saved::files(common, s, json::run(&result(s, seed, t)), words(s, seed));
    files.push(("hist.txt".to_string(), t.latencies.hist_txt().into_bytes()));
    let log = hdr_log(&t.latencies, t.run.virtual_ns).map_err(|e| cannot(&e))?;
    files.push(("latency.hlog".to_string(), log));
    files.extend(saved::costs(s));
    if t.latencies.overall().count() > 0 {
        let svg = latency(s, seed, t, theme(common))?;
        files.push(("latency.svg".to_string(), svg.into_bytes()));
    }
    files.extend(timeline(common, s, seed, t)?);
    Ok(files)
}

/// What the CPUs did around the latest callback, or from the start of a run without one.
fn timeline(
    common: &Common,
    s: &Session,
    seed: u64,
    t: &Timed,
) -> Result<Vec<(String, Vec<u8>)>, Fail> {
    let worst = t.latest.as_ref();
    // A little before and after, but not a whole period of a slow timer.
    let window = worst.map_or((0, TIMELINE_NS), |e| {
        let early = e.armed.0.max(e.programmed.0.saturating_sub(TIMELINE_NS));
        let around = (e.exit.0 - early) * 3 / 20 + 2_000;
        (early.saturating_sub(around), e.exit.0.saturating_add(around))
    });
    let (machine, model) = s.boot(true)?;
    let options = options(s, seed);
    let race = race(s, seed, t)?;
    let window = race.as_ref().map_or(window, |r| r.window);
    let window = (Nanos(window.0), Nanos(window.1));
    let (rec, expiries) = record_timed(&machine, &model, &options, window);
    let title = race.map(|r| format!("BUG: {}", r.title)).or(worst.map(|e| {
        let name = t.names.get(e.timer as usize).map_or("a timer", String::as_str);
        format!("The latest callback: {name}, {} \u{b5}s late", us(e.late_ns()))
    }));
    let title = title.unwrap_or_else(|| "How the run begins".to_string());
    let (shown, all) = (rec.steps.len() as u64, t.run.steps);
    let part = if shown < all {
        format!(" Shown: {} of {} steps; --trace ftrace writes all.", grouped(shown), grouped(all))
    } else {
        String::new()
    };
    let about = format!(
        "{} on kernel {}, seed {seed}. Simulated cost model, not measured hardware.{part}",
        s.scenario.name.node,
        s.kernel_name()
    );
    let plot = TimelinePlot { title, about, command: command(s, seed) };
    let draw = |theme| timeline_svg(&rec, &expiries, &plot, theme);
    let mut files = vec![("trace.pftrace".to_string(), pftrace(&rec, &expiries))];
    files.extend(draw(theme(common)).map(|svg| ("timeline.svg".to_string(), svg.into_bytes())));
    if !rec.steps.is_empty() {
        let latency = match t.latencies.overall().count() {
            0 => None,
            _ => Some([latency(s, seed, t, Theme::Light)?, latency(s, seed, t, Theme::Dark)?]),
        };
        let timed = TimedParts {
            title: plot.title.clone(),
            about: plot.about.clone(),
            command: plot.command.clone(),
            timeline: draw(Theme::Page),
            latency,
        };
        let page = Page {
            source: &s.source.text,
            cover: "",
            theme: common.theme.map(|t| t.of()),
            timed: Some(timed),
        };
        let html = report_html(&rec, None, &s.origin(), &page);
        files.push(("report.html".to_string(), html.into_bytes()));
    }
    Ok(files)
}

/// What it is, and where on the clock.
struct Race {
    title: String,
    window: (u64, u64),
}

/// The race that a run has met, and the stretch of time around it; of a long run nobody looks for it.
fn race(s: &Session, seed: u64, t: &Timed) -> Result<Option<Race>, Fail> {
    if t.findings.is_empty() || t.run.steps > MOST_SEARCHED {
        return Ok(None);
    }
    let (machine, model) = s.boot(true)?;
    let all = (Nanos(0), Nanos(u64::MAX));
    let (rec, _) = record_timed(&machine, &model, &options(s, seed), all);
    let title = rec.findings.first().map(|f| f.title());
    Ok(title.zip(around_race(&rec)).map(|(title, window)| Race { title, window }))
}

fn latency(s: &Session, seed: u64, t: &Timed, theme: Theme) -> Result<String, Fail> {
    latency_svg(&plot(s, seed, t), theme).map_err(|e| Fail::usage(format!("error: {e}")))
}

fn theme(common: &Common) -> Theme {
    common.theme.map(|t| t.of()).unwrap_or_default()
}

fn plot<'t>(s: &Session, seed: u64, t: &'t Timed) -> LatencyPlot<'t> {
    let each: Vec<Series<'t>> = t
        .latencies
        .timers()
        .map(|(i, h)| Series { name: t.names[i as usize].clone(), samples: h })
        .collect();
    LatencyPlot {
        title: String::new(),
        about: format!("{}, {} CPUs", s.scenario.name.node, s.world.machine.cpus),
        kernel: s.kernel_name(),
        seed,
        command: command(s, seed),
        series: each,
        limits: t.limits.clone(),
    }
}
