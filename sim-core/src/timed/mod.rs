//! Timed runs: the virtual clock answers at every choice point, costs are drawn from seeded distributions.
//!
//! Every CPU has a clock of its own; the CPU whose next step comes first in virtual time goes on (ties: the lower
//! number). A step acts at its beginning, then keeps its context busy for its cost; an interrupt that is due meanwhile,
//! and not masked, comes in between and prolongs it. A context that spins keeps its CPU until a step elsewhere makes its
//! guard true. Nothing depends on the machine that simulates.

mod ahead;
pub mod causes;
mod clock;
pub mod costs;
mod draws;
mod holds;
mod matches;
mod samples;
mod starved;
pub mod trace;
mod waits;
mod watchers;

pub use causes::Cause;
use causes::{Doing, History};
pub(crate) use clock::Clock;
pub use costs::{Costs, Dist};
pub use holds::{Hold, Holds};
pub use starved::{Starved, Victim};
pub use waits::{Awaited, Wait};

use crate::exec::Exec;
use crate::ids::{CpuId, CtxId, Nanos, Obj};
use crate::machine::{CtxKind, Model};
use crate::result::Expiry;
use crate::schedule::Pick;
use crate::step::{CostClass, Gate, Status, Waiting};
use crate::{Machine, cpu};
use ahead::Ahead;
use matches::Matches;
pub(crate) use samples::Sample;
use samples::Samples;
use starved::Progress;
use waits::Waits;

/// How a timed run is made, and when it stops.
#[derive(Clone, Debug)]
pub struct TimedOptions {
    /// All draws follow from it.
    pub seed: u64,
    /// What steps cost.
    pub costs: Costs,
    /// Stop when nothing more happens before this instant.
    pub until: Option<Nanos>,
    /// Stop after so many expiries: the functions of the timers have returned.
    pub expiries: Option<u64>,
    /// Bound on steps; reaching it is never a pass.
    pub max_steps: u64,
    /// Bound on steps in which no timer's function returns while one that is due, or a task that could go on, never gets its
    /// CPU; reaching it is never a pass.
    pub patience: Option<u64>,
    /// Steps that make no difference to other CPUs happen right after the one before them (the result is the same, only
    /// sooner).
    pub goes_on: bool,
}

/// Why a timed run ended.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum TimedEnd {
    /// Nothing can happen any more.
    Idle,
    /// The time asked for is over.
    Time,
    /// The expiries asked for have happened.
    Expiries,
    /// The bound on steps was reached.
    StepLimit,
    /// The run got nowhere any more: see [`TimedRun::starved`].
    Starved,
    /// The watcher wanted no more.
    Stopped,
}

/// What a timed run did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimedRun {
    /// Virtual time at its end.
    pub virtual_ns: u64,
    /// Steps.
    pub steps: u64,
    /// Expiries of timers whose functions have returned.
    pub expiries: u64,
    /// Why it ended.
    pub ended: TimedEnd,
    /// Whom its CPU never got to, as things were at the end.
    pub starved: Option<Starved>,
    /// A digest of every step (who, when), lane by lane: equal digests mean equal runs.
    pub digest: [u8; 32],
}

/// Looks at a timed run as it goes.
pub trait Watch {
    /// Whether it wants to know why callbacks were late.
    fn wants_causes(&self) -> bool {
        false
    }
    /// Whether it wants to be told of every step, also of those that happen right after the one before
    /// ([`TimedOptions::goes_on`]).
    fn wants_steps(&self) -> bool {
        false
    }

    /// An expiry, in the order in which callbacks end (ties: the lower CPU). `causes`: the parts of its lateness in
    /// nanoseconds, which add up to it; empty unless wanted. Expiries come as the run goes on; it keeps few of them.
    fn expiry(&mut self, expiry: &Expiry, causes: &[(Cause, u64)]);

    /// A wait, as it ends, if causes are wanted; those that do not end come at the end of the run. `parts`: nanoseconds by
    /// what was waited for, which add up to it.
    fn wait(&mut self, wait: &Wait, parts: &[(Awaited, u64)]) {
        let _ = (wait, parts);
    }

