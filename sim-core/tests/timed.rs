//! The virtual clock: costs, interrupts that prolong work, spinning, turns, and the same bytes twice.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use timerace_core::exec::Exec;
use timerace_core::machine::{Body, CtxKind, CtxSpec, RealTime};
use timerace_core::mem::QueueVar;
use timerace_core::schedule::Pick;
use timerace_core::step::{Gate, Rel};
use timerace_core::timed::{
    Cause, Costs, Holds, TimedEnd, TimedOptions, TimedRun, Unwatched, Watch, run_timed,
};
use timerace_core::{CpuId, CtxId, Cx, Machine, Mem, Model, Nanos, Setup, Var, site};

/// One task per entry of `work` (CPU, nanoseconds), one timer interrupt line per CPU that takes 10 us, a flag.
struct Bench {
    tasks: Vec<(u16, Vec<Do>)>,
    queues: Vec<QueueVar>,
    flag: Var<u64>,
    lock: Var<Option<CtxId>>,
    log: RefCell<Vec<(String, u64)>>,
}

#[derive(Clone, Debug)]
enum Do {
    Work(u64),
    Arm(u64),
    Set(u64),
    SpinUntil(u64),
    Sleep(u64),
    IrqOff,
    IrqOn,
    BhOff,
    BhOn,
    /// Work on something that is the CPU's own.
    Local(u64),
    Lock,
    Unlock,
}

fn boot(cpus: u16, tasks: &[(u16, Vec<Do>)]) -> (Machine, Bench) {
    boot_with(cpus, tasks, &[])
}

/// `classes`: those of the first tasks; no priority is none.
fn boot_with(cpus: u16, tasks: &[(u16, Vec<Do>)], classes: &[RealTime]) -> (Machine, Bench) {
    let mut s = Setup::new(cpus);
    let flag = s.var("flag", 0u64);
    let lock = s.lock("lock");
    let add = |s: &mut Setup, name: String, cpu, kind, daemon| {
        s.context(CtxSpec { token: name.clone(), name, cpu: Some(CpuId(cpu)), kind, daemon })
    };
    for (i, (c, _)) in tasks.iter().enumerate() {
        let c = add(&mut s, format!("t{i}"), *c, CtxKind::Task, false);
        if let Some(class) = classes.get(i).filter(|c| c.priority > 0) {
            s.real_time(c, *class);
        }
    }
    let mut queues = Vec::new();
    for c in 0..cpus {
        let irq = add(&mut s, format!("irq{c}"), c, CtxKind::Hardirq, true);
        s.keeps_to_its_cpu(irq);
        queues.push(s.timer_queue(&format!("q{c}")));
    }
    let b = Bench { tasks: tasks.to_vec(), queues, flag, lock, log: RefCell::new(Vec::new()) };
    (s.build(), b)
}

impl Model for Bench {
    fn start<'m>(&'m self, cx: Cx<'m>) -> Body<'m> {
        let i = cx.id().index();
        Box::pin(async move {
            match self.tasks.get(i) {
                Some((_, body)) => self.task(cx, i, body).await,
                None => self.line(cx, i - self.tasks.len()).await,
            }
        })
    }
}

impl Bench {
    fn note(&self, what: &str, cx: Cx<'_>) {
        self.log.borrow_mut().push((what.to_string(), cx.now().0));
    }

