//! What contexts wait for in a timed run.

use crate::support::{Dir, Ran, timerace};
use serde_json::Value;

fn run(dir: &Dir, text: &str, kernel: &str, more: &[&str]) -> Ran {
    let file = dir.file("waits.ron", text.as_bytes()).display().to_string();
    timerace(dir, &[&["run", &file, "--kernel", kernel], more].concat())
}

/// The parts of the longest wait, in nanoseconds, after a look at whether they add up.
fn longest(v: &Value) -> Vec<(String, u64)> {
    let wait = &v["longest_wait"];
    let parts: Vec<(String, u64)> = wait["parts_ns"]
        .as_object()
        .unwrap_or_else(|| panic!("nobody waited: {v:#}"))
        .iter()
        .map(|(k, ns)| (k.clone(), ns.as_u64().unwrap()))
        .collect();
    assert_eq!(parts.iter().map(|p| p.1).sum::<u64>(), wait["ns"].as_u64().unwrap(), "{wait:#}");
    parts
}

/// A cancel on CPU 1 waits for the callback that runs on CPU 0.
const CANCEL: &str = r#"Scenario(schema: 1, name: "waits", machine: (cpus: 2),
    maps: { "timers": ARRAY(max_entries: 1) },
    progs: {
        "start": (type: SYSCALL, body: [
            bpf_timer_init("timers[0]", CLOCK_MONOTONIC),
            bpf_timer_set_callback("timers[0]", "cb"),
            bpf_timer_start("timers[0]", "10us"),
        ]),
        "cb": (type: TIMER_CB, body: [ work("50us") ]),
        "cancel": (type: SYSCALL, body: [ bpf_timer_cancel("timers[0]") ]),
    },
    tasks: {
        "a": (cpu: 0, body: [ prog_run("start") ]),
        "b": (cpu: 1, body: [ sleep("30us"), prog_run("cancel") ]),
    },
    stop: idle,
)"#;

#[test]
fn a_cancel_waits_for_the_callback_of_a_timer_on_its_cpu() {
    let dir = Dir::new("waits");
    let v = run(&dir, CANCEL, "v6.12", &["--format", "json"]).json();
    let wait = &v["waits"]["spinning in bpf_timer_cancel"];
    assert_eq!(wait["count"], 1, "{}", v["waits"]);
    let ns = wait["max_ns"].as_u64().unwrap();
    // It ends at 61 us, and the cancel begins at 30 us.
    assert!((30_000..32_500).contains(&ns), "the callback had {ns} ns left");
    let [callback, line] = &longest(&v)[..] else { panic!("{v:#}") };
    assert_eq!((callback.0.as_str(), line.0.as_str()), (CALLBACK, LINE));
    assert!((40..=120).contains(&line.1), "{line:?} is not what the costs say of a hand-over");
    let by_cause = &v["waits_by_cause"]["spinning in bpf_timer_cancel"];
    assert_eq!(by_cause[CALLBACK]["max_ns"], callback.1, "{by_cause:#}");
    assert_eq!(by_cause[LINE]["count"], 1);
    let place = ["context", "cpu", "function", "sleeps", "over"].map(|k| &v["longest_wait"][k]);
    let want: [Value; 5] =
        ["b".into(), 1.into(), "bpf_timer_cancel".into(), false.into(), true.into()];
    assert_eq!(place, want.each_ref());

    let out = run(&dir, CANCEL, "v6.12", &["-v"]).out;
    for needle in [
        "longest wait: b on CPU1 at 0.030 ms, spinning in bpf_timer_cancel, ",
        "    callback of timers[0] on CPU0 ",
        "wait  ",
        "cause  ",
        "CPU0  ",
        "timers[0]  ",
    ] {
        assert!(out.contains(needle), "{needle}: {out}");
    }
}

const CALLBACK: &str = "callback of timers[0] on CPU0";
const LINE: &str = "transfer of the cache line";

