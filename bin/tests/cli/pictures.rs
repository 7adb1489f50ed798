//! What is written for the races of the library: texts that could stand in a commit message, and pictures.

use crate::support::{Dir, Ran, golden, library, timerace, tree};

/// A browser, if there is one.
#[path = "../../../reports/tests/reports/browser.rs"]
mod browser;
/// What every picture must hold.
#[path = "../../../reports/tests/reports/svg.rs"]
mod svg;

/// Races whose pictures are kept: file, a kernel that has it.
const KEPT: [(&str, &str); 4] = [
    ("r06-timer-init-uref", "v6.6"),
    ("r07-cancel-free-uaf", "v6.7"),
    ("r09-mutual-cancel", "v6.8"),
    ("r10-self-arm-free", "v6.8"),
];

/// Runs a command on a race of the library as if its file lay in the folder of the test: pictures name it.
fn on_race(dir: &Dir, command: &str, name: &str, more: &[&str]) -> Ran {
    let file = format!("{name}.ron");
    let from = library().join("races").join(&file);
    dir.file(&file, &std::fs::read(from).unwrap());
    timerace(dir, &[&[command, &file], more].concat())
}

fn read(dir: &Dir, path: &str) -> String {
    std::fs::read_to_string(dir.0.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn texts_of_races_could_stand_in_a_commit_message() {
    let dir = Dir::new("race-text");
    for (name, kernel) in KEPT {
        on_race(&dir, "explore", name, &["--kernel", kernel, "-o", name]);
        let text = read(&dir, &format!("{name}/race.txt"));
        golden(&format!("{name}.txt"), &text);
        let (heading, body) = text.split_once("\n\n").unwrap();
        assert!(heading.starts_with("CPU"), "{name}: {heading}");
        let lines: Vec<&str> =
            body.split("\n\n").next().unwrap().lines().filter(|l| !l.is_empty()).collect();
        assert!((8..=14).contains(&lines.len()), "{name}: {} lines", lines.len());
        assert!(!lines.iter().any(|l| l.trim() == "..."), "{name}: nothing is left to guess");
        let marked = lines.iter().any(|l| l.trim_start_matches(' ').starts_with('^'));
        let waits = lines.iter().filter(|l| l.contains("waits for ever")).count();
        assert!(marked || waits == 2, "{name}: the bad access is marked\n{text}");
        let v = on_race(&dir, "explore", name, &["--kernel", kernel, "--format", "json"]).json();
        let schedule = v["findings"][0]["schedule"].as_str().unwrap().to_string();
        let args = ["--kernel", kernel, "--schedule", &schedule, "--full"];
        let steps = on_race(&dir, "replay", name, &args).out;
        for line in lines.iter().map(|l| l.trim()).filter(|l| l.contains(" = ") && !l.contains('/'))
        {
            assert!(steps.contains(line), "{name}: `{line}` is no line of the run");
        }
    }
}

#[test]
fn explore_and_replay_draw_the_same_picture() {
    let dir = Dir::new("race-svg");
    for (name, kernel) in KEPT {
        on_race(&dir, "explore", name, &["--kernel", kernel, "-o", "a"]);
        let saved = dir.file("saved.ron", read(&dir, "a/schedule.ron").as_bytes());
        let schedule = saved.display().to_string();
        let args = ["--kernel", kernel, "--schedule", &schedule, "-o", "b"];
        let r = on_race(&dir, "replay", name, &args);
        assert_eq!(r.code, 1, "{name}: {}", r.err);
        let drawn = read(&dir, "a/race.svg");
        golden(&format!("{name}.svg"), &drawn);
        for file in ["race.svg", "race.txt", "splat.txt", "schedule.ron", "trace.shiviz"] {
            let (a, b) = (read(&dir, &format!("a/{file}")), read(&dir, &format!("b/{file}")));
            assert_eq!(a, b, "{name}: {file}");
        }
        let args = ["--kernel", kernel, "--theme", "dark", "-o", "a"];
        on_race(&dir, "explore", name, &args);
        let dark = read(&dir, "a/race.svg");
        assert!(dark.contains("#0f1318") && !dark.contains("#ffffff"), "{name}");
    }
}

#[test]
fn a_folder_that_held_a_pass_can_hold_a_bug() {
    let dir = Dir::new("pass-then-bug");
    let name = "r07-cancel-free-uaf";
    for kernel in ["v6.8", "v6.7", "v6.8"] {
        let r = on_race(&dir, "explore", name, &["--kernel", kernel, "-o", "out"]);
        assert_eq!(r.code, 0, "{kernel}: {}", r.err);
    }
}

#[test]
fn pages_walk_through_their_steps_in_a_browser() {
    let dir = Dir::new("browser");
    for (name, kernel) in KEPT {
        on_race(&dir, "explore", name, &["--kernel", kernel, "-o", name]);
        let page = format!("{name}/report.html");
        let Some(dom) = browser::open(&dir.0, &format!("{page}#selftest")) else {
            return;
        };
        assert!(dom.contains("data-selftest=\"ok "), "{name}: {}", &dom[dom.len() - 300..]);
        let no = dom.split(" id=\"step-").nth(2).and_then(|t| t.split('"').next()).unwrap();
        let linked = browser::open(&dir.0, &format!("{page}#step={no}")).unwrap();
        assert!(linked.contains(&format!("<body data-step=\"{no}\">")), "{name}: step {no}");
    }
    let file = library().join("periodic-under-net-rx.ron").display().to_string();
    timerace(&dir, &["run", &file, "-o", "run"]);
    let page = read(&dir, "run/report.html");
    assert!(page.len() < 500_000, "{}", page.len());
    assert!(page.contains("<figure id=\"timeline\">") && page.contains("dark-only"));
    let dom = browser::open(&dir.0, "run/report.html#selftest").unwrap();
    assert!(dom.contains("data-selftest=\"ok "), "run: {}", &dom[dom.len() - 300..]);
}

/// Findings without a second access: file, kernel, lines that the picture shows in this order, why it is possible.
const LED_TO: [(&str, &[&str], &[&str], &str); 10] = [
    (
        "d6-double-put",
        &["v7.0", "--without", "8bb1e32b3fac"],
        &[
            "prev = cb->prog",
            "bpf_prog_put(prog)",
            "prev = cb->prog",
            "bpf_prog_put(prog)",
            "^^^",
            "the count is used up",
        ],
        "which nobody clears in between: the one reference that it stands for is put twice",
    ),
    (
        "h1-rt-spurious-edeadlk",
        &["v6.16"],
        &[
            "this_cpu_write(hrtimer_running, t)",
            "this_cpu_read(hrtimer_running)",
            "-EDEADLK",
            "^^^",
        ],
        "finds bpf_hrtimer #1 in hrtimer_running.0",
    ),
    (
        "h2-uref-walk-skip",
        &["v7.3"],
        &["atomic64_dec_and_test(&map->usercnt)", "bpf_timer_cb()", "^^^", "no user reference"],
        "dropped the last user reference",
    ),
    (
        "h5-armed-after-cancel",
        &["v7.3"],
        &["bpf_timer_cancel", "hrtimer_start(", "write(\"over\", 1)", "reads 1", "assert(", "^^^"],
        "finds 1 in over",
    ),
    (
        "r02-copy-overwrite",
        &["v5.16"],
        &["copy_map_value(map, value, src)", "READ_ONCE(timer->timer)", "^^^", "is no pointer"],
        "into timers #1.timer, which is no pointer",
    ),
    (
        "r12-rt-sleep-under-raw-lock",
        &["v6.13"],
        &["raw_spin_lock(&b->raw_lock)", "spin_lock_bh(", "^^^", "must not sleep here"],
        "sleeps on PREEMPT_RT, and timers.bucket[0].lock is held",
    ),
    (
        "r17-stale-reinit",
        &["v6.19"],
        &["bpf_map_kmalloc_nolock(", "hrtimer_start(", "kfree(l)", "^", "frees the last pointer"],
        "The last pointer to bpf_hrtimer #1 goes in step",
    ),
    (
        "r22-sleepable-callback",
        &["v6.18"],
        &["<HRTIMER softirq>", "cb()", "bpf_copy_from_user()", "might_sleep()", "^^^"],
        "cb() runs in a softirq",
    ),
    (
        "r23-iter-uref",
        &["v5.19"],
        &["timer->timer = NULL", "t = timer->timer  // reads NULL", "return -EINVAL", "^^^"],
        "finds NULL in timers #1.timer",
    ),
    (
        "r24-lost-on-dying-cpu",
        &["v6.13"],
        &["old_base->online = 0", "timerqueue_add(", "^^^", "armed, but will never expire"],
        "nobody empties that queue any more",
    ),
];

#[test]
fn pictures_show_what_led_to_findings_without_a_second_access() {
    let dir = Dir::new("led-to");
    for (name, kernel, lines, why) in LED_TO {
        on_race(&dir, "explore", name, &[&["--kernel"], kernel, &["-o", name]].concat());
        let text = read(&dir, &format!("{name}/race.txt"));
        let mut rest = text.as_str();
        for line in lines {
            let at = rest.find(line).unwrap_or_else(|| panic!("{name}: no `{line}`\n{text}"));
            rest = &rest[at..];
        }
        assert!(text.lines().count() <= 20, "{name}\n{text}");
        assert!(!text.contains("(idle)"), "{name}");
        let svg = read(&dir, &format!("{name}/race.svg"));
        let words = svg.replace("</text>", " ");
        let words: String =
            words.split('<').map(|t| t.split_once('>').map_or(t, |(_, text)| text)).collect();
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&why.replace('>', "&gt;")), "{name}: {words}");
        assert!(!svg.contains("(idle)"), "{name}");
    }
}