    /// From `at` on a CPU does this, if causes are wanted; `ctx` has it. The same may be said again.
    fn doing(&mut self, cpu: CpuId, at: u64, ctx: Option<CtxId>, cause: Cause) {
        let _ = (cpu, at, ctx, cause);
    }

    /// After [`Watch::doing`]: from a later time on the CPU will be idle, unless something is said of it before.
    fn idles(&mut self, cpu: CpuId, from: u64) {
        let _ = (cpu, from);
    }

    /// Before a step. Of steps that happen right after the one before ([`TimedOptions::goes_on`]) nothing is seen.
    fn before<M: Model>(&mut self, exec: &Exec<'_, M>, pick: Pick) {
        let _ = (exec, pick);
    }

    /// After it: how long it keeps its context busy.
    fn took(&mut self, ns: u64) {
        let _ = ns;
    }

    /// Whether the run should go on; asked now and then.
    fn go_on(&mut self) -> bool {
        true
    }
}

/// Two watchers of one run.
impl<A: Watch, B: Watch> Watch for (A, B) {
    fn wants_causes(&self) -> bool {
        self.0.wants_causes() || self.1.wants_causes()
    }

    fn wants_steps(&self) -> bool {
        self.0.wants_steps() || self.1.wants_steps()
    }

    fn expiry(&mut self, expiry: &Expiry, causes: &[(Cause, u64)]) {
        self.0.expiry(expiry, causes);
        self.1.expiry(expiry, causes);
    }

    fn wait(&mut self, wait: &Wait, parts: &[(Awaited, u64)]) {
        self.0.wait(wait, parts);
        self.1.wait(wait, parts);
    }

    fn doing(&mut self, cpu: CpuId, at: u64, ctx: Option<CtxId>, cause: Cause) {
        self.0.doing(cpu, at, ctx, cause);
        self.1.doing(cpu, at, ctx, cause);
    }

    fn idles(&mut self, cpu: CpuId, from: u64) {
        self.0.idles(cpu, from);
        self.1.idles(cpu, from);
    }

    fn before<M: Model>(&mut self, exec: &Exec<'_, M>, pick: Pick) {
        self.0.before(exec, pick);
        self.1.before(exec, pick);
    }

    fn took(&mut self, ns: u64) {
        self.0.took(ns);
        self.1.took(ns);
    }

    fn go_on(&mut self) -> bool {
        self.0.go_on() && self.1.go_on()
    }
}

/// Watches nothing.
#[derive(Copy, Clone, Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn expiry(&mut self, _: &Expiry, _: &[(Cause, u64)]) {}
}

const NEVER: u64 = u64::MAX;

/// Instants from here on are not told apart: a run that comes so far is cut off.
const END_OF_TIME: u64 = NEVER - 1;

/// So many nanoseconds later, but before never.
fn later(at: u64, ns: u64) -> u64 {
    at.saturating_add(ns).min(END_OF_TIME)
}

/// A CPU, or a helper context, which is one of its own.
#[derive(Clone, Debug)]
struct Lane {
    /// Its clock.
    t: u64,
    /// Its interrupt, softirq and NMI daemons, highest level first.
    daemons: Vec<CtxId>,
    /// Its tasks, in the order of their numbers.
    tasks: Vec<CtxId>,
    own: Option<Obj>,
    /// The top of its stack.
    top: Option<CtxId>,
    /// The task that has the CPU while its stack is empty.
    cur: Option<CtxId>,
    /// When that task got it.
    since: u64,
    /// Nobody has anything to do on it, from `idle_from` on.
    idle: bool,
    /// Until then the task that is going to sleep, or has ended, is busy with its last step.
    idle_from: u64,
    /// That it is idle from `idle_from` on was not noted yet.
    idle_later: bool,
    /// The first daemon that may enter: when, and who.
    irq_at: u64,
    irq: CtxId,
    /// When the next step comes, and whose.
    next: u64,
    who: CtxId,
}

