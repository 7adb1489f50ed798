//! The text of ftrace, read by the format strings of the kernel, and outputs that are written as a run goes on.

use crate::support::{Dir, library, timerace, tree};
use std::collections::{BTreeMap, BTreeSet};

/// `print fmt` of the events (`events/*/*/format`), and of kprobes with the arguments that the recordings have.
const FORMATS: [(&str, &str); 26] = [
    ("hrtimer_init", "hrtimer=%p clockid=%s mode=%s"),
    ("hrtimer_start", "hrtimer=%p function=%ps expires=%llu softexpires=%llu mode=%s was_armed=%d"),
    ("hrtimer_cancel", "hrtimer=%p"),
    ("hrtimer_expire_entry", "hrtimer=%p function=%ps now=%llu"),
    ("hrtimer_expire_exit", "hrtimer=%p"),
    ("softirq_raise", "vec=%u [action=%s]"),
    ("softirq_entry", "vec=%u [action=%s]"),
    ("softirq_exit", "vec=%u [action=%s]"),
    ("irq_handler_entry", "irq=%d name=%s"),
    ("irq_handler_exit", "irq=%d ret=%s"),
    ("local_timer_entry", "vector=%d"),
    ("local_timer_exit", "vector=%d"),
    ("cpu_idle", "state=%lu cpu_id=%lu"),
    (
        "sched_switch",
        "prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s ==> next_comm=%s next_pid=%d next_prio=%d",
    ),
    ("bpf_timer_cb", "(bpf_timer_cb+0x%x/0x%x) hrtimer=0x%x"),
    ("bpf_timer_init", "(bpf_timer_init+0x%x/0x%x) timer=0x%x a=0x%x b=0x%x"),
    ("bpf_timer_set_callback", "(bpf_timer_set_callback+0x%x/0x%x) timer=0x%x a=0x%x b=0x%x"),
    ("bpf_timer_start", "(bpf_timer_start+0x%x/0x%x) timer=0x%x a=0x%x b=0x%x"),
    ("bpf_timer_cancel", "(bpf_timer_cancel+0x%x/0x%x) timer=0x%x a=0x%x b=0x%x"),
    ("bpf_timer_cancel_async", "(bpf_timer_cancel_async+0x%x/0x%x) timer=0x%x a=0x%x b=0x%x"),
    ("bpf_timer_init_ret", "(0x%x <- bpf_timer_init) ret=%d"),
    ("bpf_timer_set_callback_ret", "(0x%x <- bpf_timer_set_callback) ret=%d"),
    ("bpf_timer_start_ret", "(0x%x <- bpf_timer_start) ret=%d"),
    ("bpf_timer_cancel_ret", "(0x%x <- bpf_timer_cancel) ret=%d"),
    ("bpf_timer_cancel_async_ret", "(0x%x <- bpf_timer_cancel_async) ret=%d"),
    ("irq_work_entry", "vector=%d"),
];

/// What the specifiers of a format stand for in a text; `None` if the text does not have this format to its end.
fn scan<'t>(format: &str, mut text: &'t str) -> Option<Vec<&'t str>> {
    let mut found = Vec::new();
    let mut rest = format;
    while let Some((literal, after)) = rest.split_once('%') {
        text = text.strip_prefix(literal)?;
        let (spec, then) = ["llu", "lu", "ps", "u", "d", "p", "s", "x"]
            .into_iter()
            .find_map(|s| Some((s, after.strip_prefix(s)?)))?;
        let fits: fn(char) -> bool = match spec {
            "llu" | "lu" | "u" => |c| c.is_ascii_digit(),
            "d" => |c| c.is_ascii_digit() || c == '-',
            "p" | "x" => |c| c.is_ascii_digit() || ('a'..='f').contains(&c),
            "ps" => |c| c.is_ascii_alphanumeric() || c == '_',
            _ => |c| c.is_ascii_graphic() && c != ']',
        };
        let n = text.find(|c| !fits(c)).unwrap_or(text.len());
        let (value, left) = text.split_at(n);
        let sound = !value.is_empty()
            && (spec != "p" || value.len() == 16)
            && (spec != "d" || value.parse::<i64>().is_ok());
        if !sound {
            return None;
        }
        found.push(value);
        (text, rest) = (left, then);
    }
    (text == rest).then_some(found)
}

