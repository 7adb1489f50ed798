//! Costs from recordings.

use crate::support::{Dir, library, timerace};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::fmt::Write as _;
use std::path::Path;
use timerace_core::step::CostClass;
use timerace_core::timed::Dist;
use timerace_scenarios::calibrate::ks;
use timerace_scenarios::costs;

const HEADER: &str = "delay_ns,armed_ns,expected_ns,actual_ns,lateness_ns,arm_cpu,cb_cpu";

fn recordings() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/recordings")
}

#[test]
fn costs_are_fitted_and_can_be_used() {
    let dir = Dir::new("calibrate");
    let file = recordings().join("latency-6.18-host-idle-rel.csv.gz").display().to_string();
    let r = timerace(&dir, &["calibrate", &file, "--name", "lab1", "-o", "lab1"]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    for needle in [
        "3000 expiries, one timer at a time",
        "irq_entry",
        "kept: ",
        "1500 samples that were not fitted",
    ] {
        assert!(r.out.contains(needle), "`{needle}` is missing:\n{}", r.out);
    }
    assert!(r.err.contains("wrote lab1/costs.ron"), "{}", r.err);
    let scenario = library().join("periodic-under-net-rx.ron").display().to_string();
    let run = timerace(&dir, &["run", &scenario, "--costs", "lab1/costs.ron"]);
    assert!(run.out.contains("Costs: lab1 (calibrated)"), "{}{}", run.out, run.err);
    // The same recording gives the same costs.
    let again =
        timerace(&dir, &["calibrate", &file, "--name", "lab1", "-o", "lab2", "--format", "json"]);
    assert_eq!(again.json()["calibrated"], true);
    let read = |d: &str| std::fs::read(dir.0.join(d).join("costs.ron")).unwrap();
    assert_eq!(read("lab1"), read("lab2"));
}

/// One timer, again and again, on a CPU that is idle in between; its callback does nothing.
const ROUND_TRIP: &str = r#"Scenario(schema: 1, name: "round-trip", machine: (cpus: 1),
    maps: { "timers": ARRAY(max_entries: 1) },
    progs: {
        "init": (type: SYSCALL, body: [
            bpf_timer_init("timers[0]", CLOCK_MONOTONIC),
            bpf_timer_set_callback("timers[0]", "cb"),
        ]),
        "arm": (type: SYSCALL, body: [ bpf_timer_start("timers[0]", "60us..140us") ]),
        "cb": (type: TIMER_CB, body: []),
    },
    tasks: {
        "user": (cpu: 0, body: [
            prog_run("init"),
            repeat(3000, [ prog_run("arm"), sleep("200us") ]),
        ]),
    },
    stop: idle,
)"#;

const COSTS: &str = r#"(
    schema: 1,
    name: "made-up",
    costs: {
        "irq_entry": Gamma(shift: 900, shape: 2.1, scale: 310.0),
        "idle_exit": LogNormal(shift: 200, mu: 6.5, sigma: 0.5),
        "irq_exit": Uniform(100, 400),
        "softirq_entry": Gamma(shift: 0, shape: 3.0, scale: 150.0),
        "softirq_exit": Const(77),
        "call": Empirical([200, 210, 250, 300, 1500, 1600]),
        "hrtimer": Uniform(300, 900),
    },
)"#;

/// The distance between the draws of two distributions.
fn apart(a: &Dist, b: &Dist) -> f64 {
    let draws = |d: &Dist, seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut all: Vec<u64> = (0..20_000).map(|_| d.draw(&mut rng)).collect();
        all.sort_unstable();
        all
    };
    ks(&draws(a, 1), &draws(b, 2))
}

