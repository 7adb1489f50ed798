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
mod doing;
mod draws;
mod holds;
mod lane;
mod matches;
mod plan;
mod samples;
mod starved;
pub mod trace;
mod waits;
mod wake;
mod watch;
mod watchers;

pub use causes::Cause;
use causes::{Doing, History};
pub(crate) use clock::Clock;
pub use costs::{Costs, Dist};
pub use holds::{Hold, Holds};
pub use starved::{Starved, Victim};
pub use waits::{Awaited, Wait};
pub use watch::{Unwatched, Watch};

use crate::Machine;
use crate::exec::Exec;
use crate::ids::{CpuId, CtxId, Nanos, Obj};
use crate::machine::{CtxKind, Model, RealTime};
use crate::schedule::Pick;
use crate::step::{CostClass, Status};
use ahead::Ahead;
use lane::{Lane, NOBODY};
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

impl Default for TimedOptions {
    /// Seed 1, default costs, ten million steps at most; otherwise it goes on while anything happens.
    fn default() -> TimedOptions {
        TimedOptions {
            seed: 1,
            costs: Costs::default(),
            until: None,
            expiries: None,
            max_steps: 10_000_000,
            patience: None,
            goes_on: true,
        }
    }
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

const NEVER: u64 = u64::MAX;

/// Instants from here on are not told apart: a run that comes so far is cut off.
const END_OF_TIME: u64 = NEVER - 1;

/// So many nanoseconds later, but before never.
fn later(at: u64, ns: u64) -> u64 {
    at.saturating_add(ns).min(END_OF_TIME)
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
    /// By context; priority 0 for those that have no real-time class.
    classes: Vec<RealTime>,
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
        let mut classes = vec![RealTime { priority: 0, in_turns: true }; n];
        for (c, class) in &machine.real_time {
            classes[c.index()] = *class;
            lanes[lane_of[c.index()]].real_time = true;
        }
        let causes = watch.wants_causes();
        machine.mem.borrow_mut().clock = Clock::new(options, &lanes, homes);
        Driver {
            is_task,
            classes,
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
        // What a task does while it goes on is noted step by step; another one may take its CPU at any time if that has a
        // real-time class.
        let looked_at = !self.history.is_empty() || self.lanes[lane].real_time;
        if self.goes_on && !(is_task && looked_at) {
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
}
