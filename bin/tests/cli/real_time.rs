//! Tasks with a real-time class in timed runs.

use crate::support::{Dir, timerace};

/// When a task that wakes up after a millisecond starts a timer, beside one that computes for ten.
fn armed(sched: &str, hog: &str) -> u64 {
    let text = format!(
        r#"Scenario(schema: 1, name: "rt", machine: (cpus: 1, preempt: PREEMPT),
    maps: {{ "timers": ARRAY(max_entries: 1) }},
    progs: {{
        "start": (type: SYSCALL, body: [
            bpf_timer_init("timers[0]", CLOCK_MONOTONIC),
            bpf_timer_set_callback("timers[0]", "cb"),
            bpf_timer_start("timers[0]", "10us"),
        ]),
        "cb": (type: TIMER_CB, body: []),
    }},
    tasks: {{
        "hog": (cpu: 0, {hog}body: [ work("5ms"), work("5ms") ]),
        "rt": (cpu: 0, {sched}body: [ sleep("1ms"), prog_run("start") ]),
    }},
    stop: idle,
)"#
    );
    let dir = Dir::new("real-time");
    let file = dir.file("rt.ron", text.as_bytes()).display().to_string();
    let r = timerace(&dir, &["run", &file, "--kernel", "v6.12", "-o", "out"]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let csv = std::fs::read_to_string(dir.0.join("out/latency.csv")).unwrap();
    csv.lines().nth(1).unwrap().split(',').nth(4).unwrap().parse().unwrap()
}

#[test]
fn a_real_time_task_takes_its_cpu_from_a_lower_one() {
    let soon = 1_000_000..1_010_000;
    // The slice of a task without a class is 4 ms long.
    let in_turn = armed("", "");
    assert!((4_000_000..4_010_000).contains(&in_turn), "{in_turn}");
    let first = armed("sched: SCHED_FIFO(50), ", "");
    assert!(soon.contains(&first), "{first}");
    let higher = armed("sched: SCHED_FIFO(50), ", "sched: SCHED_FIFO(49), ");
    assert!(soon.contains(&higher), "{higher}");
    let equal = armed("sched: SCHED_FIFO(50), ", "sched: SCHED_FIFO(50), ");
    assert!((10_000_000..10_010_000).contains(&equal), "{equal}");
    let turns = armed("sched: SCHED_RR(50), ", "sched: SCHED_RR(50), ");
    assert!((4_000_000..4_010_000).contains(&turns), "{turns}");
    let lower = armed("", "sched: SCHED_RR(1), ");
    assert!((10_000_000..10_010_000).contains(&lower), "{lower}");
}