struct Driver<'e, 'm, M, W> {
    exec: &'e mut Exec<'m, M>,
    machine: &'m Machine,
    options: &'e TimedOptions,
    watch: &'e mut W,
    lanes: Vec<Lane>,
    lane_of: Vec<usize>,
    /// Nanoseconds that each context must still burn before its next step.
    left: Vec<u64>,
    is_task: Vec<bool>,
    /// Steps may happen right away, see [`Clock`].
    goes_on: bool,
    ahead: Ahead,
    /// No step after this is taken before the run was looked at, see [`Driver::next_look`].
    look: u64,
    progress: Progress,
    samples: Samples,
    /// What each CPU did lately, where causes are wanted.
    history: Vec<History>,
    /// What contexts wait for, where causes are wanted.
    waits: Waits,
    woken: Vec<CtxId>,
    matches: Matches,
}

/// Runs a machine that was booted for timed runs, from the start.
pub fn run_timed<'m, M: Model, W: Watch>(
    machine: &'m Machine,
    model: &'m M,
    options: &TimedOptions,
    watch: &mut W,
) -> (TimedRun, Exec<'m, M>) {
    machine.timed.set(true);
    let marking = {
        let mut mem = machine.mem.borrow_mut();
        mem.clock = Clock::default();
        mem.quarantine = Some(Vec::new());
        mem.samples.clear();
        mem.seed = options.seed;
        mem.marking
    };
    // Marks are in the order of time, so steps must be too.
    let goes_on = options.goes_on && !marking && !watch.wants_steps();
    // Whoever looks at each step sees what it touches; store buffers ask for it too.
    machine.footprints.set(!goes_on || machine.tso);
    machine.mem.borrow_mut().undeclared = !machine.footprints.get();
    let mut exec = Exec::new(machine, model);
    machine.mem.borrow_mut().queues.iter_mut().for_each(|q| q.set_plain());
    let run = {
        let mut d = Driver::new(&mut exec, options, goes_on, watch);
        d.start();
        d.run()
    };
    (run, exec)
}

impl<'e, 'm, M: Model, W: Watch> Driver<'e, 'm, M, W> {
    fn new(
        exec: &'e mut Exec<'m, M>,
        options: &'e TimedOptions,
        goes_on: bool,
        watch: &'e mut W,
    ) -> Self {
        let machine = exec.machine();
        let mut lanes: Vec<Lane> = machine.own.iter().map(|o| Lane::new(Some(*o))).collect();
        let mut lane_of = Vec::new();
        for (i, spec) in machine.specs.iter().enumerate() {
            let c = CtxId(i as u16);
            match spec.cpu {
                Some(cpu) => {
                    let l = &mut lanes[cpu.index()];
                    match spec.kind {
                        CtxKind::Softirq | CtxKind::Hardirq | CtxKind::Nmi => l.daemons.push(c),
                        _ => l.tasks.push(c),
                    }
                    lane_of.push(cpu.index());
                }
                None => {
                    let mut l = Lane::new(None);
                    l.tasks.push(c);
                    lane_of.push(lanes.len());
                    lanes.push(l);
                }
            }
        }
        for l in &mut lanes {
            l.daemons.sort_by_key(|c| std::cmp::Reverse(machine.specs[c.index()].kind));
        }
        let n = machine.specs.len();
        let is_task = |c: usize| lanes[lane_of[c]].tasks.contains(&CtxId(c as u16));
        let is_task: Vec<bool> = (0..n).map(is_task).collect();
        let homes = lane_of.iter().zip(&is_task).map(|(l, task)| (*l, !task)).collect();
        let causes = watch.wants_causes();
        machine.mem.borrow_mut().clock = Clock::new(options, &lanes, homes);
        Driver {
            is_task,
            matches: Matches::new(lanes.len()),
            goes_on,
            ahead: Ahead::new(machine, options, lanes.len()),
            look: 0,
            progress: Progress::default(),
            samples: Samples::new(lanes.len()),
            history: vec![History::default(); if causes { machine.own.len() } else { 0 }],
            waits: Waits::new(if causes { n } else { 0 }),
            exec,
            machine,
            options,
            watch,
            lanes,
            lane_of,
            left: vec![0; n],
            woken: Vec::new(),
        }
    }

