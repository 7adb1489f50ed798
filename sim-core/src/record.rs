//! The record of a run: every step with what it touched, for people to read.
//!
//! Made by replaying one schedule with recording on; searches keep only the schedule.

use crate::detect::Class;
use crate::exec::{Exec, WaitEdge};
use crate::ids::{CtxId, Nanos, Obj};
use crate::least::Meter;
use crate::machine::{CtxSpec, Machine, Model};
use crate::mem::{FrameName, Mark};
use crate::nearest::Passing;
use crate::policy::{Choice, Ended, Limits, Policy, Replay, default_pick, run, run_with};
use crate::result::Expiry;
use crate::schedule::{Pick, Schedule, Taken, short_text};
use crate::step::Access;
use crate::timed::{TimedOptions, Watch, run_timed};
use crate::timing::Times;

/// A function on the call stack of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name: `bpf_timer_cancel`, or that of a program or task.
    pub name: String,
    /// Its argument for readers: `timers[7]`; may be empty.
    pub arg: String,
    /// Tells calls of the same function apart: unique in the run.
    pub id: u32,
    /// Findings blame its caller.
    pub leaf: bool,
    /// It is a body of the scenario, not a kernel function.
    pub body: bool,
}

/// One object that a step touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The object, for comparison with other touches of this run.
    pub obj: Obj,
    /// Its name.
    pub name: String,
    /// It was written (or read and written).
    pub write: bool,
    /// It belongs to the CPU's own bookkeeping or to the life of an allocation.
    pub internal: bool,
    /// The value before the step, as people write it.
    pub before: String,
    /// The value after the step.
    pub after: String,
}

/// Why a step comes after an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The number of the earlier step.
    pub from: u32,
    /// The object on which they conflict; `None`: the same context.
    pub over: Option<String>,
}

/// A step of the run.
#[derive(Clone, Debug)]
pub struct StepRecord {
    /// From 1; the same in every view of the run.
    pub no: u32,
    /// Who.
    pub ctx: CtxId,
    /// Virtual time at its beginning; 0 in explored runs.
    pub at: Nanos,
    /// Nanoseconds that it keeps its context busy, interruptions not counted; 0 in explored runs.
    pub took: u64,
    /// The source line.
    pub text: String,
    /// Belongs to the step beside it (the mask of a lock): left out of pictures.
    pub quiet: bool,
    /// It entered an interrupt, a softirq, a grace period or the like.
    pub entry: bool,
    /// The call stack, outermost first.
    pub stack: Vec<Call>,
    /// What it touched.
    pub touches: Vec<Touch>,
    /// The steps directly before it in the happens-before order.
    pub after: Vec<Edge>,
    /// The line of the scenario file, where the step belongs to one.
    pub line: Option<u32>,
    /// The alternative taken, where the step had some.
    pub alt: u8,
    /// What the kernel function returned that the step stands for, where the model says it ([`Mem::returns`]).
    ///
    /// [`Mem::returns`]: crate::mem::Mem::returns
    pub ret: Option<i64>,
}

/// A side of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The step's number; 0: before the start.
    pub step: u32,
    /// Who.
    pub ctx: CtxId,
    /// The function that is blamed.
    pub func: String,
    /// The source line.
    pub text: String,
}

/// What stands for a function in a [`Side`] that lies in none.
pub const NO_FUNCTION: &str = "(idle)";

/// A finding with everything a report needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingRecord {
    /// Its class.
    pub class: Class,
    /// The two functions, sorted; the same twice where there is one.
    pub functions: [String; 2],
    /// Where it showed.
    pub at: Side,
    /// The other side.
    pub other: Option<Side>,
    /// Where the object was born, if it is an allocation: step 0 is before the start.
    pub born: Option<Side>,
    /// The object: `bpf_hrtimer #1`.
    pub object: Option<String>,
    /// Of a deadlock: who waits for whom, by name, and for what.
    pub waits: Vec<Wait>,
    /// Of an order of locks: the circle, from each class to the next and back to the first.
    pub locks: Vec<LockStep>,
}

impl FindingRecord {
    /// In one sentence: `use-after-free in A / B`. The end of the run and the outermost level of an interrupt are in no
    /// function; where neither side is in one, the object is named.
    pub fn title(&self) -> String {
        let words = self.class.words();
        let mut named: Vec<&str> = self.functions.iter().map(String::as_str).collect();
        named.retain(|f| *f != NO_FUNCTION);
        named.dedup();
        match (named.is_empty(), &self.object) {
            (false, _) => format!("{words} in {}", named.join(" / ")),
            (true, Some(object)) => format!("{words} of {object}"),
            (true, None) => words.to_string(),
        }
    }
}

