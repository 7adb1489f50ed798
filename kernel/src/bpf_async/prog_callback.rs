//! `bpf_timer_set_callback()`, and how program and callback of a timer change without a lock.

use crate::errno::{EINVAL, ENOENT};
use crate::kernel::Kernel;
use crate::objects::{AsyncCb, Callback, Elem};
use timerace_core::{Cx, site};

impl Kernel {
    /// `__bpf_async_set_callback()`, v7.0 and later. The user references of the map are not asked: a map without any has
    /// no timer. Slot NULL: -EINVAL.
    pub(crate) async fn bpf_async_set_callback(
        &self,
        cx: Cx<'_>,
        e: Elem,
        callback: Callback,
    ) -> i64 {
        let Some(t) = self.async_cb(cx, e).await else { return EINVAL };
        self.bpf_async_update_prog_callback(cx, t.cb(), Some(callback)).await
    }

    /// `bpf_async_update_prog_callback()` (8bb1e32b3fac); without a callback it clears both.
    ///
    /// 1. With a program: a guard reference on it, -ENOENT if it has none left. 2. a. One more reference, for the slot;
    ///    b. exchange the program; c. store the callback; d. put the program that was there; e. again, unless both are
    ///    still what was stored. 3. Put the guard.
    ///
    /// Fewer steps than statements, where nobody can tell: the guard and the slot's first reference are one, because with
    /// the guard held the count is not 0 between them; a program that no task loads is never without a reference and needs
    /// no guard; the two reads of e. are one, because another writer between them has stored what the first read misses,
    /// and its own e. comes later. Two callers can undo each other's turns for ever; the model lets it happen once in a call, then the
    /// call's next turn is a single step. Further turns pass through no state that the first does not.
    pub(crate) async fn bpf_async_update_prog_callback(
        &self,
        cx: Cx<'_>,
        t: AsyncCb,
        callback: Option<Callback>,
    ) -> i64 {
        if !self.flags.lock_free_update {
            return self.update_prog_callback_plain(cx, t, callback).await;
        }
        let _f = cx.enter_leaf("bpf_async_update_prog_callback");
        // 1., 2a.
        let guarded = callback.filter(|c| self.progs[c.prog].loaded_by_task);
        if let Some(c) = callback {
            let refs = if guarded.is_some() { 2 } else { 1 };
            if !self.bpf_prog_guard(cx, c.prog, refs).await {
                return ENOENT;
            }
        }
        let mut undisturbed = false;
        while !self.exchange(cx, t, callback, undisturbed).await {
            undisturbed = true;
            // a.
            if let Some(c) = callback {
                let count = self.progs[c.prog].obj.refcnt();
                cx.fetch_add(site!("bpf_prog_inc(prog)", Atomic), count, 1).await;
            }
        }
        // 3.
        if let Some(c) = guarded {
            self.bpf_prog_put(cx, c.prog).await;
        }
        0
    }

    /// Steps b. to e.: whether both fields are still what was stored. `undisturbed`: stores and test are one step.
    async fn exchange(
        &self,
        cx: Cx<'_>,
        t: AsyncCb,
        callback: Option<Callback>,
        undisturbed: bool,
    ) -> bool {
        let (prog, func) = words(callback);
        let (xchg, store) = (
            site!("prev = xchg(&cb->prog, prog)", Atomic),
            site!("rcu_assign_pointer(cb->callback_fn, callback_fn)", Memory),
        );
        // b., c.
        let prev = if undisturbed {
            let step = cx.step(xchg).writes(t.prog.obj()).writes(t.callback_fn.obj());
            step.run(move |m| {
                m.store(t.callback_fn, func);
                m.update(t.prog, |_| prog)
            })
            .await
        } else {
            let prev = cx.xchg(xchg, t.prog, prog).await;
            cx.write(store, t.callback_fn, func).await;
            prev
        };
        // d.
        if let Some(prev) = (prev as usize).checked_sub(1) {
            self.bpf_prog_put(cx, prev).await;
        }
        // e.
        if undisturbed {
            return true;
        }
        let same = site!("READ_ONCE(cb->prog) == prog && READ_ONCE(cb->callback_fn) == ..", Memory);
        cx.step(same)
            .reads(t.prog.obj())
            .reads(t.callback_fn.obj())
            .run(move |m| m.load(t.prog) == prog && m.load(t.callback_fn) == func)
            .await
    }

    /// The guard reference and that of the slot; false if the program has no reference left.
    async fn bpf_prog_guard(&self, cx: Cx<'_>, prog: usize, refs: i64) -> bool {
        let v = self.progs[prog].obj.refcnt();
        cx.step(site!("bpf_prog_inc_not_zero(prog); bpf_prog_inc(prog)", Atomic))
            .writes(v.obj())
            .run(move |m| {
                let n: i64 = m.load(v);
                if n > 0 {
                    m.store(v, n + refs);
                }
                n > 0
            })
            .await
    }

    /// What the update was when a lock still surrounded it (without 8bb1e32b3fac): reads and stores that two callers can
    /// interleave, so that both put the program that they found.
    async fn update_prog_callback_plain(
        &self,
        cx: Cx<'_>,
        t: AsyncCb,
        callback: Option<Callback>,
    ) -> i64 {
        let _f = cx.enter_leaf("drop_prog_refcnt");
        let (prog, func) = words(callback);
        let prev = cx.read(site!("prev = cb->prog", Memory), t.prog).await;
        if prev != prog {
            if let Some(c) = callback
                && !self.bpf_prog_inc_not_zero(cx, c.prog).await
            {
                return ENOENT;
            }
            if let Some(prev) = (prev as usize).checked_sub(1) {
                self.bpf_prog_put(cx, prev).await;
            }
            cx.write(site!("cb->prog = prog", Memory), t.prog, prog).await;
        }
        let site = site!("rcu_assign_pointer(cb->callback_fn, callback_fn)", Memory);
        cx.write(site, t.callback_fn, func).await;
        0
    }
}

fn words(callback: Option<Callback>) -> (u64, u64) {
    callback.map_or((0, 0), |c| (c.prog as u64 + 1, c.word()))
}