#[test]
fn a_trace_of_ours_gives_its_costs_back() {
    let dir = Dir::new("round-trip");
    let scenario = dir.file("r.ron", ROUND_TRIP.as_bytes()).display().to_string();
    let made_up = dir.file("c.ron", COSTS.as_bytes());
    let costs_arg = made_up.display().to_string();
    let args = ["run", &scenario, "--kernel", "v6.18", "--costs", &costs_arg];
    let args: Vec<&str> = args.into_iter().chain(["--trace", "ftrace", "-o", "run"]).collect();
    let r = timerace(&dir, &args);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let r = timerace(&dir, &["calibrate", "run/trace.txt", "--kernel", "v6.18", "-o", "fit"]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let (was, is) =
        (costs::read(&made_up).unwrap(), costs::read(&dir.0.join("fit/costs.ron")).unwrap());
    for class in [
        CostClass::IdleExit,
        CostClass::IrqEntry,
        CostClass::IrqExit,
        CostClass::SoftirqEntry,
        CostClass::SoftirqExit,
        CostClass::Call,
        CostClass::Hrtimer,
    ] {
        let (a, b) = (was.get(class), is.get(class));
        if matches!(a, Dist::Const(_)) {
            assert_eq!(a, b, "{}", class.name());
            continue;
        }
        let far = apart(a, b);
        assert!(far <= 0.05, "{}: {far}: {a:?} {b:?}", class.name());
        assert!((b.mean() / a.mean() - 1.0).abs() < 0.03, "{}: {a:?} {b:?}", class.name());
    }
    // What the trace does not tell is kept, and said to be.
    assert_eq!(
        is.get(CostClass::Wakeup),
        timerace_core::timed::Costs::default().get(CostClass::Wakeup)
    );
    assert!(r.out.contains("not in the recordings, kept: memory, atomic, lock"), "{}", r.out);
    assert!(!r.out.contains("idle_exit is part"), "{}", r.out);
    for family in ["uniform", "shifted gamma", "log-normal", "constant", "empirical"] {
        assert!(r.out.contains(family), "{family}: {}", r.out);
    }
}

/// What each distance says stands beside it: of many timers that are pending together, two, of one timer, one.
#[test]
fn the_report_tells_samples_of_the_same_rounds_from_new_rounds() {
    let dir = Dir::new("calibrate-halves");
    let mut text = format!("{HEADER}\n");
    // 60 rounds of 5 timers, started 300 ns apart, run 900 ns apart, after 20 us to 39 us.
    for round in 0..60u64 {
        let armed = round * 100_000_000;
        let first = armed + 20_000_000 + 20_000 + round * 7_919 % 19_000;
        for k in 0..5 {
            let (armed, actual) = (armed + 300 * k, first + 900 * k);
            let (expected, late) = (armed + 20_000_000, actual - armed - 20_000_000);
            let _ = writeln!(text, "20000000,{armed},{expected},{actual},{late},0,0");
        }
    }
    let file = dir.file("five.csv", text.as_bytes()).display().to_string();
    let r = timerace(&dir, &["calibrate", &file]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    for needle in [
        "300 expiries, 5 timers at a time",
        "150 samples that were not fitted, of ",
        "30 rounds that were not fitted, 150 samples",
        "The timers of a round share its delay",
    ] {
        assert!(r.out.contains(needle), "{needle}: {}", r.out);
    }
    let v = timerace(&dir, &["calibrate", &file, "--format", "json"]).json();
    let check = &v["checks"][0];
    assert_eq!((&check["rounds"], &check["samples"]), (&30.into(), &150.into()), "{check}");
    let same = &check["same_rounds"];
    assert!(same["rounds"].as_u64() > Some(30) && same["samples"] == 150, "{check}");
    for ks in [&check["ks_ppm"], &same["ks_ppm"]] {
        assert!(ks.as_u64().is_some_and(|n| n > 0 && n < 1_000_000), "{check}");
    }
    assert_eq!((&check["ok"], &same["ok"]), (&true.into(), &true.into()), "{check}");
}

#[test]
fn what_is_wrong_with_a_recording_is_pointed_at_and_nothing_is_written() {
    let dir = Dir::new("calibrate-bad");
    let row = |n: u64| {
        let late = 30_000 + n / 100_000_000 * 7_919 % 20_000;
        let expected = n + 20_000_000;
        format!("20000000,{n},{expected},{},{late},1,1\n", expected + late)
    };
    let mut good = format!("{HEADER}\n");
    (0..30).for_each(|i| good.push_str(&row(i * 100_000_000)));
    let header = "# tracer: nop\n#\n# entries-in-buffer/entries-written: 9/9   #P:4\n";
    let mut trace = header.to_string();
    for i in 1..40 {
        let _ = writeln!(
            trace,
            " a-1 [001] d..1. {i}.000000: hrtimer_start: hrtimer=0x5 function=bpf_timer_cb expires={i}010000000 softexpires={i}010000000 mode=REL|SOFT\n <idle>-0 [001] ..s1. {i}.0100{}: hrtimer_expire_entry: hrtimer=0x5 function=bpf_timer_cb now={i}0100{}000",
            40 + i * 7 % 39,
            39 + i * 7 % 39
        );
    }
    let cases = [
        ("empty.csv", String::new(), "empty.csv:1:1: the file is empty"),
        ("blank.csv", "\n\n".to_string(), "blank.csv:1:1: the file is empty"),
        ("no-rows.csv", format!("{HEADER}\n"), "no-rows.csv:2:1: there are no samples"),
        (
            "few.csv",
            good.lines().take(9).fold(String::new(), |t, l| t + l + "\n"),
            "few.csv:9:1: the file has 8 expiries",
        ),
        (
            "other.csv",
            good.replace("actual_ns", "seen_ns"),
            "other.csv:1:31: expected the column `actual_ns`, found `seen_ns`",
        ),
        (
            "short.csv",
            format!("{HEADER}\n5,6\n"),
            "short.csv:2:5: the row ends before `expected_ns`",
        ),
        (
            "long.csv",
            format!("{HEADER}\n5,6,7,8,1,1,1,1\n"),
            "long.csv:2:15: the row has more fields",
        ),
        (
            "big.csv",
            format!("{HEADER}\n5,99999999999999999999,7,8,1,1,1\n"),
            "big.csv:2:3: armed_ns is 99999999999999999999, more than 2^62 ns",
        ),
        (
            "minus.csv",
            format!("{HEADER}\n5,6,7,8,-1,1,1\n"),
            "minus.csv:2:9: lateness_ns must be a whole number",
        ),
        (
            "sum.csv",
            format!("{HEADER}\n5,6,7,8,2,1,1\n"),
            "sum.csv:2:9: lateness_ns is 2, but actual_ns - expected_ns is 1",
        ),
        (
            "early.csv",
            format!("{HEADER}\n5,6,9,8,1,1,1\n"),
            "early.csv:2:7: actual_ns 8 is before expected_ns 9",
        ),
        ("empty.txt", header.to_string(), "empty.txt:3:1: the trace has no events"),
        (
            "lost.txt",
            format!("{trace}CPU:1 [LOST 12 EVENTS]\n"),
            "lost.txt:82:7: the trace has lost events here",
        ),
        (
            "over.txt",
            trace.replace("9/9", "9/12"),
            "over.txt:3:38: 3 of 12 events were overwritten",
        ),
        ("now.txt", trace.replace("now=7010049000", "now=70100490000000000000000"), "now.txt:17:"),
        (
            "clock.txt",
            trace.replace(" 7.000000:", " 99999999999999.000000:"),
            "clock.txt:16:18: 99999999999999.000000 s is more than 2^62 ns",
        ),
        ("words.txt", format!("{trace}and so on\n"), "words.txt:82:1: this is no line of a trace"),
        (
            "other.txt",
            trace.replace("bpf_timer_cb", "hrtimer_wakeup"),
            "other.txt:81:1: the file has 0 expiries",
        ),
    ];
    for (name, text, says) in cases {
        let file = dir.file(name, text.as_bytes()).display().to_string();
        let fine = dir.file("good.csv", good.as_bytes()).display().to_string();
        let r = timerace(&dir, &["calibrate", &fine, &file, "-o", "out"]);
        assert_eq!(r.code, 2, "{name}: {}{}", r.out, r.err);
        assert!(r.err.contains(says), "{name}: {}", r.err);
        assert!(!dir.0.join("out").exists(), "{name}: something was written");
    }
    let fine = dir.0.join("good.csv").display().to_string();
    let r = timerace(&dir, &["calibrate", &fine, "-o", "out"]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let r = timerace(&dir, &["calibrate", &fine, "--kernel", "v6.1"]);
    assert_eq!(r.code, 2, "{}{}", r.out, r.err);
    assert!(r.err.contains("BPF_F_TIMER_CPU_PIN"), "{}", r.err);
    let traced = dir.file("good.txt", trace.as_bytes()).display().to_string();
    let r = timerace(&dir, &["calibrate", &traced, "-o", "out"]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
}

#[test]
fn costs_that_are_built_in_have_a_name_and_are_explained() {
    let dir = Dir::new("costs-built-in");
    let about = timerace(&dir, &["explain", "costs"]);
    assert_eq!(about.code, 0, "{}", about.err);
    for needle in
        ["virt-6.18-idle", "irq_entry", "Gamma(shift: n", "latency-6.18-host-idle-rel.csv.gz"]
    {
        assert!(about.out.contains(needle), "{needle}: {}", about.out);
    }
    let scenario = library().join("periodic-under-net-rx.ron").display().to_string();
    let run = timerace(&dir, &["run", &scenario, "--costs", "virt-6.18-idle"]);
    assert!(run.out.contains("Costs: virt-6.18-idle (calibrated)"), "{}{}", run.out, run.err);
    let none = timerace(&dir, &["run", &scenario, "--costs", "virt-6.19"]);
    assert_eq!(none.code, 2, "{}{}", none.out, none.err);
}