    fn start(&mut self) {
        for c in (0..self.left.len() as u16).map(CtxId) {
            self.block_if_disabled(c);
        }
        for l in 0..self.lanes.len() {
            self.refresh(l);
            self.plan(l);
            self.matches.play(l, self.lanes[l].next);
        }
    }

    fn run(&mut self) -> TimedRun {
        let until = self.options.until.map_or(END_OF_TIME - 1, |n| n.0);
        let mut last = 0;
        self.look = self.next_look(0);
        let ended = loop {
            let (at, l) = self.matches.first();
            if at == NEVER {
                break TimedEnd::Idle;
            }
            if at > self.look {
                if at > until {
                    last = until;
                    break TimedEnd::Time;
                }
                if self.is_stuck(self.look) {
                    last = self.look;
                    break TimedEnd::Starved;
                }
                self.look = self.next_look(at);
            }
            self.step(l, at);
            while self.stays(l) {
                self.step(l, self.lanes[l].next);
            }
            self.matches.play(l, self.lanes[l].next);
            last = last.max(self.lanes[l].t);
            if !self.watch.go_on() {
                break TimedEnd::Stopped;
            }
            let mut mem = self.machine.mem.borrow_mut();
            if !mem.clock.woken.is_empty() {
                std::mem::swap(&mut self.woken, &mut mem.clock.woken);
                let at = mem.clock.at;
                drop(mem);
                self.wake_others(at);
                mem = self.machine.mem.borrow_mut();
            }
            if mem.clock.is_over(mem.expiries_over) {
                let steps = mem.clock.steps >= mem.clock.max_steps;
                break if steps { TimedEnd::StepLimit } else { TimedEnd::Expiries };
            }
            drop(mem);
            if self.samples.are_many() {
                self.samples.hand_on(self.matches.first().0, self.exec.model(), self.watch);
            }
        };
        self.samples.hand_on(NEVER, self.exec.model(), self.watch);
        self.end_waits(last);
        let starved = self.starved(last, ended == TimedEnd::Starved);
        if ended == TimedEnd::Idle {
            self.exec.end();
        }
        let mem = self.machine.mem.borrow();
        TimedRun {
            virtual_ns: last,
            steps: mem.clock.steps,
            expiries: mem.expiries_over,
            ended,
            starved,
            digest: mem.clock.digest(),
        }
    }

    fn step(&mut self, lane: usize, at: u64) {
        let c = self.lanes[lane].who;
        self.note_idle(lane, at);
        self.burn(lane, at);
        self.lanes[lane].t = at;
        let Some(alt) = self.begin(lane, c, at) else {
            // It held when the step was planned, and another CPU was faster.
            self.block_if_disabled(c);
            self.refresh(lane);
            self.plan(lane);
            self.note(lane, at);
            return;
        };
        let mut begins = at;
        if std::mem::take(&mut self.lanes[lane].idle)
            && self.lanes[lane].own.is_some()
            && !self.is_task[c.index()]
        {
            let exit = {
                let clock = &mut self.machine.mem.borrow_mut().clock;
                let exit = clock.draw(lane, CostClass::IdleExit);
                clock.cost += exit;
                exit
            };
            // A tracer looks at the memory.
            if let Some(h) = self.history.get_mut(lane) {
                h.note(at, Doing { cause: Cause::IdleExit, ctx: Some(c) });
                self.watch.doing(CpuId(lane as u16), at, Some(c), Cause::IdleExit);
                begins += exit;
            }
        }
        if !self.history.is_empty() {
            // All of what follows at once is its work, up to where it may wait.
            if self.goes_on && !self.is_task[c.index()] {
                self.note_doing(lane, begins, Some(c));
            }
            if self.waits.is_open(c) {
                self.wait_is_over(c, at);
            }
        }
        self.watch.before(self.exec, Pick { ctx: c, alt });
        self.exec.step(c, alt);
        let masks = {
            let mem = &mut *self.machine.mem.borrow_mut();
            mem.clock.stop();
            self.lanes[lane].t = mem.clock.at;
            self.left[c.index()] = mem.clock.cost;
            self.samples.take(lane, &mut mem.samples, self.history.get(lane), c);
            mem.clock.masks | self.wake_own(lane, mem)
        };
        begins = begins.max(self.lanes[lane].t);
        self.ahead.stepped(c);
        self.watch.took(self.left[c.index()]);
        if self.went_home(lane, c) {
            // Nobody else has the CPU before the exit is done.
            let l = &mut self.lanes[lane];
            l.t = later(l.t, std::mem::take(&mut self.left[c.index()]));
            begins = l.t;
        }
        if masks {
            self.refresh(lane);
        }
        if !self.plan_next(lane, c) {
            self.block_if_disabled(c);
            self.plan(lane);
        }
        if !self.history.is_empty() {
            self.note(lane, begins);
        }
    }