struct Line<'t> {
    comm: &'t str,
    pid: u32,
    cpu: usize,
    flags: &'t str,
    ns: u64,
    name: &'t str,
    values: Vec<&'t str>,
}

/// A line as `trace_print_context()` and the event write it: "%16s-%-7d [%03d] %c%c%c%c%c %5lu.%09lu: %s: ".
fn line(text: &str) -> Option<Line<'_>> {
    let (task, rest) = text.split_once(" [")?;
    let (comm, pid) = task.rsplit_once('-')?;
    let (padded, number) = (comm, pid.trim_end());
    if padded.len() != 16 || pid.len() != 7 {
        return None;
    }
    let (cpu, rest) = rest.split_once("] ")?;
    let flags = rest.get(..5)?;
    let sets = ["Ddb.", "NnpBbLl.", "ZzHhs.", ".123456789abcdef", ".123456789abcdef"];
    if cpu.len() != 3 || !flags.chars().zip(sets).all(|(c, set)| set.contains(c)) {
        return None;
    }
    let (seconds, rest) = rest[5..].strip_prefix(' ')?.split_once('.')?;
    let (fraction, rest) = rest.split_once(": ")?;
    if seconds.len() < 5 || fraction.len() != 9 {
        return None;
    }
    let ns =
        seconds.trim_start().parse::<u64>().ok()? * 1_000_000_000 + fraction.parse::<u64>().ok()?;
    let (name, args) = rest.split_once(": ")?;
    let format = FORMATS.iter().find(|f| f.0 == name)?.1;
    Some(Line {
        comm: comm.trim_start(),
        pid: number.parse().ok()?,
        cpu: cpu.parse().ok()?,
        flags,
        ns,
        name,
        values: scan(format, args)?,
    })
}

/// What must hold from line to line; how often each event came.
#[derive(Default)]
struct Reader<'t> {
    last: u64,
    counts: BTreeMap<&'t str, usize>,
    /// By CPU: pid of the task, softirqs entered, timers whose function runs.
    pids: BTreeMap<usize, u32>,
    softirqs: BTreeMap<usize, Vec<&'t str>>,
    running: BTreeMap<usize, &'t str>,
    queued: BTreeMap<&'t str, u64>,
    /// Timers that the trace has named; those before the trace begins may be queued.
    seen: BTreeSet<&'t str>,
}

impl<'t> Reader<'t> {
    fn read(&mut self, l: &Line<'t>) {
        assert!(self.last <= l.ns, "time goes on");
        self.last = l.ns;
        *self.counts.entry(l.name).or_default() += 1;
        assert_eq!(l.pid == 0, l.comm == "<idle>", "the idle task, and no other, has pid 0");
        let pid = *self.pids.entry(l.cpu).or_default();
        if l.name == "sched_switch" {
            assert_eq!(l.values[1].parse::<u32>().unwrap(), pid, "who goes is who was there");
            self.pids.insert(l.cpu, l.values[5].parse().unwrap());
        } else {
            assert_eq!(l.pid, pid, "the task is the one that was switched to");
        }
        let entered = self.softirqs.entry(l.cpu).or_default();
        let in_softirq = l.flags.contains(['s', 'H']);
        match l.name {
            "softirq_entry" => entered.push(l.values[0]),
            "softirq_exit" => assert_eq!(entered.pop(), Some(l.values[0])),
            "hrtimer_start" => {
                assert!(l.flags.starts_with(['d', 'D']), "the base is locked");
                let expires = l.values[2].parse().unwrap();
                let was = self.queued.insert(l.values[0], expires);
                let known = !self.seen.insert(l.values[0]);
                assert!(!known || (l.values[5] == "1") == was.is_some(), "was_armed");
            }
            "hrtimer_cancel" => {
                let queued = self.queued.remove(l.values[0]).is_some();
                assert!(self.seen.insert(l.values[0]) || queued, "it was queued");
            }
            "hrtimer_expire_entry" => {
                let known = !self.seen.insert(l.values[0]);
                let queued = self.queued.remove(l.values[0]);
                assert!(queued.is_some() || !known, "it was queued");
                let due = queued.unwrap_or(0);
                let pass: u64 = l.values[2].parse().unwrap();
                assert!(due <= pass && pass <= l.ns, "due {due}, pass {pass}, now {}", l.ns);
                assert!(in_softirq && entered.last() == Some(&"8"));
                assert_eq!(self.running.insert(l.cpu, l.values[0]), None);
            }
            "hrtimer_expire_exit" => {
                assert_eq!(self.running.remove(&l.cpu), Some(l.values[0]));
            }
            _ => {}
        }
    }
}

