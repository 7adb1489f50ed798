//! Fields, events, faults, expectations, predicates.

use super::{Group, Topic};

macro_rules! topics {
    ($($group:ident { $($name:literal: $text:literal),* $(,)? })*) => {
        &[$($(Topic { name: $name, group: Group::$group, text: $text }),*),*]
    };
}

pub(super) const TOPICS: &[Topic] = topics! {
    Section {
        "schema": "The version of the format: 1. It is read before all else.",
        "name": "How results call the scenario: [a-z0-9-]. Names of a suite must differ.",
        "refs": "Commits and CVEs that it is about, such as \"commit 0281b919e175\". `demo` chooses its kernels by the first.",
        "use": "Fragments whose maps, programs, tasks, events and parameters are added: paths relative to this file.",
        "kernel": "The kernel if the command line names none: \"v6.7\", or Kernel(base: .., with: [..], without: [..]).",
        "machine": "CPUs and how the kernel is configured. At least `cpus` must be there. Its rules have topics of their own.",
        "timing": "Ignore: a search takes every order; durations order only what one list says. Respect: only orders that the durations allow.",
        "params": "Names that stand for values: \"$name\" in the file. `--set name=value` replaces one.",
        "types": "Layouts of structs: members with x86-64's sizes. Elements of maps and objects of raw steps have them.",
        "vars": "Shared variables of raw steps.",
        "maps": "BPF maps. One that no task creates is there before the start, and `init` holds its fd.",
        "progs": "BPF programs: type, sleepable, attach, body. TIMER_CB and WQ_CB are subprograms of those that set them.",
        "memcgs": "Memory cgroups with a limit in bytes; maps and tasks may belong to one.",
        "tasks": "Threads of processes: CPU, body, and if need be scheduling class, capabilities, memory cgroup.",
        "cpus": "What happens on a CPU: steps, which one task of that CPU runs, and interrupts.",
        "faults": "Allocations that fail, memory cgroups that are full.",
        "explore": "How a search goes: policy, preemptions, irqs, max_schedules. A number of preemptions here is the author's scope.",
        "limits": "Steps and expiries of one run. Reaching one is inconclusive, never a pass. A callback that starts its timer again each time reaches any limit: for `explore` let it count down, with `\"left\": int(1)` in `vars`, `fetch_add(\"n\", \"left\", -1)` and `if(\"n > 0\", [ .. ])`.",
        "stop": "When a timed run is over. A timer that re-arms itself for ever needs something else than idle.",
        "golden": "Digests of the interleavings that a search shows, by kernel: { \"v6.7\": \"0123456789abcdef\" }. `test` fails where another is shown; `test --bless FILE` writes them, prints what is different, and refuses in CI. Only for scenarios whose drawing matters.",
        "expect": "What must hold. never(ANY_BUG) is implied unless an expectation names a bug; then all other bugs are refused.",
    }
    Machine {
        "cpus": "How many CPUs: 1 to 256.",
        "preempt": "PREEMPT_NONE, PREEMPT_VOLUNTARY, PREEMPT, PREEMPT_LAZY or PREEMPT_RT. With PREEMPT_RT spinlocks sleep, softirqs and most timers run in threads, and a cancel waits on a lock.",
        "hz": "100, 250, 300 or 1000 ticks a second.",
        "tick": "Whether the tick runs: true in timed runs, false in searches, unless it is said here.",
        "nohz": "HZ_PERIODIC, NO_HZ_IDLE or NO_HZ_FULL.",
        "high_res": "High-resolution timers: without them hrtimers expire in the tick.",
        "timer_migration": "Whether an idle CPU's new timers go to a busy one.",
        "memory": "SC: every store is seen at once. TSO: stores wait in a buffer of the CPU until a barrier, a locked instruction or a free moment.",
        "grace_period": "How long an RCU grace period takes in timed runs. In searches it has any length.",
    }
    Map {
        "max_entries": "How many elements there can be.",
        "flags": "BPF_F_NO_PREALLOC: elements are allocated one by one, and freed after a grace period. Without it they are recycled at once.",
        "key_size": "Bytes of a key: 4, unless it is said here.",
        "value": "The type of a value; without it a struct of one bpf_timer.",
        "inner": "Of a map of maps: the map that is the template of its slots.",
        "memcg": "The memory cgroup that pays for its elements.",
        "init": "Elements that are there before the start: present, initialised or armed.",
    }
    Data {
        "int": "An integer with its first value.",
        "per_cpu": "An integer of which each CPU has its own. At the end its value is their sum.",
        "refcount": "A reference count: a finding when it goes below zero or is taken from zero.",
        "new": "A pointer to a fresh object of a type.",
        "ptr": "A pointer that is NULL at first.",
        "raw_spinlock": "A lock that spins in every kernel, with preemption off.",
        "spinlock": "A lock that spins, and sleeps with PREEMPT_RT.",
        "mutex": "A lock that sleeps.",
        "present": "The element is there, its timer not initialised.",
        "initialised": "The timer of the element is initialised, and has no callback.",
        "armed": "The timer of the element will expire at that time with that callback, always on CPU 0, where it counts as armed before the start. For a callback on another CPU let that CPU arm the timer: a program with bpf_timer_start, and `1: [ prog_run(\"arm\") ]` in `cpus`.",
    }
    Event {
        "at": "Once, at this time.",
        "every": "With this period; each time anew from a range.",
        "poisson": "At random with this mean between two.",
        "softirq": "A softirq that takes so long, or runs these steps. HRTIMER_SOFTIRQ waits until it is over: they do not interrupt each other.",
        "irq": "A hard interrupt that takes so long, or runs these steps.",
        "nmi": "An NMI: it comes while interrupts are off too.",
        "packet": "A NET_RX softirq that runs an XDP or TC program.",
        "tick": "The tick: the scheduler's, and that of hrtimers without high resolution.",
        "cpu_down": "Takes the CPU out: its timers move to another one.",
        "cpu_up": "Brings the CPU back.",
    }
    Attach {
        "SCHED_OTHER": "The ordinary scheduling class.",
        "SCHED_FIFO": "Real time with this priority: keeps the CPU until it gives it away.",
        "SCHED_RR": "Real time with this priority, in turns with others of the same.",
        "blocked": "The task begins only when another one says unblock(..).",
        "tp_btf": "A tracepoint, such as hrtimer_start: the program runs inside of whatever hits it, with its locks held.",
        "fentry": "Runs when the function is entered.",
        "fexit": "Runs when the function returns.",
        "perf_event": "Runs in NMI with this period.",
        "sched_ext": "An operation of a scheduler class: runs with the runqueue lock held and interrupts off.",
    }
    Fault {
        "enomem": "Allocations in this function fail: those with these numbers, from 1, or all.",
        "may_enomem": "Each allocation in this function may fail: a choice that a search takes both ways.",
        "memcg_full": "The limit of the memory cgroup is reached from the start.",
    }
    Stop {
        "idle": "When nothing can run and no timer is queued. This is the default.",
        "time": "After so much virtual time.",
        "expiries": "After so many expiries of timers.",
    }
    Param {
        "sweep": "All values from one to another by a step. `run` and `explore` take the first, `sweep` and `test` all.",
        "choice": "One of these values. `run` and `explore` take the first, `sweep` and `test` all.",
    }
    Expectation {
        "never": "The predicate is true in no schedule: in no order of any trace.",
        "always": "The predicate is true in every order of every trace.",
        "sometimes": "The predicate is true in at least one schedule. It guards against a test that tests nothing: a search goes on behind a finding until every sometimes(..) that names no bug was true.",
        "on": "Only for these kernels: \"has FIX\", \"lacks FIX\", \">= v6.8\", \"v6.1..v6.7\", joined by commas. Prefer has and lacks: they are right about stable kernels and about --with.",
        "known_bug": "Known to fail, with a reference: reported as XFAIL. When it holds that is a failure too, so that nobody forgets to take it away.",
        "latency": "Limits on how late callbacks are, from the programmed expiry to their begin. Of an element or of all of a map. Measured by `run`; a limit that no expiry tried does not hold.",
        "drift": "A limit on how far a periodic timer falls behind the times at which it would expire if each period were exact. A callback that arms its timer again with a relative start loses what it was late and what it did before, each time. With BPF_F_TIMER_ABS only a time counts that is over when the timer is armed for it. Measured by `run`.",
        "hold": "A limit on how long a lock is held, interruptions included: a variable (L), a lock of a map (flows.lru_lock, timers.bucket.lock: all of that name), or with its numbers one of them. Measured by `run`.",
        "count": "A complete search has exactly so many schedules, so many with a finding.",
    }
    Predicate {
        "after": "The second comes when the first is over.",
        "during": "The second comes while the first is going on.",
        "within": "It happens in a context that has a call of the function open, on either side of a finding.",
        "overlap": "A call of one function runs while a call of the other, in another context, is going on.",
        "entered": "A callback starts.",
        "running": "A callback is running, from its start to its end.",
        "leaked": "An object of the type is left at the end that nothing reaches, or a map without users still holds a timer.",
        "uref_zero": "The last user reference of the map goes.",
        "evicted": "The element is evicted from an LRU map.",
        "final": "The condition holds at the end of the run. An absent element is NULL.",
        "returned": "The function, program or task returned this code; errno without minus.",
        "called": "The function was entered.",
    }
    Explore {
        "policy": "exhaustive: every inequivalent schedule. random, pct: a sample, which is never complete.",
        "preemptions": "At most so many switches away from a context that could go on, or all. A number in a scenario is its author's scope: the verdict says within N preemptions.",
        "irqs": "How many ticks may come at any point, besides the interrupts that the scenario itself causes. 0, unless it is said here.",
        "max_schedules": "At most so many schedules; a search that meets it is inconclusive.",
    }
    ProgType {
        "SYSCALL": "A program that a task runs with prog_run (BPF_PROG_TEST_RUN), in its own context.",
        "XDP": "A program on packets, in the NET_RX softirq: packet(\"prog\") brings one.",
        "TC": "A program on packets, in the NET_RX softirq: packet(\"prog\") brings one.",
        "TRACING": "Runs where it is attached: attach: tp_btf(\"f\"), fentry(\"f\") or fexit(\"f\").",
        "PERF_EVENT": "Runs in an NMI: attach: perf_event(\"1ms\").",
        "KPROBE": "Runs where it is attached, as TRACING does.",
        "STRUCT_OPS": "An operation of a scheduler class: attach: sched_ext(\"op\"). It runs with the lock of a runqueue held and interrupts off.",
        "TIMER_CB": "The callback of a bpf_timer: a subprogram of each program that sets it. It runs in the HRTIMER softirq of the CPU that expires the timer; with PREEMPT_RT in a thread.",
        "WQ_CB": "The callback of a bpf_wq: a subprogram of each program that sets it. It runs in a kworker.",
        "FOR_EACH_CB": "The callback of bpf_for_each_map_elem: a subprogram of each program that calls it with it.",
    }
    MapType {
        "HASH": "BPF_MAP_TYPE_HASH. Its values may hold a timer.",
        "LRU_HASH": "BPF_MAP_TYPE_LRU_HASH: full, it evicts an element. Its values may hold a timer.",
        "ARRAY": "BPF_MAP_TYPE_ARRAY: all elements are there from the start. Its values may hold a timer.",
        "RHASH": "BPF_MAP_TYPE_RHASH, in kernels that have it. Its values may hold a timer.",
        "ARRAY_OF_MAPS": "BPF_MAP_TYPE_ARRAY_OF_MAPS; inner: names the template.",
        "HASH_OF_MAPS": "BPF_MAP_TYPE_HASH_OF_MAPS; inner: names the template.",
        "PERCPU_HASH": "BPF_MAP_TYPE_PERCPU_HASH. The kernel refuses timers in it.",
        "PERCPU_ARRAY": "BPF_MAP_TYPE_PERCPU_ARRAY. The kernel refuses timers in it.",
        "LRU_PERCPU_HASH": "BPF_MAP_TYPE_LRU_PERCPU_HASH. The kernel refuses timers in it.",
        "LPM_TRIE": "BPF_MAP_TYPE_LPM_TRIE. The kernel refuses timers in it.",
        "TASK_STORAGE": "BPF_MAP_TYPE_TASK_STORAGE. The kernel refuses timers in it.",
        "INODE_STORAGE": "BPF_MAP_TYPE_INODE_STORAGE. The kernel refuses timers in it.",
        "SK_STORAGE": "BPF_MAP_TYPE_SK_STORAGE. The kernel refuses timers in it.",
        "CGRP_STORAGE": "BPF_MAP_TYPE_CGRP_STORAGE. The kernel refuses timers in it.",
        "CGROUP_STORAGE": "BPF_MAP_TYPE_CGROUP_STORAGE. The kernel refuses timers in it.",
        "QUEUE": "BPF_MAP_TYPE_QUEUE. The kernel refuses timers in it.",
        "STACK": "BPF_MAP_TYPE_STACK. The kernel refuses timers in it.",
        "RINGBUF": "BPF_MAP_TYPE_RINGBUF. The kernel refuses timers in it.",
    }
    Flag {
        "CLOCK_MONOTONIC": "Time since the boot without suspends. A bpf_timer takes it.",
        "CLOCK_REALTIME": "Wall time, which clock_step(..) sets. A bpf_timer takes it.",
        "CLOCK_BOOTTIME": "Time since the boot with suspends. A bpf_timer takes it.",
        "BPF_F_TIMER_ABS": "The expiry is a time of the timer's clock, not one that counts from now.",
        "BPF_F_TIMER_CPU_PIN": "The timer expires on the CPU that starts it.",
        "BPF_ANY": "Creates an element or updates it.",
        "BPF_NOEXIST": "Only creates; EEXIST where there is one.",
        "BPF_EXIST": "Only updates; ENOENT where there is none.",
        "BPF_F_LOCK": "Updates under the element's bpf_spin_lock.",
    }
    Config {
        "schema": "The version of the format: 1.",
        "scenarios": "Patterns of scenario files, relative to the folder of timerace.ron: [\"scenarios/**/*.ron\"]. `timerace test` without paths takes them.",
        "kernels": "Releases, ranges and releases with fixes that `test` runs scenarios on which name no kernel: [\"v6.6..v6.9\", \"v6.7+0281b919e175\"].",
        "costs": "A file of costs for timed runs, as `timerace calibrate` writes it.",
        "explore": "Bounds of searches where a scenario says nothing: (policy: .., preemptions: .., irqs: .., max_schedules: ..).",
        "out": "The folder of results without -o: \"timerace-out\".",
    }
};
