//! A search with everything that is said about it: shared by `explore`, `test` and `demo`.

use crate::args::{PolicyArg, Preemptions, SearchArgs};
use crate::clock::Clock;
use crate::fail::Fail;
use crate::finals::Finals;
use crate::interrupt;
use crate::session::Session;
use std::collections::BTreeMap;
use std::sync::Mutex;
use timerace_core::Machine;
use timerace_core::bounded::explore_bounded;
use timerace_core::dpor::{MAX_EXPLORED, Observer, Options, View};
use timerace_core::ends::End;
use timerace_core::exec::Exec;
use timerace_core::exhaustive::{self, Team};
use timerace_core::least::simplify;
use timerace_core::mem::Mark;
use timerace_core::nearest::nearest_passing;
use timerace_core::policy::{Limits, Pct, Random, Replay};
use timerace_core::record::{Record, record, record_after};
use timerace_core::result::{Bound, Exploration, Verdict};
use timerace_core::sample::sample;
use timerace_core::schedule::Pick;
use timerace_core::timing::Times;
use timerace_kernel::Kernel;
use timerace_kernel::world::{Memory, Timing};
use timerace_reports::cover::{Missed, Scope};
use timerace_reports::estimate;
use timerace_reports::final_states::FinalStates;
use timerace_reports::json::{ExpectationResult, ExploreResult, FindingLine, INTERRUPTED};
use timerace_scenarios::ast::{PolicyKind, Preemptions as Declared};
use timerace_scenarios::judge::{self, Judge, Judged};

/// Depth of bugs that `pct` looks for: two change points.
const PCT_DEPTH: u32 = 3;

/// Most bytes of a table of states where the command line names no other number.
pub const MAX_MEMORY: u64 = 4 << 30;

/// What came of a search.
pub struct Searched {
    /// Counts, bounds, findings.
    pub exploration: Exploration,
    /// One record per distinct finding, and which of its findings it is.
    pub records: Vec<(Record, usize)>,
    /// The expectations.
    pub judged: Vec<Judged>,
    /// For each of these: a run that breaks it, where the search has kept one.
    witnesses: Vec<Option<Record>>,
    /// Where its schedules end; looked at by [`Searched::explain`].
    pub final_states: Option<FinalStates>,
    /// Schedules in which the window was entered.
    pub window_entered: Option<u64>,
    /// Bounds that the scenario itself declares.
    pub within: BTreeMap<String, u64>,
    /// A bound was hit before all could be decided.
    pub bounds_hit: bool,
    /// What the verdict reaches.
    pub scope: Scope,
}

/// Of longer runs no nearest schedule is searched and no window is measured: both try many schedules as long as this one.
const MOST_EXPLAINED: usize = 2_000;

/// Final states are compared by playing a schedule of each; not if these may have more steps together.
const MOST_COMPARED: u64 = 200_000;

/// Told how many schedules have been run.
pub trait Progress {
    /// So many.
    fn schedules(&mut self, n: u64);
}

/// Says nothing.
pub struct Silent;

impl Progress for Silent {
    fn schedules(&mut self, _: u64) {}
}

struct Watching<'w, 'e, 'p> {
    judge: &'w mut Judge<'e>,
    clock: Option<Clock>,
    progress: &'w Mutex<&'p mut (dyn Progress + Send)>,
}

impl Observer for Watching<'_, '_, '_> {
    fn needs_marks(&self) -> bool {
        self.judge.needs_marks()
    }
    fn needs_traces(&self) -> bool {
        // Durations belong to traces.
        self.judge.needs_traces() || self.clock.is_some()
    }
    fn respects_durations(&self) -> bool {
        self.clock.is_some()
    }
    fn possible(&mut self, schedule: &[Pick]) -> bool {
        self.clock.as_mut().is_none_or(|c| c.possible(schedule))
    }
    fn execution(&mut self, view: &View<'_>) {
        self.judge.execution(view);
    }
    fn go_on(&mut self) -> bool {
        !interrupt::asked()
    }
    fn outcome(&self) -> Option<u64> {
        self.judge.outcome()
    }
    fn follows(&self, mark: &Mark, names: &[String]) -> bool {
        self.judge.follows(mark, names)
    }
    fn repeated(&mut self, outcome: u64) {
        self.judge.repeated(outcome);
    }
    fn again(&mut self, view: &View<'_>) {
        self.judge.again(view);
    }
    fn progress(&mut self, schedules: u64) {
        if let Ok(mut progress) = self.progress.try_lock() {
            progress.schedules(schedules);
        }
    }
}

