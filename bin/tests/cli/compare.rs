//! `compare`: kernels and settings side by side.

use crate::support::{Dir, library, timerace};

fn race(name: &str) -> String {
    library().join("races").join(format!("{name}.ron")).display().to_string()
}

#[test]
fn two_kernels_part_where_the_fix_is() {
    let dir = Dir::new("compare-kernels");
    let file = race("r07-cancel-free-uaf");
    let r = timerace(&dir, &["compare", "v6.7..v6.8", &file]);
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    for part in [
        "                v6.7                        v6.8\n",
        "verdict         use-after-free              no bug\n",
        "(complete)",
        "First difference, schedule ",
        "kfree(t)",
        "// use-after-free",
        "Rules changed:\n",
        "0281b919e175",
    ] {
        assert!(r.out.contains(part), "`{part}`:\n{}", r.out);
    }
    assert!(r.out.is_ascii());
    // The same bytes with more threads, and with the fix alone in the place of the release.
    let more = timerace(&dir, &["compare", "v6.7..v6.8", &file, "-j", "3"]);
    assert_eq!(more.out, r.out);
    let args = ["compare", "v6.7..v6.7+0281b919e175", &file, "--format", "json"];
    let v = timerace(&dir, &args).json();
    let rules = v["rules"].as_array().unwrap();
    assert_eq!((rules.len(), &rules[0]["commit"]), (1, &"0281b919e175".into()));
    let sides = v["sides"].as_array().unwrap();
    assert!(sides[0]["failing"].as_u64() > Some(0) && sides[1]["failing"] == 0, "{v}");
    let rows = v["first_difference"]["rows"].as_array().unwrap();
    // What is freed at once on one side is handed to RCU on the other.
    assert!(
        rows.iter().any(|r| r["a"]["text"] == "kfree(t)" && r["b"]["text"] != "kfree(t)"),
        "{v}"
    );
}

#[test]
fn the_same_kernel_twice_has_no_difference() {
    let dir = Dir::new("compare-same");
    let r = timerace(&dir, &["compare", "v6.7..v6.7", &race("r07-cancel-free-uaf")]);
    assert!(r.out.contains("the failing schedule is the same on both"), "{}", r.out);
    assert!(!r.out.contains("Rules changed") && !r.out.contains("larger than"), "{}", r.out);
}

#[test]
fn settings_differ_by_more_than_the_noise_or_not() {
    let dir = Dir::new("compare-settings");
    let file = library().join("periodic-under-net-rx.ron").display().to_string();
    let figures = |versus: &str, seeds: &str| {
        let args = ["compare", &file, "--versus", versus, "--seeds", seeds, "--format", "json"];
        let r = timerace(&dir, &args);
        assert_eq!(r.code, 0, "{}", r.err);
        let v = r.json();
        (v["sides"][1]["name"].clone(), v["latency"][1].clone())
    };
    let (name, p99) = figures("rx=20us..44us", "1..5");
    assert_eq!(name, "rx=20us..44us");
    assert_eq!((&p99["name"], &p99["larger_than_noise"]), (&"p99".into(), &true.into()), "{p99}");
    assert!(p99["b_ns"].as_u64() > p99["a_ns"].as_u64());
    // Another spelling of the same is the same.
    let (_, p99) = figures("rx=5000ns..30us", "1..5");
    assert_eq!((&p99["p_per_10000"], &p99["larger_than_noise"]), (&10_000.into(), &false.into()));
    let (_, p99) = figures("rx=20us..44us", "1..1");
    assert!(p99["larger_than_noise"].is_null(), "one seed says nothing: {p99}");
}

#[test]
fn a_folder_keeps_the_result_and_the_command() {
    let dir = Dir::new("compare-out");
    let file = race("r07-cancel-free-uaf");
    let kernels = ["compare", "v6.7..v6.7+0281b919e175", &file, "--seeds", "1..3"];
    let settings = library().join("periodic-under-net-rx.ron").display().to_string();
    let settings = ["compare", &settings, "--kernel", "v6.12", "--versus", "rx=20us..44us"];
    for (folder, args) in [("kernels", &kernels[..]), ("settings", &settings[..])] {
        let json = timerace(&dir, &[args, &["--format", "json"]].concat()).json();
        let r = timerace(&dir, &[args, &["-o", folder]].concat());
        assert_eq!(r.code, 0, "{}{}", r.out, r.err);
        assert!(r.err.contains(&format!("wrote {folder}")), "{}", r.err);
        let text = std::fs::read(dir.0.join(folder).join("result.json")).unwrap();
        let mut kept: serde_json::Value = serde_json::from_slice(&text).unwrap();
        // The command gives the same again.
        let command = kept.as_object_mut().unwrap().remove("command").unwrap();
        assert_eq!(kept, json);
        let words: Vec<&str> =
            command.as_array().unwrap().iter().flat_map(|w| w.as_str()).collect();
        assert_eq!(timerace(&dir, &words).out, r.out, "{words:?}");
        assert!(dir.0.join(folder).join("scenario.ron").exists());
    }
    // With costs of its own, the folder stands alone.
    let costs = std::fs::read(library().join("../costs/virt-6.18-idle.ron")).unwrap();
    dir.file("lab.ron", &costs);
    let config = dir.file("timerace.ron", b"Config(schema: 1, costs: \"lab.ron\")");
    let r = timerace(&dir, &[&kernels[..], &["-o", "costs"]].concat());
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    assert!(dir.0.join("costs/costs.ron").exists() && !dir.0.join("kernels/costs.ron").exists());
    std::fs::remove_file(config).unwrap();
    // What is there and is no result is left as it is.
    std::fs::create_dir(dir.0.join("mine")).unwrap();
    std::fs::write(dir.0.join("mine/notes"), "keep").unwrap();
    let r = timerace(&dir, &[&kernels[..], &["-o", "mine"]].concat());
    assert!(r.code == 2 && r.err.contains("mine"), "{}{}", r.out, r.err);
    assert_eq!(std::fs::read_to_string(dir.0.join("mine/notes")).unwrap(), "keep");
}

#[test]
fn wrong_usage() {
    let dir = Dir::new("compare-usage");
    let file = race("r07-cancel-free-uaf");
    for (args, part) in [
        (&["compare", file.as_str()][..], "there is nothing to compare"),
        (&["compare", "v6.7", file.as_str()], "no pair of kernels"),
        (&["compare", "v6.7..v6.99", file.as_str()], "v6.99"),
        (&["compare", "v6.7..v6.8", "none.ron"], "there is no such file"),
        (&["compare", "v6.7..v6.8", file.as_str(), "--seeds", "1..99"], "at most 60 seeds"),
        (&["compare", file.as_str(), "--versus", "x=1"], "no parameter `x` to set"),
    ] {
        let r = timerace(&dir, args);
        assert!(r.code == 2 && r.err.contains(part), "{args:?}: {}{}", r.out, r.err);
    }
}