#[test]
fn a_delete_is_told_with_the_call_that_it_is_part_of() {
    let dir = Dir::new("waits-delete");
    let text = CANCEL
        .replace(r#"ARRAY(max_entries: 1)"#, r#"HASH(max_entries: 1, init: { 0: present })"#)
        .replace(r#"prog_run("cancel")"#, r#"bpf_map_delete_elem("timers[0]")"#);
    let v = run(&dir, &text, "v6.12", &["--format", "json"]).json();
    assert_eq!(longest(&v)[0].0, CALLBACK);
    assert_eq!(v["longest_wait"]["function"], "bpf_timer_cancel_and_free", "{v:#}");
    assert_eq!(v["longest_wait"]["call"], "map_delete_elem", "{v:#}");
    let out = run(&dir, &text, "v6.12", &[]).out;
    let head = "spinning in bpf_timer_cancel_and_free, called by map_delete_elem, ";
    assert!(out.contains(head), "{out}");
}

/// A grace period of 1 ms, and a reader that is inside from 1 ms to 4 ms.
const SYNCHRONIZE: &str = r#"Scenario(schema: 1, name: "gp",
    machine: (cpus: 3, preempt: PREEMPT, grace_period: "1ms"),
    tasks: {
        "reader": (cpu: 0, body: [ sleep("1ms"), rcu_read_lock(), work("3ms"), rcu_read_unlock() ]),
        "waiter": (cpu: 1, body: [ sleep("AT"), synchronize_rcu() ]),
        "beside": (cpu: 1, body: [ sleep("2ms 500us"), work("1us"), assert("1 == 1") ]),
    },
    stop: idle,
)"#;

#[test]
fn synchronize_rcu_sleeps_for_its_readers_and_the_rest_of_the_grace_period() {
    let dir = Dir::new("waits-gp");
    let parts = |at: &str| {
        let text = SYNCHRONIZE.replace("AT", at);
        let v = run(&dir, &text, "v6.12", &["--format", "json"]).json();
        assert_eq!(v["longest_wait"]["sleeps"], true, "{v:#}");
        longest(&v)
    };
    let of =
        |parts: &[(String, u64)], what: &str| parts.iter().find(|p| p.0 == what).map_or(0, |p| p.1);
    let (reader, length) = ("RCU reader reader on CPU0", "RCU grace period");
    // The reader is outside 2 ms later: that is longer than the grace period itself.
    let p = parts("2ms");
    assert!((1_999_000..2_001_000).contains(&of(&p, reader)), "{p:?}");
    assert_eq!(of(&p, length), 0, "{p:?}");
    // Half a millisecond for the reader, the other half is the grace period's own.
    let p = parts("3ms 500us");
    assert!((499_000..501_000).contains(&of(&p, reader)), "{p:?}");
    assert!((499_000..501_000).contains(&of(&p, length)), "{p:?}");
    // Nobody inside.
    let p = parts("5ms");
    assert_eq!((of(&p, reader), of(&p, length)), (0, 1_000_000), "{p:?}");
    assert!((900..=2_600).contains(&of(&p, "wake-up")), "{p:?}");
}

#[test]
fn a_lock_is_told_with_who_holds_it_and_work_with_its_element() {
    let dir = Dir::new("waits-lock");
    let lock = r#"Scenario(schema: 1, name: "lock", machine: (cpus: 2),
        vars: { "L": raw_spinlock },
        tasks: {
            "first": (cpu: 0, body: [ lock("L"), work("50us"), unlock("L") ]),
            "second": (cpu: 1, body: [ sleep("10us"), lock("L"), unlock("L") ]),
        },
        stop: idle,
    )"#;
    let v = run(&dir, lock, "v6.12", &["--format", "json"]).json();
    let [held, line] = &longest(&v)[..] else { panic!("{v:#}") };
    assert_eq!((held.0.as_str(), line.0.as_str()), ("L, held by first on CPU0", LINE));
    assert!((39_900..40_200).contains(&held.1), "{held:?}");

    // v6.12: a kworker frees what the callback of another one still runs on.
    let work = r#"Scenario(schema: 1, name: "work", machine: (cpus: 2),
        types: { "elem": [ bpf_wq("work") ] },
        maps: { "wqs": HASH(max_entries: 1, value: "elem", init: { 3: present }) },
        progs: {
            "cb": (type: WQ_CB, body: [ work("400us") ]),
            "start": (type: SYSCALL, body: [
                bpf_wq_init("wqs[3]"), bpf_wq_set_callback("wqs[3]", "cb"), bpf_wq_start("wqs[3]"),
            ]),
        },
        tasks: {
            "starter": (cpu: 0, body: [ prog_run("start") ]),
            "deleter": (cpu: 1, body: [ sleep("30us"), bpf_map_delete_elem("wqs[3]") ]),
        },
        stop: idle,
    )"#;
    let v = run(&dir, work, "v6.12", &["--format", "json"]).json();
    let [wakes, work] = &longest(&v)[..] else { panic!("{v:#}") };
    assert_eq!((wakes.0.as_str(), work.0.as_str()), ("wake-up", "work of wqs[3] on CPU0"));
    assert_eq!(v["longest_wait"]["function"], "bpf_wq_delete_work", "{v:#}");
    assert!((300_000..400_000).contains(&work.1), "{work:?}");
}