/// From one class of locks to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockStep {
    /// The class that was held.
    pub from: String,
    /// The class that was waited for meanwhile, or that an interrupt takes which can come meanwhile.
    pub to: String,
    /// That interrupt: `hard interrupt`, `softirq`, `NMI`.
    pub interrupt: Option<&'static str>,
    /// Where `from` was taken. Step 0: in a schedule that ran before.
    pub held: Side,
    /// Where `to` was taken or waited for.
    pub taken: Side,
}

/// An edge of the graph of who waits for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Who waits.
    pub waiter: CtxId,
    /// For whom.
    pub holder: CtxId,
    /// In which function.
    pub func: String,
    /// The waiter has come to that function from within itself.
    pub nested: bool,
    /// The innermost body (a program, a callback) that it is in.
    pub body: Option<String>,
    /// At which line.
    pub text: String,
    /// Because it is not on top of its CPU.
    pub through_cpu: bool,
    /// For which object: a lock, what a CPU runs, the CPU itself.
    pub over: String,
}

/// A run, as reports read it.
#[derive(Clone, Debug)]
pub struct Record {
    /// The contexts, by number.
    pub contexts: Vec<CtxSpec>,
    /// The steps in order.
    pub steps: Vec<StepRecord>,
    /// Findings, in the order in which they were made.
    pub findings: Vec<FindingRecord>,
    /// Functions entered and left, and named events.
    pub marks: Vec<MarkRecord>,
    /// The full schedule.
    pub schedule: Schedule,
    /// Its short text.
    pub text: String,
    /// Steps by another context than the one before, helpers not counted.
    pub switches: u32,
    /// Switches away from a context that could have gone on.
    pub preemptions: u32,
    /// Interrupts and softirqs that began.
    pub interrupts: u32,
    /// How the run ended.
    pub ended: Ended,
    /// Digest of the final state.
    pub state: u64,
    /// The nearest schedule without a finding, where one was searched and found.
    pub passing: Option<Passing>,
    /// What durations say about it, where that was asked.
    pub times: Option<Times>,
}

/// A mark with names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkRecord {
    /// The raw mark.
    pub ctx: CtxId,
    /// Function, body or event.
    pub name: String,
    /// Its argument.
    pub arg: String,
    /// `None`: entered, or an event; else left with this value.
    pub ret: Option<i64>,
    /// Steps of the run before it.
    pub at: u32,
}

/// Replays a policy (a schedule) from the start and records every step.
pub fn record<M: Model>(exec: &mut Exec<'_, M>, policy: &mut dyn Policy, limits: Limits) -> Record {
    record_after(exec, &[], policy, limits)
}

/// The same after other schedules have run, of which only the order of their locks is remembered
/// ([`crate::result::Found::before`]).
pub fn record_after<M: Model>(
    exec: &mut Exec<'_, M>,
    before: &[Schedule],
    policy: &mut dyn Policy,
    limits: Limits,
) -> Record {
    exec.machine().mem.borrow_mut().lockdep.forget();
    for schedule in before {
        exec.restart();
        run(exec, &mut Replay::new(schedule), limits);
    }
    let earlier = {
        let mem = &mut *exec.machine().mem.borrow_mut();
        mem.marking = true;
        mem.lockdep.fresh.len()
    };
    exec.restart();
    let mut r = Recorder::default();
    policy.begin();
    let ended = run_with(exec, policy, limits, &mut |exec, pick| r.before(exec, pick));
    r.finish_last(exec);
    {
        let mem = &mut *exec.machine().mem.borrow_mut();
        mem.judge_locks(earlier);
        mem.marking = false;
    }
    r.into_record(exec, ended)
}

/// The part of a timed run that lies in a stretch of time, and the expiries in it. Numbers of steps are those of the whole
/// run; what is outside of the stretch is in no edge.
pub fn record_timed<M: Model>(
    machine: &Machine,
    model: &M,
    options: &TimedOptions,
    (from, to): (Nanos, Nanos),
) -> (Record, Vec<Expiry>) {
    let until = options.until.map_or(to, |u| u.min(to));
    let options = TimedOptions { until: Some(until), goes_on: false, ..options.clone() };
    let mut w = Stretch { from, recorder: Recorder::default(), expiries: Vec::new() };
    let (_, exec) = run_timed(machine, model, &options, &mut w);
    w.recorder.finish_last(&exec);
    let mut rec = w.recorder.into_record(&exec, Ended::Complete);
    // The schedule of a timed run is its seed.
    rec.text.clear();
    (rec, w.expiries)
}

