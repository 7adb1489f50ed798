//! Saved results, drawn again.

use crate::support::{Dir, Ran, library, timerace, tree};
use std::path::Path;

/// Runs a command on a file of the library as if it lay in the folder of the test.
fn on(dir: &Dir, command: &str, file: &str, more: &[&str]) -> Ran {
    let name = Path::new(file).file_name().unwrap().to_str().unwrap();
    dir.file(name, &std::fs::read(library().join(file)).unwrap());
    timerace(dir, &[&[command, name], more].concat())
}

fn text(dir: &Dir, path: &str) -> String {
    std::fs::read_to_string(dir.0.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn a_suite_has_a_page_that_links_to_a_folder_for_each_case() {
    let dir = Dir::new("suite-page");
    for file in
        ["races/r07-cancel-free-uaf.ron", "cancel-own-callback.ron", "periodic-under-net-rx.ron"]
    {
        on(&dir, "check", file, &[]);
    }
    let args = ["test", ".", "--kernel", "v6.7..v6.8", "-o", "all", "-j", "2"];
    let r = timerace(&dir, &args);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let page = text(&dir, "all/index.html");
    let links: Vec<&str> =
        page.split("href=\"").skip(1).map(|t| t.split_once('"').unwrap().0).collect();
    assert_eq!(links.len(), 6, "{links:?}");
    for link in &links {
        assert!(dir.0.join("all").join(link).is_file(), "{link}");
    }
    assert!(links.contains(&"r07-cancel-free-uaf/v6.7/report.html"), "{links:?}");
    assert!(links.contains(&"r07-cancel-free-uaf/v6.8/cover.txt"), "{links:?}");
    let written = tree(&dir.0.join("all"));
    let r = timerace(&dir, &["report", "all", "-o", "again"]);
    assert_eq!(r.code, 0, "{}", r.err);
    same(&tree(&dir.0.join("again")), &written);
    // A folder of a case is a result of its own.
    assert_eq!(timerace(&dir, &["report", "all/r07-cancel-free-uaf/v6.7", "-o", "one"]).code, 0);
    assert_eq!(timerace(&dir, &args).code, 0, "the suite replaces its folder");
    same(&tree(&dir.0.join("all")), &written);
}

/// The same files with the same bytes; names the first one that differs.
fn same(a: &[(String, Vec<u8>)], b: &[(String, Vec<u8>)]) {
    let names = |t: &[(String, Vec<u8>)]| t.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(a), names(b));
    let other = a.iter().zip(b).find(|(a, b)| a.1 != b.1);
    assert!(other.is_none(), "{} differs", other.map_or("", |f| &f.0.0));
}

#[test]
fn what_report_makes_is_what_was_written() {
    let dir = Dir::new("report-same");
    on(&dir, "check", "periodic-under-net-rx.ron", &[]);
    timerace(&dir, &["run", "periodic-under-net-rx.ron", "-o", "first"]);
    let commands: [(&str, &str, &[&str]); 6] = [
        ("sweep", "races/r07-cancel-free-uaf.ron", &["--kernel", "v6.7..v6.8", "--theme", "dark"]),
        ("explore", "races/r07-cancel-free-uaf.ron", &["--kernel", "v6.7"]),
        (
            "explore",
            "races/r09-mutual-cancel.ron",
            &["--kernel", "v6.9", "--theme", "dark", "--width", "90"],
        ),
        (
            "replay",
            "races/r07-cancel-free-uaf.ron",
            &["--kernel", "v6.8", "--without", "0281b919e175", "--schedule", "1x12,2"],
        ),
        ("run", "periodic-under-net-rx.ron", &["--kernel", "v6.12", "--seed", "3"]),
        ("run", "cancel-running.ron", &["--kernel", "v6.12"]),
    ];
    for (command, file, args) in commands {
        on(&dir, command, file, &[args, &["-o", "a"]].concat());
        let written = tree(&dir.0.join("a"));
        assert!(written.iter().any(|f| f.0.ends_with(".svg")), "{command} {file}");
        // Nothing but the folder is needed.
        std::fs::remove_file(dir.0.join(Path::new(file).file_name().unwrap())).unwrap();
        let r = timerace(&dir, &["report", "a", "-o", "b"]);
        assert_eq!(r.code, 0, "{command} {file}: {}", r.err);
        same(&tree(&dir.0.join("b")), &written);
        // In place, and named by its result.
        for name in ["race.svg", "timeline.svg", "sweep.svg"].map(|n| dir.0.join("a").join(n)) {
            let _ = std::fs::remove_file(name);
        }
        assert_eq!(timerace(&dir, &["report", "a/result.json"]).code, 0, "{command} {file}");
        same(&tree(&dir.0.join("a")), &written);
    }
}

#[test]
fn costs_of_a_file_are_saved_with_the_run() {
    let dir = Dir::new("report-costs");
    let costs = library().join("../costs/generic.ron");
    let costs = std::fs::read_to_string(costs).unwrap();
    dir.file("mine.ron", costs.replace("generic", "mine").as_bytes());
    on(&dir, "run", "periodic-under-net-rx.ron", &["--costs", "mine.ron", "-o", "a"]);
    std::fs::remove_file(dir.0.join("mine.ron")).unwrap();
    let r = timerace(&dir, &["report", "a", "-o", "b"]);
    assert_eq!(r.code, 0, "{}", r.err);
    same(&tree(&dir.0.join("a")), &tree(&dir.0.join("b")));
}

#[test]
fn one_file_in_another_theme_leaves_the_others_as_they_are() {
    let dir = Dir::new("report-only");
    on(&dir, "explore", "races/r07-cancel-free-uaf.ron", &["--kernel", "v6.7", "-o", "a"]);
    let before = tree(&dir.0.join("a"));
    let r = timerace(&dir, &["report", "a", "--theme", "dark", "--only", "race.svg"]);
    assert_eq!(r.code, 0, "{}", r.err);
    let after = tree(&dir.0.join("a"));
    assert_eq!(before.len(), after.len());
    for (a, b) in before.iter().zip(&after) {
        assert_eq!(a.1 == b.1, a.0 != "race.svg", "{}", a.0);
    }
    assert!(text(&dir, "a/race.svg").contains("#0f1318"));
    let r = timerace(&dir, &["report", "a", "--only", "latency.svg"]);
    assert_eq!(r.code, 2);
    assert!(r.err.contains("race.svg"), "it names what there is: {}", r.err);
}

/// Graphs of a search as a whole, which no replay of one schedule can make.
#[test]
fn graphs_of_a_search_are_drawn_again_in_another_theme() {
    let dir = Dir::new("report-graphs");
    let found = ["explore", "races/h3-three-way-wait.ron", "v6.7"];
    let passed = ["explore", "races/r05-htab-reinit.ron", "v6.7"];
    for [command, file, kernel] in [found, passed] {
        let flags = ["--kernel", kernel, "--keep-going", "-o"];
        on(&dir, command, file, &[&flags[..], &["light"]].concat());
        on(&dir, command, file, &[&flags[..], &["dark", "--theme", "dark"]].concat());
        let r = timerace(&dir, &["report", "light", "--theme", "dark", "-o", "again"]);
        assert_eq!(r.code, 0, "{file}: {}", r.err);
        for name in ["states.svg", "states.dot", "lock-order.svg", "lock-order.dot"] {
            let again = text(&dir, &format!("again/{name}"));
            assert_eq!(again, text(&dir, &format!("dark/{name}")), "{file}: {name}");
            let drawn = name.ends_with(".svg");
            assert_eq!(again.contains("#0f1318"), drawn, "{file}: {name}");
            assert_eq!(again != text(&dir, &format!("light/{name}")), drawn, "{file}: {name}");
        }
    }
}

#[test]
fn final_states_say_how_many_schedules_end_in_each_and_how() {
    let dir = Dir::new("outcomes");
    let args = ["--kernel", "v6.8", "--keep-going", "--format", "json", "-o", "a"];
    let v = on(&dir, "explore", "races/r09-mutual-cancel.ron", &args).json();
    let all = v["outcomes"].as_array().unwrap();
    let sum = |key: &str| all.iter().map(|o| o[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("schedules"), sum("failing")), (108, 44));
    let dot = text(&dir, "a/states.dot");
    for o in all {
        let schedule = o["schedule"].as_str().unwrap();
        assert!(dot.contains(schedule), "{schedule}");
        let args = ["--kernel", "v6.8", "--schedule", schedule, "--format", "json"];
        let r = on(&dir, "replay", "races/r09-mutual-cancel.ron", &args).json();
        assert_eq!(r["findings"][0]["class"], o["classes"][0], "{schedule}");
    }
}

#[test]
fn a_folder_that_cannot_be_drawn_says_why() {
    let dir = Dir::new("report-bad");
    let refused = |args: &[&str], code: i32, why: &str| {
        let r = timerace(&dir, args);
        assert_eq!(r.code, code, "{}", r.err);
        assert!(r.err.contains(why), "{}", r.err);
    };
    refused(&["report", "nowhere"], 2, "nowhere");
    std::fs::create_dir(dir.0.join("empty")).unwrap();
    refused(&["report", "empty"], 2, "result.json");
    std::fs::write(dir.0.join("empty/result.json"), "{\"schema\": 1}").unwrap();
    refused(&["report", "empty"], 2, "names no command");
    on(&dir, "explore", "races/r01-init-garbage.ron", &["--kernel", "v6.8", "-o", "pass"]);
    refused(&["report", "pass"], 2, "nothing was found");
    on(&dir, "explore", "races/r07-cancel-free-uaf.ron", &["--kernel", "v6.7", "-o", "a"]);
    let schedule = text(&dir, "a/schedule.ron");
    std::fs::write(dir.0.join("a/schedule.ron"), schedule.replace("kfree(t)", "kfree_rcu(t)"))
        .unwrap();
    refused(&["report", "a"], 5, "E0501");
    std::fs::write(dir.0.join("a/schedule.ron"), "Schedule(schema: 1").unwrap();
    refused(&["report", "a"], 2, "schedule.ron");
    std::fs::remove_file(dir.0.join("a/scenario.ron")).unwrap();
    std::fs::write(dir.0.join("a/schedule.ron"), schedule).unwrap();
    refused(&["report", "a"], 2, "scenario.ron is missing");
}

#[cfg(not(feature = "png"))]
#[test]
fn without_the_feature_png_is_refused_before_anything_is_written() {
    let dir = Dir::new("no-png");
    let args = ["--kernel", "v6.7", "--png", "-o", "a"];
    let r = on(&dir, "explore", "races/r07-cancel-free-uaf.ron", &args);
    assert_eq!(r.code, 2);
    assert!(r.err.contains("--features png"), "{}", r.err);
    assert!(!dir.0.join("a").exists());
}

#[cfg(feature = "png")]
#[test]
fn png_files_stand_beside_their_pictures() {
    let dir = Dir::new("png");
    let args = ["--kernel", "v6.7", "--png", "-o", "a"];
    assert_eq!(on(&dir, "explore", "races/r07-cancel-free-uaf.ron", &args).code, 0);
    let written = tree(&dir.0.join("a"));
    let png = |name: &str| written.iter().find(|f| f.0 == name).map(|f| f.1.clone());
    let race = png("race.png").unwrap();
    let svg = text(&dir, "a/race.svg");
    let size = |name: &str| -> f64 {
        svg.split_once(&format!("{name}=\"")).unwrap().1.split('"').next().unwrap().parse().unwrap()
    };
    let side = |at: usize| u32::from_be_bytes(race[at..at + 4].try_into().unwrap());
    for (name, at) in [("width", 16), ("height", 20)] {
        assert!((f64::from(side(at)) - 2.0 * size(name)).abs() <= 2.0, "{name}: {}", side(at));
    }
    timerace(&dir, &["report", "a", "-o", "b"]);
    same(&tree(&dir.0.join("b")), &written);
    on(&dir, "run", "periodic-under-net-rx.ron", &["-o", "run"]);
    assert_eq!(timerace(&dir, &["report", "run", "--png"]).code, 0);
    assert!(dir.0.join("run/latency.png").exists() && dir.0.join("run/timeline.png").exists());
}
