//! `sweep`: rows, maps, axes of the command line, kernels as an axis.

use crate::support::{Dir, library, timerace, tree};

const GRID: &str = r#"Scenario(
    schema: 1,
    name: "grid",
    machine: (cpus: 2),
    params: {
        "len": sweep(from: "1us", to: "3us", step: "1us"),
        "goal": choice([4, 5]),
    },
    vars: { "x": int(0) },
    tasks: {
        "p": (cpu: 0, body: [ work("$len"), write("x", 1), wait_until("x == 5") ]),
        "q": (cpu: 1, body: [ write("x", "$goal") ]),
    },
    expect: [ sometimes(ANY_BUG) ],
)
"#;

#[test]
fn each_cell_is_a_row_whatever_the_number_of_threads() {
    let dir = Dir::new("sweep");
    dir.file("grid.ron", GRID.as_bytes());
    let r = timerace(&dir, &["sweep", "grid.ron", "--kernel", "v6.8", "-o", "one"]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let csv = std::fs::read_to_string(dir.0.join("one/sweep.csv")).unwrap();
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows[0], "len_ns,goal,schedules,bugs,complete,class");
    assert_eq!(rows.len(), 7);
    // With 4 the waiter never gets what it waits for; with 5 only where it writes last.
    assert_eq!(rows[1], "1000,4,2,2,1,DEADLOCK");
    assert_eq!(rows[2], "1000,5,2,1,1,SELF_DEADLOCK");
    assert!(r.out.contains("goal 4 .. 5 (2), len 1us .. 3us (3), 6 cells"), "{}", r.out);
    assert!(r.out.contains("  3us  #5\n  2us  #5\n  1us  #5\n"), "{}", r.out);
    for jobs in ["2", "7"] {
        let again =
            timerace(&dir, &["sweep", "grid.ron", "--kernel", "v6.8", "-o", jobs, "-j", jobs]);
        assert_eq!(again.out, r.out);
        assert_eq!(tree(&dir.0.join(jobs)), tree(&dir.0.join("one")));
    }
}

#[test]
fn axes_of_the_command_line_replace_those_of_the_file() {
    let dir = Dir::new("sweep-axis");
    dir.file("grid.ron", GRID.as_bytes());
    let args =
        ["sweep", "grid.ron", "--axis", "goal=5,6,7", "--set", "len=9us", "--format", "json"];
    let v = timerace(&dir, &args).json();
    assert_eq!(v["cells"].as_array().unwrap().len(), 3);
    assert_eq!((&v["cells"][1]["at"]["goal"], &v["kind"]), (&"6".into(), &"explore".into()));
    for (axis, part) in [
        ("gaol=1,2", "there is no parameter `gaol`; did you mean `goal`?"),
        ("goal=1..2", "in the cell"),
        ("goal", "expected NAME="),
        ("len=0us..1s/1ns", "at most a million values"),
    ] {
        let r = timerace(&dir, &["sweep", "grid.ron", "--axis", axis]);
        assert!(r.code == 2 && r.err.contains(part), "{axis}: {}{}", r.out, r.err);
    }
    let r = timerace(&dir, &["sweep", "grid.ron", "--axis", "goal=1,2", "--set", "goal=1"]);
    assert!(r.code == 2 && r.err.contains("both set and an axis"), "{}", r.err);
}

#[test]
fn kernels_are_an_axis() {
    let dir = Dir::new("sweep-kernels");
    let file = library().join("races/r07-cancel-free-uaf.ron").display().to_string();
    let args = ["sweep", &file, "--kernel", "v6.6..v6.9", "-o", "o"];
    let r = timerace(&dir, &args);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let csv = std::fs::read_to_string(dir.0.join("o/sweep.csv")).unwrap();
    let bugs: Vec<bool> = csv.lines().skip(1).map(|l| l.contains("USE_AFTER_FREE")).collect();
    assert!(csv.starts_with("kernel,schedules,bugs,complete,class\nv6.6,"), "{csv}");
    assert_eq!(bugs, [true, true, false, false]);
}

#[test]
fn timed_cells_have_percentiles() {
    let dir = Dir::new("sweep-timed");
    let file = library().join("periodic-under-net-rx.ron").display().to_string();
    let args = [
        "sweep",
        &file,
        "--axis",
        "period=100us,1ms",
        "--axis",
        "rx=5us,40us",
        "--seeds",
        "1..2",
        "-o",
        "o",
    ];
    let r = timerace(&dir, &args);
    assert!(r.code <= 1, "{}{}", r.out, r.err);
    let csv = std::fs::read_to_string(dir.0.join("o/sweep.csv")).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|l| l.split(',').collect()).collect();
    assert_eq!(rows[0][..7].join(","), "period_ns,rx_ns,expiries,min_ns,p50_ns,p99_ns,p999_ns");
    assert_eq!(rows[1][..2], ["100000", "5000"]);
    assert!((19_900..=20_000).contains(&rows[1][2].parse().unwrap()), "{csv}");
    let p99 = |row: usize| rows[row][5].parse::<u64>().unwrap();
    assert!(p99(2) > 30_000 && p99(1) < 15_000, "{csv}");
    assert!(r.out.contains("0-9 p99 from"), "{}", r.out);
}