#[test]
fn all_races_are_drawn_with_their_texts_inside_and_apart() {
    let dir = Dir::new("all-races");
    let races = library().join("races").display().to_string();
    let kernels = "v5.16,v6.2,v6.7,v6.9,v6.14,v6.19,v7.3";
    let r = timerace(&dir, &["test", &races, "--kernel", kernels, "-o", "all", "-j", "2", "-q"]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let r = timerace(&dir, &["report", "all", "--theme", "dark", "-o", "dark", "-q"]);
    assert_eq!(r.code, 0, "{}", r.err);
    for folder in ["all", "dark"] {
        let (mut drawn, mut scenarios) = (0, std::collections::BTreeSet::new());
        for (name, bytes) in tree(&dir.0.join(folder)) {
            let file = name.rsplit('/').next().unwrap();
            // Charts have a canvas of their own, and a test of their own.
            if !file.ends_with(".svg") || file == "latency.svg" {
                continue;
            }
            let text = std::str::from_utf8(&bytes).unwrap();
            svg::check(&format!("{folder}/{name}"), text);
            let why = file != "race.svg" || text.contains("Why it is possible");
            assert!(why, "{folder}/{name} does not say why it is possible");
            // Words that pack two numbers have names.
            let numbers = text.split(['<', '>']).filter_map(|t| t.trim().parse::<u64>().ok());
            let packed = numbers.filter(|n| *n > u64::from(u32::MAX)).max();
            assert_eq!(packed, None, "{folder}/{name} shows a raw number");
            drawn += 1;
            scenarios.insert(name.split('/').next().unwrap().to_string());
        }
        assert!(drawn > 150 && scenarios.len() > 38, "{folder}: {drawn} of {scenarios:?}");
    }
}
