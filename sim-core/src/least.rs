//! The least schedule that shows a finding.
//!
//! Schedules are compared by [`Effort`]: preemptions, then interrupts, then steps up to the finding. [`least`] looks at
//! all schedules, cheapest first, over states keyed with the last context: exact, where it is small enough. [`fewer`] starts
//! from a schedule that shows the finding: it keeps only what happens before the finding, in the order with the fewest
//! preemptions, and leaves out what turns out not to be needed.

use crate::detect::Class;
use crate::dpor::Events;
use crate::exec::Exec;
use crate::ids::CtxId;
use crate::machine::Model;
use crate::order;
use crate::policy::{Choice, Limits, default_pick};
use crate::result::Exploration;
use crate::schedule::{Pick, Schedule};
use crate::states::Canon;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// A finding that schedules are searched for: its class and its two functions, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its class.
    pub class: Class,
    /// The two functions, sorted; the same twice where there is one.
    pub functions: [String; 2],
}

impl Wanted {
    /// The index of the first finding of the execution so far that is wanted.
    fn shown<M: Model>(&self, exec: &Exec<'_, M>) -> bool {
        let machine = exec.machine();
        let mem = machine.mem.borrow();
        let same = |f: &crate::detect::RawFinding| {
            f.class == self.class && f.named(machine.names()).functions == self.functions
        };
        mem.findings.iter().any(same)
    }
}

/// What a schedule asks of those who read it, up to the step that shows the finding. Less is better; the first field
/// matters most.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Effort {
    /// Switches away from a context that could have gone on. An interrupt is none, wherever it comes, if the context that
    /// was left goes on behind it; if another one does, that is a preemption.
    pub preemptions: u32,
    /// Interrupts, softirqs and other daemons that began.
    pub interrupts: u32,
    /// Steps.
    pub steps: u32,
}

impl Effort {
    /// More than any schedule takes.
    pub const MAX: Effort = Effort { preemptions: u32::MAX, interrupts: u32::MAX, steps: u32::MAX };
}

/// A schedule that shows the finding; behind its end the default order goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What it takes.
    pub effort: Effort,
    /// Its answers up to the finding.
    pub schedule: Schedule,
}

/// What a search for the least schedule came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Least {
    /// No schedule shows the finding with less.
    Found(Shown),
    /// No schedule within the bound shows it.
    None,
    /// The budget was used up before it was decided.
    OutOfBudget,
}

/// What of a schedule so far decides whether its next step is a preemption, as [`Effort`] counts them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Course {
    /// The last context that is not a helper.
    pub last: Option<CtxId>,
    /// Contexts that could have gone on when an interrupt came, the innermost last.
    left: Vec<CtxId>,
}

/// Who of a [`Course`] could go on now.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Able {
    /// The last context.
    last: Option<CtxId>,
    /// The innermost of those that an interrupt left, as an index.
    left: Option<usize>,
}

impl Course {
    /// Asks who could go on.
    pub fn able(&self, could_go_on: impl Fn(&CtxId) -> bool) -> Able {
        let left = self.left.iter().rposition(&could_go_on);
        Able { last: self.last.filter(could_go_on), left }
    }

    /// A context that is not a helper steps next; `entry`: as an interrupt. Whether that is a preemption.
    pub fn step(&mut self, next: CtxId, entry: bool, able: Able) -> bool {
        if self.last.replace(next).is_none_or(|l| l == next) {
            return false;
        }
        if entry {
            self.left.extend(able.last);
        } else if able.last.is_none() && able.left.is_some_and(|i| self.left[i] == next) {
            self.left.truncate(able.left.unwrap_or(0));
        } else if able.last.is_some() || able.left.is_some() {
            self.left.clear();
            return true;
        }
        false
    }
}

/// Keeps count of what a schedule takes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    pub effort: Effort,
    course: Course,
}

impl Meter {
    /// After the next step, which is about to be taken with these contexts ready.
    pub fn after<M: Model>(&self, exec: &Exec<'_, M>, ready: &[CtxId], next: CtxId) -> Meter {
        let mut m = self.clone();
        m.effort.steps += 1;
        if exec.is_helper(next) {
            return m;
        }
        let entry = exec.is_idle(next);
        let able = m.able(exec, ready);
        m.effort.interrupts += u32::from(entry);
        m.effort.preemptions += u32::from(m.course.step(next, entry, able));
        m
    }