fn check(text: &str) -> BTreeMap<&str, usize> {
    let mut reader = Reader::default();
    for (i, t) in text.lines().enumerate() {
        if i < 10 {
            assert!(t.starts_with('#'), "{t}");
            continue;
        }
        let l = line(t).unwrap_or_else(|| panic!("line {}: {t}", i + 1));
        reader.read(&l);
    }
    reader.counts
}

#[test]
fn the_parser_tells_good_lines_from_bad_ones() {
    let good = "          runner-172     [001] D..21    12.750657000: hrtimer_start: hrtimer=000000007f1f2e49 function=bpf_timer_cb expires=12752647832 softexpires=12752647832 mode=REL|SOFT was_armed=0";
    assert!(line(good).is_some());
    for (from, to) in [
        ("D..21", "D..2"),
        ("was_armed=0", "was_armed=0 more"),
        ("hrtimer=0000", "hrtimer=0x00"),
        (" softexpires", " soft"),
        ("172    ", "172   "),
        ("12.750657000", "12.750657"),
        ("hrtimer_start:", "hrtimer_begin:"),
    ] {
        assert!(line(&good.replace(from, to)).is_none(), "{from} -> {to}");
    }
}

const BUSY: &str = r#"Scenario(schema: 1, name: "busy", machine: (cpus: 2),
    maps: { "timers": ARRAY(max_entries: 2) },
    progs: {
        "start": (type: SYSCALL, body: [
            bpf_timer_init("timers[0]", CLOCK_MONOTONIC),
            bpf_timer_set_callback("timers[0]", "tick"),
            bpf_timer_start("timers[0]", "100us"),
            bpf_timer_start("timers[0]", "120us"),
        ]),
        "other": (type: XDP, body: [
            bpf_timer_init("timers[1]", CLOCK_BOOTTIME),
            bpf_timer_set_callback("timers[1]", "tick"),
            bpf_timer_start("timers[1]", "100us"),
            bpf_timer_cancel("timers[1]"),
        ]),
        "tick": (type: TIMER_CB, body: [
            work("1us..3us"),
            bpf_timer_start("timers[0]", "100us", [BPF_F_TIMER_CPU_PIN]),
        ]),
    },
    tasks: {
        "user": (cpu: 0, body: [ prog_run("start"), sleep("150us"), prog_run("other") ]),
        "busy": (cpu: 1, body: [ repeat(20, [ work("50us"), sleep("20us") ]) ]),
    },
    cpus: {
        0: [ every("50us", softirq(NET_RX, "5us..30us")), poisson("70us", irq("2us")) ],
        1: [ every("90us", tick()) ],
    },
    stop: expiries(20),
)"#;

