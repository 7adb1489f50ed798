//! What the chosen kernel does, as plain flags: the table of versions resolved once, before the first step.

use crate::versions::{Fix, KernelVersion};

/// One flag per version-dependent behaviour.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Flags {
    /// fd381ce60a2d: init tests usercnt after publication.
    pub init_uref_recheck: bool,
    /// D3: that test comes without a full barrier.
    pub uref_recheck_no_barrier: bool,
    /// D6: a run of the irq_work drops one reference.
    pub one_put_per_run: bool,
    /// 0281b919e175: free after a grace period, cancel is a reader.
    pub cancel_free_rcu: bool,
    /// d4523831f07a: the `cancelling` counter.
    pub cancel_deadlk: bool,
    /// a6fcd19d7eac: delete_work when a timer callback runs on this CPU.
    pub defer_free_in_callback: bool,
    /// b9e9ed90b10c: deleted hash elements are freed after the bucket is unlocked.
    pub free_after_bucket_unlock: bool,
    /// v6.1: NO_PREALLOC elements come from bpf_mem_alloc.
    pub bpf_mem_alloc: bool,
    /// v6.2: map_free frees the special fields that are left.
    pub map_free_fields: bool,
    /// 5eaed6eedbe9: fresh NO_PREALLOC elements have their timer zeroed.
    pub timer_slot_zeroed: bool,
    /// a8abb0c3dc1e: an update skips the timer also when the value has a lock.
    pub copy_skips_both: bool,
    /// 275c30bcee66: no zeroing of elements popped from the LRU list.
    pub no_lru_reinit: bool,
    /// 997849c4b969: no zeroing of reused NO_PREALLOC elements.
    pub no_reuse_reinit: bool,
    /// f76fa6b33805: iterators hold a user reference.
    pub iter_holds_uref: bool,
    /// 876673364161: inner maps are freed after a grace period.
    pub defer_inner_map_free: bool,
    /// 45dc92c32a47: an evicted LRU element's timer is freed after its bucket is unlocked.
    pub lru_free_after_unlock: bool,
    /// d4adf1c9ee77: a CPU takes fewer elements at once from a small LRU map.
    pub lru_free_target: bool,
    /// 47363f1553e6: lookup_and_delete frees the element after the bucket is unlocked.
    pub lookup_delete_after_unlock: bool,
    /// 4fa8d68aa53e: bucket locks are rqspinlocks.
    pub rqspinlock_buckets: bool,
    /// 81f1d7a583fa: bpf_wq, and one initialisation for timers and work queues.
    pub bpf_wq: bool,
    /// 6d78b4473cdb: bpf_timer_init allocates without spinning in the memory cgroup.
    pub memcg_no_spin: bool,
    /// 5c0930ccaad5: timers leave a dying CPU while it still runs tasks.
    pub hrtimers_dying: bool,
    /// 53dac3454182: a start on an offline CPU goes to another one.
    pub migrate_dying: bool,
    /// 469d638d1520: timer callbacks may not sleep, whichever program sets them.
    pub callback_not_sleepable: bool,
    /// dc92febf7b93: callbacks of a bpf_wq run whatever `prog->active` says.
    pub wq_no_recursion_check: bool,
    /// 5fb750e8a9ae: timers are allocated with kmalloc_nolock.
    pub kmalloc_nolock: bool,
    /// 64e8ee814819: a timer in a nested struct or in an array of one is found.
    pub nested_fields: bool,
    /// d2102f2f5d75: a look-up with a constant index inside an array is not NULL.
    pub lookup_nullness: bool,
    /// c4bcfb38a95e: there are maps of type BPF_MAP_TYPE_CGRP_STORAGE.
    pub cgrp_storage: bool,
    /// fd9c663b9ad6: there are netfilter programs.
    pub netfilter_progs: bool,
    /// e25ddfb388c8, on PREEMPT_RT: programs with timers are refused.
    pub rt_refused: bool,
    /// 58f038e6d209, on PREEMPT_RT: cancel and free does not wait for a callback.
    pub rt_two_step_cancel: bool,
    /// There are maps of type BPF_MAP_TYPE_RHASH.
    pub rhash: bool,
    /// 89edbdfc5d03: the locks of LRU lists are rqspinlocks.
    pub lru_rqspinlock: bool,
    /// Flags that bpf_timer_start accepts.
    pub start_flags: u64,
    /// 5e0bc3082e2e: classic tracing programs may not use timers.
    pub no_timers_in_tracing: bool,
    /// 1bfbc267ec91: no lock in the map value.
    pub lock_free: bool,
    /// 8bb1e32b3fac: program and callback are exchanged without a lock.
    pub lock_free_update: bool,
    /// a7e172aa4ca2: bpf_timer_cancel_async().
    pub cancel_async: bool,
    /// 1df97a7453ee: an element that goes back to the slab gives up what is in its special fields.
    pub mem_alloc_dtor: bool,
    /// D4: free waits for cancels in progress.
    pub cancel_busy_flag: bool,
    /// D5: the spare element of a CPU comes back after the bucket is unlocked.
    pub extra_refill_late: bool,
    /// D5d: free does not wait for a callback, and leaves nothing to a kworker.
    pub try_to_cancel_only: bool,
    /// D8: no cancel after the last reference of a lock-free timer.
    pub free_without_cancel: bool,
    /// 7d49635e3775: operations are deferred wherever interrupts are off.
    pub defer_irqs_off: bool,
    /// 64873307e888: no command of a timer from within its own handler.
    pub async_recursion_check: bool,
    /// 1ace9bac1ad2: no call_rcu_tasks_trace() with interrupts off.
    pub rcu_not_irqs_off: bool,
    /// ac50fe51ce87: the verifier says -EINVAL where it said -EACCES.
    pub verifier_einval: bool,
}