    async fn task(&self, cx: Cx<'_>, i: usize, body: &[Do]) {
        let (q, flag) = (self.queues[cx.cpu().unwrap().index()], self.flag);
        for d in body {
            match d {
                Do::Work(ns) => cx.step(site!("work", Free)).takes(*ns, *ns).run(|_| ()).await,
                Do::Arm(at) => {
                    let at = *at as i64;
                    cx.step(site!("arm", Free))
                        .writes(q.obj())
                        .run(move |m: &mut Mem| {
                            m.with_queue(q, |q| {
                                q.remove(1);
                                q.insert(1, 1, at, at);
                            });
                        })
                        .await;
                }
                Do::Set(v) => cx.write(site!("set", Free), flag, *v).await,
                Do::SpinUntil(v) => {
                    cx.step(site!("spin", Free)).when(flag.obj(), Rel::Eq, *v).run(|_| ()).await;
                }
                Do::Sleep(ns) => {
                    let until = cx.done_at().plus(*ns);
                    cx.step(site!("sleep", Free)).asleep().gate(Gate::At(until)).run(|_| ()).await;
                }
                Do::IrqOff => cx.irq_save(site!("off", Free)).await,
                Do::IrqOn => cx.irq_restore(site!("on", Free)).await,
                Do::Lock => {
                    let (l, me) = (self.lock, cx.id());
                    cx.step(site!("lock", Free))
                        .writes(l.obj())
                        .when(l.obj(), Rel::Eq, 0)
                        .run(move |m: &mut Mem| {
                            assert_eq!(m.load(l), None, "a lock is taken when it is free");
                            m.store(l, Some(me));
                        })
                        .await;
                }
                Do::Unlock => cx.unlock(site!("unlock", Free), self.lock).await,
                Do::BhOff => cx.bh_disable(site!("off", Free)).await,
                Do::BhOn => cx.bh_enable(site!("on", Free)).await,
                Do::Local(ns) => {
                    cx.step(site!("local", Free)).takes(*ns, *ns).exclusive().run(|_| ()).await;
                }
            }
        }
        // A last step, so that its time is that at which all work is over.
        cx.step(site!("end", Free)).run(|_| ()).await;
        self.note(&format!("t{i}"), cx);
    }

    async fn line(&self, cx: Cx<'_>, n: usize) {
        let q = self.queues[n];
        loop {
            cx.enter_level(
                site!("entry", Free),
                CtxKind::Hardirq,
                |d| {
                    d.writes(q.obj())
                        .when(q.obj(), Rel::Ne, 0)
                        .gate(Gate::Queues(q.index(), q.index()))
                },
                move |m: &mut Mem| {
                    m.with_queue(q, |q| {
                        q.pop();
                    });
                    m.count_expiry();
                    m.expiry_over();
                },
            )
            .await;
            cx.entered_level(CtxKind::Hardirq);
            self.note("irq", cx);
            cx.step(site!("handler", Free)).takes(10_000, 10_000).run(|_| ()).await;
            cx.exit_level(site!("exit", IrqExit), CtxKind::Hardirq, |d| d, |_| ()).await;
        }
    }
}

fn run(cpus: u16, tasks: &[(u16, Vec<Do>)]) -> (TimedRun, Vec<(String, u64)>) {
    run_with(cpus, tasks, Costs::free(), true)
}

fn run_with(
    cpus: u16,
    tasks: &[(u16, Vec<Do>)],
    costs: Costs,
    goes_on: bool,
) -> (TimedRun, Vec<(String, u64)>) {
    limited(What { cpus, tasks, classes: &[] }, costs, goes_on, (None, 100_000))
}

#[derive(Copy, Clone)]
struct What<'a> {
    cpus: u16,
    tasks: &'a [(u16, Vec<Do>)],
    classes: &'a [RealTime],
}

/// `limits`: on expiries and on steps.
fn limited(
    what: What<'_>,
    costs: Costs,
    goes_on: bool,
    limits: (Option<u64>, u64),
) -> (TimedRun, Vec<(String, u64)>) {
    let (machine, model) = boot_with(what.cpus, what.tasks, what.classes);
    let options = TimedOptions {
        costs,
        until: Some(Nanos(1_000_000_000)),
        expiries: limits.0,
        max_steps: limits.1,
        goes_on,
        ..TimedOptions::default()
    };
    let (r, _) = run_timed(&machine, &model, &options, &mut Unwatched);
    let mut log = model.log.borrow().clone();
    // CPUs run ahead of each other: what they note has no order between them.
    log.sort_by_key(|e| e.1);
    (r, log)
}