    fn able<M: Model>(&self, exec: &Exec<'_, M>, ready: &[CtxId]) -> Able {
        self.course.able(|c| ready.contains(c) && !exec.is_idle(*c))
    }

    /// Who goes on without a preemption: the last context, or the one that an interrupt came in between of.
    pub fn going<M: Model>(&self, exec: &Exec<'_, M>, ready: &[CtxId]) -> Option<CtxId> {
        let able = self.able(exec, ready);
        able.last.or_else(|| able.left.map(|i| self.course.left[i]))
    }

    /// What of it matters for the rest of a schedule.
    pub fn place(&self) -> u64 {
        let named = |c: &CtxId| u64::from(c.0) + 1;
        let last = self.course.last.as_ref().map_or(0, named);
        self.course.left.iter().fold(crate::mix::mix(last), |h, c| crate::mix::roll(h, named(c)))
    }
}

/// A beginning of a schedule: the one before it, and one step more.
#[derive(Clone, Debug)]
struct Node {
    before: u32,
    pick: Pick,
    meter: Meter,
}

/// The least schedule that shows the finding and takes no more than `most` preemptions and interrupts, among all. `budget`: steps,
/// those of replays included, before it is given up.
///
/// # Panics
/// With more than 2^32 beginnings, which no budget in use allows.
pub fn least<M: Model>(
    exec: &mut Exec<'_, M>,
    wanted: &Wanted,
    most: Effort,
    limits: Limits,
    budget: u64,
) -> Least {
    let machine = exec.machine();
    machine.learning.set(true);
    let found = cheapest_first(exec, wanted, most, limits, budget);
    machine.learning.set(false);
    found
}

fn cheapest_first<M: Model>(
    exec: &mut Exec<'_, M>,
    wanted: &Wanted,
    most: Effort,
    limits: Limits,
    budget: u64,
) -> Least {
    const ROOT: u32 = u32::MAX;
    let mut canon = Canon::plain();
    let mut seen: BTreeSet<u128> = BTreeSet::new();
    let mut nodes: Vec<Node> = Vec::new();
    let mut open: BinaryHeap<Reverse<(Effort, u32)>> = BinaryHeap::new();
    open.push(Reverse((Effort::default(), ROOT)));
    let (mut ready, mut path) = (Vec::new(), Vec::new());
    let mut steps = 0;
    let mut cut_off = false;
    while let Some(Reverse((effort, at))) = open.pop() {
        let meter = nodes.get(at as usize).map_or(Meter::default(), |n| n.meter.clone());
        way(&nodes, at, &mut path);
        exec.restart();
        path.iter().for_each(|p| exec.step(p.ctx, p.alt));
        steps += path.len() as u64 + 1;
        exec.ready(&mut ready);
        if ready.is_empty() {
            exec.end();
        }
        if wanted.shown(exec) {
            return Least::Found(Shown { effort, schedule: Schedule { picks: path } });
        }
        if steps > budget {
            return Least::OutOfBudget;
        }
        if limits.reached(exec).is_some() {
            cut_off = true;
            continue;
        }
        let key = canon.key(exec, 0).0 ^ u128::from(meter.place());
        if !seen.insert(key) {
            continue;
        }
        for c in &ready {
            let next = meter.after(exec, &ready, *c);
            let beyond = (next.effort.preemptions, next.effort.interrupts)
                > (most.preemptions, most.interrupts);
            if beyond {
                continue;
            }
            for alt in 0..exec.alternatives(*c) {
                let pick = Pick { ctx: *c, alt };
                nodes.push(Node { before: at, pick, meter: next.clone() });
                let new = u32::try_from(nodes.len() - 1).expect("a budget is below 2^32 steps");
                open.push(Reverse((next.effort, new)));
            }
        }
    }
    if cut_off { Least::OutOfBudget } else { Least::None }
}

/// The picks that lead to a node.
fn way(nodes: &[Node], mut at: u32, path: &mut Vec<Pick>) {
    path.clear();
    while let Some(n) = nodes.get(at as usize) {
        path.push(n.pick);
        at = n.before;
    }
    path.reverse();
}

/// What a schedule takes up to the finding; `None` if it does not show it.
pub fn effort<M: Model>(
    exec: &mut Exec<'_, M>,
    schedule: &Schedule,
    wanted: &Wanted,
    limits: Limits,
) -> Option<Shown> {
    follow(exec, &schedule.picks, wanted, limits)
}

