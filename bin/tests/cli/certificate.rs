//! Certificates: what a search claims, checked by searching again, and by counting without the reduction.

use crate::support::{Dir, library, timerace};

fn certificate(dir: &Dir, file: &str, more: &[&str]) -> String {
    let file = library().join(file).display().to_string();
    let r = timerace(dir, &[&["explore", &file, "-o", "out"], more].concat());
    assert!(r.code <= 1, "{}{}", r.out, r.err);
    dir.0.join("out/certificate.json").display().to_string()
}

#[test]
fn a_certificate_is_verified_and_recounted() {
    let dir = Dir::new("certificate");
    for (file, more) in [
        ("patterns/r07-raw.ron", &["--keep-going"][..]),
        ("patterns/r07-raw-fixed.ron", &[]),
        ("patterns/mutual-cancel-no-barrier.ron", &[]),
        ("races/r07-cancel-free-uaf.ron", &["--kernel", "v6.7", "--with", "0281b919e175"]),
        ("races/r07-cancel-free-uaf.ron", &["--kernel", "v6.8", "--preemptions", "90"]),
    ] {
        let c = certificate(&dir, file, more);
        let r = timerace(&dir, &["verify", &c]);
        assert_eq!(r.code, 0, "{file}: {}{}", r.out, r.err);
        let r = timerace(&dir, &["verify", &c, "--recount", "-j", "2"]);
        assert_eq!(r.code, 0, "{file}: {}{}", r.out, r.err);
        assert!(r.out.contains("without the reduction"), "{file}: {}", r.out);
    }
}

#[test]
fn a_search_that_stopped_cannot_be_recounted() {
    let dir = Dir::new("certificate-stopped");
    let c = certificate(&dir, "races/r07-cancel-free-uaf.ron", &["--kernel", "v6.7"]);
    assert_eq!(timerace(&dir, &["verify", &c]).code, 0);
    assert_eq!(timerace(&dir, &["verify", &c, "--recount"]).code, 3);
}

#[test]
fn a_certificate_that_lies_is_found_out() {
    let dir = Dir::new("certificate-lies");
    let c = certificate(&dir, "patterns/r07-raw-fixed.ron", &[]);
    let text = std::fs::read_to_string(&c).unwrap();
    let lies = |from: &str, to: &str| {
        let lie = text.replace(from, to);
        assert_ne!(lie, text, "{from}");
        let file = dir.file("lie.json", lie.as_bytes()).display().to_string();
        let r = timerace(&dir, &["verify", &file]);
        (r.code, r.out + &r.err)
    };
    let (code, said) = lies("\"schedules\": 5", "\"schedules\": 6");
    assert!(code == 1 && said.contains("schedules: claimed 6, is 5"), "{said}");
    let (code, said) = lies("rcu_read_lock(),", "");
    assert!(code == 2 && said.contains("SHA-256"), "{said}");
    let (code, said) = lies("\"kind\": \"certificate\"", "\"kind\": \"x\"");
    assert!(code == 2 && said.contains("kind"), "{said}");
    assert_eq!(timerace(&dir, &["verify", "absent.json"]).code, 2);
}

#[test]
fn a_certificate_names_everything_that_its_claim_depends_on() {
    let dir = Dir::new("certificate-fields");
    let read = |more: &[&str]| -> serde_json::Value {
        let c = certificate(&dir, "races/r07-cancel-free-uaf.ron", more);
        serde_json::from_str(&std::fs::read_to_string(c).unwrap()).unwrap()
    };
    let v = read(&["--kernel", "v6.8"]);
    for key in [
        "scenario_digest",
        "model_digest",
        "fixes",
        "costs",
        "version",
        "engine",
        "reductions",
        "bounds",
        "schedules",
        "blocked",
        "failing",
        "stuck",
        "objects",
        "contexts",
        "longest",
        "final_states",
        "state_digest",
        "trace_digest",
        "expectations",
        "scope",
        "complete",
    ] {
        assert!(v.get(key).is_some(), "no {key} in {v:#}");
    }
    assert_eq!(v["scope"]["cpus"], 3);
    assert!(v["objects"].as_u64() > v["contexts"].as_u64());
    // Another model, another digest; the same scenario.
    let other = read(&["--kernel", "v6.7", "--with", "0281b919e175"]);
    assert_eq!(v["scenario_digest"], other["scenario_digest"]);
    assert_ne!(v["model_digest"], other["model_digest"]);
    // What each number of preemptions brought.
    let layers = read(&["--kernel", "v6.8", "--preemptions", "90"]);
    let all = layers["by_preemptions"].as_array().unwrap();
    let sum: u64 = all.iter().map(|l| l["schedules"].as_u64().unwrap()).sum();
    assert!(all.len() > 2 && Some(sum) == layers["schedules"].as_u64(), "{all:?}");
}