    /// Whether the next step of the lane may come before those of others, though it is later: as what follows a step at once
    /// may ([`Clock`]).
    fn stays(&self, lane: usize) -> bool {
        let l = &self.lanes[lane];
        let mem = self.machine.mem.borrow();
        self.ahead.is_homebound(l.who)
            && l.next < mem.clock.until()
            && mem.clock.woken.is_empty()
            && !mem.clock.is_over(mem.expiries_over)
    }

    /// Whether an interrupt or softirq has left its CPU with the last step.
    fn went_home(&self, lane: usize, c: CtxId) -> bool {
        let is_daemon = self.lanes[lane].own.is_some() && !self.is_task[c.index()];
        is_daemon && self.machine.slots[c.index()].borrow().status == Status::Idle
    }

    /// The declared step begins: what it costs, and whom it will wake. `None` if its conditions (the rule of its CPU left
    /// aside) do not hold.
    fn begin(&mut self, lane: usize, c: CtxId, at: u64) -> Option<u8> {
        let slot = self.machine.slots[c.index()].borrow();
        let mem = &mut *self.machine.mem.borrow_mut();
        if !slot.guard.cmps.is_empty() {
            let values = &mem.values;
            if !slot.guard.holds(c, None, &|o: Obj| values[o.index()]) {
                return None;
            }
        }
        let is_task = self.is_task[c.index()];
        let l = &mut self.lanes[lane];
        if is_task && l.cur != Some(c) {
            if let Some(x) = l.cur.filter(|x| self.waits.open > 0 && self.left[x.index()] == 0) {
                self.waits.done(x, at);
            }
            (l.cur, l.since) = (Some(c), at);
        }
        mem.now = Nanos(at);
        mem.clock.watchers.forget(c);
        let mut limits = (0, 0);
        // What a task does while it goes on is noted step by step.
        if self.goes_on && (self.history.is_empty() || !is_task) {
            let alone = self.ahead.until(self.machine, mem, c, at);
            let l = &self.lanes[lane];
            let slice = if l.tasks.len() > 1 { self.slice_end(lane) } else { NEVER };
            let unseen = slice.min(self.look.saturating_add(1)).min(self.ahead.unlimited);
            let any = match alone < unseen {
                true => unseen.min(alone.max(self.matches.others(lane))),
                false => unseen,
            };
            limits = (unseen, any);
        }
        Some(mem.clock.begin(lane, at, c, &slot, self.lanes[lane].irq_at, limits))
    }