#[test]
fn a_trace_has_the_names_fields_and_order_of_the_kernel() {
    let dir = Dir::new("trace");
    let file = dir.file("busy.ron", BUSY.as_bytes()).display().to_string();
    for kernel in ["v6.12", "v7.1"] {
        let r = timerace(&dir, &["run", &file, "--kernel", kernel, "--trace", "ftrace"]);
        assert_eq!(r.code, 0, "{}{}", r.out, r.err);
        let counts = check(&r.out);
        let has = |name: &str| counts.get(name).copied().unwrap_or(0);
        // The last one is over when the run is; so is its callback.
        assert_eq!((has("hrtimer_expire_entry"), has("hrtimer_expire_exit")), (20, 20), "{kernel}");
        assert_eq!(has("hrtimer_cancel"), 1);
        assert_eq!(has("hrtimer_start"), has("bpf_timer_start"));
        assert_eq!(has("bpf_timer_start_ret"), has("bpf_timer_start"));
        for name in ["irq_handler_entry", "local_timer_entry", "sched_switch", "cpu_idle"] {
            assert!(has(name) > 5, "{name}: {}", has(name));
        }
    }
}

#[test]
fn traces_of_the_library_are_well_formed() {
    let dir = Dir::new("trace-library");
    for name in
        ["periodic-under-net-rx", "cancel-running", "update-pending", "races/r09-mutual-cancel"]
    {
        let file = library().join(format!("{name}.ron")).display().to_string();
        let r = timerace(&dir, &["run", &file, "--kernel", "v6.8", "--trace", "ftrace"]);
        assert!(!check(&r.out).is_empty(), "{name}: {}", r.err);
    }
}

#[test]
fn looking_at_a_run_does_not_change_it() {
    let dir = Dir::new("trace-same");
    let file = dir.file("busy.ron", BUSY.as_bytes()).display().to_string();
    let run = |more: &[&str]| {
        let args: Vec<&str> = ["run", &file, "-q"].iter().chain(more).copied().collect();
        let r = timerace(&dir, &args);
        assert_eq!(r.code, 0, "{}{}", r.out, r.err);
        r
    };
    let plain = run(&["--format", "json"]);
    let with = run(&["--format", "json", "-o", "out", "--trace", "ftrace"]);
    assert_eq!(plain.json(), with.json());
    let files = tree(&dir.0.join("out"));
    let trace = &files.iter().find(|f| f.0 == "trace.txt").expect("it is there").1;
    assert_eq!(String::from_utf8_lossy(trace), run(&["--trace", "ftrace"]).out);
    // Twenty expiries, and the last one's sample is not lost.
    let csv = &files.iter().find(|f| f.0 == "latency.csv").expect("it is there").1;
    assert_eq!(String::from_utf8_lossy(csv).lines().count(), 21);
    assert_eq!(plain.json()["expiries"], 20);
    assert_eq!(plain.json()["latency"]["timers[0]"]["count"], 20);
}