struct Stretch {
    from: Nanos,
    recorder: Recorder,
    expiries: Vec<Expiry>,
}

impl Watch for Stretch {
    fn expiry(&mut self, e: &Expiry, _: &[(crate::timed::Cause, u64)]) {
        if e.exit >= self.from {
            self.expiries.push(*e);
        }
    }

    fn before<M: Model>(&mut self, exec: &Exec<'_, M>, pick: Pick) {
        let now = exec.machine().mem.borrow().now;
        if now >= self.from {
            self.recorder.before(exec, pick);
        }
    }

    fn took(&mut self, ns: u64) {
        if let Some(s) = self.recorder.steps.last_mut() {
            s.took = ns;
        }
    }
}

#[derive(Default)]
struct Recorder {
    steps: Vec<StepRecord>,
    taken: Vec<Taken>,
    /// Per object: the last writer and the readers since, as step numbers.
    last: std::collections::BTreeMap<Obj, (u32, Vec<u32>)>,
    /// Per context: its last step.
    last_of: std::collections::BTreeMap<CtxId, u32>,
    recent: std::collections::BTreeMap<u16, CtxId>,
    /// The last context that is not a helper.
    thread: Option<CtxId>,
    switches: u32,
    meter: Meter,
    /// Findings so far, and the preemptions up to the last of them: what follows in the default order is not needed for it.
    found: usize,
    needed: Option<u32>,
}

impl Recorder {
    fn before<M: Model>(&mut self, exec: &Exec<'_, M>, pick: Pick) {
        self.finish_last(exec);
        self.note_choice(exec, pick);
        let m = exec.machine();
        let no = exec.steps() + 1;
        let (label, fp) = {
            let slot = m.slots[pick.ctx.index()].borrow();
            (slot.step.label, slot.fp.clone())
        };
        let touches = fp.iter().map(|a| touch(exec, *a)).collect();
        let after = self.edges(exec, pick.ctx, no, &fp);
        self.steps.push(StepRecord {
            no,
            ctx: pick.ctx,
            at: m.mem.borrow().now,
            took: 0,
            text: exec.model().render(label),
            quiet: label.site.quiet,
            entry: exec.is_idle(pick.ctx),
            stack: stack(exec, pick.ctx),
            touches,
            after,
            line: exec.model().line(pick.ctx),
            alt: pick.alt,
            ret: None,
        });
    }

    fn note_findings<M: Model>(&mut self, exec: &Exec<'_, M>) {
        let found = exec.machine().mem.borrow().findings.len();
        if found > std::mem::replace(&mut self.found, found) {
            self.needed = Some(self.meter.effort.preemptions);
        }
    }

    /// The values after the step that was taken last.
    fn finish_last<M: Model>(&mut self, exec: &Exec<'_, M>) {
        self.note_findings(exec);
        let returned = exec.machine().mem.borrow_mut().returned.take();
        if let Some(s) = self.steps.last_mut() {
            s.ret = returned;
            for t in &mut s.touches {
                t.after = value_text(exec, t.obj);
                // An allocation gets its name by being made.
                t.name = exec.machine().obj_name(t.obj);
            }
        }
    }

    fn note_choice<M: Model>(&mut self, exec: &Exec<'_, M>, pick: Pick) {
        let mut ready = Vec::new();
        exec.ready(&mut ready);
        let last = self.steps.last().map(|s| s.ctx);
        let choice = Choice {
            ready: &ready,
            idle: &|c| exec.is_idle(c),
            last,
            alternatives: &|c| exec.alternatives(c),
        };
        let is_default = default_pick(&choice) == pick.ctx;
        let was_idle = exec.is_idle(pick.ctx);
        let specs = exec.machine().contexts();
        let cpu = specs[pick.ctx.index()].cpu;
        let here: Vec<CtxId> = ready
            .iter()
            .copied()
            .filter(|c| specs[c.index()].cpu == cpu && !exec.is_idle(*c))
            .collect();
        let recent = cpu.and_then(|c| self.recent.get(&c.0)).copied();
        let bare = match here.as_slice() {
            [one] => Some(*one),
            many => recent.filter(|r| many.contains(r)),
        };
        self.taken.push(Taken { pick, was_idle, ambiguous: bare != Some(pick.ctx), is_default });
        self.count(exec, pick.ctx, &ready);
        if let Some(cpu) = cpu {
            self.recent.insert(cpu.0, pick.ctx);
        }
    }

