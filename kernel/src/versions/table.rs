//! The table: fixes with the release that first has each, mainline releases, and what stable releases took besides.

use super::Release;

/// A fix or feature that changes what the model does.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fix {
    /// 5eaed6eedbe9
    TimerSlotZeroed,
    /// a8abb0c3dc1e
    CopySkipsLockAndTimer,
    /// 5e0bc3082e2e
    NoTimersInTracing,
    /// 275c30bcee66
    NoLruReinit,
    /// f76fa6b33805
    IterHoldsUref,
    /// bpf_mem_alloc in the hash map
    BpfMemAlloc,
    /// generic free of special fields in map_free
    MapFreeFields,
    /// c4bcfb38a95e
    CgrpStorage,
    /// 997849c4b969
    NoReuseReinit,
    /// ac50fe51ce87
    VerifierEinval,
    /// f71f8530494b
    TimerAbs,
    /// fd9c663b9ad6
    NetfilterProgs,
    /// d6247ecb6c1e
    TimerCpuPin,
    /// 5c0930ccaad5
    HrtimersDying,
    /// fd381ce60a2d
    InitUrefRecheck,
    /// 876673364161
    DeferInnerMapFree,
    /// 0281b919e175
    CancelFreeRcu,
    /// d4523831f07a
    CancelDeadlk,
    /// a6fcd19d7eac
    DeferFreeInCallback,
    /// 81f1d7a583fa
    BpfWq,
    /// dc92febf7b93
    WqNoRecursionCheck,
    /// 64e8ee814819
    NestedFields,
    /// b9e9ed90b10c
    FreeAfterBucketUnlock,
    /// 45dc92c32a47
    LruFreeAfterBucketUnlock,
    /// 47363f1553e6
    LookupDeleteAfterUnlock,
    /// 58f038e6d209
    RtTwoStepCancel,
    /// 53dac3454182
    HrtimerMigrateDying,
    /// d2102f2f5d75
    LookupNullness,
    /// 4fa8d68aa53e
    RqspinlockBuckets,
    /// d4adf1c9ee77
    LruFreeTarget,
    /// 6d78b4473cdb
    MemcgNoSpin,
    /// e25ddfb388c8
    RtRefused,
    /// 5fb750e8a9ae
    KmallocNolock,
    /// 469d638d1520
    CallbackNotSleepable,
    /// 8bb1e32b3fac
    LockFreeUpdate,
    /// 1bfbc267ec91
    LockFree,
    /// 19bd300e22c2
    TimersInTracing,
    /// a7e172aa4ca2
    CancelAsync,
    /// 7d49635e3775
    DeferIrqsOff,
    /// 64873307e888
    AsyncRecursionCheck,
    /// 1ace9bac1ad2
    RcuNotIrqsOff,
    /// 1df97a7453ee
    MemAllocDtor,
    /// D4, never merged
    CancelBusyFlag,
    /// D5, never merged
    ExtraElemRefillLate,
    /// D5d, never merged
    TryToCancelOnly,
    /// D8, never merged
    FreeWithoutCancel,
    /// 89edbdfc5d03
    LruRqspinlock,
    /// BPF_MAP_TYPE_RHASH
    Rhash,
    /// D3, never merged
    UrefRecheckNoBarrier,
    /// D6, never merged
    OnePutPerRun,
}

/// A row of the table of fixes.
#[derive(Debug)]
pub struct FixInfo {
    /// Which.
    pub fix: Fix,
    /// The mainline commit, 12 digits; `None` where a series stands for it.
    pub commit: Option<&'static str>,
    /// Its stable name.
    pub name: &'static str,
    /// The first mainline release with it.
    pub since: Release,
    /// What it changes.
    pub what: &'static str,
}

const fn row(
    fix: Fix,
    commit: &'static str,
    name: &'static str,
    since: (u16, u16),
    what: &'static str,
) -> FixInfo {
    let commit = if commit.is_empty() { None } else { Some(commit) };
    FixInfo { fix, commit, name, since: Release::mainline(since.0, since.1), what }
}

/// No release has it: a superseded design, to be switched on by name.
const NEVER: (u16, u16) = (u16::MAX, 0);

