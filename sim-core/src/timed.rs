//! Timed runs: the virtual clock answers at every choice point, costs are drawn from seeded distributions.
//!
//! Every CPU has a clock of its own; the CPU whose next step comes first in virtual time goes on (ties: the lower
//! number). A step acts at its beginning, then keeps its context busy for its cost; an interrupt that is due meanwhile,
//! and not masked, comes in between and prolongs it. A context that spins keeps its CPU until a step elsewhere makes its
//! guard true. Nothing depends on the machine that simulates.

use crate::exec::Exec;
use crate::ids::{CtxId, Nanos, Obj};
use crate::machine::{CtxKind, Model};
use crate::result::Expiry;
use crate::schedule::Pick;
use crate::step::{COST_CLASSES, Cost, CostClass, Gate, Status, Waiting};
use crate::{Machine, cpu};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// What steps cost: nanoseconds per class, drawn evenly from a range with both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Costs {
    /// Smallest and largest cost, by [`CostClass`].
    pub range: [(u32, u32); COST_CLASSES],
    /// After so many nanoseconds another task of the CPU gets its turn.
    pub slice_ns: u64,
}

impl Default for Costs {
    /// Generic costs of a current x86-64 server core. Not calibrated.
    fn default() -> Costs {
        let mut range = [(0, 0); COST_CLASSES];
        let mut set = |c: CostClass, lo, hi| range[c as usize] = (lo, hi);
        set(CostClass::Free, 0, 0);
        set(CostClass::Memory, 2, 8);
        set(CostClass::Atomic, 15, 35);
        set(CostClass::Lock, 15, 40);
        set(CostClass::Mask, 3, 8);
        set(CostClass::Hrtimer, 60, 140);
        set(CostClass::IrqEntry, 300, 600);
        set(CostClass::IrqExit, 60, 140);
        set(CostClass::SoftirqEntry, 120, 320);
        set(CostClass::SoftirqExit, 30, 70);
        set(CostClass::Syscall, 80, 180);
        set(CostClass::Call, 10, 30);
        set(CostClass::Alloc, 40, 120);
        set(CostClass::Map, 30, 90);
        set(CostClass::Wakeup, 900, 2_600);
        set(CostClass::GracePeriod, 4_000_000, 20_000_000);
        Costs { range, slice_ns: 4_000_000 }
    }
}

/// How a timed run is made, and when it stops.
#[derive(Clone, Debug)]
pub struct TimedOptions {
    /// All draws follow from it.
    pub seed: u64,
    /// What steps cost.
    pub costs: Costs,
    /// Stop when nothing more happens before this instant.
    pub until: Option<Nanos>,
    /// Stop after so many expiries.
    pub expiries: Option<u64>,
    /// Bound on steps; reaching it is never a pass.
    pub max_steps: u64,
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
}

/// What a timed run did.
#[derive(Clone, Debug)]
pub struct TimedRun {
    /// Virtual time at its end.
    pub virtual_ns: u64,
    /// Steps.
    pub steps: u64,
    /// Expiries of timers.
    pub expiries: u64,
    /// Why it ended.
    pub ended: TimedEnd,
    /// SHA-256 over every step (who, when): equal digests mean equal runs.
    pub digest: [u8; 32],
}

/// Looks at a timed run as it goes.
pub trait Watch<M: Model> {
    /// Before each step.
    fn step(&mut self, exec: &Exec<'_, M>, pick: Pick) {
        let _ = (exec, pick);
    }
    /// After an expiry.
    fn expiry(&mut self, expiry: &Expiry) {
        let _ = expiry;
    }
}

/// Watches nothing.
#[derive(Copy, Clone, Debug, Default)]
pub struct Unwatched;

impl<M: Model> Watch<M> for Unwatched {}

const NEVER: u64 = u64::MAX;

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
    /// The task that has the CPU while its stack is empty.
    cur: Option<CtxId>,
    /// When that task got it.
    since: u64,
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
    blocked: Vec<bool>,
    /// By object: who waits for a change of it. By context: the objects that it is registered with.
    watchers: Vec<Vec<CtxId>>,
    watching: Vec<Vec<Obj>>,
    rng: Vec<ChaCha8Rng>,
    record: Vec<u8>,
    hash: Sha256,
    steps: u64,
    woken: Vec<CtxId>,
    matches: Matches,
    blamed: Vec<Obj>,
}