    /// Helpers (grace periods, store buffers) are not seen as threads: they neither switch nor are switched away from.
    fn count<M: Model>(&mut self, exec: &Exec<'_, M>, c: CtxId, ready: &[CtxId]) {
        self.meter = self.meter.after(exec, ready, c);
        if !exec.is_helper(c) && self.thread.replace(c).is_some_and(|l| l != c) {
            self.switches += 1;
        }
    }

    fn edges<M: Model>(
        &mut self,
        exec: &Exec<'_, M>,
        ctx: CtxId,
        no: u32,
        fp: &[Access],
    ) -> Vec<Edge> {
        let mut after: Vec<Edge> = Vec::new();
        if let Some(p) = self.last_of.insert(ctx, no) {
            after.push(Edge { from: p, over: None });
        }
        for a in fp {
            let (writer, readers) = self.last.entry(a.obj()).or_default();
            let name = || Some(exec.machine().obj_name(a.obj()));
            if *writer != 0 && *writer != no {
                after.push(Edge { from: *writer, over: name() });
            }
            if a.is_write() {
                let others = readers.drain(..).filter(|r| *r != no);
                after.extend(others.map(|r| Edge { from: r, over: name() }));
                *writer = no;
            } else if readers.last() != Some(&no) {
                readers.push(no);
            }
        }
        let known = |no: u32| self.steps.binary_search_by_key(&no, |s| s.no).ok();
        let is_own = |no: u32| known(no).is_some_and(|i| self.steps[i].ctx == ctx);
        after.retain(|e| e.over.is_none() || !is_own(e.from));
        after.sort_by_key(|e| (e.from, e.over.is_some()));
        after.dedup_by_key(|e| e.from);
        after
    }

    fn into_record<M: Model>(self, exec: &Exec<'_, M>, ended: Ended) -> Record {
        let m = exec.machine();
        let findings = findings(exec);
        let marks = m.mem.borrow().marks.clone();
        let marks = marks.iter().map(|k| mark_record(exec, k)).collect();
        Record {
            contexts: m.contexts().to_vec(),
            text: short_text(&self.taken, m.contexts()),
            schedule: Schedule { picks: self.taken.iter().map(|t| t.pick).collect() },
            steps: self.steps,
            findings,
            marks,
            switches: self.switches,
            preemptions: self.needed.unwrap_or(self.meter.effort.preemptions),
            interrupts: self.meter.effort.interrupts,
            ended,
            state: m.mem.borrow().state_digest(),
            passing: None,
            times: None,
        }
    }
}

fn frame_name<M: Model>(exec: &Exec<'_, M>, name: FrameName) -> String {
    match name {
        FrameName::Fn(f) => f.to_string(),
        FrameName::Body(i) => exec.machine().names()[i as usize].clone(),
    }
}

fn mark_record<M: Model>(exec: &Exec<'_, M>, k: &Mark) -> MarkRecord {
    MarkRecord {
        ctx: k.ctx,
        name: frame_name(exec, k.name),
        arg: exec.model().render_arg(k.name, k.arg),
        ret: k.ret,
        at: k.at,
    }
}

fn stack<M: Model>(exec: &Exec<'_, M>, ctx: CtxId) -> Vec<Call> {
    let frames = exec.machine().mem.borrow().frames[ctx.index()].to_vec();
    frames
        .iter()
        .map(|f| Call {
            name: frame_name(exec, f.name),
            arg: exec.model().render_arg(f.name, f.arg),
            id: f.id,
            leaf: f.leaf,
            body: matches!(f.name, FrameName::Body(_)),
        })
        .collect()
}

fn touch<M: Model>(exec: &Exec<'_, M>, a: Access) -> Touch {
    let m = exec.machine();
    let internal = {
        let mem = m.mem.borrow();
        let alloc = mem.meta[a.obj().index()].alloc;
        let is_life = alloc.checked_sub(1).is_some_and(|i| mem.allocs[i as usize].base == a.obj());
        is_life || m.own.contains(&a.obj())
    };
    let before = value_text(exec, a.obj());
    Touch {
        obj: a.obj(),
        name: m.obj_name(a.obj()),
        write: a.is_write(),
        internal,
        after: before.clone(),
        before,
    }
}