/// Expiries of a schedule with few of them: enough for two timers that are each armed again.
const FEW_EXPIRIES: u64 = 4;

/// A search on several threads: each has a machine and, for each part of the search, a judge of its own.
struct Crew<'a> {
    session: &'a Session,
    narrowed: bool,
    progress: Mutex<&'a mut (dyn Progress + Send)>,
}

impl Team for Crew<'_> {
    type Model = Kernel;
    type Seen = (judge::Seen, Missed);

    fn boot(&self) -> (Machine, Kernel) {
        self.session.boot(false).unwrap_or_else(|_| unreachable!("it was booted before"))
    }

    fn observe(&self, model: &Kernel, search: &mut dyn FnMut(&mut dyn Observer)) -> Self::Seen {
        let s = self.session;
        let end = Finals(model);
        let mut judge = Judge::new(&s.scenario, &s.source.text, &s.world, Some(&end));
        if self.narrowed {
            judge.narrowed();
        }
        let clock = Clock::of(s).unwrap_or_else(|_| unreachable!("it was booted before"));
        let mut watching = Watching { judge: &mut judge, clock, progress: &self.progress };
        search(&mut watching);
        let missed = watching.clock.map_or(Missed::default(), |c| c.missed);
        (judge.seen(), missed)
    }
}

/// Searches as the scenario and the flags say, with so many threads.
pub fn search(
    s: &Session,
    args: &SearchArgs,
    threads: u16,
    progress: &mut (dyn Progress + Send),
) -> Result<Searched, Fail> {
    let (machine, model) = s.boot(false)?;
    let contexts = machine.contexts().len();
    if contexts > MAX_EXPLORED {
        return Err(Fail::usage(format!(
            "error: {}: {contexts} contexts; at most {MAX_EXPLORED} can be explored",
            s.source.name
        )));
    }
    let mut exec = Exec::new(&machine, &model);
    let end = Finals(&model);
    let judge = judge_of(s, args, &end);
    let declared = &s.scenario.explore;
    let mut options = Options {
        keep_going: args.keep_going || judge.needs_keep_going(),
        max_schedules: args.max_schedules.or(declared.max_schedules.map(|n| n.node)),
        max_memory: Some(args.max_memory.unwrap_or(MAX_MEMORY)),
        limits: s.limits(),
        ..Options::default()
    };
    let narrowed = args.preemptions.is_some();
    let crew = Crew { session: s, narrowed, progress: Mutex::new(progress) };
    let mut look = |options: &Options| {
        let (mut judge, mut missed) = (judge_of(s, args, &end), Missed::default());
        let e = explore(&crew, args, threads, &mut exec, &mut judge, options, &mut missed)?;
        Ok::<_, Fail>((e, judge, missed))
    };
    let mut looked = None;
    if let Some(few) = few_expiries(s, args, &options) {
        let (mut e, judge, missed) = look(&few)?;
        let more = e.bounds.iter_mut().find(|b| b.name == "expiries");
        let cut_off = more.as_ref().is_some_and(|b| b.hit);
        if e.stopped || !cut_off {
            // It was no bound of the search: nothing is left out that the search would come to.
            if let Some(b) = more {
                (b.value, b.hit) = (Some(options.limits.expiries), false);
            }
            looked = Some((e, judge, missed));
        }
    }
    let (mut exploration, mut judge, mut missed) = match looked {
        Some(looked) => looked,
        None => look(&options)?,
    };
    if judge.needs_the_rest(&exploration) && !interrupt::asked() {
        options.keep_going = true;
        (exploration, judge, missed) = look(&options)?;
    }
    if interrupt::asked() {
        exploration.complete = false;
        exploration.bounds.push(Bound { name: INTERRUPTED, value: None, hit: true });
    }
    let before = exploration.findings.clone();
    simplify(&mut exec, &mut exploration, options.limits);
    if let Some(mut clock) = Clock::of(s)? {
        // What is left out may be what takes the time.
        for (f, before) in exploration.findings.iter_mut().zip(before) {
            if !clock.possible(&f.schedule.picks) {
                f.schedule = before.schedule;
            }
        }
    }
    let records = records(s, &exploration, &options)?;
    let within = within(s, args, &exploration);
    let judged = judge.results(&exploration);
    let bounds_hit = judge.bounds_hit(&exploration);
    let window_entered = judge.has_window().then(|| judge.window_entered());
    let mut scope = scope(s, &within, window_entered);
    scope.missed = missed;
    scope.unmet = judged.iter().filter(|j| j.ok == Some(false)).count() as u64;
    if exploration.policy == "pct" {
        scope.pct = Some(estimate::Pct { contexts: contexts as u32, depth: PCT_DEPTH });
    }
    let witness = |j: &Judged| {
        let schedule = j.witness.as_ref()?;
        Some(record(&mut exec, &mut Replay::new(schedule), options.limits))
    };
    let witnesses = judged.iter().map(witness).collect();
    Ok(Searched {
        exploration,
        records,
        judged,
        witnesses,
        final_states: None,
        window_entered,
        within,
        bounds_hit,
        scope,
    })
}