    /// The common case: the context that has the CPU to itself can go on.
    fn plan_next(&mut self, lane: usize, c: CtxId) -> bool {
        let slot = self.machine.slots[c.index()].borrow();
        let l = &mut self.lanes[lane];
        let alone = l.top == Some(c) || l.top.is_none() && l.cur == Some(c) && l.tasks.len() == 1;
        if !alone || slot.status != Status::Waiting || slot.step.gate != Gate::Open {
            return false;
        }
        if !slot.guard.cmps.is_empty() {
            let values = &self.machine.mem.borrow().values;
            if !slot.guard.holds(c, None, &|o: Obj| values[o.index()]) {
                return false;
            }
        }
        let at = later(l.t, self.left[c.index()]);
        (l.next, l.who) = if at < l.irq_at { (at, c) } else { (l.irq_at, l.irq) };
        true
    }

    fn slice_end(&self, lane: usize) -> u64 {
        self.lanes[lane].since.saturating_add(self.options.costs.slice_ns)
    }

    /// Notes what the CPU does from `at` on, where causes are wanted.
    fn note(&mut self, lane: usize, at: u64) {
        if self.history.len() <= lane {
            return;
        }
        let l = &mut self.lanes[lane];
        l.idle_later = l.idle && l.idle_from > at;
        let idle = l.idle && !l.idle_later;
        let (top, cur) = (l.top, l.cur);
        let has_it = |x: &CtxId| self.left[x.index()] > 0 || self.keeps_cpu(*x, false);
        let ctx = top.or(cur.filter(has_it)).filter(|_| !idle);
        self.note_doing(lane, at, ctx);
        let l = &self.lanes[lane];
        if l.idle_later {
            self.watch.idles(CpuId(lane as u16), l.idle_from);
        }
    }

    /// The last step of a task that sleeps now was over before `to`: the CPU was idle from then on.
    fn note_idle(&mut self, lane: usize, to: u64) {
        let l = &mut self.lanes[lane];
        if l.idle_later && l.idle_from <= to {
            l.idle_later = false;
            let from = l.idle_from;
            self.note_doing(lane, from, None);
        }
    }

    fn note_doing(&mut self, lane: usize, at: u64, ctx: Option<CtxId>) {
        let cause = ctx.map_or(Cause::Idle, |x| self.doing(lane, x));
        self.history[lane].note(at, Doing { cause, ctx });
        self.watch.doing(CpuId(lane as u16), at, ctx, cause);
    }

    fn doing(&self, lane: usize, x: CtxId) -> Cause {
        let mem = self.machine.mem.borrow();
        if mem.clock.watchers.is_blocked(x) && self.spins(x) {
            return Cause::Spin(x, mem.blamed(x));
        }
        let word = self.lanes[lane].own.map_or(cpu::IDLE, |o| mem.values[o.index()]);
        match self.machine.specs[x.index()].kind {
            CtxKind::Hardirq | CtxKind::Nmi => Cause::Interrupt(x),
            CtxKind::Softirq => Cause::Softirq(x),
            _ if cpu::irqs_off(word) => Cause::IrqsOff(x, mem.blamed(x)),
            _ if cpu::bh_off(word) => Cause::SoftirqsOff(x, mem.blamed(x)),
            _ => Cause::Task(x),
        }
    }

    /// Time passes on a CPU: whoever has it gets on with its work.
    fn burn(&mut self, lane: usize, to: u64) {
        let l = &self.lanes[lane];
        let passed = to - l.t;
        if passed > 0
            && let Some(x) = l.top.or(l.cur)
        {
            let left = &mut self.left[x.index()];
            if *left >= passed {
                *left -= passed;
            } else {
                let done = l.t + std::mem::take(left);
                if self.waits.open > 0 {
                    self.waits.done(x, done);
                }
            }
        }
    }

    /// A context that cannot step watches what keeps it from it.
    fn block_if_disabled(&mut self, c: CtxId) {
        let mem = &mut *self.machine.mem.borrow_mut();
        if !mem.clock.watchers.is_blocked(c) {
            let slot = self.machine.slots[c.index()].borrow();
            mem.clock.watchers.update(c, &slot, &mem.values);
            if self.waits.are_wanted() && slot.status == Status::Waiting {
                self.look(mem, c, self.lanes[self.lane_of[c.index()]].t);
            }
        }
    }

