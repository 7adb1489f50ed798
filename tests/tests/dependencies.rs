//! What timerace is built from: licences, reasons, the Rust that it needs. Read from `cargo metadata`, without a network.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn metadata() -> Value {
    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--format-version", "1", "--locked", "--offline"]);
    let out = command.current_dir(root()).output().unwrap();
    // What is only for other systems may not have been fetched: then the network is needed once.
    let out = match out.status.success() {
        true => out,
        false => {
            let mut command = Command::new(env!("CARGO"));
            command.args(["metadata", "--format-version", "1", "--locked"]);
            command.current_dir(root()).output().unwrap()
        }
    };
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// The manifests' own dependencies by name; those of other members left out.
fn direct(meta: &Value) -> BTreeSet<String> {
    let ours: BTreeSet<&str> = meta["workspace_members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    let packages = meta["packages"].as_array().unwrap();
    let members = packages.iter().filter(|p| ours.contains(p["id"].as_str().unwrap()));
    let all = members.flat_map(|p| p["dependencies"].as_array().unwrap());
    let names = all.map(|d| d["name"].as_str().unwrap().to_string());
    names.filter(|n| !n.starts_with("timerace")).collect()
}

#[test]
fn every_dependency_has_a_reason() {
    let text = read("docs/dependencies.md");
    let mut told = BTreeSet::new();
    let table = text.lines().filter(|l| l.starts_with("| `")).map(|l| l.split('|').nth(1).unwrap());
    let tests = text.split("Only for tests and benchmarks:").nth(1).unwrap();
    let tests = tests.split("\n\n").next().unwrap();
    for part in table.chain(std::iter::once(tests)) {
        told.extend(part.split('`').skip(1).step_by(2).map(str::to_string));
    }
    assert_eq!(told, direct(&metadata()));
}

/// Whether an SPDX expression can be met with these licences. `/` is an old way to write OR.
fn is_met(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut at = 0;
    let met = any(&words, &mut at, allowed);
    assert_eq!(at, words.len(), "not understood: {expression}");
    met
}

fn any(words: &[&str], at: &mut usize, allowed: &BTreeSet<&str>) -> bool {
    let mut met = all(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all(words, at, allowed);
    }
    met
}

fn all(words: &[&str], at: &mut usize, allowed: &BTreeSet<&str>) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<&str>) -> bool {
    let word = words[*at];
    *at += 1;
    if word == "(" {
        let met = any(words, at, allowed);
        assert_eq!(words.get(*at), Some(&")"));
        *at += 1;
        return met;
    }
    let mut name = word.to_string();
    if words.get(*at) == Some(&"WITH") {
        name = format!("{word} WITH {}", words[*at + 1]);
        *at += 2;
    }
    allowed.contains(name.as_str())
}

const ALLOWED: [&str; 11] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "0BSD",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "Unlicense",
];

#[test]
fn every_licence_is_one_of_those_that_are_allowed() {
    let allowed = BTreeSet::from(ALLOWED);
    let meta = metadata();
    let packages = meta["packages"].as_array().unwrap();
    assert!(packages.len() > 50);
    for p in packages {
        let licence = p["license"].as_str().unwrap_or_default();
        assert!(is_met(licence, &allowed), "{}: {licence}", p["name"]);
    }
    let doc = read("docs/dependencies.md");
    let listed = doc.split("## Licences").nth(1).unwrap();
    for name in ALLOWED.iter().filter(|n| !n.contains("WITH")) {
        assert!(listed.contains(name), "docs/dependencies.md does not name {name}");
    }
    // The reader of expressions itself.
    for (text, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("MIT/Apache-2.0", true),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("(MIT OR Apache-2.0) AND GPL-2.0", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-2.0 WITH Classpath-exception-2.0", false),
    ] {
        assert_eq!(is_met(text, &allowed), met, "{text}");
    }
}

fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split(['.', '-', ' ']).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap(), numbers.next().unwrap_or(0))
}

#[test]
fn the_rust_that_is_stated_is_the_one_that_is_tested() {
    let meta = metadata();
    let packages = meta["packages"].as_array().unwrap();
    let stated = |p: &Value| p["rust_version"].as_str().map(version);
    let ours = packages.iter().find(|p| p["name"] == "timerace").and_then(stated).unwrap();
    for p in packages {
        let needs = stated(p).unwrap_or((1, 0));
        assert!(needs <= ours, "{} needs Rust {}.{}", p["name"], needs.0, needs.1);
        if p["name"].as_str().unwrap().starts_with("timerace") {
            assert_eq!(needs, ours, "{}", p["name"]);
        }
    }
    let out =
        Command::new(option_env!("RUSTC").unwrap_or("rustc")).arg("--version").output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let here = version(text.split(' ').nth(1).unwrap());
    assert!(here >= ours, "this is Rust {}.{}", here.0, here.1);
    let name = format!("Rust {}.{}", ours.0, ours.1);
    for file in ["README.md", ".ci/run"] {
        assert!(read(file).contains(&name), "{file} does not say {name}");
    }
}

#[test]
fn a_package_holds_all_that_it_is_built_from() {
    for (crate_, wanted) in [
        ("timerace-core", vec!["src/lib.rs"]),
        ("timerace-kernel", vec!["src/lib.rs"]),
        (
            "timerace-scenarios",
            vec!["library/races/r07-cancel-free-uaf.ron", "library/seed-example.ron"],
        ),
        ("timerace-reports", vec!["fonts/Inter-LICENSE.txt", "src/page/page.js"]),
        ("timerace", vec!["src/main.rs"]),
    ] {
        let mut command = Command::new(env!("CARGO"));
        command.args(["package", "--list", "--allow-dirty", "--offline", "-p", crate_]);
        let out = command.current_dir(root()).output().unwrap();
        assert!(out.status.success(), "{crate_}: {}", String::from_utf8_lossy(&out.stderr));
        let list = String::from_utf8(out.stdout).unwrap();
        let files: BTreeSet<&str> = list.lines().collect();
        for file in
            ["Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE"].iter().chain(&wanted)
        {
            assert!(files.contains(file), "{crate_} lacks {file}");
        }
    }
}
