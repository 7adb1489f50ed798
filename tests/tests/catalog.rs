//! `docs/races.md`: the part below the marker is made from the scenario files and from what the program finds.
//!
//! `TIMERACE_BLESS=1 cargo test -p timerace-tests --test catalog` writes it anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use timerace_kernel::KernelVersion;
use timerace_kernel::versions::{MAINLINE, STABLE};
use timerace_reports::interleaving::{Detail, interleaving};
use timerace_reports::race_text::race_text;
use timerace_scenarios::library::{Entry, LIBRARY};
use timerace_scenarios::load;
use timerace_tests::search::{Answer, is_modelled, search};

const MARKER: &str = "<!-- From here on the text is made by tests/tests/catalog.rs. -->\n";
const WIDTH: usize = 75;

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/races.md")
}

/// The comment at the head of a file: its title, and paragraphs.
fn story(source: &str) -> (String, String) {
    let lines: Vec<&str> =
        source.lines().take_while(|l| l.starts_with("//")).map(|l| l[2..].trim()).collect();
    let mut paragraphs = lines.split(|l| l.is_empty()).map(|p| p.join("\n"));
    let title = paragraphs.next().unwrap_or_default().replace('\n', " ");
    (title.trim_end_matches('.').to_string(), paragraphs.collect::<Vec<_>>().join("\n\n"))
}

fn says(e: &Entry, kernel: KernelVersion, answer: Option<&Answer>) -> &'static str {
    match answer {
        None if !is_modelled(e, kernel) => "not modelled",
        None => "not possible",
        Some(a) if !a.classes.is_empty() => "found",
        Some(a) if a.timed_out => "a bounded stall",
        Some(_) => "none",
    }
}

/// `found v5.15 to v6.7, none from v6.8 on`.
fn versions(e: &Entry, answers: &[(KernelVersion, Option<Answer>)]) -> String {
    let mut parts: Vec<(&str, Vec<String>)> = Vec::new();
    for (k, a) in answers {
        let word = says(e, *k, a.as_ref());
        let name = k.release().to_string();
        match parts.last_mut() {
            Some((last, names)) if *last == word => names.push(name),
            _ => parts.push((word, vec![name])),
        }
    }
    let last = parts.len() - 1;
    let text = parts.iter().enumerate().map(|(i, (word, names))| match names.as_slice() {
        _ if last == 0 => format!("{word} on all releases"),
        [first, ..] if i == last => format!("{word} from {first} on"),
        [only] => format!("{word} in {only}"),
        [first, .., end] => format!("{word} {first} to {end}"),
        [] => String::new(),
    });
    text.collect::<Vec<_>>().join(", ")
}

fn answers(e: &Entry, releases: impl Iterator<Item = KernelVersion>) -> Vec<Answered> {
    releases.map(|k| (k, search(e, k))).collect()
}

type Answered = (KernelVersion, Option<Answer>);

fn section(e: &Entry) -> String {
    let scenario = load::parse(e.source, &[]).expect("built-in scenarios load");
    let (title, text) = story(e.source);
    let of = |r| KernelVersion::of(r).expect("in the table");
    let mainline = answers(e, MAINLINE.into_iter().map(of));
    let stable = answers(e, STABLE.iter().map(|s| of(s.0)));
    let refs: Vec<&str> = scenario.refs.iter().map(|r| r.node.as_str()).collect();
    let refs = if refs.is_empty() { "none".to_string() } else { refs.join(", ") };
    let mut out = format!("\n## {title}\n\n{text}\n\n");
    let _ = writeln!(out, "- scenario: `scenarios/library/{}`", e.path);
    let _ = writeln!(out, "- references: {refs}; CPUs: {}", scenario.machine.cpus.node);
    let _ = writeln!(out, "- mainline: {}", versions(e, &mainline));
    let stable: Vec<String> = stable
        .iter()
        .map(|(k, a)| format!("{} {}", k.release(), says(e, *k, a.as_ref())))
        .collect();
    let _ = writeln!(out, "- stable: {}", stable.join(", "));
    let newest = mainline.iter().rev().find_map(|(k, a)| Some((k, a.as_ref()?.shown.as_ref()?)));
    if let Some((k, (rec, which))) = newest {
        let class = rec.findings[*which].class;
        let again = format!("timerace explore scenarios/library/{} --kernel {k}", e.path);
        let _ = writeln!(out, "\n`{class}` on {k}, again with `{again}`:\n\n```text");
        for line in race_text(&interleaving(rec, Some(*which), Detail::Chosen), WIDTH).lines() {
            let _ = writeln!(out, "{}", line.trim_end());
        }
        out.push_str("```\n");
    }
    out
}

#[test]
fn the_catalog_is_what_the_program_finds() {
    let have = std::fs::read_to_string(file()).expect("docs/races.md is there");
    let (head, _) = have.split_once(MARKER).expect("the marker is there");
    let mut races: Vec<&Entry> = LIBRARY.iter().filter(|e| e.path.starts_with("races/")).collect();
    races.sort_by_key(|e| (!e.name().starts_with('r'), e.name()));
    let want = format!("{head}{MARKER}{}", races.into_iter().map(section).collect::<String>());
    if std::env::var_os("TIMERACE_BLESS").is_some() {
        return std::fs::write(file(), &want).expect("docs/races.md can be written");
    }
    let differ = have.lines().zip(want.lines()).find(|(a, b)| a != b);
    assert!(
        have == want,
        "docs/races.md is not up to date (see the head of this file), first at {differ:?}"
    );
}
