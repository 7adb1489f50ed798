//! Timed runs of the library: a step that happens right after the one before it changes nothing but the time it takes.

use std::collections::BTreeMap;
use timerace_core::exec::Exec;
use timerace_core::machine::Model;
use timerace_core::result::Expiry;
use timerace_core::schedule::Pick;
use timerace_core::timed::{
    Awaited, Cause, Holds, TimedOptions, TimedRun, Unwatched, Wait, Watch, run_timed,
};
use timerace_core::{CpuId, CtxId, Nanos};
use timerace_kernel::{KernelVersion, World, boot};
use timerace_scenarios::library::LIBRARY;
use timerace_scenarios::{load, lower};

fn watched(world: &World, seed: u64, goes_on: bool, watch: &mut impl Watch) -> TimedRun {
    limited(world, seed, goes_on, None, 200_000, watch)
}

fn limited(
    world: &World,
    seed: u64,
    goes_on: bool,
    expiries: Option<u64>,
    max_steps: u64,
    watch: &mut impl Watch,
) -> TimedRun {
    let (machine, kernel) = boot(world, true).expect("the library boots");
    let options = options(seed, goes_on, expiries, max_steps);
    run_timed(&machine, &kernel, &options, watch).0
}

fn options(seed: u64, goes_on: bool, expiries: Option<u64>, max_steps: u64) -> TimedOptions {
    TimedOptions {
        seed,
        until: Some(Nanos(20_000_000)),
        expiries,
        max_steps,
        goes_on,
        ..TimedOptions::default()
    }
}

/// The scenarios of the library that a kernel can run.
fn worlds() -> Vec<(&'static str, World)> {
    let kernels = ["v6.8", "v7.1", "v5.15", "v6.18"]
        .map(|v| KernelVersion::parse(v).expect("the table has it"));
    let world = |entry: &timerace_scenarios::library::Entry| {
        let scenario = load::parse(entry.source, &[]).expect("the library is right");
        // Some scenarios are about kernels that have or lack something, and some are for searches only.
        kernels.iter().find_map(|kernel| {
            let world = lower::lower(&scenario, &entry.open().text, *kernel).ok()?;
            boot(&world, true).ok()?;
            Some((entry.path, world))
        })
    };
    LIBRARY.iter().filter_map(world).collect()
}

struct AddUp {
    path: &'static str,
    expiries: u64,
    late: u64,
    /// Waits that spin and that sleep, and their nanoseconds.
    waits: [(u64, u64); 2],
    /// When the last wait of each context was over.
    waited: BTreeMap<CtxId, Nanos>,
}

impl Watch for AddUp {
    fn wants_causes(&self) -> bool {
        true
    }

    fn expiry(&mut self, e: &Expiry, causes: &[(Cause, u64)]) {
        let sum: u64 = causes.iter().map(|c| c.1).sum();
        assert_eq!(sum, e.late_ns(), "{}: {e:?} {causes:?}", self.path);
        self.expiries += 1;
        self.late += e.late_ns();
    }

    fn wait(&mut self, wait: &Wait, parts: &[(Awaited, u64)]) {
        let sum: u64 = parts.iter().map(|p| p.1).sum();
        assert!(wait.from < wait.to, "{}: {wait:?}", self.path);
        assert_eq!(sum, wait.to.0 - wait.from.0, "{}: {wait:?} {parts:?}", self.path);
        let before = self.waited.insert(wait.ctx, wait.to);
        assert!(before <= Some(wait.from), "{}: {wait:?} began before {before:?}", self.path);
        let (n, ns) = &mut self.waits[usize::from(wait.sleeps)];
        (*n, *ns) = (*n + 1, *ns + sum);
    }
}

