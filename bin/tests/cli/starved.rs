//! Runs in which a timer or task never gets its CPU.

use crate::support::{Dir, Ran, timerace};

/// A periodic timer on CPU 0, beside what else happens there.
fn scenario(load: &str, tasks: &str, stop: &str) -> String {
    format!(
        r#"Scenario(schema: 1, name: "starved", machine: (cpus: 2),
    maps: {{ "timers": ARRAY(max_entries: 1) }},
    progs: {{
        "start": (type: SYSCALL, body: [
            bpf_timer_init("timers[0]", CLOCK_MONOTONIC),
            bpf_timer_set_callback("timers[0]", "cb"),
            bpf_timer_start("timers[0]", "100us"),
        ]),
        "cb": (type: TIMER_CB, body: [ bpf_timer_start("timers[0]", "100us") ]),
    }},
    tasks: {{ {tasks} }},
    cpus: {{ {load} }},
    {stop}
)"#
    )
}

fn run(dir: &Dir, text: &str, more: &[&str]) -> Ran {
    let file = dir.file("starved.ron", text.as_bytes()).display().to_string();
    timerace(dir, &[&["run", &file, "--kernel", "v6.12"], more].concat())
}

/// 20 ms without, then a softirq of 12 us every 10 us.
const OVERLOAD: &str =
    r#"0: [ at("20ms", softirq(NET_RX, "1us")), every("10us", softirq(NET_RX, "12us")) ]"#;
const STARTER: &str = r#""starter": (cpu: 0, body: [ prog_run("start") ])"#;
const STOP: &str = "stop: expiries(1000),";

#[test]
fn a_timer_behind_endless_softirqs_ends_the_run_early_and_says_what_its_cpu_did() {
    let dir = Dir::new("starved");
    let text = scenario(OVERLOAD, STARTER, STOP);
    let r = run(&dir, &text, &["--format", "json", "-o", "out"]);
    let v = r.json();
    assert_eq!((r.code, &v["verdict"], &v["partial"]), (3, &"inconclusive".into(), &true.into()));
    let s = &v["starved"];
    assert_eq!((&s["timer"], &s["cpu"]), (&"timers[0]".into(), &0.into()), "{s:#}");
    let (since, long) = (s["since_ns"].as_u64().unwrap(), s["for_ns"].as_u64().unwrap());
    assert_eq!(since + long, v["virtual_ns"].as_u64().unwrap());
    assert!(long > 1_000_000_000 && v["steps"].as_u64().unwrap() < 3_000_000, "{v:#}");
    let doing = s["doing_ns"].as_object().unwrap();
    assert_eq!(doing.values().map(|n| n.as_u64().unwrap()).sum::<u64>(), long, "{s:#}");
    let load = doing.iter().filter(|d| d.0.contains("net-rx")).map(|d| d.1.as_u64().unwrap());
    assert!(load.sum::<u64>() * 1000 > long * 999, "{s:#}");
    // What there is, is kept and marked.
    let kept = std::fs::read_to_string(dir.0.join("out/result.json")).unwrap();
    assert!(kept.contains("\"partial\": true") && kept.contains("\"starved\""), "{kept}");

    let out = run(&dir, &text, &[]).out;
    for needle in [
        "  starved: timers[0] was due at ",
        ", and CPU0 did not get to it for ",
        "    HRTIMER softirq waits behind net-rx",
        "INCONCLUSIVE: the run was ended early, the result is partial: ",
        "no timer's function has returned for 1 000 000 steps",
    ] {
        assert!(out.contains(needle), "{needle}: {out}");
    }
    // Where each step is looked at, the run ends at the same one.
    let traced = run(&dir, &text, &["--trace", "ftrace", "-o", "traced", "--format", "json"]);
    assert_eq!(traced.json()["digest"], v["digest"]);
}