fn log(entries: &[(&str, u64)]) -> Vec<(String, u64)> {
    entries.iter().map(|(s, t)| (s.to_string(), *t)).collect()
}

#[test]
fn an_interrupt_prolongs_the_work_that_it_hits() {
    let (r, l) = run(1, &[(0, vec![Do::Arm(50_000), Do::Work(100_000)])]);
    assert_eq!(l, log(&[("irq", 50_000), ("t0", 110_000)]));
    assert_eq!((r.ended, r.expiries), (TimedEnd::Idle, 1));
}

#[test]
fn the_exit_of_an_interrupt_takes_its_time_too() {
    let mut costs = Costs::free();
    costs.set(timerace_core::step::CostClass::IrqExit, timerace_core::timed::Dist::Const(700));
    let (_, l) = run_with(1, &[(0, vec![Do::Arm(50_000), Do::Work(100_000)])], costs, true);
    assert_eq!(l, log(&[("irq", 50_000), ("t0", 110_700)]));
}

#[test]
fn a_masked_interrupt_waits_for_the_end_of_the_section() {
    let body = vec![Do::Arm(50_000), Do::IrqOff, Do::Work(100_000), Do::IrqOn, Do::Work(7_000)];
    let (_, l) = run(1, &[(0, body)]);
    assert_eq!(l, log(&[("irq", 100_000), ("t0", 117_000)]));
}

#[test]
fn an_idle_cpu_takes_its_interrupt_on_time() {
    let (r, l) = run(1, &[(0, vec![Do::Arm(50_000)])]);
    assert_eq!(l, log(&[("t0", 0), ("irq", 50_000)]));
    assert_eq!(r.virtual_ns, 60_000);
}

#[test]
fn a_spinner_sees_the_write_when_it_happens() {
    let t0 = vec![Do::SpinUntil(1), Do::Work(1_000)];
    let (_, l) = run(2, &[(0, t0), (1, vec![Do::Work(30_000), Do::Set(1)])]);
    assert_eq!(l, log(&[("t1", 30_000), ("t0", 31_000)]));
}

#[test]
fn an_interrupt_runs_on_top_of_a_spinner() {
    let t0 = vec![Do::Arm(25_000), Do::SpinUntil(1), Do::Work(1_000)];
    let (_, l) = run(2, &[(0, t0), (1, vec![Do::Work(30_000), Do::Set(1)])]);
    // The handler runs from 25 to 35 us; the spinner sees the write when it has the CPU again.
    assert_eq!(l, log(&[("irq", 25_000), ("t1", 30_000), ("t0", 36_000)]));
}

#[test]
fn a_sleeper_leaves_its_cpu_to_others() {
    let t0 = vec![Do::Sleep(50_000), Do::Work(1_000)];
    let (_, l) = run(1, &[(0, t0), (0, vec![Do::Work(20_000)])]);
    assert_eq!(l, log(&[("t1", 20_000), ("t0", 51_000)]));
}

#[test]
fn a_task_that_goes_to_sleep_finishes_its_work_first() {
    let t0 = vec![Do::Work(30_000), Do::Sleep(50_000), Do::Work(1_000)];
    let (_, l) = run(1, &[(0, t0), (0, vec![Do::Work(20_000)])]);
    assert_eq!(l, log(&[("t1", 50_000), ("t0", 81_000)]));
    // Meanwhile the CPU is not idle: an interrupt finds it awake.
    let mut costs = Costs::free();
    costs.set(timerace_core::step::CostClass::IdleExit, timerace_core::timed::Dist::Const(500));
    let body = |at, sleep| vec![Do::Arm(at), Do::Work(30_000), Do::Sleep(sleep)];
    let (_, l) = run_with(1, &[(0, body(10_000, 1))], costs.clone(), true);
    assert_eq!(l, log(&[("irq", 10_000), ("t0", 40_000)]));
    let (r, _) = run_with(1, &[(0, body(130_000, 40_000))], costs, true);
    assert_eq!(r.virtual_ns, 130_000 + 500 + 10_000);
}