/// Runs a machine that was booted for timed runs, from the start.
pub fn run_timed<'m, M: Model, W: Watch<M>>(
    machine: &'m Machine,
    model: &'m M,
    options: &TimedOptions,
    watch: &mut W,
) -> (TimedRun, Exec<'m, M>) {
    machine.timed.set(true);
    {
        let mut mem = machine.mem.borrow_mut();
        mem.quarantine = Some(Vec::new());
        mem.samples.clear();
    }
    let mut exec = Exec::new(machine, model);
    let run = {
        let mut d = Driver::new(&mut exec, options, watch);
        d.start();
        d.run()
    };
    (run, exec)
}

impl<'e, 'm, M: Model, W: Watch<M>> Driver<'e, 'm, M, W> {
    fn new(exec: &'e mut Exec<'m, M>, options: &'e TimedOptions, watch: &'e mut W) -> Self {
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
        let rng = (0..lanes.len())
            .map(|l| {
                let mut r = ChaCha8Rng::seed_from_u64(options.seed);
                r.set_stream(l as u64 + 1);
                r
            })
            .collect();
        let n = machine.specs.len();
        let matches = Matches::new(lanes.len());
        Driver {
            matches,
            exec,
            machine,
            options,
            watch,
            lanes,
            lane_of,
            left: vec![0; n],
            blocked: vec![false; n],
            watchers: Vec::new(),
            watching: vec![Vec::new(); n],
            rng,
            record: Vec::with_capacity(RECORD),
            hash: Sha256::new(),
            steps: 0,
            woken: Vec::new(),
            blamed: Vec::new(),
        }
    }

    fn start(&mut self) {
        for c in (0..self.left.len() as u16).map(CtxId) {
            self.block_if_disabled(c);
        }
        for l in 0..self.lanes.len() {
            self.plan(l, true);
        }
    }

    fn run(&mut self) -> TimedRun {
        let until = self.options.until.map_or(NEVER, |n| n.0);
        let expiries = self.options.expiries.unwrap_or(u64::MAX);
        let mut last = 0;
        let ended = loop {
            let l = self.matches.first();
            let at = self.lanes[l].next;
            if at == NEVER {
                break TimedEnd::Idle;
            }
            if at > until {
                last = until;
                break TimedEnd::Time;
            }
            last = last.max(at);
            self.step(l);
            if !self.woken.is_empty() {
                self.wake_others(l);
            }
            if self.steps >= self.options.max_steps {
                break TimedEnd::StepLimit;
            }
            if self.machine.mem.borrow().expiries >= expiries {
                break TimedEnd::Expiries;
            }
        };
        self.drain_samples();
        if ended == TimedEnd::Idle {
            self.exec.end();
        }
        self.hash.update(&self.record);
        let mem = self.machine.mem.borrow();
        TimedRun {
            virtual_ns: last,
            steps: self.steps,
            expiries: mem.expiries,
            ended,
            digest: std::mem::take(&mut self.hash).finalize().into(),
        }
    }

    fn step(&mut self, lane: usize) {
        let (at, c) = (self.lanes[lane].next, self.lanes[lane].who);
        self.burn(lane, at);
        self.lanes[lane].t = at;
        let entry = self.declared(lane, c, at);
        self.watch.step(self.exec, Pick { ctx: c, alt: entry.alt });
        self.exec.step(c, entry.alt);
        self.steps += 1;
        self.note(c, at);
        self.left[c.index()] = entry.cost;
        let l = &mut self.lanes[lane];
        if l.cur != Some(c) && l.tasks.contains(&c) {
            l.cur = Some(c);
            l.since = at;
        }
        if self.blocked[c.index()] {
            self.unblock(c);
        }
        self.block_if_disabled(c);
        self.plan(lane, entry.masks);
    }

