//! Each fix carries weight: without it, and nothing else changed, some race comes back.

use timerace_kernel::versions::{FIXES, MAINLINE};
use timerace_kernel::{Fix, KernelVersion};
use timerace_scenarios::library::{Entry, find};
use timerace_tests::search::search;

/// A fix, the newest release that has it as steps of its own, and the scenario that fails there without it.
const CARRIES: &[(&str, &str, &str)] = &[
    // From v6.3 on the allocator zeroes.
    ("timer-slot-zeroed", "v6.2", "r01-init-garbage"),
    ("copy-skips-lock-and-timer", "v7.3", "r02-copy-overwrite"),
    ("no-timers-in-tracing", "v6.19", "r03-trace-reentry-kprobe"),
    ("no-lru-reinit", "v7.3", "r04-lru-reinit"),
    ("no-reuse-reinit", "v7.3", "r05-htab-reinit"),
    ("init-uref-recheck", "v6.19", "r06-timer-init-uref"),
    ("cancel-free-rcu", "v6.19", "r07-cancel-free-uaf"),
    ("defer-inner-map-free", "v7.3", "r08-inner-map-uaf"),
    ("rt-two-step-cancel", "v6.16", "r12-rt-sleep-under-raw-lock"),
    ("rt-refused", "v7.3", "h1-rt-spurious-edeadlk"),
    ("lru-rqspinlock", "v7.3", "r27-lru-lock-reentry"),
    ("cancel-deadlk", "v6.19", "r09-mutual-cancel"),
    ("defer-free-in-callback", "v6.19", "r10-self-arm-free"),
    ("rqspinlock-buckets", "v6.19", "r13-bucket-wait-replace"),
    ("lookup-delete-after-unlock", "v6.19", "r13-bucket-wait-lookup-and-delete"),
    // From v6.18 on kmalloc_nolock() does not spin.
    ("memcg-no-spin", "v6.17", "r15-memcg-spin"),
    ("callback-not-sleepable", "v7.3", "r22-sleepable-callback"),
    ("iter-holds-uref", "v7.3", "r23-iter-uref"),
    ("hrtimer-migrate-dying", "v7.3", "r24-lost-on-dying-cpu"),
    ("free-after-bucket-unlock", "v7.3", "r28-put-under-bucket"),
    ("lock-free", "v7.3", "r30-hardirq-self-spin"),
    ("lock-free-update", "v7.3", "d6-double-put"),
    ("defer-irqs-off", "v7.3", "r18-start-irqs-off"),
    ("async-recursion-check", "v7.3", "r19-async-loop"),
    ("rcu-not-irqs-off", "v7.3", "r20-rcu-reentry"),
    ("mem-alloc-dtor", "v7.3", "r17-stale-reinit"),
];

/// Rows of the table of fixes without which no race comes back, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("bpf-mem-alloc", "a new allocator; it brought R05 and fixed nothing"),
    ("map-free-fields", "map_free finds what the last user reference left, which is nothing"),
    ("timer-abs", "a feature"),
    ("timer-cpu-pin", "a feature"),
    ("netfilter-progs", "a feature"),
    ("cgrp-storage", "a feature"),
    ("verifier-einval", "another error code"),
    ("nested-fields", "a feature of the verifier"),
    ("lookup-nullness", "a feature of the verifier"),
    ("bpf-wq", "a feature"),
    ("wq-no-recursion-check", "R29 is a callback that is left out: kernel/tests/wq.rs counts them"),
    ("hrtimers-dying", "brought R24, which hrtimer-migrate-dying ended"),
    ("lru-free-after-bucket-unlock", "shortens R14: the lock of the LRU lists is still held"),
    ("lru-free-target", "a small LRU map keeps more of its elements; no race"),
    ("rhash", "a feature"),
    ("D3", "a superseded design: no release has it"),
    ("D6", "a superseded design: no release has it"),
    ("D4", "a superseded design: no release has it"),
    ("D5", "a superseded design: no release has it"),
    ("D5d", "a superseded design: no release has it"),
    ("D8", "a superseded design: no release has it"),
    ("timers-in-tracing", "lifts no-timers-in-tracing, which the rewrite makes needless"),
    ("cancel-async", "a feature"),
    ("kmalloc-nolock", "R16: what it repairs is the bookkeeping of kmemleak"),
];

fn entry(name: &str) -> &'static Entry {
    find(name).unwrap_or_else(|| panic!("{name} is built in"))
}

fn finds_bug(name: &str, k: KernelVersion) -> bool {
    search(entry(name), k).is_some_and(|a| !a.classes.is_empty())
}