#[test]
fn a_line_per_expiry_and_the_histogram_of_rtla() {
    let dir = Dir::new("formats");
    let file = dir.file("busy.ron", BUSY.as_bytes()).display().to_string();
    let r = timerace(&dir, &["run", &file, "--format", "timehist"]);
    assert_eq!((r.code, r.out.lines().count()), (0, 3 + 20), "{}", r.out);
    let head = r.out.lines().next().unwrap();
    for name in ["irq delay", "softirq delay", "run time"] {
        assert!(head.contains(name), "{head}");
    }
    let rtla = timerace(&dir, &["run", &file, "--format", "rtla"]);
    timerace(&dir, &["run", &file, "-o", "out", "-q"]);
    assert_eq!(rtla.out, std::fs::read_to_string(dir.0.join("out/hist.txt")).unwrap());
    assert!(rtla.out.contains("\nIndex    CPU-000\n"), "{}", rtla.out);
    for wrong in [
        vec!["explore", &file, "--format", "rtla"],
        vec!["run", &file, "--trace", "ftrace", "--format", "json"],
        vec!["run", &file, "--trace", "perf"],
        vec!["run", &file, "--trace", "ftrace", "--seeds", "1..3"],
    ] {
        assert_eq!(timerace(&dir, &wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn limits_are_told_beside_what_was_measured() {
    let dir = Dir::new("limits");
    let expect = r#"stop: expiries(20),
    expect: [
        latency(of: "timers[0]", p50: "900us", max: "1us"),
        drift(of: "timers[0]", max: "1s"),
    ],"#;
    let text = BUSY.replace("stop: expiries(20),", expect);
    let file = dir.file("limits.ron", text.as_bytes()).display().to_string();
    let r = timerace(&dir, &["run", &file]);
    assert_eq!(r.code, 1, "{}{}", r.out, r.err);
    let line = |begin: &str| {
        let found = r.out.lines().find(|l| l.starts_with(begin));
        found.unwrap_or_else(|| panic!("{begin}: {}", r.out)).to_string()
    };
    assert!(line("ok    latency of timers[0]: p50 ").ends_with(" us <= 900 us"), "{}", r.out);
    let broken = line("FAIL  latency of timers[0]: max ");
    assert!(broken.contains(" us > 1 us  (") && broken.contains("limits.ron:"), "{broken}");
    assert!(line("ok    drift of timers[0]: max ").ends_with(" us <= 1000000 us"), "{}", r.out);
    assert!(r.out.contains("      repeat: timerace run "), "{}", r.out);
}

/// A timer that its callback arms again twice, at 100 us, at 200 us and at 300 us; the callback first works.
fn drift(dir: &Dir, work: &str, [second, third]: [&str; 2]) -> String {
    let text = format!(
        r#"Scenario(schema: 1, name: "raster", machine: (cpus: 1),
    vars: {{ "calls": int(0) }},
    maps: {{ "m": ARRAY(max_entries: 1) }},
    progs: {{
        "start": (type: SYSCALL, body: [
            bpf_timer_init("m[0]", CLOCK_MONOTONIC),
            bpf_timer_set_callback("m[0]", "tick"),
            bpf_timer_start("m[0]", "100us", [BPF_F_TIMER_ABS]),
        ]),
        "tick": (type: TIMER_CB, body: [
            work("{work}"),
            fetch_add("n", "calls", 1),
            if("n == 0", [ bpf_timer_start({second}) ]),
            if("n == 1", [ bpf_timer_start({third}) ]),
        ]),
    }},
    tasks: {{ "user": (cpu: 0, body: [ prog_run("start") ]) }},
    stop: time("1ms"),
    expect: [ drift(of: "m[0]", max: "1s") ],
)"#
    );
    let file = dir.file("raster.ron", text.as_bytes()).display().to_string();
    let r = timerace(dir, &["run", &file]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let line = r.out.lines().find(|l| l.starts_with("ok    drift of m[0]: max "));
    let rest = line.and_then(|l| l.strip_prefix("ok    drift of m[0]: max "));
    rest.and_then(|l| l.strip_suffix(" us <= 1000000 us"))
        .unwrap_or_else(|| panic!("{}", r.out))
        .to_string()
}

#[test]
fn a_relative_start_drifts_and_an_absolute_one_when_it_comes_too_late() {
    let dir = Dir::new("drift");
    let absolute = ["200us", "300us"].map(|at| format!("\"m[0]\", \"{at}\", [BPF_F_TIMER_ABS]"));
    let absolute = absolute.each_ref().map(String::as_str);
    let relative = ["\"m[0]\", \"100us\""; 2];
    let us = |work, starts| drift(&dir, work, starts).parse::<f64>().unwrap();
    // The next absolute time does not depend on when it is asked for.
    assert_eq!(drift(&dir, "50us", absolute), "0.0");
    // Asked for when it is over already: the second at 230 us and more, the third at 360 us and more.
    let late = us("130us", absolute);
    assert!((60.0..80.0).contains(&late), "{late}");
    // A relative start counts from the start itself: two times the work is lost.
    let lost = us("50us", relative);
    assert!((100.0..115.0).contains(&lost), "{lost}");
    // The relative start goes on from the raster of the absolute one.
    let mixed = us("50us", [absolute[0], relative[0]]);
    assert!((50.0..60.0).contains(&mixed), "{mixed}");
}
