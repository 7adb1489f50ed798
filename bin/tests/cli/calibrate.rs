//! Costs from recordings.

use crate::support::{Dir, library, timerace};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::fmt::Write as _;
use std::path::Path;
use timerace_core::step::CostClass;
use timerace_core::timed::{Costs, Dist};
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

/// Two CPUs, each with a timer of its own at the same time: each is taken for itself.
#[test]
fn the_latencies_of_a_run_give_its_costs_back() {
    let dir = Dir::new("calibrate-run");
    let mut costs = String::from("(schema: 1, name: \"made-up\", costs: {\n");
    costs.push_str("\"irq_entry\": Gamma(shift: 2900, shape: 2.1, scale: 1310.0),\n");
    costs.push_str("\"idle_exit\": Const(0) })");
    let costs = dir.file("c.ron", costs.as_bytes()).display().to_string();
    let text = ROUND_TRIP
        .replace("machine: (cpus: 1)", "machine: (cpus: 2)")
        .replace("max_entries: 1", "max_entries: 2")
        .replace(
            "\"arm\":",
            "\"init1\": (type: SYSCALL, body: [
                bpf_timer_init(\"timers[1]\", CLOCK_MONOTONIC),
                bpf_timer_set_callback(\"timers[1]\", \"cb\"),
            ]),
            \"arm1\": (type: SYSCALL, body: [ bpf_timer_start(\"timers[1]\", \"60us..140us\") ]),
            \"arm\":",
        )
        .replace(
            "\"user\":",
            "\"other\": (cpu: 1, body: [
                prog_run(\"init1\"),
                repeat(3000, [ prog_run(\"arm1\"), sleep(\"200us\") ]),
            ]),
            \"user\":",
        );
    let scenario = dir.file("two.ron", text.as_bytes()).display().to_string();
    let args = ["run", &scenario, "--kernel", "v6.18", "--costs", &costs, "-o", "run"];
    let r = timerace(&dir, &args);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let args = ["calibrate", "run/latency.csv", "--kernel", "v6.18", "--costs", &costs];
    let r = timerace(&dir, &[&args[..], &["-o", "fit"]].concat());
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let says = "6000 expiries, one timer at a time on each of 2 CPUs";
    assert!(r.out.contains(says), "{}", r.out);
    let far = entry_is_back(&dir, "fit");
    assert!(far <= 0.05, "{far}: {}", r.out);

    // Rows are looked at as closely as those of other samples.
    let text = std::fs::read_to_string(dir.0.join("run/latency.csv")).unwrap();
    dir.file("late.csv", text.replacen("\n1,", "\n1,\"a,b\",x,", 1).as_bytes());
    let r = timerace(&dir, &["calibrate", "late.csv"]);
    assert_eq!(r.code, 2, "{}{}", r.out, r.err);
    assert!(r.err.contains("late.csv:2:"), "{}", r.err);
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
    assert_eq!(check["too_few_rounds"], false, "{check}");
    // Some due before the last one is started: the simulation does not do that.
    let mut slow = format!("{HEADER}\n");
    for i in 0..200u64 {
        let armed = i / 5 * 100_000_000 + 300 * (i % 5);
        let late = 20_000 + i * 7_919 % 19_000;
        let _ = writeln!(slow, "500,{armed},{},{},{late},0,0", armed + 500, armed + 500 + late);
    }
    let slow = dir.file("slow.csv", slow.as_bytes()).display().to_string();
    let r = timerace(&dir, &["calibrate", &slow]);
    assert!(r.out.contains("of 40 of 40 rounds timers were due before the last"), "{}", r.out);
    // Of six rounds chance alone makes what it likes.
    let few: String = text.lines().take(1 + 6 * 5).fold(String::new(), |t, l| t + l + "\n");
    let few = dir.file("few.csv", few.as_bytes()).display().to_string();
    let r = timerace(&dir, &["calibrate", &few]);
    assert!(r.out.contains("3 rounds are too few to judge by"), "{}", r.out);
    let v = timerace(&dir, &["calibrate", &few, "--format", "json"]).json();
    assert_eq!(v["checks"][0]["too_few_rounds"], true, "{v}");
}

/// The machine's other work: packets that take long, and sections with interrupts off.
const LOAD: &str = r#"Fragment(schema: 1,
    params: { "gap": "100us..140us" },
    tasks: {
        "irqs": (cpu: 0, body: [
            repeat(1_000_000_000, [
                sleep("150us..250us"), local_irq_save(), work("10us..30us"), local_irq_restore() ]),
        ]),
    },
    cpus: { 0: [ every("$gap", softirq(NET_RX, "20us..50us")) ] },
)"#;

/// One timer under that load, as the recordings are made: a random delay each time.
fn under_load(dir: &Dir) -> String {
    let text = ROUND_TRIP
        .replace("name: \"round-trip\",", "name: \"loaded\", use: [\"noise.ron\"],")
        .replace("60us..140us", "600us..1400us")
        .replace("sleep(\"200us\")", "sleep(\"2ms\")")
        .replace("stop: idle", "stop: expiries(3000)");
    dir.file("loaded.ron", text.as_bytes()).display().to_string()
}

/// What a small program on the machine would have recorded of the run.
fn samples_of(dir: &Dir) -> String {
    let latency = std::fs::read_to_string(dir.0.join("run/latency.csv")).unwrap();
    let mut out = format!("{HEADER}\n");
    for row in latency.lines().skip(1) {
        let field = |i: usize| row.split(',').nth(i).unwrap().parse::<u64>().unwrap();
        let (armed, due, ran) = (field(4), field(5), field(8));
        let _ = writeln!(out, "{},{armed},{due},{ran},{},0,0", due - armed, ran - due);
    }
    out
}

/// Whether the fitted entry of interrupts is the made-up one; the lateness has the load's doings in it.
fn entry_is_back(dir: &Dir, fit: &str) -> f64 {
    let was = costs::read(&dir.0.join("c.ron")).unwrap();
    let is = costs::read(&dir.0.join(fit).join("costs.ron")).unwrap();
    apart(was.get(CostClass::IrqEntry), is.get(CostClass::IrqEntry))
}

/// The 99th percentile of the entry of interrupts.
fn late_draws(costs: &Path) -> f64 {
    let costs = costs::read(costs).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let entry = costs.get(CostClass::IrqEntry);
    let mut all: Vec<u64> = (0..20_000).map(|_| entry.draw(&mut rng)).collect();
    all.sort_unstable();
    all[all.len() * 99 / 100] as f64
}

#[test]
fn what_a_known_load_does_is_not_fitted() {
    let dir = Dir::new("calibrate-load");
    dir.file("noise.ron", LOAD.as_bytes());
    let scenario = under_load(&dir);
    let mut costs = String::from("(schema: 1, name: \"made-up\", costs: {\n");
    costs.push_str("\"irq_entry\": Gamma(shift: 2900, shape: 2.1, scale: 1310.0),\n");
    costs.push_str("\"idle_exit\": Const(0) })");
    let costs = dir.file("c.ron", costs.as_bytes()).display().to_string();
    let args = ["run", &scenario, "--kernel", "v6.18", "--costs", &costs, "--trace", "ftrace"];
    let r = timerace(&dir, &[&args[..], &["-o", "run"]].concat());
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    dir.file("samples.csv", samples_of(&dir).as_bytes());

    let calibrate = |file: &str, load: &[&str], to: &str| {
        let args = ["calibrate", file, "--kernel", "v6.18", "--costs", &costs, "-o", to];
        timerace(&dir, &[&args[..], load].concat())
    };
    let r = calibrate("samples.csv", &["--load", "noise.ron"], "named");
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let says = "under the load of noise.ron: costs are those of the machine without it";
    assert!(r.out.contains(says), "{}", r.out);
    let far = entry_is_back(&dir, "named");
    assert!(far <= 0.05, "{far}: {}", r.out);
    let file = std::fs::read_to_string(dir.0.join("named/costs.ron")).unwrap();
    assert!(file.contains("// Costs of the machine without the load that it had: noise.ron"));

    // Without its name the load is taken for the machine.
    let r = calibrate("samples.csv", &[], "unnamed");
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let far = entry_is_back(&dir, "unnamed");
    assert!(far > 0.2, "{far}: {}", r.out);

    // A trace has events of softirqs, but none of interrupts that are off: where a load comes between, nothing is measured.
    let r = calibrate("run/trace.txt", &[], "traced-unnamed");
    assert_eq!(r.code, 1, "{}{}", r.out, r.err);
    assert!(r.out.contains("NOT GOOD"), "{}", r.out);
    assert!(r.out.contains("a load that is known can be named (--load)"), "{}", r.out);
    let r = calibrate("run/trace.txt", &["--load", "noise.ron"], "traced");
    assert!(!r.out.contains("can be named"), "{}", r.out);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let far = entry_is_back(&dir, "traced");
    assert!(far <= 0.05, "{far}: {}", r.out);
    let is = costs::read(&dir.0.join("traced/costs.ron")).unwrap();
    for class in [CostClass::SoftirqExit, CostClass::Call, CostClass::Hrtimer] {
        let (was, is) = (Costs::default().get(class).mean(), is.get(class).mean());
        assert!((is / was - 1.0).abs() < 0.05, "{}: {was} {is}", class.name());
    }

    // How long the longest hundredth takes is known less well, but it is not the load's.
    let [was, is] = ["c.ron", "named/costs.ron"].map(|f| late_draws(&dir.0.join(f)));
    assert!((0.6..1.7).contains(&(is / was)), "{was} {is}");

    // A trace does not tell the timers of a load from others.
    let r = calibrate("run/trace.txt", &["--load", "common/timers.ron"], "timers");
    assert_eq!(r.code, 2, "{}{}", r.out, r.err);
    assert!(r.err.contains("common/timers.ron has bpf timers of its own"), "{}", r.err);

    // Another load is not that of the recording.
    let r = calibrate("samples.csv", &["--load", "noise.ron", "--set", "gap=60us"], "wrong");
    assert_eq!(r.code, 1, "{}{}", r.out, r.err);
    assert!(r.out.contains("under the load of noise.ron, gap = 60us"), "{}", r.out);
    assert!(r.out.contains("NOT GOOD"), "{}", r.out);
    assert!(r.out.contains("The load is taken as named"), "{}", r.out);
}

#[test]
fn what_is_wrong_with_a_load_is_pointed_at() {
    let dir = Dir::new("calibrate-load-bad");
    let mut good = format!("{HEADER}\n");
    for i in 0..30u64 {
        let (armed, late) = (i * 100_000_000, 30_000 + i * 977);
        let expected = armed + 20_000_000;
        let _ = writeln!(good, "20000000,{armed},{expected},{},{late},1,1", expected + late);
    }
    dir.file("good.csv", good.as_bytes());
    let cases = [
        ("missing.ron", None, "missing.ron: there is no such file"),
        ("scenario.ron", Some(ROUND_TRIP), "scenario.ron:1:1"),
        (
            "cpu.ron",
            Some("Fragment(schema: 1,\n cpus: { 1: [ every(\"1ms\", irq(\"2us\")) ] })"),
            "cpu.ron:2:",
        ),
        (
            "words.ron",
            Some("Fragment(schema: 1,\n cpus: { 0: [ evry(\"1ms\", irq(\"2us\")) ] })"),
            "cpu.ron:2:",
        ),
        (
            "off.ron",
            Some(
                "Fragment(schema: 1, tasks: { \"t\": (cpu: 0, body: [\n local_irq_save(), \
                 repeat(1_000_000_000, [ work(\"1ms\") ]) ]) })",
            ),
            "off.ron: under this load timers do not expire",
        ),
    ];
    for (name, text, says) in cases {
        if let Some(text) = text {
            dir.file(name, text.as_bytes());
        }
        let says = says.replace("cpu.ron", name);
        let r = timerace(&dir, &["calibrate", "good.csv", "--load", name, "-o", "out"]);
        assert_eq!(r.code, 2, "{name}: {}{}", r.out, r.err);
        assert!(r.err.contains(&says), "{name}: {}", r.err);
        assert!(!dir.0.join("out").exists(), "{name}: something was written");
    }
    // A load that leaves time for timers, but not where each of its interrupts takes as long as that of the recording.
    let busy = "Fragment(schema: 1, cpus: { 0: [ every(\"20us\", irq(\"2us\")) ] })";
    dir.file("busy.ron", busy.as_bytes());
    let r = timerace(&dir, &["calibrate", "good.csv", "--load", "busy.ron"]);
    assert_eq!(r.code, 1, "{}{}", r.out, r.err);
    assert!(r.out.contains("NOT GOOD: no simulated timer expired"), "{}", r.out);
    let r = timerace(&dir, &["calibrate", "good.csv", "--set", "gap=5us"]);
    assert_eq!(r.code, 2, "{}{}", r.out, r.err);
    // Fragments that are built in have names.
    let built_in = ["calibrate", "good.csv", "--load", "common/interrupts.ron", "--format", "json"];
    let v = timerace(&dir, &[&built_in[..], &["--set", "irq_gap=2ms"]].concat()).json();
    assert_eq!(v["load"]["file"], "common/interrupts.ron", "{v}");
    assert_eq!(v["load"]["set"]["irq_gap"], "2ms", "{v}");
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
