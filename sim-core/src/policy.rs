//! Policies answer the one question of a run: which context steps next, and which alternative it takes.
//!
//! A policy knows nothing of the model. [`run`] drives one execution with one; exploration ([`crate::dpor`]) and timed
//! runs ([`crate::timed`]) have drivers of their own.

use crate::exec::Exec;
use crate::ids::CtxId;
use crate::machine::Model;
use crate::schedule::{Pick, Schedule};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a policy is told at a choice point.
pub struct Choice<'a> {
    /// The contexts that can step, by number. Never empty.
    pub ready: &'a [CtxId],
    /// Which of them are idle daemons: stepping one of these is an interrupt, a grace period or the like.
    pub idle: &'a dyn Fn(CtxId) -> bool,
    /// Who stepped last.
    pub last: Option<CtxId>,
    /// How many alternatives the next step of a context has.
    pub alternatives: &'a dyn Fn(CtxId) -> u8,
}

/// Who answers at the choice points of a run.
pub trait Policy {
    /// A new execution begins.
    fn begin(&mut self) {}

    /// Which context steps next.
    ///
    /// # Errors
    /// [`Diverged`] if the policy follows a schedule that does not fit.
    fn pick(&mut self, choice: &Choice<'_>) -> Result<Pick, Diverged>;
}

/// A schedule asked for a step that cannot happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diverged {
    /// The number of the step, from 1.
    pub step: u32,
    /// What was asked for, and why it is not possible.
    pub reason: String,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing can step any more.
    Complete,
    /// The limit on steps was reached.
    StepLimit,
    /// The limit on expiries of timers was reached.
    ExpiryLimit,
    /// The schedule did not fit.
    Diverged(Diverged),
}

/// Limits of one execution; reaching one is never a pass.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps.
    pub steps: u32,
    /// Expiries of timers.
    pub expiries: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { steps: 10_000, expiries: 200 }
    }
}

impl Limits {
    /// The limit that this execution has reached, if any.
    pub fn reached<M: Model>(&self, exec: &Exec<'_, M>) -> Option<Ended> {
        let (steps, expiries) = exec.progress();
        self.are_reached(steps, expiries)
    }

    /// The limit that so many steps and expiries have reached, if any.
    pub fn are_reached(&self, steps: u32, expiries: u64) -> Option<Ended> {
        if steps >= self.steps {
            Some(Ended::StepLimit)
        } else if expiries >= self.expiries {
            Some(Ended::ExpiryLimit)
        } else {
            None
        }
    }
}

/// Runs one execution from its present state to its end, and lets the detectors look at the end.
pub fn run<M: Model>(exec: &mut Exec<'_, M>, policy: &mut dyn Policy, limits: Limits) -> Ended {
    policy.begin();
    run_with(exec, policy, limits, &mut |_, _| {})
}

/// As [`run`], with a look at the machine before each step.
pub fn run_with<M: Model>(
    exec: &mut Exec<'_, M>,
    policy: &mut dyn Policy,
    limits: Limits,
    before: &mut dyn FnMut(&Exec<'_, M>, Pick),
) -> Ended {
    let mut ready = Vec::new();
    let mut last = None;
    exec.follow();
    let ended = loop {
        exec.ready(&mut ready);
        if ready.is_empty() {
            break Ended::Complete;
        }
        if let Some(limit) = limits.reached(exec) {
            break limit;
        }
        let picked = policy.pick(&Choice {
            ready: &ready,
            idle: &|c| exec.is_idle(c),
            last,
            alternatives: &|c| exec.alternatives(c),
        });
        match picked {
            Ok(pick) => {
                before(exec, pick);
                exec.step(pick.ctx, pick.alt);
                last = Some(pick.ctx);
            }
            Err(d) => break Ended::Diverged(d),
        }
    };
    if ended == Ended::Complete {
        exec.end();
    }
    ended
}

/// The order that every search tries first: the last context while it can, else the lowest that is not an idle daemon,
/// else the lowest.
pub fn default_pick(choice: &Choice<'_>) -> CtxId {
    if let Some(l) = choice.last
        && choice.ready.contains(&l)
        && !(choice.idle)(l)
    {
        return l;
    }
    let working = choice.ready.iter().find(|c| !(choice.idle)(**c));
    *working.unwrap_or(&choice.ready[0])
}

/// Uniformly random choices from a seed (ChaCha8, one stream per execution).
///
/// Guarantee: none but fairness; finds shallow races quickly in scenarios too big to exhaust. O(ready) per step.
#[derive(Clone, Debug)]
pub struct Random {
    rng: ChaCha8Rng,
    stream: u64,
}

impl Random {
    /// Choices from this seed.
    pub fn new(seed: u64) -> Random {
        Random { rng: ChaCha8Rng::seed_from_u64(seed), stream: 0 }
    }
}

/// A number below `n`, evenly (Lemire 2019, without rejection: the bias is below 2^-32 for the sizes at hand).
#[inline(always)]
pub(crate) fn below(rng: &mut impl Rng, n: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(n)) >> 64) as u64
}

impl Policy for Random {
    fn begin(&mut self) {
        self.rng.set_stream(self.stream);
        self.rng.set_word_pos(0);
        self.stream += 1;
    }

