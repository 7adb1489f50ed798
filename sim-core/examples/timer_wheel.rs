//! A model of your own: a timer of the timer wheel, and `del_timer_sync()` against its handler.
//!
//! The handler takes a lock. `del_timer_sync()` waits until the handler has ended. A caller that holds that very lock
//! while it waits can wait for ever; lockdep's map of the timer is there for this mistake. The example explores both
//! callers, the mistaken and the right one, over every interleaving.
//!
//! `cargo run -p timerace-core --example timer_wheel`

use std::process::ExitCode;
use timerace_core::dpor::{Ignore, Options, explore};
use timerace_core::exec::Exec;
use timerace_core::machine::Body;
use timerace_core::result::Exploration;
use timerace_core::step::Rel;
use timerace_core::{CpuId, CtxId, CtxKind, CtxSpec, Cx, Machine, Mem, Model, Setup, Var, site};

/// What is shared: two bits of a timer, and a lock with the number that it protects.
#[derive(Clone, Copy)]
struct Wheel {
    /// The timer is queued.
    pending: Var<bool>,
    /// Its handler runs.
    running: Var<bool>,
    lock: Var<Option<CtxId>>,
    counter: Var<i64>,
    /// The mistake: the lock is held over `del_timer_sync()`.
    waits_under_lock: bool,
}

/// A machine of two CPUs: a task on the first, the timer softirq on the second.
fn boot(waits_under_lock: bool) -> (Machine, Wheel) {
    let mut s = Setup::new(2);
    let wheel = Wheel {
        pending: s.var("timer pending", true),
        running: s.var("timer running", false),
        lock: s.lock("dev->lock"),
        counter: s.var("dev->counter", 0),
        waits_under_lock,
    };
    let context = |name: &str, cpu, kind, daemon| CtxSpec {
        name: name.into(),
        token: name.into(),
        cpu: Some(CpuId(cpu)),
        kind,
        daemon,
    };
    s.context(context("task", 0, CtxKind::Task, false));
    // A softirq is there from the start and waits for work.
    s.context(context("TIMER softirq", 1, CtxKind::Softirq, true));
    (s.build(), wheel)
}

impl Model for Wheel {
    fn start<'m>(&'m self, cx: Cx<'m>) -> Body<'m> {
        match cx.kind() {
            CtxKind::Task => Box::pin(self.task(cx)),
            _ => Box::pin(self.softirq(cx)),
        }
    }
}

impl Wheel {
    /// Shuts the device down.
    async fn task(&self, cx: Cx<'_>) {
        let _f = cx.enter("shutdown");
        if self.waits_under_lock {
            self.lock_bh(cx).await;
            self.del_timer_sync(cx).await;
            self.unlock_bh(cx).await;
        } else {
            self.del_timer_sync(cx).await;
            self.lock_bh(cx).await;
            self.unlock_bh(cx).await;
        }
    }

    /// spin_lock_bh(): the handler takes the lock in a softirq, so a task must not be interrupted by one while it holds
    /// it. With a plain lock the search would find that too, as lockdep does: LOCK_ORDER.
    async fn lock_bh(&self, cx: Cx<'_>) {
        cx.bh_disable(site!("local_bh_disable()", Mask)).await;
        cx.lock(site!("spin_lock(&dev->lock)", Lock), self.lock).await;
    }

    async fn unlock_bh(&self, cx: Cx<'_>) {
        cx.unlock(site!("spin_unlock(&dev->lock)", Lock), self.lock).await;
        cx.bh_enable(site!("local_bh_enable()", Mask)).await;
    }

    /// Removes the timer from the wheel, then spins until its handler has ended.
    async fn del_timer_sync(&self, cx: Cx<'_>) {
        let _f = cx.enter("del_timer_sync");
        let running = self.running;
        cx.write(site!("detach_if_pending(timer)", Atomic), self.pending, false).await;
        // A spin is one step that happens when it ends, and says beforehand what it waits for.
        cx.step(site!("while (base->running_timer == timer)", Memory))
            .when(running.obj(), Rel::Eq, 0)
            .run(|_: &mut Mem| ())
            .await;
    }

    /// run_timer_softirq(): takes the timer off the wheel and calls its handler.
    async fn softirq(&self, cx: Cx<'_>) {
        let (pending, running) = (self.pending, self.running);
        loop {
            cx.enter_level(
                site!("<TIMER softirq>", SoftirqEntry),
                CtxKind::Softirq,
                |d| d.writes(running.obj()).writes(pending.obj()).when(pending.obj(), Rel::Eq, 1),
                move |m: &mut Mem| {
                    m.store(pending, false);
                    m.store(running, true);
                },
            )
            .await;
            cx.entered_level(CtxKind::Softirq);
            self.handler(cx).await;
            cx.exit_level(
                site!("base->running_timer = NULL", SoftirqExit),
                CtxKind::Softirq,
                |d| d.writes(running.obj()),
                move |m: &mut Mem| m.store(running, false),
            )
            .await;
        }
    }

    async fn handler(&self, cx: Cx<'_>) {
        let _f = cx.enter("dev_timer");
        cx.lock(site!("spin_lock(&dev->lock)", Lock), self.lock).await;
        cx.fetch_add(site!("dev->counter++", Memory), self.counter, 1).await;
        cx.unlock(site!("spin_unlock(&dev->lock)", Lock), self.lock).await;
    }
}

/// Every inequivalent schedule.
fn search(waits_under_lock: bool) -> Exploration {
    let (machine, wheel) = boot(waits_under_lock);
    let options = Options { keep_going: true, ..Options::default() };
    explore(&mut Exec::new(&machine, &wheel), &options, &mut Ignore)
}

fn main() -> ExitCode {
    for (what, mistake) in [("with the lock held", true), ("without the lock", false)] {
        let x = search(mistake);
        println!("del_timer_sync() {what}: {} schedules, {} fail", x.schedules, x.failing);
        for f in &x.findings {
            println!("  {} in {} / {}", f.class, f.functions[0], f.functions[1]);
        }
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;
    use timerace_core::Class;

    #[test]
    fn waiting_for_the_handler_under_its_lock_is_a_deadlock() {
        let x = search(true);
        assert!(x.complete);
        let classes: Vec<Class> = x.findings.iter().map(|f| f.class).collect();
        assert_eq!(classes, [Class::Deadlock]);
        assert_eq!(x.findings[0].functions, ["del_timer_sync", "dev_timer"]);
    }

    #[test]
    fn waiting_without_the_lock_never_fails() {
        let x = search(false);
        assert!(x.complete && x.findings.is_empty());
        // The timer is removed in time, or runs and the task waits, or runs before, on either side of the lock.
        assert!(x.schedules > 1);
    }
}