#[test]
fn tasks_take_turns_when_the_slice_is_over() {
    let spin = vec![Do::SpinUntil(1)];
    let (_, l) = run(1, &[(0, spin), (0, vec![Do::Set(1)])]);
    assert_eq!(l.len(), 2, "both end: {l:?}");
    assert!(l.iter().all(|e| e.1 >= Costs::default().slice_ns), "{l:?}");
}

/// Priorities of the first tasks, 0 for none; when each task has ended. The same whether steps follow at once or not.
fn ends(in_turns: bool, priorities: &[u8], tasks: &[Vec<Do>]) -> Vec<(String, u64)> {
    let classes: Vec<_> =
        priorities.iter().map(|priority| RealTime { priority: *priority, in_turns }).collect();
    let tasks: Vec<_> = tasks.iter().map(|body| (0, body.clone())).collect();
    let [now, later] = [true, false].map(|goes_on| {
        let (machine, model) = boot_with(1, &tasks, &classes);
        let options = TimedOptions {
            costs: Costs::free(),
            until: Some(Nanos(1_000_000_000)),
            max_steps: 10_000,
            goes_on,
            ..TimedOptions::default()
        };
        let (r, _) = run_timed(&machine, &model, &options, &mut Unwatched);
        assert_eq!(r.ended, TimedEnd::Idle);
        (r.digest, model.log.borrow().clone())
    });
    assert_eq!(now, later);
    now.1
}

#[test]
fn a_real_time_task_takes_the_cpu_from_others_when_it_wakes_up() {
    let rt = vec![Do::Sleep(10_000), Do::Work(5_000)];
    let l = ends(false, &[50], &[rt.clone(), vec![Do::Work(100_000)]]);
    assert_eq!(l, log(&[("t0", 15_000), ("t1", 105_000)]));
    // Not while preemption is off.
    let section = vec![Do::IrqOff, Do::Work(30_000), Do::IrqOn, Do::Work(10_000)];
    let l = ends(false, &[50], &[rt.clone(), section]);
    assert_eq!(l, log(&[("t0", 35_000), ("t1", 45_000)]));
    // From one that spins too, and without it that one goes on.
    let l = ends(false, &[50], &[[&rt[..], &[Do::Set(1)]].concat(), vec![Do::SpinUntil(1)]]);
    assert_eq!(l, log(&[("t0", 15_000), ("t1", 15_000)]));
}

#[test]
fn the_higher_priority_goes_first_and_the_others_go_on_where_they_were() {
    let body = |sleep, work| vec![Do::Sleep(sleep), Do::Work(work)];
    let tasks = [body(10_000, 20_000), body(15_000, 5_000), vec![Do::Work(100_000)]];
    let l = ends(false, &[10, 20], &tasks);
    assert_eq!(l, log(&[("t1", 20_000), ("t0", 35_000), ("t2", 125_000)]));
    let l = ends(false, &[20, 10], &tasks);
    assert_eq!(l, log(&[("t0", 30_000), ("t1", 35_000), ("t2", 125_000)]));
}

#[test]
fn the_last_work_before_a_sleep_can_be_interrupted_too() {
    let rt = vec![Do::Sleep(10_000), Do::Work(5_000)];
    let sleeper = vec![Do::Work(100_000), Do::Sleep(50_000), Do::Work(1_000)];
    let l = ends(false, &[50], &[rt, sleeper, vec![Do::Work(20_000)]]);
    // The sleep ends when it would have without the other one: a timer is set for it.
    assert_eq!(l, log(&[("t0", 15_000), ("t2", 125_000), ("t1", 151_000)]));
}

#[test]
fn equal_priorities_take_turns_only_if_they_say_so() {
    let tasks = [vec![Do::Work(10_000_000)], vec![Do::Sleep(1_000), Do::Work(2_000)]];
    let l = ends(false, &[50, 50], &tasks);
    assert_eq!(l, log(&[("t0", 10_000_000), ("t1", 10_002_000)]));
    let l = ends(true, &[50, 50], &tasks);
    let slice = Costs::default().slice_ns;
    assert_eq!(l, log(&[("t1", slice + 2_000), ("t0", 10_002_000)]));
}