fn judge_of<'a>(s: &Session, args: &SearchArgs, end: &'a Finals<'a>) -> Judge<'a> {
    let mut judge = Judge::new(&s.scenario, &s.source.text, &s.world, Some(end));
    if args.preemptions.is_some() {
        judge.narrowed();
    }
    judge
}

/// One search, as the scenario and the flags say.
fn explore(
    crew: &Crew<'_>,
    args: &SearchArgs,
    threads: u16,
    exec: &mut Exec<'_, Kernel>,
    judge: &mut Judge<'_>,
    options: &Options,
    missed: &mut Missed,
) -> Result<Exploration, Fail> {
    let s = crew.session;
    let policy = policy_of(s, args);
    let symmetry = judge.is_symmetric();
    let clock = Clock::of(s)?;
    let bounded = policy == PolicyArg::Exhaustive && preemptions(s, args).is_some();
    if bounded && clock.is_some() {
        return Err(Fail::usage(format!(
            "error: {}: a bound on preemptions merges schedules, of which `timing: Respect` asks each; leave out one of \
             them",
            s.source.name
        )));
    }
    let mut watching = Watching { judge, clock, progress: &crew.progress };
    let exploration = match (policy, preemptions(s, args)) {
        (PolicyArg::Random, _) => {
            let mut p = Random::new(args.seed);
            sample(exec, "random", &mut p, options, &mut watching)
        }
        (PolicyArg::Pct, _) => {
            let mut p = Pct::new(args.seed, PCT_DEPTH);
            sample(exec, "pct", &mut p, options, &mut watching)
        }
        (PolicyArg::Exhaustive, Some(n)) => explore_bounded(exec, n, options, &mut watching),
        (PolicyArg::Exhaustive, None) => {
            let (e, seen) = exhaustive::explore(crew, threads, symmetry, options);
            for (seen, more) in &seen {
                watching.judge.absorb(seen);
                missed.absorb(*more);
            }
            e
        }
    };
    missed.absorb(watching.clock.map_or(Missed::default(), |c| c.missed));
    Ok(exploration)
}

