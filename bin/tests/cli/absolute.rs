//! Timers that are started for a time of the clock.

use crate::support::{Dir, timerace};

/// Works before the clock is read and after it, then starts for a millisecond after the reading.
fn scenario(before: &str, after: &str, expiry: &str) -> String {
    format!(
        r#"Scenario(schema: 1, name: "absolute", machine: (cpus: 1),
    maps: {{ "timers": ARRAY(max_entries: 1) }},
    progs: {{
        "start": (type: SYSCALL, body: [
            bpf_timer_init("timers[0]", CLOCK_MONOTONIC),
            bpf_timer_set_callback("timers[0]", "cb"),
            work("{before}"),
            let("t", bpf_ktime_get_ns()),
            work("{after}"),
            bpf_timer_start("timers[0]", "{expiry}", [BPF_F_TIMER_ABS]),
        ]),
        "cb": (type: TIMER_CB, body: []),
    }},
    tasks: {{ "user": (cpu: 0, body: [ sleep("30us"), prog_run("start") ]) }},
    stop: idle,
)"#
    )
}

/// When the timer was armed, when it should expire, and how late it was.
fn expiry(text: &str) -> [u64; 3] {
    let dir = Dir::new("absolute");
    let file = dir.file("absolute.ron", text.as_bytes()).display().to_string();
    let r = timerace(&dir, &["run", &file, "--kernel", "v6.12", "-o", "out"]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let csv = std::fs::read_to_string(dir.0.join("out/latency.csv")).unwrap();
    let row: Vec<&str> = csv.lines().nth(1).unwrap().split(',').collect();
    [4, 5, 10].map(|i| row[i].parse().unwrap())
}

#[test]
fn a_timer_expires_at_its_time_whatever_lies_between_the_reading_and_the_start() {
    let [armed, at, _] = expiry(&scenario("0us", "0us", "t + 1ms"));
    assert!((30_000..32_000).contains(&armed) && (1_030_000..1_032_000).contains(&at), "{at}");
    for (after, ns) in [("5us", 5_000), ("300us", 300_000), ("999us", 999_000)] {
        let [later, same, _] = expiry(&scenario("0us", after, "t + 1ms"));
        assert_eq!(same, at, "{after}");
        assert!((ns..ns + 100).contains(&(later - armed)), "{after}: armed at {later}");
        // What comes before the reading counts.
        assert_eq!(expiry(&scenario(after, "0us", "t + 1ms"))[1], at + ns, "{after}");
    }
    // Over when it is asked for: due at once, late by what is over.
    let [armed, due, late] = expiry(&scenario("0us", "2ms", "t + 1ms"));
    assert!(due == at && late > armed - at && late < armed - at + 5_000, "{late} ns late");
    // The time itself, and one from a range.
    assert_eq!(expiry(&scenario("0us", "5us", "t"))[1], at - 1_000_000);
    let ranged = expiry(&scenario("0us", "5us", "t + 1ms..2ms"))[1];
    assert!((at..=at + 1_000_000).contains(&ranged) && ranged != at, "{ranged}");
}

#[test]
fn a_search_that_respects_durations_counts_absolute_times_from_the_start() {
    let dir = Dir::new("absolute-respect");
    // Armed after 800 us for one millisecond: the other CPU, after 1.5 ms, can see that it has expired.
    let respects = |expiry: &str, flags: &str| {
        let text = format!(
            r#"Scenario(schema: 1, name: "respects", machine: (cpus: 2), timing: Respect,
    vars: {{ "expired": int(0), "seen": int(0) }},
    maps: {{ "timers": ARRAY(max_entries: 1) }},
    progs: {{
        "start": (type: SYSCALL, body: [
            bpf_timer_init("timers[0]", CLOCK_MONOTONIC),
            bpf_timer_set_callback("timers[0]", "cb"),
            let("t", bpf_ktime_get_ns()),
            work("800us"),
            bpf_timer_start("timers[0]", "{expiry}"{flags}),
        ]),
        "cb": (type: TIMER_CB, body: [ write("expired", 1) ]),
    }},
    tasks: {{
        "user": (cpu: 0, body: [ prog_run("start") ]),
        "other": (cpu: 1, body: [ work("1500us"), read("r", "expired"), write("seen", "r") ]),
    }},
    expect: [ sometimes(final("seen == 1")), sometimes(final("seen == 0")) ],
)"#
        );
        let file = dir.file("respects.ron", text.as_bytes()).display().to_string();
        let v = timerace(&dir, &["explore", &file, "--kernel", "v6.12", "--format", "json"]).json();
        let ok = |i: usize| v["expectations"][i]["ok"].as_bool().unwrap_or_else(|| panic!("{v:#}"));
        (ok(0), ok(1))
    };
    let abs = ", [BPF_F_TIMER_ABS]";
    assert_eq!(respects("t + 1ms", abs), (true, true));
    assert_eq!(respects("1ms", abs), (true, true));
    // A relative time counts from the start of the timer, and this one is too long.
    assert_eq!(respects("1ms", ""), (false, true));
    assert_eq!(respects("t + 2ms", abs), (false, true));
}
