//! E02: names.

use super::CodeInfo;

pub(super) const CODES: &[CodeInfo] = &[
    CodeInfo {
        code: "E0201",
        title: "unknown parameter",
        why: "\"$name\" stands for a value in `params`, and `--set name=value` replaces one that \
              is there. Neither makes a new one: a mistyped name would have no effect.",
        wrong: "params: { \"period\": \"1ms\" },\n\
                tasks: { \"t\": (cpu: 0, body: [ work(\"$peroid\") ]) },",
        right: "params: { \"period\": \"1ms\" },\n\
                tasks: { \"t\": (cpu: 0, body: [ work(\"$period\") ]) },",
    },
    CodeInfo {
        code: "E0202",
        title: "unknown program",
        why: "Programs and callbacks that a step runs, loads, attaches or sets are declared in \
              `progs`.",
        wrong: "cpus: { 0: [ prog_run(\"start\") ] },",
        right: "progs: { \"start\": (type: SYSCALL, body: []) },\n\
                cpus: { 0: [ prog_run(\"start\") ] },",
    },
    CodeInfo {
        code: "E0203",
        title: "unknown task",
        why: "`unblock` and `kill` name a task of this file. What happens in `cpus` runs in \
              tasks without a name, which cannot be named here.",
        wrong: "tasks: { \"a\": (cpu: 0, body: [ unblock(\"b\") ]) },",
        right: "tasks: {\n    \"a\": (cpu: 0, body: [ unblock(\"b\") ]),\n    \
                \"b\": (cpu: 1, start: blocked, body: []),\n},",
    },
    CodeInfo {
        code: "E0204",
        title: "unknown variable",
        why: "Shared variables and locks of raw steps are declared in `vars` with their first \
              value; a local is set by the step that names it first.",
        wrong: "tasks: { \"t\": (cpu: 0, body: [ write(\"flag\", 1) ]) },",
        right: "vars: { \"flag\": int(0) },\n\
                tasks: { \"t\": (cpu: 0, body: [ write(\"flag\", 1) ]) },",
    },
    CodeInfo {
        code: "E0205",
        title: "unknown local",
        why: "A local belongs to one body and is set by `let`, by `alloc`, or by a step that \
              reads into it. Here it is used before that, or a shared variable stands where a \
              local is wanted: each step touches one shared thing, so that it must be read first.",
        wrong: "vars: { \"flag\": int(0) },\n\
                tasks: { \"t\": (cpu: 0, body: [ write(\"flag\", \"r\") ]) },",
        right: "vars: { \"flag\": int(0) },\n\
                tasks: { \"t\": (cpu: 0, body: [\n    \
                read(\"r\", \"flag\"), write(\"flag\", \"r\"),\n\
                ]) },",
    },
    CodeInfo {
        code: "E0206",
        title: "unknown type",
        why: "Struct layouts are declared in `types`. Single members have types of their own \
              (`int`, `u64`, `bpf_timer`, ..) and need no declaration.",
        wrong: "maps: { \"m\": HASH(max_entries: 1, value: \"elem\") },",
        right: "types: { \"elem\": [ int(\"counter\"), bpf_timer(\"timer\") ] },\n\
                maps: { \"m\": HASH(max_entries: 1, value: \"elem\") },",
    },
    CodeInfo {
        code: "E0207",
        title: "unknown member",
        why: "The struct has no member of that name. The value of a map without `value:` is a \
              struct with one member, `bpf_timer(\"timer\")`.",
        wrong: "expect: [ sometimes(final(\"timers[0].count == 1\")) ],",
        right: "types: { \"elem\": [ int(\"count\"), bpf_timer(\"timer\") ] },\n\
                maps: { \"timers\": ARRAY(max_entries: 2, value: \"elem\") },\n\
                expect: [ sometimes(final(\"timers[0].count == 1\")) ],",
    },
    CodeInfo {
        code: "E0208",
        title: "unknown memory cgroup",
        why: "Memory cgroups are declared in `memcgs` with their limit.",
        wrong: "faults: [ memcg_full(\"small\") ],",
        right: "memcgs: { \"small\": (max_bytes: 65536) },\n\
                faults: [ memcg_full(\"small\") ],",
    },
    CodeInfo {
        code: "E0209",
        title: "there is no such CPU",
        why: "CPUs count from 0, so that a machine with two of them has CPU 0 and CPU 1.",
        wrong: "tasks: { \"t\": (cpu: 2, body: []) },",
        right: "tasks: { \"t\": (cpu: 1, body: []) },",
    },
    CodeInfo {
        code: "E0210",
        title: "one name for two things",
        why: "A map, a shared variable and a local may all stand in an object string, so that no \
              two of them share a name.",
        wrong: "vars: { \"timers\": int(0) },",
        right: "vars: { \"timers_seen\": int(0) },",
    },
    CodeInfo {
        code: "E0211",
        title: "unknown map",
        why: "Maps are declared in `maps`; also inner maps, of which one is the template.",
        wrong: "expect: [ never(uref_zero(\"timer\")) ],",
        right: "expect: [ never(uref_zero(\"timers\")) ],",
    },
    CodeInfo {
        code: "E0212",
        title: "not a file descriptor",
        why: "`close`, `dup` and `bpf_obj_pin` take a local that holds a file descriptor, or the \
              name of a map or program for the descriptor that this task got by creating it.",
        wrong: "tasks: { \"t\": (cpu: 0, body: [ close(\"fd\") ]) },",
        right: "tasks: { \"t\": (cpu: 0, body: [\n    \
                let(\"fd\", bpf_map_create(\"timers\")),\n    \
                close(\"fd\"),\n]) },",
    },
    CodeInfo {
        code: "E0213",
        title: "unknown class of bugs",
        why: "An expectation about a class that does not exist would hold for ever. Broken limits \
              are no bugs; they have expectations of their own: `latency`, `drift`, `hold`.",
        wrong: "expect: [ sometimes(USE_AFTER_FRE) ],",
        right: "expect: [ sometimes(USE_AFTER_FREE) ],",
    },
    CodeInfo {
        code: "E0214",
        title: "a type without end",
        why: "A struct that contains itself, directly or through another one, has no size. A \
              pointer to it is `ptr(\"name\")`.",
        wrong: "types: { \"node\": [ member(\"next\", \"node\") ] },",
        right: "types: { \"node\": [ ptr(\"next\") ] },",
    },
    CodeInfo {
        code: "E0215",
        title: "unknown function",
        why: "What expectations name as a function is a program or task of the file, `cpu0` and the \
              like for what a CPU runs, or a function of the kernel that the model calls, on any \
              version. `bpf_map_update_elem` is a pointer to the function of the map's type, and a \
              look-up is a step of its caller.",
        wrong: "expect: [ sometimes(called(\"bpf_timer_cancle\")) ],",
        right: "expect: [ sometimes(called(\"bpf_timer_cancel\")) ],",
    },
];