fn ends_in_a_deadlock(cpus: u16, tasks: &[(u16, Vec<Do>)]) {
    let (machine, model) = boot(cpus, tasks);
    let options = TimedOptions { max_steps: 1_000, ..TimedOptions::default() };
    let (r, _) = run_timed(&machine, &model, &options, &mut Unwatched);
    assert_eq!(r.ended, TimedEnd::Idle);
    let classes: Vec<_> = machine.with_mem(|m| m.findings(&[]).iter().map(|f| f.class).collect());
    assert_eq!(classes, [timerace_core::Class::Deadlock]);
}

#[test]
fn a_hang_ends_the_run_as_a_finding() {
    ends_in_a_deadlock(2, &[(0, vec![Do::SpinUntil(1)])]);
}

/// A task that ends with interrupts off takes its CPU with it: no other one gets it, and one that spins is stuck.
#[test]
fn a_cpu_that_is_left_with_interrupts_off_runs_nothing() {
    ends_in_a_deadlock(1, &[(0, vec![Do::IrqOff]), (0, vec![Do::SpinUntil(1)])]);
}

#[test]
fn the_same_seed_gives_the_same_digest() {
    let tasks =
        [(0, vec![Do::Arm(50_000), Do::Work(100_000)]), (1, vec![Do::Sleep(3), Do::Set(1)])];
    assert_eq!(run(2, &tasks).0.digest, run(2, &tasks).0.digest);
    let other =
        [(0, vec![Do::Arm(50_001), Do::Work(100_000)]), (1, vec![Do::Sleep(3), Do::Set(1)])];
    assert_ne!(run(2, &tasks).0.digest, run(2, &other).0.digest);
    let _ = CtxId(0);
}

/// Two to four tasks on two CPUs that mask, arm, work and sleep.
fn drawn(mut x: u64) -> Vec<(u16, Vec<Do>)> {
    let mut draw = |n: u64| {
        x = timerace_core::mix::mix(x);
        x % n
    };
    let mut tasks = Vec::new();
    for _ in 0..2 + draw(3) {
        let (mut body, mut open) = (Vec::new(), Vec::new());
        for _ in 0..draw(16) {
            let atomic = open.iter().any(|d| matches!(d, Do::BhOn | Do::IrqOn));
            let locked = open.iter().any(|d| matches!(d, Do::Unlock));
            body.push(match draw(11) {
                0 => Do::Work(draw(3_000)),
                1 => Do::Arm(draw(40_000)),
                2 if open.is_empty() => Do::Sleep(draw(20_000)),
                3 if !open.is_empty() => open.remove(open.len() - 1),
                4 => {
                    open.push(Do::BhOn);
                    Do::BhOff
                }
                5 => {
                    open.push(Do::IrqOn);
                    Do::IrqOff
                }
                // Only where its owner keeps the CPU: the other task of the CPU would spin for a slice.
                6 | 7 if atomic && !locked => {
                    open.push(Do::Unlock);
                    Do::Lock
                }
                _ => Do::Local(draw(5_000)),
            });
        }
        body.extend(open.into_iter().rev());
        tasks.push((draw(2) as u16, body));
    }
    tasks
}

