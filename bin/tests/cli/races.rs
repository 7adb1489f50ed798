//! The races that the tool is for: found, replayed, and gone with their fix.

use crate::support::{Dir, library, timerace};

/// File, a kernel that has the race, its class, and the commit that ends it.
const RACES: [(&str, &str, &str, &str); 4] = [
    ("r06-timer-init-uref", "v6.6", "LEAK", "fd381ce60a2d"),
    ("r07-cancel-free-uaf", "v6.7", "USE_AFTER_FREE", "0281b919e175"),
    ("r09-mutual-cancel", "v6.8", "DEADLOCK", "d4523831f07a"),
    ("r10-self-arm-free", "v6.8", "USE_AFTER_FREE", "a6fcd19d7eac"),
];

fn file(name: &str) -> String {
    library().join("races").join(format!("{name}.ron")).display().to_string()
}

#[test]
fn each_race_is_found_and_the_bug_is_expected_there() {
    let dir = Dir::new("found");
    for (name, kernel, class, _) in RACES {
        let r = timerace(&dir, &["explore", &file(name), "--kernel", kernel, "--format", "json"]);
        assert_eq!(r.code, 0, "{name}: {}{}", r.out, r.err);
        let v = r.json();
        assert_eq!(v["verdict"], "bug", "{name}");
        let classes: Vec<_> =
            v["findings"].as_array().unwrap().iter().map(|f| f["class"].clone()).collect();
        assert!(classes.contains(&class.into()), "{name}: {classes:?}");
    }
}

#[test]
fn each_race_is_gone_with_its_fix_over_every_schedule() {
    let dir = Dir::new("gone");
    for (name, kernel, _, commit) in RACES {
        let args =
            ["explore", &file(name), "--kernel", kernel, "--with", commit, "--format", "json"];
        let r = timerace(&dir, &args);
        let v = r.json();
        assert_eq!(r.code, 0, "{name}: {}{}", r.out, r.err);
        assert_eq!((&v["verdict"], &v["complete"]), (&"pass".into(), &true.into()), "{name}");
        assert!(v["window_entered"].as_u64().unwrap() > 0, "{name}: the window was never entered");
        assert_eq!(v["failing"], 0, "{name}");
    }
}

#[test]
fn the_nearest_schedule_that_passes_is_named_and_passes() {
    let dir = Dir::new("passing");
    for (name, kernel, ..) in RACES {
        let file = file(name);
        let args = ["explore", &file, "--kernel", kernel];
        let v = timerace(&dir, &[&args[..], &["--format", "json"]].concat()).json();
        let f = &v["findings"][0];
        let passing = f["passing"]["schedule"].as_str().unwrap_or_else(|| panic!("{name}: {f:#}"));
        let replay = ["replay", &file, "--kernel", kernel, "--schedule", passing];
        let r = timerace(&dir, &replay);
        assert_eq!(r.code, 0, "{name}: {passing} shows a finding: {}{}", r.out, r.err);
        let text = timerace(&dir, &args).out;
        assert!(text.contains("Passes: if ") && text.contains(passing), "{name}: {text}");
    }
}

#[test]
fn a_printed_schedule_gives_the_same_finding_at_the_same_step() {
    let dir = Dir::new("replay");
    for (name, kernel, ..) in RACES {
        let file = file(name);
        let v = timerace(&dir, &["explore", &file, "--kernel", kernel, "--format", "json"]).json();
        for f in v["findings"].as_array().unwrap() {
            let schedule = f["schedule"].as_str().unwrap();
            let args = ["replay", &file, "--kernel", kernel, "--schedule", schedule];
            let r = timerace(&dir, &[&args[..], &["--format", "json"]].concat());
            let again = r.json();
            let same =
                again["findings"].as_array().unwrap().iter().any(|g| {
                    ["class", "functions", "step", "schedule"].iter().all(|k| g[*k] == f[*k])
                });
            assert!(same, "{name}: {f} is not in {}", again["findings"]);
        }
        let saved = dir.0.join("timerace-out").join(name).join(kernel).join("schedule.ron");
        let saved = saved.display().to_string();
        let r = timerace(&dir, &["replay", &file, "--kernel", kernel, "--schedule", &saved]);
        assert_eq!(r.code, 1, "{name}: the saved schedule shows the bug: {}{}", r.out, r.err);
    }
}

/// H2 has three parties: the timer that fires, the walk that missed it, and who made it miss it.
#[test]
fn a_callback_after_the_last_user_reference_shows_the_walk_and_who_disturbed_it() {
    let dir = Dir::new("walk");
    let r = timerace(&dir, &["explore", &file("h2-uref-walk-skip"), "--kernel", "v7.3"]);
    let at = |text: &str| r.out.find(text).unwrap_or_else(|| panic!("no {text}: {}", r.out));
    at("Last user reference dropped, its walk over in step ");
    assert!(!r.out.contains("Allocated"), "{}", r.out);
    let picture =
        ["map_release_uref()\n", "hlist_nulls_del_rcu(l_old)", "hlist_nulls_add_head_rcu(l_new)"];
    let order: Vec<usize> = picture.iter().map(|t| at(t)).collect();
    assert!(order.is_sorted() && order[2] < at("callback_fn = t->callback_fn"), "{}", r.out);
}

