//! E03: rules of the kernel.

use super::CodeInfo;

pub(super) const CODES: &[CodeInfo] = &[
    CodeInfo {
        code: "E0301",
        title: "a helper outside a program",
        why: "bpf_timer and bpf_wq helpers are called by BPF programs. A task reaches them by \
              running a program; an interrupt by running one that is attached.",
        wrong: "tasks: { \"t\": (cpu: 0, body: [ bpf_timer_cancel(\"timers[0]\") ]) },",
        right: "progs: { \"cancel\": (type: SYSCALL, body: [\n    \
                may_fail(bpf_timer_cancel(\"timers[0]\")),\n\
                ]) },\n\
                tasks: { \"t\": (cpu: 0, body: [ prog_run(\"cancel\") ]) },",
    },
    CodeInfo {
        code: "E0302",
        title: "not possible in a program",
        why: "Raw locks, changes of the context, allocation, RCU sections and waiting are steps \
              of tasks and interrupts, which stand for code of the kernel. The verifier lets no \
              BPF program do these things by itself.",
        wrong: "progs: { \"p\": (type: XDP, body: [ local_irq_save() ]) },",
        right: "tasks: { \"t\": (cpu: 0, body: [ local_irq_save(), local_irq_restore() ]) },",
    },
    CodeInfo {
        code: "E0303",
        title: "a program that sleeps or makes system calls",
        why: "`sleep`, `at`, signals, file descriptors and the other bpf(2) commands belong to a \
              process. A program runs to its end without giving the CPU away by itself.",
        wrong: "progs: { \"p\": (type: SYSCALL, body: [ sleep(\"1ms\") ]) },",
        right: "tasks: { \"t\": (cpu: 0, body: [ sleep(\"1ms\") ]) },",
    },
    CodeInfo {
        code: "E0304",
        title: "sleeping where nothing can sleep",
        why: "Timer callbacks run in softirq, packets in softirq, perf events in NMI: a program \
              of such a type cannot be sleepable, whatever the program that sets the callback \
              is. Interrupts cannot sleep and belong to no process.",
        wrong: "progs: { \"cb\": (type: TIMER_CB, sleepable: true, body: []) },",
        right: "progs: { \"cb\": (type: TIMER_CB, body: []) },",
    },
    CodeInfo {
        code: "E0305",
        title: "attached in the wrong way",
        why: "tp_btf, fentry and fexit are for TRACING programs (the latter two also place a \
              KPROBE), perf_event for PERF_EVENT, sched_ext for STRUCT_OPS. Callbacks are not \
              attached at all.",
        wrong: "progs: { \"p\": (type: XDP, attach: tp_btf(\"hrtimer_start\"), body: []) },",
        right: "progs: { \"p\": (type: TRACING, attach: tp_btf(\"hrtimer_start\"), body: []) },",
    },
    CodeInfo {
        code: "E0306",
        title: "a program of the wrong type",
        why: "bpf_timer_set_callback takes a TIMER_CB, bpf_wq_set_callback a WQ_CB, a packet \
              runs an XDP or TC program. A callback is a subprogram of each program that sets \
              it: it is not run, loaded or attached on its own.",
        wrong: "cpus: { 0: [ prog_run(\"cb\") ] },",
        right: "progs: { \"p\": (type: SYSCALL, body: []) },\n\
                cpus: { 0: [ prog_run(\"p\") ] },",
    },
    CodeInfo {
        code: "E0307",
        title: "`self`, `value` or `key` outside a callback",
        why: "A callback is called with pointers to its element's key and value. Nobody else has \
              them; others name an element by its key: \"m[7]\".",
        wrong: "progs: { \"p\": (type: SYSCALL, body: [\n    \
                may_fail(bpf_timer_cancel(\"value\")),\n\
                ]) },",
        right: "progs: { \"cb\": (type: TIMER_CB, body: [\n    \
                may_fail(bpf_timer_cancel(\"value\")),\n\
                ]) },",
    },
    CodeInfo {
        code: "E0308",
        title: "a member that only the kernel touches",
        why: "bpf_timer, bpf_wq, bpf_spin_lock and rcu_head are opaque: a load or store that \
              overlaps one makes the verifier refuse the program with EACCES.",
        wrong: "progs: { \"p\": (type: SYSCALL, body: [ read(\"r\", \"timers[0].timer\") ]) },",
        right: "types: { \"elem\": [ int(\"n\"), bpf_timer(\"timer\") ] },\n\
                maps: { \"timers\": ARRAY(max_entries: 1, value: \"elem\") },\n\
                progs: { \"p\": (type: SYSCALL, body: [ read(\"r\", \"timers[0].n\") ]) },",
    },
    CodeInfo {
        code: "E0309",
        title: "not a lock, or the wrong kind of lock",
        why: "`lock`, `unlock` and the others take a variable that is a raw_spinlock, spinlock \
              or mutex; a mutex sleeps, so that it has no irqsave variant. Locks are not read or \
              written otherwise.",
        wrong: "vars: { \"L\": int(0) },\n\
                tasks: { \"t\": (cpu: 0, body: [ lock(\"L\"), unlock(\"L\") ]) },",
        right: "vars: { \"L\": raw_spinlock },\n\
                tasks: { \"t\": (cpu: 0, body: [ lock(\"L\"), unlock(\"L\") ]) },",
    },
    CodeInfo {
        code: "E0310",
        title: "a map type without timers",
        why: "Values with a bpf_timer or bpf_wq are possible in HASH, LRU_HASH, ARRAY and, on \
              the newest kernels, RHASH maps. The creation of any other map with such values \
              fails with EOPNOTSUPP. To play that: ret([EOPNOTSUPP], bpf_map_create(\"m\")).",
        wrong: "maps: { \"m\": PERCPU_ARRAY(max_entries: 1) },",
        right: "maps: { \"m\": ARRAY(max_entries: 1) },",
    },
    CodeInfo {
        code: "E0311",
        title: "more than one of a kind in a value",
        why: "A value has at most one bpf_timer, one bpf_wq and one bpf_spin_lock. The map can \
              be created, but no program that uses it is loaded. To play that: ret([EINVAL], \
              bpf_prog_load(\"p\")).",
        wrong: "types: { \"elem\": [ bpf_timer(\"a\"), bpf_timer(\"b\") ] },\n\
                maps: { \"m\": ARRAY(max_entries: 1, value: \"elem\") },",
        right: "types: { \"elem\": [ int(\"n\"), bpf_timer(\"timer\") ] },\n\
                maps: { \"m\": ARRAY(max_entries: 1, value: \"elem\") },",
    },
    CodeInfo {
        code: "E0312",
        title: "no timer there",
        why: "A timer helper takes an element of a map whose values have a bpf_timer, or that \
              member itself; a work queue helper one with a bpf_wq. Timers in allocated objects \
              or on the stack are refused by the verifier, too.",
        wrong: "types: { \"elem\": [ int(\"n\") ] },\n\
                maps: { \"m\": ARRAY(max_entries: 1, value: \"elem\") },\n\
                progs: { \"p\": (type: SYSCALL, body: [\n    \
                may_fail(bpf_timer_cancel(\"m[0]\")),\n\
                ]) },",
        right: "types: { \"elem\": [ int(\"n\"), bpf_timer(\"timer\") ] },\n\
                maps: { \"m\": ARRAY(max_entries: 1, value: \"elem\") },\n\
                progs: { \"p\": (type: SYSCALL, body: [\n    \
                may_fail(bpf_timer_cancel(\"m[0]\")),\n\
                ]) },",
    },
    CodeInfo {
        code: "E0313",
        title: "a timer at the wrong place",
        why: "The verifier wants the exact, constant and aligned offset of the timer in the \
              value. Another member, another byte, or a timer that `offset(n, ..)` has moved off \
              its alignment is refused when the program is loaded.",
        wrong: "progs: { \"p\": (type: SYSCALL, body: [\n    \
                may_fail(bpf_timer_cancel(\"timers[0]+4\")),\n\
                ]) },",
        right: "progs: { \"p\": (type: SYSCALL, body: [\n    \
                may_fail(bpf_timer_cancel(\"timers[0]+0\")),\n\
                ]) },",
    },
    CodeInfo {
        code: "E0314",
        title: "attributes that the kernel refuses for a map",
        why: "Arrays and LRU hashes are always preallocated, RHASH never; keys of arrays have 4 \
              bytes; a map with timers is not read-only for programs; only ARRAY_OF_MAPS and \
              HASH_OF_MAPS hold maps, which do not hold maps again.",
        wrong: "maps: { \"m\": ARRAY(max_entries: 1, flags: [BPF_F_NO_PREALLOC]) },",
        right: "maps: { \"m\": HASH(max_entries: 1, flags: [BPF_F_NO_PREALLOC]) },",
    },
    CodeInfo {
        code: "E0315",
        title: "the wrong kind of object",
        why: "The name exists, but is another kind of thing than is wanted here: a map instead \
              of an element, a number instead of a pointer, a local instead of shared memory. In \
              a task a lookup is a system call that copies the value: it gives no pointer.",
        wrong: "progs: { \"p\": (type: SYSCALL, body: [\n    \
                may_fail(bpf_timer_cancel(\"timers\")),\n\
                ]) },",
        right: "progs: { \"p\": (type: SYSCALL, body: [\n    \
                may_fail(bpf_timer_cancel(\"timers[0]\")),\n\
                ]) },",
    },
    CodeInfo {
        code: "E0316",
        title: "a timer flag that this kernel does not know",
        why: "BPF_F_TIMER_ABS came with v6.4, BPF_F_TIMER_CPU_PIN with v6.7; before that, \
              bpf_timer_start gives EINVAL for them. A call that allows EINVAL is no mistake.",
        wrong: "progs: { \"p\": (type: SYSCALL, body: [\n    \
                bpf_timer_start(\"timers[0]\", \"1us\", [BPF_F_TIMER_CPU_PIN]),\n\
                ]) },",
        right: "progs: { \"p\": (type: SYSCALL, body: [\n    \
                bpf_timer_start(\"timers[0]\", \"1us\"),\n\
                ]) },",
    },
    CodeInfo {
        code: "E0317",
        title: "a program type that may not use timers",
        why: "From v5.16 to v6.19 (and in 5.15 stable releases) the verifier refuses kprobe, \
              tracepoint, perf event and raw tracepoint programs that use a map with timers, \
              with EINVAL. TRACING (fentry, fexit, tp_btf) and struct_ops programs are fine \
              everywhere.",
        wrong: "progs: { \"p\": (type: PERF_EVENT, body: [\n    \
                may_fail(bpf_timer_cancel(\"timers[0]\")),\n\
                ]) },",
        right: "progs: { \"p\": (type: TRACING, attach: fentry(\"do_nanosleep\"), body: [\n    \
                may_fail(bpf_timer_cancel(\"timers[0]\")),\n\
                ]) },",
    },
    CodeInfo {
        code: "E0318",
        title: "no timers on PREEMPT_RT",
        why: "Since v6.17, and in newer stable releases, the verifier refuses programs with \
              timers on PREEMPT_RT kernels with EOPNOTSUPP. Older ones load them, with runtime \
              warnings.",
        wrong: "machine: (cpus: 2, preempt: PREEMPT_RT),\n\
                progs: { \"p\": (type: SYSCALL, body: [\n    \
                may_fail(bpf_timer_cancel(\"timers[0]\")),\n\
                ]) },",
        right: "machine: (cpus: 2, preempt: PREEMPT),\n\
                progs: { \"p\": (type: SYSCALL, body: [\n    \
                may_fail(bpf_timer_cancel(\"timers[0]\")),\n\
                ]) },",
    },
    CodeInfo {
        code: "E0319",
        title: "this kernel does not have it yet",
        why: "bpf_wq came with v6.10, bpf_timer_cancel_async with v7.0, RHASH maps after that \
              (on record from v7.2). On an older kernel the program does not load, or the map is \
              not created.",
        wrong: "progs: { \"p\": (type: SYSCALL, body: [\n    \
                may_fail(bpf_timer_cancel_async(\"timers[0]\")),\n\
                ]) },",
        right: "progs: { \"p\": (type: SYSCALL, body: [\n    \
                may_fail(bpf_timer_cancel(\"timers[0]\")),\n\
                ]) },",
    },
    CodeInfo {
        code: "E0320",
        title: "a timer inside another struct",
        why: "v6.1 finds a timer only as a direct member of the value; v6.12 also inside a \
              nested struct or an array of one. Which version in between began is not on record, \
              so that this is reported up to v6.1 only.",
        wrong: "types: { \"head\": [ bpf_timer(\"timer\") ],\n    \
                \"elem\": [ member(\"head\", \"head\") ] },\n\
                maps: { \"m\": ARRAY(max_entries: 1, value: \"elem\") },\n\
                progs: { \"p\": (type: SYSCALL, body: [\n    \
                may_fail(bpf_timer_cancel(\"m[0]\")),\n\
                ]) },",
        right: "types: { \"elem\": [ bpf_timer(\"timer\") ] },\n\
                maps: { \"m\": ARRAY(max_entries: 1, value: \"elem\") },\n\
                progs: { \"p\": (type: SYSCALL, body: [\n    \
                may_fail(bpf_timer_cancel(\"m[0]\")),\n\
                ]) },",
    },
];