    /// What the declared step says: its cost, whether it changes who may enter, and what it will wake.
    fn declared(&mut self, lane: usize, c: CtxId, at: u64) -> Entry {
        let slot = self.machine.slots[c.index()].borrow();
        let mut mem = self.machine.mem.borrow_mut();
        mem.now = Nanos(at);
        let own = self.lanes[lane].own;
        let mut masks = false;
        for a in slot.fp.iter().filter(|a| a.is_write()) {
            let o = a.obj();
            masks |= Some(o) == own;
            if let Some(w) = self.watchers.get(o.index())
                && !w.is_empty()
            {
                masks = true;
                self.woken.extend(w);
            }
        }
        let rng = &mut self.rng[lane];
        let (lo, hi) = match slot.cost {
            Cost::Class(class) => {
                let (lo, hi) = self.options.costs.range[class as usize];
                (u64::from(lo), u64::from(hi))
            }
            Cost::Range(lo, hi) => (lo, hi),
        };
        let cost = if lo >= hi { lo } else { lo + crate::policy::below(rng, hi - lo + 1) };
        let alt =
            if slot.alts > 1 { crate::policy::below(rng, u64::from(slot.alts)) as u8 } else { 0 };
        Entry { cost, alt, masks }
    }

    fn note(&mut self, c: CtxId, at: u64) {
        self.record.extend_from_slice(&c.0.to_le_bytes());
        self.record.extend_from_slice(&at.to_le_bytes());
        if self.record.len() + 16 > RECORD {
            self.hash.update(&self.record);
            self.record.clear();
            self.drain_samples();
        }
    }

    fn drain_samples(&mut self) {
        let mut mem = self.machine.mem.borrow_mut();
        let mut samples = std::mem::take(&mut mem.samples);
        drop(mem);
        for s in &samples {
            self.watch.expiry(s);
        }
        samples.clear();
        self.machine.mem.borrow_mut().samples = samples;
    }

    /// Time passes on a CPU: whoever has it gets on with its work.
    fn burn(&mut self, lane: usize, to: u64) {
        let l = &self.lanes[lane];
        let passed = to - l.t;
        if passed > 0
            && let Some(x) = self.top(lane).or(self.lanes[lane].cur)
        {
            let left = &mut self.left[x.index()];
            *left = left.saturating_sub(passed);
        }
    }

    /// The top of a CPU's stack.
    fn top(&self, lane: usize) -> Option<CtxId> {
        let own = self.lanes[lane].own?;
        cpu::top(self.machine.mem.borrow().values[own.index()])
    }

    /// Registers a context that cannot step with the objects that keep it from it: one that fails of a conjunction. A
    /// daemon that waits for the first timer of a queue watches the queue, because its head may change.
    fn block_if_disabled(&mut self, c: CtxId) {
        let slot = self.machine.slots[c.index()].borrow();
        if self.blocked[c.index()] || !matches!(slot.status, Status::Idle | Status::Waiting) {
            return;
        }
        let mut blamed = std::mem::take(&mut self.blamed);
        blamed.clear();
        if !slot.guard.cmps.is_empty() {
            let values = &self.machine.mem.borrow().values;
            // The CPU's own word is not waited for: whoever changes it plans the CPU again.
            slot.guard.blame(c, None, &|o: Obj| values[o.index()], &mut blamed);
            if blamed.is_empty() && matches!(slot.gate, Gate::Queues(..)) {
                blamed.extend(slot.guard.cmps.iter().flat_map(|g| g.objs()));
            }
        }
        drop(slot);
        self.blocked[c.index()] = !blamed.is_empty();
        for o in &blamed {
            if self.watchers.len() <= o.index() {
                self.watchers.resize(o.index() + 1, Vec::new());
            }
            let w = &mut self.watchers[o.index()];
            if !w.contains(&c) {
                w.push(c);
                self.watching[c.index()].push(*o);
            }
        }
        self.blamed = blamed;
    }

