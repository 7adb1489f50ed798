//! W04: suspicions.

use super::CodeInfo;

pub(super) const CODES: &[CodeInfo] = &[
    CodeInfo {
        code: "W0401",
        title: "a race without `sometimes`",
        why: "The scenario expects that a bug does not happen, but not that the race is reached: \
              it would also pass if the two sides never met. `sometimes(overlap(..))` guards \
              against an empty test.",
        wrong: "expect: [ never(USE_AFTER_FREE) ],",
        right: "expect: [\n    never(USE_AFTER_FREE),\n    \
                sometimes(overlap(\"bpf_timer_cancel\", \"cb\")),\n],",
    },
    CodeInfo {
        code: "W0402",
        title: "probably the wrong unit",
        why: "Something takes many times as long as the period in which it comes again, or a \
              limit is hundreds of periods long. Most often that is `ms` where `us` was meant.",
        wrong: "cpus: { 0: [ every(\"50us\", softirq(NET_RX, \"5ms\")) ] },",
        right: "cpus: { 0: [ every(\"50us\", softirq(NET_RX, \"5us\")) ] },",
    },
    CodeInfo {
        code: "W0403",
        title: "two events at the same instant",
        why: "Two events come at the same time on the same CPU. Their order is then that of the \
              file, which is rarely what a timing scenario is about.",
        wrong: "cpus: { 0: [ at(\"5us\", irq(\"1us\")), at(\"5us\", tick()) ] },",
        right: "cpus: { 0: [ at(\"5us\", irq(\"1us\")), at(\"6us\", tick()) ] },",
    },
    CodeInfo {
        code: "W0404",
        title: "an element behind the end of an array",
        why: "Arrays have the keys from 0 to max_entries - 1. A lookup of another key gives NULL \
              and the call behind it is not made, which is no finding: the step does nothing.",
        wrong: "progs: { \"p\": (type: SYSCALL, body: [\n    \
                may_fail(bpf_timer_cancel(\"timers[2]\")),\n\
                ]) },",
        right: "progs: { \"p\": (type: SYSCALL, body: [\n    \
                may_fail(bpf_timer_cancel(\"timers[1]\")),\n\
                ]) },",
    },
    CodeInfo {
        code: "W0406",
        title: "no expectation applies to this kernel",
        why: "Every expectation is inside an `on(..)` that excludes the kernel by its release. \
              Only `never(ANY_BUG)`, which is implied, is then checked.",
        wrong: "expect: [ on(\"v6.2..v6.4\", sometimes(called(\"hrtimer_cancel\"))) ],",
        right: "expect: [ sometimes(called(\"hrtimer_cancel\")) ],",
    },
    CodeInfo {
        code: "W0407",
        title: "a task that never runs",
        why: "The task starts blocked, and no step of the file unblocks it.",
        wrong: "tasks: { \"late\": (cpu: 0, start: blocked, body: []) },",
        right: "tasks: {\n    \"late\": (cpu: 0, start: blocked, body: []),\n    \
                \"early\": (cpu: 1, body: [ unblock(\"late\") ]),\n},",
    },
    CodeInfo {
        code: "W0408",
        title: "a parameter without use",
        why: "The parameter is declared, but no \"$name\" stands in the file: sweeping or \
              setting it changes nothing.",
        wrong: "params: { \"period\": \"1ms\" },",
        right: "params: { \"period\": \"1ms\" },\n\
                tasks: { \"t\": (cpu: 0, body: [ sleep(\"$period\") ]) },",
    },
    CodeInfo {
        code: "W0409",
        title: "an expectation for none of the kernels",
        why: "Several kernels were chosen (`check --kernel v6.7..v6.9`, or `kernels:` of \
              timerace.ron), and the condition of this expectation holds for none of them. Most \
              often a release or a commit is misspelt.",
        wrong: "expect: [ on(\"v5.16..v5.17\", sometimes(called(\"hrtimer_cancel\"))), \
                never(ANY_BUG) ],",
        right: "expect: [ sometimes(called(\"hrtimer_cancel\")), never(ANY_BUG) ],",
    },
    CodeInfo {
        code: "W0410",
        title: "a limit in time with costs that are not calibrated",
        why: "How late a callback is follows from what steps cost. The built-in generic costs are \
              a guess, good for comparing kernels and loads; whether a limit in microseconds \
              holds on a machine, only costs can tell that were fitted to a trace of it \
              (`timerace calibrate`, then `costs:` in timerace.ron or `run --costs`).",
        wrong: "expect: [ latency(of: \"timers[0]\", max: \"60us\") ],",
        right: "",
    },
];