#[test]
fn a_schedule_that_does_not_fit_ends_with_5() {
    let dir = Dir::new("diverged");
    let file = file("r07-cancel-free-uaf");
    for s in ["1x400", "0x1", "2x1,1!timer"] {
        let r = timerace(&dir, &["replay", &file, "--kernel", "v6.7", "--schedule", s]);
        assert!(r.code == 5 || r.code == 2, "{s}: {} {}", r.code, r.err);
        assert!(r.err.contains("error"), "{s}: {}", r.err);
    }
    // It says where it left the path, and what could have come there.
    for (s, words) in [
        ("1x400", "cannot step any further; possible: "),
        ("1x3,1=1", "step 4: `1=1`: the step has the alternatives 0 to 0"),
        ("1x3,1!timer", "step 4: `timer` cannot come on CPU1 there; possible: "),
    ] {
        let r = timerace(&dir, &["replay", &file, "--kernel", "v6.7", "--schedule", s]);
        assert_eq!(r.code, 5, "{s}: {}", r.err);
        assert!(r.err.contains(words), "{s}: {}", r.err);
    }
}

#[test]
fn the_known_counts_are_reported() {
    let dir = Dir::new("counts");
    for (name, schedules, failing) in [("ring-3", 7, 1), ("r07-raw", 7, 3), ("r07-raw-fixed", 5, 0)]
    {
        let file = library().join("patterns").join(format!("{name}.ron")).display().to_string();
        let r = timerace(&dir, &["explore", &file, "--keep-going", "--format", "json"]);
        assert_eq!(r.code, 0, "{name}: {}{}", r.out, r.err);
        let v = r.json();
        assert_eq!(v["schedules"], schedules, "{name}");
        assert_eq!(v["failing"], failing, "{name}");
        assert_eq!(v["complete"], true, "{name}");
    }
}

#[test]
fn the_whole_library_holds_on_every_kernel() {
    let dir = Dir::new("library");
    let lib = library().display().to_string();
    let mut args = vec!["test", &lib, "--kernel", "v5.15..v6.19", "-j", "2"];
    for stable in ["v6.1.192", "v6.12.117", "v6.18.44"] {
        args.extend(["--kernel", stable]);
    }
    let r = timerace(&dir, &args);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    assert!(!r.out.contains("FAIL") && !r.out.contains("INCOMPLETE"), "{}", r.out);
}

#[test]
fn a_fix_that_is_missing_fails_a_scenario_that_asks_for_it() {
    let dir = Dir::new("regression");
    let text = std::fs::read_to_string(file("r07-cancel-free-uaf")).unwrap();
    let strict = text.replace("on(\"has 0281b919e175\", never(ANY_BUG)),", "never(ANY_BUG),");
    let cut = strict.find("on(\"lacks").unwrap();
    let end = strict[cut..].find("USE_AFTER_FREE))),").unwrap() + cut + "USE_AFTER_FREE))),".len();
    let strict = format!("{}{}", &strict[..cut], &strict[end..]);
    let at = dir.file("strict.ron", strict.as_bytes()).display().to_string();
    assert_eq!(timerace(&dir, &["test", &at, "--kernel", "v6.7"]).code, 1);
    assert_eq!(timerace(&dir, &["test", &at, "--kernel", "v6.8"]).code, 0);
    let with = ["test", &at, "--kernel", "v6.7", "--with", "0281b919e175"];
    assert_eq!(timerace(&dir, &with).code, 0);
}

#[test]
fn a_sample_says_how_often_and_how_sure() {
    let dir = Dir::new("sample");
    let file = file("r07-cancel-free-uaf");
    let args = ["explore", &file, "--kernel", "v6.7", "--keep-going", "--max-schedules", "500"];
    for policy in ["random", "pct"] {
        let args = [&args[..], &["--policy", policy]].concat();
        let v = timerace(&dir, &[&args[..], &["--format", "json"]].concat()).json();
        let e = &v["estimate"];
        let share = v["failing"].as_f64().unwrap() / 500.0;
        let (low, high) = (e["low"].as_f64().unwrap(), e["high"].as_f64().unwrap());
        assert!(low < share && share < high && high - low < 0.1, "{policy}: {e}");
        let text = timerace(&dir, &args).out;
        assert!(text.contains("with 95 % confidence"), "{text}");
        if policy == "pct" {
            assert!(text.contains("Guarantee: a bug of depth 3 is met with at least 1/(n k^2)"));
            // It keeps its promise, by far.
            assert!(share > e["guarantee"]["at_least"].as_f64().unwrap(), "{e}");
        }
    }
}

#[test]
fn runs_with_many_seeds_say_how_often_a_race_comes() {
    let dir = Dir::new("rate");
    // Two callbacks that expire together on two CPUs, again and again.
    let file = file("r09-mutual-cancel");
    let args = ["run", &file, "--kernel", "v6.8", "--seeds", "1..20"];
    let v = timerace(&dir, &[&args[..], &["--format", "json"]].concat()).json();
    let text = timerace(&dir, &args).out;
    let found = v["findings"].as_array().unwrap();
    for f in found {
        let r = &f["rate"];
        assert_eq!(r["runs"], f["runs"]);
        let ns = |k: &str| r[k].as_u64().unwrap();
        assert!(ns("once_in_ns_low") < ns("once_in_ns"), "{r}");
        assert!(ns("once_in_ns") < ns("once_in_ns_high"), "{r}");
        assert!(text.contains("once in about") && text.contains("with these periods"), "{text}");
    }
    if found.is_empty() {
        assert!(text.contains("less often than once in"), "{text}");
    }
}