/// A callback that arms its timer again never comes to an end, and the first schedule of a search has as many expiries as
/// are allowed. So schedules with few of them are searched first, where the first bug is what is asked for: what they
/// show is short.
fn few_expiries(s: &Session, args: &SearchArgs, options: &Options) -> Option<Options> {
    let exhaustive = policy_of(s, args) == PolicyArg::Exhaustive;
    let limits = Limits { expiries: FEW_EXPIRIES, ..options.limits };
    let first_bug = exhaustive && !options.keep_going && options.max_schedules.is_none();
    (first_bug && options.limits.expiries > FEW_EXPIRIES)
        .then(|| Options { limits, ..options.clone() })
}

fn policy_of(s: &Session, args: &SearchArgs) -> PolicyArg {
    args.policy.unwrap_or(match s.scenario.explore.policy() {
        PolicyKind::Exhaustive => PolicyArg::Exhaustive,
        PolicyKind::Random => PolicyArg::Random,
        PolicyKind::Pct => PolicyArg::Pct,
    })
}

fn preemptions(s: &Session, args: &SearchArgs) -> Option<u32> {
    match args.preemptions {
        Some(Preemptions::All) => None,
        Some(Preemptions::AtMost(n)) => Some(n),
        None => match s.scenario.explore.preemptions() {
            Declared::AtMost(n) => Some(n),
            Declared::All => None,
        },
    }
}

/// The scenario's own bound on preemptions is its author's scope; the same bound as a flag only narrows.
fn within(s: &Session, args: &SearchArgs, e: &Exploration) -> BTreeMap<String, u64> {
    let declared = matches!(s.scenario.explore.preemptions(), Declared::AtMost(_));
    let hit = e.bounds.iter().find(|b| b.name == "preemptions" && b.hit);
    match hit.and_then(|b| b.value) {
        Some(n) if declared && args.preemptions.is_none() => {
            BTreeMap::from([("preemptions".to_string(), n)])
        }
        _ => BTreeMap::new(),
    }
}

/// Replays the schedule of each distinct finding with everything noted, on a machine that has run nothing else: the same
/// bytes as of a replay.
fn records(s: &Session, e: &Exploration, options: &Options) -> Result<Vec<(Record, usize)>, Fail> {
    let mut out = Vec::new();
    for f in &e.findings {
        let (machine, model) = s.boot(false)?;
        let mut exec = Exec::new(&machine, &model);
        let mut replay = Replay::new(&f.schedule);
        let rec = record_after(&mut exec, &f.before, &mut replay, options.limits);
        let same = |x: &timerace_core::record::FindingRecord| {
            x.class == f.class && x.functions == f.functions
        };
        let which = rec.findings.iter().position(same);
        out.push((rec, which.expect("a replay shows the finding of its schedule")));
    }
    Ok(out)
}

/// Where the schedules end, and what tells these states apart.
fn final_states(s: &Session, e: &Exploration) -> Result<Option<FinalStates>, Fail> {
    if u64::from(e.longest) * e.ends.len() as u64 > MOST_COMPARED {
        return Ok(None);
    }
    let (machine, model) = s.boot(false)?;
    let mut exec = Exec::new(&machine, &model);
    let run = |end: &End| record(&mut exec, &mut Replay::new(&end.schedule), s.limits());
    let records: Vec<Record> = e.ends.iter().map(run).collect();
    Ok(FinalStates::of(e, &records))
}

