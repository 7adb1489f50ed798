//! References to maps, how maps come into being and how they are freed.

use crate::arg::Arg;
use crate::kernel::Kernel;
use crate::objects::Elem;
use timerace_core::detect::Class;
use timerace_core::mem::Ptr;
use timerace_core::{Cx, Word, site};

impl Kernel {
    /// `map_create()`: 0, or why such a map is refused. The new descriptor holds the first reference and user reference.
    pub(crate) async fn bpf_map_create(&self, cx: Cx<'_>, map: usize) -> i64 {
        let f = cx.enter("map_create");
        let o = self.maps[map].obj;
        let label = site!("bpf(BPF_MAP_CREATE, {})", Syscall).with(Arg::Map(map).word());
        let refused = self.maps[map].create_ret;
        if refused != 0 {
            cx.step(label).run(|_| ()).await;
            return f.ret(refused);
        }
        cx.step(label)
            .writes(o.0.alive())
            .writes(o.usercnt().obj())
            .writes(o.refcnt().obj())
            .writes(o.released().obj())
            .run(move |m| {
                if !m.is_alive(o.0) {
                    m.revive(o.0);
                }
                m.update(o.usercnt(), |n: i64| n + 1);
                m.update(o.refcnt(), |n: i64| n + 1);
                m.store(o.released(), 0);
            })
            .await;
        f.ret(0)
    }

    /// `bpf_map_inc()`
    pub(crate) async fn bpf_map_inc(&self, cx: Cx<'_>, map: usize) {
        let v = self.maps[map].obj.refcnt();
        cx.fetch_add(site!("atomic64_inc(&map->refcnt)", Atomic), v, 1).await;
    }

    /// `bpf_map_inc_with_uref()`
    pub(crate) async fn bpf_map_inc_with_uref(&self, cx: Cx<'_>, map: usize) {
        let o = self.maps[map].obj;
        self.bpf_map_inc(cx, map).await;
        cx.step(site!("atomic64_inc(&map->usercnt)", Atomic))
            .writes(o.usercnt().obj())
            .writes(o.released().obj())
            .run(move |m| {
                m.update(o.usercnt(), |n: i64| n + 1);
                m.store(o.released(), 0);
            })
            .await;
    }

    /// `bpf_map_get_fd_by_id()`: false if the map is gone. User references may come back from 0.
    pub(crate) async fn bpf_map_get_by_id(&self, cx: Cx<'_>, map: usize) -> bool {
        let f = cx.enter_with("bpf_map_get_fd_by_id", Arg::Map(map).word());
        let o = self.maps[map].obj;
        let there = cx
            .step(site!("__bpf_map_inc_not_zero(map, true)", Syscall))
            .writes(o.refcnt().obj())
            .writes(o.usercnt().obj())
            .writes(o.released().obj())
            .run(move |m| {
                let gone = !m.is_alive(o.0) || m.load(o.refcnt()) <= 0;
                if !gone {
                    m.update(o.refcnt(), |n: i64| n + 1);
                    m.update(o.usercnt(), |n: i64| n + 1);
                    m.store(o.released(), 0);
                }
                !gone
            })
            .await;
        f.ret(if there { 0 } else { crate::errno::ENOENT });
        there
    }

    /// `bpf_iter_create()` on a map: with f76fa6b33805 and its siblings it holds a user reference.
    pub(crate) async fn bpf_iter_create(&self, cx: Cx<'_>, map: usize) {
        let f = cx.enter("bpf_iter_create");
        if self.flags.iter_holds_uref {
            self.bpf_map_inc_with_uref(cx, map).await;
        } else {
            self.bpf_map_inc(cx, map).await;
        }
        f.ret(0);
    }

    /// `bpf_map_put_with_uref()`
    pub(crate) async fn bpf_map_put_with_uref(&self, cx: Cx<'_>, map: usize) {
        self.bpf_map_put_uref(cx, map).await;
        self.bpf_map_put(cx, map).await;
    }

