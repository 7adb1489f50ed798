//! A CPU goes offline: what becomes of its timers (kernel/time/hrtimer.c, section "hotplug").
//!
//! Up to v6.6 they are moved when the CPU is dead (`hrtimers_dead_cpu`): nothing runs on it any more. From v6.7 on
//! (5c0930ccaad5) the CPU itself gives them away while it still runs tasks (`hrtimers_cpu_dying`). What is started on it
//! after that is queued where nobody looks, until v6.14 (53dac3454182) sends it to a CPU that is online.
//!
//! Not modelled: tasks do not move to another CPU, they come to their end before the CPU is dead; a CPU does not come
//! back.

use crate::kernel::Kernel;
use crate::objects::Timer;
use crate::raw::Words;
use timerace_core::detect::Class;
use timerace_core::mem::{Mem, Ptr};
use timerace_core::step::Rel;
use timerace_core::{Cx, Var, Word, site};

/// What a CPU that goes offline has besides.
#[derive(Clone, Debug)]
pub(crate) struct Hotplug {
    /// `hrtimer_cpu_base.online`; in all versions: whether its softirq still comes.
    pub online: Var<bool>,
    /// Tasks on this CPU that have not ended.
    pub tasks: Var<i64>,
    /// A CPU that stays online.
    pub target: usize,
}

impl Kernel {
    /// The event `cpu_down()`, in the CPU's own hotplug thread.
    pub(crate) async fn cpu_down(&self, cx: Cx<'_>, cpu: usize) {
        let Some(h) = self.cpus[cpu].hotplug.clone() else { return };
        let early = self.flags.hrtimers_dying;
        let f = cx.enter(if early { "hrtimers_cpu_dying" } else { "hrtimers_dead_cpu" });
        if !early {
            let site = site!("wait for CPUHP_AP_IDLE_DEAD", Wakeup);
            cx.step(site).asleep().when(h.tasks.obj(), Rel::Eq, 0).run(|_| ()).await;
        }
        self.lock_base(cx, cpu).await;
        self.lock_base(cx, h.target).await;
        for clock in 0..self.clocks {
            self.migrate_hrtimer_list(cx, cpu * self.clocks + clock, h.target).await;
        }
        cx.write(site!("old_base->online = 0", Memory), h.online, false).await;
        self.unlock_base(cx, h.target).await;
        self.unlock_base(cx, cpu).await;
        f.ret(0);
    }

    /// `migrate_hrtimer_list()`: both bases are locked, so the queue that is seen is the queue that is moved.
    async fn migrate_hrtimer_list(&self, cx: Cx<'_>, from: usize, cpu: usize) {
        let to = cpu * self.clocks + from % self.clocks;
        let (old, new) = (self.bases[from], self.bases[to]);
        let step = cx.step(site!("timerqueue_getnext(&old_base->active)", Hrtimer));
        let timers = step
            .reads(old.queue.obj())
            .run(move |m| Words(m.queue(old.queue).in_order().iter().map(|e| e.timer).collect()));
        for word in timers.await.0 {
            let t = Timer(Ptr::from_word(word));
            cx.step(site!("timer->base = new_base; enqueue", Hrtimer))
                .writes(old.queue.obj())
                .writes(new.queue.obj())
                .writes(t.base().obj())
                .run(move |m| {
                    let index = t.0.number();
                    let entry = m.queue(old.queue).get(index).map(|e| (e.expires, e.soft));
                    let Some((hard, soft)) = entry else { return };
                    m.with_queue(old.queue, |q| q.remove(index));
                    m.with_queue(new.queue, |q| q.insert(word, index, hard, soft));
                    m.store(t.base(), to as u64);
                })
                .await;
        }
    }

    /// The CPU of the base that a start on this CPU, which can go offline, prefers: this one; with 53dac3454182 one that is
    /// online.
    pub(crate) async fn timer_target_cpu(&self, cx: Cx<'_>, here: usize, h: &Hotplug) -> usize {
        if !self.flags.migrate_dying {
            return here;
        }
        let site = site!("hrtimer_base_is_online(base)", Memory);
        if cx.read(site, h.online).await { here } else { h.target }
    }

    /// A task on this CPU has ended.
    pub(crate) async fn task_ends(&self, cx: Cx<'_>) {
        if let Some(h) = &self.cpu(cx).hotplug {
            cx.fetch_add(site!("do_task_dead()", Free, quiet), h.tasks, -1).await;
        }
    }

    /// Timers in the queue of a CPU that is offline will never expire.
    pub(crate) fn judge_offline(&self, m: &mut Mem) {
        for b in &self.bases {
            let Some(h) = &self.cpus[b.cpu].hotplug else { continue };
            if m.peek(h.online.obj()) != 0 {
                continue;
            }
            let lost: Vec<u64> = m.peek_queue(b.queue).in_order().iter().map(|e| e.timer).collect();
            for word in lost {
                let t = Timer(Ptr::from_word(word));
                m.report(Class::LostTimer, Some(t.expires().obj()));
            }
        }
    }
}