    /// Contexts that watch what the last step of `lane` wrote: what keeps them, and when they can step, is found anew.
    fn wake_others(&mut self, lane: usize) {
        let now = self.lanes[lane].t;
        let mut woken = std::mem::take(&mut self.woken);
        for c in woken.drain(..) {
            let l = self.lane_of[c.index()];
            if l == lane && self.watches_one(c) {
                continue; // planned with the step that woke it, and it watches the same object still
            }
            self.unblock(c);
            self.block_if_disabled(c);
            let at = now.max(self.lanes[l].t);
            if l != lane && self.lanes[l].next > at {
                // What is seen from now on happens from now on.
                self.burn(l, at);
                self.lanes[l].t = at;
            }
            self.plan(l, true);
        }
        self.woken = woken;
    }

    /// Whether the context is an idle daemon whose guard is about one object.
    fn watches_one(&self, c: CtxId) -> bool {
        let slot = self.machine.slots[c.index()].borrow();
        slot.status == Status::Idle && slot.guard.cmps.len() == 1
    }

    fn unblock(&mut self, c: CtxId) {
        self.blocked[c.index()] = false;
        for o in self.watching[c.index()].drain(..) {
            self.watchers[o.index()].retain(|x| *x != c);
        }
    }

    /// When and whose the next step of a lane is. `masks`: who may enter may have changed.
    fn plan(&mut self, lane: usize, masks: bool) {
        if masks {
            self.plan_entries(lane);
        }
        let (mut next, mut who) = (self.lanes[lane].irq_at, self.lanes[lane].irq);
        let top = self.top(lane);
        let holder = top.or(self.lanes[lane].cur);
        let keeps = holder.is_some_and(|x| self.keeps_cpu(x, top.is_some()));
        if let Some(x) = holder.filter(|_| keeps) {
            match self.earliest(lane, x) {
                Some(at) if at < next => (next, who) = (at, x),
                Some(_) => {}
                // It could go on before an interrupt came, and cannot any more: from now on it waits.
                None => self.block_if_disabled(x),
            }
        }
        if !keeps || top.is_none() && self.lanes[lane].tasks.len() > 1 {
            let (mut at, task) = self.next_task(lane, holder, !keeps);
            if keeps && at != NEVER {
                // Another task gets its turn when the slice is over.
                at = at.max(self.lanes[lane].since.saturating_add(self.options.costs.slice_ns));
            } else if at != NEVER && !self.exec.enabled(task) {
                // It gets the CPU and spins: no step, but others must wait for the end of its slice.
                self.lanes[lane].cur = Some(task);
                self.lanes[lane].since = at;
                return self.plan(lane, false);
            }
            if at < next {
                (next, who) = (at, task);
            }
        }
        let l = &mut self.lanes[lane];
        l.next = next;
        l.who = who;
        let lanes = &self.lanes;
        self.matches.play(lane, |l| lanes.get(l).map_or(NEVER, |x| x.next));
    }

    /// Whether the context that has the CPU goes on, or spins there: on top of the stack it always does.
    fn keeps_cpu(&self, x: CtxId, on_stack: bool) -> bool {
        let slot = self.machine.slots[x.index()].borrow();
        slot.status == Status::Waiting && (on_stack || slot.waiting == Waiting::Spin)
    }

    fn plan_entries(&mut self, lane: usize) {
        let (mut at, mut who) = (NEVER, NOBODY);
        for i in 0..self.lanes[lane].daemons.len() {
            let c = self.lanes[lane].daemons[i];
            if !self.exec.is_idle(c) {
                continue;
            }
            if self.exec.enabled(c) {
                let g = self.gate(c).max(self.lanes[lane].t);
                if g < at {
                    (at, who) = (g, c);
                }
            } else {
                self.block_if_disabled(c);
            }
        }
        let l = &mut self.lanes[lane];
        (l.irq_at, l.irq) = (at, who);
    }

    /// When the context could take its next step if it keeps the CPU; `None` while its guard is false.
    fn earliest(&self, lane: usize, c: CtxId) -> Option<u64> {
        if !self.exec.enabled(c) {
            return None;
        }
        let t = self.lanes[lane].t;
        Some((t + self.left[c.index()]).max(self.gate(c)))
    }