    /// `bpf_map_put()`: the last one frees the map in a kworker; an inner map that was in a slot only after a grace period
    /// (876673364161).
    pub(crate) async fn bpf_map_put(&self, cx: Cx<'_>, map: usize) {
        let _f = cx.enter_leaf("bpf_map_put");
        let o = self.maps[map].obj;
        let left = cx
            .step(site!("atomic64_dec_and_test(&map->refcnt)", Atomic))
            .writes(o.refcnt().obj())
            .run(move |m| crate::objects::put(m, o.refcnt()))
            .await;
        if left != 0 {
            return;
        }
        self.bpf_map_free_id(cx).await;
        let site = site!("map->free_after_mult_rcu_gp", Memory);
        let deferred = self.flags.defer_inner_map_free && cx.read(site, o.free_after_gp()).await;
        if deferred {
            let item = crate::rcu::map_callback(map);
            let site = site!("call_rcu_tasks_trace(&map->rcu, ..)", Memory);
            self.call_rcu_tasks_trace(cx, site, item).await;
        } else {
            let item = crate::work::map_free_work(map);
            self.queue_work(cx, site!("queue_work(.., &map->work)", Wakeup), item).await;
        }
    }

    /// `bpf_map_free_id()`: takes `map_idr_lock`, a lock that sleeps on `PREEMPT_RT`; under a raw lock that is the wrong kind
    /// on every configuration. Nothing else of it can be seen here.
    async fn bpf_map_free_id(&self, cx: Cx<'_>) {
        if self.is_spinlock_invalid(cx) {
            let site = site!("spin_lock(&map_idr_lock)", Lock);
            cx.step(site).run(|m| m.report(Class::SleepInAtomic, None)).await;
        }
    }

    /// `bpf_map_free_deferred()`, in a kworker, with `array_map_free()`, `htab_map_free()`, `rhtab_map_free()`: from v6.2 on
    /// (NO_PREALLOC: always) timers that are left are cancelled and freed, then the memory goes, that of bpf_mem_alloc's
    /// caches included. Up to v6.0 `htab_map_free()` waits for elements whose RCU callbacks have not run (`rcu_barrier`);
    /// here they do not need the map.
    pub(crate) async fn bpf_map_free_deferred(&self, cx: Cx<'_>, map: usize) {
        let _f = cx.enter_with("bpf_map_free_deferred", Arg::Map(map).word());
        let m = &self.maps[map];
        for (_, v) in &m.slots {
            let old = cx.xchg(site!("old_ptr = xchg(slot, NULL)", Atomic), *v, 0).await;
            if let Some(old) = (old as usize).checked_sub(1) {
                self.bpf_map_put(cx, old).await;
            }
        }
        if m.is_dynamic() {
            self.free_linked(cx, map).await;
            self.bpf_mem_alloc_destroy(cx, map).await;
        } else if m.has_special() && self.flags.map_free_fields {
            for e in &m.elems {
                self.free_fields(cx, *e, map).await;
            }
        }
        let (o, elems) = (m.obj, m.elems.clone());
        let step = cx.step(site!("bpf_map_area_free(map)", Alloc)).writes(o.0.alive());
        let step = elems.iter().fold(step, |s, e| s.writes(e.0.alive()));
        step.run(move |m| {
            m.free(o.0);
            for e in &elems {
                m.free(e.0);
            }
        })
        .await;
    }

    /// `delete_all_elements()`, `htab_elem_free()`. From v6.1 on the elements go through the cache, which is emptied next.
    async fn free_linked(&self, cx: Cx<'_>, map: usize) {
        for b in &self.maps[map].buckets {
            loop {
                let chain = b.chain;
                let step = cx.step(site!("hlist_nulls_del_rcu(&l->hash_node)", Map));
                let pop =
                    step.writes(chain.obj()).run(move |m| super::elem::Popped(m.pop_front(chain)));
                let Some(word) = pop.await.0 else { break };
                let e = Elem(Ptr::from_word(word));
                self.free_fields(cx, e, map).await;
                self.free_to_slab(cx, e).await;
            }
        }
    }
}