/// Follows picks as far as they fit: those that cannot be taken are left out. Then the default order. Ends at the finding.
fn follow<M: Model>(
    exec: &mut Exec<'_, M>,
    picks: &[Pick],
    wanted: &Wanted,
    limits: Limits,
) -> Option<Shown> {
    let mut left = picks.iter();
    let mut meter = Meter::default();
    let (mut ready, mut taken) = (Vec::new(), Vec::new());
    let mut last = None;
    exec.restart();
    loop {
        exec.ready(&mut ready);
        if ready.is_empty() {
            exec.end();
        }
        if wanted.shown(exec) {
            return Some(Shown { effort: meter.effort, schedule: Schedule { picks: taken } });
        }
        if ready.is_empty() || limits.reached(exec).is_some() {
            return None;
        }
        let fits = |p: &&Pick| ready.contains(&p.ctx) && p.alt < exec.alternatives(p.ctx);
        let pick = left.find(fits).copied().unwrap_or_else(|| {
            let idle = |c| exec.is_idle(c);
            let alternatives = |c| exec.alternatives(c);
            let choice = Choice { ready: &ready, idle: &idle, last, alternatives: &alternatives };
            Pick { ctx: default_pick(&choice), alt: 0 }
        });
        meter = meter.after(exec, &ready, pick.ctx);
        exec.step(pick.ctx, pick.alt);
        taken.push(pick);
        last = Some(pick.ctx);
    }
}

/// A schedule with less that shows the same finding, starting from one that does: nothing of it can be left out, and no
/// order of what is left has fewer preemptions. `None` if the schedule does not show the finding.
pub fn fewer<M: Model>(
    exec: &mut Exec<'_, M>,
    schedule: &Schedule,
    wanted: &Wanted,
    limits: Limits,
) -> Option<Shown> {
    let mut best = follow(exec, &schedule.picks, wanted, limits)?;
    loop {
        let before = best.effort;
        in_best_order(exec, &mut best, wanted, limits);
        leave_out(exec, &mut best, wanted, limits);
        if best.effort >= before {
            return Some(best);
        }
    }
}

/// Takes what the picks come to, if that is less.
fn attempt<M: Model>(
    exec: &mut Exec<'_, M>,
    best: &mut Shown,
    picks: &[Pick],
    wanted: &Wanted,
    limits: Limits,
) -> bool {
    match follow(exec, picks, wanted, limits) {
        Some(s) if s.effort < best.effort => {
            *best = s;
            true
        }
        _ => false,
    }
}

/// Only what happens before the finding, in the order with the fewest preemptions.
fn in_best_order<M: Model>(
    exec: &mut Exec<'_, M>,
    best: &mut Shown,
    wanted: &Wanted,
    limits: Limits,
) {
    let events = Events::log_steps(exec, &best.schedule.picks);
    let Some(last) = events.len().checked_sub(1) else { return };
    // What shows at the end of a run needs all of it.
    let at_the_end = !wanted.shown(exec);
    let goal = if at_the_end { events.all() } else { events.clock(last).to_vec() };
    let found = order::fewest_to(&events, exec, order::Cost::MAX, &goal);
    if let Some((_, picks)) = found {
        attempt(exec, best, &picks, wanted, limits);
    }
}

/// Leaves out stretches of steps of one context, longest first; what no longer fits behind them falls away by itself.
fn leave_out<M: Model>(exec: &mut Exec<'_, M>, best: &mut Shown, wanted: &Wanted, limits: Limits) {
    let mut from = 0;
    while from < best.schedule.picks.len() {
        let picks = &best.schedule.picks;
        let ctx = picks[from].ctx;
        let same = picks[from..].iter().take_while(|p| p.ctx == ctx).count();
        let mut length = same;
        while length > 0 {
            let mut rest = best.schedule.picks[..from].to_vec();
            rest.extend_from_slice(&best.schedule.picks[from + length..]);
            if attempt(exec, best, &rest, wanted, limits) {
                break;
            }
            length /= 2;
        }
        if length == 0 {
            from += same.max(1);
        }
    }
}

/// Puts the schedule of each finding of a search into its least form ([`fewer`]).
pub fn simplify<M: Model>(exec: &mut Exec<'_, M>, exploration: &mut Exploration, limits: Limits) {
    for f in &mut exploration.findings {
        let wanted = Wanted { class: f.class, functions: f.functions.clone() };
        if let Some(shown) = fewer(exec, &f.schedule, &wanted, limits) {
            f.schedule = shown.schedule;
        }
    }
}