/// All fixes, in the order of [`Fix`].
pub const FIXES: [FixInfo; 50] = [
    row(
        Fix::TimerSlotZeroed,
        "5eaed6eedbe9",
        "timer-slot-zeroed",
        (5, 17),
        "a new element's timer is zeroed",
    ),
    row(
        Fix::CopySkipsLockAndTimer,
        "a8abb0c3dc1e",
        "copy-skips-lock-and-timer",
        (5, 17),
        "an update skips the timer of a value that also has a bpf_spin_lock",
    ),
    row(
        Fix::NoTimersInTracing,
        "5e0bc3082e2e",
        "no-timers-in-tracing",
        (5, 16),
        "kprobe, tracepoint, perf_event and raw_tracepoint programs may not use timers",
    ),
    row(
        Fix::NoLruReinit,
        "275c30bcee66",
        "no-lru-reinit",
        (6, 0),
        "an element popped from the LRU list is not zeroed again",
    ),
    row(
        Fix::IterHoldsUref,
        "f76fa6b33805",
        "iter-holds-uref",
        (6, 0),
        "a map iterator holds a user reference",
    ),
    row(
        Fix::BpfMemAlloc,
        "",
        "bpf-mem-alloc",
        (6, 1),
        "elements of a BPF_F_NO_PREALLOC hash are reused at once on the same CPU",
    ),
    row(
        Fix::MapFreeFields,
        "",
        "map-free-fields",
        (6, 2),
        "map_free cancels and frees the timers that are left in a map",
    ),
    row(
        Fix::CgrpStorage,
        "c4bcfb38a95e",
        "cgrp-storage",
        (6, 2),
        "maps of type BPF_MAP_TYPE_CGRP_STORAGE",
    ),
    row(
        Fix::NoReuseReinit,
        "997849c4b969",
        "no-reuse-reinit",
        (6, 3),
        "a reused element's timer is not zeroed",
    ),
    row(
        Fix::VerifierEinval,
        "ac50fe51ce87",
        "verifier-einval",
        (6, 3),
        "a program that misuses a timer is refused with -EINVAL instead of -EACCES",
    ),
    row(
        Fix::TimerAbs,
        "f71f8530494b",
        "timer-abs",
        (6, 4),
        "bpf_timer_start takes BPF_F_TIMER_ABS",
    ),
    row(
        Fix::NetfilterProgs,
        "fd9c663b9ad6",
        "netfilter-progs",
        (6, 4),
        "programs of type BPF_PROG_TYPE_NETFILTER",
    ),
    row(
        Fix::TimerCpuPin,
        "d6247ecb6c1e",
        "timer-cpu-pin",
        (6, 7),
        "bpf_timer_start takes BPF_F_TIMER_CPU_PIN",
    ),
    row(
        Fix::HrtimersDying,
        "5c0930ccaad5",
        "hrtimers-dying",
        (6, 7),
        "timers leave a CPU that goes offline while it still runs tasks",
    ),
    row(
        Fix::InitUrefRecheck,
        "fd381ce60a2d",
        "init-uref-recheck",
        (6, 7),
        "bpf_timer_init tests usercnt after it has published the timer",
    ),
    row(
        Fix::DeferInnerMapFree,
        "876673364161",
        "defer-inner-map-free",
        (6, 8),
        "an inner map is freed after a grace period",
    ),
    row(
        Fix::CancelFreeRcu,
        "0281b919e175",
        "cancel-free-rcu",
        (6, 8),
        "a timer is freed after a grace period, and bpf_timer_cancel is a reader",
    ),
    row(
        Fix::CancelDeadlk,
        "d4523831f07a",
        "cancel-deadlk",
        (6, 10),
        "bpf_timer_cancel fails in a callback whose own timer is being cancelled",
    ),
    row(
        Fix::DeferFreeInCallback,
        "a6fcd19d7eac",
        "defer-free-in-callback",
        (6, 10),
        "in a timer callback, cancel and free is left to a kworker",
    ),
    row(
        Fix::BpfWq,
        "81f1d7a583fa",
        "bpf-wq",
        (6, 10),
        "bpf_wq, whose initialisation is shared with timers",
    ),
    row(
        Fix::WqNoRecursionCheck,
        "dc92febf7b93",
        "wq-no-recursion-check",
        (6, 10),
        "the callback of a bpf_wq runs also while its program does",
    ),
    row(
        Fix::NestedFields,
        "64e8ee814819",
        "nested-fields",
        (6, 11),
        "a timer in a nested struct or in an array of one is found",
    ),
    row(
        Fix::FreeAfterBucketUnlock,
        "b9e9ed90b10c",
        "free-after-bucket-unlock",
        (6, 13),
        "a deleted hash element is freed after its bucket is unlocked",
    ),
    row(
        Fix::LruFreeAfterBucketUnlock,
        "45dc92c32a47",
        "lru-free-after-bucket-unlock",
        (6, 14),
        "the timer of an evicted LRU element is freed after its bucket is unlocked",
    ),
    row(
        Fix::LookupDeleteAfterUnlock,
        "47363f1553e6",
        "lookup-delete-after-unlock",
        (6, 14),
        "lookup_and_delete frees the element after the bucket is unlocked",
    ),
    row(
        Fix::RtTwoStepCancel,
        "58f038e6d209",
        "rt-two-step-cancel",
        (6, 14),
        "on PREEMPT_RT a running timer is cancelled and freed by a kworker",
    ),
    row(
        Fix::HrtimerMigrateDying,
        "53dac3454182",
        "hrtimer-migrate-dying",
        (6, 14),
        "a timer started on a CPU that goes offline is queued on another one",
    ),
    row(
        Fix::LookupNullness,
        "d2102f2f5d75",
        "lookup-nullness",
        (6, 14),
        "a lookup with a constant index inside an array needs no test for NULL",
    ),
    row(
        Fix::RqspinlockBuckets,
        "4fa8d68aa53e",
        "rqspinlock-buckets",
        (6, 15),
        "taking a bucket lock fails instead of waiting for ever",
    ),
    row(
        Fix::LruFreeTarget,
        "d4adf1c9ee77",
        "lru-free-target",
        (6, 16),
        "a CPU takes at most its share of a small LRU map's elements at once",
    ),
    row(
        Fix::MemcgNoSpin,
        "6d78b4473cdb",
        "memcg-no-spin",
        (6, 17),
        "bpf_timer_init allocates without spinning in the memory cgroup",
    ),
    row(
        Fix::RtRefused,
        "e25ddfb388c8",
        "rt-refused",
        (6, 17),
        "programs with timers are refused on PREEMPT_RT",
    ),
    row(
        Fix::KmallocNolock,
        "5fb750e8a9ae",
        "kmalloc-nolock",
        (6, 18),
        "bpf_timer_init allocates without taking any lock, and may fail at any time",
    ),
    row(
        Fix::CallbackNotSleepable,
        "469d638d1520",
        "callback-not-sleepable",
        (6, 19),
        "a timer callback may not sleep, whichever program sets it",
    ),
    row(
        Fix::LockFreeUpdate,
        "8bb1e32b3fac",
        "lock-free-update",
        (7, 0),
        "program and callback of a timer are exchanged without a lock",
    ),
    row(
        Fix::LockFree,
        "1bfbc267ec91",
        "lock-free",
        (7, 0),
        "timers without a lock: reference counted, usable in every context",
    ),
    row(
        Fix::TimersInTracing,
        "19bd300e22c2",
        "timers-in-tracing",
        (7, 0),
        "kprobe, tracepoint, perf_event and raw_tracepoint programs may use timers again",
    ),
    row(
        Fix::CancelAsync,
        "a7e172aa4ca2",
        "cancel-async",
        (7, 0),
        "bpf_timer_cancel_async, which never waits",
    ),
    row(
        Fix::DeferIrqsOff,
        "7d49635e3775",
        "defer-irqs-off",
        (7, 0),
        "a lock-free timer's operations are deferred wherever interrupts are off",
    ),
    row(
        Fix::AsyncRecursionCheck,
        "64873307e888",
        "async-recursion-check",
        (7, 0),
        "a deferred operation does not make another one of the same timer",
    ),
    row(
        Fix::RcuNotIrqsOff,
        "1ace9bac1ad2",
        "rcu-not-irqs-off",
        (7, 0),
        "a lock-free timer's grace period does not begin with interrupts off",
    ),
    row(
        Fix::MemAllocDtor,
        "1df97a7453ee",
        "mem-alloc-dtor",
        (7, 0),
        "an element that goes back to the slab gives up the timer that it holds",
    ),
    row(
        Fix::CancelBusyFlag,
        "",
        "D4",
        NEVER,
        "a design of 2024 for R07: cancel sets a flag, and free waits for it",
    ),
    row(
        Fix::ExtraElemRefillLate,
        "",
        "D5",
        NEVER,
        "a design of 2025 for R12: the spare element comes back after the bucket is unlocked",
    ),
    row(
        Fix::TryToCancelOnly,
        "",
        "D5d",
        NEVER,
        "a design of 2024 for R10: free tries to cancel, and waits for a grace period only",
    ),
    row(
        Fix::FreeWithoutCancel,
        "",
        "D8",
        NEVER,
        "the lock-free design of January 2026: nobody cancels after the last reference",
    ),
    row(
        Fix::LruRqspinlock,
        "89edbdfc5d03",
        "lru-rqspinlock",
        (7, 2),
        "taking a lock of LRU lists fails instead of waiting for what was interrupted",
    ),
    row(
        Fix::Rhash,
        "",
        "rhash",
        (7, 2),
        "maps of type BPF_MAP_TYPE_RHASH, whose values may hold timers",
    ),
    row(
        Fix::UrefRecheckNoBarrier,
        "",
        "D3",
        NEVER,
        "the first version of the fix for R06: init tests usercnt after publication, without a full barrier",
    ),
    row(
        Fix::OnePutPerRun,
        "",
        "D6",
        NEVER,
        "the lock-free design of early January 2026: an irq_work that is queued already carries no second reference",
    ),
];