    /// The task that gets the CPU next, and when: one that can step, or (if asked for) spin.
    fn next_task(&mut self, lane: usize, except: Option<CtxId>, spinners: bool) -> (u64, CtxId) {
        let (mut at, mut who) = (NEVER, NOBODY);
        let tasks = self.lanes[lane].tasks.len();
        // Round robin: those after the current one first.
        let position = |x| self.lanes[lane].tasks.iter().position(|c| *c == x);
        let from = except.and_then(position).map_or(0, |i| i + 1);
        for i in 0..tasks {
            let c = self.lanes[lane].tasks[(from + i) % tasks];
            let enabled = self.exec.enabled(c);
            if !enabled {
                self.block_if_disabled(c);
            }
            if enabled || spinners && self.spins(c) {
                let t = (self.lanes[lane].t + self.left[c.index()]).max(self.gate(c));
                if t < at {
                    (at, who) = (t, c);
                }
            }
        }
        (at, who)
    }

    fn spins(&self, c: CtxId) -> bool {
        let slot = self.machine.slots[c.index()].borrow();
        slot.status == Status::Waiting && slot.waiting == Waiting::Spin
    }

    fn gate(&self, c: CtxId) -> u64 {
        match self.machine.slots[c.index()].borrow().gate {
            Gate::Open => 0,
            Gate::At(t) => t.0,
            Gate::Queues(from, to) => {
                let mem = self.machine.mem.borrow();
                let due = |q: &crate::queue::TimerQueue| q.first().map(|e| q.due(e.expires));
                mem.queues[from as usize..=to as usize]
                    .iter()
                    .filter_map(due)
                    .min()
                    .unwrap_or(NEVER)
            }
        }
    }
}

/// A tree of matches between lanes: its root is the lane whose step comes first, the lower number among equals.
#[derive(Debug)]
struct Matches {
    /// The winner of each match; the root has index 1, leaves are in the second half.
    winners: Vec<u32>,
}

impl Matches {
    fn new(lanes: usize) -> Matches {
        let leaves = lanes.next_power_of_two().max(2);
        let mut winners: Vec<u32> = vec![0; 2 * leaves];
        winners[leaves..].iter_mut().enumerate().for_each(|(i, w)| *w = i as u32);
        // All lanes are equal at first: the lower number wins.
        (1..leaves).rev().for_each(|n| winners[n] = winners[2 * n]);
        Matches { winners }
    }

    fn first(&self) -> usize {
        self.winners[1] as usize
    }

    /// A lane's time has changed: its matches are played again. `time` of a number that is no lane is the last of all.
    fn play(&mut self, lane: usize, time: impl Fn(usize) -> u64) {
        let mut at = (self.winners.len() / 2 + lane) / 2;
        while at > 0 {
            let (a, b) = (self.winners[2 * at], self.winners[2 * at + 1]);
            let key = |l: u32| (time(l as usize), l);
            self.winners[at] = if key(b) < key(a) { b } else { a };
            at /= 2;
        }
    }
}

struct Entry {
    cost: u64,
    alt: u8,
    masks: bool,
}

const NOBODY: CtxId = CtxId(u16::MAX);
const RECORD: usize = 8 * 1024;

impl Lane {
    fn new(own: Option<Obj>) -> Lane {
        Lane {
            t: 0,
            daemons: Vec::new(),
            tasks: Vec::new(),
            own,
            cur: None,
            since: 0,
            irq_at: NEVER,
            irq: NOBODY,
            next: NEVER,
            who: NOBODY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_the_matches_is_always_the_first() {
        for n in 1..=70usize {
            let mut times = vec![NEVER; n];
            let mut m = Matches::new(n);
            let mut x = 7u64;
            for _ in 0..300 {
                x = crate::mix::mix(x);
                let lane = (x % n as u64) as usize;
                times[lane] = if x & 64 == 0 { NEVER } else { x >> 60 };
                m.play(lane, |l| times.get(l).copied().unwrap_or(NEVER));
                let best = (0..n).min_by_key(|l| (times[*l], *l)).unwrap_or(0);
                assert_eq!(times[m.first()], times[best], "{n} lanes");
                assert!(times[best] == NEVER || m.first() == best, "{n} lanes");
            }
        }
    }
}