    /// Contexts of the lane that watch what its last step wrote: what keeps them is found anew. Whether there is anybody
    /// who does.
    fn wake_own(&mut self, lane: usize, mem: &mut crate::Mem) -> bool {
        if mem.clock.woken.is_empty() {
            return false;
        }
        let mut woken = std::mem::take(&mut mem.clock.woken);
        let mut elsewhere = 0;
        for i in 0..woken.len() {
            let c = woken[i];
            if self.lane_of[c.index()] != lane {
                woken[elsewhere] = c;
                elsewhere += 1;
                continue;
            }
            let slot = self.machine.slots[c.index()].borrow();
            mem.clock.watchers.update(c, &slot, &mem.values);
            if self.waits.is_open(c) {
                let at = mem.clock.at;
                self.look(mem, c, at);
            }
            self.ahead.stepped(c);
        }
        woken.truncate(elsewhere);
        mem.clock.woken = woken;
        true
    }

    /// The same for those of other lanes: also when they can step is found anew.
    fn wake_others(&mut self, now: u64) {
        let mut woken = std::mem::take(&mut self.woken);
        for c in woken.drain(..) {
            let l = self.lane_of[c.index()];
            let blocked = {
                let mem = &mut *self.machine.mem.borrow_mut();
                let slot = self.machine.slots[c.index()].borrow();
                mem.clock.watchers.update(c, &slot, &mem.values);
                mem.clock.watchers.is_blocked(c)
            };
            self.ahead.stepped(c);
            let at = now.max(self.lanes[l].t);
            // Whoever comes only later finds the new value there.
            let done = later(self.lanes[l].t, self.left[c.index()]);
            let spun = self.spins(c) && done <= now;
            self.note_idle(l, at);
            if self.lanes[l].next > at {
                // What is seen from now on happens from now on.
                self.burn(l, at);
                self.lanes[l].t = at;
            }
            if self.waits.is_open(c) {
                self.look(&mut self.machine.mem.borrow_mut(), c, at);
            }
            if spun && !blocked {
                let handover = {
                    let mut mem = self.machine.mem.borrow_mut();
                    mem.clock.draw(l, CostClass::Handover)
                };
                self.left[c.index()] += handover;
                self.look_at_handover(c, (done, at), handover);
            }
            // What another CPU does to an idle one finds it idle.
            let idle = self.lanes[l].idle && self.lanes[l].idle_from <= at;
            self.refresh(l);
            self.plan(l);
            self.matches.play(l, self.lanes[l].next);
            self.lanes[l].idle |= idle;
            self.note(l, at);
        }
        self.woken = woken;
    }

    /// When and whose the next step of a lane is. [`Driver::refresh`] comes first if who may enter may have changed.
    fn plan(&mut self, lane: usize) {
        let (mut next, mut who) = (self.lanes[lane].irq_at, self.lanes[lane].irq);
        let top = self.lanes[lane].top;
        let holder = top.or(self.lanes[lane].cur);
        let keeps = holder.is_some_and(|x| self.keeps_cpu(x, top.is_some()));
        let mut idle = !keeps;
        let now = self.lanes[lane].t;
        let busy = later(now, holder.filter(|_| !keeps).map_or(0, |x| self.left[x.index()]));
        if let Some(x) = holder.filter(|_| keeps) {
            match self.earliest(lane, x) {
                Some(at) if at < next => (next, who) = (at, x),
                Some(_) => {}
                // It could go on before an interrupt came, and cannot any more: from now on it waits.
                None => self.block_if_disabled(x),
            }
        }
        // Where a task has ended with interrupts or preemption off, no other can run.
        if top.is_none() && (!keeps || self.lanes[lane].tasks.len() > 1) {
            let (mut at, task) = self.next_task(lane, holder, !keeps, busy);
            if keeps && at != NEVER {
                // Another task gets its turn when the slice is over.
                at = at.max(self.slice_end(lane));
            } else if at != NEVER && !self.exec.enabled(task) {
                // It gets the CPU and spins: no step, but others must wait for the end of its slice.
                if let Some(x) = holder.filter(|_| self.waits.open > 0) {
                    self.waits.done(x, busy);
                }
                self.lanes[lane].cur = Some(task);
                self.lanes[lane].since = at;
                return self.plan(lane);
            }
            // A task that wakes up later does not keep the CPU from idling until then.
            idle &= at > busy;
            if at < next {
                (next, who) = (at, task);
            }
        }
        let l = &mut self.lanes[lane];
        l.idle = idle && next > busy;
        l.idle_from = busy;
        l.next = next;
        l.who = who;
    }