#[test]
fn interrupts_and_sections_without_interrupts_starve_too() {
    let dir = Dir::new("starved-irqs");
    let doing = |text: &str| {
        let r = run(&dir, text, &["--format", "json"]);
        assert_eq!(r.code, 3, "{}{}", r.out, r.err);
        let v = r.json();
        let most = v["starved"]["doing_ns"].as_object().unwrap().clone();
        let most = most.into_iter().max_by_key(|d| d.1.as_u64()).unwrap().0;
        (v["starved"].clone(), most)
    };
    let (s, most) = doing(&scenario(r#"0: [ every("10us", irq("12us")) ]"#, STARTER, STOP));
    assert_eq!((&s["timer"], most.as_str()), (&"timers[0]".into(), "interrupt: irq0"));
    // The other CPU goes on, so that nothing else ends the run.
    let off = r#""starter": (cpu: 0, body: [ prog_run("start"), local_irq_save(), work("500000s"),
        local_irq_restore() ])"#;
    let (s, most) = doing(&scenario(r#"1: [ every("1ms", irq("1us")) ]"#, off, STOP));
    assert_eq!((&s["timer"], most.as_str()), (&"timers[0]".into(), "hardirqs off in starter"));
    // A task that would start the timer never gets so far.
    let late = STARTER.replace("[ prog", r#"[ sleep("1ms"), prog"#);
    let (s, most) = doing(&scenario(r#"0: [ every("10us", irq("12us")) ]"#, &late, STOP));
    assert_eq!((&s["task"], most.as_str()), (&"starter".into(), "interrupt: irq0"));
}

#[test]
fn slow_runs_go_on_and_so_do_those_that_say_how_long() {
    let dir = Dir::new("starved-slow");
    let busy = OVERLOAD.replace("12us", "9us");
    let ended = |text: &str| {
        let r = run(&dir, text, &["--format", "json"]);
        (r.code, r.json())
    };
    // Nine tenths of the CPU.
    let (code, v) = ended(&scenario(&busy, STARTER, STOP));
    assert_eq!((code, &v["expiries"], &v["starved"]), (0, &1000.into(), &().into()));
    // Without interrupts for three seconds, while the other CPU makes a million steps.
    let off = r#""starter": (cpu: 0, body: [ prog_run("start"), local_irq_save(), work("3s"),
        local_irq_restore() ])"#;
    let other = r#"1: [ every("10us", irq("1us")) ]"#;
    let (code, v) = ended(&scenario(other, off, STOP));
    assert_eq!((code, &v["expiries"]), (0, &1000.into()), "{v:#}");
    // Its own end: the run is whole, and says of whom it never got to.
    let (code, v) = ended(&scenario(OVERLOAD, STARTER, r#"stop: time("100ms"),"#));
    assert_eq!((code, &v["partial"], &v["verdict"]), (0, &().into(), &"pass".into()), "{v:#}");
    assert_eq!(v["starved"]["timer"], "timers[0]", "{v:#}");
    // Its own bound.
    let limit = format!("{STOP} limits: (steps: 3000000),");
    let (code, v) = ended(&scenario(OVERLOAD, STARTER, &limit));
    assert_eq!((code, &v["steps"], &v["partial"]), (3, &3_000_000.into(), &().into()));
}

#[test]
fn of_many_seeds_the_first_that_is_starved_is_named() {
    let dir = Dir::new("starved-seeds");
    let r = run(&dir, &scenario(OVERLOAD, STARTER, STOP), &["--seeds", "3..4"]);
    assert_eq!(r.code, 3, "{}{}", r.out, r.err);
    assert!(r.out.contains("2 of 2 runs were ended early"), "{}", r.out);
    assert!(r.out.contains("--seed 3"), "{}", r.out);
}

#[test]
fn a_suite_says_why_a_run_was_cut_off() {
    let dir = Dir::new("starved-suite");
    let limit = format!("{STOP} expect: [ latency(of: \"timers[0]\", p50: \"1ms\") ],");
    let text = scenario(OVERLOAD, STARTER, &limit);
    let file = dir.file("starved.ron", text.as_bytes()).display().to_string();
    let r = timerace(&dir, &["test", &file, "--kernel", "v6.12"]);
    assert_eq!(r.code, 3, "{}{}", r.out, r.err);
    assert!(r.out.contains("cut off by a starved timer or task"), "{}", r.out);
}