#[test]
fn a_wait_that_does_not_end_is_told_up_to_the_end_of_the_run() {
    let dir = Dir::new("waits-end");
    let text = CANCEL.replace("50us", "5ms").replace("stop: idle", r#"stop: time("1ms")"#);
    let v = run(&dir, &text, "v6.12", &["--format", "json"]).json();
    let [(what, ns)] = &longest(&v)[..] else { panic!("{v:#}") };
    assert_eq!(what, CALLBACK);
    assert_eq!(v["longest_wait"]["at_ns"].as_u64().unwrap() + ns, 1_000_000, "{v:#}");
    assert_eq!(v["longest_wait"]["over"], false);
    let out = run(&dir, &text, "v6.12", &[]).out;
    assert!(out.contains(", not over at the end of the run\n"), "{out}");
}

#[test]
fn the_longest_hold_of_a_lock_is_explained() {
    let dir = Dir::new("waits-hold");
    let limit = r#"expect: [ hold(lock: "timers.bucket.lock", max: "20us") ],"#;
    let text = CANCEL
        .replace(r#"ARRAY(max_entries: 1)"#, r#"HASH(max_entries: 1, init: { 0: present })"#)
        .replace(r#"prog_run("cancel")"#, r#"bpf_map_delete_elem("timers[0]")"#)
        .replace("stop: idle,", &format!("stop: idle, {limit}"));
    // Up to v6.12 an element is freed, and its callback waited for, under the lock of its bucket.
    let r = run(&dir, &text, "v6.12", &["--format", "json"]);
    let v = r.json();
    assert_eq!(r.code, 1, "{v:#}");
    let hold = &v["longest_hold"];
    let parts = hold["parts_ns"].as_object().unwrap();
    let ns = |of: &str| parts.get(of).map_or(0, |n| n.as_u64().unwrap());
    assert_eq!(parts.values().map(|n| n.as_u64().unwrap()).sum::<u64>(), hold["ns"], "{hold:#}");
    let spins = ns("spinning in bpf_timer_cancel_and_free");
    assert!((30_000..32_500).contains(&spins), "{hold:#}");
    assert!((10..1_000).contains(&ns("work in bpf_timer_cancel_and_free")), "{hold:#}");
    assert_eq!((&hold["lock"], &hold["context"]), (&"timers.bucket[0].lock".into(), &"b".into()));
    let by_cause = &v["holds_by_cause"]["timers.bucket.lock"];
    assert_eq!(by_cause["spinning in bpf_timer_cancel_and_free"]["max_ns"], spins);
    assert_eq!(v["holds"]["timers.bucket.lock"]["max_ns"], hold["ns"]);
    // Others only where they are asked for.
    assert_eq!(v["holds"].as_object().unwrap().len(), 1, "{v:#}");
    let all = run(&dir, &text, "v6.12", &["--format", "json", "-v"]).json();
    assert!(all["holds"].get("timers.timer.lock").is_some(), "{all:#}");
    assert_eq!(all["digest"], v["digest"]);

    let out = run(&dir, &text, "v6.12", &[]).out;
    assert!(out.contains("  longest hold: timers.bucket[0].lock by b on CPU1 at 0.03"), "{out}");
    // From v6.13 on the lock is free again before that.
    let v = run(&dir, &text, "v6.13", &["--format", "json"]).json();
    assert!(v["longest_hold"]["ns"].as_u64().unwrap() < 2_000, "{v:#}");
}