    /// Whether the context that has the CPU goes on, or spins there: on top of the stack it always does.
    fn keeps_cpu(&self, x: CtxId, on_stack: bool) -> bool {
        let slot = self.machine.slots[x.index()].borrow();
        slot.status == Status::Waiting && (on_stack || slot.step.waiting == Waiting::Spin)
    }

    /// Who is on top of the CPU's stack, and which daemon may enter it first.
    fn refresh(&mut self, lane: usize) {
        let l = &mut self.lanes[lane];
        let Some(own) = l.own else { return };
        let mem = &mut *self.machine.mem.borrow_mut();
        l.top = cpu::top(mem.values[own.index()]);
        (l.irq_at, l.irq) = self.machine.first_entry(mem, lane, None, l.t);
    }

    /// When the context could take its next step if it keeps the CPU; `None` while its guard is false.
    fn earliest(&self, lane: usize, c: CtxId) -> Option<u64> {
        if !self.exec.enabled(c) {
            return None;
        }
        let t = self.lanes[lane].t;
        Some(later(t, self.left[c.index()]).max(self.gate(c)))
    }

    /// The task that gets the CPU next, and when, which is not before `busy`: one that can step, or (if asked for) spin.
    fn next_task(
        &mut self,
        lane: usize,
        except: Option<CtxId>,
        spinners: bool,
        busy: u64,
    ) -> (u64, CtxId) {
        let (mut at, mut who) = (NEVER, NOBODY);
        let tasks = self.lanes[lane].tasks.len();
        // Round robin: those after the current one first.
        let position = |x| self.lanes[lane].tasks.iter().position(|c| *c == x);
        let from = except.and_then(position).map_or(0, |i| i + 1);
        for i in 0..tasks {
            let c = self.lanes[lane].tasks[(from + i) % tasks];
            if self.machine.slots[c.index()].borrow().status == Status::Done {
                continue;
            }
            let blocked = self.machine.mem.borrow().clock.watchers.is_blocked(c);
            let enabled = !blocked && self.exec.enabled(c);
            if !enabled && !blocked {
                self.block_if_disabled(c);
            }
            if enabled || spinners && self.spins(c) {
                let t = later(self.lanes[lane].t, self.left[c.index()]);
                let t = t.max(self.gate(c)).max(busy);
                if t < at {
                    (at, who) = (t, c);
                }
            }
        }
        (at, who)
    }

    fn spins(&self, c: CtxId) -> bool {
        let slot = self.machine.slots[c.index()].borrow();
        slot.status == Status::Waiting && slot.step.waiting == Waiting::Spin
    }

    fn gate(&self, c: CtxId) -> u64 {
        self.machine.slots[c.index()].borrow().step.gate.opens(&self.machine.mem.borrow().queues)
    }
}

const NOBODY: CtxId = CtxId(u16::MAX);

impl Lane {
    fn new(own: Option<Obj>) -> Lane {
        Lane {
            t: 0,
            daemons: Vec::new(),
            tasks: Vec::new(),
            own,
            top: None,
            cur: None,
            since: 0,
            idle: true,
            idle_from: 0,
            idle_later: false,
            irq_at: NEVER,
            irq: NOBODY,
            next: NEVER,
            who: NOBODY,
        }
    }
}