    fn pick(&mut self, choice: &Choice<'_>) -> Result<Pick, Diverged> {
        let ctx = match choice.ready {
            [one] => *one,
            many => many[below(&mut self.rng, many.len() as u64) as usize],
        };
        let alts = (choice.alternatives)(ctx);
        let alt = if alts > 1 { below(&mut self.rng, u64::from(alts)) as u8 } else { 0 };
        Ok(Pick { ctx, alt })
    }
}

/// Probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi, Nagarakatte 2010): random priorities, lowered at
/// `depth - 1` random steps.
///
/// Guarantee: a bug of depth d among n contexts and k steps is hit with probability at least 1 / (n k^(d-1)) in each
/// execution. O(ready) per step.
#[derive(Clone, Debug)]
pub struct Pct {
    rng: ChaCha8Rng,
    stream: u64,
    depth: u32,
    /// Steps among which the change points are drawn: the longest execution so far.
    horizon: u32,
    priority: Vec<u64>,
    changes: Vec<u32>,
    step: u32,
}

impl Pct {
    /// Change points are drawn among at least so many steps.
    pub const HORIZON: u32 = 32;

    /// With `depth - 1` change points.
    pub fn new(seed: u64, depth: u32) -> Pct {
        Pct {
            rng: ChaCha8Rng::seed_from_u64(seed),
            stream: 0,
            depth,
            horizon: Pct::HORIZON,
            priority: Vec::new(),
            changes: Vec::new(),
            step: 0,
        }
    }
}

impl Policy for Pct {
    fn begin(&mut self) {
        self.horizon = self.horizon.max(self.step);
        self.step = 0;
        self.rng.set_stream(self.stream);
        self.rng.set_word_pos(0);
        self.stream += 1;
        self.priority.clear();
        self.changes.clear();
        for _ in 1..self.depth {
            self.changes.push(below(&mut self.rng, u64::from(self.horizon)) as u32);
        }
    }

    fn pick(&mut self, choice: &Choice<'_>) -> Result<Pick, Diverged> {
        for c in choice.ready {
            while self.priority.len() <= c.index() {
                // Drawn priorities lie above all lowered ones.
                let p = u64::from(self.depth) + (self.rng.next_u64() >> 1);
                self.priority.push(p);
            }
        }
        let best = |p: &[u64]| {
            let by = |c: &&CtxId| (p[c.index()], std::cmp::Reverse(c.index()));
            *choice.ready.iter().max_by_key(by).expect("somebody is ready")
        };
        let mut ctx = best(&self.priority);
        for (i, at) in self.changes.iter().enumerate() {
            if *at == self.step {
                self.priority[ctx.index()] = i as u64;
            }
        }
        ctx = best(&self.priority);
        self.step += 1;
        let alts = (choice.alternatives)(ctx);
        let alt = if alts > 1 { below(&mut self.rng, u64::from(alts)) as u8 } else { 0 };
        Ok(Pick { ctx, alt })
    }
}

/// Follows a schedule; after its end the default order.
#[derive(Clone, Debug)]
pub struct Replay<'a> {
    schedule: &'a Schedule,
    at: usize,
}

impl<'a> Replay<'a> {
    /// From the start of the schedule.
    pub fn new(schedule: &'a Schedule) -> Replay<'a> {
        Replay { schedule, at: 0 }
    }
}

/// Follows a schedule as far as it fits, and goes on where it does not: a step that cannot happen in its turn is left out,
/// and so is an alternative that is not there. What a schedule of one kernel comes to on another.
pub struct Follow<'a> {
    schedule: &'a Schedule,
    at: usize,
    left_out: u32,
}

impl<'a> Follow<'a> {
    /// From the start of the schedule.
    pub fn new(schedule: &'a Schedule) -> Follow<'a> {
        Follow { schedule, at: 0, left_out: 0 }
    }

    /// How many steps were left out.
    pub fn left_out(&self) -> u32 {
        self.left_out
    }
}

impl Policy for Follow<'_> {
    fn begin(&mut self) {
        (self.at, self.left_out) = (0, 0);
    }

    fn pick(&mut self, choice: &Choice<'_>) -> Result<Pick, Diverged> {
        while let Some(pick) = self.schedule.picks.get(self.at) {
            self.at += 1;
            if choice.ready.contains(&pick.ctx) && pick.alt < (choice.alternatives)(pick.ctx) {
                return Ok(*pick);
            }
            self.left_out += 1;
        }
        Ok(Pick { ctx: default_pick(choice), alt: 0 })
    }
}

impl Policy for Replay<'_> {
    fn begin(&mut self) {
        self.at = 0;
    }

    fn pick(&mut self, choice: &Choice<'_>) -> Result<Pick, Diverged> {
        self.at += 1;
        let Some(pick) = self.schedule.picks.get(self.at - 1) else {
            return Ok(Pick { ctx: default_pick(choice), alt: 0 });
        };
        if !choice.ready.contains(&pick.ctx) {
            let reason = format!("context {} cannot step there", pick.ctx.0);
            return Err(Diverged { step: self.at as u32, reason });
        }
        let alternatives = (choice.alternatives)(pick.ctx);
        if pick.alt >= alternatives {
            let reason = format!("there is no alternative {}, of {alternatives}", pick.alt);
            return Err(Diverged { step: self.at as u32, reason });
        }
        Ok(*pick)
    }
}