/// `BPF_F_TIMER_ABS`
pub(crate) const BPF_F_TIMER_ABS: u64 = 1;
/// `BPF_F_TIMER_CPU_PIN`
pub(crate) const BPF_F_TIMER_CPU_PIN: u64 = 2;

impl Flags {
    /// The flags of a kernel, built for PREEMPT_RT or not.
    pub fn of(k: KernelVersion, rt: bool) -> Flags {
        let abs = if k.has(Fix::TimerAbs) { BPF_F_TIMER_ABS } else { 0 };
        let pin = if k.has(Fix::TimerCpuPin) { BPF_F_TIMER_CPU_PIN } else { 0 };
        Flags {
            init_uref_recheck: k.has(Fix::InitUrefRecheck) || k.has(Fix::UrefRecheckNoBarrier),
            uref_recheck_no_barrier: k.has(Fix::UrefRecheckNoBarrier),
            one_put_per_run: k.has(Fix::OnePutPerRun),
            cancel_free_rcu: k.has(Fix::CancelFreeRcu),
            cancel_deadlk: k.has(Fix::CancelDeadlk),
            defer_free_in_callback: k.has(Fix::DeferFreeInCallback),
            free_after_bucket_unlock: k.has(Fix::FreeAfterBucketUnlock),
            bpf_mem_alloc: k.has(Fix::BpfMemAlloc),
            map_free_fields: k.has(Fix::MapFreeFields),
            timer_slot_zeroed: k.has(Fix::TimerSlotZeroed),
            copy_skips_both: k.has(Fix::CopySkipsLockAndTimer),
            no_lru_reinit: k.has(Fix::NoLruReinit),
            no_reuse_reinit: k.has(Fix::NoReuseReinit),
            iter_holds_uref: k.has(Fix::IterHoldsUref),
            defer_inner_map_free: k.has(Fix::DeferInnerMapFree),
            start_flags: abs | pin,
            no_timers_in_tracing: k.has(Fix::NoTimersInTracing) && !k.has(Fix::TimersInTracing),
            lock_free: k.has(Fix::LockFree),
            lock_free_update: k.has(Fix::LockFreeUpdate),
            cancel_async: k.has(Fix::CancelAsync),
            mem_alloc_dtor: k.has(Fix::MemAllocDtor),
            cancel_busy_flag: k.has(Fix::CancelBusyFlag),
            extra_refill_late: k.has(Fix::ExtraElemRefillLate),
            try_to_cancel_only: k.has(Fix::TryToCancelOnly),
            free_without_cancel: k.has(Fix::FreeWithoutCancel),
            defer_irqs_off: k.has(Fix::DeferIrqsOff),
            async_recursion_check: k.has(Fix::AsyncRecursionCheck),
            rcu_not_irqs_off: k.has(Fix::RcuNotIrqsOff),
            verifier_einval: k.has(Fix::VerifierEinval),
            nested_fields: k.has(Fix::NestedFields),
            lookup_nullness: k.has(Fix::LookupNullness),
            cgrp_storage: k.has(Fix::CgrpStorage),
            netfilter_progs: k.has(Fix::NetfilterProgs),
            rt_two_step_cancel: rt && k.has(Fix::RtTwoStepCancel),
            rhash: k.has(Fix::Rhash),
            lru_rqspinlock: k.has(Fix::LruRqspinlock),
            rt_refused: rt && k.has(Fix::RtRefused),
            lru_free_after_unlock: k.has(Fix::LruFreeAfterBucketUnlock),
            lru_free_target: k.has(Fix::LruFreeTarget),
            lookup_delete_after_unlock: k.has(Fix::LookupDeleteAfterUnlock),
            rqspinlock_buckets: k.has(Fix::RqspinlockBuckets),
            bpf_wq: k.has(Fix::BpfWq),
            memcg_no_spin: k.has(Fix::MemcgNoSpin),
            hrtimers_dying: k.has(Fix::HrtimersDying),
            migrate_dying: k.has(Fix::HrtimerMigrateDying),
            callback_not_sleepable: k.has(Fix::CallbackNotSleepable),
            wq_no_recursion_check: k.has(Fix::WqNoRecursionCheck),
            kmalloc_nolock: k.has(Fix::KmallocNolock),
        }
    }
}