/// The mainline releases that the model knows, in order.
pub const MAINLINE: [Release; 29] = [
    Release::mainline(5, 15),
    Release::mainline(5, 16),
    Release::mainline(5, 17),
    Release::mainline(5, 18),
    Release::mainline(5, 19),
    Release::mainline(6, 0),
    Release::mainline(6, 1),
    Release::mainline(6, 2),
    Release::mainline(6, 3),
    Release::mainline(6, 4),
    Release::mainline(6, 5),
    Release::mainline(6, 6),
    Release::mainline(6, 7),
    Release::mainline(6, 8),
    Release::mainline(6, 9),
    Release::mainline(6, 10),
    Release::mainline(6, 11),
    Release::mainline(6, 12),
    Release::mainline(6, 13),
    Release::mainline(6, 14),
    Release::mainline(6, 15),
    Release::mainline(6, 16),
    Release::mainline(6, 17),
    Release::mainline(6, 18),
    Release::mainline(6, 19),
    Release::mainline(7, 0),
    Release::mainline(7, 1),
    Release::mainline(7, 2),
    Release::mainline(7, 3),
];

/// Stable releases that the model knows, with the fixes that they took on top of their mainline base.
pub const STABLE: [(Release, &[Fix]); 3] = [
    (
        Release { major: 6, minor: 1, patch: 192 },
        &[
            Fix::NoReuseReinit,
            Fix::InitUrefRecheck,
            Fix::DeferInnerMapFree,
            Fix::CancelFreeRcu,
            Fix::CancelDeadlk,
            Fix::DeferFreeInCallback,
            Fix::FreeAfterBucketUnlock,
            Fix::HrtimersDying,
            Fix::HrtimerMigrateDying,
            Fix::MemcgNoSpin,
            Fix::RtRefused,
        ],
    ),
    (
        Release { major: 6, minor: 12, patch: 117 },
        &[
            Fix::FreeAfterBucketUnlock,
            Fix::RtTwoStepCancel,
            Fix::HrtimerMigrateDying,
            Fix::LruFreeTarget,
            Fix::MemcgNoSpin,
            Fix::RtRefused,
        ],
    ),
    (Release { major: 6, minor: 18, patch: 44 }, &[Fix::CallbackNotSleepable]),
];