#[test]
fn the_causes_of_lateness_and_of_waits_add_up_to_them() {
    let mut all = (0, 0);
    let mut waits = [(0, 0); 2];
    for (path, world) in worlds() {
        for seed in 1..=5 {
            let mut w = AddUp {
                path,
                expiries: 0,
                late: 0,
                waits: Default::default(),
                waited: BTreeMap::new(),
            };
            let run = watched(&world, seed, true, &mut w);
            assert_eq!(run.digest, watched(&world, seed, true, &mut Unwatched).digest);
            all = (all.0 + w.expiries, all.1 + w.late);
            for (sum, one) in waits.iter_mut().zip(w.waits) {
                *sum = (sum.0 + one.0, sum.1 + one.1);
            }
        }
    }
    assert!(all.0 > 1_000 && all.1 > 1_000_000, "{all:?}");
    let [spinning, sleeping] = waits;
    assert!(spinning.0 > 50 && spinning.1 > 1_000_000, "{spinning:?} spinning waits");
    assert!(sleeping.0 > 10 && sleeping.1 > 100_000, "{sleeping:?} sleeping waits");
}

/// All locks of a run; each step is seen.
struct Locks(Holds);

impl Watch for Locks {
    fn wants_causes(&self) -> bool {
        true
    }

    fn expiry(&mut self, _: &Expiry, _: &[(Cause, u64)]) {}

    fn doing(&mut self, cpu: CpuId, at: u64, ctx: Option<CtxId>, cause: Cause) {
        self.0.doing(cpu, at, ctx, cause);
    }

    fn before<M: Model>(&mut self, exec: &Exec<'_, M>, pick: Pick) {
        self.0.before(exec, pick);
    }
}

#[test]
fn what_locks_are_held_for_adds_up_to_the_time() {
    let (mut holds, mut ns) = (0, 0);
    for (path, world) in worlds() {
        for seed in 1..=2 {
            let (machine, kernel) = boot(&world, true).expect("the library boots");
            let mut w = Locks(Holds::new([], true));
            let options = options(seed, false, None, 50_000);
            let (run, _) = run_timed(&machine, &kernel, &options, &mut w);
            w.0.end(&machine, run.virtual_ns);
            for (hold, parts) in w.0.take() {
                let sum: u64 = parts.iter().map(|p| p.1).sum();
                assert_eq!(sum, hold.to.0 - hold.from.0, "{path}: {hold:?} {parts:?}");
                assert!(parts.iter().all(|p| p.0 != Cause::Older), "{path}: {hold:?} {parts:?}");
                (holds, ns) = (holds + 1, ns + sum);
            }
        }
    }
    assert!(holds > 1_000 && ns > 100_000, "{holds} holds of {ns} ns show nothing");
}

/// All that a watcher is told of expiries, in its order, and of waits.
struct Everything(bool, Vec<(Expiry, Vec<(Cause, u64)>)>, Vec<(Wait, Vec<(Awaited, u64)>)>);

impl Watch for Everything {
    fn wants_causes(&self) -> bool {
        self.0
    }

    fn expiry(&mut self, e: &Expiry, causes: &[(Cause, u64)]) {
        self.1.push((*e, causes.to_vec()));
    }

    fn wait(&mut self, wait: &Wait, parts: &[(Awaited, u64)]) {
        self.2.push((*wait, parts.to_vec()));
    }
}

#[test]
fn steps_that_nobody_can_see_between_may_happen_at_once() {
    let (mut steps, mut expiries) = (0, 0);
    for (path, world) in worlds() {
        for (seed, limit, max_steps) in [(1, None, 200_000), (2, Some(40), 200_000), (3, None, 777)]
        {
            let run = |goes_on, causes| {
                let mut w = Everything(causes, Vec::new(), Vec::new());
                let r = limited(&world, seed, goes_on, limit, max_steps, &mut w);
                // Those of different CPUs come in any order.
                w.2.sort();
                (r, w.1, w.2)
            };
            for causes in [false, true] {
                let (at_once, one_by_one) = (run(true, causes), run(false, causes));
                assert_eq!(at_once, one_by_one, "{path} seed {seed}");
                steps += at_once.0.steps;
                expiries += at_once.1.len();
            }
        }
    }
    assert!(steps > 20_000 && expiries > 1_000, "{steps} steps, {expiries} expiries show nothing");
}
