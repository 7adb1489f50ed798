//! E01: the notation and the fields.

use super::CodeInfo;

pub(super) const CODES: &[CodeInfo] = &[
    CodeInfo {
        code: "E0100",
        title: "the file cannot be read",
        why: "A scenario is a regular file that may be read. This path does not exist, is a \
              directory, or the system refused to open it.",
        wrong: "timerace check scenarios/",
        right: "timerace check scenarios/cancel.ron",
    },
    CodeInfo {
        code: "E0101",
        title: "the notation is broken",
        why: "Scenario files are written in RON: structs `(field: value)`, maps `{ key: value \
              }`, lists `[ value ]`, texts in double quotes, commas between all of them. Reading \
              stops at the first mistake of this kind, because everything behind it would be a \
              guess; other mistakes are reported all at once.",
        wrong: "vars: { \"a\": int(0) \"b\": int(0) },",
        right: "vars: { \"a\": int(0), \"b\": int(0) },",
    },
    CodeInfo {
        code: "E0102",
        title: "the schema is missing or newer",
        why: "Each file says which version of the format it is written in. It is read before all \
              else, so that a file for a newer timerace gives this message and not one about \
              fields that this one does not know. This timerace reads schema 1.",
        wrong: "schema: 2,",
        right: "schema: 1,",
    },
    CodeInfo {
        code: "E0103",
        title: "unknown field",
        why: "A field that is not known would have no effect, and nobody would notice. So every \
              struct refuses fields that it does not know; the message lists those that it does.",
        wrong: "machine: (cpu: 2),",
        right: "machine: (cpus: 2),",
    },
    CodeInfo {
        code: "E0104",
        title: "something is missing",
        why: "Some fields have no default, because every choice would surprise somebody: the \
              number of CPUs, the size of a map, the type of a program. An empty list of members \
              or of return codes says nothing either.",
        wrong: "maps: { \"m\": HASH(flags: [BPF_F_NO_PREALLOC]) },",
        right: "maps: { \"m\": HASH(max_entries: 16, flags: [BPF_F_NO_PREALLOC]) },",
    },
    CodeInfo {
        code: "E0105",
        title: "nested too deeply",
        why: "Brackets nest at most 64 levels deep, in the file and in conditions, and structs \
              contain structs at most as deeply. No readable scenario comes near; a generated \
              file should use `repeat(n, [..])`, or be several files.",
        wrong: "if(\"a == 1\", [ if(\"a == 1\", [ .. 64 levels .. ]) ])",
        right: "repeat(64, [ .. ])",
    },
    CodeInfo {
        code: "E0106",
        title: "given twice",
        why: "The same name, key, field or flag stands twice. One of the two would be ignored, \
              so both places are shown and neither is taken.",
        wrong: "vars: { \"a\": int(0), \"a\": int(1) },",
        right: "vars: { \"a\": int(0), \"b\": int(1) },",
    },
    CodeInfo {
        code: "E0107",
        title: "written in the wrong form",
        why: "A word alone (`idle`), a call without arguments (`smp_mb()`), a call with \
              arguments (`work(\"2us\")`) and a struct with fields (`drift(of: .., max: ..)`) \
              are four different things. Calls of kernel functions always have parentheses; \
              words that stand for a value never have. A predicate needs `never`, `always` or \
              `sometimes` around it.",
        wrong: "tasks: { \"t\": (cpu: 0, body: [ smp_mb ]) },",
        right: "tasks: { \"t\": (cpu: 0, body: [ smp_mb() ]) },",
    },
    CodeInfo {
        code: "E0108",
        title: "unknown word",
        why: "A step, flag, clock, map type, errno or other word is not known here. Words are \
              those of the kernel: UAPI constants verbatim, map and program types without their \
              prefix, Kconfig names without CONFIG_.",
        wrong: "maps: { \"m\": HASHMAP(max_entries: 16) },",
        right: "maps: { \"m\": HASH(max_entries: 16) },",
    },
    CodeInfo {
        code: "E0109",
        title: "a value of the wrong kind",
        why: "A number stands where a text is wanted, a list where a map is, a step where a call \
              with a return code is. The message says what was found.",
        wrong: "maps: { \"m\": HASH(max_entries: \"16\") },",
        right: "maps: { \"m\": HASH(max_entries: 16) },",
    },
    CodeInfo {
        code: "E0110",
        title: "not supported yet",
        why: "The format has it, this version of timerace does not. What cannot be modelled is \
              refused, never left out: the scenario would be another one without it.",
        wrong: "tasks: { \"t\": (cpu: 0, body: [ clock_step(CLOCK_REALTIME, \"1s..2s\") ]) },",
        right: "tasks: { \"t\": (cpu: 0, body: [ clock_step(CLOCK_REALTIME, \"1s\") ]) },",
    },
    CodeInfo {
        code: "E0111",
        title: "not a duration",
        why: "Durations are texts with a unit: ns, us, ms or s. A sum is \"1ms 500us\" or \"20us \
              + $offset\", a set of possibilities \"5us..30us\". A bare number is refused, \
              because ten of what is the most common mistake in timing files. The result is a \
              whole number of nanoseconds in 64 bits, and not negative.",
        wrong: "tasks: { \"t\": (cpu: 0, body: [ work(10) ]) },",
        right: "tasks: { \"t\": (cpu: 0, body: [ work(\"10us\") ]) },",
    },
    CodeInfo {
        code: "E0112",
        title: "not an object",
        why: "Objects are written as in C: \"m\" is a map, \"m[7]\" an element, \"m[self]\" the \
              element of the running callback, \"o[1][7]\" an element of an inner map, \
              \"m[7].member\" and \"p->member\" are members, \"m[7]+8\" is a byte of a value.",
        wrong: "expect: [ latency(of: \"timers[first]\", max: \"1ms\") ],",
        right: "expect: [ latency(of: \"timers[0]\", max: \"1ms\") ],",
    },
    CodeInfo {
        code: "E0113",
        title: "not a condition",
        why: "A condition compares numbers, NULL and names by ==, !=, <, <=, > or >=, and joins \
              comparisons by && or by ||; brackets are needed to mix the two. `if` and `assert` \
              see locals only, because they are no steps; `wait_until` and `sleep_until` see \
              shared variables, `final` also elements.",
        wrong: "expect: [ sometimes(final(\"timers[0] = NULL\")) ],",
        right: "expect: [ sometimes(final(\"timers[0] == NULL\")) ],",
    },
    CodeInfo {
        code: "E0114",
        title: "not a kernel",
        why: "Releases are written v6.7 or v6.1.192. A kernel condition joins such terms by \
              commas: \"< v6.8\", \"v6.1..v6.7\" (both ends included), \"has FIX\", \"lacks \
              FIX\" with the name or commit id of a fix.",
        wrong: "kernel: \"6.7\",",
        right: "kernel: \"v6.7\",",
    },
    CodeInfo {
        code: "E0115",
        title: "out of range",
        why: "The number does not fit what it is for: a machine has 1 to 256 CPUs, a key fits \
              into its bytes, an index is below the length, a period is above 0.",
        wrong: "machine: (cpus: 0),",
        right: "machine: (cpus: 1),",
    },
    CodeInfo {
        code: "E0116",
        title: "the wrong number of arguments",
        why: "Steps and predicates have positional arguments in the order of the kernel's own \
              function. The message shows how this one is written.",
        wrong: "expect: [ sometimes(overlap(\"bpf_timer_cancel\")) ],",
        right: "expect: [ sometimes(overlap(\"bpf_timer_cancel\", \"cb\")) ],",
    },
    CodeInfo {
        code: "E0117",
        title: "not a text, or too large",
        why: "Scenario files are texts in UTF-8 of at most 16 MiB. The message names the first \
              byte that is none; a compressed or binary file is the usual reason.",
        wrong: "timerace check cancel.ron.gz",
        right: "gunzip cancel.ron.gz; timerace check cancel.ron",
    },
    CodeInfo {
        code: "E0118",
        title: "not a parameter",
        why: "A parameter is a text, a number, `sweep(from:, to:, step:)` or `choice([..])`. A \
              sweep goes up in steps above 0 and has either durations or plain numbers. The \
              value of a parameter does not use another parameter.",
        wrong: "params: { \"p\": sweep(from: \"9us\", to: \"1us\", step: \"1us\") },\n\
                tasks: { \"t\": (cpu: 0, body: [ work(\"$p\") ]) },",
        right: "params: { \"p\": sweep(from: \"1us\", to: \"9us\", step: \"1us\") },\n\
                tasks: { \"t\": (cpu: 0, body: [ work(\"$p\") ]) },",
    },
    CodeInfo {
        code: "E0119",
        title: "not a name",
        why: "Names of maps, programs, tasks, variables, types, members, locals and parameters \
              are C identifiers; `value`, `key`, `self` and `NULL` are taken. The name of the \
              scenario itself is made of a-z, 0-9 and -.",
        wrong: "name: \"My Race\",",
        right: "name: \"my-race\",",
    },
    CodeInfo {
        code: "E0120",
        title: "a fragment cannot be read",
        why: "`use` names fragments by their paths, relative to the file in which they are named. \
              What is not there is looked for among the built-in ones (`timerace explain` lists \
              them). Nothing outside of the project is read: above the folder with timerace.ron \
              or .git or, where there is none, above the folder of the scenario.",
        wrong: "use: [\"common/no-such-load.ron\"],\nstop: time(\"1ms\"),",
        right: "use: [\"common/background-load.ron\"],\nstop: time(\"1ms\"),",
    },
    CodeInfo {
        code: "E0121",
        title: "fragments within fragments",
        why: "A fragment may use others, up to four deep, and at most 64 in all. Two that use each \
              other, however indirectly, would never end. One that two others use is there once.",
        wrong: "a.ron: Fragment(schema: 1, use: [\"b.ron\"])\n\
                b.ron: Fragment(schema: 1, use: [\"a.ron\"])",
        right: "a.ron: Fragment(schema: 1, use: [\"b.ron\"])\nb.ron: Fragment(schema: 1)",
    },
    CodeInfo {
        code: "E0122",
        title: "a path of the configuration",
        why: "timerace.ron names files and folders relative to its own folder, and only below it, \
              so that a project can be moved as a whole. Scenarios are named by patterns: `*` is \
              any part of a name, `**` any number of folders.",
        wrong: "Config(schema: 1, out: \"/tmp/results\")",
        right: "Config(schema: 1, out: \"results\")",
    },
];
