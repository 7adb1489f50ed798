//! `timing: Respect`: only what durations allow.

use crate::support::{Dir, Ran, timerace};

/// One task frees an object after a while, another one looks at it twice, with work in between.
fn explore(dir: &Dir, timing: &str, freed: &str, work: &str, more: &[&str]) -> Ran {
    let text = format!(
        r#"Scenario(
    schema: 1, name: "late-free", machine: (cpus: 2), timing: {timing},
    types: {{ "obj": [ u64("word") ] }},
    vars: {{ "slot": new("obj") }},
    tasks: {{
        "user": (cpu: 0, body: [
            read("p", "slot"),
            work("{work}"),
            if("p != NULL", [ read("r", "p->word") ]),
        ]),
        "freer": (cpu: 1, body: [ {freed}, xchg("p", "slot", NULL), free("p") ]),
    }},
    expect: [ never(ANY_BUG) ],
)"#
    );
    let file = dir.file("late-free.ron", text.as_bytes()).display().to_string();
    timerace(dir, &[&["explore", &file, "-o", "out"], more].concat())
}

const JSON: &[&str] = &["--format", "json"];

#[test]
fn a_free_that_comes_much_later_is_no_race_where_durations_count() {
    let dir = Dir::new("timing");
    let ignore = explore(&dir, "Ignore", r#"sleep("1ms")"#, "10us", JSON);
    assert_eq!((ignore.code, &ignore.json()["verdict"]), (1, &"bug".into()));
    // What durations would say of it is said all the same.
    let delay = ignore.json()["findings"][0]["delay_ns"].as_u64().unwrap();
    assert!((985_000..=990_100).contains(&delay), "{delay}");
    let r = explore(&dir, "Respect", r#"sleep("1ms")"#, "10us", JSON);
    let v = r.json();
    assert_eq!((r.code, &v["verdict"], &v["complete"]), (0, &"pass".into(), &true.into()), "{v:#}");
    assert!(v["impossible"].as_u64() > Some(0), "{v:#}");
    let said = explore(&dir, "Respect", r#"sleep("1ms")"#, "10us", &["-j", "2"]).out;
    assert!(said.contains("time: durations of the scenario and generic costs"), "{said}");
    assert!(said.contains("the nearest needs one step to be delayed by"), "{said}");
    assert_eq!(timerace(&dir, &["verify", "out/certificate.json", "--recount"]).code, 0);
}

#[test]
fn a_free_within_the_work_is_found_with_its_window() {
    let dir = Dir::new("timing-within");
    for freed in [r#"sleep("5us")"#, r#"work("1us..20us")"#, r#"sleep("1us..1ms")"#] {
        let r = explore(&dir, "Respect", freed, "10us", JSON);
        let v = r.json();
        assert_eq!((r.code, &v["verdict"]), (1, &"bug".into()), "{freed}: {v:#}");
        assert_eq!(v["findings"][0]["delay_ns"], 0, "{freed}");
        let splat = std::fs::read_to_string(dir.0.join("out/splat.txt")).unwrap();
        assert!(splat.contains("Window: at most 10 us"), "{splat}");
        assert!(splat.contains("no extra delay is needed"), "{splat}");
    }
}

#[test]
fn the_edge_of_the_window_is_where_lengths_say() {
    let dir = Dir::new("timing-edge");
    // The second look is 10 us and two steps of memory behind the start; the free is an atomic step behind the work.
    for (freed, bug) in [("9900ns", true), ("10020ns", false)] {
        let r = explore(&dir, "Respect", &format!("work(\"{freed}\")"), "10us", JSON);
        assert_eq!(r.json()["verdict"], if bug { "bug" } else { "pass" }, "{freed}: {}", r.out);
    }
}

#[test]
fn events_at_given_times_keep_their_order() {
    let dir = Dir::new("timing-events");
    let text = |timing: &str| {
        format!(
            r#"Scenario(
    schema: 1, name: "events", machine: (cpus: 2), timing: {timing},
    vars: {{ "x": int(0) }},
    tasks: {{
        "first": (cpu: 0, body: [ at("3ms", write("x", 1)) ]),
        "second": (cpu: 1, body: [ at("7ms", read("r", "x")), assert("r == 1") ]),
    }},
    expect: [ never(ANY_BUG) ],
)"#
        )
    };
    for (timing, verdict) in [("Ignore", "bug"), ("Respect", "pass")] {
        let file = dir.file("events.ron", text(timing).as_bytes()).display().to_string();
        let r = timerace(&dir, &["explore", &file, "--format", "json"]);
        assert_eq!(r.json()["verdict"], verdict, "{timing}: {}{}", r.out, r.err);
    }
    // A bound on preemptions cannot ask each schedule.
    let r = timerace(&dir, &["explore", "events.ron", "--preemptions", "1"]);
    assert!(r.code == 2 && r.err.contains("leave out one"), "{}", r.err);
    let r = timerace(&dir, &["explore", "events.ron", "--policy", "random", "--format", "json"]);
    assert_eq!(r.json()["failing"], 0, "{}", r.out);
}

/// Costs of one's own decide as durations do; the result and the certificate hold them.
#[test]
fn costs_of_a_file_count_in_explorations() {
    let dir = Dir::new("timing-costs");
    let slow = r#"(schema: 1, name: "slow", costs: { "Atomic": Const(2000000) })"#;
    let names = timerace(&dir, &["explain", "costs"]).out;
    let atomic = names.split(|c: char| !c.is_alphanumeric() && c != '_').find(|w| *w == "atomic");
    let slow = slow.replace("Atomic", atomic.expect("a class of costs"));
    let costs = dir.file("slow.ron", slow.as_bytes()).display().to_string();
    let with = ["--costs", costs.as_str(), "--format", "json"];
    // With the generic costs the free comes within the work.
    let r = explore(&dir, "Respect", r#"sleep("5us")"#, "10us", JSON);
    assert_eq!(r.json()["verdict"], "bug");
    // The exchange before the free takes 2 ms here: too late.
    let r = explore(&dir, "Respect", r#"sleep("5us")"#, "10us", &with);
    let v = r.json();
    assert_eq!((&v["verdict"], &v["complete"]), (&"pass".into(), &true.into()), "{v:#}");
    let text = explore(&dir, "Respect", r#"sleep("5us")"#, "10us", &with[..2]);
    assert!(text.out.contains("durations of the scenario and slow costs"), "{}", text.out);
    let certificate = std::fs::read_to_string(dir.0.join("out/certificate.json")).unwrap();
    assert!(certificate.contains("\"name\": \"slow\""), "{certificate}");
    // Neither needs the file.
    std::fs::remove_file(&costs).unwrap();
    let verified = timerace(&dir, &["verify", "out/certificate.json", "--recount"]);
    assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);
    assert_eq!(timerace(&dir, &["report", "out"]).code, 2, "nothing to draw without a finding");
    let r = explore(&dir, "Respect", r#"sleep("5us")"#, "10us", &with);
    assert_eq!(r.code, 2, "no such file: {}", r.err);
    dir.file("slow.ron", slow.as_bytes());
    let r = explore(&dir, "Ignore", r#"sleep("5us")"#, "10us", &with);
    let delay = r.json()["findings"][0]["delay_ns"].as_u64().unwrap();
    assert!(delay > 1_900_000, "{delay}");
    let drawn = std::fs::read(dir.0.join("out/race.svg")).unwrap();
    std::fs::remove_file(&costs).unwrap();
    let again = timerace(&dir, &["report", "out"]);
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    assert_eq!(std::fs::read(dir.0.join("out/race.svg")).unwrap(), drawn);
}