#[test]
fn steps_that_nobody_can_see_between_may_happen_at_once() {
    let mut steps = 0;
    for seed in 0..3_000 {
        let tasks = drawn(seed);
        // A third of them with real-time classes.
        let class =
            |i| RealTime { priority: (seed / 3 / 4u64.pow(i) % 4) as u8, in_turns: i % 2 == 1 };
        let classes: Vec<_> = if seed % 3 == 0 { (0..4).map(class).collect() } else { Vec::new() };
        let world = What { cpus: 2, tasks: &tasks, classes: &classes };
        let mut costs = Costs::default();
        costs.slice_ns = 8_000;
        let sorted = |mut r: (TimedRun, Vec<(String, u64)>)| {
            r.1.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
            r
        };
        let run = |goes_on, limits| sorted(limited(world, costs.clone(), goes_on, limits));
        let (fast, slow) = (run(true, (None, 100_000)), run(false, (None, 100_000)));
        assert_eq!(fast, slow, "program {seed}: {tasks:?} {classes:?}");
        steps += fast.0.steps;
        // Cut off in the middle, it is at the same place.
        for limits in [(Some(1), 100_000), (Some(2), 100_000), (None, fast.0.steps / 2 + 1)] {
            let (fast, slow) = (run(true, limits).0, run(false, limits).0);
            assert_eq!(fast, slow, "program {seed} up to {limits:?}: {tasks:?}");
        }
    }
    assert!(steps > 50_000, "{steps} steps show little");
}

/// Looks at locks, and goes on for so many steps.
struct Watching(Holds, u32);

impl Watch for Watching {
    fn expiry(&mut self, _: &timerace_core::result::Expiry, _: &[(Cause, u64)]) {}

    fn wants_causes(&self) -> bool {
        true
    }

    fn doing(&mut self, cpu: CpuId, at: u64, ctx: Option<CtxId>, cause: Cause) {
        self.0.doing(cpu, at, ctx, cause);
    }

    fn before<M: Model>(&mut self, exec: &Exec<'_, M>, pick: Pick) {
        self.0.before(exec, pick);
    }

    fn go_on(&mut self) -> bool {
        self.1 = self.1.saturating_sub(1);
        self.1 > 0
    }
}

fn watched(tasks: &[(u16, Vec<Do>)], steps: u32) -> (TimedRun, [Option<u64>; 2]) {
    let (machine, model) = boot(2, tasks);
    let options = TimedOptions {
        costs: Costs::free(),
        max_steps: 100_000,
        goes_on: false,
        ..TimedOptions::default()
    };
    let mut watch = Watching(Holds::new(["lock", "other"].map(str::to_string), false), steps);
    let (run, _) = run_timed(&machine, &model, &options, &mut watch);
    watch.0.end(&machine, run.virtual_ns);
    for (hold, parts) in watch.0.take() {
        assert_eq!(parts.iter().map(|p| p.1).sum::<u64>(), hold.ns(), "{hold:?} {parts:?}");
        assert!(parts.iter().all(|p| p.0 != Cause::Older), "{hold:?} {parts:?}");
    }
    (run, ["lock", "other"].map(|n| watch.0.longest_ns(n)))
}

#[test]
fn the_longest_hold_of_a_lock_counts_interrupts_that_come_in_between() {
    let short = (0, vec![Do::Lock, Do::Work(300), Do::Unlock, Do::Lock, Do::Work(200), Do::Unlock]);
    assert_eq!(watched(std::slice::from_ref(&short), 1_000).1, [Some(300), None]);
    // The second one waits for the first: that is not holding.
    let later = (1, vec![Do::Work(100), Do::Lock, Do::Work(250), Do::Unlock]);
    assert_eq!(watched(&[short, later], 1_000).1, [Some(300), None]);
    // An interrupt of 10 us comes while it is held.
    let hit = (0, vec![Do::Arm(100), Do::Lock, Do::Work(500), Do::Unlock]);
    assert_eq!(watched(&[hit], 1_000).1, [Some(10_500), None]);
    // What is held at the end is held until then.
    let kept = (0, vec![Do::Lock, Do::Work(700)]);
    let (run, held) = watched(&[kept], 1_000);
    assert_eq!((run.ended, held), (TimedEnd::Idle, [Some(700), None]));
}

#[test]
fn a_watcher_can_end_a_run() {
    let long = (0, vec![Do::Work(1); 100]);
    let (run, _) = watched(&[long], 10);
    assert_eq!((run.ended, run.steps), (TimedEnd::Stopped, 10));
}