fn value_text<M: Model>(exec: &Exec<'_, M>, obj: Obj) -> String {
    let m = exec.machine();
    let (v, life, holder) = {
        let mem = m.mem.borrow();
        let alloc = mem.meta[obj.index()].alloc;
        let life = alloc.checked_sub(1).is_some_and(|i| mem.allocs[i as usize].base == obj);
        let v = mem.values[obj.index()];
        match mem.meta[obj.index()].kind {
            crate::mem::Kind::Plain => {}
            crate::mem::Kind::List(l) => return items(mem.lists[l as usize].len()),
            crate::mem::Kind::Queue(q) => return items(mem.queues[q as usize].len()),
        }
        if let Some(t) = exec.model().render_value(&mem, obj, v) {
            return t;
        }
        (v, life, mem.meta[obj.index()].holder)
    };
    if life {
        return match v {
            crate::mem::NEVER => "not allocated",
            crate::mem::ALIVE => "alive",
            _ => "FREED",
        }
        .to_string();
    }
    if v == crate::mem::POISON {
        return "uninitialised".to_string();
    }
    if m.own.contains(&obj) {
        let names: Vec<&str> =
            crate::cpu::stack(v).map(|c| m.specs[c.index()].name.as_str()).collect();
        return if names.is_empty() { "free".to_string() } else { names.join(" < ") };
    }
    if matches!(holder, crate::mem::Holder::Value) {
        return match v.checked_sub(1) {
            None => "free".to_string(),
            Some(c) => m.specs.get(c as usize).map_or_else(|| v.to_string(), |s| s.name.clone()),
        };
    }
    m.pointee(v).unwrap_or_else(|| (v as i64).to_string())
}

/// The content of a list or queue, in a word.
fn items(n: usize) -> String {
    if n == 0 { "empty".to_string() } else { format!("{n} queued") }
}

fn findings<M: Model>(exec: &Exec<'_, M>) -> Vec<FindingRecord> {
    let m = exec.machine();
    let raw = m.mem.borrow().findings.clone();
    let side = |p: &crate::mem::Place| Side {
        step: p.step,
        ctx: p.ctx,
        func: frame_name(exec, p.func),
        text: exec.model().render(p.label),
    };
    let waits = {
        let stuck = exec.stuck();
        let mem = m.mem.borrow();
        let edges = if stuck.is_empty() { Vec::new() } else { exec.waits_for(&stuck) };
        let in_function = |e: &WaitEdge| {
            let (f, frames) = (mem.blamed(e.waiter), mem.frames(e.waiter));
            let body =
                frames.iter().rev().map(|x| x.name).find(|n| matches!(n, FrameName::Body(_)));
            (f, frames.iter().filter(|x| x.name == f).count() > 1, body)
        };
        let blamed: Vec<(FrameName, bool, Option<FrameName>)> =
            edges.iter().map(in_function).collect();
        drop(mem);
        edges
            .iter()
            .zip(blamed)
            .map(|(e, (f, nested, body))| Wait {
                waiter: e.waiter,
                holder: e.holder,
                func: frame_name(exec, f),
                nested,
                body: body.map(|b| frame_name(exec, b)),
                text: exec.model().render(m.slots[e.waiter.index()].borrow().step.label),
                through_cpu: e.through_cpu,
                over: m.obj_name(e.over),
            })
            .collect::<Vec<_>>()
    };
    let circle = |finding: usize| {
        let mem = m.mem.borrow();
        let shown = mem.lockdep.circles.iter().find(|c| c.finding == finding);
        shown.map_or_else(Vec::new, |c| c.arrows.clone())
    };
    let lock_step = |a: crate::lockdep::circle::ShownArrow| LockStep {
        held: side(&a.held),
        taken: side(&a.at),
        from: a.from,
        to: a.to,
        interrupt: a.interrupt,
    };
    let mut out: Vec<FindingRecord> = Vec::new();
    for (i, f) in raw.iter().enumerate() {
        let named = f.named(m.names());
        let born = f.alloc.checked_sub(1).and_then(|a| m.mem.borrow().allocs[a as usize].born);
        let base = f.alloc.checked_sub(1).map(|a| m.mem.borrow().allocs[a as usize].base);
        let deadlock = f.class.is_stuck();
        out.push(FindingRecord {
            class: f.class,
            functions: named.functions,
            at: side(&f.at),
            other: f.other.as_ref().map(side),
            born: born.as_ref().map(side),
            object: base.or(f.obj).map(|o| m.obj_name(o)),
            waits: if deadlock { waits.clone() } else { Vec::new() },
            locks: circle(i).into_iter().map(lock_step).collect(),
        });
    }
    out
}