#[test]
fn without_a_fix_a_race_comes_back() {
    for (fix, kernel, scenario) in CARRIES {
        let f = Fix::find(fix).unwrap_or_else(|| panic!("{fix} is in the table"));
        let k = KernelVersion::parse(kernel).expect("in the table");
        assert!(k.has(f), "{kernel} has {fix}");
        assert!(!finds_bug(scenario, k), "{scenario} finds a bug on {kernel}");
        assert!(finds_bug(scenario, k.without(f)), "{scenario} on {kernel} without {fix}");
    }
}

/// A superseded design, the kernel that it was for, and the scenario with the flaw that ended it.
const SUPERSEDED: &[(&str, &str, &str)] = &[
    ("D3", "v6.6", "d3-recheck-no-barrier"),
    ("D4", "v6.7", "d4-free-waits-for-cancel"),
    ("D6", "v7.0", "d6-lost-free"),
    ("D5", "v6.13", "d5-spare-element-late"),
    ("D5d", "v6.10", "d5d-armed-before-free"),
    ("D8", "v7.0", "r21-start-delete-uaf"),
];

#[test]
fn each_superseded_design_has_the_flaw_that_ended_it() {
    for (design, kernel, scenario) in SUPERSEDED {
        let f = Fix::find(design).unwrap_or_else(|| panic!("{design} is in the table"));
        let k = KernelVersion::parse(kernel).expect("in the table");
        assert!(!k.has(f), "{kernel} has {design}");
        let a = search(entry(scenario), k.with(f)).expect("it loads");
        assert!(!a.classes.is_empty() && a.failed.is_empty(), "{scenario} with {design}: {a:?}");
    }
}

/// The first version of the fix for R06 lacks a barrier, which is nothing where stores come in order.
#[test]
fn the_missing_barrier_of_d3_needs_store_buffers() {
    let d3 = Fix::find("D3").expect("in the table");
    for kernel in ["v6.6", "v6.7", "v6.19"] {
        let k = KernelVersion::parse(kernel).expect("in the table").with(d3);
        assert!(finds_bug("d3-recheck-no-barrier", k), "{kernel} with D3 under TSO");
        let a = search(entry("r06-timer-init-uref"), k).expect("it loads");
        assert!(a.classes.is_empty() && a.complete, "{kernel} with D3 under SC: {a:?}");
    }
}

/// The final fixes of R06 and R09 hold with store buffers, too, and without them both are found there.
#[test]
fn fixes_that_need_an_order_hold_under_tso() {
    let cases = [
        ("r06-timer-init-uref", "v6.6", true),
        ("r06-timer-init-uref", "v6.7", false),
        ("r06-timer-init-uref", "v7.0", false),
        ("r09-mutual-cancel", "v6.9", true),
        ("r09-mutual-cancel", "v6.10", false),
    ];
    for (name, kernel, bug) in cases {
        let e = entry(name);
        let text = e.source.replace("machine: (cpus: 2)", "machine: (cpus: 2, memory: TSO)");
        assert_ne!(text, e.source, "{name}");
        let tso = Entry { source: Box::leak(text.into_boxed_str()), ..*e };
        let k = KernelVersion::parse(kernel).expect("in the table");
        let a = search(&tso, k).expect("it loads");
        assert_eq!(!a.classes.is_empty(), bug, "{name} on {kernel} under TSO: {a:?}");
        assert!(bug || a.complete, "{name} on {kernel} under TSO");
    }
}

#[test]
fn in_newer_releases_other_steps_do_it() {
    for (fix, kernel, scenario) in CARRIES {
        let f = Fix::find(fix).expect("in the table");
        let own = KernelVersion::parse(kernel).expect("in the table").release();
        for r in MAINLINE.iter().filter(|r| **r > own) {
            let k = KernelVersion::of(*r).expect("in the table");
            let weight = !finds_bug(scenario, k) && finds_bug(scenario, k.without(f));
            assert!(!weight, "{fix} carries weight on {r}, not only on {kernel}");
        }
    }
}

#[test]
fn every_fix_is_accounted_for() {
    for row in &FIXES {
        let carries = CARRIES.iter().filter(|c| c.0 == row.name).count();
        let excepted = EXCEPTIONS.iter().filter(|e| e.0 == row.name).count();
        assert_eq!(carries + excepted, 1, "{}", row.name);
    }
    for (name, why) in EXCEPTIONS {
        assert!(FIXES.iter().any(|f| f.name == *name), "{name}: {why}");
    }
}