fn scope(s: &Session, within: &BTreeMap<String, u64>, window_entered: Option<u64>) -> Scope {
    let w = &s.world;
    let acting = w.cpu_events.iter().filter(|e| !e.steps.is_empty()).count();
    Scope {
        cpus: u32::from(w.machine.cpus),
        tasks: (w.tasks.len() + acting) as u32,
        programs: w.progs.len() as u32,
        map_entries: w.maps.iter().map(|m| m.init.len() as u32).sum(),
        irqs: Some(w.irqs),
        timing: match w.timing {
            Timing::Ignore => "untimed order, every delay possible".to_string(),
            Timing::Respect => format!("durations of the scenario and {} costs", s.costs.name),
        },
        memory: match w.machine.memory {
            Memory::Sc => "sequential; LKMM reordering is not modelled".to_string(),
            Memory::Tso => "total store order; LKMM reordering is not modelled".to_string(),
        },
        within: within.iter().map(|(k, v)| (k.clone(), *v)).collect(),
        not_covered: ["NMI", "CPU hotplug and memory pressure unless the scenario asks for them"]
            .map(str::to_string)
            .to_vec(),
        pct: None,
        missed: Missed::default(),
        window_entered,
        unmet: 0,
    }
}

/// Looks for the nearest schedule that passes, and for what durations say of the way to a finding, by index.
pub fn explain(s: &Session, rec: &mut Record, finding: usize) -> Result<(), Fail> {
    let Some(f) = rec.findings.get(finding) else { return Ok(()) };
    let steps = (f.at.step as usize).min(rec.schedule.picks.len());
    let (machine, model) = s.boot(false)?;
    let mut exec = Exec::new(&machine, &model);
    if rec.steps.len() > MOST_EXPLAINED {
        return Ok(());
    }
    rec.passing = nearest_passing(&mut exec, &rec.schedule, s.limits());
    rec.times = Some(Times::of(&mut exec, &rec.schedule.picks[..steps], &s.costs));
    Ok(())
}

impl Searched {
    /// Looks for the nearest schedule that passes, for each finding, and at the final states.
    pub fn explain(&mut self, s: &Session) -> Result<(), Fail> {
        self.final_states = final_states(s, &self.exploration)?;
        self.records.iter_mut().try_for_each(|(rec, i)| explain(s, rec, *i))
    }

    /// The expectations as results name them.
    pub fn expectations(&self) -> Vec<ExpectationResult> {
        let one = |(i, j): (usize, &Judged)| ExpectationResult {
            name: j.name.clone(),
            ok: j.ok,
            detail: j.detail.clone(),
            schedule: self.shown(i).map(|(rec, _)| rec.text.clone()),
        };
        self.judged.iter().enumerate().map(one).collect()
    }

    /// What shows that an expectation does not hold: the run of a finding that it names, and which of its findings that
    /// is, or else the first run that breaks it. `None` if it holds, or if no single run can show that it does not.
    pub fn shown(&self, judged: usize) -> Option<(&Record, Option<usize>)> {
        let j = &self.judged[judged];
        if j.ok != Some(false) {
            return None;
        }
        let named = |r: &&(Record, usize)| j.classes.contains(&r.0.findings[r.1].class);
        let found = j.witness.as_ref().and_then(|_| self.records.iter().find(named));
        match found {
            Some((rec, finding)) => Some((rec, Some(*finding))),
            None => self.witnesses[judged].as_ref().map(|rec| (rec, None)),
        }
    }

    /// What is said of the search.
    pub fn verdict(&self) -> Verdict {
        judge::verdict(!self.exploration.findings.is_empty(), &self.judged, self.bounds_hit)
    }

    /// The exit code of the search.
    pub fn exit_code(&self) -> u8 {
        judge::exit_code(&self.judged, self.bounds_hit)
    }

    /// The findings as results name them.
    pub fn findings(&self, kernel: &str) -> Vec<FindingLine> {
        let line = |(rec, i): &(Record, usize)| FindingLine::of(rec, &rec.findings[*i], kernel);
        self.records.iter().map(line).collect()
    }

    /// The result for scripts.
    pub fn result(&self, s: &Session) -> ExploreResult {
        let kernel = s.kernel_name();
        ExploreResult {
            scenario: s.scenario.name.node.clone(),
            exploration: self.exploration.clone(),
            pct: self.scope.pct,
            verdict: self.verdict(),
            findings: self.findings(&kernel),
            expectations: self.expectations(),
            window_entered: self.window_entered,
            within: self.within.clone(),
            kernel,
        }
    }
}
